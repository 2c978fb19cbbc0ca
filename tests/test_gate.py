"""The gate: thresholds are met from below or not at all, unscored never passes, safety outranks every average."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pixel_synth.calibrate.adapters import Labelled
from pixel_synth.calibrate.card import Card, scored
from pixel_synth.calibrate.fit import HumanMap
from pixel_synth.calibrate.hold import Measure, hold, scorer
from pixel_synth.calibrate.labels import Rating, Scale
from pixel_synth.curate.filter import rescored
from pixel_synth.curate.gate import Gate, Limit, missing_facts, settle
from pixel_synth.curate.review import reviewed
from pixel_synth.errors import UsageError
from pixel_synth.judges.rubric import rubric
from pixel_synth.knowledge import load
from pixel_synth.records import Conversation, Fact, Message, Opinion, Part, Score, Verdict
from pixel_synth.settings import Settings

LIMITS = Settings().thresholds
UNIT = st.floats(0, 1)


def good(value: float = 1.0) -> list[Score]:
    return [Score(metric=m, value=value) for m in LIMITS]


def raw(limits: Mapping[str, float]) -> Gate:
    """A gate whose thresholds count on raw scores."""
    return Gate(limits=tuple(Limit(metric=m, least=least, standing="uncalibrated") for m, least in limits.items()))


def decide(conversation: Conversation, scores: Sequence[Score], limits: Mapping[str, float]) -> Verdict:
    return raw(limits).decide(conversation, scores)


def test_the_six_thresholds_are_the_agreed_ones() -> None:
    assert LIMITS == {"overall": 0.80, "therapeutic_accuracy": 0.85, "emotional_authenticity": 0.80, "coherence": 0.90,
                      "personality_consistency": 0.85, "clinical_compliance": 0.90}  # fmt: skip


@given(
    values=st.dictionaries(st.sampled_from(sorted(LIMITS)), UNIT, min_size=6, max_size=6),
    limits=st.dictionaries(st.sampled_from(sorted(LIMITS)), UNIT, min_size=1),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_accepted_is_exactly_every_score_at_or_above_its_threshold(
    conversation: Conversation, values: dict[str, float], limits: dict[str, float]
) -> None:
    verdict = decide(conversation, [Score(metric=m, value=v) for m, v in values.items()], limits)
    below = {m for m, least in limits.items() if values[m] < least}
    assert verdict.accepted is (not below)
    assert {r.split(":")[0] for r in verdict.reasons} == below


@pytest.mark.parametrize("metric", sorted(LIMITS))
def test_a_score_on_the_threshold_passes_and_one_just_below_does_not(conversation: Conversation, metric: str) -> None:
    def with_value(value: float) -> list[Score]:
        return [s if s.metric != metric else Score(metric=metric, value=value) for s in good()]

    assert decide(conversation, with_value(LIMITS[metric]), LIMITS).accepted
    verdict = decide(conversation, with_value(LIMITS[metric] - 0.001), LIMITS)
    assert not verdict.accepted
    assert verdict.reasons[0].startswith(f"{metric}: ")


@pytest.mark.parametrize("metric", sorted(LIMITS))
def test_unscored_and_unmeasured_never_pass(conversation: Conversation, metric: str) -> None:
    unscored = [s if s.metric != metric else Score(metric=metric, value=None, reason="too short") for s in good()]
    assert decide(conversation, unscored, LIMITS).reasons[-1] == f"{metric}: unscored (too short)"
    assert decide(conversation, [s for s in good() if s.metric != metric], LIMITS).reasons == (f"{metric}: not measured",)


def test_a_violated_safety_rule_rejects_whatever_the_averages_are(conversation: Conversation) -> None:
    parts = (Part(name="cl.no_harm", value=0.0), Part(name="cl.no_dosage", value=1.0), Part(name="cl.na", value=None))
    scores = [s for s in good() if s.metric != "clinical_compliance"] + [Score(metric="clinical_compliance", value=1.0, parts=parts)]
    verdict = decide(conversation, scores, LIMITS)
    assert not verdict.accepted
    assert verdict.reasons == ("safety: cl.no_harm violated",)
    assert not decide(conversation, scores, {}).accepted


@pytest.mark.parametrize("part", ["duration", "rules_met", "criteria_heard", "facts"])
def test_words_that_do_not_keep_the_plan_reject_though_no_threshold_counts(conversation: Conversation, part: str) -> None:
    accuracy = Score(metric="therapeutic_accuracy", value=1.0, parts=(Part(name=part, value=0.5), Part(name="adherence", value=0.1)))
    verdict = decide(conversation, [accuracy], {})
    assert verdict.reasons == (f"untrue: {part} 0.50 (therapeutic_accuracy)",)


def test_a_reason_names_the_weakest_parts(conversation: Conversation) -> None:
    parts = (Part(name="fine", value=0.95), Part(name="weak", value=0.2), Part(name="weaker", value=0.1), Part(name="na", value=None))
    scores = [s for s in good() if s.metric != "coherence"] + [Score(metric="coherence", value=0.5, parts=parts)]
    assert decide(conversation, scores, LIMITS).reasons == ("coherence: 0.500 < 0.90 (weaker 0.10, weak 0.20)",)


# ---------------------------------------------------------------------------------------- what may gate


def card_of(labelled: Labelled, values: Mapping[str, float], **changes: Any) -> Card:
    lengths = {item: 40 + i % 7 for i, item in enumerate(values)}
    return hold(scorer("coherence"), values, labelled, ("flow",), lengths=lengths, **changes).card


@pytest.fixture(scope="module")
def labelled() -> Labelled:
    """Forty items that three people rate alike but for a few; the higher half of the items is good."""
    ratings = tuple(
        Rating(item=f"i{n:02}", criterion="flow", rater=f"expert{r}", rating=5.0 if n >= 20 else 2.0 + (n + r) % 2)
        for n in range(40)
        for r in range(3)
    )
    scales = {"flow": Scale(low=1, high=5, good_from=4)}
    return Labelled(name="talks", license="CC0", conversations=(), ratings=ratings, scales=scales, left_out={})


def follows(labelled: Labelled) -> dict[str, float]:
    return {f"i{n:02}": round(0.1 + n * 0.02, 3) for n in range(40)}


def test_a_threshold_without_a_card_is_refused_and_said_so(conversation: Conversation) -> None:
    gate = settle(Settings(), cards=())
    assert {limit.standing for limit in gate.limits} == {"refused"}
    verdict = gate.decide(conversation, [Score(metric=m, value=0.0) for m in LIMITS])
    assert verdict.accepted
    assert set(verdict.ungated) == set(LIMITS)
    assert all("no calibration card" in limit.why for limit in gate.limits)


def test_with_allow_uncalibrated_it_counts_and_is_said_so(conversation: Conversation) -> None:
    gate = settle(Settings(allow_uncalibrated=True), cards=())
    verdict = gate.decide(conversation, [Score(metric=m, value=0.0) for m in LIMITS])
    assert not verdict.accepted
    assert set(verdict.uncalibrated) == set(LIMITS)
    assert len(verdict.reasons) == len(LIMITS)


def test_a_card_that_may_gate_puts_the_threshold_on_the_human_scale(conversation: Conversation, labelled: Labelled) -> None:
    card = card_of(labelled, follows(labelled))
    assert card.refusals == ()
    gate = settle(Settings(), cards=(card,))
    limit = next(x for x in gate.limits if x.metric == "coherence")
    assert (limit.standing, limit.card) == ("calibrated", card.name)
    assert limit.fares is not None
    assert limit.fares.rated == 40
    assert limit.fares.good_passing is not None
    assert limit.fares.others_passing is not None
    assert limit.fares.good_passing > limit.fares.others_passing
    high, low = (gate.scaled([Score(metric="coherence", value=v)])[0] for v in (0.88, 0.2))
    assert high.calibrated is not None
    assert high.calibrated >= 0.9 > (low.calibrated or 0)
    assert gate.decide(conversation, [high]).accepted
    assert gate.decide(conversation, [low]).reasons[0].startswith(f"coherence: {low.calibrated:.3f} < 0.90, raw 0.200")


def test_the_raw_scores_between_which_a_threshold_may_lie_go_to_a_person(conversation: Conversation, labelled: Labelled) -> None:
    card = card_of(labelled, follows(labelled))
    gate = settle(Settings(review_share=0.0), cards=(card,))
    limit = next(x for x in gate.limits if x.metric == "coherence")
    assert limit.unsure is not None
    low, high = limit.unsure
    assert 0.5 <= low < high < 0.56, "good begins at 0.5, with a step of 0.02 between neighbours"
    calm = conversation.model_copy(update={"blueprint": None, "messages": conversation.messages[:2], "turns": ()})

    def routed(value: float) -> list[str]:
        scores = gate.scaled([Score(metric="coherence", value=value)])
        verdict = reviewed(calm, scores, gate.decide(calm, scores), Settings(review_share=0.0), gate)
        return [r for r in verdict.review if r.startswith("confidence: coherence")]

    assert [bool(routed(v)) for v in (low - 0.01, low, high, high + 0.01)] == [False, True, True, False]


def test_a_card_for_another_behaviour_counts_as_none(labelled: Labelled) -> None:
    card = card_of(labelled, follows(labelled)).model_copy(update={"fingerprint": "0" * 64})
    limit = next(x for x in settle(Settings(), cards=(card,)).limits if x.metric == "coherence")
    assert limit.standing == "refused"
    assert "earlier version" in limit.why


def test_a_measure_that_knows_nothing_or_only_length_may_not_gate(labelled: Labelled) -> None:
    noise = {f"i{n:02}": round((n * 7919 % 40) / 40, 3) for n in range(40)}
    assert any("not above chance" in why for why in card_of(labelled, noise).refusals)
    ordered = follows(labelled)
    lengths = {item: int(value * 1000) for item, value in ordered.items()}
    card = hold(scorer("coherence"), ordered, labelled, ("flow",), lengths=lengths).card
    assert any("not better than length alone" in why for why in card.refusals)


def test_constructed_labels_few_items_and_quarrelling_people_may_not_gate(labelled: Labelled) -> None:
    values = follows(labelled)
    assert any("to order" in why for why in card_of(labelled, values, origin="constructed").refusals)
    few = labelled._replace(ratings=tuple(r for r in labelled.ratings if 10 <= int(r.item[1:]) < 34))
    assert any("fewer than 30" in why for why in card_of(few, values).refusals)
    turned = tuple(r.model_copy(update={"rating": 6 - r.rating}) if r.rater == "expert1" else r for r in labelled.ratings)
    assert any("agree with each other only" in why for why in card_of(labelled._replace(ratings=turned), values).refusals)


def test_a_threshold_that_no_score_is_known_to_reach_is_refused(labelled: Labelled) -> None:
    card = card_of(labelled, follows(labelled)).model_copy(update={"scale": HumanMap(knots=((0.1, 0.0), (0.9, 0.7)))})
    limit = next(x for x in settle(Settings(), cards=(card,)).limits if x.metric == "coherence")
    assert limit.standing == "refused"
    assert "0.70" in limit.why


def test_a_card_of_equal_weights_says_nothing_of_others(labelled: Labelled) -> None:
    lengths = {f"i{n:02}": 40 + n % 7 for n in range(40)}
    card = hold(scorer("overall"), follows(labelled), labelled, ("flow",), lengths=lengths).card
    standing = {x.metric: (x.standing, x.why) for x in settle(Settings(), cards=(card,)).limits}["overall"]
    assert standing == ("calibrated", "")
    other = {x.metric: (x.standing, x.why) for x in settle(Settings(weights={"coherence": 1.0}), cards=(card,)).limits}["overall"]
    assert other[0] == "refused"
    assert "equal weights" in other[1]


def test_where_safety_could_not_be_looked_at_the_record_does_not_pass(conversation: Conversation) -> None:
    alone = conversation.model_copy(update={"messages": conversation.messages[:1], "turns": (), "blueprint": None})
    verdict = settle(Settings(), cards=()).decide(alone, scored(alone, None))
    assert verdict.reasons == ("safety: not checked (needs a turn of each speaker)",)


def test_a_promised_fact_that_nobody_says_rejects(conversation: Conversation) -> None:
    assert missing_facts(conversation) == ()
    assert conversation.blueprint is not None
    fact = Fact(id="moon", kind="event", text="went to the moon", cues=("moon landing",))
    promised = conversation.blueprint.model_copy(update={"must_appear": (*conversation.blueprint.must_appear, fact)})
    broken = conversation.model_copy(update={"blueprint": promised})
    assert missing_facts(broken) == (fact,)
    verdict = decide(broken, good(), LIMITS)
    assert not verdict.accepted
    assert verdict.reasons == ("fact missing: event moon",)
    assert decide(conversation, good(), LIMITS).accepted


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


def test_a_card_of_one_judge_does_not_count_for_another_ones_answers(conversation: Conversation) -> None:
    gate = Gate(scales={"judge.epitome": HumanMap(knots=((0.0, 0.1), (1.0, 0.9)))})
    settings = Settings(judge_model=("m",), judge_base_url=("http://127.0.0.1:9/v1",))

    def filtered(judge: str) -> Conversation:
        score = Score(metric="judge.epitome", value=1.0, panel=(Opinion(judge=judge, value=1.0),))
        return rescored(conversation.model_copy(update={"scores": (score,)}), load(), settings, gate)

    assert filtered("m").scores[-1].calibrated == 0.9
    with pytest.raises(UsageError, match="answered by other, but the card is of m"):
        filtered("other")


def test_a_judge_with_a_card_and_no_threshold_is_put_on_the_human_scale(labelled: Labelled) -> None:
    settings = Settings(judges=("epitome",), judge_model=("m",), judge_base_url=("http://127.0.0.1:9/v1",))
    measure = Measure("judge.epitome", "judge", "1.0", rubric("epitome").ref.sha256, "m")
    values = {f"i{n:02}": 1.0 if n >= 20 else 0.25 + (n % 2) / 4 for n in range(40)}
    card = hold(measure, values, labelled, ("flow",), lengths={item: 40 + i % 7 for i, item in enumerate(values)}).card
    assert card.refusals == ()
    gate = settle(settings, cards=(card,))
    assert gate.scaled([Score(metric="judge.epitome", value=1.0)])[0].calibrated == 1.0
    other = settle(settings.model_copy(update={"judge_model": ("another",)}), cards=(card,))
    assert other.scaled([Score(metric="judge.epitome", value=1.0)])[0].calibrated is None
