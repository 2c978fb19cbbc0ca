"""A judge over real HTTP that answers as it is told to: a model in a thread, for what a random one cannot show."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import Callable
from typing import Any

from aiohttp import web

# From what stands between the lines, a criterion and its answers, to the answer.
Decide = Callable[[str, str, list[str]], str]
TURN = re.compile(r"^\[\d+\] (client|therapist): (.+)$", re.MULTILINE)


def best(text: str, id: str, answers: list[str]) -> str:
    """Answer the highest level."""
    return [a for a in answers if a not in ("not_applicable", "unclear")][-1]


def worst(text: str, id: str, answers: list[str]) -> str:
    """Answer the lowest level."""
    return answers[0]


def gullible(text: str, id: str, answers: list[str]) -> str:
    """Obey whoever asks for it, and be strict otherwise."""
    return (best if "ignore all previous instructions" in text.lower() else worst)(text, id, answers)


def data_of(message: str) -> str:
    """Return what stands between the first two lines that are the same."""
    lines = message.splitlines()
    fence = next(line for line in lines if line.startswith("=====") and lines.count(line) == 2)
    start = lines.index(fence) + 1
    return "\n".join(lines[start : lines.index(fence, start)])


def reply(body: dict[str, Any], decide: Decide) -> str:
    """Return the verdict on a request, each answer with a quote of the speaker that the rubric names."""
    schema = body["response_format"]["json_schema"]["schema"]
    if schema["title"] == "canary":
        return json.dumps({"v": schema["properties"]["v"].get("enum", ["yes"])[0]})
    system, user = (m["content"] for m in body["messages"][:2])
    text = data_of(user)
    verdict = {}
    for id, field in schema["properties"].items():
        answers = schema["$defs"][field["$ref"].rpartition("/")[2]]["properties"]["answer"]["enum"]
        asked = next(line for line in system.splitlines() if line.startswith(f"{id}: "))
        who = next((w for w in ("client", "therapist") if f"Quote the {w}." in asked), "")
        said = [words for speaker, words in TURN.findall(text) if who in ("", speaker) and len(words) > 20]
        quote = said[-1][:60].strip() if said else ""
        verdict[id] = {"quote": quote, "why": "It says so.", "answer": decide(text, id, answers)}
    return json.dumps(verdict)


class JudgeServer:
    """An OpenAI-compatible server for as long as a ``with`` block lasts; ``bodies`` are the requests without the canary's."""

    def __init__(self, decide: Decide = best, model: str = "critic") -> None:
        self.decide, self.model, self.bodies = decide, model, []
        self.bodies: list[dict[str, Any]]
        self.fail_after: int | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> JudgeServer:
        self._thread.start()
        self.url = asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(10)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _start(self) -> str:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self._chat)
        app.router.add_get("/v1/models", self._models)
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}/v1"

    async def _models(self, _: web.Request) -> web.Response:
        return web.json_response({"data": [{"id": self.model}]})

    async def _chat(self, request: web.Request) -> web.Response:
        body = await request.json()
        text = reply(body, self.decide)
        if '"v"' not in text:
            if self.fail_after is not None and len(self.bodies) >= self.fail_after:
                await asyncio.Event().wait()
            self.bodies.append(body)
        usage = {"prompt_tokens": 9, "completion_tokens": 9}
        return web.json_response({"choices": [{"message": {"content": text}, "finish_reason": "stop"}], "usage": usage})
