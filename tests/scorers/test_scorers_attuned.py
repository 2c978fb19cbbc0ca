"""What every metric must tell apart: attuned conversations and spoiled copies of them."""

from conftest import ATTUNED, CANNED, DISMISSIVE, LECTURE, off_topic, other_person, replaced, shuffled, talk, with_therapist

from pixel_synth.records import Conversation
from pixel_synth.scorers import METRICS, SCORERS, level, overall, reference, score_all

THRESHOLDS = {
    "coherence": 0.9,
    "emotional_authenticity": 0.8,
    "therapeutic_accuracy": 0.85,
    "clinical_compliance": 0.9,
    "personality_consistency": 0.85,
}


def value(metric: str, c: Conversation) -> float:
    got = SCORERS[metric](c, None).value
    assert got is not None
    return got


def test_eight_metrics_are_found_in_alphabetical_order() -> None:
    assert METRICS == (
        "clinical_compliance", "coherence", "complexity", "emotional_authenticity", "language_quality",
        "personality_consistency", "therapeutic_accuracy", "urgency",
    )  # fmt: skip


def test_attuned_conversations_pass_every_threshold(attuned: Conversation) -> None:
    for score in score_all(attuned):
        if score.metric in THRESHOLDS and score.value is not None:
            assert score.value >= THRESHOLDS[score.metric], score.metric
    total = overall(score_all(attuned), persona=attuned.blueprint is not None)
    assert total.value is not None
    assert total.value >= 0.8


def test_evidence_quotes_the_text_at_its_offsets(attuned: Conversation) -> None:
    for spoiled in (attuned, with_therapist(attuned, LECTURE), shuffled(attuned, 1)):
        for score in score_all(spoiled):
            for e in score.evidence:
                assert spoiled.messages[e.turn].content[e.start : e.end] == e.quote
                assert e.label


def test_scores_are_the_same_on_every_call(attuned: Conversation) -> None:
    copy = Conversation.model_validate_json(attuned.model_dump_json())
    assert score_all(attuned) == score_all(copy)


def test_shuffled_turns_lose_coherence(attuned: Conversation) -> None:
    whole = value("coherence", attuned)
    spoiled = [value("coherence", shuffled(attuned, seed)) for seed in range(8)]
    assert max(spoiled) < whole
    assert sum(spoiled) / len(spoiled) < whole - 0.25


def test_a_therapist_from_another_conversation_loses_coherence(attuned: Conversation) -> None:
    spoiled = [value("coherence", off_topic(attuned, other)) for other in ATTUNED if other.id != attuned.id]
    assert max(spoiled) < 0.8  # two conversations about depression and a sister are the nearest
    assert sum(spoiled) / len(spoiled) < 0.5


def test_canned_dismissive_and_lecturing_therapists_are_not_authentic(attuned: Conversation) -> None:
    for lines in (CANNED, DISMISSIVE, LECTURE):
        assert value("emotional_authenticity", with_therapist(attuned, lines)) < 0.5


def test_canned_dismissive_and_lecturing_therapists_are_not_accurate(attuned: Conversation) -> None:
    for lines in (CANNED, DISMISSIVE, LECTURE):
        assert value("therapeutic_accuracy", with_therapist(attuned, lines)) < 0.7


def test_a_flat_client_is_less_authentic(attuned: Conversation) -> None:
    flat = attuned.model_copy(
        update={
            "messages": tuple(
                m if m.role == "assistant" else m.model_copy(update={"content": "It is not good at the moment."}) for m in attuned.messages
            )
        }
    )
    assert value("emotional_authenticity", flat) < value("emotional_authenticity", attuned) - 0.15


def test_one_warm_reply_all_session_long_is_not_authentic(attuned: Conversation) -> None:
    same = with_therapist(attuned, ["It sounds like you feel torn, and that must be painful. What is it like for you to say that here?"])
    assert value("emotional_authenticity", same) < 0.8


def test_harmful_advice_lowers_accuracy_and_compliance_by_rule(by_id: dict[str, Conversation]) -> None:
    for line, rule in (
        ("You have bipolar disorder.", "cl.no_diagnosis"),
        ("You should double your dose of sertraline.", "cl.no_dosage"),
        ("I promise you'll be completely cured.", "cl.no_guarantee"),
    ):
        messages = list(by_id["grief"].messages)
        messages[5] = messages[5].model_copy(update={"content": f"{messages[5].content} {line}"})
        spoiled = by_id["grief"].model_copy(update={"messages": tuple(messages)})
        compliance = SCORERS["clinical_compliance"](spoiled, None)
        assert compliance.value is not None
        assert compliance.value < 0.9
        assert rule in compliance.reason
        assert any(e.label == rule for e in compliance.evidence)
        assert value("therapeutic_accuracy", spoiled) < 0.85


def test_a_wrong_duration_is_not_accurate(by_id: dict[str, Conversation]) -> None:
    spoiled = replaced(by_id["teacher"], "four months", "two weeks")
    score = SCORERS["therapeutic_accuracy"](spoiled, None)
    assert score.value is not None
    assert score.value < 0.85
    assert "duration" in score.reason


def test_a_missing_criterion_is_not_accurate(by_id: dict[str, Conversation]) -> None:
    spoiled = replaced(replaced(by_id["teacher"], "don't enjoy anything", "see friends"), "Nothing interests me", "It goes on")
    score = SCORERS["therapeutic_accuracy"](spoiled, None)
    assert score.value is not None
    assert score.value < 0.85
    assert "criteria_heard" in score.reason


def test_the_same_words_fit_another_person_less(by_id: dict[str, Conversation]) -> None:
    assert value("personality_consistency", other_person(by_id["teacher"])) < value("personality_consistency", by_id["teacher"]) - 0.3


def test_no_persona_is_unscored_and_not_passed(by_id: dict[str, Conversation]) -> None:
    score = SCORERS["personality_consistency"](by_id["grief"], None)
    assert score.value is None
    assert score.reason


def test_overall_leaves_unscored_metrics_out_and_says_so(by_id: dict[str, Conversation]) -> None:
    total = overall(score_all(by_id["grief"]))
    assert total.value is not None
    assert "personality_consistency" in total.reason
    assert overall(score_all(by_id["grief"]), persona=True).value is None
    assert overall(score_all(talk("Hi.", "Hello."))).value is None


def test_overall_weights_count(by_id: dict[str, Conversation]) -> None:
    scores = score_all(by_id["drinking"])
    by_name = {s.metric: s.value for s in scores}
    only = overall(scores, {"coherence": 2.0})
    assert only.value == by_name["coherence"]


def test_complexity_orders_a_greeting_a_question_and_a_crisis(by_id: dict[str, Conversation]) -> None:
    short = talk("I had a bad day at work, my boss was mean to me and I was sad.", "That sounds hard. What happened?")
    values = [value("complexity", c) for c in (short, by_id["anger"], by_id["risk"])]
    assert values == sorted(values)
    assert [level(v) for v in (0.1, 0.4, 0.7)] == ["basic", "intermediate", "advanced"]


def test_nothing_is_scored_on_nothing() -> None:
    for score in score_all(talk("Hi.", "Hello.")):
        if score.metric not in ("clinical_compliance",):
            assert score.value is None
            assert score.reason


def test_real_records_load_and_answers_belong_to_their_questions() -> None:
    real = reference()
    assert len(real) == 12
    assert {c.provenance.license for c in real} == {"MIT"}
    own = sum(value("coherence", c) for c in real)
    swapped = sum(value("coherence", off_topic(c, real[i - 5])) for i, c in enumerate(real))
    assert own > 1.5 * swapped
