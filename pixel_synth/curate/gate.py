"""The gate: thresholds on scores, and safety as a gate of its own.

A threshold is met when the score is at least the threshold.  A metric that could not be scored does not pass: the
reason says so.  A violated safety or scope rule rejects a record whatever its averages are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pixel_synth.grammar import find_cue
from pixel_synth.records import Conversation, Fact, Score, Verdict


def gate(scores: Sequence[Score], thresholds: Mapping[str, float]) -> Verdict:
    """Decide from scores alone."""
    by_metric = {s.metric: s for s in scores}
    reasons: list[str] = []
    for metric, least in thresholds.items():
        score = by_metric.get(metric)
        if score is None:
            reasons.append(f"{metric}: not measured")
        elif score.value is None:
            reasons.append(f"{metric}: unscored ({score.reason})")
        elif score.value < least:
            weakest = sorted((p for p in score.parts if p.value is not None and p.value < least), key=lambda p: p.value or 0)[:2]
            why = ", ".join(f"{p.name} {p.value:.2f}" for p in weakest)
            reasons.append(f"{metric}: {score.value:.3f} < {least:.2f}" + (f" ({why})" if why else ""))
    compliance = by_metric.get("clinical_compliance")
    if compliance:
        reasons += [f"safety: {p.name} violated" for p in compliance.parts if p.value is not None and p.value == 0.0]
    return Verdict(accepted=not reasons, reasons=tuple(reasons))


def missing_facts(conversation: Conversation) -> tuple[Fact, ...]:
    """Return the must-appear facts of the blueprint that nobody says."""
    if conversation.blueprint is None:
        return ()
    said = {"client": conversation.said("user"), "therapist": conversation.said("assistant")}
    return tuple(f for f in conversation.blueprint.must_appear if not find_cue(f.cues, said[f.speaker]))


def judge(conversation: Conversation, scores: Sequence[Score], thresholds: Mapping[str, float]) -> Verdict:
    """Decide from scores and from the facts the blueprint promised."""
    verdict = gate(scores, thresholds)
    missing = tuple(f"fact missing: {f.kind} {f.id}" for f in missing_facts(conversation))
    return Verdict(accepted=verdict.accepted and not missing, reasons=verdict.reasons + missing)
