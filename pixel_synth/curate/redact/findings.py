"""What was taken out of a record, and the way back: `Finding`, `Audit`, `restore`."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from pydantic import Field

from pixel_synth.errors import RecordError
from pixel_synth.jsonl import whole
from pixel_synth.records import Conversation, Record, Redaction

# Findings of these kinds put a whole value back that followed from the others; they are not counted as redactions.
FOLLOWING = frozenset({"mark", "score", "group"})


class Finding(Record):
    """One item that was replaced: ``text`` stood at ``start:end`` of a text of the original, ``replacement`` stands there now.

    ``field`` is a path such as ``messages.content``, ``thought``, ``scenario.history`` or ``reasoning.moves.2.heard``; ``turn`` is the
    index where the field is a list (as messages, marks, groups), else ``None``.  Kinds of `FOLLOWING` hold a whole value as JSON: a mark
    or score whose span moved, a group whose key told a name.
    """

    field: str
    turn: int | None = Field(default=None, ge=0)
    start: int = Field(ge=0)
    end: int = Field(ge=0)
    kind: str
    text: str
    replacement: str


class Audit(Record):
    """One line of the reversible audit: private, never part of what is published."""

    id: str
    finding: Finding


@contextmanager
def audit_file(path: Path) -> Iterator[IO[str]]:
    """Open an audit that only its owner may read (mode 0600) from its first byte on; written whole or not at all."""
    with whole(path) as file:
        os.fchmod(file.fileno(), 0o600)
        yield file


def audit_lines(id: str, found: Sequence[Finding]) -> str:
    """Return the lines of one record, each with its newline."""
    return "".join(Audit(id=id, finding=finding).line() + "\n" for finding in found)


def spliced(text: str, found: Sequence[Finding]) -> str:
    """Return a text with every item replaced; the findings are of this text and apart from each other."""
    parts, at = [], 0
    for f in sorted(found, key=lambda f: f.start):
        parts += [text[at : f.start], f.replacement]
        at = f.end
    return "".join((*parts, text[at:]))


def unspliced(text: str, found: Sequence[Finding]) -> str:
    """Return the text from which `spliced` made this one.

    Raises:
        RecordError: When a replacement does not stand where the findings say.
    """
    parts, at, shift = [], 0, 0
    for f in sorted(found, key=lambda f: f.start):
        start = f.start + shift
        end = start + len(f.replacement)
        if text[start:end] != f.replacement:
            raise RecordError(
                f"{f.field} {f.turn if f.turn is not None else ''}: {f.replacement!r} does not stand at {start}",
                hint="the record was changed after it was redacted, or the audit is another record's",
            )
        parts += [text[at:start], f.text]
        at, shift = end, shift + len(f.replacement) - (f.end - f.start)
    return "".join((*parts, text[at:]))


def counted(found: Sequence[Finding]) -> Counter[str]:
    """Return how many items of each kind were taken out."""
    return Counter(f.kind for f in found if f.kind not in FOLLOWING)


def summed(redactions: Sequence[Redaction], more: Counter[str], sign: int = 1) -> tuple[Redaction, ...]:
    """Return redactions with more counted in (or out), by kind."""
    total = Counter({r.kind: r.count for r in redactions})
    for kind, n in more.items():
        total[kind] += sign * n
    return tuple(Redaction(kind=kind, count=n) for kind, n in sorted(total.items()) if n > 0)


def restore(conversation: Conversation, found: Sequence[Finding]) -> Conversation:
    """Return the record as it was before it was redacted.

    Raises:
        RecordError: When the findings do not fit the record.
    """
    data: dict[str, Any] = conversation.model_dump(mode="json")
    places: dict[tuple[str, int | None], list[Finding]] = defaultdict(list)
    for f in found:
        places[f.field, f.turn].append(f)
    for (field, turn), items in places.items():
        if items[0].kind in FOLLOWING:
            data[field][turn] = _value(items[0].text)
        else:
            put(data, field, turn, unspliced(at(data, field, turn), items))
    data["redactions"] = [r.model_dump() for r in summed(conversation.redactions, counted(found), -1)]
    return Conversation.model_validate(data)


def _value(text: str) -> Any:
    import json

    return json.loads(text)


def _step(data: Any, field: str, turn: int | None) -> tuple[Any, Any]:
    """Return the holder of a text and its key there."""
    parts = field.split(".")
    if turn is not None:
        parts.insert(1, str(turn))
    for part in parts[:-1]:
        data = data[int(part)] if isinstance(data, list) else data[part]
    last = parts[-1]
    return data, int(last) if isinstance(data, list) else last


def at(data: Any, field: str, turn: int | None) -> str:
    """Return the text at a place of a dumped record."""
    holder, key = _step(data, field, turn)
    return str(holder[key])


def put(data: Any, field: str, turn: int | None, text: str) -> None:
    """Set the text at a place of a dumped record."""
    holder, key = _step(data, field, turn)
    holder[key] = text
