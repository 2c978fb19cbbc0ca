"""How far a therapist meets the client: EPITOME's three mechanisms and the six dimensions of Lend an Ear, 0-1 with 1 best.

EPITOME (Sharma, Miner, Atkins & Althoff, 2020) rates a reply at level 0, 1 or 2:

* ``emotional_reactions``: warmth or concern in so many words.  2 when a feeling for the client is stated or two sentences
  carry one, 1 for one plain or stock reaction, well-wishing, an interjection, affirmation, or a reflection that names a feeling.
* ``interpretations``: what is felt or lived through is put into words.  2 for a complex reflection, or for a like experience of
  the speaker's own told at some length (the paper counts it; see ``self_oriented`` for its cost), 1 for a simple reflection, a
  short "same here", or stated understanding.
* ``explorations``: 2 for an open question, or for one that takes up the client's words or asks for feelings; 1 for others.

Of one reply each part is its level / 2, so 0, 0.5 or 1.  Of a session it is the mean level of the turns against `TARGETS`.

Lend an Ear (Kumar et al., 2025) rates a whole chat.  The three that help are shares of substantive turns, the three that hurt
are rates of sentences per unit (a turn, or four sentences of a long one), turned round: 1 is none.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from pixel_synth.scorers.acts import Act, by_turn
from pixel_synth.scorers.text import ramp, words

TARGETS = {"emotional_reactions": 0.55, "interpretations": 1.0, "explorations": 0.9}
_DEEP = re.compile(r"\b(?:feel|feeling|feelings|emotions?|like for you|inside|body|mind|afraid|hurt|matter)\b")
_STRONG = re.compile(
    r"\b(?:my heart|breaks|i (?:really |do |so )*feel (?:for|so|sad|bad|terrible|awful)|i care"
    r"|i'm (?:so |very |really )?(?:sad(?:dened)?|touched|moved|heartbroken|gutted|concerned|worried)|struck|moves me)\b"
)
_FIRST = re.compile(r"\b(?:i|me|my|we|our|i'm|i've|i'd)\b")
_ADVISING = frozenset({"minimise", "confront"})


class Levels(NamedTuple):
    """EPITOME levels of one turn, each 0, 1 or 2."""

    reaction: int
    interpretation: int
    exploration: int


def levels(acts: list[Act]) -> Levels:
    """Return the EPITOME levels of a turn."""
    warm = [a for a in acts if "reaction" in a.codes and not a.codes & _ADVISING]
    reaction = min(2, len(warm))
    if any("stock" not in a.codes and (_STRONG.search(a.text) or a.codes & {"complex"}) for a in warm):
        reaction = 2
    interpretation = exploration = 0
    told = [a for a in acts if "self" in a.codes]
    if told:
        told += [a for a in acts if "inform" in a.codes and _FIRST.search(a.text)]  # the story goes on
        interpretation = 2 if sum(len(words(a.text)) for a in told) >= 20 else 1
    for act in acts:
        if "weak_reaction" in act.codes:  # "it will get better" is warmth at level 1, and dismissal
            reaction = max(reaction, 1)
        if act.codes & _ADVISING:
            continue
        if "affirm" in act.codes or (act.codes & {"complex", "simple"} and act.feelings):
            reaction = max(reaction, 1)
        if "understand" in act.codes:
            interpretation = max(interpretation, 1)
        if "complex" in act.codes and "stock" not in act.codes:
            interpretation = 2
        elif "simple" in act.codes:
            interpretation = max(interpretation, 1)
        if act.question and "stock" not in act.codes and "persuade" not in act.codes:
            deep = act.overlap > 0 or bool(_DEEP.search(act.text))
            exploration = max(exploration, 2 if deep and act.question == "open" else 1)
        elif act.codes & {"open", "invite"}:
            exploration = max(exploration, 1)
    return Levels(reaction, interpretation, exploration)


def substantive(acts: tuple[Act, ...]) -> list[list[Act]]:
    """Return the acts of each turn that says more than a back-channel, or of all turns when none does."""
    turns = [group for _, group in by_turn(acts)]
    return [g for g in turns if any("backchannel" not in a.codes for a in g)] or turns


def epitome(found: list[Levels]) -> dict[str, float | None]:
    """Return the three EPITOME parts of a reply or a session."""
    by_name = {"emotional_reactions": [x.reaction for x in found], "interpretations": [x.interpretation for x in found],
               "explorations": [x.exploration for x in found]}  # fmt: skip
    if len(found) == 1:
        return {k: v[0] / 2 for k, v in by_name.items()}
    return {k: ramp(sum(v) / len(v), 0.0, TARGETS[k]) for k, v in by_name.items()}


def rate(turns: list[list[Act]], *codes: str) -> float:
    """Return how many sentences carry one of the codes, per unit (a turn, or four sentences of a long one)."""
    units = sum(max(1, len(group) // 4) for group in turns)
    return sum(not a.codes.isdisjoint(codes) for group in turns for a in group) / units


def _validates(act: Act) -> bool:
    named = act.codes & {"complex", "simple"} and act.feelings
    return bool(act.codes & {"reaction", "weak_reaction", "affirm", "understand"} or named) and not act.codes & _ADVISING


def lend_an_ear(turns: list[list[Act]], found: list[Levels]) -> dict[str, float | None]:
    """Return the six Lend-an-Ear parts of a reply or a session, 1 best."""
    n = len(turns)
    advice, brushed, self_told = rate(turns, "persuade"), rate(turns, "minimise"), rate(turns, "self")
    accused = rate(turns, "confront")
    validating = sum(any(_validates(a) for a in g) for g in turns) / n
    asked = sum(x.exploration for x in found) / n
    understood = sum(min(2, max((2 * ("complex" in a.codes) + ("simple" in a.codes) for a in g), default=0)) for g in turns) / n
    stated = sum(any("understand" in a.codes for a in g) for g in turns) / n
    hurt = (1 - ramp(brushed, 0.0, 0.8)) * (1 - ramp(accused, 0.0, 0.8))
    return {
        "validating_emotions": ramp(validating, 0.0, 0.7) * hurt,
        "encouraging_elaboration": ramp(asked, 0.0, 1.0),
        "demonstrating_understanding": ramp(understood + 0.5 * stated, 0.0, 1.0) * hurt * (1 - 0.5 * ramp(advice, 0.0, 0.8)),
        "advice_giving": 1 - ramp(advice, 0.0, 0.8),
        "self_oriented": 1 - ramp(self_told, 0.0, 0.6),
        "dismissing_emotions": 1 - ramp(brushed + 1.5 * accused, 0.0, 0.8),
    }
