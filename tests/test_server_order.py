"""Who is asked first, and how much is sent to a server that says what waits inside it."""

from __future__ import annotations

import asyncio

import pytest

from pixel_synth.llms.engine import Brief
from pixel_synth.llms.pool import Limits
from pixel_synth.llms.server import ENDING, Servers
from pixel_synth.llms.window import LOOKS, Window
from pixel_synth.llms.wire import Wire
from pixel_synth.plan import Plan
from pixel_synth.records import Message


def entered(window: Window, n: int) -> None:
    async def run() -> None:
        for _ in range(n):
            await window.enter(0)

    asyncio.run(run())


@pytest.mark.parametrize("clients", [1, 2])
def test_what_waits_inside_a_server_is_taken_back_by_each_client_alike(clients: int) -> None:
    windows = [Window(512, start=200) for _ in range(clients)]
    for window in windows:
        entered(window, 200)
    for _ in range(LOOKS):
        for window in windows:
            window.told(running=64, waiting=200 * clients - 64)
    assert all(64 / clients < w.limit < 64 * 1.5 / clients for w in windows)


def test_one_look_is_not_enough_and_neither_are_two_apart() -> None:
    window = Window(512, start=200)
    entered(window, 200)
    for running, waiting in ((64, 136), (64, 0), (64, 136), (200, 0)):
        window.told(running, waiting)
    assert window.limit == 200


def test_what_a_server_has_to_spare_is_left_to_it() -> None:
    window = Window(512, start=70)
    entered(window, 70)
    for _ in range(9):
        window.told(running=64, waiting=6)
    assert window.limit == 70


def test_a_server_that_says_nothing_changes_nothing() -> None:
    window = Window(512, start=70)
    entered(window, 70)
    for _ in range(9):
        window.told(running=0, waiting=0)
    assert window.limit == 70


def test_who_began_earlier_goes_first_until_the_end_when_it_is_who_has_most_to_do(plan: Plan) -> None:
    async def run() -> None:
        servers = Servers(("http://127.0.0.1:1/v1",), "m", Wire("response_format", "length"), Limits(window=8))
        early, late = plan.blueprint(0), plan.blueprint(1)
        said = (Message(role="user", content="x"),) * (early.turns - 1)
        almost_done, just_begun = Brief("client", early, said), Brief("scenario", late)
        for left in (None, ENDING * 8 + 1):
            servers.left = left
            assert servers._priority(almost_done) < servers._priority(just_begun)
        waiting_since_before = servers._priority(just_begun)
        servers.left = ENDING * 8
        assert servers._priority(almost_done) > servers._priority(just_begun) > waiting_since_before
        await servers.close()

    asyncio.run(run())
