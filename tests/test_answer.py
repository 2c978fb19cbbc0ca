"""Unusable answers: told apart, sent back with what is wrong with them, at most k times, and kept as they came."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixel_synth.errors import EngineDown, EngineError
from pixel_synth.llms.ask import Stopped
from pixel_synth.llms.composer import Composer
from pixel_synth.llms.engine import Call, Completion
from pixel_synth.plan import Plan
from pixel_synth.records import Message, Record
from pixel_synth.runs.chain import fill_slot
from pixel_synth.settings import Settings
from pixel_synth.tasks.context import EXCERPT, AnswerError, answer, quoted
from pixel_synth.tasks.reasoning import transcript

Ask = Callable[[Call], Awaitable[Completion]]


class Small(Record):
    """An answer of one word."""

    word: str


GOOD = Completion(text='{"word": "yes"}')
BAD: dict[str, Completion] = {
    "invalid": Completion(text='{"word": 7}'),
    "truncated": Completion(text='{"word": "ye', finish="length"),
    "refused": Completion(text="I will not", finish="refused"),
    "empty": Completion(text=" \n"),
}
CALL = Call(
    None, [{"role": "user", "content": "Say a word."}], Small.model_json_schema(), {"seed": 11, "max_tokens": 5, "temperature": 1.0}
)


def asking(*answers: Completion | Exception) -> tuple[list[Call], Ask]:
    """Return the list of calls that were made, and what answers them one after the other."""
    made: list[Call] = []

    async def ask(call: Call) -> Completion:
        made.append(call)
        said = answers[min(len(made), len(answers)) - 1]
        if isinstance(said, Exception):
            raise said
        return said

    return made, ask


def get(ask: Ask, repairs: int, check: Callable[[Small], None] | None = None) -> tuple[Small, str]:
    return asyncio.run(answer(Small, CALL, ask, "part", repairs, check))


@pytest.mark.parametrize("kind", BAD)
def test_an_answer_that_is_no_use_is_told_apart_and_kept_as_it_came(kind: str) -> None:
    made, ask = asking(BAD[kind])
    with pytest.raises(AnswerError) as caught:
        get(ask, 0)
    assert caught.value.kind == kind
    assert caught.value.raw == BAD[kind].text
    assert caught.value.message.startswith("part: ")
    assert len(made) == 1


@pytest.mark.parametrize("kind", BAD)
def test_it_is_asked_for_again_until_it_can_be_used(kind: str) -> None:
    made, ask = asking(BAD[kind], BAD[kind], GOOD)
    assert get(ask, 2) == (Small(word="yes"), GOOD.text)
    assert len(made) == 3


@pytest.mark.parametrize("repairs", [0, 1, 3])
@pytest.mark.parametrize("kind", BAD)
def test_it_is_asked_for_at_most_so_often_and_every_time_in_another_way(kind: str, repairs: int) -> None:
    made, ask = asking(BAD[kind])
    with pytest.raises(AnswerError):
        get(ask, repairs)
    assert made[0] == CALL
    assert len(made) == 1 + repairs
    assert len({call.sampling["seed"] for call in made}) == 1 + repairs
    assert len({call.key("m") for call in made}) == 1 + repairs
    assert {call.sampling["temperature"] for call in made} == {1.0}
    assert CALL.messages == [{"role": "user", "content": "Say a word."}], "the first call is left as it was"


def test_a_repair_holds_the_answer_and_what_the_validator_says() -> None:
    made, ask = asking(Completion(text='{"word": 7, "more": 1}'), GOOD)
    get(ask, 1)
    first, said, again = made[1].messages
    assert first == CALL.messages[0]
    assert said == {"role": "assistant", "content": '{"word": 7, "more": 1}'}
    assert again["role"] == "user"
    assert "word: Input should be a valid string" in again["content"]
    assert "more: Extra inputs are not permitted" in again["content"]


def test_a_repair_is_told_of_the_last_answer_only_and_not_of_all_before() -> None:
    made, ask = asking(Completion(text="first"), Completion(text="second"), GOOD)
    get(ask, 2)
    assert [m["content"] for m in made[2].messages][1] == "second"
    assert len(made[2].messages) == 3


def test_a_long_answer_is_sent_back_as_an_excerpt_and_kept_whole() -> None:
    long = Completion(text="x" * 50_000)
    made, ask = asking(long)
    with pytest.raises(AnswerError) as caught:
        get(ask, 1)
    assert made[1].messages[1]["content"] == "x" * EXCERPT
    assert caught.value.raw == long.text
    assert len(made[1].messages[2]["content"]) < 1000


def test_an_answer_that_was_cut_is_asked_for_shorter() -> None:
    made, ask = asking(BAD["truncated"], GOOD)
    get(ask, 1)
    assert "much shorter" in made[1].messages[-1]["content"]


@pytest.mark.parametrize("nothing", [BAD["empty"], BAD["refused"], Completion(text="", finish="length")])
def test_where_there_is_nothing_to_mend_only_the_seed_is_another(nothing: Completion) -> None:
    made, ask = asking(nothing, GOOD)
    get(ask, 1)
    assert made[1] == CALL._replace(sampling={**CALL.sampling, "seed": made[1].sampling["seed"]})


def test_a_condition_beyond_the_schema_is_repaired_in_the_same_way() -> None:
    def check(small: Small) -> None:
        if small.word != "maybe":
            raise ValueError(f"word: {small.word!r} is not maybe")

    made, ask = asking(GOOD, Completion(text='{"word": "maybe"}'))
    assert get(ask, 1, check)[0].word == "maybe"
    assert "'yes' is not maybe" in made[1].messages[-1]["content"]
    made, ask = asking(GOOD)
    with pytest.raises(AnswerError) as caught:
        get(ask, 1, check)
    assert (caught.value.kind, caught.value.raw) == ("invalid", GOOD.text)


@pytest.mark.parametrize("error", [EngineError("gone", kind="timeout"), EngineDown("all gone"), Stopped("enough")])
def test_a_call_without_an_answer_is_not_repaired(error: Exception) -> None:
    made, ask = asking(error, GOOD)
    with pytest.raises(type(error)):
        get(ask, 5)
    assert len(made) == 1


JSON = st.recursive(st.none() | st.integers(), lambda inner: st.dictionaries(st.text(max_size=6), inner, max_size=3))


@given(st.text(max_size=40) | JSON.map(json.dumps))
def test_no_text_passes_that_is_not_an_answer_and_none_raises_anything_else(text: str) -> None:
    _, ask = asking(Completion(text=text.encode(errors="replace").decode()))
    try:
        found, raw = get(ask, 0)
    except AnswerError as error:
        assert error.kind in ("invalid", "empty")  # noqa: PT017
    else:
        assert json.loads(raw) == found.model_dump()


# ------------------------------------------------------------------------------------- in the whole chain


@pytest.fixture
def served(settings: Settings) -> Settings:
    return settings.model_copy(update={"engine": "server", "model": "m", "max_attempts": 1, "repairs": 2})


def spoiling(composer: Composer, part: str, *answers: Completion) -> tuple[list[Call], Ask]:
    """An engine that writes well, but spoils its first answers of one part."""
    made: list[Call] = []

    async def ask(call: Call) -> Completion:
        if call.brief is not None and call.brief.part == part:
            made.append(call)
            if len(made) <= len(answers):
                return answers[len(made) - 1]
        return await composer.complete(call)

    return made, ask


@pytest.mark.parametrize("kind", BAD)
@pytest.mark.parametrize("part", ["scenario", "client", "therapist", "reasoning"])
def test_every_part_is_repaired_and_fails_with_its_kind_and_raw_text(
    plan: Plan, composer: Composer, served: Settings, part: str, kind: str
) -> None:
    made, ask = spoiling(composer, part, BAD[kind], BAD[kind])
    mended = asyncio.run(fill_slot(plan, 0, ask, served)).attempts[0]
    assert mended.status != "failed"
    assert made[0].messages[: len(CALL.messages)] == made[1].messages[: len(CALL.messages)]
    _, ask = spoiling(composer, part, *[BAD[kind]] * 3)
    lost = asyncio.run(fill_slot(plan, 0, ask, served)).attempts[0]
    assert (lost.status, lost.kind, lost.raw) == ("failed", kind, BAD[kind].text)
    assert lost.conversation is None
    assert lost.reason


def test_a_repaired_turn_stands_in_the_history_once_and_its_repair_does_not(plan: Plan, composer: Composer, served: Settings) -> None:
    made, ask = spoiling(composer, "client", BAD["invalid"])
    assert asyncio.run(fill_slot(plan, 0, ask, served)).attempts[0].conversation
    later = made[-1].messages
    assert all("It cannot be used" not in m["content"] and m["content"] != BAD["invalid"].text for m in later)


def test_the_composer_is_never_asked_again(plan: Plan, composer: Composer, settings: Settings) -> None:
    made, ask = spoiling(composer, "scenario", BAD["invalid"])
    attempt = asyncio.run(fill_slot(plan, 0, ask, settings.model_copy(update={"max_attempts": 1, "repairs": 5}))).attempts[0]
    assert (attempt.status, len(made)) == ("failed", 1)


def test_a_call_that_fails_for_good_is_booked_with_its_kind_and_no_raw_text(plan: Plan, served: Settings) -> None:
    _, ask = asking(EngineError("late", kind="timeout"))
    attempt = asyncio.run(fill_slot(plan, 0, ask, served)).attempts[0]
    assert (attempt.status, attempt.kind, attempt.raw, attempt.reason) == ("failed", "timeout", "", "late")


@given(st.lists(st.text(min_size=1, max_size=60).filter(lambda t: t.strip()), min_size=2, max_size=5))
def test_a_transcript_has_one_line_a_turn_and_closes_no_tag(texts: list[str]) -> None:
    messages = tuple(Message(role="assistant" if i % 2 else "user", content=t) for i, t in enumerate(texts))
    told = transcript(messages)
    assert len(told.splitlines()) == len(texts)
    assert "</" not in told
    assert quoted(quoted(told)) == quoted(told)
