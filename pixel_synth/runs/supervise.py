"""Runs a distilabel pipeline in a process group of its own and watches over it.

distilabel hangs when one of its workers dies, survives its killed parent and stops unreliably on Ctrl-C.  So the
pipeline runs in a child; this process shows progress, notices a dead worker, and on any way out ends the whole group.
What was finished is on disk by then, and a resumed run makes only the slots that are missing.
"""

from __future__ import annotations

import fcntl
import logging
import multiprocessing
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pixel_synth.errors import RunError
from pixel_synth.runs.directory import Run

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
    marks = run.path / ".workers"
    shutil.rmtree(marks, ignore_errors=True)
    marks.mkdir()
    tail = Tail(run)
    progress(*tail.read())
    child = multiprocessing.get_context("spawn").Process(target=_pipeline, args=(build, run.path, workers), name="pipeline")
    child.start()
    try:
        while child.is_alive():
            child.join(POLL_S)
            progress(*tail.read())
            if dead := _dead_workers(marks):
                raise RunError(f"worker process {dead[0]} died", hint=f"what was finished is kept: --resume {run.path}")
    finally:
        _end_group(child)
        shutil.rmtree(marks, ignore_errors=True)
        shutil.rmtree(run.path / ".distilabel", ignore_errors=True)
    progress(*tail.read())
    if child.exitcode != 0:
        raise RunError(f"the pipeline process ended with status {child.exitcode}",
                       hint=f"see {run.path / 'pipeline.log'}; what was finished is kept: --resume {run.path}")  # fmt: skip
    wanted, done = run.settings.accept, len(run.positions())
    if done != wanted:
        raise RunError(f"the pipeline ended with {done} of {wanted} slots filled", hint=f"--resume {run.path}")


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


def _pipeline(build: Build, path: Path, workers: int) -> None:
    """The child: own process group, output to a file, distilabel's cache switched off."""
    os.setsid()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with (path / "pipeline.log").open("a") as log:
        os.dup2(log.fileno(), sys.stdout.fileno())
        os.dup2(log.fileno(), sys.stderr.fileno())
    from pixel_synth.runs.steps import die_with

    die_with(path)
    run = Run.open(path)
    logging.captureWarnings(True)
    result: Any = build(run, workers).run(use_cache=False)
    told = sum(len(split) for config in result.values() for split in config.values())
    fresh = run.settings.accept - int(os.environ.get("PIXEL_RUN_DONE", "0"))
    run.log("generate", "distilabel finished", rows=told)
    if told != fresh:
        raise RunError(f"distilabel returned {told} rows for {fresh} slots")


def _dead_workers(marks: Path) -> list[str]:
    """Return the ids of workers whose lock is free although they did not say that they ended well."""
    dead = []
    for mark in marks.iterdir():
        with mark.open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            if not file.read():
                time.sleep(0.05)  # the worker may lie between open and lock, or between lock and "done"
                file.seek(0)
                fcntl.flock(file, fcntl.LOCK_UN)
                if not _held(mark) and not mark.read_text():
                    dead.append(mark.name)
    return dead


def _held(mark: Path) -> bool:
    with mark.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


def _end_group(child: Any) -> None:
    """Kill the child's whole process group and wait for the child."""
    if child.pid is None:
        return
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    except PermissionError:
        child.kill()
    child.join(10)
