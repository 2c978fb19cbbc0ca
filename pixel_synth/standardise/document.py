"""JSON documents as a stream: an array of objects, an object that holds such arrays, an object of columns, or one row.

A document that breaks in its middle cannot be taken up again behind the break (JSON lines can): the rows before it stay.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from itertools import zip_longest
from pathlib import Path
from typing import IO, Any, NamedTuple

from pixel_synth.jsonl import MAX_LINE_BYTES
from pixel_synth.standardise.cell import Cell
from pixel_synth.standardise.opening import BOM, Damage, damages, opened, packing

MAX_DEPTH = 200  # as pydantic's JSON parser, which reads the lines
BUFFER_BYTES = 2**16
# Keys under which one row keeps its turns: a document of one such object is that row, not an array of rows.
TURNS = frozenset({"messages", "conversation", "conversations", "dialog", "dialogue", "utterances", "turns", "chosen", "rejected"})
Event = tuple[str, Any]


class Member(NamedTuple):
    """One member of an array at the top of a document or under one of its keys, or the object under a key."""

    key: str
    value: Any
    error: str


class _Watched:
    """A file that refuses to go on inside one string, number or blank longer than a line may be; ijson would hold it whole."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self._run, self._began = file, 0, False

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        if data and not self._began:
            self._began, data = True, data.removeprefix(BOM)
        quote = data.rfind(b'"')
        self._run = self._run + len(data) if quote < 0 else len(data) - quote - 1
        if self._run > MAX_LINE_BYTES:
            raise Damage(f"over-long value: more than {MAX_LINE_BYTES >> 20} MiB; what follows it was not read")
        return data


def read(path: Path) -> Iterator[Cell]:
    """Yield the rows of a document; ``row`` counts its objects from 1.

    Raises:
        Damage: Where the document is malformed or breaks off.
    """
    outline = _outline(path)
    if outline == {"": "rows"} or any(kind == "rows" and key not in TURNS for key, kind in outline.items()):
        found = _members(path)
    elif outline and set(outline.values()) == {"values"}:
        found = _columns(path, list(outline))
    elif outline and set(outline.values()) == {"object"}:
        found = _members(path)
    else:
        found = _members(path, whole=True)
    for number, member in enumerate(found, 1):
        if not member.error and isinstance(member.value, dict):
            yield Cell(number, member.value)
        else:
            yield Cell(number, None, member.error or f"not an object: {type(member.value).__name__}", repr(member.value)[:200])


def _events(path: Path) -> Iterator[Event]:
    import ijson

    with opened(path) as file:
        try:
            yield from ijson.basic_parse(_Watched(file), use_float=True, buf_size=BUFFER_BYTES)
        except ijson.JSONError as error:
            raise Damage(f"malformed JSON: {str(error).splitlines()[0]}") from error
        except damages() as error:
            raise Damage(f"damaged {packing(path) or 'file'}: {error}") from error


def _outline(path: Path) -> dict[str, str]:
    """Return what each key of the document holds: "rows" (an array of objects), "values" (another array), "object" or "one".

    An array at the top is under the key "".  The document is read no further than to the first array of rows.
    """
    outline: dict[str, str] = {}
    depth, key = 0, ""
    for event, value in _events(path):
        if event == "map_key" and depth == 1:
            key = value
            outline[key] = "one"
        elif event in ("start_map", "start_array"):
            if depth == 0 and event == "start_array":
                return {"": "rows"}
            if depth == 1:
                outline[key] = "object" if event == "start_map" else "values"
            elif depth == 2 and event == "start_map" and outline[key] == "values":
                outline[key] = "rows"
                if key not in TURNS:
                    return outline
            depth += 1
        elif event in ("end_map", "end_array"):
            depth -= 1
    return outline


def _members(path: Path, only: str | None = None, *, whole: bool = False) -> Iterator[Member]:
    """Yield the members of all arrays (or of one key's), the objects under keys, or with ``whole`` the document as one."""
    events = _events(path)
    first = next(events)
    if whole:
        yield Member("", *_build(first, events))
        return
    array, key = first[0] == "start_array", ""
    for event in events:
        if event[0] == "end_array":
            array = first[0] == "start_array"
        elif array:
            value, error = _build(event, events)
            if only is None or key == only:
                yield Member(key, value, error)
        elif event[0] == "map_key":
            key = event[1]
        elif event[0] == "start_array":
            array = True
        elif event[0] == "start_map":
            value, error = _build(event, events)
            if only is None:
                yield Member(key, value, error)


def _columns(path: Path, keys: list[str]) -> Iterator[Member]:
    """Yield the rows of an object of columns, all columns read side by side."""
    with ExitStack() as stack:
        columns = [_members(path, key) for key in keys]
        for column in columns:
            stack.callback(column.close)  # type: ignore[attr-defined]
        for cells in zip_longest(*columns):
            error = next((c.error for c in cells if c and c.error), "")
            short = [key for key, c in zip(keys, cells, strict=True) if c is None]
            if short and not error:
                error = f"other columns: {short[0]!r} is shorter than others"
            yield Member("", {key: c.value for key, c in zip(keys, cells, strict=True) if c}, error)


def _build(event: Event, events: Iterator[Event]) -> tuple[Any, str]:
    """Return the value that begins with an event, or what is wrong with it; the stream is left behind the value either way."""
    stack: list[Any] = []
    keys: list[str] = []
    depth, size, error, top = 0, 0, "", None
    while True:
        kind, value = event
        if kind in ("end_map", "end_array"):
            depth -= 1
            if not error:
                stack.pop()
                keys.pop()
        elif kind == "map_key":
            if not error and value in stack[-1]:
                error = f"repeated key: {value!r}"
            elif not error:
                keys[-1] = value
        else:
            opens = kind in ("start_map", "start_array")
            size += len(value) if isinstance(value, str) else 16
            if not error and depth >= MAX_DEPTH:
                error = "nested too deep"
            if not error and size > MAX_LINE_BYTES:
                error = f"over-long row: more than {MAX_LINE_BYTES >> 20} MiB"
            if not error:
                made: Any = {} if kind == "start_map" else [] if kind == "start_array" else value
                if not stack:
                    top = made
                elif isinstance(stack[-1], dict):
                    stack[-1][keys[-1]] = made
                else:
                    stack[-1].append(made)
                if opens:
                    stack.append(made)
                    keys.append("")
            depth += opens
        if depth == 0:
            return (None, error) if error else (top, "")
        event = next(events)
