"""Engine ``server``: one or more OpenAI-compatible servers that offer the same model (also the one `llms.vllm` owns)."""

from __future__ import annotations

import asyncio
from typing import Any

from pixel_synth.llms.engine import Brief, Call, Completion
from pixel_synth.llms.pool import Pool
from pixel_synth.llms.tries import Limits
from pixel_synth.llms.wire import Wire, request_fields

ENDING, LAST = 2, 10**9


class Servers:
    """Sends calls to servers.

    Args:
        urls: Base addresses, each ending in ``/v1``.
        model: The model's name as the servers know it.
        wire: How schemas travel, as the canary found it.
        limits: What bounds a call.
        api_key: Sent as a bearer token when not empty.
    """

    name = "server"

    def __init__(self, urls: tuple[str, ...], model: str, wire: Wire, limits: Limits | None = None, api_key: str = "") -> None:
        self.model = model
        self._urls, self._wire, self._limits, self._key = urls, wire, limits or Limits(), api_key
        self._pool: Pool | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self.left: int | None = None  # conversations that are not finished, once somebody has counted them

    @property
    def pool(self) -> Pool:
        """The pool of the running event loop; a new loop gets a new one."""
        loop = asyncio.get_running_loop()
        if self._pool is None or self._loop is not loop:
            self._pool, self._loop = Pool(self._urls, self._limits, self._key), loop
        return self._pool

    def body(self, call: Call) -> dict[str, Any]:
        """Return the request of a call."""
        return {"model": self.model, "messages": call.messages, **call.sampling, **request_fields(call.schema, self._wire)}

    async def complete(self, call: Call) -> Completion:
        """Answer one call.

        Raises:
            EngineError: When it failed for good.
            EngineDown: When no server is left.
        """
        home, priority = (call.brief.blueprint.id, self._priority(call.brief)) if call.brief else ("", 0)
        return await self.pool.send(self.body(call), home, priority)

    def _priority(self, brief: Brief) -> int:
        """Return who goes first: who began earlier; towards the end of a run, who has most calls left.

        One after the other keeps prefixes warm, but would end with a few conversations that all have half of their turns to go and
        a server that is half empty.  So the last `ENDING` times as many as the servers take are brought to their ends together.
        """
        places = sum(e.window.limit for e in self.pool.endpoints)
        if self.left is None or self.left > ENDING * places:
            return brief.blueprint.slot
        return LAST - (brief.blueprint.turns - len(brief.history))

    async def close(self) -> None:
        """Close the connections of the running loop."""
        if self._pool is not None and self._loop is asyncio.get_running_loop():
            await self._pool.close()
            self._pool = None
