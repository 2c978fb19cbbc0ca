"""The gate: thresholds are met from below or not at all, unscored never passes, safety outranks every average."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixel_synth.curate.gate import gate, judge, missing_facts
from pixel_synth.records import Conversation, Fact, Message, Part, Score
from pixel_synth.settings import Settings

LIMITS = Settings().thresholds
UNIT = st.floats(0, 1)


def good(value: float = 1.0) -> list[Score]:
    return [Score(metric=m, value=value) for m in LIMITS]


def test_the_six_thresholds_are_the_agreed_ones() -> None:
    assert LIMITS == {"overall": 0.80, "therapeutic_accuracy": 0.85, "emotional_authenticity": 0.80, "coherence": 0.90,
                      "personality_consistency": 0.85, "clinical_compliance": 0.90}  # fmt: skip


@given(
    st.dictionaries(st.sampled_from(sorted(LIMITS)), UNIT, min_size=6, max_size=6),
    st.dictionaries(st.sampled_from(sorted(LIMITS)), UNIT, min_size=1),
)
def test_accepted_is_exactly_every_score_at_or_above_its_threshold(values: dict[str, float], limits: dict[str, float]) -> None:
    verdict = gate([Score(metric=m, value=v) for m, v in values.items()], limits)
    below = {m for m, least in limits.items() if values[m] < least}
    assert verdict.accepted is (not below)
    assert {r.split(":")[0] for r in verdict.reasons} == below


@pytest.mark.parametrize("metric", sorted(LIMITS))
def test_a_score_on_the_threshold_passes_and_one_just_below_does_not(metric: str) -> None:
    def with_value(value: float) -> list[Score]:
        return [s if s.metric != metric else Score(metric=metric, value=value) for s in good()]

    assert gate(with_value(LIMITS[metric]), LIMITS).accepted
    verdict = gate(with_value(LIMITS[metric] - 0.001), LIMITS)
    assert not verdict.accepted
    assert verdict.reasons[0].startswith(f"{metric}: ")


@pytest.mark.parametrize("metric", sorted(LIMITS))
def test_unscored_and_unmeasured_never_pass(metric: str) -> None:
    unscored = [s if s.metric != metric else Score(metric=metric, value=None, reason="too short") for s in good()]
    assert gate(unscored, LIMITS).reasons == (f"{metric}: unscored (too short)",)
    assert gate([s for s in good() if s.metric != metric], LIMITS).reasons == (f"{metric}: not measured",)


def test_a_violated_safety_rule_rejects_whatever_the_averages_are() -> None:
    parts = (Part(name="cl.no_harm", value=0.0), Part(name="cl.no_dosage", value=1.0), Part(name="cl.na", value=None))
    scores = [s for s in good() if s.metric != "clinical_compliance"] + [Score(metric="clinical_compliance", value=1.0, parts=parts)]
    verdict = gate(scores, LIMITS)
    assert not verdict.accepted
    assert verdict.reasons == ("safety: cl.no_harm violated",)
    assert not gate(scores, {}).accepted


def test_a_reason_names_the_weakest_parts() -> None:
    parts = (Part(name="fine", value=0.95), Part(name="weak", value=0.2), Part(name="weaker", value=0.1), Part(name="na", value=None))
    scores = [s for s in good() if s.metric != "coherence"] + [Score(metric="coherence", value=0.5, parts=parts)]
    assert gate(scores, LIMITS).reasons == ("coherence: 0.500 < 0.90 (weaker 0.10, weak 0.20)",)


def test_a_promised_fact_that_nobody_says_rejects(conversation: Conversation) -> None:
    assert missing_facts(conversation) == ()
    assert conversation.blueprint is not None
    fact = Fact(id="moon", kind="event", text="went to the moon", cues=("moon landing",))
    promised = conversation.blueprint.model_copy(update={"must_appear": (*conversation.blueprint.must_appear, fact)})
    broken = conversation.model_copy(update={"blueprint": promised})
    assert missing_facts(broken) == (fact,)
    verdict = judge(broken, good(), LIMITS)
    assert not verdict.accepted
    assert verdict.reasons == ("fact missing: event moon",)
    assert judge(conversation, good(), LIMITS).accepted


@pytest.mark.parametrize("speaker", ["client", "therapist"])
@pytest.mark.parametrize("role", ["user", "assistant"])
def test_a_fact_counts_only_from_the_speaker_it_was_promised_of(conversation: Conversation, speaker: str, role: str) -> None:
    assert conversation.blueprint is not None
    fact = Fact(id="moon", kind="event", text="moon", cues=("moon landing",), speaker=speaker)  # type: ignore[arg-type]
    bp = conversation.blueprint.model_copy(update={"must_appear": (fact,)})
    messages = (*conversation.messages[:-1], Message(role=role, content="We spoke of the moon landing."))  # type: ignore[arg-type]
    missing = missing_facts(conversation.model_copy(update={"blueprint": bp, "messages": messages}))
    assert missing == (() if (speaker == "client") is (role == "user") else (fact,))


def test_a_conversation_without_a_plan_owes_no_facts(conversation: Conversation) -> None:
    assert missing_facts(conversation.model_copy(update={"blueprint": None})) == ()
