"""Where in ``data/`` each attempt of a run lies, by the id of its conversation or of its blueprint: ``index.sqlite``.

It is written along with the dataset, derived from it and in no manifest: missing or older than the dataset, it is made again.
"""

from __future__ import annotations

import os
import re
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from pixel_synth.errors import RunError
from pixel_synth.records import Attempt, Conversation

NAME = "index.sqlite"
FILES = {"accepted": "conversations.jsonl", "rejected": "rejected.jsonl", "failed": "failed.jsonl"}
BATCH = 2000  # rows that are written together
_TABLES = """
PRAGMA journal_mode=OFF;
PRAGMA synchronous=OFF;
CREATE TABLE places (id TEXT, blueprint TEXT, slot INTEGER, attempt INTEGER, status TEXT, start INTEGER, size INTEGER,
                     PRIMARY KEY (slot, attempt)) WITHOUT ROWID;
CREATE TABLE files (name TEXT PRIMARY KEY, bytes INTEGER NOT NULL);
"""
_ORDERED = "CREATE INDEX by_id ON places (id); CREATE INDEX by_blueprint ON places (blueprint);"
# What `Attempt` and `Conversation` lines begin with and hold once; inside a string the quotes would be escaped.
_ID = re.compile(rb'\{"id":"([^"]+)"')
_BLUEPRINT = re.compile(rb'"blueprint":\{"id":"([^"]+)","seed":\d+,"slot":(\d+),"attempt":(\d+)')


class Place(NamedTuple):
    """Where an attempt lies: a line of ``size`` bytes, newline included, that begins at byte ``start`` of a file of ``data/``."""

    id: str  # of the conversation; "" for a failed attempt
    blueprint: str
    slot: int
    attempt: int
    status: str
    start: int
    size: int

    @property
    def file(self) -> str:
        """Name of the file in ``data/``."""
        return FILES[self.status]


class Writer:
    """Takes places in any order."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.executescript(_TABLES)
        self._db.execute("BEGIN")
        self._rows: list[Place] = []

    def add(self, place: Place) -> None:
        """Take in one place."""
        self._rows.append(place)
        if len(self._rows) == BATCH:
            self._flush()

    def _flush(self) -> None:
        self._db.executemany("INSERT INTO places VALUES (?, ?, ?, ?, ?, ?, ?)", self._rows)
        self._rows.clear()

    def finish(self, data: Path) -> None:
        """Order the rows, and note how long the files are that they point into."""
        self._flush()
        sizes = [(name, (data / name).stat().st_size) for name in FILES.values()]
        self._db.executemany("INSERT INTO files VALUES (?, ?)", sizes)
        self._db.execute("COMMIT")
        self._db.executescript(_ORDERED)

    def close(self) -> None:
        """Close the file."""
        self._db.close()


@contextmanager
def writing(root: Path) -> Iterator[Writer]:
    """Write the index of a run beside its place and move it there at the end, when the files of ``data/`` are in theirs."""
    path = root / NAME
    partial = path.with_name(f".{NAME}.part")
    partial.unlink(missing_ok=True)
    writer = Writer(partial)
    try:
        yield writer
        writer.finish(root / "data")
        writer.close()
        os.utime(partial)  # made after the files it points into, also by the clock
        os.replace(partial, path)
    finally:
        writer.close()
        partial.unlink(missing_ok=True)


def rebuild(root: Path) -> None:
    """Make the index from the files of ``data/``.

    Raises:
        RunError: For a line that is no attempt of a run, with file and line.
    """
    with writing(root) as writer:
        for status, name in FILES.items():
            start = 0
            with (root / "data" / name).open("rb") as file:
                for number, line in enumerate(file, 1):
                    id, plan = _ID.match(line), _BLUEPRINT.search(line)
                    if plan is None or (id is None and status != "failed"):
                        raise RunError(f"{root / 'data' / name}:{number}: not a record of a run", hint=f"pixel-synth check {root}")
                    blueprint, slot, attempt = plan.groups()
                    named = id[1].decode() if id else ""
                    writer.add(Place(named, blueprint.decode(), int(slot), int(attempt), status, start, len(line)))
                    start += len(line)


class Index:
    """The index of a finished run, made again when it does not fit the files of ``data/``.

    Args:
        root: The run directory.

    Raises:
        RunError: When the run has no dataset yet, or its index can neither be read nor made.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        if missing := [name for name in FILES.values() if not (root / "data" / name).is_file()]:
            raise RunError(f"{root / 'data' / missing[0]} is not there: the run has not ended", hint=f"--resume {root}")
        if why := _stale(root):
            print(f"note: {root / NAME} is {why}; it is made again", file=sys.stderr)
            try:
                rebuild(root)
            except (OSError, sqlite3.Error) as error:
                raise RunError(f"{root / NAME} cannot be written: {error}", hint="copy the run to a folder that can be written") from error
        self._db = _opened(root)

    def find(self, beginning: str) -> list[Place]:
        """Return the attempts whose conversation or blueprint id begins so; only the one whose whole id it is, if there is one."""
        end = beginning + "\U0010ffff"
        query = "SELECT * FROM places WHERE id >= ?1 AND id < ?2 UNION SELECT * FROM places WHERE blueprint >= ?1 AND blueprint < ?2"
        found = [Place(*row) for row in self._db.execute(f"{query} ORDER BY slot, attempt", (beginning, end))]
        return [p for p in found if beginning in (p.id, p.blueprint)] or found

    def of_slot(self, slot: int) -> list[Place]:
        """Return all attempts of a slot, in order."""
        return [Place(*row) for row in self._db.execute("SELECT * FROM places WHERE slot = ? ORDER BY attempt", (slot,))]

    def read(self, place: Place) -> Attempt:
        """Read the one line of an attempt.

        Raises:
            RunError: When something else stands there.
        """
        path = self.root / "data" / place.file
        with path.open("rb") as file:
            file.seek(place.start)
            line = file.read(place.size)
        try:
            if place.status == "failed":
                attempt = Attempt.model_validate_json(line)
            else:
                c = Conversation.model_validate_json(line)
                reason = "; ".join(c.verdict.reasons) if c.verdict else ""
                attempt = Attempt.model_validate({"status": place.status, "blueprint": c.blueprint, "conversation": c, "reason": reason})
        except ValueError as error:
            raise RunError(f"{path}, byte {place.start}: no record of a run: {error}", hint=f"pixel-synth check {self.root}") from error
        if attempt.blueprint.id != place.blueprint:
            raise RunError(f"{path}, byte {place.start}: another record than the index says", hint=f"delete {self.root / NAME}")
        return attempt

    def close(self) -> None:
        """Close the file."""
        self._db.close()


def _opened(root: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{(root / NAME).resolve().as_uri()}?mode=ro", uri=True)


def _stale(root: Path) -> str:
    """Return why the index cannot be used, or ""."""
    path = root / NAME
    if not path.is_file():
        return "not there"
    files = {name: (root / "data" / name).stat() for name in FILES.values()}
    if path.stat().st_mtime_ns < max(stat.st_mtime_ns for stat in files.values()):
        return "older than the dataset"
    db = _opened(root)
    try:
        sizes = dict(db.execute("SELECT name, bytes FROM files").fetchall())
    except sqlite3.DatabaseError:
        return "damaged"
    finally:
        db.close()
    return "" if sizes == {name: stat.st_size for name, stat in files.items()} else "of another dataset"
