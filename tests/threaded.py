"""A real HTTP server of a test's own, in a thread, for as long as a ``with`` block lasts."""

from __future__ import annotations

import asyncio
import threading
from typing import Any, Self

from aiohttp import web


class Threaded:
    """Serves ``app()`` on a free port of this machine; ``url`` is its address, with ``/v1``."""

    runner: dict[str, Any] = {}  # noqa: RUF012  (further arguments of the runner, the same for all of a class)

    def app(self) -> web.Application:
        raise NotImplementedError

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.url = asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(10)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _start(self) -> str:
        self._runner = web.AppRunner(self.app(), access_log=None, **self.runner)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}/v1"
