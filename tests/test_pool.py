"""The pool over real HTTP: failures told apart, retries where they help, servers left out and taken back, keys kept."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from typing import Any, TypeVar
from urllib.parse import urlsplit

import pytest
from aiohttp import web

from pixel_synth.errors import EngineDown, EngineError, UsageError
from pixel_synth.llms import client, pool, tries
from pixel_synth.llms.engine import Call, Completion
from pixel_synth.llms.mock import Mock
from pixel_synth.llms.pool import Pool
from pixel_synth.llms.server import Servers
from pixel_synth.llms.tries import KNOWN, LEAST_S, LOST, Endpoint, Limits
from pixel_synth.llms.wire import Wire

T = TypeVar("T")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
QUICK = Limits(tries=3, timeout_s=20, patience_s=0)


def body(text: str = "hello", **fields: Any) -> dict[str, Any]:
    return {"model": "mock", "messages": [{"role": "user", "content": text}], "max_tokens": 500, **fields}


def good(text: str = "yes", finish: str = "stop", **message: Any) -> dict[str, Any]:
    return {"choices": [{"message": {"content": text, **message}, "finish_reason": finish}], "usage": {"prompt_tokens": 3}}


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(asyncio.wait_for(work, 60))


@asynccontextmanager
async def serving(chat: Handler, models: Handler | None = None) -> AsyncIterator[str]:
    """A server of one's own in this event loop; yields its address."""

    async def listed(_: web.Request) -> web.StreamResponse:
        return web.json_response({"data": [{"id": "mock"}]})

    app = web.Application()
    app.router.add_post("/v1/chat/completions", chat)
    app.router.add_get("/v1/models", models or listed)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def pooled(*urls: str, limits: Limits = QUICK, key: str = "") -> AsyncIterator[Pool]:
    one = Pool(urls, limits, key)
    try:
        yield one
    finally:
        await one.close()
        assert all(e.window.in_flight == 0 for e in one.endpoints), "a place was not given back"


class Script:
    """Answers requests one after the other as written; the last answer for ever.  Keeps when each came."""

    def __init__(self, *answers: tuple[int, Any] | tuple[int, Any, dict[str, str]]) -> None:
        self.answers, self.came = list(answers), []

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        await request.read()
        self.came.append(time.monotonic())
        status, said, *headers = self.answers[0] if len(self.answers) == 1 else self.answers.pop(0)
        if status == 0:  # gone in the middle
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        text = said if isinstance(said, bytes) else json.dumps(said).encode()
        return web.Response(status=status, body=text, headers=headers[0] if headers else {"Content-Type": "application/json"})


async def outcome(script: Script, limits: Limits = QUICK) -> Completion | EngineError:
    async with serving(script) as url, pooled(url, limits=limits) as one:
        try:
            return await one.send(body(), "a", 0)
        except EngineError as error:
            return error


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110
        await asyncio.sleep(0.01)


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hundredths of seconds between tries."""
    monkeypatch.setattr(pool, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(tries, "FIRST_PAUSE_S", 0.01)


@pytest.fixture(scope="module")
def two() -> Iterator[tuple[Mock, Mock]]:
    with Mock() as one, Mock() as other:
        yield one, other


@pytest.fixture
def mocks(two: tuple[Mock, Mock]) -> tuple[Mock, Mock]:
    for mock in two:
        mock.faults()
        mock.pace(batch=0, latency_ms=0, slow_s=0)
    return two


# ------------------------------------------------------------------------------------- kinds of failure

ERROR = {"error": {"message": "no  good\nat all"}}
PAGE = b"<html>nothing here</html>"


@pytest.mark.parametrize(
    ("answer", "kind", "sent"),
    [
        ((400, ERROR), "bad_request", 1),
        ((422, ERROR), "bad_request", 1),
        ((413, PAGE), "bad_request", 1),
        ((408, ERROR), "server_error", 3),
        ((500, ERROR), "server_error", 3),
        ((502, PAGE), "server_error", 3),
        ((503, ERROR), "server_error", 3),
        ((429, ERROR), "rate_limited", 2),
        ((503, ERROR, {"Retry-After": "1"}), "rate_limited", 1),
        ((0, None), "unreachable", 3),
        ((200, PAGE), "server_error", 3),
        ((200, b""), "server_error", 3),
        ((200, b"\xff\xfe\x00garbage"), "server_error", 3),
        ((200, PAGE, {"Content-Type": "text/html; charset=no-such-charset"}), "server_error", 3),
        ((200, PAGE, {"Content-Encoding": "gzip"}), "unreachable", 3),
        ((200, []), "server_error", 3),
        ((200, {"choices": []}), "server_error", 3),
        ((200, {"choices": [{"message": {"content": ["a"]}}]}), "server_error", 3),
        ((200, {"choices": [{"message": {"content": "a"}}], "usage": 7}), "server_error", 3),
    ],
)
def test_failures_are_told_apart_and_retried_where_that_can_help(hasty: None, answer: Any, kind: str, sent: int) -> None:
    script = Script(answer)
    error = run(outcome(script))
    assert isinstance(error, EngineError)
    assert not isinstance(error, EngineDown)
    assert error.kind == kind
    assert len(script.came) == sent
    assert "http://127.0.0.1:" in error.message
    assert "\n" not in error.message
    if answer[1] is ERROR:
        assert "no good at all" in error.message


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_wrong_key_or_model_stops_at_once_and_says_what_to_do(status: int) -> None:
    script = Script((status, ERROR))
    error = run(outcome(script))
    assert isinstance(error, EngineDown)
    assert error.hint
    assert len(script.came) == 1


@pytest.mark.parametrize(
    ("answer", "finish", "text"),
    [
        (good("yes"), "stop", "yes"),
        (good("ye", "length"), "length", "ye"),
        (good(None, "stop"), "stop", ""),  # type: ignore[arg-type]
        (good("", "stop"), "stop", ""),
        (good(None, "stop", refusal="I will not"), "refused", "I will not"),  # type: ignore[arg-type]
        (good("half", "content_filter"), "refused", "half"),
        (good("new", "a_new_word"), "stop", "new"),
        (good("half \ud83d of a pair"), "stop", "half ? of a pair"),
        ({"choices": [{"message": {"content": "x"}, "finish_reason": None}]}, "stop", "x"),
    ],
)
def test_answers_that_are_no_use_are_answers_all_the_same(answer: Any, finish: str, text: str) -> None:
    script = Script((200, answer))
    got = run(outcome(script))
    assert isinstance(got, Completion), got
    assert (got.finish, got.text) == (finish, text)
    assert len(script.came) == 1


def test_tokens_are_taken_from_the_servers_own_count() -> None:
    usage = {"prompt_tokens": 7, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 4}}
    got = run(outcome(Script((200, {**good(), "usage": usage}))))
    assert isinstance(got, Completion)
    assert (got.tokens_in, got.tokens_out, got.cached) == (7, 5, 4)
    none = run(outcome(Script((200, {**good(), "usage": None}))))
    assert isinstance(none, Completion)
    assert (none.tokens_in, none.tokens_out, none.cached) == (None, None, None)


def test_a_request_that_hangs_ends_at_its_deadline(hasty: None, mocks: tuple[Mock, Mock]) -> None:
    mocks[0].faults(hang=1.0)

    async def work() -> tuple[Completion, Counter[str]]:
        async with pooled(mocks[0].url, limits=Limits(timeout_s=0.3, patience_s=0)) as one:
            return await one.send(body("hang"), "a", 0), one.counts

    got, counts = run(work())
    assert got.text
    assert counts == {"retry_timeout": 1}


# -------------------------------------------------------------------------------------- tries and waits


@pytest.mark.parametrize("kind", ["500", "503", "drop", "garbage", "429"])
def test_what_passes_by_is_tried_again_until_it_is_answered(hasty: None, mocks: tuple[Mock, Mock], kind: str) -> None:
    mocks[0].faults(**{kind: 1.0})

    async def work() -> Counter[str]:
        async with pooled(mocks[0].url, limits=QUICK._replace(patience_s=20)) as one:
            got = await asyncio.gather(*(one.send(body(f"{kind} {n}"), str(n), n) for n in range(20)))
            assert all(g.text for g in got)
            return one.counts

    before = mocks[0].stats()
    counts = run(work())
    after = mocks[0].stats()
    assert sum(counts.values()) == after["faults"][kind] - before["faults"].get(kind, 0) == 20
    assert after["keys_answered_twice"] == before["keys_answered_twice"]


def test_a_server_that_asks_to_wait_is_left_alone_so_long() -> None:
    script = Script((429, ERROR, {"Retry-After": "0.3"}), (429, ERROR, {"Retry-After": "0.4"}), (200, good()))
    assert isinstance(run(outcome(script, Limits(tries=1, patience_s=20))), Completion)
    first, second, third = script.came
    assert second - first >= 0.3
    assert third - second >= 0.4


def test_waiting_on_request_is_no_try_and_halves_the_window(hasty: None) -> None:
    script = Script(*[(429, ERROR)] * 6, (200, good()))

    async def work() -> None:
        async with serving(script) as url, pooled(url, limits=Limits(tries=1, patience_s=20)) as one:
            await one.send(body(), "a", 0)
            assert one.endpoints[0].window.limit <= 32

    run(work())
    assert len(script.came) == 7


def test_a_wait_longer_than_our_patience_is_not_begun() -> None:
    script = Script((429, ERROR, {"Retry-After": "3600"}))
    error = run(outcome(script, Limits(patience_s=30)))
    assert isinstance(error, EngineError)
    assert error.kind == "rate_limited"


@pytest.mark.parametrize("asked", ["", "soon", "-5", "nan", "inf", "1e9", "²", "Wed, 21 Oct 2026 07:28:00 GMT"])
def test_a_wait_that_is_no_number_of_seconds_is_none(asked: str) -> None:
    error = client._refusal("http://h/v1", 429, "", asked)
    assert isinstance(error, client.RateLimited)
    assert error.after_s == 0.0


def test_a_call_fails_after_its_tries_where_others_are_answered(hasty: None) -> None:
    sent: Counter[str] = Counter()

    async def chat(request: web.Request) -> web.StreamResponse:
        text = (await request.json())["messages"][0]["content"]
        sent[text] += 1
        return web.json_response(good()) if text == "well" else web.json_response(ERROR, status=500)

    async def work() -> None:
        async with serving(chat) as url, pooled(url, limits=Limits(tries=4, patience_s=30)) as one:
            poison = asyncio.create_task(one.send(body("poison"), "p", 0))
            while not poison.done():
                await one.send(body("well"), "w", 0)
                await asyncio.sleep(0.005)
            with pytest.raises(EngineError, match="500"):
                await poison

    run(work())
    assert sent["poison"] == 4


def test_a_call_is_not_given_up_while_its_server_answers_nobody(hasty: None) -> None:
    script = Script(*[(500, ERROR)] * 6, (200, good()))
    assert isinstance(run(outcome(script, Limits(tries=2, patience_s=30))), Completion)


def test_a_server_that_loses_one_call_after_the_other_stops_the_run(hasty: None) -> None:
    async def work() -> list[Any]:
        async with serving(Script((500, ERROR))) as url, pooled(url) as one:
            return await asyncio.gather(*(one.send(body(), str(n), n) for n in range(LOST)), return_exceptions=True)

    errors = run(work())
    downs = [e for e in errors if isinstance(e, EngineDown)]
    assert len(downs) == 1
    assert f"{LOST} calls in a row" in downs[0].message
    assert "no good at all" in downs[0].message
    assert "--resume" in downs[0].hint


def test_a_server_that_answers_nothing_rests_where_another_one_works_and_comes_back(hasty: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "REST_S", 0.2)

    async def work() -> None:
        async with serving(Script((500, ERROR))) as ill, serving(Script((200, good()))) as well, pooled(ill, well) as one:
            ill_one, well_one = one.endpoints
            well_one.window.limit = 1.0  # new conversations go to the other one first
            errors = await asyncio.gather(*(one.send(body(), f"first {n}", n) for n in range(LOST)), return_exceptions=True)
            assert [e for e in errors if isinstance(e, EngineError)]
            assert not [e for e in errors if isinstance(e, EngineDown)]
            for n in range(LOST):
                if ill_one.up:
                    await asyncio.gather(one.send(body(), f"more {n}", n), return_exceptions=True)
            assert not ill_one.up
            moved = await one.send(body(), "first 0", 0)
            assert moved.text == "yes"
            await asyncio.sleep(0.6)
            assert ill_one.up

    run(work())


# ---------------------------------------------------------------------------------- servers down and up


def again(mock: Mock) -> Mock:
    """Start another server where one has been."""
    return Mock("--port", str(urlsplit(mock.url).port))


def test_a_dead_server_is_left_out_and_comes_back(hasty: None) -> None:
    """Killed in mid-way with requests in flight: all are answered by the other one; then it is started again and used again."""
    with Mock("--latency-ms", "20") as one, Mock("--latency-ms", "20") as other:

        async def some(pool: Pool, name: str) -> list[Completion]:
            return await asyncio.gather(*(pool.send(body(f"{name} {n}"), f"{name} {n}", n) for n in range(40)))

        async def work() -> None:
            async with pooled(one.url, other.url, limits=Limits(tries=1, patience_s=20)) as both:
                await some(both, "before")
                assert min(m.stats()["answered"] for m in (one, other)) >= 15
                meanwhile = asyncio.create_task(some(both, "during"))
                await asyncio.sleep(0.01)
                one.kill()
                assert len(await meanwhile) == 40
                assert [e.up for e in both.endpoints] == [False, True]
                with again(one) as back:
                    await until(lambda: both.endpoints[0].up)
                    await some(both, "after")
                    assert back.stats()["answered"] >= 15
                assert both.counts == {}, "a server that is down costs no call a try"

        run(work())


def test_a_conversation_moves_when_its_server_is_down_and_stays_there(hasty: None) -> None:
    with Mock() as one, Mock() as other:

        async def work() -> None:
            async with pooled(one.url, other.url, limits=Limits(patience_s=20)) as both:
                await both.send(body("1"), "home", 0)
                one.kill()
                await both.send(body("2"), "home", 0)
                with again(one):
                    await until(lambda: both.endpoints[0].up)
                    await both.send(body("3"), "home", 0)
                assert other.stats()["answered"] == 2

        run(work())


def test_when_all_are_down_calls_wait_for_one_to_come_back(hasty: None) -> None:
    with Mock() as one:
        one.kill()

        async def work() -> Completion:
            async with pooled(one.url, limits=Limits(tries=1, patience_s=50)) as alone:
                call = asyncio.create_task(alone.send(body(), "a", 0))
                await until(lambda: not alone.endpoints[0].up)
                with again(one):
                    return await call

        assert run(work()).text


def test_when_all_stay_down_the_run_stops_after_its_patience(hasty: None, mocks: tuple[Mock, Mock]) -> None:
    with Mock() as one, Mock() as other:
        one.kill()
        other.kill()

        async def work() -> tuple[list[Any], float]:
            began = time.monotonic()
            async with pooled(one.url, other.url, limits=Limits(patience_s=0.5)) as both:
                calls = (both.send(body(), str(n), n) for n in range(5))
                return await asyncio.gather(*calls, return_exceptions=True), time.monotonic() - began

        errors, seconds = run(work())
        assert all(isinstance(e, EngineDown) for e in errors)
        assert one.url in errors[0].message
        assert other.url in errors[0].message
        assert "--resume" in errors[0].hint
        assert seconds >= 0.5


def test_a_gateway_without_its_server_counts_as_down_and_not_against_the_call(hasty: None) -> None:
    down = True

    async def chat(_: web.Request) -> web.StreamResponse:
        return web.json_response(ERROR, status=502) if down else web.json_response(good())

    async def models(_: web.Request) -> web.StreamResponse:
        return web.Response(status=502 if down else 200)

    async def work() -> None:
        nonlocal down
        async with serving(chat, models) as url, pooled(url, limits=Limits(tries=1, patience_s=30)) as one:
            call = asyncio.create_task(one.send(body(), "a", 0))
            await until(lambda: not one.endpoints[0].up)
            down = False
            assert (await call).text == "yes"
            assert one.counts == {}

    run(work())


def test_a_call_that_kills_its_server_every_time_stops_the_run(hasty: None) -> None:
    looks = 0

    async def models(_: web.Request) -> web.StreamResponse:
        nonlocal looks
        looks += 1
        return web.Response(status=500 if looks % 2 else 200)

    async def work() -> None:
        async with serving(Script((0, None)), models) as url, pooled(url, limits=Limits(patience_s=30)) as one:
            await one.send(body(), "a", 0)

    with pytest.raises(EngineDown, match="went down"):
        run(work())


def test_closing_stops_looking_after_servers(hasty: None) -> None:
    with Mock() as one:
        one.kill()

        async def work() -> None:
            before = asyncio.all_tasks()
            async with pooled(one.url, limits=Limits(patience_s=0.1)) as alone:
                with pytest.raises(EngineDown):
                    await alone.send(body(), "a", 0)
            assert asyncio.all_tasks() == before

        run(work())


# ---------------------------------------------------------------------------------- who gets a request


def test_a_conversation_stays_with_one_server_and_conversations_are_spread_evenly(mocks: tuple[Mock, Mock]) -> None:
    one, other = mocks
    for mock in mocks:
        mock.pace(latency_ms=5)
    before = [m.stats()["requests"] for m in mocks]

    async def work() -> list[str]:
        async with pooled(one.url, other.url) as both:
            homes = []

            async def talk(n: int) -> None:
                for turn in range(6):
                    await both.send(body(f"spread {n} {turn}"), f"home {n}", n)
                    homes.append((n, both._homes[f"home {n}"].url))

            await asyncio.gather(*(talk(n) for n in range(40)))
            assert len(set(homes)) == 40, "somebody moved"
            return [url for _, url in set(homes)]

    served = Counter(run(work()))
    assert set(served) == {one.url, other.url}
    assert min(served.values()) >= 18
    sent = [m.stats()["requests"] - b for m, b in zip(mocks, before, strict=True)]
    assert sent == [6 * served[m.url] for m in mocks]


def test_requests_without_a_home_are_spread_one_by_one(mocks: tuple[Mock, Mock]) -> None:
    for mock in mocks:
        mock.pace(latency_ms=50)
    before = [m.stats()["requests"] for m in mocks]

    async def work() -> None:
        async with pooled(*(m.url for m in mocks)) as both:
            await asyncio.gather(*(both.send(body(f"no home {n}"), "", 0) for n in range(20)))

    run(work())
    assert [m.stats()["requests"] - b for m, b in zip(mocks, before, strict=True)] == [10, 10]


# --------------------------------------------------------------------------------------------- deadline


def test_the_deadline_follows_the_answers_and_every_timeout_doubles_it() -> None:
    endpoint = Endpoint("http://h/v1", Limits(timeout_s=1000))
    assert endpoint.deadline_s == 1000
    for _ in range(KNOWN):
        endpoint.answered(0.5)
    assert endpoint.deadline_s == LEAST_S
    endpoint.answered(30)
    assert endpoint.deadline_s == 180
    endpoint.timed_out()
    assert endpoint.deadline_s == 360
    for _ in range(2000):
        endpoint.timed_out()
    assert endpoint.deadline_s == 1000
    endpoint.answered(1)
    assert endpoint.deadline_s == 180
    for _ in range(256):
        endpoint.answered(0.1)
    assert endpoint.deadline_s == LEAST_S


def test_a_longest_deadline_below_the_least_one_holds() -> None:
    endpoint = Endpoint("http://h/v1", Limits(timeout_s=2))
    for _ in range(KNOWN):
        endpoint.answered(0.5)
    assert endpoint.deadline_s == 2


# -------------------------------------------------------------------------------------- keys, addresses

KEY = "sk-not-for-any-eye"


@pytest.mark.parametrize("status", [400, 401, 429, 500])
def test_a_key_goes_into_the_header_and_nowhere_else(hasty: None, status: int) -> None:
    seen = []

    async def chat(request: web.Request) -> web.StreamResponse:
        seen.append((request.headers["Authorization"], await request.text()))
        return web.json_response({"error": {"message": f"Incorrect API key provided: {KEY}"}}, status=status)

    async def work() -> EngineError:
        async with serving(chat) as url, pooled(url, key=KEY) as one:
            engine = Servers((url,), "mock", Wire("response_format", "length"), QUICK, KEY)
            assert KEY not in f"{one!r} {engine!r} {one.session!r} {one.endpoints!r}"
            with pytest.raises(EngineError) as caught:
                await one.send(body(), "a", 0)
            return caught.value

    error = run(work())
    assert "***" in error.message
    assert KEY not in f"{error} {error!r} {error.__cause__!r} {error.hint}"
    assert seen[0][0] == f"Bearer {KEY}"
    assert KEY not in seen[0][1]


def test_without_a_key_no_header_is_sent() -> None:
    async def chat(request: web.Request) -> web.StreamResponse:
        assert "Authorization" not in request.headers
        return web.json_response(good())

    async def work() -> Completion:
        async with serving(chat) as url, pooled(url) as one:
            return await one.send(body(), "a", 0)

    assert run(work()).text == "yes"


@pytest.mark.parametrize(
    ("given", "clean"),
    [
        ("http://h:8000", "http://h:8000/v1"),
        (" http://h:8000/ ", "http://h:8000/v1"),
        ("https://h/v1/", "https://h/v1"),
        ("https://h/api/v3", "https://h/api/v3"),
    ],
)
def test_addresses_are_brought_into_one_form(given: str, clean: str) -> None:
    assert client.clean_url(given) == clean


@pytest.mark.parametrize("wrong", ["h:8000", "ftp://h", "http://", "http://me:secret@h/v1", "http://h/v1?key=secret", ""])
def test_addresses_that_cannot_be_used_are_refused_without_repeating_a_secret(wrong: str) -> None:
    with pytest.raises(UsageError) as caught:
        client.clean_url(wrong)
    assert "secret" not in str(caught.value)


# -------------------------------------------------------------------------------------------- event loops


def test_an_engine_works_in_one_event_loop_after_the_other(mocks: tuple[Mock, Mock]) -> None:
    engine = Servers((mocks[0].url,), "mock", Wire("response_format", "length"), QUICK)
    call = Call(None, [{"role": "user", "content": "loops"}], {}, {"max_tokens": 50})

    async def closed() -> Completion:
        try:
            return await engine.complete(call)
        finally:
            await engine.close()

    async def left_open() -> Completion:
        return await engine.complete(call)

    assert run(closed()) == run(left_open()) == run(closed())
