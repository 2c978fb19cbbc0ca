"""The pipeline script as a process whose whole descent can be found, for the tests that look for what is left of it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import pytest

SCRIPT = Path(__file__).resolve().parent.parent / "pipelines" / "psychology.py"
RUN_S, END_S = 400, 40  # a whole run on a loaded machine; the time in which one that was killed must have ended


class Ended(NamedTuple):
    """How a process ended, and what it said."""

    status: int
    out: str
    errors: str


class Process:
    """The script, started; its processes bear a mark in their environment.

    Args:
        args: Command line arguments.
        env: Variables on top of this process's own.
    """

    def __init__(self, *args: object, **env: object) -> None:
        self.mark = f"CHAOS_MARK={uuid4().hex}"
        name, _, value = self.mark.partition("=")
        self._out, self._errors = (tempfile.TemporaryFile("w+") for _ in range(2))  # noqa: SIM115  (open as long as the process)
        self.popen = subprocess.Popen(
            [sys.executable, str(SCRIPT), *map(str, args)],
            env={**os.environ, **{k: str(v) for k, v in env.items()}, name: value},
            stdin=subprocess.DEVNULL,
            stdout=self._out,
            stderr=self._errors,
        )

    def alive(self) -> list[int]:
        """Return the ids of all living processes of this run, zombies left out."""
        found = []
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                ours = entry.name.isdigit() and self.mark.encode() in (entry / "environ").read_bytes()
                if ours and (entry / "stat").read_text().rpartition(")")[2].split()[0] != "Z":
                    found.append(int(entry.name))
        return found

    def wait(self, seconds: float = RUN_S) -> Ended:
        """Wait until the script has ended and nothing of it is left, or fail."""
        try:
            self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            self.wait_gone(0)
        self.wait_gone()
        return Ended(self.popen.returncode, _read(self._out), _read(self._errors))

    def wait_gone(self, seconds: float = END_S) -> None:
        """Wait until no process of the run is left; those that are there after that time are killed, and the test fails."""
        limit = time.monotonic() + seconds
        while left := self.alive():
            self.popen.poll()
            if time.monotonic() > limit:
                told = [f"{pid} {command(pid)}" for pid in left]
                for pid in left:
                    kill(pid)
                self.popen.wait()
                pytest.fail(f"still there after {seconds} s: {told}\n{_read(self._out)[-2000:]}\n{_read(self._errors)[-2000:]}")
            time.sleep(0.1)
        self.popen.wait()


def _read(file: object) -> str:
    file.seek(0)  # type: ignore[attr-defined]
    return file.read()  # type: ignore[attr-defined, no-any-return]


def stat(pid: int, field: int) -> int:
    """Return a number of /proc/PID/stat, counted from the state (1 = parent, 2 = process group); 0 when it is gone."""
    try:
        return int((Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[field])
    except OSError:
        return 0


def command(pid: int) -> str:
    """Return the command line of a process; "" when it is gone."""
    try:
        return (Path("/proc") / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""


def kill(pid: int, number: int = signal.SIGKILL) -> None:
    """Send a signal to a process that may be gone."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
