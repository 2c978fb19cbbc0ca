"""JSON Lines: one record a line, copied as it is, so that the hash of a certified split stays what it was."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pixel_synth.jsonl import conversations, whole
from pixel_synth.publish.entries import Entry, Part
from pixel_synth.records import Conversation


def place(out: Path, name: str) -> Path:
    """Return the file of a part."""
    return out / f"{name}.jsonl"


@contextmanager
def writing(out: Path, part: Part) -> Iterator[Callable[[Entry], object]]:
    """Take the entries of a part; a file that is read is left as it is."""
    path = place(out, part.name)
    if path.exists() and path.samefile(part.source):
        yield lambda entry: None
        return
    with whole(path) as file:
        yield lambda entry: file.write(entry.raw + "\n")


def reading(out: Path, name: str) -> Iterator[Conversation]:
    """Yield the records of a part.

    Raises:
        RecordError: At the first bad line.
    """
    return conversations(place(out, name))
