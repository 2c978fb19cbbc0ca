"""The window finds what a server takes, backs off, lets the earlier conversation go first, and leaks no place."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pixel_synth.llms import window as module
from pixel_synth.llms.window import PROBE_EVERY, Window


class Clock:
    """A clock that the tests move, in the place of the machine's."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


def serve(window: Window, clock: Clock, rate: Callable[[int], float], seconds: float) -> None:
    """Keep the window full for a while, against a server that gives ``rate(in flight)`` answers a second."""

    async def run() -> None:
        end = clock.now + seconds
        while clock.now < end:
            while window.in_flight < int(window.limit):
                await window.enter(0)
            clock.now += 1.0 / rate(window.in_flight)
            window.leave(answered=True)
        while window.in_flight:
            window.leave(answered=False)

    asyncio.run(run())


def batch(size: int, each_s: float = 2.0) -> Callable[[int], float]:
    """Return the rate of a server that works at so many requests at once and lets the others wait."""
    return lambda in_flight: min(in_flight, size) / each_s


def settled(window: Window, clock: Clock, rate: Callable[[int], float]) -> float:
    """Serve for an hour and return the median limit of the following ten minutes."""
    serve(window, clock, rate, 3600)
    seen = []
    for _ in range(60):
        serve(window, clock, rate, 10)
        seen.append(window.limit)
    return sorted(seen)[30]


@pytest.mark.parametrize("size", [16, 100, 300])
def test_it_grows_to_what_the_server_takes_and_not_far_beyond(clock: Clock, size: int) -> None:
    window = Window(512)
    assert max(size, 64) <= settled(window, clock, batch(size)) <= max(64, 2 * size)


def test_it_grows_to_its_bound_where_the_server_takes_more(clock: Clock) -> None:
    window = Window(256)
    assert settled(window, clock, batch(10_000)) == 256
    assert window.peak == 256


def test_a_bound_below_the_start_holds(clock: Clock) -> None:
    window = Window(4)
    assert window.limit == 4
    serve(window, clock, batch(100), 600)
    assert window.peak == 4


def test_it_does_not_grow_while_fewer_ask_than_it_lets_through(clock: Clock) -> None:
    window = Window(512)

    async def run() -> None:
        for _ in range(5000):
            await window.enter(0)
            clock.now += 0.1
            window.leave(answered=True)

    asyncio.run(run())
    assert window.limit == 64


def test_overload_halves_it_at_most_once_a_second_and_never_below_one(clock: Clock) -> None:
    window = Window(512)
    limits = []
    for _ in range(9):
        for _ in range(100):
            window.overloaded()
        limits.append(window.limit)
        clock.now += 1.1
    assert limits == [32, 16, 8, 4, 2, 1, 1, 1, 1]


@pytest.mark.parametrize("halvings", [1, 5, 10])
def test_it_grows_again_after_an_overload_however_deep(clock: Clock, halvings: int) -> None:
    window = Window(512)
    for _ in range(halvings):
        window.overloaded()
        clock.now += 1.1
    assert 100 <= settled(window, clock, batch(100)) <= 200


def test_a_trial_that_gains_nothing_is_taken_back(clock: Clock) -> None:
    window = Window(512, start=10)
    rate = batch(10)
    seen = set()
    for _ in range(40 * PROBE_EVERY):
        serve(window, clock, rate, 10)
        seen.add(window.limit)
    assert max(seen) <= 24
    assert 10 in seen


# ------------------------------------------------------------------------------------------------- order


def test_who_began_earlier_goes_first_and_equals_go_in_the_order_of_arrival() -> None:
    async def run() -> list[str]:
        window, went = Window(1), []
        await window.enter(0)

        async def one(priority: int, name: str) -> None:
            await window.enter(priority)
            went.append(name)
            window.leave(answered=True)

        tasks = [asyncio.create_task(one(p, n)) for p, n in ((5, "e"), (1, "a"), (3, "c"), (1, "b"), (4, "d"))]
        await asyncio.sleep(0)
        assert window.waiting == 5
        window.leave(answered=True)
        await asyncio.gather(*tasks)
        return went

    assert asyncio.run(run()) == list("abcde")


def test_a_newcomer_does_not_overtake_those_who_wait() -> None:
    async def run() -> None:
        window = Window(1)
        await window.enter(0)
        first = asyncio.create_task(window.enter(7))
        await asyncio.sleep(0)
        window.limit = 2.0  # room, but somebody waits for it
        second = asyncio.create_task(window.enter(0))
        await asyncio.sleep(0)
        window.leave(answered=True)
        await asyncio.gather(first, second)
        assert window.in_flight == 2

    asyncio.run(run())


# ---------------------------------------------------------------------------------------------- no leaks

STEPS = st.lists(st.sampled_from(["enter", "leave", "fail", "cancel", "overload", "tick"]), max_size=60)


@settings(deadline=None, max_examples=150)
@given(steps=STEPS, seed=st.integers(0, 9), start=st.integers(1, 4))
def test_whatever_happens_no_place_is_lost_or_given_twice(steps: list[str], seed: int, start: int) -> None:
    async def run() -> None:
        chance = random.Random(seed)
        window = Window(8, start=start)
        waiting: list[asyncio.Task[None]] = []
        inside = 0

        async def settle() -> int:
            nonlocal waiting
            for _ in range(3):
                await asyncio.sleep(0)
            arrived = [t for t in waiting if t.done() and not t.cancelled()]
            waiting = [t for t in waiting if not t.done()]
            return len(arrived)

        for step in steps:
            if step == "enter":
                waiting.append(asyncio.create_task(window.enter(chance.randint(0, 3))))
            elif step in ("leave", "fail") and inside:
                window.leave(answered=step == "leave")
                inside -= 1
            elif step == "cancel" and waiting:
                chance.choice(waiting).cancel()
            elif step == "overload":
                window._eased = 0.0
                window.overloaded()
            if step != "tick":  # without a tick several things happen in the same moment
                continue
            inside += await settle()
            assert window.in_flight == inside
            assert not waiting or inside >= int(window.limit), "somebody waits although there is room"
        inside += await settle()
        while inside or waiting:
            assert inside, "somebody waits and nobody is there to make room"
            window.leave(answered=True)
            inside += await settle() - 1
        assert window.in_flight == 0

    asyncio.run(run())


def test_one_that_is_cancelled_just_as_it_gets_its_place_gives_it_on() -> None:
    async def run() -> Any:
        window = Window(1)
        await window.enter(0)
        first, second = (asyncio.create_task(window.enter(n)) for n in (1, 2))
        await asyncio.sleep(0)
        window.leave(answered=True)  # the place is the first one's, who has not run yet
        first.cancel()
        await asyncio.wait([first, second], timeout=5)
        assert first.cancelled()
        assert second.done()
        assert window.in_flight == 1
        window.leave(answered=True)
        return window.in_flight, window.waiting

    assert asyncio.run(run()) == (0, 0)
