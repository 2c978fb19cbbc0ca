"""Engine ``server``: one or more OpenAI-compatible servers that offer the same model (also the one `llms.vllm` owns)."""

from __future__ import annotations

import asyncio
from typing import Any

from pixel_synth.llms.engine import Call, Completion
from pixel_synth.llms.pool import Pool
from pixel_synth.llms.tries import Limits
from pixel_synth.llms.wire import Wire, request_fields


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
        home, priority = (call.brief.blueprint.id, call.brief.blueprint.slot) if call.brief else ("", 0)
        return await self.pool.send(self.body(call), home, priority)

    async def close(self) -> None:
        """Close the connections of the running loop."""
        if self._pool is not None and self._loop is asyncio.get_running_loop():
            await self._pool.close()
            self._pool = None
