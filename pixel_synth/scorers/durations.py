"""Durations in talk ("four months", "a year and a half", "6 weeks") as days."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

NUMBERS = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    *("eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty"),
)
_COUNTS = {w: float(i) for i, w in enumerate(NUMBERS)} | {
    "a": 1.0, "an": 1.0, "a single": 1.0, "half a": 0.5, "half an": 0.5, "a couple of": 2.0, "a couple": 2.0, "couple of": 2.0,
    "one and a half": 1.5, "two and a half": 2.5, "three and a half": 3.5, "a dozen": 12.0, "thirty": 30.0, "forty": 40.0,
    "fifty": 50.0, "sixty": 60.0, "ninety": 90.0,
}  # fmt: skip
_UNITS = {"hour": 1 / 24, "day": 1.0, "night": 1.0, "week": 7.0, "fortnight": 14.0, "month": 30.4, "year": 365.25, "decade": 3652.5}
_PATTERN = re.compile(
    rf"(?<![\w'])(\d+(?:\.\d+)?|{'|'.join(sorted(map(re.escape, _COUNTS), key=len, reverse=True))})"
    rf"(?:[ -](?:full|whole|long|solid|good))?[ -]({'|'.join(_UNITS)})s?\b( and a half)?"
    r"(?! (?:old|a (?:week|day|month|year)|per|pregnant|later|out of))(?!-old)"
)
_RATE = re.compile(r"\b(?:once|twice|times|\d|hours|days|nights|every|drinks?|day|hour) $")
_ONSET = re.compile(r"\b(?:for|since|started|began|going on|been|lasted|ago|almost|nearly|about|over|around|past|last)\b")


class Stated(NamedTuple):
    """A duration somebody states: where, and how many days."""

    start: int
    end: int
    days: float


@lru_cache(maxsize=1024)
def durations(folded: str) -> tuple[Stated, ...]:
    """Return the durations of a week or more, or those that the words around mark as a time since; frequencies are not."""
    found = []
    for m in _PATTERN.finditer(folded):
        count = float(m[1]) if m[1][0].isdigit() else _COUNTS[m[1]]
        if m[1] in ("a", "an") and _RATE.search(folded[max(0, m.start() - 9) : m.start()]):
            continue
        days = (count + (0.5 if m[3] else 0.0)) * _UNITS[m[2]]
        around = folded[max(0, m.start() - 30) : m.end() + 12]
        if days >= 7 or _ONSET.search(around):
            found.append(Stated(m.start(), m.end(), days))
    return tuple(found)
