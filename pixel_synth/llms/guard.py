"""Stands between a run and a server it started, so that nothing of the server outlives the run.

    python guard.py OWNER_PID GRACE_S PROGRAM ARGUMENT…

An LLM server is a tree of processes, and its engine process does not notice when its parent is killed: it would keep
the GPU's memory for ever.  The guard starts the program, prints its process id, and waits.  Whatever comes first, the
program's end, a SIGTERM to the guard, or the death of the owner, it ends the whole tree below itself and nothing else.  On Linux it adopts
processes whose own parent has died (``PR_SET_CHILD_SUBREAPER``), so none can slip away.  Standard library only, one thread:
that makes ``preexec_fn`` safe here.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36  # linux/prctl.h
POLL_S, KILL_S = 0.1, 5.0


def _prctl() -> Callable[[int, int], None]:
    """Return the system call, or something that does nothing where there is none."""
    call = getattr(ctypes.CDLL(None), "prctl", None)

    def prctl(option: int, value: int) -> None:
        if call is not None:
            call(option, ctypes.c_ulong(value))

    return prctl


def descendants(root: int) -> list[int]:
    """Return the ids of all processes below one, zombies left out; nothing where there is no /proc."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, ValueError, IndexError):
            # The name in brackets may hold anything, brackets too; state and parent follow it.
            state, parent = stat.read_text(errors="replace").rpartition(")")[2].split()[:2]
            if state != "Z":
                children.setdefault(int(parent), []).append(int(stat.parent.name))
    found, todo = [], [root]
    while todo:
        below = children.get(todo.pop(), [])
        found += below
        todo += below
    return found


def _end_all(child: subprocess.Popen[bytes]) -> None:
    """Kill everything below this process; again until nothing new was forked meanwhile."""
    deadline = time.monotonic() + KILL_S
    while time.monotonic() < deadline:
        if child.poll() is None:
            child.kill()
        left = descendants(os.getpid())
        if not left and child.poll() is not None:
            with suppress(ChildProcessError):
                while os.waitpid(-1, os.WNOHANG)[0]:  # collect the adopted ones: not every init does it soon
                    pass
            return
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)


def main(owner: int, grace_s: float, command: list[str]) -> int:
    """Run the command until it ends, the owner dies or SIGTERM comes; leave no process behind.

    Returns:
        The command's exit status; 128 + the signal's number when a signal ended it; 127 when it cannot be started.
    """
    asked: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: asked.append(number))
    for number in (signal.SIGINT, signal.SIGHUP):  # a Ctrl-C reaches the whole group; the owner decides what it means
        signal.signal(number, signal.SIG_IGN)
    prctl = _prctl()
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    try:
        child = subprocess.Popen(  # noqa: S603 - the user's own command line
            command, stdin=subprocess.DEVNULL, stdout=sys.stderr, preexec_fn=lambda: prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        )
    except OSError as error:
        sys.stderr.write(f"{command[0]}: {error.strerror}\n")
        return 127
    sys.stdout.write(f"{child.pid}\n")
    sys.stdout.flush()
    while child.poll() is None and not asked and os.getppid() == owner:
        time.sleep(POLL_S)
    if asked and child.poll() is None:
        child.terminate()
        with suppress(subprocess.TimeoutExpired):
            child.wait(grace_s)
    _end_all(child)
    status = child.returncode if child.returncode is not None else -signal.SIGKILL
    return status if status >= 0 else 128 - status


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), float(sys.argv[2]), sys.argv[3:]))
