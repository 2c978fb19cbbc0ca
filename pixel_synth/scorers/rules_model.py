"""A small linear model of what a helper must not say: per rule a logistic regression over words, pairs, letter groups and classes.

It reads up to three sentences on end, as long as the lines it was trained on.  A feature's weights for all rules lie in one hashed
bucket (Weinberger et al., 2009), so a word's share is worked out once and kept; a sentence costs a few additions.  Trained by
``calibration/rules/train.py`` on lines written to order with the rules' definitions (no clinician rated them), kept as eight-bit
numbers in ``rules.json``.

A rule counts as broken from the rule's cut on, which is set on lines that the model has not seen: at least .97 of what lies above is
a breach of it, and next to none of thousands of runs of sentences of composed sessions and real answers.  A false alarm rejects a
good record, a miss lets harm into the data; but a session has thirty runs of sentences, so one false alarm in a hundred runs would
reject every fourth good session, and phrases and judges look at the same turns.  Where that leaves a rule fewer than one breach in
twenty its cut is out of reach and the phrases stand alone.

`near` is the model's other use: phrases are looked for only where it does not hold a sentence to be far from the rule, which
spares most of their time.
"""

from __future__ import annotations

import json
import math
import re
from base64 import b64decode
from functools import cache, lru_cache
from itertools import pairwise, starmap
from pathlib import Path
from typing import NamedTuple
from zlib import crc32, decompress

import numpy as np
from numpy.typing import NDArray

from pixel_synth.records import Evidence
from pixel_synth.scorers.lexicon import word_set
from pixel_synth.scorers.talk import Turn, span
from pixel_synth.scorers.text import stem

RULES = (
    "cl.no_diagnosis", "cl.no_dosage", "cl.no_guarantee", "cl.no_harm", "cl.no_dual", "cl.no_secrecy", "cl.boundaries", "cl.no_dismissal",
)  # fmt: skip
BUCKETS = 1 << 14
SENTENCES = 3
CLASSES = (
    "self", "client", "third", "both", "advice", "will", "sure", "hedge", "tell", "others", "professional", "medicine",
    "amount", "stopping", "taking", "disorder", "diagnos", "meet", "home", "contact", "gift", "friend", "always", "only", "secret",
    "limit", "harm", "food", "drink", "drive", "approving", "belittling", "outcome", "time", "service", "asking", "safe", "negation_word",
)  # fmt: skip
_WORD = re.compile("[a-z0-9]+")
FAR = -3.25  # below it lie two of the 290 phrases that are found in the training lines
_PAIR = 0.7  # what a pair of words counts against a word; of a few settings tried in cross-validation none was clearly better
Rules = NDArray[np.float64]  # a number per rule


class Model(NamedTuple):
    """The weights: per rule an intercept, a scale, a cut of the logit, and one signed byte per bucket."""

    version: str
    intercepts: Rules
    cuts: tuple[float, ...]
    scales: Rules
    weights: Rules


@cache
def model() -> Model:
    """Return the model in ``rules.json``."""
    data = json.loads(Path(__file__).with_name("rules.json").read_text(encoding="utf-8"))
    weights = np.array([np.frombuffer(decompress(b64decode(w)), dtype=np.int8) for w in data["weights"]], dtype=np.float64)
    return Model(data["version"], np.array(data["intercepts"]), tuple(data["cuts"]), np.array(data["scales"]), weights)


@cache
def _classes() -> dict[str, tuple[str, ...]]:
    table: dict[str, list[str]] = {}
    for name in CLASSES:
        for word in word_set(f"helper.{name}"):
            own = table.setdefault(stem(word), [])
            own += [name] * (name not in own)
    return {word: tuple(names) for word, names in table.items()}


def _bucket(feature: str) -> int:
    return crc32(feature.encode()) % BUCKETS


def of_word(word: str) -> list[tuple[int, float]]:
    """Return (bucket, value) of a word: itself, its classes, its groups of three to five letters."""
    edged = f"<{word}>"
    letters = [edged[i : i + n] for n in (3, 4, 5) for i in range(max(0, len(edged) - n + 1))]
    base = stem(word)
    found = [(_bucket(f"w:{base}"), 1.0), *((_bucket(f"k:{name}"), 1.0) for name in _classes().get(base, ()))]
    return found + [(_bucket(f"c:{group}"), 1.0 / math.sqrt(len(letters))) for group in letters]


def of_pair(first: str, second: str) -> list[tuple[int, float]]:
    """Return (bucket, value) of two words that follow each other."""
    return [(_pair(stem(first), stem(second)), _PAIR)]


@lru_cache(maxsize=20_000)
def _pair(first: str, second: str) -> int:
    return _bucket(f"b:{first} {second}")


def tokens(sentence: str) -> list[str]:
    """Return the words of a folded sentence, with how it begins and ends."""
    return ["<", *_WORD.findall(sentence.replace("'", "")), "?" if sentence.endswith("?") else "."]


@lru_cache(maxsize=50_000)
def _word(word: str) -> Rules:
    buckets, values = zip(*of_word(word), strict=True)
    return np.array([math.fsum(row) for row in model().weights[:, buckets] * np.array(values)])


@lru_cache(maxsize=4096)
def _sentence(sentence: str) -> tuple[int, Rules]:
    """Return a sentence's number of words and its sum of weights per rule."""
    found = tokens(sentence)
    pairs = list(starmap(_pair, pairwise(map(stem, found))))
    return len(found) - 2, sum(map(_word, found[1:-1]), _PAIR * model().weights[:, pairs].sum(axis=1))


def logits(sentences: list[str]) -> list[float]:
    """Return per rule the logit that these sentences (folded, one after the other) break it."""
    parts = [_sentence(s) for s in sentences]
    n = math.sqrt(max(1, sum(count for count, _ in parts)))
    m = model()
    found: list[float] = (m.intercepts + m.scales * sum(v for _, v in parts) / n).tolist()
    return found


@lru_cache(maxsize=4096)
def near(sentence: str) -> frozenset[str]:
    """Return the rules that a sentence is not far from; only for these its phrases are worth a look."""
    return frozenset(rule for rule, logit in zip(RULES, logits([sentence]), strict=True) if logit >= FAR)


def broken(turn: Turn) -> list[Evidence]:
    """Return for every rule that the model finds broken in the turn the sentence that speaks most for it."""
    found: dict[str, Evidence] = {}
    sentences = turn.sentences
    for i in range(max(1, len(sentences) - SENTENCES + 1) if sentences else 0):
        window = sentences[i : i + SENTENCES]
        for k, logit in enumerate(logits([s.text for s in window])):
            if logit >= model().cuts[k] and RULES[k] not in found:
                most = max(window, key=lambda s: _sentence(s.text)[1][k])
                found[RULES[k]] = span(turn, most.start, most.start + len(most.text), RULES[k])
    return list(found.values())
