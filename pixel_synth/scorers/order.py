"""The order test: do a conversation's turns stand in the order in which they make sense?

A conversation is held against permutations of its own turns within each role [Barzilay & Lapata, 2008], so that topic, style and
length, which permutations share, do not count.  What is summed over an order is linear: ties of neighbours (`ties`), and where
the moves stand that have a place: how talks open and close [Schegloff & Sacks, 1973], and helping that goes from exploring to
action [Hill, 2014].  The result is the distance of the conversation's own sum from the permutations' mean in their standard
deviations.

`WEIGHTS` are those of a conditional logit, the order among its permutations [McFadden, 1974], fitted by ``benchmarks/fit_order.py``
on rated chats that are not held out, composed sessions and talks written for it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import cache
from itertools import chain, pairwise, permutations
from operator import mul
from typing import NamedTuple

from pixel_synth.draw import Draw
from pixel_synth.scorers.phrases import phrases, says
from pixel_synth.scorers.talk import Talk
from pixel_synth.scorers.text import ramp
from pixel_synth.scorers.ties import ADJACENT, NEXT_BUT_ONE, Told, adjacent, next_but_one, tell, weigh

PERMUTATIONS, LEAST, BUDGET = 100, 24, 6000  # as many as the budget of turns to place allows
PLACED = ("thanks", "suggests", "explores", "plans", "sympathy")  # by place, from -1 (first turn) to 1 (last)
FIRST = ("answers", "problem", "greeting", "thanks")
LAST = ("farewell",)
WEIGHTS: dict[str, float] = {
    "next.stems": 0.42,
    "next.opening_stems": 0.48,
    "next.echo": 0.36,
    "next.echo_pairs": 1.03,
    "next.pronouns": 0.45,
    "next.answer": 0.47,
    "next.closed_agrees": 0.08,
    "next.open_agrees": -0.82,
    "next.said_agrees": 0.52,
    "next.goes_on": 0.95,
    "but_one.stems": 0.1,
    "but_one.pronouns": 0.35,
    "place.thanks": 0.33,
    "place.suggests": 0.17,
    "place.explores": -0.35,
    "place.plans": 0.41,
    "place.sympathy": -0.45,
    "first.answers": -0.75,
    "first.problem": 0.93,
    "first.greeting": 2.76,
    "first.thanks": -0.7,
    "last.farewell": 0.15,
}

_ANAPHOR = phrases("turn.anaphor")
_MOVES = ("thanks", "suggests", "explores", "plans", "sympathy", "problem", "greeting", "farewell")
_SPEAKER = {"suggests": "therapist", "explores": "therapist", "sympathy": "therapist", "plans": "client", "problem": "client"}


def _part(name: str) -> tuple[float, ...]:
    return tuple(w for key, w in WEIGHTS.items() if key.startswith(name + "."))


_NEXT, _BUT_ONE, _PLACED, _FIRST, _LAST = (_part(name) for name in ("next", "but_one", "place", "first", "last"))


def names() -> tuple[str, ...]:
    """Return the names of the features in the order of `Sums.features`."""
    parts = {"next": ADJACENT, "but_one": NEXT_BUT_ONE, "place": PLACED, "first": FIRST, "last": LAST}
    return tuple(f"{part}.{name}" for part, own in parts.items() for name in own)


class Moves(NamedTuple):
    """Which moves a turn makes (0 or 1), as named in `PLACED`, `FIRST` and `LAST`."""

    placed: tuple[float, ...]
    first: tuple[float, ...]
    last: tuple[float, ...]


def moves(told: Told) -> Moves:
    """Find the moves of a turn."""
    text, who = told.turn.text, told.turn.who
    found = {name: float(_SPEAKER.get(name, who) == who and says(f"turn.{name}", text)) for name in _MOVES}
    found["answers"] = float(told.agrees or bool(_ANAPHOR.match(text)))
    return Moves(*(tuple(found[n] for n in own) for own in (PLACED, FIRST, LAST)))


def orders(talk: Talk) -> list[list[int]]:
    """Return orders of the turns in which each role keeps its slots: all where there are few, else a sample seeded by the text."""
    n = len(talk.turns)
    slots = [[i for i, t in enumerate(talk.turns) if t.who == who] for who in ("client", "therapist")]
    if math.prod(math.factorial(min(len(s), 9)) for s in slots) <= PERMUTATIONS:
        chosen = [[*a, *b] for a in permutations(slots[0]) for b in permutations(slots[1])]
    else:
        draw = Draw(*(t.text for t in talk.turns))
        count = max(LEAST, min(PERMUTATIONS, BUDGET // n))
        chosen = [[turn for places in slots for turn in draw.shuffled(places)] for _ in range(count)]
    places = [*slots[0], *slots[1]]
    back = sorted(range(n), key=places.__getitem__)
    return [[order[i] for i in back] for order in chosen]


def _dot(weights: Iterable[float], values: Iterable[float]) -> float:
    return sum(map(mul, weights, values), 0.0)


class Sums:
    """Sums over orders of a talk's turns; each pair of turns is looked at once."""

    def __init__(self, talk: Talk) -> None:
        """Read the turns."""
        self._told = [tell(t) for t in talk.turns]
        self._weights = weigh(self._told)
        self._moves = [moves(t) for t in self._told]
        last = max(1, len(self._told) - 1)
        self._slopes = [2 * k / last - 1 for k in range(len(self._told))]
        self._placed = [_dot(_PLACED, m.placed) for m in self._moves]
        self._first = [_dot(_FIRST, m.first) for m in self._moves]
        self._last = [_dot(_LAST, m.last) for m in self._moves]
        told, weights = self._told, self._weights
        self._tie = cache(lambda a, b: _dot(_NEXT, adjacent(told[a], told[b], weights)))
        self._skip = cache(lambda a, b: _dot(_BUT_ONE, next_but_one(told[a], told[b], weights)))

    def features(self, order: Sequence[int]) -> list[float]:
        """Return the features of an order, as named by `names`."""
        told, last = [self._told[i] for i in order], len(order) - 1
        near = [adjacent(a, b, self._weights) for a, b in pairwise(told)]
        far = [next_but_one(a, b, self._weights) for a, b in zip(told, told[2:], strict=False)] or [(0.0,) * len(NEXT_BUT_ONE)]
        placed = [[v * (2 * k / last - 1) for v in self._moves[i].placed] for k, i in enumerate(order)]
        columns = [[sum(c) for c in zip(*rows, strict=True)] for rows in (near, far, placed)]
        return [*chain(*columns), *self._moves[order[0]].first, *self._moves[order[-1]].last]

    def total(self, order: Sequence[int]) -> float:
        """Return the weighted sum of an order's features."""
        value = self._first[order[0]] + self._last[order[-1]]
        value += sum(map(mul, map(self._placed.__getitem__, order), self._slopes))
        value = sum(map(self._tie, order, order[1:]), value)
        return sum(map(self._skip, order, order[2:]), value)


def deviations(talk: Talk) -> float | None:
    """Return how far the order of the turns stands out, in standard deviations of the permutations' sums.

    About 0 in a shuffled talk.  ``None`` where there are no two orders to compare, 0 where all are worth the same.
    """
    others = orders(talk)
    if len(others) < 2:
        return None
    sums = Sums(talk)
    values = [sums.total(order) for order in others]
    mean = math.fsum(values) / len(values)
    spread = math.sqrt(math.fsum((v - mean) ** 2 for v in values) / len(values))
    return (sums.total(range(len(talk.turns))) - mean) / spread if spread > 1e-9 else 0.0


def alternation(talk: Talk) -> float | None:
    """Return whether speakers take turns as in talks, 0-1; ``None`` with fewer than two turns of a speaker.

    The runs test [Wald & Wolfowitz, 1940]: changes of speaker against their number in a random sequence of as many turns; 0 for
    no more than that, 1 from 1.5 standard deviations more, or from strict alternation in talks too short for that.
    """
    a, b = len(talk.client), len(talk.therapist)
    if min(a, b) < 2:
        return None
    n, pairs = a + b, 2 * a * b
    mean, spread = pairs / n, math.sqrt(pairs * (pairs - n) / (n * n * (n - 1)))
    changes = sum(x.who != y.who for x, y in pairwise(talk.turns))
    most = min(n - 1, 2 * min(a, b))
    return ramp((changes - mean) / spread, 0.0, min(1.5, (most - mean) / spread))
