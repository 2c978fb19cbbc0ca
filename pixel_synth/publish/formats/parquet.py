"""Parquet with the schema that the record models give, compressed with zstd."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pixel_synth.publish.arrow import ParquetFile, read_parquet
from pixel_synth.publish.entries import Entry, Part
from pixel_synth.records import Conversation


def place(out: Path, name: str) -> Path:
    """Return the file of a part."""
    return out / "parquet" / f"{name}.parquet"


@contextmanager
def writing(out: Path, part: Part) -> Iterator[Callable[[Entry], object]]:
    """Take the entries of a part."""
    with ParquetFile(place(out, part.name), Conversation) as file:
        yield lambda entry: file.add_line(entry.line)


def reading(out: Path, name: str) -> Iterator[Conversation]:
    """Yield the records of a part.

    Raises:
        RecordError: When it is no Parquet file of records.
    """
    return read_parquet(place(out, name), Conversation)
