"""A dataset in the making: its run directory, recipe, settings, and the stages that are done."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pixel_synth.books import Books
from pixel_synth.curate.gate import Gate
from pixel_synth.recipe import Recipe
from pixel_synth.runs.directory import Run
from pixel_synth.runs.screen import progress, say
from pixel_synth.runs.stages import Stage, Stages
from pixel_synth.settings import Settings

Result = tuple[Books, dict[str, Any]]


class Assembly:
    """What every stage of a dataset works with.

    ``stages/`` and ``private/`` hold text as it came, with personal data in it: only their owner can read them.
    """

    def __init__(self, run: Run, recipe: Recipe) -> None:
        self.run, self.recipe = run, recipe
        self.settings: Settings = run.settings
        self.gate: Gate = run.gate
        self.workers = recipe.workers or min(os.cpu_count() or 1, 8)
        self._stages = Stages(run, say)
        for name in ("stages", "private"):
            (run.path / name).mkdir(mode=0o700, exist_ok=True)

    @property
    def private(self) -> Path:
        """The folder of what is never handed out."""
        return self.run.path / "private"

    @property
    def done(self) -> list[Stage]:
        """The stages so far."""
        return self._stages.done

    @property
    def version(self) -> str:
        """Hash of all that the stages rest on and wrote."""
        return self._stages.chain

    def folder(self, name: str) -> Path:
        """Return the folder of a stage."""
        return self._stages.folder(name)

    def stage(self, name: str, work: Callable[[Assembly, Path], Result], into: Path | None = None, **decides: Any) -> Stage:
        """Run a stage, or take it as it is when it is done; ``decides`` is what its result depends on besides the stages before it."""
        return self._stages.run(name, decides, lambda folder: work(self, folder), into)

    def progress(self, total: int, unit: str) -> Any:
        """Return a context that shows progress."""
        return progress(max(1, total), unit, "kept")


def fingerprint(settings: Settings, recipe: Recipe) -> str:
    """Return a hash of everything in settings and recipe that decides a dataset."""
    return hashlib.sha256(f"{settings.fingerprint()}{recipe.fingerprint()}".encode()).hexdigest()[:16]


def parts(recipe: Recipe, *names: str) -> dict[str, Any]:
    """Return the named fields of a recipe as JSON values, for ``decides``."""
    return recipe.model_dump(mode="json", include=set(names))
