"""A small linear model of urgency: three cumulative logits over words, letter groups, word classes and graded phrases.

P(level >= k | words), k = 1, 2, 3, is a logistic regression of its own (cumulative logits of an ordinal scale; Agresti, 2010) with
one weight per hashed feature (Weinberger et al., 2009), trained by ``calibration/urgency/train.py`` and kept as
eight-bit numbers in ``urgency.json``.  Nothing but the standard library is needed to read it: about a millisecond an utterance.

The labels were written to order with the definition of the levels; no clinician rated them.  The probabilities are calibrated on
that mix of levels (a quarter each), not on how rare emergencies are where the model is used.
"""

from __future__ import annotations

import json
import math
import re
from array import array
from base64 import b64decode
from collections.abc import Iterable, Sequence
from functools import cache, lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Literal, NamedTuple
from zlib import crc32

from pixel_synth.scorers.phrases import concepts
from pixel_synth.scorers.text import stem

BUCKETS = 1 << 14
_TYPED = {
    "u": "you", "ur": "your", "r": "are", "rn": "right now", "gonna": "going to", "gunna": "going to", "finna": "going to",
    "wanna": "want to",
    "tryna": "trying to", "cuz": "because", "cos": "because", "bc": "because", "pls": "please", "plz": "please", "thru": "through",
    "tmrw": "tomorrow", "tmr": "tomorrow", "tn": "tonight", "2nite": "tonight", "tonite": "tonight", "smth": "something",
    "sth": "something",
    "ppl": "people", "abt": "about", "mins": "min", "hrs": "hour", "hr": "hour", "idk": "i dont know", "dunno": "dont know",
    "cannot": "cant",
    "srry": "sorry", "mom": "mum", "mam": "mum", "mama": "mum", "mommy": "mum", "daddy": "dad",
}  # fmt: skip
_NOT = frozenset("not no never dont didnt isnt arent wasnt wont wouldnt cant couldnt havent hasnt without aint nothing nobody".split())
_LONGEST = 4  # words of the longest phrase of a class


class Token(NamedTuple):
    """A normalised word and where it lies in the folded text."""

    word: str
    start: int
    end: int


def tokens(folded: str) -> list[Token]:
    """Return the words without apostrophes, typed short forms written out."""
    return [
        Token(word, m.start(), m.end())
        for m in re.finditer(r"[a-z0-9]+(?:'[a-z]+)*", folded)
        for word in _TYPED.get(m[0].replace("'", ""), m[0].replace("'", "")).split()
    ]


@cache
def _classes() -> dict[str, tuple[str, ...]]:
    table: dict[str, tuple[str, ...]] = {}
    for name, entries in concepts().items():
        for phrase in entries.split():
            key = " ".join(stem(w) for w in phrase.split("_"))
            table[key] = tuple(dict.fromkeys((*table.get(key, ()), name)))
    return table


def classes(stems: Sequence[str]) -> list[tuple[int, str]]:
    """Return (place, class) of every word or phrase that belongs to one, in order; ``not:`` before a class that is negated."""
    table, found = _classes(), []
    for i in range(len(stems)):
        for n in range(min(_LONGEST, len(stems) - i), 0, -1):
            for name in table.get(" ".join(stems[i : i + n]), ()):
                no = n == 1 and any(w in _NOT for w in stems[max(0, i - 3) : i])
                found.append((i, f"not:{name}" if no else name))
    return found


@lru_cache(maxsize=100_000)
def _bucket(feature: str) -> int:
    return crc32(feature.encode()) % BUCKETS


def _letters(word: str) -> Iterable[str]:
    edged = f"<{word}>"
    return (f"c:{edged[i : i + n]}" for n in (3, 4, 5) for i in range(max(0, len(edged) - n + 1)))


def features(found: Sequence[Token], marks: Iterable[str]) -> list[tuple[int, float]]:
    """Return (bucket, value) of an utterance's features.

    Words, pairs, pairs over a gap, letter groups, word classes and graded phrases have a fixed length each, however many there are.

    Args:
        found: Its words.
        marks: Names of the graded phrases in it, from `risk.marks`.
    """
    plain = [t.word for t in found]
    stems = [stem(w) for w in plain]
    groups = (
        {f"w:{s}" for s in stems},
        {f"b:{a} {b}" for a, b in pairwise(["<", *plain, ">"])},
        {f"s:{a} {b}" for a, b in zip(stems, stems[2:], strict=False)},
        {c for w in set(plain) for c in _letters(w)},
        {f"k:{name}" for _, name in classes(stems)},
        {f"m:{mark}" for mark in marks},
    )
    return [(_bucket(f), weight / math.sqrt(len(group))) for group, weight in zip(groups, _SHARES, strict=True) for f in sorted(group)]


# Share of each group of features; of a dozen settings tried in cross-validation on the training files none was clearly better.
_SHARES = (1.0, 0.7, 0.5, 1.0, 1.0, 1.5)


class Model(NamedTuple):
    """The weights: per threshold k an intercept, a scale and one signed byte per bucket."""

    version: str
    intercepts: tuple[float, ...]
    scales: tuple[float, ...]
    weights: tuple[array[int], ...]
    urgent_cut: float  # P(level >= 2) from which at least 95% of the training utterances, left out in turn, are urgent or emergencies


@cache
def model() -> Model:
    """Return the model in ``urgency.json``."""
    data = json.loads(Path(__file__).with_name("urgency.json").read_text(encoding="utf-8"))
    weights = tuple(array("b", b64decode(w)) for w in data["weights"])
    return Model(data["version"], tuple(data["intercepts"]), tuple(data["scales"]), weights, data["urgent_cut"])


def sigmoid(x: float) -> float:
    """Return the logistic function, safe for large |x|."""
    return 1.0 / (1.0 + math.exp(-x)) if x >= 0 else 1.0 - 1.0 / (1.0 + math.exp(x))


def at_least(row: Sequence[tuple[int, float]], m: Model | None = None) -> tuple[float, float, float]:
    """Return P(level >= 1), P(level >= 2), P(level >= 3), made non-increasing."""
    m = m or model()
    q = [sigmoid(b + scale * sum(w[i] * v for i, v in row)) for b, scale, w in zip(m.intercepts, m.scales, m.weights, strict=True)]
    return q[0], min(q[:2]), min(q)


# What a wrong level costs, by true level (rows) and level given (columns).  Too low costs more than too high, and the more the
# higher the true level, since a missed emergency may be a death and an hour of a clinician's time is not; too high is not free, or
# everything would be an emergency and nobody would look (alarm fatigue; Cvach, 2012).  The figures are a judgement, not a measurement.
COST = ((0.0, 0.5, 2.0, 4.0), (0.7, 0.0, 0.5, 1.5), (4.0, 1.0, 0.0, 0.5), (10.0, 5.0, 1.0, 0.0))


def decide(q: tuple[float, float, float], cost: Sequence[Sequence[float]] = COST) -> Literal[0, 1, 2, 3]:
    """Return the level of least expected cost for P(level >= 1, 2, 3)."""
    p = (1 - q[0], q[0] - q[1], q[1] - q[2], q[2])
    expected = [sum(p[true] * cost[true][given] for true in range(4)) for given in range(4)]
    levels: tuple[Literal[0, 1, 2, 3], ...] = (0, 1, 2, 3)
    return levels[expected.index(min(expected))]


# How often the levels occur among utterances sent to a crisis contact (the training files' mix) and among the turns of ordinary
# sessions.  The second is a judgement: most turns of most sessions are routine, and a model that knew only the first would find an
# emergency in every session of twenty turns.
CONTACT = (0.25, 0.19, 0.28, 0.28)
SESSION = (0.90, 0.06, 0.03, 0.01)


# In a session the cut of high precision is "more likely than not" under its own mix of levels: of 200 composed sessions planned without
# risk or with a low one no turn reaches it, of 200 with a moderate or high one 48.
SESSION_CUT = 0.5


def in_session(q: tuple[float, float, float]) -> tuple[float, float, float]:
    """Return P(level >= 1, 2, 3) under the mix of `SESSION` in place of `CONTACT` (Saerens, Latinne & Decaestecker, 2002)."""
    p = (1 - q[0], q[0] - q[1], q[1] - q[2], q[2])
    moved = [share * new / old for share, new, old in zip(p, SESSION, CONTACT, strict=True)]
    total = sum(moved)
    return sum(moved[1:]) / total, sum(moved[2:]) / total, moved[3] / total


def push(word: str, m: Model | None = None) -> float:
    """Return how much one word by itself speaks for an emergency or urgency (sum of its weights, P >= 2 and P >= 3)."""
    m = m or model()
    own = [_bucket(f"w:{stem(word)}"), *(_bucket(f"k:{name}") for _, name in classes([stem(word)]))]
    return sum(m.scales[k] * m.weights[k][i] for k in (1, 2) for i in own)


__all__ = [
    "BUCKETS",
    "COST",
    "SESSION_CUT",
    "Model",
    "Token",
    "at_least",
    "classes",
    "decide",
    "features",
    "in_session",
    "model",
    "push",
    "sigmoid",
    "stem",
    "tokens",
]
