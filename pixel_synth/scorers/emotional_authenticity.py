"""Emotional authenticity: does the therapist meet what the client feels, and does the client sound like a person?

Therapist, after EPITOME (Sharma, Miner, Atkins & Althoff, 2020), each turn at 0, 1 or 2 per mechanism:

* ``emotional_reaction``: warmth or concern that is expressed (2 when it names what is hard or felt, 1 when general).
  A reflection that names a feeling counts 1.
* ``interpretation``: an inferred feeling or experience is put into words (2 complex reflection, 1 simple or "I understand").
* ``exploration``: an open question (2 when it takes up the client's words or asks for feelings, else 1).

Each part is the session's mean level against what an attuned session reaches (`TARGETS`).
``attuned`` is the share of therapist turns with some mechanism at level 2.

Faults multiply the value down (Lend-an-Ear rubric: Kumar et al., 2025): ``not_dismissing``, ``no_advice``
(unasked advice), ``other_focus`` (self-orientation), ``listening`` (length of the turns), ``fresh`` (stock phrases and
repeats of the therapist's own sentences).

Client: ``affect`` (first-person turns with feeling or body words; Pennebaker et al., 2003), ``concrete`` (times, places,
people, things, quoted speech per 100 words; reality monitoring, Johnson & Raye, 1981), ``searching`` (hedges, breaks,
two sides), ``varied`` (no repeats, lengths differ).

Value = (0.65 therapist + 0.35 client) x faults, 0-1.
"""

from __future__ import annotations

import math
import re

from pixel_synth.knowledge.load import Knowledge
from pixel_synth.records import Conversation, Evidence, Score
from pixel_synth.scorers.acts import SELF, Act, by_turn, read_acts, repeats
from pixel_synth.scorers.lexicon import tags
from pixel_synth.scorers.phrases import phrases
from pixel_synth.scorers.talk import Talk, mean, read, result, span, weighted
from pixel_synth.scorers.text import ramp, words

TARGETS = {"emotional_reaction": 0.45, "interpretation": 1.0, "exploration": 0.9, "attuned": 0.8}
THERAPIST = {"emotional_reaction": 0.25, "interpretation": 0.3, "exploration": 0.2, "attuned": 0.25}
CLIENT = {"affect": 0.4, "concrete": 0.25, "searching": 0.15, "varied": 0.2}
_FELT = frozenset({"sad", "fear", "anger", "shame", "state"})
FEELINGS = ("sad", "fear", "anger", "shame", "positive", "state")
_SEARCHING = phrases("feeling.searching")
UNDERSTANDING = phrases("feeling.understanding")
_DEEP = re.compile(r"\b(?:feel|feeling|like for you|inside|body|mind|afraid|hurt|matter)\b")
_MIN_WORDS = 20


def names_feeling(act: Act) -> bool:
    """Tell whether a sentence names a feeling."""
    return any(tags(w) & _FELT for w in words(act.span.text))


def _levels(acts: list[Act]) -> tuple[int, int, int]:
    reaction = interpretation = exploration = 0
    for act in acts:
        if act.codes & {"minimise", "confront", "self"}:
            continue
        if "reaction" in act.codes:
            reaction = max(reaction, 1 if "stock" in act.codes else 2)
        if "weak_reaction" in act.codes or "affirm" in act.codes:
            reaction = max(reaction, 1)
        if act.codes & {"complex", "simple"} and names_feeling(act):
            reaction = max(reaction, 1)
        if UNDERSTANDING.search(act.span.text):
            interpretation = max(interpretation, 1)
        if "complex" in act.codes and "stock" not in act.codes:
            interpretation = 2
        elif "simple" in act.codes:
            interpretation = max(interpretation, 1)
        if act.question and "stock" not in act.codes:
            deep = act.overlap > 0 or bool(_DEEP.search(act.span.text))
            exploration = max(exploration, 2 if act.question == "open" and deep else 1)
        elif "open" in act.codes:
            exploration = max(exploration, 1)
    return reaction, interpretation, exploration


def _client(talk: Talk) -> tuple[dict[str, float | None], list[Evidence]]:
    total = sum(len(t.words) for t in talk.client)
    if total < _MIN_WORDS:
        return {}, []
    evidence: list[Evidence] = []
    feeling = concrete = searching = 0
    for turn in talk.client:
        first = turn.tally("self") > 0
        if first and any(tag in FEELINGS or tag == "body" for tags in turn.tags for tag in tags):
            feeling += 1
        concrete += turn.tally("concrete") + len(re.findall(r"\b\d+\b|\"[^\"]{3,}\"", turn.text))
        if match := _SEARCHING.search(turn.text):
            searching += 1
            evidence.append(span(turn, match.start(), match.end(), "searching"))
    lengths = [len(t.words) for t in talk.client]
    centre = sum(lengths) / len(lengths)
    spread = math.sqrt(sum((x - centre) ** 2 for x in lengths) / len(lengths)) / centre
    repeated = len(repeats(talk.client)) / max(1, sum(len(t.sentences) for t in talk.client))
    varied = (1 - min(1.0, 4 * repeated)) * (ramp(spread, 0.0, 0.3) if len(lengths) >= 4 else 1.0)
    return {
        "affect": ramp(feeling / len(talk.client), 0.0, 0.6),
        "concrete": ramp(100 * concrete / total, 0.0, 4.0),
        "searching": ramp(searching / len(talk.client), 0.0, 0.4),
        "varied": varied * ramp(centre, 2.0, 12.0),
    }, evidence


def score(conversation: Conversation, knowledge: Knowledge | None = None) -> Score:
    """Score emotional authenticity (0-1); unscored without therapist turns or with hardly any words."""
    talk = read(conversation)
    if not talk.therapist or not talk.client:
        return result("emotional_authenticity", None, {}, reason="needs a turn of each speaker")
    if sum(len(t.words) for t in talk.turns) < _MIN_WORDS:
        return result("emotional_authenticity", None, {}, reason=f"fewer than {_MIN_WORDS} words")
    turns = by_turn(read_acts(talk))
    acts = [act for _, group in turns for act in group]
    levels = [_levels(group) for _, group in turns]
    n = len(levels)
    raw = {
        "emotional_reaction": sum(x[0] for x in levels) / n,
        "interpretation": sum(x[1] for x in levels) / n,
        "exploration": sum(x[2] for x in levels) / n,
        "attuned": sum(max(x) == 2 for x in levels) / n,
    }
    parts: dict[str, float | None] = {k: ramp(v, 0.0, TARGETS[k]) for k, v in raw.items()}
    client, evidence = _client(talk)
    parts.update(client)

    units = sum(max(1, len(group) // 4) for _, group in turns)  # a long reply counts as several turns

    def rate(code: str) -> float:
        return sum(code in a.codes for a in acts) / units

    stock = sum("stock" in a.codes for a in acts) + len(repeats(talk.therapist))
    length = mean([float(len(t.words)) for t in talk.therapist]) or 0.0
    faults = {
        "not_dismissing": 1 - min(1.0, 2.0 * rate("minimise") + 2.0 * rate("confront")),
        "no_advice": 1 - 0.7 * ramp(rate("persuade"), 0.1, 1.5),
        "other_focus": 1 - 0.7 * ramp(rate("self"), 0.0, 0.6),
        "listening": 1 - 0.4 * ramp(length, 90.0, 250.0),
        "fresh": 1 - 0.7 * ramp(stock / max(1, len(acts)), 0.08, 0.6),
    }
    parts.update(faults)
    therapist_value = weighted(parts, THERAPIST) or 0.0
    client_value = weighted(parts, CLIENT)
    base = therapist_value if client_value is None else 0.65 * therapist_value + 0.35 * client_value
    for act in acts:
        for code in ("reaction", "complex", "open", "minimise", "confront", "persuade", "stock", "affirm"):
            if code in act.codes:
                evidence.append(span(act.turn, act.span.start, act.span.end, code))
        if "self" in act.codes and (m := SELF.search(act.span.text)):
            evidence.append(span(act.turn, act.span.start + m.start(), act.span.start + m.end(), "other_focus"))
    reason = "" if client_value is not None else f"client says fewer than {_MIN_WORDS} words: therapist side only"
    return result("emotional_authenticity", base * math.prod(faults.values()), parts, evidence, reason)
