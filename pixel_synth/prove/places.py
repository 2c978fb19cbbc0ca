"""Where in the JSONL files of a run an id stands, and what each file's hash was when it was read: ``.audit.sqlite``.

It is derived and in no manifest.  Only files whose size, times or inode are others than they were are read again: the first look-up in a
run reads all of it once, the next ones take milliseconds.
"""

from __future__ import annotations

import hashlib
import re
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, NamedTuple

from pixel_synth.errors import RunError

NAME = ".audit.sqlite"
FOLDERS = ("stages", "private", "data")
BATCH = 5000  # rows that are written together
_TABLES = """
CREATE TABLE IF NOT EXISTS files (name TEXT PRIMARY KEY, stat TEXT NOT NULL, sha256 TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS places (id TEXT, file TEXT, line INTEGER, start INTEGER, size INTEGER);
CREATE INDEX IF NOT EXISTS by_id ON places (id);
CREATE INDEX IF NOT EXISTS by_file ON places (file);
"""
# How the lines begin that hold one id: a record or what is told of one; and a reject, whose quotes inside strings are escaped.
_RECORD, _REJECT = re.compile(rb'\s*\{\s*"id"\s*:\s*"([^"]+)"'), re.compile(rb'"row":\d+,"id":"([^"]+)"')
_PAIR, _ANY = re.compile(rb'"[ab]":"([^"]+)"'), re.compile(rb'"id":"([^"]+)"')


class Place(NamedTuple):
    """A line that tells of an id; ``start`` and ``size`` in bytes."""

    id: str
    file: str
    line: int
    start: int
    size: int


class Places:
    """The index of a run, brought up to date.

    Args:
        run: The run directory.
        progress: Told the bytes read and all bytes that have to be.

    Raises:
        RunError: When it cannot be written.
    """

    def __init__(self, run: Path, progress: Callable[[int, int], None] = lambda done, total: None) -> None:
        self.run = run
        try:
            self._db = sqlite3.connect(run / NAME)
            self._db.executescript(_TABLES)
            self._refresh(progress)
        except sqlite3.DatabaseError as error:
            hint = f"delete it if it is damaged; a run that cannot be written to has to be copied first: {run}"
            raise RunError(f"{run / NAME}: {error}", hint=hint) from error

    def _refresh(self, progress: Callable[[int, int], None]) -> None:
        paths = {p.relative_to(self.run).as_posix(): p for folder in FOLDERS for p in sorted((self.run / folder).rglob("*.jsonl"))}
        known = dict(self._db.execute("SELECT name, stat FROM files").fetchall())
        now = {name: _stat(path) for name, path in paths.items() if path.is_file()}
        fresh = [name for name in now if known.get(name) != now[name]]
        total, done = sum(paths[name].stat().st_size for name in fresh), 0
        with self._db:
            for name in {*fresh, *(known.keys() - now.keys())}:
                self._db.execute("DELETE FROM places WHERE file = ?", (name,))
                self._db.execute("DELETE FROM files WHERE name = ?", (name,))
            for name in fresh:
                digest, rows = hashlib.sha256(), list[Place]()
                with paths[name].open("rb") as file:
                    for place in _places(name, file, digest):
                        rows.append(place)
                        if len(rows) == BATCH:
                            progress(done + place.start, total)
                            self._write(rows)
                self._write(rows)
                done += paths[name].stat().st_size
                progress(done, total)
                self._db.execute("INSERT INTO files VALUES (?, ?, ?)", (name, now[name], digest.hexdigest()))

    def _write(self, rows: list[Place]) -> None:
        self._db.executemany("INSERT INTO places VALUES (?, ?, ?, ?, ?)", rows)
        rows.clear()

    def ids(self, beginning: str, most: int = 20) -> list[str]:
        """Return the ids that begin so, at most a number of them; the one that it is as a whole, if there is one, alone."""
        rows = self._db.execute(
            "SELECT DISTINCT id FROM places WHERE id >= ? AND id < ? ORDER BY id LIMIT ?", (beginning, beginning + "\U0010ffff", most)
        ).fetchall()
        found = [row[0] for row in rows]
        return [beginning] if beginning in found else found

    def of(self, id: str) -> list[Place]:
        """Return every line that tells of an id, by file and line."""
        rows = self._db.execute("SELECT id, file, line, start, size FROM places WHERE id = ? ORDER BY file, line", (id,))
        return [Place(*row) for row in rows]

    def hash(self, name: str) -> str:
        """Return the hash that a file had when it was read; it has not been written to since."""
        return str(self._db.execute("SELECT sha256 FROM files WHERE name = ?", (name,)).fetchone()[0])

    def text(self, place: Place) -> bytes:
        """Return a line."""
        with (self.run / place.file).open("rb") as file:
            file.seek(place.start)
            return file.read(place.size)

    def close(self) -> None:
        """Close the file."""
        self._db.close()


def _stat(path: Path) -> str:
    s = path.stat()
    return f"{s.st_size} {s.st_mtime_ns} {s.st_ctime_ns} {s.st_ino}"


def _places(name: str, file: IO[bytes], digest: hashlib._Hash) -> Iterator[Place]:
    start, clusters = 0, name.endswith("clusters.jsonl")
    for number, line in enumerate(file, 1):
        digest.update(line)
        for id in _ids(line, clusters):
            yield Place(id.decode(errors="replace"), name, number, start, len(line))
        start += len(line)


def _ids(line: bytes, clusters: bool) -> Iterator[bytes]:
    if clusters:
        yield from dict.fromkeys(_ANY.findall(line))
    elif found := _RECORD.match(line):
        yield found[1]
    elif line.startswith(b'{"a":'):
        yield from _PAIR.findall(line)
    elif found := _REJECT.search(line):
        yield found[1]
