"""A small linear model of urgency: three cumulative logits over words, letter groups, word classes and graded phrases.

P(level >= k | words), k = 1, 2, 3, is a logistic regression of its own (cumulative logits of an ordinal scale; Agresti, 2010) with
one weight per hashed feature (Weinberger et al., 2009), trained by ``calibration/urgency/train.py`` and kept as
eight-bit numbers in ``urgency.json``.  All features of a group weigh the same, so that weights are added up as whole numbers, which
has one result in any order: about a tenth of a millisecond an utterance.

The labels were written to order with the definition of the levels; no clinician rated them.  The probabilities are calibrated on
that mix of levels (a quarter each), not on how rare emergencies are where the model is used.
"""

from __future__ import annotations

import json
import math
import re
from base64 import b64decode
from collections.abc import Iterable, Sequence
from functools import cache, lru_cache
from itertools import accumulate, chain, starmap, zip_longest
from operator import mul
from pathlib import Path
from typing import Literal, NamedTuple
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from pixel_synth.scorers.phrases import concepts
from pixel_synth.scorers.text import stem

BUCKETS = 1 << 14
Vector = NDArray[np.int64]
_BEFORE: Vector = np.zeros(1, dtype=np.int64)  # before the first key of a letter group
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
_WORD = re.compile(r"[a-z0-9]+(?:'[a-z]+)*")


class Token(NamedTuple):
    """A normalised word and where it lies in the folded text."""

    word: str
    start: int
    end: int


@lru_cache(maxsize=50_000)
def _written(word: str) -> tuple[str, ...]:
    bare = word.replace("'", "")
    return tuple(_TYPED.get(bare, bare).split())


def tokens(folded: str) -> list[Token]:
    """Return the words without apostrophes, typed short forms written out."""
    return [Token(word, m.start(), m.end()) for m in _WORD.finditer(folded) for word in _written(m[0])]


@cache
def _classes() -> dict[str, tuple[str, ...]]:
    table: dict[str, tuple[str, ...]] = {}
    for name, entries in concepts().items():
        for phrase in entries.split():
            key = " ".join(stem(w) for w in phrase.split("_"))
            table[key] = tuple(dict.fromkeys((*table.get(key, ()), name)))
    return table


@cache
def _longest() -> dict[tuple[str, str], int]:
    """Return the two words that longer phrases of a class begin with, and the number of words of their longest phrase."""
    found: dict[tuple[str, str], int] = {}
    for key in map(str.split, _classes()):
        if len(key) > 1:
            found[key[0], key[1]] = max(len(key), found.get((key[0], key[1]), 0))
    return found


def classes(stems: Sequence[str]) -> list[tuple[int, str]]:
    """Return (place, class) of every word or phrase that belongs to one, in order; ``not:`` before a class that is negated."""
    table, longest, found = _classes(), _longest(), []
    for i, pair in enumerate(zip_longest(stems, stems[1:])):
        if pair in longest:
            for n in range(min(longest[pair], len(stems) - i), 1, -1):
                found += [(i, name) for name in table.get(" ".join(stems[i : i + n]), ())]
        if names := table.get(stems[i]):
            no = "not:" if any(w in _NOT for w in stems[max(0, i - 3) : i]) else ""
            found += [(i, no + name) for name in names]
    return found


def _bucket(feature: str) -> int:
    return crc32(feature.encode()) % BUCKETS


@lru_cache(maxsize=50_000)
def _stem_bucket(word: str) -> int:
    return _bucket(f"w:{word}")


@lru_cache(maxsize=20_000)  # windows overlap
def _pair(first: str, second: str) -> int:
    return _bucket(f"b:{first} {second}")


@lru_cache(maxsize=20_000)
def _gap(first: str, third: str) -> int:
    return _bucket(f"s:{first} {third}")


@lru_cache(maxsize=20_000)
def _letters(word: str) -> Vector:
    """Return the letter groups of a word, each as its bytes, which tell it from all others, followed by the bits of its bucket."""
    edged = f"<{word}>"
    found = {edged[i : i + n] for n in (3, 4, 5) for i in range(max(0, len(edged) - n + 1))}
    return np.array([int.from_bytes(group.encode()) * BUCKETS + _bucket(f"c:{group}") for group in found], dtype=np.int64)


class Row(NamedTuple):
    """Features of an utterance: their buckets group by group, where each group starts, and the value that its features have."""

    buckets: Vector
    starts: list[int]
    values: list[float]


class Heard(NamedTuple):
    """What the model takes from a sentence: its words and stems, and the keys of its letter groups."""

    words: list[str]
    stems: list[str]
    letters: Vector


@lru_cache(maxsize=512)  # a sentence stands in several windows
def hear(folded: str) -> Heard:
    """Read a sentence."""
    said = list(chain.from_iterable(map(_written, _WORD.findall(folded))))
    return Heard(said, list(map(stem, said)), _unique([_letters(w) for w in set(said)]))


def _unique(keys: Sequence[Vector]) -> Vector:
    found: Vector = np.sort(np.concatenate([_BEFORE, *keys]))
    new: Vector = found[1:] != found[:-1]
    return found[1:][new]


def features(heard: Sequence[Heard], marks: Iterable[str]) -> Row:
    """Return an utterance's features.

    Words, pairs, pairs over a gap, word classes, graded phrases and letter groups have a fixed length each, however many there are.

    Args:
        heard: Its sentences, from `hear`.
        marks: Names of the graded phrases in it, from `risk.marks`.
    """
    said = [w for sentence in heard for w in sentence.words]
    stems = [w for sentence in heard for w in sentence.stems]
    groups = (
        list(map(_stem_bucket, set(stems))),
        list(starmap(_pair, set(zip(["<", *said], [*said, ">"], strict=True)))),
        list(starmap(_gap, set(zip(stems, stems[2:], strict=False)))),
        [_bucket(f"k:{name}") for name in {name for _, name in classes(stems)}],
        [_bucket(f"m:{mark}") for mark in set(marks)],
    )
    letters = _unique([sentence.letters for sentence in heard]) & (BUCKETS - 1)
    sizes = [*map(len, groups), len(letters)]
    known = [(size, share / math.sqrt(size)) for size, share in zip(sizes, _SHARES, strict=True) if size]
    starts = [0, *accumulate(size for size, _ in known)][:-1]
    return Row(np.concatenate([list(chain.from_iterable(groups)), letters]), starts, [value for _, value in known])


# Share of each group of features; of a dozen settings tried in cross-validation on the training files none was clearly better.
_SHARES = (1.0, 0.7, 0.5, 1.0, 1.5, 1.0)


class Model(NamedTuple):
    """The weights: per threshold k an intercept, a scale and one signed byte per bucket."""

    version: str
    intercepts: tuple[float, ...]
    scales: tuple[float, ...]
    weights: NDArray[np.int32]
    urgent_cut: float  # P(level >= 2) from which at least 95% of the training utterances, left out in turn, are urgent or emergencies


@cache
def model() -> Model:
    """Return the model in ``urgency.json``."""
    data = json.loads(Path(__file__).with_name("urgency.json").read_text(encoding="utf-8"))
    weights = np.array([np.frombuffer(b64decode(w), dtype=np.int8) for w in data["weights"]], dtype=np.int32)
    return Model(data["version"], tuple(data["intercepts"]), tuple(data["scales"]), weights, data["urgent_cut"])


def sigmoid(x: float) -> float:
    """Return the logistic function, safe for large |x|."""
    return 1.0 / (1.0 + math.exp(-x)) if x >= 0 else 1.0 - 1.0 / (1.0 + math.exp(x))


def at_least(row: Row, m: Model | None = None) -> tuple[float, float, float]:
    """Return P(level >= 1), P(level >= 2), P(level >= 3), made non-increasing."""
    m = m or model()
    sums = np.add.reduceat(m.weights[:, row.buckets], row.starts, axis=1).tolist()
    q = [sigmoid(b + scale * sum(map(mul, own, row.values))) for b, scale, own in zip(m.intercepts, m.scales, sums, strict=True)]
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
    return sum(m.scales[k] * float(m.weights[k, i]) for k in (1, 2) for i in own)


__all__ = [
    "BUCKETS",
    "COST",
    "SESSION_CUT",
    "Heard",
    "Model",
    "Row",
    "Token",
    "at_least",
    "classes",
    "decide",
    "features",
    "hear",
    "in_session",
    "model",
    "push",
    "sigmoid",
    "stem",
    "tokens",
]
