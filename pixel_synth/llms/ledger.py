"""The ledger: every finished call, stored under its key, so that no call is ever made twice.

One SQLite file in write-ahead mode, shared by the processes of a run.  Each call is committed by itself: killing any
process at any moment loses at most the calls in flight.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from pixel_synth.llms.engine import Call, Completion, Engine

_SCHEMA = """
CREATE TABLE IF NOT EXISTS calls (
    key TEXT PRIMARY KEY, blueprint TEXT NOT NULL, part TEXT NOT NULL, turn INTEGER NOT NULL,
    text TEXT NOT NULL, finish TEXT NOT NULL, tokens_in INTEGER, tokens_out INTEGER
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS calls_of ON calls (blueprint, part, turn);
"""


class StoredCall(NamedTuple):
    """A finished call as the ledger tells it."""

    key: str
    part: str
    turn: int
    completion: Completion


class Ledger:
    """Finished calls by key."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, timeout=60, isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.executescript(_SCHEMA)

    def get(self, key: str) -> Completion | None:
        """Return the stored completion of a key, or ``None``."""
        row = self._db.execute("SELECT text, finish, tokens_in, tokens_out FROM calls WHERE key = ?", (key,)).fetchone()
        return Completion(text=row[0], finish=row[1], tokens_in=row[2], tokens_out=row[3]) if row else None

    def put(self, key: str, blueprint: str, part: str, turn: int, completion: Completion) -> None:
        """Store a completion; a key that is already there keeps its first answer."""
        c = completion
        row = (key, blueprint, part, turn, c.text, c.finish, c.tokens_in, c.tokens_out)
        self._db.execute("INSERT OR IGNORE INTO calls VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)

    def of(self, blueprint: str) -> Iterator[StoredCall]:
        """Yield the calls made for one blueprint, in the order of its parts and turns."""
        rows = self._db.execute(
            "SELECT key, part, turn, text, finish, tokens_in, tokens_out FROM calls WHERE blueprint = ? ORDER BY part, turn",
            (blueprint,),
        )
        for key, part, turn, text, finish, tokens_in, tokens_out in rows:
            yield StoredCall(key, part, turn, Completion(text=text, finish=finish, tokens_in=tokens_in, tokens_out=tokens_out))

    def count(self) -> int:
        """Return how many calls are stored."""
        return int(self._db.execute("SELECT count(*) FROM calls").fetchone()[0])

    def close(self) -> None:
        """Close the file."""
        self._db.close()


async def ask(call: Call, engine: Engine, ledger: Ledger | None, model: str) -> Completion:
    """Answer one call from the ledger when it is there, else from the engine, storing the answer."""
    key = call.key(model)
    if ledger and (stored := ledger.get(key)):
        return stored
    completion = await engine.complete(call)
    if ledger:
        ledger.put(key, call.brief.blueprint.id, call.brief.part, len(call.brief.history), completion)
    return completion
