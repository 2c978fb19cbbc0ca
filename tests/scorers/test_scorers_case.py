"""The case in the conversation against the manual's rules."""

from conftest import replaced

from pixel_synth.knowledge.load import Knowledge
from pixel_synth.knowledge.models import CountRule, Criterion, Disorder
from pixel_synth.records import Conversation
from pixel_synth.scorers import SCORERS


def manual(min_days: int, at_least: int, *of: str) -> Knowledge:
    """Return a base with one disorder: a minimum duration and one count rule."""
    disorder = Disorder.model_construct(
        id="major_depressive_disorder",
        criteria=tuple(Criterion.model_construct(id=i, kind="symptom", text=i, cues=()) for i in of),
        rules=(CountRule(id="symptoms", of=of, at_least=at_least),),
        min_duration_days=min_days,
        max_duration_days=None,
    )
    return Knowledge((), {"disorder": {disorder.id: disorder}})


def accuracy(c: Conversation, knowledge: Knowledge) -> tuple[float, str]:
    score = SCORERS["therapeutic_accuracy"](c, knowledge)
    assert score.value is not None
    return score.value, score.reason


def test_a_true_case_passes(by_id: dict[str, Conversation]) -> None:
    assert accuracy(by_id["teacher"], manual(14, 2, "a2", "a4", "a7"))[0] >= 0.85


def test_a_count_rule_that_was_not_heard_fails(by_id: dict[str, Conversation]) -> None:
    c = by_id["teacher"]
    for old in ("I wake at four", "I feel guilty", "that I'm useless"):
        c = replaced(c, old, "I get on")
    value, reason = accuracy(c, manual(14, 2, "a2", "a4", "a7"))
    assert value < 0.85
    assert "rules_met" in reason


def test_a_plan_that_breaks_the_manuals_count_fails(by_id: dict[str, Conversation]) -> None:
    value, reason = accuracy(by_id["teacher"], manual(14, 5, "a2", "a4", "a7", "a8", "a9"))
    assert value < 0.85
    assert "rules_met" in reason


def test_a_duration_below_the_manuals_minimum_fails(by_id: dict[str, Conversation]) -> None:
    value, reason = accuracy(by_id["teacher"], manual(730, 2, "a2", "a4", "a7"))
    assert value < 0.85
    assert "duration" in reason
