"""A judge's answers: a verdict has evidence in the session, in the words of the right speaker, or it is unscored with its reason."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from judge_server import JudgeServer, best, worst
from rubric_folder import folder

from pixel_synth.errors import EngineDown, EngineError
from pixel_synth.judges import same_model, selfsame
from pixel_synth.judges.quotes import find, fold
from pixel_synth.judges.rubric import rubric, rubrics
from pixel_synth.judges.session import SAMPLED, call, judge_session, reference
from pixel_synth.judges.steps import Judge
from pixel_synth.judges.verdict import verdict_model
from pixel_synth.knowledge import Knowledge
from pixel_synth.llms.ask import Stopped
from pixel_synth.llms.engine import Call, Completion
from pixel_synth.llms.mock import Mock
from pixel_synth.llms.model import PixelLLM
from pixel_synth.records import Blueprint, Conversation, Labels, Message, Provenance, Score

SAID = (
    "I haven’t slept since my sister left.\n\nNot one   night.",
    "A house without your sister, and no sleep at all.",
    "Yes.",
    "What is it like at three in the morning?",
    "I count the cars – there were nine <3 and I said “enough”.",
    "You were counting the cars to get through it. That sounds lonely.",
)


def session(*said: str, **more: Any) -> Conversation:
    messages = tuple(Message(role="assistant" if i % 2 else "user", content=text) for i, text in enumerate(said or SAID))
    source = Provenance(engine="", model="", toolkit="", seed=0, source="test")
    return Conversation(**{"id": "c1", "category": "auxiliary", "messages": messages, "provenance": source, **more})


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Use the small rubrics of the tests."""
    monkeypatch.setenv("PIXEL_PROMPTS_DIR", str(folder(tmp_path / "prompts")))


def asking(*answers: str | Exception) -> Any:
    asks: list[Call] = []

    async def ask(asked: Call) -> Completion:
        asks.append(asked)
        said = answers[min(len(asks), len(answers)) - 1]
        if isinstance(said, Exception):
            raise said
        return Completion(text=said)

    ask.asks = asks  # type: ignore[attr-defined]
    return ask


def finding(answer: str, quote: str = "", why: str = "It says so.") -> dict[str, str]:
    return {"quote": quote, "why": why, "answer": answer}


GOOD = {
    "warm": finding("yes", "That sounds lonely"),
    "advice": finding("0", "What is it like at three"),
    "told": finding("5", "I count the cars"),
}


def verdict(**changed: dict[str, Any]) -> str:
    return json.dumps({**GOOD, **changed})


def judged(ask: Any, name: str = "small", repairs: int = 1, conversation: Conversation | None = None, **more: Any) -> Score:
    return asyncio.run(judge_session(name, conversation or session(), ask, repairs, **more))


# ------------------------------------------------------------------------------------------------ quotes


@pytest.mark.parametrize(
    ("quote", "turn", "stands"),
    [
        ("I haven't slept since my sister left. Not one night.", 0, "I haven’t slept since my sister left.\n\nNot one   night."),
        ("[0] client: Not one night", 0, "Not one   night"),
        ("'without your sister'", 1, "without your sister"),
        ("cars - there were nine < 3 and I said 'enough'.", 4, "cars – there were nine <3 and I said “enough”."),
        ("Yes.", 2, "Yes."),
        ("the cars", 4, "the cars"),
    ],
)
def test_a_quote_is_found_whatever_the_shape_of_its_marks(quote: str, turn: int, stands: str) -> None:
    messages = session().messages
    found_turn, start, end = find(quote, messages, "either")
    assert (found_turn, messages[turn].content[start:end]) == (turn, stands)


def test_a_quote_is_looked_for_where_its_speaker_talks() -> None:
    assert find("the cars", session().messages, "therapist").turn == 5
    with pytest.raises(ValueError, match="does not stand in what the therapist says"):
        find("I count the cars", session().messages, "therapist")


@pytest.mark.parametrize("quote", ["", "  ", "I count the stars", "sister left. A house", "Not one night. Yes."])
def test_words_that_nobody_said_in_one_turn_are_no_quote(quote: str) -> None:
    with pytest.raises(ValueError, match="does not stand"):
        find(quote, session().messages, "either")


def test_a_few_letters_are_no_evidence_unless_the_turn_has_no_more() -> None:
    with pytest.raises(ValueError, match="too short"):
        find("lonely", session().messages, "either")
    assert find("Yes", session().messages, "either").turn == 2


@given(st.text(min_size=1, max_size=80), st.data())
def test_every_piece_of_a_turn_that_a_judge_could_copy_is_found_where_it_stands(text: str, data: st.DataObject) -> None:
    folded = fold(text)
    assert len(folded.text) == len(folded.at)
    assert fold(folded.text).text == folded.text
    if len(folded.text.strip("' ")) < 8 or folded.text.lstrip().startswith("["):
        return
    start = data.draw(st.integers(0, len(folded.text) - 8))
    piece = folded.text[start : start + 30]
    if len(piece.strip("' ")) < 8 or piece.lstrip().startswith("["):
        return
    messages = (Message(role="user", content=text),)
    _, first, last = find(piece, messages, "client")
    assert fold(text[first:last]).text.strip("' ") == piece.strip("' ")


# ----------------------------------------------------------------------------------------------- verdicts


@pytest.mark.usefixtures("own")
def test_a_score_has_a_part_for_each_criterion_and_evidence_where_it_stands() -> None:
    score = judged(asking(verdict(advice=finding("1", "What is it like", "It leads a little."))))
    assert score.metric == "judge.small"
    assert score.value == pytest.approx((1 + 2 * 0.5 + 1) / 4)
    assert {p.name: p.value for p in score.parts} == {"warm": 1.0, "advice": 0.5, "told": 1.0}
    assert [(e.label, e.turn) for e in score.evidence] == [("warm", 5), ("advice", 3), ("told", 4)]
    for e in score.evidence:
        assert session().messages[e.turn].content[e.start : e.end] == e.quote
    assert score.reason == "advice 1: It leads a little."


@pytest.mark.usefixtures("own")
def test_what_is_unclear_or_does_not_apply_takes_no_part() -> None:
    score = judged(asking(verdict(told=finding("not_applicable"), advice=finding("unclear"))))
    assert score.value == 1.0
    assert {p.name: p.value for p in score.parts} == {"warm": 1.0, "advice": None, "told": None}
    assert score.reason == "unclear: advice; not applicable: told"
    nothing = judged(asking(verdict(**{id: finding("unclear") for id in GOOD})))
    assert nothing.value is None
    assert nothing.reason.startswith("no criterion has a clear answer")


@pytest.mark.usefixtures("own")
def test_a_flow_whose_fatal_question_is_open_has_no_score_unless_another_one_failed() -> None:
    quote = "What is it like at three"
    fine = {"asked": finding("unclear"), **{id: finding(a, quote) for id, a in (("harm", "no"), ("named", "yes"), ("calm", "yes"))}}
    score = judged(asking(json.dumps(fine)), "flow")
    assert score.value is None
    assert score.reason.startswith("fatal and not settled: asked")
    assert judged(asking(json.dumps({**fine, "harm": finding("yes", quote)})), "flow").value == 0.45
    assert judged(asking(json.dumps({**fine, "asked": finding("not_applicable")})), "flow").value == 1.0


@pytest.mark.usefixtures("own")
@pytest.mark.parametrize(
    ("id", "bad", "told"),
    [
        ("warm", finding("yes", "I promise you will be fine"), "does not stand in what the therapist says"),
        ("warm", finding("yes", "I count the cars"), "does not stand in what the therapist says"),
        ("told", finding("5", "That sounds lonely"), "does not stand in what the client says"),
        ("told", finding("5"), "does not stand"),
        ("told", finding("unclear", "nobody said these very words"), "does not stand"),
        ("told", finding("5", "cars"), "too short"),
        ("told", finding("6", "I count the cars"), "told.answer: Input should be"),
        ("warm", finding("not_applicable"), "warm.answer: Input should be"),
        ("warm", {"answer": "yes", "quote": "That sounds lonely"}, "warm.why: Field required"),
    ],
)
def test_an_answer_that_rests_on_nothing_is_sent_back_and_unscored_when_it_comes_again(id: str, bad: dict[str, str], told: str) -> None:
    ask = asking(verdict(**{id: bad}), verdict())
    assert judged(ask).value == 1.0
    assert told in ask.asks[1].messages[-1]["content"]
    again = asking(verdict(**{id: bad}))
    score = judged(again, repairs=2)
    assert score.value is None
    assert score.reason.startswith("invalid: judge.small: ")
    assert id in score.reason
    assert len(again.asks) == 3


@pytest.mark.usefixtures("own")
def test_a_level_may_come_as_a_number() -> None:
    assert judged(asking(verdict(told={**GOOD["told"], "answer": 5}))).value == 1.0


@pytest.mark.usefixtures("own")
@pytest.mark.parametrize("answer", ["no json at all", "", EngineError("gone", kind="server_error")])
def test_a_judge_that_cannot_be_had_leaves_the_session_unscored(answer: str | Exception) -> None:
    score = judged(asking(answer))
    assert score.value is None
    assert score.reason.split(":")[0] in ("invalid", "empty", "server_error")


@pytest.mark.usefixtures("own")
@pytest.mark.parametrize("stop", [EngineDown("gone"), Stopped("enough")])
def test_a_judge_does_not_hide_that_the_run_has_to_stop(stop: Exception) -> None:
    with pytest.raises(type(stop)):
        judged(asking(stop))


@pytest.mark.usefixtures("own")
def test_further_samples_are_drawn_otherwise_and_booked_by_themselves() -> None:
    asks = [asking(verdict()) for _ in range(4)]
    for ask, more in zip(asks, ({}, {"sample": 1}, {"sample": 2}, {"temperature": 0.3}), strict=True):
        assert judged(ask, **more).value == 1.0
    drawn = [(a.asks[0].sampling["temperature"], a.asks[0].sampling["seed"], a.asks[0].part) for a in asks]
    assert drawn == [(0.0, 0, "judge.small"), (SAMPLED, 1, "judge.small.1"), (SAMPLED, 2, "judge.small.2"), (0.3, 0, "judge.small")]
    assert len({a.asks[0].key("m") for a in asks}) == 4


# ----------------------------------------------------------------------------------------------- requests


def test_two_records_with_the_same_words_are_judged_by_the_same_request(conversation: Conversation, knowledge: Knowledge) -> None:
    source = Provenance(engine="server", model="big", toolkit="9", seed=1, source="elsewhere", license="MIT")
    bare = Conversation(id="x", category="voice", messages=conversation.messages, provenance=source)
    assert conversation.blueprint
    assert conversation.scores
    assert conversation.reasoning
    for found in (r for r in rubrics() if r.asks == "session"):
        told = bare.model_copy(update={"labels": Labels(topic=conversation.blueprint.topic, modality=conversation.blueprint.modality)})
        one, other = call(found, conversation, knowledge), call(found, told if found.knowledge else bare, knowledge)
        assert json.dumps(one[1:4], sort_keys=True) == json.dumps(other[1:4], sort_keys=True), found.name
        assert one.key("m") == other.key("m")


def test_the_rubric_comes_first_and_is_the_same_for_all_sessions(conversation: Conversation) -> None:
    one, other = (call(rubric("alliance"), c).messages for c in (conversation, session()))
    assert [m["role"] for m in one] == ["system", "user"]
    assert one[0] == other[0]
    assert one[1] != other[1]
    assert all(c.ask in one[0]["content"] for c in rubric("alliance").criteria.values())


def test_a_system_message_which_may_hold_a_plan_is_not_shown() -> None:
    hidden = Message(role="system", content="You play a patient with panic disorder; the therapist uses CBT.")
    messages = (hidden, *session().messages)
    sent = call(rubric("alliance"), session(messages=messages)).messages[1]["content"]
    assert "panic" not in sent
    assert "[1] client: I haven’t slept" in sent


def test_knowledge_is_shown_as_the_packs_have_it_and_not_as_the_plan_chose(conversation: Conversation, knowledge: Knowledge) -> None:
    assert conversation.blueprint
    chosen = conversation.blueprint.model_dump() | {"criteria_met": (), "criteria_voiced": (), "moves": (), "risk": "high"}
    other = conversation.model_copy(update={"blueprint": Blueprint.model_validate(chosen)})
    shown = reference(conversation, knowledge)
    assert shown == reference(other, knowledge)
    assert len(shown.splitlines()) > 6
    (factual,) = [r for r in rubrics() if r.knowledge]
    assert shown in call(factual, conversation, knowledge).messages[1]["content"]
    assert "What the reference says" not in call(factual, session(), knowledge).messages[1]["content"]


def test_the_schema_asks_for_evidence_first_and_for_every_criterion() -> None:
    for found in rubrics():
        schema = verdict_model(found).model_json_schema()
        assert list(schema["properties"]) == schema["required"] == list(found.criteria)
        for id, field in schema["properties"].items():
            inner = schema["$defs"][field["$ref"].rpartition("/")[2]]
            assert list(inner["properties"]) == inner["required"] == ["quote", "why", "answer"]
            assert tuple(inner["properties"]["answer"]["enum"]) == found.criteria[id].answers


# -------------------------------------------------------------------------------------------- who judges


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Qwen/Qwen2.5-7B-Instruct", "/models/qwen2.5-7b-instruct-awq/", True),
        ("Qwen2.5-7B-Instruct-GPTQ-Int4", "qwen2.5:7b-instruct", True),
        ("meta-llama/Llama-3.1-8B-Instruct", "RedHatAI/Llama-3.1-8B-Instruct-quantized.w4a16", True),
        ("hub/models--Qwen--Qwen3-8B/snapshots/0123abcd", "Qwen/Qwen3-8B-FP8", True),
        ("Mistral-7B-Instruct-v0.3.Q4_K_M.gguf", "mistralai/Mistral-7B-Instruct-v0.3", True),
        ("Qwen/Qwen2.5-7B", "Qwen/Qwen2.5-7B-Instruct", False),
        ("Qwen/Qwen2.5-7B", "Qwen/Qwen2.5-72B", False),
        ("Qwen/Qwen2.5-7B", "Qwen/Qwen2-7B", False),
        ("composer", "Qwen/Qwen2-7B", False),
        ("", "", False),
    ],
)
def test_a_model_is_known_however_it_is_stored(one: str, other: str, same: bool) -> None:
    assert same_model(one, other) is same_model(other, one) is same
    source = Provenance(engine="server", model=one, toolkit="", seed=0)
    assert selfsame(session(provenance=source), other) is same


# ------------------------------------------------------------------------------------------ as distilabel


def test_as_a_distilabel_task_a_row_that_cannot_be_judged_has_no_score_and_a_reason() -> None:
    rows: list[dict[str, Any]] = [{"messages": [m.model_dump() for m in session().messages]}, {"messages": "none"}]
    with Mock() as mock:
        task = Judge(llm=PixelLLM(base_url=(mock.url,)), rubric="alliance", repairs=0)
        task.load()
        first, second = next(task.process(rows))
    assert first["error"] == ""
    assert first["score"] is None
    assert "does not stand in" in first["reason"]
    assert second["score"] is None
    assert second["error"]


@pytest.mark.parametrize(("decide", "low", "high"), [(best, 0.7, 1.0), (worst, 0.0, 0.3)])
def test_as_a_distilabel_task_it_returns_what_the_judge_says(decide: Any, low: float, high: float) -> None:
    rows = [{"messages": [m.model_dump() for m in session().messages], "topic": "panic_disorder", "modality": "cbt"}]
    with JudgeServer(decide) as server:
        task = Judge(llm=PixelLLM(base_url=(server.url,)), rubric="epitome", repairs=0)
        task.load()
        (row,) = next(task.process(rows))
    assert low <= row["score"] <= high
    assert len(row["parts"]) == len(rubric("epitome").criteria)
    assert row["evidence"]
