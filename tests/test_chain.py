"""The chain of one slot: every attempt ends in the books, and one row's fault stays in its row."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from pixel_synth.errors import EngineError
from pixel_synth.llms.ask import Asker, Voice
from pixel_synth.llms.composer import Composer
from pixel_synth.llms.engine import Call, Completion
from pixel_synth.llms.ledger import Ledger
from pixel_synth.plan import Plan
from pixel_synth.publish.tally import Tally
from pixel_synth.records import Outcome
from pixel_synth.runs.chain import fill_slot
from pixel_synth.settings import Settings

Ask = Callable[[Call], Awaitable[Completion]]
OPEN: dict[str, float] = {"overall": 0.0}
SHUT: dict[str, float] = {"no_such_metric": 0.5}


@pytest.fixture
def easy(settings: Settings) -> Settings:
    """Settings whose gate lets through whatever was written and broke no safety rule."""
    return settings.model_copy(update={"thresholds": OPEN, "allow_uncalibrated": True, "max_attempts": 4})


def by_attempt(composer: Composer, *ways: Any) -> Ask:
    """An engine that behaves in another way at each attempt: raises, answers with a text, or answers well (None)."""

    async def answer(call: Call) -> Completion:
        way = ways[min(call.brief.blueprint.attempt, len(ways) - 1)]
        if isinstance(way, Exception):
            raise way
        if isinstance(way, Completion):
            return way
        return await composer.complete(call)

    return answer


def fill(plan: Plan, slot: int, ask: Ask, settings: Settings) -> Outcome:
    return asyncio.run(fill_slot(plan, slot, ask, settings))


def statuses(outcome: Outcome) -> list[str]:
    return [a.status for a in outcome.attempts]


@pytest.fixture(scope="module")
def calm(plan: Plan) -> int:
    return next(i for i, cell in enumerate(plan.cells) if cell.risk == "none")


def test_errors_and_rubbish_are_failed_attempts_and_the_last_one_can_be_accepted(
    plan: Plan, composer: Composer, easy: Settings, calm: int
) -> None:
    engine = by_attempt(composer, EngineError("the server is gone"), Completion(text="rubbish"), ZeroDivisionError("ours"), None)
    outcome = fill(plan, calm, engine, easy)
    assert outcome.accepted
    assert statuses(outcome) == ["failed", "failed", "failed", "accepted"]
    assert outcome.attempts[0].reason == "the server is gone"
    assert outcome.attempts[1].raw == "rubbish"
    assert outcome.attempts[2].reason == "ZeroDivisionError: ours"
    assert [a.blueprint.attempt for a in outcome.attempts] == [0, 1, 2, 3]
    assert all(a.conversation is None for a in outcome.attempts[:3])
    last = outcome.attempts[3].conversation
    assert last is not None
    assert last.verdict is not None
    assert last.verdict.accepted


def test_a_slot_ends_short_when_every_attempt_fails(plan: Plan, composer: Composer, easy: Settings) -> None:
    outcome = fill(plan, 0, by_attempt(composer, EngineError("down")), easy)
    assert not outcome.accepted
    assert statuses(outcome) == ["failed"] * easy.max_attempts


def test_a_rejected_conversation_is_kept_with_its_reasons_and_planned_again(plan: Plan, composer: Composer, easy: Settings) -> None:
    strict = easy.model_copy(update={"thresholds": SHUT, "max_attempts": 2})
    outcome = fill(plan, 0, by_attempt(composer, None), strict)
    assert statuses(outcome) == ["rejected", "rejected"]
    for attempt in outcome.attempts:
        assert attempt.conversation is not None
        assert "no_such_metric: not measured" in attempt.reason
    assert outcome.attempts[0].conversation != outcome.attempts[1].conversation


def test_the_first_accepted_attempt_ends_the_slot(plan: Plan, composer: Composer, easy: Settings, calm: int) -> None:
    assert statuses(fill(plan, calm, by_attempt(composer, None), easy)) == ["accepted"]


def test_a_raising_row_does_not_take_the_others_along(plan: Plan, composer: Composer, easy: Settings) -> None:
    async def answer(call: Call) -> Completion:
        if call.brief.blueprint.slot == 1:
            raise RuntimeError("row 1")
        return await composer.complete(call)

    async def together() -> list[Outcome]:
        return list(await asyncio.gather(*(fill_slot(plan, slot, answer, easy) for slot in range(4))))

    outcomes = asyncio.run(together())
    assert [o.slot for o in outcomes] == [0, 1, 2, 3]
    assert statuses(outcomes[1]) == ["failed"] * easy.max_attempts
    assert all("failed" not in statuses(o) for o in outcomes if o.slot != 1)


def test_a_fault_of_the_machine_stops_the_run_instead_of_being_booked(plan: Plan, composer: Composer, easy: Settings) -> None:
    with pytest.raises(OSError, match="no space"):
        fill(plan, 0, by_attempt(composer, OSError("no space left")), easy)


def test_the_books_balance(plan: Plan, composer: Composer, easy: Settings) -> None:
    tally = Tally()
    engines = [
        by_attempt(composer, None),
        by_attempt(composer, EngineError("down")),
        by_attempt(composer, Completion(text="{}"), None),
        by_attempt(composer, Completion(text="cut", finish="length"), EngineError("down"), None),
    ]
    outcomes = [fill(plan, slot, engine, easy) for slot, engine in enumerate(engines)]
    for outcome in outcomes:
        tally.add(outcome)
    books = tally.books
    assert books.planned == books.accepted + books.rejected + books.failed == sum(len(o.attempts) for o in outcomes)
    assert books.failed == 4 + 1 + 2
    assert books.shortfall == sum(not o.accepted for o in outcomes) >= 1
    assert sum(tally.short.values()) == books.shortfall


def test_a_slot_filled_twice_is_the_same_and_the_second_time_asks_nothing(
    tmp_path: Any, plan: Plan, composer: Composer, easy: Settings
) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite")

    class Once:
        name = model = "composer"

        async def complete(self, call: Call) -> Completion:
            return await composer.complete(call)

        async def close(self) -> None:
            pass

    class Never(Once):
        async def complete(self, call: Call) -> Completion:
            raise AssertionError("asked again")

    first = fill(plan, 3, Asker(Voice(Once(), "composer"), ledger=ledger), easy)
    again = fill(plan, 3, Asker(Voice(Never(), "composer"), ledger=ledger), easy)
    assert again.line() == first.line()


def test_a_record_tells_where_it_comes_from(plan: Plan, composer: Composer, easy: Settings) -> None:
    conversation = fill(plan, 0, by_attempt(composer, None), easy).attempts[0].conversation
    assert conversation is not None
    assert conversation.blueprint == plan.blueprint(0)
    assert conversation.provenance.knowledge == plan.blueprint(0).knowledge
    assert {p.name for p in conversation.provenance.prompts} == {"scenario", "client", "therapist", "reasoning"}
    assert conversation.provenance.license
    metrics = [s.metric for s in conversation.scores]
    assert metrics[-1] == "overall"
    assert len(metrics) == len(set(metrics))
    assert set(Settings().thresholds) <= set(metrics)
