"""Runs a distilabel pipeline in a process group of its own and watches over it.

distilabel hangs when one of its workers dies, survives its killed parent and stops unreliably on Ctrl-C.  So the
pipeline runs in a child that watches its own children (`runs.watch`); this process shows progress, and on any way out ends the
whole group.
What was finished is on disk by then, and a resumed run makes only the slots that are missing.
"""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import os
import shutil
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pixel_synth.errors import PixelError, RunError
from pixel_synth.llms.branch import gather
from pixel_synth.llms.connect import connect_all, server_of
from pixel_synth.runs import anchoring
from pixel_synth.runs.directory import Run, write_atomic
from pixel_synth.runs.watch import FAILURE, die_with, end_group, every, keep_children

if TYPE_CHECKING:
    from distilabel.pipeline import Pipeline

    from pixel_synth.llms.vllm import Server

Build = Callable[[Run, int], "Pipeline"]
Progress = Callable[[int, int], None]
Starting = Callable[[str], None]
STARTING = ".starting"
POLL_S = 0.25


def generate(build: Build, run: Run, workers: int, progress: Progress, starting: Starting) -> None:
    """Run the pipeline until every slot of the plan has an outcome, or the budget is used up (`Run.stopped`).

    Args:
        build: Makes the pipeline for a run and a number of workers; a top-level function of the calling script.
        run: The locked run directory.
        workers: Processes of the generating step.
        progress: Called with (slots done, slots accepted) about four times a second.
        starting: Called with what a server of our own is doing while it starts.

    Raises:
        RunError: When the pipeline, a worker or the server dies, or ends without having filled every slot.
        KeyboardInterrupt: Passed on after the processes have been ended.
    """
    failure, state = run.path / FAILURE, run.path / STARTING
    for left_over in (failure, state, run.path / ".stopped"):
        left_over.unlink(missing_ok=True)
    tail = Tail(run)
    progress(*tail.read())
    gather(run.path)  # the ledger is made once, before several workers open it; workers on a cluster may have left branches of it
    arguments = (build, run.path, run.holder, workers)
    child = multiprocessing.get_context("spawn").Process(target=_pipeline, args=arguments, name="pipeline")
    child.start()
    try:
        while child.is_alive():
            child.join(POLL_S)
            if state.exists():
                starting(state.read_text(encoding="utf-8"))
            progress(*tail.read())
    finally:
        _end_group(child)
        shutil.rmtree(run.path / ".distilabel", ignore_errors=True)
        state.unlink(missing_ok=True)
    progress(*tail.read())
    if child.exitcode != 0:
        reason = failure.read_text(encoding="utf-8").strip() if failure.exists() else f"it ended with status {child.exitcode}"
        raise RunError(
            f"the pipeline was stopped: {reason}", hint=f"see {run.path / 'pipeline.log'}; what was finished is kept: --resume {run.path}"
        )
    gather(run.path)  # brings what is in the write-ahead log into the one file, too
    wanted, done = run.settings.accept, len(run.positions())
    if done != wanted and not run.stopped:
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
    """The child: own process group, watched, output to a file, distilabel's cache switched off; a server of our own lives in it."""
    os.setsid()
    die_with(path, holder)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with (path / "pipeline.log").open("a") as log:
        os.dup2(log.fileno(), sys.stdout.fileno())
        os.dup2(log.fileno(), sys.stderr.fileno())
    logging.captureWarnings(True)
    run = Run.open(path)
    settings = run.settings
    try:
        with server_of(settings, path / "server.log", lambda text, s: write_atomic(path / STARTING, f"{text} ({s:.0f} s)")) as server:
            over = threading.Event()
            if server:
                run.keep_links(asyncio.run(connect_all(settings, (server.base_url,))))
                _watch_server(path, server, over)
            (path / STARTING).unlink(missing_ok=True)
            try:
                if len(run.positions()) < settings.accept:
                    _run_pipeline(build, run, workers)
                anchoring.ensure(run)
            finally:
                over.set()
    except PixelError as error:
        (path / FAILURE).write_text(str(error), encoding="utf-8")
        raise


def _run_pipeline(build: Build, run: Run, workers: int) -> None:
    settings = run.settings
    wanted, before = settings.accept, len(run.positions())
    pipeline = build(run, workers)
    if settings.ray:
        from pixel_synth.runs.cluster import on_ray

        pipeline = on_ray(pipeline, settings.ray)
    else:
        keep_children(run.path, done=lambda: bool(run.stopped) or len(run.positions()) == wanted)
    result: Any = pipeline.run(use_cache=False)
    told = sum(len(split) for config in result.values() for split in config.values())
    run.log("generate", "distilabel finished", rows=told)
    if told != wanted - before:
        raise RunError(f"distilabel returned {told} rows for {wanted - before} slots")


def _watch_server(path: Path, server: Server, over: threading.Event) -> None:
    """End the run when its server dies before the run is over."""

    def poll() -> None:
        if not server.alive() and not over.is_set():
            end_group(path, f"the server of this run died:\n{server.ending()}")

    every(POLL_S, "keep-server", poll)


def _end_group(child: Any) -> None:
    """Kill the child's whole process group and wait for the child."""
    if child.pid is None:
        return
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):  # it has no group of its own yet
        child.kill()
    child.join(10)
