"""Emotional authenticity: does the therapist meet what the client feels, and does the client sound like a person?

Therapist: EPITOME's mechanisms (``emotional_reactions``, ``interpretations``, ``explorations``: Sharma, Miner, Atkins & Althoff,
2020) and the dimensions of Lend an Ear (``validating_emotions``, ``encouraging_elaboration``, ``demonstrating_understanding``,
``advice_giving``, ``self_oriented``, ``dismissing_emotions``: Kumar et al., 2025), as `mechanisms` counts them.  Every part is 0-1
with 1 best: ``advice_giving`` 1 is a session without unasked advice.  ``attuned`` is the share of turns whose levels sum
to two or more, ``listening`` the length of the turns, ``fresh`` the absence of stock phrases and of repeats of the therapist's own
sentences.

Client: ``affect`` (first-person turns with feeling or body words; Pennebaker et al., 2003), ``concrete`` (times, places,
people, things, quoted speech per 100 words; reality monitoring, Johnson & Raye, 1981), ``searching`` (hedges, breaks,
two sides), ``varied`` (no repeats, lengths differ), ``received`` (answers that take up or welcome what the therapist said against
those that rebuff it: what the client makes of it predicts outcome better than what observers see; Elliott et al., 2018).

Value of a session = (0.65 therapist + 0.35 client) x faults (dismissal, advice, self-orientation, length, stock phrases), where the
therapist's part is the weighted mean of the six dimensions, the three mechanisms and ``attuned`` (`THERAPIST`).  Value of a single
reply = the sum of its three EPITOME levels / 4 (at most 1) x faults, of which advice and self-orientation grow from none at one turn
to full at four: one post is no evidence of how its writer listens.  0-1.
"""

from __future__ import annotations

import math
import re

from pixel_synth.knowledge.load import Knowledge
from pixel_synth.records import Conversation, Evidence, Score
from pixel_synth.scorers.acts import Act, read_acts, repeats
from pixel_synth.scorers.mechanisms import epitome, lend_an_ear, levels, rate, substantive
from pixel_synth.scorers.phrases import phrases, present
from pixel_synth.scorers.talk import Talk, mean, read, result, span, weighted
from pixel_synth.scorers.text import ramp

ATTUNED = 0.8  # share of attuned turns that counts in full
THERAPIST = {
    "validating_emotions": 0.1, "encouraging_elaboration": 0.1, "demonstrating_understanding": 0.1, "advice_giving": 0.1,
    "self_oriented": 0.1, "dismissing_emotions": 0.1, "emotional_reactions": 0.08, "interpretations": 0.12, "explorations": 0.08,
    "attuned": 0.12,
}  # fmt: skip
CLIENT = {"affect": 0.3, "concrete": 0.2, "searching": 0.1, "varied": 0.15, "received": 0.25}
FEELINGS = ("sad", "fear", "anger", "shame", "positive", "state")
_SEARCHING = phrases("feeling.searching")
_RECEIVED, _REBUFFED = present("feeling.received"), present("feeling.rebuffed")
SHOWN = frozenset({"reaction", "complex", "open", "minimise", "confront", "persuade", "stock", "affirm", "self"})
_CLIENT_WORDS = 20  # below it nothing is said of how the client sounds


def _client(talk: Talk) -> tuple[dict[str, float | None], list[Evidence]]:
    total = sum(len(t.words) for t in talk.client)
    if total < _CLIENT_WORDS:
        return {}, []
    evidence: list[Evidence] = []
    feeling = concrete = searching = 0
    for turn in talk.client:
        first = turn.tally("self") > 0
        if first and any(turn.tally(tag) for tag in (*FEELINGS, "body")):
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
        "received": _received(talk),
    }, evidence


def _received(talk: Talk) -> float | None:
    answers = [t.text for t in talk.client if t.place > talk.therapist[0].place]
    if not answers:
        return None
    taken = sum(bool(_RECEIVED.search(text)) for text in answers)
    rebuffed = sum(bool(_REBUFFED.search(text)) for text in answers)
    return ramp((taken - rebuffed) / len(answers), -0.5, 0.1)


def score(conversation: Conversation, knowledge: Knowledge | None = None) -> Score:
    """Score emotional authenticity (0-1); unscored without a turn of each speaker or when the therapist says nothing but greets."""
    talk = read(conversation)
    if not talk.therapist or not talk.client:
        return result("emotional_authenticity", None, {}, reason="needs a turn of each speaker")
    acts = read_acts(talk)
    if all("backchannel" in a.codes for a in acts):
        return result("emotional_authenticity", None, {}, reason="the therapist only acknowledges or greets")
    turns = substantive(acts)
    found = [levels(group) for group in turns]
    single = len(turns) == 1
    parts: dict[str, float | None] = {**epitome(found), **lend_an_ear(turns, found)}
    parts["attuned"] = ramp(sum(sum(x) >= 2 for x in found) / len(found), 0.0, ATTUNED)
    client, evidence = _client(talk)
    parts.update(client)
    parts["listening"] = 1 - 0.4 * ramp(mean([float(len(t.words)) for t in talk.therapist]) or 0.0, 90.0, 250.0)
    stale = 0.3 * sum("stock" in a.codes for a in acts) + len(repeats(talk.therapist))  # people use stock phrases too, once
    parts["fresh"] = 1 - 0.7 * ramp(stale / max(1, len(acts)), 0.08, 0.5)
    therapist = min(1.0, sum(found[0]) / 4) if single else weighted(parts, THERAPIST) or 0.0
    client_value = None if single else weighted(parts, CLIENT)
    base = therapist if client_value is None else 0.65 * therapist + 0.35 * client_value
    for act in acts:
        for code in sorted(act.codes & SHOWN):
            evidence.append(span(act.turn, act.span.start, act.span.end, code))
    value = base * _faults(turns) * (parts["listening"] or 0.0) * (parts["fresh"] or 0.0)
    too_few = "single reply" if single else f"client says fewer than {_CLIENT_WORDS} words"
    reason = "" if client_value is not None else f"{too_few}: therapist side only"
    return result("emotional_authenticity", value, parts, evidence, reason)


def _faults(turns: list[list[Act]]) -> float:
    # Advice and one's own story may stand in a single letter [EPITOME]; as habits they take the talk away [Lend an Ear].
    habit = ramp(len(turns), 1, 4)
    dismissing = 0.6 * ramp(rate(turns, "minimise", "confront"), 0.05, 0.8)
    advising = 0.7 * ramp(rate(turns, "persuade"), 0.1, 1.5) * habit
    about_oneself = 0.7 * ramp(rate(turns, "self"), 0.1, 0.6) * habit
    return (1 - dismissing) * (1 - advising) * (1 - about_oneself)
