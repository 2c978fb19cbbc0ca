"""JSON: one array of records a file, written and read record by record."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import ValidationError

from pixel_synth.errors import RecordError
from pixel_synth.jsonl import whole
from pixel_synth.publish.entries import Entry, Part
from pixel_synth.records import Conversation


def place(out: Path, name: str) -> Path:
    """Return the file of a part."""
    return out / "json" / f"{name}.json"


@contextmanager
def writing(out: Path, part: Part) -> Iterator[Callable[[Entry], object]]:
    """Take the entries of a part."""
    with whole(place(out, part.name)) as file:
        before = "["

        def add(entry: Entry) -> None:
            nonlocal before
            file.write(f"{before}\n{entry.line}")
            before = ","

        yield add
        file.write("\n]\n" if before == "," else "[]\n")


def reading(out: Path, name: str) -> Iterator[Conversation]:
    """Yield the records of a part.

    Raises:
        RecordError: When it is no array of records, naming the first that is none.
    """
    import ijson

    path, number = place(out, name), 0
    with path.open("rb") as file:
        try:
            for item in ijson.items(file, "item", use_float=True):
                number += 1
                yield Conversation.model_validate(item)
        except ijson.JSONError as error:
            raise RecordError(f"{path}: broken after record {number}: {error}", hint="export it again") from error
        except ValidationError as error:
            raise RecordError(f"{path}: record {number}: {error.errors()[0]['msg']}", hint="export it again") from error
