"""The HTTP side: vLLM's OpenAI-compatible endpoints, and ``/mock/…`` to look at the server and to change it."""

from __future__ import annotations

import asyncio
import json
import os
from argparse import Namespace
from collections.abc import Callable
from http import HTTPStatus
from time import monotonic
from typing import Any

from aiohttp import web

from pixel_synth.llms.mock.books import Books
from pixel_synth.llms.mock.faults import Faults
from pixel_synth.llms.mock.pace import Pace, PrefixCache, Slots
from pixel_synth.llms.mock.spoil import Reply, reply, tokens
from pixel_synth.llms.mock.wish import Wish, read_wish

MAX_BODY = 64 * 2**20  # bytes
GARBAGE = "<html><body><h1>200 OK</h1><p>The gateway has nothing to say.</p></body></html>"


class Server:
    """One mock server.

    Args:
        options: The parsed command line (see `__main__`).
        faults: Which requests fail.
        pace: How fast it is at first.
        grandchild: Process id of the sleeping child, for the stats; ``None`` without one.
    """

    def __init__(self, options: Namespace, faults: Faults, pace: Pace, grandchild: int | None = None) -> None:
        self.options, self.faults, self.pace, self.grandchild = options, faults, pace, grandchild
        self.models: list[str] = options.served_model_name or options.model
        self.ways = frozenset(options.ways)
        self.slots = Slots(int(pace.batch))
        self.cache = PrefixCache(options.cache_blocks)
        self.books = Books()

    def app(self) -> web.Application:
        """Return the routes."""
        app = web.Application(client_max_size=MAX_BODY)
        app.router.add_post("/v1/chat/completions", self.chat)
        app.router.add_get("/v1/models", self.list_models)
        app.router.add_get("/health", self.health)
        app.router.add_get("/version", self.version)
        app.router.add_get("/metrics", self.metrics)
        app.router.add_get("/mock/stats", self.stats)
        app.router.add_post("/mock/faults", self.change_faults)
        app.router.add_post("/mock/pace", self.change_pace)
        return app

    # ------------------------------------------------------------------------------------- completions

    async def chat(self, request: web.Request) -> web.Response:
        """Answer a request for a chat completion, and book how it ended."""
        self.books.open()
        if self.books.requests == self.options.die_after:
            os._exit(1)
        end = "left"
        try:
            wish = self._admitted(await request.read())
            if isinstance(wish, web.Response):
                end = "rejected"
                return wish
            self.books.asked[wish.key] += 1
            fault = self.faults.pick(wish.key, constrained=wish.schema is not None, age_s=monotonic() - self.books.began)
            end = fault or end
            answer = await self._unanswered(request, fault, wish.key) or await self._completion(wish, fault)
            if fault is None:
                end = "answered" if answer.status == 200 else "rejected"
            self.books.answered[wish.key] += end in ("answered", "slow")
            return answer
        finally:
            self.books.close(end)

    def _admitted(self, raw: bytes) -> Wish | web.Response:
        """Read a request; one that is wrong in itself gets vLLM's error."""
        try:
            wish = read_wish(json.loads(raw), self.ways)
        except ValueError as error:
            return failure(400, str(error))
        if wish.model not in self.models:
            return failure(404, f"The model `{wish.model}` does not exist.")
        length = tokens(wish.prompt) + (wish.max_tokens or 1)
        if length > self.options.max_model_len:
            return failure(400, f"This model's maximum context length is {self.options.max_model_len} tokens; the request needs {length}.")
        return wish

    async def _unanswered(self, request: web.Request, fault: str | None, key: bytes) -> web.Response | None:
        """Return the response of a fault that keeps the model from answering at all, ``None`` for the others."""
        match fault:
            case "429":
                return failure(429, "Too many requests.", {"Retry-After": f"{self.options.retry_after:g}"})
            case "400" | "500" | "503":
                return failure(int(fault), "This fault was asked for.")
            case "garbage":
                # Some gateways tell the truth about what they send, some do not.
                return web.Response(text=GARBAGE, content_type="text/html" if key[0] % 2 else "application/json")
            case "hang":
                await asyncio.Event().wait()
            case "drop" if request.transport is not None:
                request.transport.abort()
                return web.Response()
        return None

    async def _completion(self, wish: Wish, fault: str | None) -> web.Response:
        """Let the time of an answer pass, in the batch, and return it; 400 for a schema that cannot be followed."""
        pace = self.pace
        try:
            answer = reply(int.from_bytes(wish.key, "big"), wish.schema, fault, max_tokens=wish.max_tokens, sigma=pace.length_sigma)
        except ValueError as error:
            return failure(400, str(error))
        if pace.latency_ms:
            await asyncio.sleep(pace.latency_ms / 1000)
        slow = fault == "slow"
        async with self.slots.slot():
            size, cached = tokens(wish.prompt), self.cache.take(wish.prompt)
            self.books.tokens_in += size
            self.books.tokens_cached += cached
            factor = 20.0 if slow and not pace.slow_s else 1.0
            await self.slots.work(pace, size - cached, answer.tokens, factor, pace.slow_s if slow else 0.0)
            self.books.tokens_out += answer.tokens
        return respond(completion(wish, answer, size, cached))

    # ---------------------------------------------------------------------------------- the other routes

    async def list_models(self, _: web.Request) -> web.Response:
        """Answer ``/v1/models``."""
        about = {"object": "model", "created": 0, "owned_by": "vllm", "parent": None, "max_model_len": self.options.max_model_len}
        return respond({"object": "list", "data": [{"id": name, "root": name, **about} for name in self.models]})

    async def health(self, _: web.Request) -> web.Response:
        """Answer 200: the server is ready as soon as it listens."""
        return web.Response()

    async def version(self, _: web.Request) -> web.Response:
        """Answer the version that was asked for on the command line."""
        return respond({"version": self.options.version}) if self.options.version else failure(404, "Not Found")

    async def metrics(self, _: web.Request) -> web.Response:
        """Answer the Prometheus text."""
        return web.Response(text=self.books.metrics(self.slots, self.models[0]))

    async def stats(self, _: web.Request) -> web.Response:
        """Answer the counters."""
        return respond({**self.books.stats(self.slots), "pid": os.getpid(), "grandchild": self.grandchild})

    async def change_faults(self, request: web.Request) -> web.Response:
        """Replace all shares by those of the body, and answer them."""
        return await changed(request, self._set_faults)

    async def change_pace(self, request: web.Request) -> web.Response:
        """Change the speeds named in the body, and answer all."""
        return await changed(request, self._set_pace)

    def _set_faults(self, values: dict[str, object]) -> dict[str, float]:
        self.faults.set(values)
        return self.faults.shares

    def _set_pace(self, values: dict[str, object]) -> dict[str, float]:
        self.pace = self.pace.changed(values)
        self.slots.resize(int(self.pace.batch))
        return vars(self.pace)


async def changed(request: web.Request, change: Callable[[dict[str, object]], dict[str, float]]) -> web.Response:
    """Apply the JSON object of a request's body and answer what it led to; 400 with the reason where it is wrong."""
    try:
        values = json.loads(await request.read() or b"{}")
        if not isinstance(values, dict):
            raise ValueError("a JSON object is expected")
        return respond(change(values))
    except ValueError as error:
        return failure(400, str(error))


def completion(wish: Wish, answer: Reply, size: int, cached: int) -> dict[str, Any]:
    """Return the body of a chat completion.

    Args:
        wish: The request.
        answer: The reply to it.
        size: Tokens of the prompt.
        cached: How many of them were cached.
    """
    message = {"role": "assistant", "content": answer.text, "refusal": answer.refusal}
    usage = {
        "prompt_tokens": size,
        "completion_tokens": answer.tokens,
        "total_tokens": size + answer.tokens,
        "prompt_tokens_details": {"cached_tokens": cached},
    }
    return {
        "id": f"chatcmpl-{wish.key.hex()}",
        "object": "chat.completion",
        "created": 0,
        "model": wish.model,
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": answer.finish}],
        "usage": usage,
    }


def respond(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """Return a JSON response."""
    return web.Response(body=json.dumps(body).encode(), status=status, headers=headers, content_type="application/json")


def failure(status: int, message: str, headers: dict[str, str] | None = None) -> web.Response:
    """Return an error in the shape vLLM gives it."""
    return respond({"error": {"message": message, "type": HTTPStatus(status).phrase, "param": None, "code": status}}, status, headers)
