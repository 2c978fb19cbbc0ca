"""Routing: which records a person should look at, and why.

A record goes to a person when the judges do not agree with each other or with the scorer of the same construct, when a judge could
not tell, when a life may be at stake, or when somebody in the session talks to the judge; and, of the accepted ones, a share drawn by
the record's id, so that what passes unseen is looked at as well.  It decides nothing about acceptance.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from pixel_synth.curate.gate import Gate, Limit, applies
from pixel_synth.judges.injection import instructions
from pixel_synth.judges.panel import spread
from pixel_synth.judges.rubric import rubric
from pixel_synth.records import Conversation, Score, Verdict, stable_id
from pixel_synth.scorers.risk import mentions
from pixel_synth.scorers.talk import read
from pixel_synth.settings import Settings

JUDGE = "judge."
_UNCLEAR = re.compile(r"(?:^|; )unclear: ([a-z0-9_]+(?:, [a-z0-9_]+)*)(?:;|$)")  # as in judges.verdict
UNCLEAR = 0.5  # share of a rubric's criteria without an answer above which the verdict rests on too little
URGENT = 2 / 3  # value of the urgency scorer (level 0-3, divided by 3) from which a person is needed soon
ACTIVE = 2  # grade of active thoughts of suicide, self-harm or harm to others, see scorers.risk


def review_reasons(
    conversation: Conversation, scores: Sequence[Score], settings: Settings, limits: Sequence[Limit] = ()
) -> tuple[str, ...]:
    """Return why a person should look at a record; empty when nobody has to.

    Args:
        conversation: With its verdict, where there is one: the drawn share is of accepted records only.
        scores: Of scorers and judges.
        settings: ``review_spread``: largest distance of two opinions of a panel (0-1) that needs no person.  The default .34 lies
            between one step of a 1-5 scale on every criterion (.25), which raters who agree do differ by, and two (.5); of three
            criteria on a 0-2 scale it lets two differ by a step (.33) and not all.  ``review_gap``: the same for a judge and the scorer
            of its construct, both as the share of people who would call the session good.  ``review_share``: share of accepted records.
        limits: Thresholds of the gate; a score so near to a calibrated one that its card cannot tell the side is of low confidence.

    Returns:
        Reasons, each beginning with its kind and a colon: panel, judge and scorer, confidence, stakes, instruction, drawn.
    """
    return (
        *_apart(scores, settings.review_spread),
        *_against_scorers(scores, settings.review_gap),
        *_unsure(scores),
        *_near(conversation, scores, limits),
        *_stakes(conversation, scores),
        *_instructions(conversation),
        *_drawn(conversation, settings.review_share),
    )


def reviewed(conversation: Conversation, scores: Sequence[Score], verdict: Verdict, settings: Settings, gate: Gate) -> Verdict:
    """Return the verdict on a conversation with why a person should look at it."""
    decided = conversation.model_copy(update={"verdict": verdict})
    return verdict.model_copy(update={"review": review_reasons(decided, scores, settings, gate.limits)})


def _apart(scores: Sequence[Score], limit: float) -> Iterator[str]:
    for score in scores:
        apart = spread(score)
        if apart is not None and apart > limit:
            yield f"panel: {score.metric}: opinions lie {apart:.2f} apart, more than {limit:.2f}"


def _against_scorers(scores: Sequence[Score], limit: float) -> Iterator[str]:
    by_metric = {s.metric: s for s in scores}
    for score in _judged(scores):
        scorer = by_metric.get(rubric(score.metric.removeprefix(JUDGE)).speaks_to)
        if scorer is None or scorer.calibrated is None or score.calibrated is None:
            continue
        if (gap := abs(score.calibrated - scorer.calibrated)) > limit:
            told = f"{score.calibrated:.2f} and {scorer.calibrated:.2f} on the human scale"
            yield f"judge and scorer: {score.metric} and {scorer.metric} give {told}, {gap:.2f} apart, more than {limit:.2f}"


def _unsure(scores: Sequence[Score]) -> Iterator[str]:
    for score in _judged(scores):
        unclear = _unclear(score)
        if score.value is None:
            yield f"confidence: {score.metric}: unscored ({score.reason})"
        elif len(unclear) > UNCLEAR * len(score.parts):
            yield f"confidence: {score.metric}: {len(unclear)} of {len(score.parts)} criteria were not clear"


def _near(conversation: Conversation, scores: Sequence[Score], limits: Sequence[Limit]) -> Iterator[str]:
    values = {s.metric: s.value for s in scores}
    for limit in limits:
        value = values.get(limit.metric)
        if limit.unsure and value is not None and applies(limit.metric, conversation) and limit.unsure[0] <= value <= limit.unsure[1]:
            told = f"raw {value:.3f} lies within {limit.unsure[0]:.3f}–{limit.unsure[1]:.3f}"
            yield f"confidence: {limit.metric}: {told}, where its card cannot tell on which side of {limit.least:.2f} it is"


def _unclear(score: Score) -> set[str]:
    """Return the criteria that nobody could answer, those that do not apply left out: the reasons of the opinions name them."""
    found = (_UNCLEAR.search(reason) for reason in ([o.reason for o in score.panel] or [score.reason]))
    named = {name for match in found if match for name in match[1].split(", ")}
    return {p.name for p in score.parts if p.value is None and p.name in named}


def _stakes(conversation: Conversation, scores: Sequence[Score]) -> Iterator[str]:
    planned = conversation.blueprint.risk if conversation.blueprint else conversation.labels.risk
    if planned == "high":
        yield "stakes: the risk is labelled high"
    urgency = next((s.value for s in scores if s.metric == "urgency"), None)
    grade = max((m.grade for m in mentions(read(conversation)) if not m.history), default=0)
    if urgency is not None and urgency >= URGENT:
        yield "stakes: the client's words are urgent or an emergency"
    elif grade >= ACTIVE:
        yield f"stakes: the client's words show risk of grade {grade}"


def _instructions(conversation: Conversation) -> Iterator[str]:
    for e in instructions(conversation)[:1]:
        yield f"instruction: turn {e.turn} talks to a model: “{e.quote[:80]}”"


def _drawn(conversation: Conversation, share: float) -> Iterator[str]:
    accepted = conversation.verdict is not None and conversation.verdict.accepted
    if accepted and int(stable_id("review", conversation.id), 16) < share * 2**64:
        yield f"drawn: one of the {share:.1%} of accepted records that a person sees"


def _judged(scores: Sequence[Score]) -> list[Score]:
    return [s for s in scores if s.metric.startswith(JUDGE)]
