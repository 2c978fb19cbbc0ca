"""The ledger: every finished call, stored under its key, so that no call is ever made twice.

One SQLite file in write-ahead mode, shared by the processes of a run.  Each call is committed by itself: killing any
process at any moment loses at most the calls in flight.  Three tables:

* ``calls``: the answer of each call, valid or not, with its tokens and how long it took;
* ``failures``: calls that ended without an answer after every retry, so that a replay fails them in the same way;
* ``meter``: running totals per process, so that a budget can be checked without adding up millions of rows.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, get_args

from pixel_synth.errors import EngineError, Failure
from pixel_synth.llms.engine import Call, Completion

_SCHEMA = """
CREATE TABLE IF NOT EXISTS calls (
    key TEXT PRIMARY KEY, blueprint TEXT NOT NULL, part TEXT NOT NULL, turn INTEGER NOT NULL,
    text TEXT NOT NULL, finish TEXT NOT NULL, tokens_in INTEGER, tokens_out INTEGER, cached INTEGER, seconds REAL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS calls_of ON calls (blueprint, part, turn);
CREATE TABLE IF NOT EXISTS failures (
    key TEXT PRIMARY KEY, blueprint TEXT NOT NULL, part TEXT NOT NULL, turn INTEGER NOT NULL, kind TEXT NOT NULL, message TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS meter (worker TEXT, what TEXT, amount REAL NOT NULL, PRIMARY KEY (worker, what)) WITHOUT ROWID;
"""
BUSY_TRIES = 200  # 10 s
_CALL = "text, finish, tokens_in, tokens_out, cached"


class StoredCall(NamedTuple):
    """A finished call as the ledger tells it; ``seconds`` is ``None`` for engines that are not timed."""

    key: str
    part: str
    turn: int
    completion: Completion
    seconds: float | None


class PartTotals(NamedTuple):
    """What the calls of one part cost."""

    part: str
    calls: int
    seconds: float
    tokens_in: int
    tokens_out: int
    cached: int


class Ledger:
    """Finished calls by key.

    Args:
        path: The SQLite file; it is made when it is not there.
        read_only: Open an existing file without ever writing to it.
        alone: No other process writes it meanwhile, so nothing is shared with one; this also works on a network file system.
    """

    def __init__(self, path: Path, *, read_only: bool = False, alone: bool = False) -> None:
        name = f"file:{path.resolve()}?{'immutable=1' if alone else 'mode=ro'}" if read_only else str(path)
        self._db = sqlite3.connect(name, timeout=60, isolation_level=None, check_same_thread=False, uri=read_only)
        self._worker = f"{os.uname().nodename}:{os.getpid()}"
        if not read_only:
            if alone:
                self._db.execute("PRAGMA locking_mode=EXCLUSIVE")  # before WAL: its index is then kept in this process
            self._write_ahead()
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._db.executescript(_SCHEMA)

    def _write_ahead(self) -> None:
        """Set the journal mode; SQLite does not wait for another process that is just doing the same."""
        for left in range(BUSY_TRIES, -1, -1):
            try:
                self._db.execute("PRAGMA journal_mode=WAL")
                return
            except sqlite3.OperationalError:
                if not left:
                    raise
                time.sleep(0.05)

    def get(self, key: str) -> Completion | None:
        """Return the stored answer of a key, or ``None``.

        Raises:
            EngineError: When the call ended without an answer, as it did then.
        """
        if row := self._db.execute(f"SELECT {_CALL} FROM calls WHERE key = ?", (key,)).fetchone():  # noqa: S608  (a constant)
            return _completion(row)
        if row := self._db.execute("SELECT kind, message FROM failures WHERE key = ?", (key,)).fetchone():
            raise EngineError(row[1], kind=row[0] if row[0] in get_args(Failure) else "error")
        return None

    def put(self, key: str, call: Call, completion: Completion, seconds: float | None = None) -> None:
        """Store an answer; a key that is already there keeps its first one."""
        c = completion
        row = (key, *_where(call), c.text, c.finish, c.tokens_in, c.tokens_out, c.cached, seconds)
        self._db.execute("BEGIN IMMEDIATE")
        try:
            self._db.execute("INSERT OR IGNORE INTO calls VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
            self._count({"calls": 1, "tokens_in": c.tokens_in or 0, "tokens_out": c.tokens_out or 0, "cached": c.cached or 0})
            self._db.execute("COMMIT")
        except BaseException:
            self._db.execute("ROLLBACK")
            raise

    def put_failure(self, key: str, call: Call, error: EngineError) -> None:
        """Store that a call ended without an answer."""
        row = (key, *_where(call), error.kind, error.message)
        self._db.execute("INSERT OR IGNORE INTO failures VALUES (?, ?, ?, ?, ?, ?)", row)

    def count_up(self, amounts: Mapping[str, float]) -> None:
        """Add to this process's totals (retries by kind, seconds by stage, …)."""
        self._db.execute("BEGIN IMMEDIATE")
        self._count(amounts)
        self._db.execute("COMMIT")

    def _count(self, amounts: Mapping[str, float]) -> None:
        rows = [(self._worker, what, amount) for what, amount in amounts.items() if amount]
        self._db.executemany(
            "INSERT INTO meter VALUES (?, ?, ?) ON CONFLICT (worker, what) DO UPDATE SET amount = amount + excluded.amount", rows
        )

    def totals(self) -> dict[str, float]:
        """Return the totals of all processes, by name."""
        return dict(self._db.execute("SELECT what, sum(amount) FROM meter GROUP BY what").fetchall())

    def of(self, blueprint: str) -> Iterator[StoredCall]:
        """Yield the calls made for one blueprint, in the order of its parts and turns."""
        rows = self._db.execute(
            f"SELECT key, part, turn, seconds, {_CALL} FROM calls WHERE blueprint = ? ORDER BY part, turn, key",  # noqa: S608
            (blueprint,),
        )
        for key, part, turn, seconds, *rest in rows:
            yield StoredCall(key, part, turn, _completion(rest), seconds)

    def parts(self) -> list[PartTotals]:
        """Return what the calls of each part cost, added up over the whole file."""
        rows = self._db.execute(
            "SELECT part, count(*), total(seconds), total(tokens_in), total(tokens_out), total(cached) FROM calls GROUP BY part"
        )
        return [PartTotals(part, n, seconds, int(a), int(b), int(c)) for part, n, seconds, a, b, c in rows]

    def repairs(self) -> dict[str, int]:
        """Return, by part, how many answers were asked for again because they could not be used.

        Calls without a blueprint (anchors, plain messages) are left out: all of them stand at the same place.
        """
        turns = "SELECT part, count(*) AS n FROM calls WHERE blueprint <> '' GROUP BY blueprint, part, turn"
        rows = self._db.execute(f"SELECT part, sum(n - 1) FROM ({turns}) GROUP BY part")  # noqa: S608  (a constant)
        return {part: n for part, n in rows if n}

    def count(self) -> int:
        """Return how many answers are stored."""
        return int(self._db.execute("SELECT count(*) FROM calls").fetchone()[0])

    def failed(self) -> dict[str, int]:
        """Return how many calls ended without an answer, by kind."""
        return dict(self._db.execute("SELECT kind, count(*) FROM failures GROUP BY kind").fetchall())

    def take_in(self, path: Path) -> None:
        """Add all that another ledger holds; taken in twice, it counts once."""
        Ledger(path, alone=True).close()  # brings in what a killed process left in its write-ahead file
        self._db.execute("ATTACH ? AS other", (str(path),))
        try:
            self._db.execute("BEGIN IMMEDIATE")
            for verb, table in (("IGNORE", "calls"), ("IGNORE", "failures"), ("REPLACE", "meter")):
                self._db.execute(f"INSERT OR {verb} INTO {table} SELECT * FROM other.{table}")  # noqa: S608  (constants)
            self._db.execute("COMMIT")
        finally:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            self._db.execute("DETACH other")

    def close(self) -> None:
        """Close the file."""
        self._db.close()


def _where(call: Call) -> tuple[str, str, int]:
    brief = call.brief
    return (brief.blueprint.id, call.part, len(brief.history)) if brief else ("", call.part, 0)


def _completion(row: list[object] | tuple[object, ...]) -> Completion:
    text, finish, tokens_in, tokens_out, cached = row
    return Completion.model_validate({"text": text, "finish": finish, "tokens_in": tokens_in, "tokens_out": tokens_out, "cached": cached})
