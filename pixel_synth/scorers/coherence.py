"""Coherence: does each turn follow from the one before, and does the conversation hold together?

Parts:

* ``order``: the order test (`order.deviations`): the conversation against permutations of its own turns; 0 where it lies among
  them, 1 where it stands out as far as real ones do.  What varies between topics and styles cancels out here.
* ``link``: mean strength of the tie of each turn to the turn before it (or, at half strength, to its speaker's own
  last turn): shared content stems [lexical cohesion; Foltz, Kintsch & Landauer, 1998, with stems in place of LSA],
  shared semantic fields [lexical chains; Morris & Hirst, 1991], answers to questions and adjacency pairs [Schegloff &
  Sacks, 1973], and anaphora.
* ``taken_up``: how far therapist turns take up the client's last turn (rare stems, fields).
* ``answered``: share of questions that the next turn answers compatibly (polarity, number/time, or content).
* ``continuity``: share of substantial turns with an entity (content stem) that occurs in the four turns before
  [entity grid; Barzilay & Lapata, 2008].
* ``topic`` (with fewer than six turns, in place of the four before): the cosine of both speakers' stems, weighted by rarity
  (`lexicon.rarity`).
* ``alternation``: whether speakers take turns (`order.alternation`); halves the score where it is 0.
* ``sequence``: 1 minus the share of greetings after the first third and farewells before the last third; ``None``
  when there are none.

Range 0-1.  Fewer than six turns leave few orders to compare: four turns have four within roles, and the order
test cannot pass 0.83.  With two turns (a question and its answer) the value is ``topic``: on 403 counsel-chat
questions that played no part in the rarities it tells the true answer from one to a question on another topic with AUC 0.88;
answers that share no word with the question are missed.
``benchmarks/coherence.py`` measures what the score tells apart.
"""

from __future__ import annotations

import math
import re
from itertools import pairwise

from pixel_synth.knowledge.load import Knowledge
from pixel_synth.records import Conversation, Evidence, Score
from pixel_synth.scorers.lexicon import rarity
from pixel_synth.scorers.order import alternation, deviations
from pixel_synth.scorers.phrases import phrases, says
from pixel_synth.scorers.talk import Talk, Turn, mean, read, result, span, weighted
from pixel_synth.scorers.text import question_kind, ramp, stem
from pixel_synth.scorers.ties import answers

WEIGHTS = {"order": 0.55, "link": 0.15, "taken_up": 0.2, "answered": 0.05, "continuity": 0.05}
SHORT_WEIGHTS = {"order": 0.75, "topic": 0.25}
SLOPE = 1.7  # makes the logistic function close to the normal distribution's
FACTORS = {"alternation": 0.5, "sequence": 0.7}  # what the value is multiplied with where the part is 0
SHORT = 6  # turns
LEAST_WORDS = 12
SHOWN = 24  # words taken up that are given as evidence

_ANAPHOR = phrases("turn.anaphor")
_THANKS = re.compile(r"\b(?:thank you|thanks|okay|ok|i'll (?:try|do)|sounds good|i can do)\b")


def _shared(a: Turn, b: Turn) -> int:
    return len(a.stems & b.stems)


def _link(a: Turn, b: Turn, own: Turn | None) -> float:
    """Return the strength of the tie of turn ``b`` to turn ``a`` (0-1); ``own`` is the speaker's turn before."""
    shared, fields = _shared(a, b), len(a.fields & b.fields - {"field.time"})
    strength = 0.45 * min(shared, 2) + 0.1 * max(0, min(shared - 2, 1)) + 0.2 * min(fields, 2)
    last = a.sentences[-1].text if a.sentences else ""
    asked = next((s.text for s in reversed(a.sentences[-2:]) if question_kind(s.text)), "")
    if asked:
        strength += 0.5 * answers(asked, question_kind(asked), b)
    if b.sentences and _ANAPHOR.match(b.sentences[0].text):
        strength += 0.15
    if says("turn.farewell", a.text) and (says("turn.farewell", b.text) or _THANKS.search(b.text)):
        strength += 0.5
    if says("turn.greeting", a.text) and says("turn.greeting", b.text):
        strength += 0.5
    if says("turn.farewell", b.text) and _THANKS.search(last):
        strength += 0.5
    if own is not None:
        strength += 0.15 * min(_shared(own, b), 2)
    return min(1.0, strength)


def _ordered(z: float, turns: int) -> float:
    """Map the order test's deviations to 0-1, a half midway between shuffled conversations and real ones of that length.

    Shuffled ones lie about 0; the conversations that the weights were fitted on about 0.9 at 4 turns, 3.5 at 13 and 6 at 30.
    """
    return 1.0 / (1.0 + math.exp(SLOPE * (min(2.0, 0.4 * math.sqrt(turns)) - z)))


def _taken_up(a: Turn, b: Turn) -> float:
    """Return how much of turn ``a`` turn ``b`` takes up: 1 from two rare stems, or one and a common field."""
    return min(1.0, (sum(map(rarity, a.stems & b.stems)) + 0.25 * min(2, len(a.fields & b.fields - {"field.time"}))) / 1.3)


def _topic(talk: Talk) -> float | None:
    """Return the rarity-weighted cosine of what both speakers say, 1 from 0.05; ``None`` when only one of them speaks.

    True answers of counsel-chat have a median of 0.08, answers to other questions of 0.008.
    """
    if not talk.client or not talk.therapist:
        return None
    asked, said = (frozenset().union(*(t.stems for t in side)) for side in (talk.client, talk.therapist))
    return ramp(sum(map(rarity, asked & said)) / math.sqrt(len(asked) * len(said) + 9), 0.0, 0.05)


def _sequence(talk: Talk) -> tuple[float | None, list[Evidence]]:
    n, found, wrong = len(talk.turns), 0, []
    if n < SHORT:
        return None, []
    for place, turn in enumerate(talk.turns):
        for name, misplaced in (("turn.greeting", place >= max(2, n / 3)), ("turn.farewell", place < n * 2 / 3 - 1)):
            if says(name, turn.text) and (match := phrases(name).search(turn.text)):
                found += 1
                if misplaced:
                    wrong.append(span(turn, match.start(), match.end(), "sequence"))
    return (1.0 - len(wrong) / found if found else None), wrong


def _links(talk: Talk) -> float:
    own: dict[str, Turn] = {talk.turns[0].who: talk.turns[0]}
    strengths = []
    for a, b in pairwise(talk.turns):
        strengths.append(_link(a, b, own.get(b.who)))
        own[b.who] = b
    return ramp(mean(strengths) or 0.0, 0.0, 0.5)


def _uptake(talk: Talk) -> tuple[float | None, list[Evidence]]:
    ups: list[float] = []
    evidence: list[Evidence] = []
    for a, b in pairwise(talk.turns):
        if a.who != "client" or b.who != "therapist" or len(a.stems) < 2:
            continue
        ups.append(_taken_up(a, b))
        for m in re.finditer(r"[a-z]+(?:'[a-z]+)*", b.text):
            if len(evidence) == SHOWN:
                break
            if stem(m[0]) in a.stems:
                evidence.append(span(b, m.start(), m.end(), "taken_up"))
    return (ramp(mean(ups) or 0.0, 0.0, 0.5) if ups else None), evidence


def _answered(talk: Talk) -> float | None:
    found: list[float] = []
    for a, b in pairwise(talk.turns):
        asked = [(s.text, kind) for s in a.sentences[-2:] if a.who == "therapist" != b.who and (kind := question_kind(s.text))]
        if asked:
            found.append(max(answers(text, kind, b) for text, kind in asked))
    return mean(found)


def _continuity(talk: Talk) -> float | None:
    found: list[float] = []
    for k, turn in enumerate(talk.turns):
        if k >= 2 and len(turn.stems) >= 3:
            window = frozenset().union(*(t.stems for t in talk.turns[max(0, k - 4) : k]))
            found.append(min(1.0, len(turn.stems & window) / 2))
    return ramp(mean(found) or 0.0, 0.0, 0.6) if found else None


def score(conversation: Conversation, knowledge: Knowledge | None = None) -> Score:
    """Score coherence (0-1); unscored with fewer than two turns or twelve words."""
    talk = read(conversation)
    if len(talk.turns) < 2 or sum(len(t.words) for t in talk.turns) < LEAST_WORDS:
        return result("coherence", None, {}, reason="needs two turns and twelve words")
    z = deviations(talk)
    taken_up, evidence = _uptake(talk)
    sequence, misplaced = _sequence(talk)
    short = len(talk.turns) < SHORT
    parts: dict[str, float | None] = {"order": None if z is None else _ordered(z, len(talk.turns))}
    if short:
        parts["topic"] = _topic(talk)
    parts |= {"link": _links(talk), "taken_up": taken_up, "answered": _answered(talk), "continuity": _continuity(talk)}
    parts |= {"alternation": alternation(talk), "sequence": sequence}
    value = weighted(parts, SHORT_WEIGHTS if short else WEIGHTS)
    if value is None:
        return result("coherence", None, parts, evidence, "one speaker and no two orders to compare")
    for name, least in FACTORS.items():
        part = parts[name]
        value *= 1.0 if part is None else least + (1.0 - least) * part
    reason = "" if z is not None else "no two orders to compare: topic only"
    return result("coherence", value, parts, [*evidence, *misplaced], reason)
