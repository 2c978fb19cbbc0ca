"""The canary: a server that constrains is found out and how, one that does not stops the run with all that was tried."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from pixel_synth.errors import EngineDown
from pixel_synth.llms import canary, client, tries
from pixel_synth.llms.connect import Link, Links, api_key, connect, connect_all, make_asker
from pixel_synth.llms.mock import Mock
from pixel_synth.llms.mock.answers import Writer
from pixel_synth.llms.mock.wish import read_wish
from pixel_synth.settings import Settings, exact_settings


def server(*urls: str, **values: Any) -> Settings:
    return exact_settings({"engine": "server", "base_url": urls, **values})


def find(*urls: str, **values: Any) -> Link:
    return asyncio.run(connect(server(*urls, **values)))


def refused(*urls: str, **values: Any) -> EngineDown:
    with pytest.raises(EngineDown) as caught:
        find(*urls, **values)
    assert caught.value.hint
    return caught.value


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tries, "FIRST_PAUSE_S", 0.01)


# ------------------------------------------------------------------------------------ over real processes


@pytest.mark.parametrize(
    ("arguments", "way"),
    [
        (("--ways", "response_format", "--version", "0.33.0"), "response_format"),
        (("--ways", "structured_outputs", "--version", "0.12.1"), "structured_outputs"),
        (("--ways", "guided_json", "--version", "0.8.4"), "guided_json"),
        (("--ways", "guided_json"), "guided_json"),
    ],
)
def test_an_honest_server_is_proven_in_the_way_it_honours(arguments: tuple[str, ...], way: str) -> None:
    with Mock(*arguments, "--model", "tiny", "--max-model-len", "9000") as mock:
        link = find(mock.url + "/", mock.url)
    assert link == Link(
        engine="server", model="tiny", urls=(mock.url,), way=way, dialect="length", proven=True,
        version=arguments[3] if len(arguments) > 2 else "", max_model_len=9000,
    )  # fmt: skip


def test_a_server_that_ignores_the_constraint_stops_the_run_with_all_that_was_tried() -> None:
    with Mock("--ways", "none") as mock:
        error = refused(mock.url)
        assert mock.stats()["requests"] == 3, "one dialect of a way that is ignored is enough"
        for way in ("response_format", "structured_outputs", "guided_json"):
            assert f"{way}, length:" in error.message
        assert mock.url in error.message
        assert "does not constrain" in error.message
        only = refused(mock.url, structured="guided_json")
        assert "response_format" not in only.message


def test_a_wrong_model_is_told_with_those_that_there_are() -> None:
    with Mock("--model", "big", "small") as one, Mock("--model", "small", "tiny") as other:
        error = refused(one.url, other.url, model="big")
        assert "'big'" in error.message
        assert "big, small" in error.message
        assert "small, tiny" in error.message
        assert "--model" in error.hint
        assert find(one.url, other.url).model == "small", "the only one that both have"
        assert "exactly one" in refused(one.url).message


def test_of_two_servers_each_is_proven_and_the_smaller_context_counts() -> None:
    with Mock("--max-model-len", "9000") as one, Mock("--max-model-len", "8000") as other:
        assert find(one.url, other.url).max_model_len == 8000
        assert one.stats()["requests"] == other.stats()["requests"] == 3
    with Mock() as one, Mock("--ways", "guided_json") as other:
        error = refused(one.url, other.url)
        assert error.message.startswith(other.url)


def test_what_passes_by_does_not_fail_the_canary() -> None:
    with Mock("--fault", "500=1", "--fault", "429=1", "--fault", "drop=1") as mock:
        assert find(mock.url).proven


def test_a_judge_of_the_same_model_shares_the_engine_and_one_of_its_own_does_not() -> None:
    with Mock("--model", "writer") as one, Mock("--model", "critic") as other:
        same = asyncio.run(connect_all(server(one.url, judges=("alliance",))))
        assert one.stats()["requests"] == 3
        assert same.judge == same.generator
        assert len(make_asker(same, server(one.url)).engines) == 1
        settings = server(one.url, judges=("alliance",), judge_base_url=(other.url,), model="writer")
        links = asyncio.run(connect_all(settings))
        assert links.judge is not None
        assert (links.judge.model, links.judge.urls) == ("critic", (other.url,))
        assert [e.model for e in make_asker(links, settings).engines] == ["writer", "critic"]


def test_keys_come_from_the_environment_and_a_judge_may_have_one_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    link = Link(engine="server", model="m", urls=("http://h/v1",))
    both = Links(generator=link, judge=link)
    monkeypatch.setenv("PIXEL_API_KEY", "one")
    assert len(make_asker(both, server("http://h/v1")).engines) == 1
    elsewhere = exact_settings({**server("http://h/v1").model_dump(), "judge_base_url": ("http://other/v1",)})
    assert (api_key("generator", elsewhere), api_key("judge", elsewhere)) == ("one", ""), "a key goes to no other servers than its own"
    monkeypatch.setenv("PIXEL_JUDGE_API_KEY", "two")
    assert (api_key("generator", elsewhere), api_key("judge", elsewhere)) == ("one", "two")
    assert len(make_asker(both, elsewhere).engines) == 2
    assert "one" not in both.model_dump_json()


def test_a_server_that_is_not_there_is_named() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}/v1"
    error = refused(url)
    assert url in error.message
    assert "Cannot connect" in error.message
    assert "\n" not in error.message


# -------------------------------------------------------------------------------------- servers of a few lines


@asynccontextmanager
async def serving(chat: Callable[[dict[str, Any]], Any], models: web.Response | None = None) -> AsyncIterator[str]:
    """A server whose answers' text is what ``chat`` returns for a request's body."""

    async def completion(request: web.Request) -> web.StreamResponse:
        said = chat(await request.json())
        if isinstance(said, web.Response):
            return said
        return web.json_response({"choices": [{"message": {"content": said}, "finish_reason": "stop"}]})

    async def listed(_: web.Request) -> web.StreamResponse:
        return models or web.json_response({"data": [{"id": "m"}]})

    app = web.Application()
    app.router.add_post("/v1/chat/completions", completion)
    app.router.add_get("/v1/models", listed)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    finally:
        await runner.cleanup()


def ask(chat: Callable[[dict[str, Any]], Any], models: web.Response | None = None, **values: Any) -> Link | EngineDown:
    async def work() -> Link | EngineDown:
        async with serving(chat, models) as url:
            try:
                return await connect(server(url, **values))
            except EngineDown as error:
                return error

    return asyncio.run(work())


def obedient(body: dict[str, Any]) -> str:
    import random

    wish = read_wish(body, frozenset(("response_format", "structured_outputs", "guided_json")))
    assert wish.schema is not None
    return json.dumps(Writer(wish.schema, random.Random(wish.key)).document())


def spoken(body: dict[str, Any]) -> str:
    return "pattern" if "pattern" in json.dumps(body["response_format"]) else "length"


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (lambda body: json.dumps({"v": "long " * 100}), "at most 100"),
        (lambda body: '{"v": "two\nlines"}', "no JSON"),
        (lambda body: web.json_response({"error": {"message": "grammar"}}, status=500), "grammar"),
        (lambda body: web.json_response({"error": {"message": "unknown keyword"}}, status=400), "unknown keyword"),
    ],
)
def test_a_dialect_that_is_not_enforced_gives_way_to_the_other_one(fault: Callable[[dict[str, Any]], Any], told: str) -> None:
    def chat(body: dict[str, Any]) -> Any:
        bounded = "enum" not in json.dumps(body["response_format"])
        return fault(body) if bounded and spoken(body) == "length" else obedient(body)

    link = ask(chat)
    assert isinstance(link, Link), link
    assert (link.way, link.dialect) == ("response_format", "pattern")
    error = ask(chat, dialect="length", structured="response_format")
    assert isinstance(error, EngineDown)
    assert told in error.message


@pytest.mark.parametrize(
    ("chat", "told"),
    [
        (lambda body: "Bonjour!", "no JSON"),
        (lambda body: None, "no JSON"),
        (lambda body: '"word"', "has others"),
        (lambda body: '{"v": "Bonjour"}', "Bonjour"),
        (lambda body: '{"v": 7}', "has others"),
        (lambda body: obedient(body)[:-1] + ', "more": 1}', "has others"),
    ],
)
def test_answers_that_only_look_constrained_prove_nothing(chat: Callable[[dict[str, Any]], Any], told: str) -> None:
    error = ask(chat)
    assert isinstance(error, EngineDown)
    assert told in error.message


@pytest.mark.parametrize(
    ("models", "told"),
    [
        (lambda: web.Response(status=401), "key"),
        (lambda: web.Response(status=403), "key"),
        (lambda: web.Response(text="<html>"), "no list of models"),
        (lambda: web.Response(status=500), "HTTP 500"),
        (lambda: web.json_response({"data": "none"}), "no list of models"),
        (lambda: web.json_response({"data": []}), "none"),
    ],
)
def test_what_is_no_server_of_models_is_told(models: Callable[[], web.Response], told: str) -> None:
    error = ask(obedient, models())
    assert isinstance(error, EngineDown)
    assert told in error.message
    assert error.hint


def test_a_key_that_only_the_chat_refuses_stops_at_once() -> None:
    error = ask(lambda body: web.json_response({"error": {"message": "no"}}, status=401))
    assert isinstance(error, EngineDown)
    assert "PIXEL_API_KEY" in error.hint


def test_the_canary_carries_what_every_call_will_carry() -> None:
    seen = []

    def chat(body: dict[str, Any]) -> str:
        seen.append(body)
        return obedient(body)

    assert isinstance(ask(chat, extra_body={"chat_template_kwargs": {"enable_thinking": False}, "temperature": 0}), Link)
    assert len(seen) == 3
    for body in seen:
        assert body["chat_template_kwargs"] == {"enable_thinking": False}
        assert body["temperature"] == 0
        assert body["model"] == "m"


def test_the_word_that_is_asked_for_is_nowhere_in_the_prompt_and_new_every_time() -> None:
    words = set()

    def chat(body: dict[str, Any]) -> str:
        schema = body["response_format"]["json_schema"]["schema"]
        word = schema["properties"]["v"].get("enum", [""])[0]
        assert not word or word not in json.dumps(body["messages"])
        words.add(word)
        return obedient(body)

    ask(chat)
    ask(chat)
    assert len(words - {""}) == 2


def test_the_version_is_found_beside_the_api() -> None:
    assert client.root("http://h:1/v1") == "http://h:1"
    assert client.root("http://h:1/api/v3") == "http://h:1/api/v3"
    assert canary.choose_model([canary.Found("u", "", ("a", "b"), None)], "b") == "b"
