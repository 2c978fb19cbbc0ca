"""Open a file by what its first bytes say, unpacked if need be, and read its lines with a cap on every one of them."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

from pixel_synth.jsonl import MAX_LINE_BYTES

HEAD_BYTES = 2**20  # how much is looked at to tell a JSON document from JSON lines
SKIP_BYTES = 2**30  # how much of one overlong line is passed over before the rest of the file is given up
WINDOW_BYTES = 2**27  # largest zstd window that is unpacked: RFC 8878 recommends at least 8 MiB; `zstd --long` uses 128 MiB
PACKED_BYTES = 1024  # of a zstd file that are unpacked at once: 4 of them can stand for 128 KiB (RLE block), so for at most 32 MiB
KEPT_BYTES = 2000  # beginning of a bad line that goes to the rejects
# First bytes: RFC 1952 (gzip), RFC 8878 (zstd), the Parquet and Arrow format pages of the Apache projects, Unicode 16 section 23.8 (marks).
PACKED = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
MAGIC = {b"PAR1": "parquet", b"ARROW1": "arrow", b"\xff\xff\xff\xff": "arrow"}
FOREIGN = {b"\xff\xfe\x00\x00": "UTF-32", b"\x00\x00\xfe\xff": "UTF-32", b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}
OTHERS = {b"PK\x03\x04": "a ZIP archive", b"%PDF": "a PDF", b"SQLite format 3": "an SQLite file", b"\x89PNG": "an image", b"\xfd7zXZ": "xz"}
BOM = b"\xef\xbb\xbf"


class Damage(Exception):
    """The file cannot be read any further; the message says why."""


class Line(NamedTuple):
    """One physical line without its end; ``error`` when it could not be held."""

    number: int
    data: bytes
    error: str = ""


def packing(path: Path) -> str:
    """Return "gzip", "zstd" or "" by the first bytes."""
    with path.open("rb") as file:
        head = file.read(4)
    return next((name for magic, name in PACKED.items() if head.startswith(magic)), "")


def opened(path: Path) -> IO[bytes]:
    """Open a file for reading, unpacked."""
    packed = packing(path)
    if packed == "gzip":
        return gzip.open(path, "rb")  # type: ignore[return-value]
    if packed == "zstd":
        return io.BufferedReader(_Zstd(path.open("rb")))
    return path.open("rb")


class _Zstd(io.RawIOBase):
    """The content of zstd frames; unlike zstandard's own reader it tells when the last frame is not whole."""

    def __init__(self, file: IO[bytes]) -> None:
        import zstandard

        self._unpack = zstandard.ZstdDecompressor(max_window_size=WINDOW_BYTES)
        self._file, self._frame = file, self._unpack.decompressobj()
        self._packed, self._ready, self._inside = b"", memoryview(b""), False

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        self._file.close()
        super().close()

    def readinto(self, into: Any) -> int:
        while not self._ready:
            packed = self._packed or self._file.read(PACKED_BYTES)
            self._packed = b""
            if not packed:
                if self._inside:
                    raise EOFError("the file ends inside a frame")
                return 0
            self._ready = memoryview(self._frame.decompress(packed))
            self._inside = not self._frame.eof
            if self._frame.eof:
                self._packed, self._frame = self._frame.unused_data, self._unpack.decompressobj()
        size = min(len(into), len(self._ready))
        into[:size] = self._ready[:size]
        self._ready = self._ready[size:]
        return size


def damages() -> tuple[type[Exception], ...]:
    """Return what reading a damaged packed file raises."""
    import zstandard

    return (EOFError, zlib.error, gzip.BadGzipFile, zstandard.ZstdError, OSError)


def head(path: Path) -> bytes:
    """Return the first bytes of a file, unpacked; fewer where it is damaged.

    Raises:
        Damage: When not even the first byte can be unpacked.
    """
    found = b""
    try:
        with opened(path) as file:
            while len(found) < HEAD_BYTES and (more := file.read1(2**14)):  # type: ignore[attr-defined]
                found += more
    except damages() as error:
        if not found:
            raise Damage(f"damaged {packing(path) or 'file'} at its beginning: {error}") from error
    return found


def form(path: Path) -> str:
    """Tell what a file is from its bytes: "lines", "document", "table", "parquet" or "arrow"; the name decides only between texts.

    Raises:
        Damage: When it is none of these; the message says what it is.
    """
    start = head(path)
    if not start.strip(b"\x00 \t\r\n"):
        raise Damage("empty file" if not start.strip() else "NUL bytes and nothing else")
    for magic, name in MAGIC.items():
        if start.startswith(magic):
            return name
    for magic, name in FOREIGN.items():
        if start.startswith(magic):
            raise Damage(f"encoding: {name} (it has that byte order mark); save it as UTF-8")
    for magic, name in OTHERS.items():
        if start.startswith(magic):
            raise Damage(f"no known format: this is {name}")
    names = {s.lower() for s in path.suffixes[-2:]}
    return text_form(start.removeprefix(BOM), names)


def text_form(start: bytes, names: set[str]) -> str:
    """Tell JSON lines, a JSON document and a table apart by the beginning of the text."""
    first, newline, rest = start.lstrip().partition(b"\n")
    first = first.strip()
    if first.startswith(b"[") and not first.startswith((b"[INST", b"[inst")):
        return "document"
    if first.startswith(b"{"):
        lines = names & {".jsonl", ".ndjson"}
        if first == b"{" or (not newline and not lines):
            return "document"
        return "lines" if lines or (rest.strip() and first.endswith(b"}")) else "document"
    if names & {".jsonl", ".ndjson"}:
        return "lines"
    if names & {".csv", ".tsv"} or any(mark in first for mark in (b",", b"\t", b";", b"|")):
        return "table"
    raise Damage("no known format: it begins as neither JSON nor a table with a header")


def lines(path: Path) -> Iterator[Line]:
    """Yield every line that is not blank; no more than one of at most 8 MiB is held at a time.

    Raises:
        Damage: Where the packed stream breaks off, after the lines before it.
    """
    number = 0
    try:
        with opened(path) as file:
            while data := file.readline(MAX_LINE_BYTES + 1):
                number += 1
                if number == 1:
                    data = data.removeprefix(BOM)
                if len(data) > MAX_LINE_BYTES:
                    start = data[:KEPT_BYTES]
                    del data
                    _skip(file, number)
                    yield Line(number, start, f"over-long line: more than {MAX_LINE_BYTES >> 20} MiB")
                elif not data.isspace() and data:
                    yield Line(number, data.rstrip(b"\r\n"))
    except damages() as error:
        raise Damage(f"damaged {packing(path) or 'file'} after line {number}: {error}") from error


def _skip(file: IO[bytes], number: int) -> None:
    passed = 0
    while data := file.readline(2**16):
        passed += len(data)
        if data.endswith(b"\n"):
            return
        if passed > SKIP_BYTES:
            raise Damage(f"over-long line: line {number} has more than {SKIP_BYTES >> 30} GiB; what follows it was not read")
