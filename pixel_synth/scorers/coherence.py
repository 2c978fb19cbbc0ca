"""Coherence: does each turn follow from the one before, and does the conversation hold together?

Parts:

* ``link``: mean strength of the tie of each turn to the turn before it (or, at half strength, to its speaker's own
  last turn): shared content stems [lexical cohesion; Foltz, Kintsch & Landauer, 1998, with stems in place of LSA],
  shared semantic fields [lexical chains; Morris & Hirst, 1991], answers to questions and adjacency pairs [Schegloff &
  Sacks, 1973], and anaphora.
* ``order``: where the conversation's own local cohesion lies among 60 permutations of its turns within each role
  (the order test of Barzilay & Lapata, 2008), as mapped difference from the permutations' mean in their standard
  deviations: 0 below the mean, 1 from 1.5 SD above it.  Seeded from the text.  Needs six turns.
* ``taken_up``: how far therapist turns take up the client's last turn (rare stems, fields).
* ``answered``: share of questions that the next turn answers compatibly (polarity, number/time, or content).
* ``continuity``: share of substantial turns with an entity (content stem) that occurs in the four turns before
  [entity grid; Barzilay & Lapata, 2008].
* ``sequence``: 1 minus the share of greetings after the first third and farewells before the last third; ``None``
  when there are none.

Range 0-1.  With fewer than six turns (a question and its answer) there is no order test and the value is ``topic``: the cosine
of both speakers' stems, weighted by rarity (`lexicon.rarity`).  On 403 counsel-chat questions that played no part in the
rarities it tells the true answer from one to a question on another topic with AUC 0.88; answers that share no word with the
question are missed.
"""

from __future__ import annotations

import math
import random
import re
from collections import Counter
from hashlib import blake2b

from pixel_synth.knowledge.load import Knowledge
from pixel_synth.records import Conversation, Evidence, Score
from pixel_synth.scorers.lexicon import rarity
from pixel_synth.scorers.phrases import phrases
from pixel_synth.scorers.talk import Talk, Turn, mean, read, result, span, weighted
from pixel_synth.scorers.text import question_kind, ramp, stem

WEIGHTS = {"link": 0.3, "order": 0.25, "taken_up": 0.25, "answered": 0.1, "continuity": 0.1}
PAIR_WEIGHTS = {"topic": 1.0}
PERMUTATIONS = 60
MIN_ORDER = 6

_YES_NO = phrases("turn.yes_no")
_QUANTITY = phrases("turn.quantity")
_ANAPHOR = phrases("turn.anaphor")
_GREETING = phrases("turn.greeting")
_FAREWELL = phrases("turn.farewell")
_THANKS = re.compile(r"\b(?:thank you|thanks|okay|ok|i'll (?:try|do)|sounds good|i can do)\b")


def _shared(a: Turn, b: Turn) -> int:
    return len(a.stems & b.stems)


def _answers(question: str, kind: str, reply: Turn) -> float:
    """Return how compatible a reply is with a question, 0-1."""
    if not reply.words:
        return 0.0
    overlap = any(stem(w) in reply.stems for w in question.split() if stem(w.strip("?.,'\""))) or False
    if re.search(r"\bhow (?:many|much|often|long|old|far)\b|\bwhat time\b|\bwhen\b|\bscale\b", question):
        return 1.0 if _QUANTITY.search(reply.text) else 0.4 if overlap else 0.0
    if kind == "closed":
        return 1.0 if _YES_NO.match(reply.text) or overlap else 0.6 if len(reply.words) >= 4 and reply.who == "client" else 0.2
    if re.search(r"\bwhy\b", question) and re.search(r"\b(?:because|since|so that|afraid|cause|reason|to)\b", reply.text):
        return 1.0
    if re.search(r"\bwho\b", question) and reply.tally("social") + reply.tally("field.family"):
        return 1.0
    return 1.0 if len(reply.stems) >= 3 else 0.5 if reply.words else 0.0


def _link(a: Turn, b: Turn, own: Turn | None) -> float:
    """Return the strength of the tie of turn ``b`` to turn ``a`` (0-1); ``own`` is the speaker's turn before."""
    shared, fields = _shared(a, b), len(a.fields & b.fields - {"field.time"})
    strength = 0.45 * min(shared, 2) + 0.1 * max(0, min(shared - 2, 1)) + 0.2 * min(fields, 2)
    last = a.sentences[-1].text if a.sentences else ""
    asked = next((s.text for s in reversed(a.sentences[-2:]) if question_kind(s.text)), "")
    if asked:
        strength += 0.5 * _answers(asked, question_kind(asked), b)
    if b.sentences and _ANAPHOR.match(b.sentences[0].text):
        strength += 0.15
    if _FAREWELL.search(a.text) and (_FAREWELL.search(b.text) or _THANKS.search(b.text)):
        strength += 0.5
    if _GREETING.search(a.text) and _GREETING.search(b.text):
        strength += 0.5
    if _THANKS.search(last) and _FAREWELL.search(b.text):
        strength += 0.5
    if own is not None:
        strength += 0.15 * min(_shared(own, b), 2)
    return min(1.0, strength)


def _order(talk: Talk) -> float | None:
    """Return the order test: cohesion of adjacent turns against permutations within each role, in SDs, mapped to 0-1."""
    turns = talk.turns
    n = len(turns)
    if n < MIN_ORDER or len(talk.client) < 3 or len(talk.therapist) < 3:
        return None
    frequency = Counter(s for t in turns for s in t.stems)
    idf = {s: math.log((n + 1) / c) for s, c in frequency.items()}
    tie = [[0.0] * n for _ in range(n)]
    for i in range(n):
        for j in range(i + 1, n):
            a, b = turns[i], turns[j]
            size = math.sqrt(math.sqrt((len(a.stems) + 3) * (len(b.stems) + 3)))
            weight = sum(idf[s] for s in a.stems & b.stems) + 0.4 * len(a.fields & b.fields)
            tie[i][j] = tie[j][i] = min(weight, 6.0) / size
    slots = {who: [i for i, t in enumerate(turns) if t.who == who] for who in ("client", "therapist")}
    seed = int.from_bytes(blake2b("\n".join(t.text for t in turns).encode(), digest_size=8).digest(), "big")
    rng = random.Random(seed)

    def cohesion(order: list[int]) -> float:
        near = sum(tie[order[k]][order[k + 1]] for k in range(n - 1))
        return near + 0.4 * sum(tie[order[k]][order[k + 2]] for k in range(n - 2))

    samples = []
    for _ in range(PERMUTATIONS):
        order = list(range(n))
        for places in slots.values():
            shuffled = places[:]
            rng.shuffle(shuffled)
            for place, turn in zip(places, shuffled, strict=True):
                order[place] = turn
        samples.append(cohesion(order))
    centre = sum(samples) / len(samples)
    spread = math.sqrt(sum((s - centre) ** 2 for s in samples) / len(samples))
    return ramp((cohesion(list(range(n))) - centre) / spread, 0.0, 1.5) if spread > 1e-9 else 0.0


def _taken_up(a: Turn, b: Turn) -> float:
    """Return how much of turn ``a`` turn ``b`` takes up: 1 from two rare stems, or one and a common field."""
    return min(1.0, (sum(map(rarity, a.stems & b.stems)) + 0.25 * min(2, len(a.fields & b.fields - {"field.time"}))) / 1.3)


def _topic(talk: Talk) -> float:
    """Return the rarity-weighted cosine of what both speakers say, 1 from 0.05.

    True answers of counsel-chat have a median of 0.08, answers to other questions of 0.008.
    """
    asked, said = (frozenset().union(*(t.stems for t in side)) for side in (talk.client, talk.therapist))
    return ramp(sum(map(rarity, asked & said)) / math.sqrt(len(asked) * len(said) + 9), 0.0, 0.05)


def _sequence(talk: Talk) -> tuple[float | None, list[Evidence]]:
    n, found, wrong = len(talk.turns), 0, []
    if n < MIN_ORDER:
        return None, []
    for place, turn in enumerate(talk.turns):
        for pattern, misplaced in ((_GREETING, place >= max(2, n / 3)), (_FAREWELL, place < n * 2 / 3 - 1)):
            if match := pattern.search(turn.text):
                found += 1
                if misplaced:
                    wrong.append(span(turn, match.start(), match.end(), "sequence"))
    return (1.0 - len(wrong) / found if found else None), wrong


def score(conversation: Conversation, knowledge: Knowledge | None = None) -> Score:
    """Score coherence (0-1); unscored without a turn of each speaker or with fewer than twelve words."""
    talk = read(conversation)
    if not talk.client or not talk.therapist or sum(len(t.words) for t in talk.turns) < 12:
        return result("coherence", None, {}, reason="needs a turn of each speaker and twelve words")
    links: list[float] = []
    ups: list[float] = []
    answers: list[float] = []
    chain: list[float] = []
    evidence: list[Evidence] = []
    short = len(talk.turns) < MIN_ORDER
    for k in range(1, len(talk.turns)):
        a, b = talk.turns[k - 1], talk.turns[k]
        own = talk.before(b, b.who)
        links.append(_link(a, b, own))
        if b.who == "therapist" and a.who == "client" and len(a.stems) >= 2:
            ups.append(_taken_up(a, b))
            for sentence in b.sentences:
                for m in re.finditer(r"[a-z]+(?:'[a-z]+)*", sentence.text):
                    if stem(m[0]) in a.stems and len(evidence) < 24:
                        evidence.append(span(b, sentence.start + m.start(), sentence.start + m.end(), "taken_up"))
        if a.who != b.who and a.who == "therapist":
            asked = [s for s in a.sentences[-2:] if question_kind(s.text)]
            if asked:
                answers.append(max(_answers(s.text, question_kind(s.text), b) for s in asked))
        if k >= 2 and len(b.stems) >= 3:
            window = frozenset().union(*(t.stems for t in talk.turns[max(0, k - 4) : k]))
            chain.append(min(1.0, len(b.stems & window) / 2))
    sequence, misplaced = _sequence(talk)
    parts: dict[str, float | None] = {
        "link": ramp(mean(links) or 0.0, 0.0, 0.62),
        "order": _order(talk),
        "taken_up": ramp(mean(ups) or 0.0, 0.0, 0.7) if ups else None,
        "answered": mean(answers),
        "continuity": ramp(mean(chain) or 0.0, 0.0, 0.8) if chain else None,
    }
    if short:
        parts["topic"] = _topic(talk)
    value = weighted(parts, PAIR_WEIGHTS if short else WEIGHTS)
    if value is not None and sequence is not None:
        value *= 0.7 + 0.3 * sequence
    parts["sequence"] = sequence
    reason = "question and answer only: no order test" if short else ""
    return result("coherence", value, parts, [*evidence, *misplaced], reason)
