"""CSV and TSV with true line numbers; a quote that is never closed costs the row it stands in, not the rest of the file.

The dialect is RFC 4180, read strictly, with the delimiter that splits the header into most columns.
"""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from pixel_synth.standardise.cell import Cell
from pixel_synth.standardise.opening import BOM, KEPT_BYTES, Damage, damages, opened, packing

MAX_RECORD_BYTES = 2**20  # of one row over all its lines; beyond it a quote is taken for unclosed
DELIMITERS = ",\t;|"


class _Unreadable(Exception):
    """A record cannot be read; the message says why."""


class _Lines:
    """Physical lines of a file that can be put back."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = opened(path)
        self._again: deque[bytes] = deque()
        self.number = 0
        self._began = False

    def next(self) -> bytes:
        """Return the next line with its end, at most one byte longer than a record may be, or ``b""`` at the end."""
        if self._again:
            data = self._again.popleft()
        else:
            data = self._file.readline(MAX_RECORD_BYTES + 1)
            if not self._began:
                self._began, data = True, data.removeprefix(BOM)
            if len(data) > MAX_RECORD_BYTES:
                while (rest := self._file.readline(2**16)) and not rest.endswith(b"\n"):
                    pass
        self.number += bool(data)
        return data

    def put_back(self, taken: list[bytes]) -> None:
        """Take lines back, the first of them to be the next."""
        self._again.extendleft(reversed(taken))
        self.number -= len(taken)

    def close(self) -> None:
        self._file.close()


class _Feed:
    """The lines of one record as text, remembered."""

    def __init__(self, source: _Lines) -> None:
        self._source = source
        self.taken: list[bytes] = []
        self._bytes = 0

    def __iter__(self) -> _Feed:
        return self

    def __next__(self) -> str:
        data = self._source.next()
        if not data:
            raise StopIteration
        self.taken.append(data)
        self._bytes += len(data)
        if self._bytes > MAX_RECORD_BYTES:
            what = "over-long line" if len(self.taken) == 1 else "unclosed quote"
            raise _Unreadable(f"{what}: more than {MAX_RECORD_BYTES >> 20} MiB in one row")
        if b"\0" in data:
            raise _Unreadable("NUL byte")
        try:
            return data.decode()
        except UnicodeDecodeError as error:
            where = f"byte 0x{data[error.start]:02x} at column {error.start + 1}"
            raise _Unreadable(f"encoding: {where} of line {self._source.number} is no UTF-8") from error


def read(path: Path) -> Iterator[Cell]:
    """Yield the rows of a table; ``row`` is the line on which a row begins, the header being line 1.

    Raises:
        Damage: When there is no usable header, or where a packed file breaks off.
    """
    csv.field_size_limit(MAX_RECORD_BYTES)
    source = _Lines(path)
    try:
        names, delimiter = _header(source)
        empty = True
        while True:
            feed = _Feed(source)
            first = source.number + 1
            error = ""
            try:
                fields = next(csv.reader(feed, delimiter=delimiter, strict=True))
            except StopIteration:
                if empty:
                    raise Damage("empty table: a header and no rows") from None
                return
            except _Unreadable as wrong:
                fields, error = [], str(wrong)
            except csv.Error as wrong:
                unclosed = len(feed.taken) > 1 or "unexpected end" in str(wrong)
                fields, error = [], f"unclosed quote: {wrong}" if unclosed else f"stray quote: {wrong}"
            if not fields and not error:
                continue  # a blank line
            empty = False
            if not error and len(fields) != len(names):
                error = f"other columns: {len(fields)} fields, the header has {len(names)}"
            if not error:
                yield Cell(first, dict(zip(names, fields, strict=True)))
                continue
            source.put_back(feed.taken[1:])
            yield Cell(first, None, error, feed.taken[0][:KEPT_BYTES].decode(errors="replace").rstrip("\r\n"))
    except damages() as wrong:
        raise Damage(f"damaged {packing(path) or 'file'} after line {source.number}: {wrong}") from wrong
    finally:
        source.close()


def _header(source: _Lines) -> tuple[list[str], str]:
    feed = _Feed(source)
    try:
        while (text := next(feed, "")) and not text.strip():
            feed.taken.clear()
        source.put_back(feed.taken)
        whole = _Feed(source)
        delimiter = max(DELIMITERS, key=lambda d: (text.count(d), -DELIMITERS.index(d)))
        names = next(csv.reader(whole, delimiter=delimiter, strict=True), [])
    except (_Unreadable, csv.Error) as wrong:
        raise Damage(f"unusable header: {wrong}") from wrong
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated or not any(name.strip() for name in names):
        raise Damage(f"unusable header: the column {repeated[0]!r} is there twice" if repeated else "unusable header: no column has a name")
    return names, delimiter
