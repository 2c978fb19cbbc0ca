"""The final validator: every rule of `pixel_synth.prove.rules`, in one pass over the records."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from pydantic import ValidationError

from pixel_synth.curate.gate import Gate, settle
from pixel_synth.errors import RecordError, UsageError
from pixel_synth.jsonl import Row, read
from pixel_synth.prove.rules import CHECKS, About, Check, Limits, Place, Rule, Target
from pixel_synth.prove.rules.speed import Speed
from pixel_synth.prove.target import target
from pixel_synth.recipe import Recipe
from pixel_synth.records import Record
from pixel_synth.settings import Settings, exact_settings

Progress = Callable[[int], None]


class Validation(Record):
    """The answers of all rules about one dataset."""

    path: str
    kind: str
    records: int
    rules: tuple[Rule, ...]

    @property
    def failing(self) -> tuple[Rule, ...]:
        """The rules that are broken."""
        return tuple(r for r in self.rules if r.passed is False)

    @property
    def passed(self) -> bool:
        """No rule is broken; rules that were not judged are no pass, and no failure either."""
        return not self.failing

    @property
    def status(self) -> int:
        """The exit status: 0 nothing is broken, 3 nothing but shortfalls that ``mix.json`` names, 1 anything else."""
        return 0 if self.passed else 3 if all(r.shortfall for r in self.failing) else 1


def validate(
    path: Path,
    settings: Settings,
    recipe: Recipe | None = None,
    limits: Limits | None = None,
    *,
    distribution: bool = False,
    speed: bool = True,
    progress: Progress = lambda read: None,
) -> Validation:
    """Hold a dataset against its settings, its recipe and the limits.

    Args:
        path: A run directory, a folder, or a file of records.
        settings: Ratios and thresholds, where the run has none of its own.
        recipe: What the dataset should be, where the run has none of its own; ``None`` = sizes, profile and floor do not apply.
        limits: Everything else that can be set.
        distribution: Judge the shares of the categories also where no recipe asks for them.
        speed: Measure the readers, which reads everything three times more.
        progress: Told how many lines were read.

    Raises:
        RecordError: When there is nothing at the path, or a JSON file beside the records is damaged.
    """
    return examine(about(target(path), settings, recipe, limits or Limits(), distribution=distribution), speed=speed, progress=progress)


def examine(known: About, more: Sequence[Check] = (), *, speed: bool = True, progress: Progress = lambda read: None) -> Validation:
    """Read every record once, show it to every rule and to ``more``, and return the answers of the rules."""
    checks = [check(known) for check in CHECKS if speed or check is not Speed]
    count = 0
    for at, row in rows(known.target):
        count += 1
        for check in (*checks, *more):
            if row.record is None:
                check.bad(at, row.error)
            else:
                check.see(row.record, at)
        if not count % 256:
            progress(count)
    rules = tuple(rule for check in checks for rule in check.rules())
    return Validation(path=known.target.path.name, kind=known.target.kind, records=count, rules=rules)


def rows(found: Target) -> Iterator[tuple[Place, Row]]:
    """Yield every line of every file of a target, with its place."""
    for split, path in (*found.splits.items(), *found.aside.items()):
        name = found.shown(path)
        for row in read(path):
            yield Place(split, name, row.line), row


def about(found: Target, settings: Settings, recipe: Recipe | None, limits: Limits, *, distribution: bool = False) -> About:
    """Return what the rules may know; a run is held against what it was made with, not against what is set today."""
    info = found.info or {}
    try:
        settings = exact_settings(info["settings"]) if "settings" in info else settings
        recipe = Recipe(**info["recipe"]) if "recipe" in info else recipe
        gate = Gate.model_validate(info["gate"]) if "gate" in info else settle(settings)
    except (ValidationError, TypeError) as error:
        wrong, hint = str(error).replace("\n", " ")[:200], "restore it from a copy, or make the dataset again"
        raise RecordError(f"{found.home / 'run.json'} is unusable: {wrong}", hint=hint) from error
    return About(found, settings, recipe, limits, gate, recipe is not None or distribution)


def load_limits(path: Path | None = None) -> Limits:
    """Read limits from a TOML file, or from ``[validation]`` of ``pixel.toml``.

    Raises:
        UsageError: Naming the file and the key.
    """
    file = path or Path("pixel.toml")
    if path is None and not file.is_file():
        return Limits()
    try:
        data = tomllib.loads(file.read_text(encoding="utf-8"))
        return Limits(**(data if path and "validation" not in data else data.get("validation", {})))
    except OSError as error:
        raise UsageError(f"cannot read {file}: {error.strerror}", hint="pixel-synth validate --help") from error
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{file}: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        raise UsageError(
            f"{file}: {'.'.join(map(str, first['loc']))}: {first['msg']}", hint=f"known: {', '.join(Limits.model_fields)}"
        ) from error
