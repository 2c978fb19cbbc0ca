"""A judge's answers over real HTTP: a verdict has evidence in the session, or it is unscored with its reason."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from pixel_synth.judges.rubric import call, judge_session, rubric, verdict_model
from pixel_synth.judges.steps import Judge
from pixel_synth.llms.engine import Call, Completion
from pixel_synth.llms.mock import Mock
from pixel_synth.llms.model import PixelLLM
from pixel_synth.records import Conversation, Score

IDS = [id for id, _ in rubric("session").criteria]


def answers(*texts: str) -> Any:
    said = iter(texts)

    async def ask(asked: Call) -> Completion:
        asks.append(asked)
        return Completion(text=next(said))

    asks: list[Call] = []
    ask.asks = asks  # type: ignore[attr-defined]
    return ask


def verdict(conversation: Conversation, **changed: dict[str, str]) -> str:
    quote = conversation.messages[1].content[:20]
    return json.dumps({**{id: {"verdict": "yes", "quote": quote} for id in IDS}, **changed})


def judged(conversation: Conversation, ask: Any, repairs: int = 1) -> Score:
    return asyncio.run(judge_session("session", conversation, ask, repairs))


def test_the_score_is_the_share_of_yes_among_clear_answers_with_evidence_where_it_stands(conversation: Conversation) -> None:
    quote = conversation.messages[0].content[5:25]
    said = verdict(conversation, heard={"verdict": "no", "quote": quote}, pace={"verdict": "unclear", "quote": ""})
    score = judged(conversation, answers(said))
    assert score.metric == "judge.session"
    assert score.value == pytest.approx((len(IDS) - 2) / (len(IDS) - 1))
    assert {p.name: p.value for p in score.parts}["pace"] is None
    for e in score.evidence:
        assert conversation.messages[e.turn].content[e.start : e.end] == e.quote


def test_a_quote_that_nobody_said_is_sent_back_and_unscored_when_it_comes_again(conversation: Conversation) -> None:
    made_up = verdict(conversation, safe={"verdict": "yes", "quote": "I promise you will be fine"})
    ask = answers(made_up, verdict(conversation))
    assert judged(conversation, ask).value == 1.0
    assert "does not stand in the session" in ask.asks[1].messages[-1]["content"]
    score = judged(conversation, answers(made_up, made_up))
    assert score.value is None
    assert "invalid" in score.reason


def test_nothing_but_unclear_answers_is_unscored_and_no_number(conversation: Conversation) -> None:
    said = json.dumps({id: {"verdict": "unclear", "quote": ""} for id in IDS})
    score = judged(conversation, answers(said))
    assert score.value is None
    assert "unclear" in score.reason


def test_the_judge_sees_the_session_as_data_and_nothing_of_plan_or_scores(conversation: Conversation) -> None:
    messages = call("session", conversation).messages
    assert [m["role"] for m in messages] == ["system", "user"]
    assert messages[0] == call("session", conversation.model_copy(update={"messages": conversation.messages[:2]})).messages[0]
    assert messages[1]["content"].startswith("<session>")
    text = " ".join(m["content"] for m in messages)
    assert conversation.blueprint is not None
    for hidden in (conversation.blueprint.topic, conversation.blueprint.modality, "composer", "threshold"):
        assert hidden not in text


def test_the_schema_asks_for_every_criterion_and_nothing_else() -> None:
    schema = verdict_model("session").model_json_schema()
    assert list(schema["properties"]) == schema["required"] == IDS
    assert schema["additionalProperties"] is False


def test_as_a_distilabel_task_a_row_that_cannot_be_judged_has_no_score_and_a_reason(conversation: Conversation) -> None:
    rows = [{"messages": [m.model_dump() for m in conversation.messages]}, {"messages": "none"}]
    with Mock() as mock:
        task = Judge(llm=PixelLLM(base_url=(mock.url,)), repairs=0)
        task.load()
        first, second = next(task.process(rows))
    assert first["error"] == ""
    assert first["score"] is None
    assert "does not stand in the session" in first["reason"]
    assert second["score"] is None
    assert second["error"]
