"""Urgency: how soon a human must act on what the client says, as a description and not a quality.

Value = level / 3 of the client's most urgent turn (`risk.urgency`): 0 routine, 1/3 elevated, 2/3 urgent, 1 emergency; the levels
follow mental-health triage (Sands, Elsom & Colgate, 2016) and, for suicide, the Columbia scale (Posner et al., 2011).
Parts: per kind the highest grade of its phrases, of three, and for kinds that the model alone found the level; ``expected``, the
model's expected level of three, ranks conversations finer than the level does.

The model's labels were written to order with the definition of the levels, they are no clinicians' ratings; a low level is no
proof of safety.
"""

from __future__ import annotations

from pixel_synth.knowledge.load import Knowledge
from pixel_synth.records import Conversation, Score
from pixel_synth.scorers import risk
from pixel_synth.scorers.talk import read, result


def score(conversation: Conversation, knowledge: Knowledge | None = None) -> Score:
    """Score urgency (0-1); unscored when the client says fewer than three words, none of them dangerous."""
    talk = read(conversation)
    if sum(len(turn.words) for turn in talk.client) < 3 and not risk.mentions(talk):
        return result("urgency", None, {}, reason="needs three words of the client")
    found = risk.urgency(talk)
    parts: dict[str, float | None] = {
        kind: max((m.grade for m in risk.mentions(talk) if m.kind == kind and not m.history), default=found.level * (kind in found.kinds))
        / 3
        for kind in risk.KINDS
    }
    return result("urgency", found.level / 3, {**parts, "expected": found.expected / 3}, found.evidence, found.name)
