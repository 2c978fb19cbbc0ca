"""Read records from JSONL (plain or gzip) line by line, in bounded memory; a bad line is told, never skipped silently.

Also what every stage does with files: write one whole, hash it, count its lines.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple

from pydantic import ValidationError

from pixel_synth.errors import RecordError
from pixel_synth.records import Conversation

MAX_LINE_BYTES = 8 * 2**20


@contextmanager
def whole(path: Path) -> Iterator[IO[str]]:
    """Write a text file beside its place and move it there at the end, so that it is whole, the old one, or not there.

    Raises:
        RecordError: When it cannot be written there.
    """
    partial = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = partial.open("w", encoding="utf-8")
    except OSError as error:
        raise RecordError(f"cannot write {path}: {error.strerror}") from error
    try:
        with file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file as it lies there."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def lines_of(path: Path) -> int:
    """Count the lines of a file."""
    with path.open("rb") as file:
        return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))


class Row(NamedTuple):
    """One line: its number, the record or what is wrong with it, and its text when it is wrong."""

    line: int
    record: Conversation | None
    error: str = ""
    text: str = ""


def _open(path: Path) -> IO[bytes]:
    if not path.is_file():
        raise RecordError(f"no file {path}")
    return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")  # type: ignore[return-value]


def read(path: Path) -> Iterator[Row]:
    """Yield every non-empty line as a row.

    Raises:
        RecordError: When the file is not there or is a damaged gzip.
    """
    number = 0
    with _open(path) as file:
        try:
            while line := file.readline(MAX_LINE_BYTES + 1):
                number += 1
                if len(line) > MAX_LINE_BYTES:
                    start = line[:2000].decode(errors="replace")
                    while not line.endswith(b"\n") and line:
                        line = file.readline(MAX_LINE_BYTES)
                    yield Row(number, None, f"line is longer than {MAX_LINE_BYTES >> 20} MiB", start)
                elif line.strip():
                    yield parsed(number, line)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise RecordError(f"{path}: damaged gzip after line {number}: {error}") from error


def parsed(number: int, line: bytes) -> Row:
    """Return a line as a row."""
    try:
        return Row(number, Conversation.model_validate_json(line))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(k) for k in first["loc"])
        return Row(number, None, f"{key + ': ' if key else ''}{first['msg']}", line.decode(errors="replace").rstrip("\n"))


def conversations(path: Path) -> Iterator[Conversation]:
    """Yield the records of a file that must be whole.

    Raises:
        RecordError: At the first bad line, with file and line.
    """
    for row in read(path):
        if row.record is None:
            raise RecordError(f"{path}:{row.line}: {row.error}", hint=f"pixel-synth check {path}")
        yield row.record
