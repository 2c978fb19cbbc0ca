"""Every clinical claim of the base with the sources that carry it.

A claim is any text of an entry that is not talk.  It rests on the sources of the nearest part that names any
(`Claim`, an indication, a cut-off, a norm), else on those of its entry.  A statistic (a percentage, a ratio) must be in a part
that names its own sources: an entry's list does not say which of them it is from.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from pydantic import BaseModel

from pixel_synth.knowledge.load import Knowledge, Pack
from pixel_synth.knowledge.models import LifeEvent, Occupation, Person

Key = tuple[str | int, ...]
# Fields that hold talk, ids or patterns and claim nothing.
TALK = frozenset(
    "say hear ask asides openers says np place cues markers leads beats reluctance repairs mends intro think think_you pro con fairer "
    "avoids wants steps copes strengths bodies formulation id name source icd10cm language role kind label options".split()
)
MANUAL = frozenset({"criteria", "rules", "specifiers", "severity"})  # what the manual itself lays down
STATISTIC = re.compile(r"\d\s?%|\bper ?cent\b|\b\d+ (?:in|of|out of) (?:every )?\d{2,}\b|\b\d+(?:\.\d+)? per \d")


class Statement(NamedTuple):
    """One claim: where it stands, what it says, and what it rests on (``own``: named for this very statement)."""

    pack: Pack
    key: Key
    where: str
    text: str
    sources: tuple[str, ...]
    own: bool

    @property
    def unsourced(self) -> bool:
        """Whether nothing carries it, or a statistic does not say where it is from."""
        known = [key for key in self.sources if key in self.pack.sources]
        vague = not self.own and len(known) > 1 and not MANUAL & set(self.key)
        return not known or (vague and bool(STATISTIC.search(self.text)))


def statements(knowledge: Knowledge) -> Iterator[Statement]:
    """Yield every claim of the base, in file order.  Events, occupations and persons are talk and claim nothing."""
    for pack in knowledge.packs:
        for i, entry in enumerate(pack.entries):
            if not isinstance(entry, LifeEvent | Occupation | Person):
                for key, text, sources, own in _walk(entry, (), entry.source, False):
                    yield Statement(pack, ("entries", i, *key), ".".join(map(str, (entry.id, *key))), text, sources, own)


def _walk(value: object, at: Key, sources: tuple[str, ...], own: bool) -> Iterator[tuple[Key, str, tuple[str, ...], bool]]:
    if isinstance(value, BaseModel):
        if at and (named := getattr(value, "source", ())):
            sources, own = named, True
        for name in type(value).model_fields:
            if name not in TALK:
                yield from _walk(getattr(value, name), (*at, name), sources, own)
    elif isinstance(value, tuple):
        for i, item in enumerate(value):
            yield from _walk(item, (*at, i), sources, own)
    elif isinstance(value, dict):
        for name, item in value.items():
            yield from _walk(item, (*at, name), sources, own)
    elif isinstance(value, str) and " " in value:
        yield at, value, sources, own
