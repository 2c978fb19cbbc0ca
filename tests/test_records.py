"""Records: closed, immutable, round trips, stable ids."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from pixel_synth.plan import Plan
from pixel_synth.records import (
    Attempt,
    Blueprint,
    Conversation,
    Evidence,
    Message,
    Outcome,
    Part,
    Provenance,
    Score,
    TurnTag,
    stable_id,
)

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)
UNIT = st.floats(0, 1)
SCORE = st.builds(
    Score,
    metric=TEXT,
    value=UNIT,
    reason=st.just("r"),
    parts=st.lists(st.builds(Part, name=TEXT, value=st.none() | UNIT), max_size=2).map(tuple),
    evidence=st.lists(
        st.builds(Evidence, turn=st.integers(0, 9), start=st.just(0), end=st.just(1), quote=TEXT, label=TEXT), max_size=2
    ).map(tuple),
)
CONVERSATION = st.builds(
    Conversation,
    id=TEXT,
    category=st.sampled_from(["psychology", "voice", "reasoning"]),
    messages=st.lists(st.builds(Message, role=st.sampled_from(["user", "assistant", "system"]), content=TEXT), min_size=2, max_size=5).map(
        tuple
    ),
    scores=st.lists(SCORE, max_size=2).map(tuple),
    provenance=st.builds(Provenance, engine=TEXT, model=TEXT, toolkit=TEXT, seed=st.integers(0, 2**62)),
)


@given(CONVERSATION)
def test_a_conversation_is_one_line_and_comes_back_equal(record: Conversation) -> None:
    line = record.line()
    assert "\n" not in line
    assert Conversation.model_validate_json(line) == record
    assert Conversation.model_validate_json(line).line() == line


def test_a_composed_conversation_and_its_outcome_come_back_equal(conversation: Conversation) -> None:
    assert conversation.blueprint is not None
    outcome = Outcome(
        slot=0, accepted=True, attempts=(Attempt(status="accepted", blueprint=conversation.blueprint, conversation=conversation),)
    )
    assert Outcome.model_validate_json(outcome.line()) == outcome


def test_records_are_closed_and_frozen(plan: Plan) -> None:
    bp = plan.blueprint(0)
    with pytest.raises(ValidationError, match="frozen"):
        bp.turns = 8  # type: ignore[misc]
    with pytest.raises(ValidationError, match="Extra inputs"):
        Blueprint.model_validate({**bp.model_dump(), "clock": 1})


def test_an_unscored_metric_needs_a_reason_and_scores_stay_between_0_and_1() -> None:
    with pytest.raises(ValidationError, match="needs a reason"):
        Score(metric="coherence", value=None)
    assert Score(metric="coherence", value=None, reason="too short").value is None
    for value in (-0.01, 1.01):
        with pytest.raises(ValidationError):
            Score(metric="coherence", value=value)


def test_tags_must_match_the_messages(conversation: Conversation) -> None:
    data = conversation.model_dump()
    with pytest.raises(ValidationError, match=f"1 tags for {len(conversation.messages)} messages"):
        Conversation.model_validate({**data, "turns": [TurnTag(phase="work").model_dump()]})
    assert Conversation.model_validate({**data, "turns": []}).turns == ()


def test_an_empty_message_and_a_monologue_are_refused(conversation: Conversation) -> None:
    with pytest.raises(ValidationError):
        Message(role="user", content="")
    with pytest.raises(ValidationError):
        Conversation.model_validate({**conversation.model_dump(), "messages": [{"role": "user", "content": "hi"}], "turns": []})


def test_said_and_score_pick_by_role_and_metric(conversation: Conversation) -> None:
    assert conversation.said("user").split("\n")[0] == conversation.messages[0].content
    assert conversation.messages[1].content in conversation.said("assistant")
    assert conversation.messages[0].content not in conversation.said("assistant")
    assert conversation.score("overall") in conversation.scores
    assert conversation.score("no such metric") is None


@given(st.lists(st.text("ab", max_size=3), min_size=1, max_size=4), st.lists(st.text("ab", max_size=3), min_size=1, max_size=4))
def test_stable_ids_are_equal_exactly_for_equal_parts(one: list[str], two: list[str]) -> None:
    assert (stable_id(*one) == stable_id(*two)) is (one == two)
    assert len(stable_id(*one)) == 16


def test_a_stable_id_never_changes() -> None:
    assert stable_id("blueprint", 7, 0, 0) == "227b1e30f60d48d6"
