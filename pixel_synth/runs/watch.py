"""What ends a run's processes when something else has ended: its supervisor, or one of its children.

A process group that has lost a member or its supervisor must not go on: distilabel would hang, or two groups would work on one
run.  What was finished is on disk, so the group is killed and the run can be resumed.
"""

from __future__ import annotations

import fcntl
import multiprocessing
import multiprocessing.process
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

POLL_S = 0.5
FAILURE = ".failure"
ORDERLY = (0, -signal.SIGTERM, None)  # how children end when distilabel is done with them; None = not known


def end_group(run_path: Path, reason: str, *, alone: bool = False) -> NoReturn:
    """Leave the reason for the supervisor to read, and kill this process group (or ``alone`` this process, in a foreign group)."""
    with (run_path / FAILURE).open("a", encoding="utf-8") as file:
        file.write(reason + "\n")
    _kill(alone)
    raise SystemExit(reason)  # not reached; the signal cannot be caught


def _kill(alone: bool) -> None:
    if alone:
        os.kill(os.getpid(), signal.SIGKILL)
    else:
        os.killpg(os.getpgid(0), signal.SIGKILL)


def every(seconds: float, name: str, poll: Callable[[], None]) -> None:
    """Call ``poll`` in a thread of its own for as long as this process lives."""

    def loop() -> None:
        while True:
            time.sleep(seconds)
            poll()

    threading.Thread(target=loop, daemon=True, name=name).start()


def die_with(run_path: Path, holder: str, *, alone: bool = False) -> None:
    """Watch the run's lock: end the group (or ``alone`` this process) when ``holder`` no longer holds it: the supervisor was killed."""
    file = (run_path / ".lock").open()

    def poll() -> None:
        file.seek(0)
        if file.read() == holder:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return
        _kill(alone)

    every(POLL_S, "die-with-supervisor", poll)


def keep_children(run_path: Path, done: Callable[[], bool]) -> None:
    """Watch this process's children: end the group when one vanishes before ``done()``, or is killed at any time."""
    seen: dict[int, multiprocessing.process.BaseProcess] = {}

    def poll() -> None:
        alive = {p.pid: p for p in multiprocessing.active_children() if p.pid}
        for pid in seen.keys() - alive.keys():
            gone = seen.pop(pid)
            if gone.exitcode not in ORDERLY or not done():
                end_group(run_path, f"process {pid} of the pipeline died")
        seen.update(alive)

    every(POLL_S, "keep-children", poll)
