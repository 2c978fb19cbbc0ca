"""Rows for trainers, as Parquet with a fixed schema: ``messages`` and ``text``, and ``prompt``, ``chosen``, ``rejected`` of preferences.

Thoughts are a column of their own.  Rows of the client's lines have their roles exchanged: they teach a model to be the client.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from pixel_synth.publish.arrow import ParquetFile, read_parquet
from pixel_synth.publish.chat_rows import ChatRow, PreferenceRow, preference
from pixel_synth.publish.entries import Entry, Part


def place(out: Path, name: str) -> Path:
    """Return the file of a part."""
    part = Part(name, Path())
    return out / "chat" / part.config / f"{part.split}.parquet"


def preferences(out: Path, name: str) -> Path:
    """Return the file of a part's preferences, which is there when it has any."""
    prefix = "" if Part(name, Path()).config == "default" else f"{name}-"
    return out / "chat" / "preference" / f"{prefix}{Part(name, Path()).split}.parquet"


@contextmanager
def writing(out: Path, part: Part) -> Iterator[Callable[[Entry], object]]:
    """Take the entries of a part, which need their rows."""
    beside = preferences(out, part.name)
    with ExitStack() as stack:
        rows = stack.enter_context(ParquetFile(place(out, part.name), ChatRow))
        pairs: ParquetFile | None = None

        def add(entry: Entry) -> None:
            nonlocal pairs
            if entry.row:
                rows.add(entry.row)
            pair = preference(entry.record)
            if pair:
                pairs = pairs or stack.enter_context(ParquetFile(beside, PreferenceRow))
                pairs.add(pair)

        yield add
        if pairs is None:
            beside.unlink(missing_ok=True)


def rows(out: Path, name: str) -> Iterator[ChatRow]:
    """Yield the rows of a part.

    Raises:
        RecordError: When it is no Parquet file of such rows.
    """
    return read_parquet(place(out, name), ChatRow)


def pairs(out: Path, name: str) -> Iterator[PreferenceRow]:
    """Yield the preferences of a part, none when it has none.

    Raises:
        RecordError: When it is no Parquet file of such rows.
    """
    path = preferences(out, name)
    return read_parquet(path, PreferenceRow) if path.exists() else iter(())
