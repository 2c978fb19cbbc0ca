"""A ledger of one worker, for runs whose workers sit on several machines.

SQLite's write-ahead mode needs memory that all its processes share, so one file cannot be written from several machines
(https://www.sqlite.org/wal.html).  There every worker writes a file of its own in ``branches/``, and the run's ``ledger.sqlite`` is
only read, until `gather` moves all branches into it, before the next start or at the end.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
from contextlib import suppress
from pathlib import Path

from pixel_synth.errors import RunError
from pixel_synth.llms.engine import Completion
from pixel_synth.llms.ledger import Ledger

BRANCHES = "branches"
SPENT = ("tokens_in", "tokens_out")


class Branch(Ledger):
    """The answers of one worker, on top of those that the run had when it was started.

    Args:
        run: The run directory.  Nobody may write its ``ledger.sqlite`` as long as a branch is open.
    """

    def __init__(self, run: Path) -> None:
        folder = run / BRANCHES
        folder.mkdir(exist_ok=True)
        self.path = folder / f"{os.uname().nodename}-{os.getpid()}-{secrets.token_hex(4)}.sqlite"
        super().__init__(self.path, alone=True)
        self._worker = self.path.stem
        self.metrics = self.path.with_suffix(".jsonl")
        self._trunk = Ledger(run / "ledger.sqlite", read_only=True, alone=True)

    def get(self, key: str) -> Completion | None:
        """Return the stored answer of a key, of this worker or of an earlier start, or ``None``.

        Raises:
            EngineError: When the call ended without an answer, as it did then.
        """
        own = super().get(key)
        return self._trunk.get(key) if own is None else own

    def share(self, tokens: int, workers: int) -> int:
        """Return this worker's part of what earlier starts left of a run's budget; 0 = no limit, for a budget of 0."""
        before = self._trunk.totals()
        left = tokens - sum(before.get(what, 0) for what in SPENT)
        return max(1, int(left) // workers) if tokens else 0

    def close(self) -> None:
        """Close both files."""
        super().close()
        self._trunk.close()


def gather(run: Path) -> int:
    """Move all branches into the run's ledger and return how many there were; may be killed at any moment and called again.

    Raises:
        RunError: When a file is damaged, or still used by another process.
    """
    folder, path = run / BRANCHES, run / "ledger.sqlite"
    found = sorted(folder.glob("*.sqlite"))
    try:
        ledger = Ledger(path, alone=True)
        for path in found:
            ledger.take_in(path)
            path.unlink()
        ledger.close()
    except sqlite3.Error as error:
        used = "locked" in str(error)
        raise RunError(
            f"{path}: {error}", hint="wait for the process that uses it" if used else "it can be deleted: its calls are made again"
        ) from error
    with (run / "metrics.jsonl").open("ab") as metrics:
        for path in sorted(folder.glob("*.jsonl")):
            metrics.write(path.read_bytes())
            path.unlink()
    with suppress(OSError):
        folder.rmdir()
    return len(found)
