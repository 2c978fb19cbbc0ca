"""What ties a turn to the one before it: shared words, answers to questions, agreement; read once per turn (`Told`).

Sources: shared content words as lexical cohesion [Halliday & Hasan, 1976; Foltz, Kintsch & Landauer, 1998, with stems in place
of LSA]; weights by inverse document frequency [Spärck Jones, 1972]; answers to questions and agreement as adjacency pairs
[Schegloff & Sacks, 1973; Stolcke et al., 2000]; echoed words and word pairs as alignment [Pickering & Garrod, 2004]; pronouns in
common as a coreference chain [Grosz, Joshi & Weinstein, 1995]; continuation after a back-channel [Yngve, 1970].
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import lru_cache
from itertools import chain, pairwise
from typing import NamedTuple

from pixel_synth.scorers.lexicon import rarity
from pixel_synth.scorers.phrases import phrases
from pixel_synth.scorers.talk import Turn
from pixel_synth.scorers.text import QuestionKind, content, question_kind, stem, words

# Features of a turn right after another, and of a turn and its neighbour but one (mostly its speaker's turn before).
ADJACENT = ("stems", "opening_stems", "echo", "echo_pairs", "pronouns", "answer", "closed_agrees", "open_agrees", "said_agrees", "goes_on")
NEXT_BUT_ONE = ("stems", "pronouns")

_YES_NO = phrases("turn.yes_no")
_QUANTITY = phrases("turn.quantity")
_AGREES = phrases("turn.agrees")
_BACKCHANNEL = phrases("turn.backchannel")
_CONTINUES = phrases("turn.continues")
_PERSONS = {"i": "you", "me": "you", "my": "your", "mine": "yours", "am": "are", "was": "were", "i'm": "you're", "i've": "you've"} | {
    "i'd": "you'd", "i'll": "you'll", "myself": "yourself", "don't": "do", "didn't": "did", "doesn't": "do", "does": "do",
    "isn't": "is", "wasn't": "were", "can't": "can", "couldn't": "could", "wouldn't": "would", "haven't": "have",
}  # fmt: skip
_PRONOUNS = {"he": "he", "him": "he", "his": "he", "she": "she", "her": "she", "hers": "she"} | {
    "they": "they", "them": "they", "their": "they", "theirs": "they",
}  # fmt: skip


class Told(NamedTuple):
    """A turn as the ties need it: its words, its first sentence and its last two, and what kind of move it is."""

    turn: Turn
    pronouns: frozenset[str]
    opening: frozenset[str]  # words of the first sentence
    opening_stems: frozenset[str]
    opening_pairs: frozenset[tuple[str, str]]
    closing: frozenset[str]  # words of the last two sentences
    closing_pairs: frozenset[tuple[str, str]]
    asks: QuestionKind
    question: str
    agrees: bool
    backchannel: bool
    continues: bool


class Weights(NamedTuple):
    """How much a shared stem or word of this conversation weighs."""

    stems: Mapping[str, float]
    words: Mapping[str, float]


def _pairs(said: Iterable[list[str]]) -> frozenset[tuple[str, str]]:
    return frozenset(chain.from_iterable(pairwise([_PERSONS.get(w, w) for w in line]) for line in said))


def tell(turn: Turn) -> Told:
    """Read a turn for its ties."""
    asked = next((s.text for s in reversed(turn.sentences[-2:]) if question_kind(s.text)), "")
    first, last = ([words(s.text) for s in spans] for spans in (turn.sentences[:1], turn.sentences[-2:]))
    return Told(
        turn,
        frozenset(_PRONOUNS[w] for w in turn.words if w in _PRONOUNS),
        frozenset(chain.from_iterable(first)),
        frozenset(content(chain.from_iterable(first))),
        _pairs(first),
        frozenset(chain.from_iterable(last)),
        _pairs(last),
        question_kind(asked) if asked else "",
        asked,
        bool(_AGREES.match(turn.text)),
        not asked and len(turn.words) <= 5 and bool(_BACKCHANNEL.match(turn.text)),
        bool(_CONTINUES.match(turn.text)),
    )


def weigh(told: Iterable[Told]) -> Weights:
    """Weigh stems by their rarity in this conversation and elsewhere (`rarity`), words by that in this conversation."""
    turns = [t.turn for t in told]
    stems = Counter(chain.from_iterable(t.stems for t in turns))
    said = Counter(chain.from_iterable(set(t.words) for t in turns))
    n = len(turns) + 1
    logs = [math.log(n / c) for c in range(1, n)]
    return Weights({s: logs[c - 1] * (0.3 + rarity(s)) for s, c in stems.items()}, {w: logs[c - 1] for w, c in said.items()})


class _Asked(NamedTuple):
    """What an answer to a question is held against."""

    stems: frozenset[str]
    quantity: bool
    why: bool
    who: bool


@lru_cache(maxsize=1024)
def _asked(question: str) -> _Asked:
    return _Asked(
        frozenset(stem(w) for w in question.split() if stem(w.strip("?.,'\""))),
        bool(re.search(r"\bhow (?:many|much|often|long|old|far)\b|\bwhat time\b|\bwhen\b|\bscale\b", question)),
        bool(re.search(r"\bwhy\b", question)),
        bool(re.search(r"\bwho\b", question)),
    )


def answers(question: str, kind: str, reply: Turn) -> float:
    """Return how compatible a reply is with a question, 0-1."""
    if not reply.words:
        return 0.0
    asked = _asked(question)
    overlap = not asked.stems.isdisjoint(reply.stems)
    if asked.quantity:
        return 1.0 if _QUANTITY.search(reply.text) else 0.4 if overlap else 0.0
    if kind == "closed":
        return 1.0 if _YES_NO.match(reply.text) or overlap else 0.6 if len(reply.words) >= 4 and reply.who == "client" else 0.2
    if asked.why and re.search(r"\b(?:because|since|so that|afraid|cause|reason|to)\b", reply.text):
        return 1.0
    if asked.who and reply.tally("social") + reply.tally("field.family"):
        return 1.0
    return 1.0 if len(reply.stems) >= 3 else 0.5


def _size(a: int, b: int, extra: int) -> float:
    return math.sqrt(math.sqrt((a + extra) * (b + extra)))


def _stems(a: Told, b: Told, weights: Weights) -> float:
    shared = a.turn.stems & b.turn.stems
    return sum(map(weights.stems.__getitem__, shared)) / _size(len(a.turn.stems), len(b.turn.stems), 3) if shared else 0.0


def adjacent(a: Told, b: Told, weights: Weights) -> tuple[float, ...]:
    """Return the features of turn ``b`` right after turn ``a``, as named in `ADJACENT`; what needs two speakers is 0 for one."""
    begun, echo = a.turn.stems & b.opening_stems, a.closing & b.opening
    both = (
        _stems(a, b, weights),
        sum(weights.stems[s] for s in begun) / _size(len(a.turn.stems), len(b.opening_stems), 3) if begun else 0.0,
        sum(weights.words[w] for w in echo) / _size(len(a.closing), len(b.opening), 4) if echo else 0.0,
    )
    if a.turn.who == b.turn.who:
        return (*both, 0.0, float(len(a.pronouns & b.pronouns)), 0.0, 0.0, 0.0, 0.0, 0.0)
    return (
        *both,
        len(a.closing_pairs & b.opening_pairs) / _size(len(a.closing), len(b.opening), 4),
        float(len(a.pronouns & b.pronouns)),
        answers(a.question, a.asks, b.turn) if a.asks else 0.0,
        float(b.agrees and a.asks == "closed"),
        float(b.agrees and a.asks == "open"),
        float(b.agrees and not a.asks),
        float(b.continues and a.backchannel),
    )


def next_but_one(a: Told, b: Told, weights: Weights) -> tuple[float, ...]:
    """Return the features of turn ``b`` with one turn between it and turn ``a``, as named in `NEXT_BUT_ONE`."""
    return _stems(a, b, weights), float(len(a.pronouns & b.pronouns))
