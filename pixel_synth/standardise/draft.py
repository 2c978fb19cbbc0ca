"""What a shape makes of a row: who says what, before roles are mapped and anything is cleaned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pixel_synth.records import Kind

Row = Mapping[str, Any]


class Turn(NamedTuple):
    """One turn as the source has it: its name of the speaker, and the words."""

    who: str
    text: str


class Draft(NamedTuple):
    """A row as its shape reads it.

    ``questions`` are texts by which answers to the same question belong together (with its title and without), ``kind`` is what the
    shape alone says the record is.
    """

    turns: Sequence[Turn]
    thought: str = ""
    dispreferred: Sequence[Turn] = ()
    questions: tuple[str, ...] = ()
    kind: Kind = ""
    repairs: tuple[str, ...] = ()


class Unfit(Exception):
    """A row does not have the shape; the message begins with the kind of reason, up to a colon."""


def text(row: Row, name: str, default: str | None = None) -> str:
    """Return the text under our name; a missing or null one gives the default.

    Raises:
        Unfit: When it is missing and there is no default, or is no text.
    """
    value = row.get(name)
    if value is None:
        if default is None:
            raise Unfit(f"no {name}: the row has no such column, or it is null")
        return default
    if not isinstance(value, str):
        raise Unfit(f"not text: {name} is {type(value).__name__}")
    return value


def exchange(question: str, answer: str, system: str = "") -> list[Turn]:
    """Return the turns of one question with its answer."""
    first = [Turn("system", system)] if system.strip() else []
    return [*first, Turn("user", question), Turn("assistant", answer)]


def turns(value: Any, who: str, what: str) -> list[Turn]:
    """Return the turns of a list of objects, one of whose keys names the speaker and another holds the words.

    Raises:
        Unfit: When it is no such list, or calls a tool or shows a picture.
    """
    if not isinstance(value, (list, tuple)) or not value:
        raise Unfit(f"no turns: {type(value).__name__} in place of a list of objects")
    found = []
    for number, member in enumerate(value, 1):
        if not isinstance(member, Mapping):
            raise Unfit(f"mixed types: turn {number} is {type(member).__name__}, not an object")
        if who not in member or what not in member:
            raise Unfit(f"no turns: turn {number} has no {who if who not in member else what!r}")
        found.append(Turn(str(member[who]), _words(member[what], number)))
    return found


def _words(value: Any, number: int) -> str:
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, list) and all(isinstance(p, Mapping) for p in value):
        if other := next((p.get("type") for p in value if p.get("type") != "text"), None):
            raise Unfit(f"not text: turn {number} holds {other}")
        return "\n".join(str(p.get("text", "")) for p in value)
    raise Unfit(f"mixed types: the words of turn {number} are {type(value).__name__}")
