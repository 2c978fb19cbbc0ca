"""Complexity: how demanding a conversation is, as a description and not a quality.

Parts, each 0-1: ``turns`` (4 to 20 messages), ``vocabulary`` (MTLD, McCarthy & Jarvis, 2010: 30 to 110), ``syntax`` (words per
sentence: 6 to 18), ``topics`` (semantic fields that a client's talk stays with, of ten; and the blueprint's voiced
criteria, of six), ``risk`` (grade of current risk talk, of three), ``resistance`` (client turns with ambivalence, reluctance or
disagreement, of half the turns; Miller & Rollnick, 2013).

Value = weighted mean.  ``level`` in the package cuts it at 0.35 and 0.6.
"""

from __future__ import annotations

from pixel_synth.knowledge.load import Knowledge
from pixel_synth.records import Conversation, Score
from pixel_synth.scorers import risk
from pixel_synth.scorers.phrases import phrases
from pixel_synth.scorers.talk import diversity, hits, read, result, span, weighted
from pixel_synth.scorers.text import ramp

WEIGHTS = {"turns": 0.2, "vocabulary": 0.1, "syntax": 0.1, "topics": 0.2, "risk": 0.2, "resistance": 0.2}
_RESISTANCE = phrases("complexity.resistance")


def score(conversation: Conversation, knowledge: Knowledge | None = None) -> Score:
    """Score complexity (0-1); unscored without client turns or with fewer than 20 words."""
    talk = read(conversation)
    total = sum(len(t.words) for t in talk.turns)
    if not talk.client or total < 20:
        return result("complexity", None, {}, reason="needs a client turn and 20 words")
    fields = frozenset().union(*(t.fields for t in talk.client))
    topics = ramp(sum(sum(t.tally(f) for t in talk.client) >= 2 for f in fields), 1.0, 11.0)
    if conversation.blueprint and conversation.blueprint.criteria_voiced:
        topics = (topics + min(1.0, len(conversation.blueprint.criteria_voiced) / 6)) / 2
    signs = hits(_RESISTANCE, talk.client, "resistance")
    parts: dict[str, float | None] = {
        "turns": ramp(len(talk.turns), 2.0, 20.0),
        "vocabulary": ramp(diversity(talk), 30.0, 110.0) if total >= 50 else None,
        "syntax": ramp(total / max(1, sum(len(t.sentences) for t in talk.turns)), 6.0, 18.0),
        "topics": topics,
        "risk": risk.grade(talk) / 3,
        "resistance": min(1.0, 2 * len({e.turn for e in signs}) / len(talk.client)) * ramp(len(talk.client), 0.0, 4.0),
    }
    evidence = [*signs, *(span(m.turn, m.start, m.end, "risk") for m in risk.mentions(talk))]
    return result("complexity", weighted(parts, WEIGHTS), parts, evidence)
