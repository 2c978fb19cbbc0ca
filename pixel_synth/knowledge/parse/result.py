"""What a reading gives: typed pieces, what the model still needs, and where every line of the text went."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from pydantic import ValidationError

from pixel_synth.knowledge.models import KINDS
from pixel_synth.knowledge.pieces import Entry

Kind = Literal["disorder", "syndrome", "capacity", "instrument"]
Status = Literal["complete", "draft", "failed"]
Key = tuple[str | int, ...]
READABLE: tuple[Kind, ...] = ("disorder", "syndrome", "capacity", "instrument")
SOURCE_KEY = "own_copy"


class Fault(NamedTuple):
    """Something that keeps an entry from being read: the line (1-based), what is wrong, what to do about it."""

    line: int
    message: str
    remedy: str


class Note(NamedTuple):
    """A reading that a person should look at: the line (1-based) and how it was taken."""

    line: int
    message: str


class Unread(NamedTuple):
    """A line that went into no field: number, its start, and why."""

    line: int
    text: str
    why: str


@dataclass(frozen=True)
class Parsed:
    """One entry as far as the text gives it.

    Attributes:
        kind: Which model it is for.
        name: As in the text's heading.
        line: 1-based line of the heading.
        entry: The keys that were found, as plain data for the pack.
        missing: Keys that the model or a session needs and the text does not give.
        notes: Readings to look at.
        faults: Why it failed; empty unless ``status`` is ``failed``.
    """

    kind: Kind
    name: str
    line: int
    entry: dict[str, Any]
    missing: tuple[str, ...] = ()
    notes: tuple[Note, ...] = ()
    faults: tuple[Fault, ...] = ()

    @property
    def status(self) -> Status:
        """``failed`` with a fault, ``draft`` with something missing, else ``complete``."""
        return "failed" if self.faults else "draft" if self.missing else "complete"

    def model(self) -> Entry:
        """Return the typed entry.

        Raises:
            pydantic.ValidationError: When the entry is not complete.
        """
        return KINDS[self.kind].model_validate(self.entry)


@dataclass
class Reading:
    """An entry while it is read: readers fill it, `finish` turns it into `Parsed`."""

    kind: Kind
    name: str
    line: int
    entry: dict[str, Any] = field(default_factory=dict)
    fields: dict[int, str] = field(default_factory=dict)
    where: dict[Key, int] = field(default_factory=dict)
    why: dict[int, str] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)

    def took(self, lines: Iterable[int], name: str, key: Key = ()) -> None:
        """Book lines as read into a field, and remember where the key's value stands."""
        lines = tuple(lines)
        self.fields.update(dict.fromkeys(lines, name))
        if key and lines:
            self.where[key] = lines[0]

    def passed(self, lines: Iterable[int], why: str) -> None:
        """Book lines as not understood."""
        self.why.update(dict.fromkeys(lines, why))

    def fault(self, line: int, message: str, remedy: str) -> None:
        """Book a fault; the entry fails, reading goes on."""
        self.faults.append(Fault(line, message, remedy))

    def note(self, line: int, message: str) -> None:
        """Book a reading that a person should look at."""
        self.notes.append(Note(line, message))

    def finish(self) -> Parsed:
        """Validate what was found against the model and part what is wrong from what is only missing."""
        try:
            KINDS[self.kind].model_validate(self.entry)
        except ValidationError as error:
            for item in error.errors():
                key = ".".join(map(str, item["loc"])) or self.kind
                if item["type"] == "missing":
                    self.missing.append(key)
                elif item["loc"] or not self.missing:  # whether the whole is consistent shows when nothing is missing
                    self.fault(self._line(item["loc"]), f"{key}: {item['msg']}", _remedy(item["type"]))
        return Parsed(
            self.kind,
            self.name,
            self.line,
            self.entry,
            tuple(dict.fromkeys(self.missing)),
            tuple(sorted(set(self.notes))),
            tuple(sorted(set(self.faults))),
        )

    def _line(self, key: Key) -> int:
        return next((self.where[key[:n]] for n in range(len(key), 0, -1) if key[:n] in self.where), self.line)


def _remedy(type: str) -> str:
    if type == "string_too_long":
        return "shorten the passage, or split it into items or labels of its own"
    if type in ("string_too_short", "too_short"):
        return "write the passage out in the text"
    return "mend the passage in the text; docs/knowledge.md describes every key"


def slug(name: str, limit: int = 60) -> str:
    """Return an id for a name: lower case, words joined by ``_``, at most ``limit`` characters; may be empty."""
    return re.sub(r"[^a-z0-9]+", "_", name.lower().replace("'", "").replace("’", "")).strip("_")[:limit].rstrip("_")
