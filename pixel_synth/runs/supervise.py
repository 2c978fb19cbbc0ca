"""Runs a distilabel pipeline in a process group of its own and watches over it.

distilabel hangs when one of its workers dies, survives its killed parent and stops unreliably on Ctrl-C.  So the
pipeline runs in a child that watches its own children (`runs.watch`); this process shows progress, and on any way out ends the
whole group.
What was finished is on disk by then, and a resumed run makes only the slots that are missing.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pixel_synth.errors import RunError
from pixel_synth.llms.ledger import Ledger
from pixel_synth.runs.directory import Run
from pixel_synth.runs.watch import FAILURE, die_with, keep_children

if TYPE_CHECKING:
    from distilabel.pipeline import Pipeline

Build = Callable[[Run, int], "Pipeline"]
Progress = Callable[[int, int], None]
POLL_S = 0.25


def generate(build: Build, run: Run, workers: int, progress: Progress) -> None:
    """Run the pipeline until every slot of the plan has an outcome.

    Args:
        build: Makes the pipeline for a run and a number of workers; a top-level function of the calling script.
        run: The locked run directory.
        workers: Processes of the generating step.
        progress: Called with (slots done, slots accepted) about four times a second.

    Raises:
        RunError: When the pipeline or a worker dies, or ends without having filled every slot.
        KeyboardInterrupt: Passed on after the processes have been ended.
    """
    failure = run.path / FAILURE
    failure.unlink(missing_ok=True)
    tail = Tail(run)
    progress(*tail.read())
    Ledger(run.path / "ledger.sqlite").close()  # made once, before several workers open it
    arguments = (build, run.path, run.holder, workers)
    child = multiprocessing.get_context("spawn").Process(target=_pipeline, args=arguments, name="pipeline")
    child.start()
    try:
        while child.is_alive():
            child.join(POLL_S)
            progress(*tail.read())
    finally:
        _end_group(child)
        shutil.rmtree(run.path / ".distilabel", ignore_errors=True)
    progress(*tail.read())
    if child.exitcode != 0:
        reason = failure.read_text(encoding="utf-8").strip() if failure.exists() else f"it ended with status {child.exitcode}"
        raise RunError(
            f"the pipeline was stopped: {reason}", hint=f"see {run.path / 'pipeline.log'}; what was finished is kept: --resume {run.path}"
        )
    wanted, done = run.settings.accept, len(run.positions())
    if done != wanted:
        raise RunError(
            f"the pipeline ended with {done} of {wanted} slots filled", hint=f"see {run.path / 'pipeline.log'}; --resume {run.path}"
        )


class Tail:
    """Counts outcomes in growing shard files, reading each byte once."""

    def __init__(self, run: Run) -> None:
        self._folder = run.path / "shards"
        self._offsets: dict[Path, int] = {}
        self.done = self.accepted = 0

    def read(self) -> tuple[int, int]:
        """Return (slots done, slots accepted) by now."""
        for path in self._folder.glob("*.jsonl"):
            with path.open("rb") as file:
                file.seek(self._offsets.get(path, 0))
                for line in file:
                    if not line.endswith(b"\n"):
                        break
                    self.done += 1
                    self.accepted += b'"accepted":true' in line[:64]
                    self._offsets[path] = self._offsets.get(path, 0) + len(line)
        return self.done, self.accepted


def _pipeline(build: Build, path: Path, holder: str, workers: int) -> None:
    """The child: own process group, watched, output to a file, distilabel's cache switched off."""
    os.setsid()
    die_with(path, holder)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with (path / "pipeline.log").open("a") as log:
        os.dup2(log.fileno(), sys.stdout.fileno())
        os.dup2(log.fileno(), sys.stderr.fileno())
    logging.captureWarnings(True)
    run = Run.open(path)
    wanted, before = run.settings.accept, len(run.positions())
    pipeline = build(run, workers)
    keep_children(path, done=lambda: len(run.positions()) == wanted)
    result: Any = pipeline.run(use_cache=False)
    told = sum(len(split) for config in result.values() for split in config.values())
    run.log("generate", "distilabel finished", rows=told)
    if told != wanted - before:
        raise RunError(f"distilabel returned {told} rows for {wanted - before} slots")


def _end_group(child: Any) -> None:
    """Kill the child's whole process group and wait for the child."""
    if child.pid is None:
        return
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):  # it has no group of its own yet
        child.kill()
    child.join(10)
