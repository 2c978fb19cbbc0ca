"""Rows for trainers, as JSON Lines: ``messages`` and ``text``, and ``prompt``, ``chosen``, ``rejected`` of preferences.

Thoughts are a column of their own.  Rows of the client's lines have their roles exchanged: they teach a model to be the client.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any

from pixel_synth.errors import RecordError
from pixel_synth.jsonl import whole
from pixel_synth.publish.chat_rows import preference
from pixel_synth.publish.entries import Entry, Part


def place(out: Path, name: str) -> Path:
    """Return the file of a part."""
    part = Part(name, Path())
    return out / "chat" / part.config / f"{part.split}.jsonl"


def preferences(out: Path, name: str) -> Path:
    """Return the file of a part's preferences, which is there when it has any."""
    prefix = "" if Part(name, Path()).config == "default" else f"{name}-"
    return out / "chat" / "preference" / f"{prefix}{Part(name, Path()).split}.jsonl"


def columns(entry: Entry) -> dict[str, Any]:
    """Return the row of an entry; ``length`` is its number of tokens, the name under which trainers look for it."""
    counted = {} if entry.tokens is None else {"length": entry.tokens}
    return {**(entry.row or {}), "text": entry.text, **counted}


@contextmanager
def writing(out: Path, part: Part) -> Iterator[Callable[[Entry], object]]:
    """Take the entries of a part."""
    beside = preferences(out, part.name)
    with ExitStack() as stack:
        rows = stack.enter_context(whole(place(out, part.name)))
        pairs: IO[str] | None = None

        def add(entry: Entry) -> None:
            nonlocal pairs
            rows.write(_line(columns(entry)))
            pair = preference(entry.record)
            if pair:
                pairs = pairs or stack.enter_context(whole(beside))
                pairs.write(_line(pair))

        yield add
        if pairs is None:
            beside.unlink(missing_ok=True)


def _line(row: dict[str, Any]) -> str:
    return json.dumps(row, ensure_ascii=False) + "\n"


def rows(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the rows of a file.

    Raises:
        RecordError: At the first line that is no JSON object.
    """
    with path.open(encoding="utf-8", newline="\n") as file:
        for number, line in enumerate(file, 1):
            try:
                found = json.loads(line)
            except ValueError as error:
                raise RecordError(f"{path}:{number}: {error}", hint="export it again") from error
            if not isinstance(found, dict):
                raise RecordError(f"{path}:{number}: no JSON object", hint="export it again")
            yield found
