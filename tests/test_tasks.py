"""The tasks: what an engine answers is validated strictly, and each role's view only grows at its end."""

from __future__ import annotations

import asyncio
import itertools
import json
from typing import Any

import pytest

from pixel_synth.knowledge import Knowledge
from pixel_synth.llms.composer import Composer
from pixel_synth.llms.engine import Call, Completion
from pixel_synth.plan import Plan
from pixel_synth.records import Blueprint, Conversation
from pixel_synth.tasks.context import AnswerError, Context, parse
from pixel_synth.tasks.dialogue import CLIENT_ACTS, THERAPIST_ACTS, ClientTurn, TherapistTurn, schema, write_dialogue
from pixel_synth.tasks.reasoning import write_reasoning
from pixel_synth.tasks.scenario import write_scenario


class Spoiled:
    """The composer, whose answer to the n-th call of a part is changed before it is handed on."""

    def __init__(self, composer: Composer, part: str, change: Any, n: int = 0) -> None:
        self.composer, self.part, self.change, self.n = composer, part, change, n
        self.calls: list[Call] = []

    async def __call__(self, call: Call) -> Completion:
        answer = await self.composer.complete(call)
        seen = sum(c.brief.part == self.part for c in self.calls)
        self.calls.append(call)
        if call.brief.part == self.part and seen == self.n:
            return self.change(answer)
        return answer


def with_keys(**keys: Any) -> Any:
    return lambda answer: answer.model_copy(update={"text": json.dumps({**json.loads(answer.text), **keys})})


def with_text(text: str) -> Any:
    return lambda answer: answer.model_copy(update={"text": text})


def same(answer: Completion) -> Completion:
    return answer


async def whole(bp: Blueprint, knowledge: Knowledge, ask: Any) -> Any:
    context = Context(bp, knowledge)
    case = await write_scenario(context, ask)
    messages, tags = await write_dialogue(context, case, ask)
    return case, messages, tags, await write_reasoning(context, messages, tags, ask)


BAD = [
    ("scenario", with_text("{not json"), "scenario"),
    ("scenario", with_text("null"), "scenario"),
    ("scenario", with_keys(extra=1), "extra"),
    ("scenario", with_keys(goal=""), "goal"),
    ("scenario", with_keys(goal="x" * 401), "goal"),
    ("scenario", lambda a: a.model_copy(update={"finish": "length"}), "truncated"),
    ("scenario", lambda a: a.model_copy(update={"finish": "refused", "text": "I cannot"}), "refused"),
    ("client", with_keys(act="monologue"), "act"),
    ("client", with_keys(move="cbt.agenda"), "move"),
    ("client", with_keys(say=""), "say"),
    ("client", with_keys(say=None), "say"),
    ("therapist", with_keys(move="made.up"), "'made.up' is not planned"),
    ("therapist", with_keys(say="x" * 901), "say"),
    ("therapist", with_keys(phase="lunch"), "phase"),
    ("therapist", lambda a: a.model_copy(update={"text": a.text[:-3]}), "JSON"),
    ("reasoning", with_keys(verdict="good"), "verdict"),
    ("reasoning", with_keys(risk=7), "risk"),
    ("reasoning", with_text(""), "reasoning"),
]


@pytest.mark.parametrize(("part", "change", "said"), BAD, ids=[f"{p}-{i}" for i, (p, _, _) in enumerate(BAD)])
def test_a_bad_answer_is_an_error_that_keeps_the_raw_text(plan: Plan, composer: Composer, part: str, change: Any, said: str) -> None:
    ask = Spoiled(composer, part, change)
    with pytest.raises(AnswerError) as caught:
        asyncio.run(whole(plan.blueprint(2), plan.knowledge, ask))
    assert said in caught.value.message
    assert caught.value.raw == asyncio.run(Spoiled(composer, part, change)(next(c for c in ask.calls if c.brief.part == part))).text


def test_a_bad_answer_late_in_the_dialogue_names_its_turn_and_stops_there(plan: Plan, composer: Composer) -> None:
    ask = Spoiled(composer, "client", with_keys(extra=1), n=2)
    with pytest.raises(AnswerError, match="turn 4"):
        asyncio.run(whole(plan.blueprint(2), plan.knowledge, ask))
    assert len(ask.calls) == 1 + 5


def test_what_comes_back_is_what_was_said(plan: Plan, composer: Composer) -> None:
    bp = plan.blueprint(2)
    ask = Spoiled(composer, "scenario", same)
    _, messages, tags, thought = asyncio.run(whole(bp, plan.knowledge, ask))
    assert [m.content for m in messages] == [t.text for t in composer.turns(bp)]
    assert [t.move for t in tags] == [t.tag.move for t in composer.turns(bp)]
    assert len(ask.calls) == bp.turns + 2
    assert thought.hypotheses


@pytest.mark.parametrize("slot", [0, 5, 9])
def test_views_only_grow_at_their_end(plan: Plan, composer: Composer, slot: int) -> None:
    ask = Spoiled(composer, "scenario", same)
    asyncio.run(whole(plan.blueprint(slot), plan.knowledge, ask))
    for role in ("client", "therapist"):
        views = [c.messages for c in ask.calls if c.brief.part == role]
        assert len(views) == plan.blueprint(slot).turns // 2
        for former, latter in itertools.pairwise(views):
            assert latter[: len(former)] == former
            assert len(latter) == len(former) + 2
        for view in views:
            assert view[0]["role"] == "system"
            assert view[-1]["role"] == "user"
            assert [m["role"] for m in view[1:]] == ["user" if i % 2 == 0 else "assistant" for i in range(len(view) - 1)]


def test_the_client_never_sees_the_therapists_instructions_and_the_other_way_round(plan: Plan, composer: Composer) -> None:
    bp = plan.blueprint(2)
    ask = Spoiled(composer, "scenario", same)
    asyncio.run(whole(bp, plan.knowledge, ask))
    system = {role: next(c for c in ask.calls if c.brief.part == role).messages[0]["content"] for role in ("client", "therapist")}
    for planned in bp.moves:
        assert planned.move in system["therapist"]
        assert planned.move not in system["client"]
    assert bp.persona.name in system["client"]
    assert bp.persona.name not in system["therapist"]


def test_a_therapist_turn_is_limited_to_the_planned_moves(plan: Plan, composer: Composer) -> None:
    bp = next(plan.blueprint(i) for i in range(200) if plan.cells[i].risk == "high")
    ask = Spoiled(composer, "scenario", same)
    asyncio.run(whole(bp, plan.knowledge, ask))
    steps = [f.id.split(".", 1)[1] for f in bp.must_appear if f.kind == "safety"]
    for call in ask.calls:
        if call.brief.part == "therapist":
            assert call.schema["properties"]["move"]["enum"] == ["", *(p.move for p in bp.moves), *steps]


def test_every_call_of_a_conversation_has_its_own_key_and_bounded_seed(plan: Plan, composer: Composer) -> None:
    ask = Spoiled(composer, "scenario", same)
    asyncio.run(whole(plan.blueprint(2), plan.knowledge, ask))
    assert len({c.key("m") for c in ask.calls}) == len(ask.calls)
    assert all(0 <= c.sampling["seed"] < 2**31 for c in ask.calls)


def test_acts_and_schemas_agree() -> None:
    assert set(schema("client")["properties"]["act"]["enum"]) == set(CLIENT_ACTS)
    assert set(schema("therapist")["properties"]["act"]["enum"]) == set(THERAPIST_ACTS)
    assert "move" not in schema("client")["properties"]
    assert parse(ClientTurn, Completion(text='{"say": "It was a long week.", "act": "disclose", "phase": "work"}'), "x").act == "disclose"
    with pytest.raises(AnswerError):
        parse(TherapistTurn, Completion(text='{"say": "Mm.", "act": "disclose", "phase": "work", "move": ""}'), "x")


def test_the_tasks_work_alone_as_distilabel_tasks_and_a_bad_row_stays_alone(plan: Plan, conversation: Conversation) -> None:
    from pixel_synth.llms.model import PixelLLM
    from pixel_synth.tasks.steps import Dialogue, Reasoning, Scenario

    rows: list[dict[str, Any]] = [{"blueprint": plan.blueprint(0).model_dump(mode="json")}, {"blueprint": {"id": "nothing"}}]
    for kind, key in ((Scenario, "scenario"), (Dialogue, "messages"), (Reasoning, "reasoning")):
        task = kind(llm=PixelLLM(engine="composer"))
        task.load()
        done = next(task.process(rows))
        rows = [{k: v for k, v in row.items() if k != "error"} for row in done]
        assert [row["error"] == "" for row in done] == [True, False]
        assert [row[key] is None for row in done] == [False, True]
        rows[1] = {**rows[1], "scenario": rows[0]["scenario"], "messages": [], "turns": []}
    assert [m["content"] for m in rows[0]["messages"]] == [m.content for m in conversation.messages]
    assert conversation.scenario is not None
    assert rows[0]["scenario"] == conversation.scenario.model_dump()
