"""One or more servers that offer the same model: who gets a request, who is left out, and when to try again.

* A conversation stays with the server it began on (its prefix lies in that server's cache) and moves only when that server is
  down; a new one goes to the server with the most free places.
* A server that cannot be reached is left out and looked at again with growing pauses; it comes back by itself.
* Which failures are tried again, for how long, and when it is the server's fault: see `llms.tries`.  When all servers are down for
  ``patience_s``, `EngineDown` stops the run, so that a crashed server never turns into thousands of failed conversations.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, OrderedDict
from typing import TYPE_CHECKING, Any

from pixel_synth.errors import EngineDown, EngineError
from pixel_synth.llms import client
from pixel_synth.llms.engine import Completion
from pixel_synth.llms.tries import FIRST_PAUSE_S, LONGEST_PAUSE_S, LOST, REST_S, Endpoint, Limits, Tries, down, pause

if TYPE_CHECKING:
    import aiohttp

REMEMBERED = 100_000  # conversations whose server is remembered
MAYBE_DOWN = ("unreachable", "timeout", "server_error")


class Pool:
    """Sends requests to the servers.  Belongs to one event loop.

    Args:
        urls: Base addresses, each ending in ``/v1``.
        limits: What bounds a call.
        api_key: Sent as a bearer token when not empty.
    """

    def __init__(self, urls: tuple[str, ...], limits: Limits, api_key: str = "") -> None:
        self.endpoints = [Endpoint(url, limits) for url in urls]
        self.counts: Counter[str] = Counter()  # what had to be tried again, by kind
        self._limits = limits
        self._key = api_key
        self._session: aiohttp.ClientSession | None = None
        self._homes: OrderedDict[str, Endpoint] = OrderedDict()
        self._looks: dict[str, asyncio.Task[bool]] = {}
        self._watches: dict[str, asyncio.Task[None]] = {}
        self._news = asyncio.Event()

    @property
    def session(self) -> aiohttp.ClientSession:
        """The HTTP session, opened on first use."""
        if self._session is None:
            self._session = client.new_session(self._key)
        return self._session

    async def send(self, body: dict[str, Any], home: str, priority: int) -> Completion:
        """Send one request until it is answered.

        Args:
            body: The chat completion request.
            home: Requests of the same home go to the same server; "" has none.
            priority: Lower goes first where requests wait for a place.

        Raises:
            EngineError: When it failed for good, with the kind of its last try.
            EngineDown: When no server is left, or none that answers, or key or model are wrong.
        """
        tries = Tries(self._limits)
        while True:
            endpoint = await self._endpoint(home)
            try:
                return await self._once(endpoint, body, priority)
            except EngineDown:
                raise
            except EngineError as error:
                if error.kind == "bad_request":
                    raise
                if error.kind in MAYBE_DOWN and await self._is_down(endpoint):
                    tries.died(error)
                    continue
                if tries.used_up(endpoint, error):
                    if endpoint.gave_up():
                        self._rest(endpoint, error)
                    raise
                self.counts[f"retry_{error.kind}"] += 1
                await asyncio.sleep(pause(tries.failed, error))

    async def _once(self, endpoint: Endpoint, body: dict[str, Any], priority: int) -> Completion:
        await endpoint.window.enter(priority)
        began, answered, work = time.monotonic(), False, 1.0
        try:
            completion = await client.chat(self.session, endpoint.url, body, endpoint.deadline_s)
            answered, work = True, completion.tokens_out or 1.0
            endpoint.answered(time.monotonic() - began)
            return completion
        except EngineError as error:
            if error.kind == "rate_limited":
                endpoint.window.overloaded()
            elif error.kind == "timeout":
                endpoint.timed_out()
            raise
        finally:
            endpoint.window.leave(answered=answered, work=work)

    async def _endpoint(self, home: str) -> Endpoint:
        """Return the server of a home; wait while all are down.

        Raises:
            EngineDown: When none came back in time.
        """
        while True:
            if (known := self._homes.get(home)) and known.up:
                return known
            if up := [e for e in self.endpoints if e.up]:
                best = max(up, key=lambda e: (e.free, -self.endpoints.index(e)))
                if home:
                    self._homes[home] = best
                    self._homes.move_to_end(home)
                if len(self._homes) > REMEMBERED:
                    self._homes.popitem(last=False)
                return best
            left = max(e.since for e in self.endpoints) + self._limits.patience_s - time.monotonic()
            if left <= 0:
                names = ", ".join(e.url for e in self.endpoints)
                raise EngineDown(f"no server answers any more: {names}", hint="start it again, then --resume; what was finished is kept")
            self._news.clear()
            try:
                await asyncio.wait_for(self._news.wait(), left)
            except TimeoutError:
                continue

    async def _is_down(self, endpoint: Endpoint) -> bool:
        """Look whether a server is down, not only a connection; if so it is left out until it answers again."""
        if not endpoint.up:
            return True
        look = self._looks.get(endpoint.url)
        if look is None or look.done():  # one look answers all requests that have failed together
            look = self._looks[endpoint.url] = asyncio.create_task(alive(self.session, endpoint.url))
        if await asyncio.shield(look):
            return False
        if endpoint.up:
            endpoint.turn(up=False)
            self._watches[endpoint.url] = asyncio.create_task(self._watch(endpoint))
        return True

    def _rest(self, endpoint: Endpoint, error: EngineError) -> None:
        """Leave a server out for a while that is there and answers nothing.

        Raises:
            EngineDown: When there is no other one.
        """
        if not [e for e in self.endpoints if e.up and e is not endpoint]:
            raise down(f"{LOST} calls in a row had no answer", error) from error
        endpoint.turn(up=False)
        self._watches[endpoint.url] = asyncio.create_task(self._watch(endpoint, REST_S))

    async def _watch(self, endpoint: Endpoint, rest_s: float = 0.0) -> None:
        await asyncio.sleep(rest_s)
        wait_s = FIRST_PAUSE_S
        while not await alive(self.session, endpoint.url):
            await asyncio.sleep(wait_s)
            wait_s = min(LONGEST_PAUSE_S, wait_s * 2)
        endpoint.turn(up=True)
        self._news.set()

    async def close(self) -> None:
        """Stop watching and close the connections."""
        tasks = (*self._watches.values(), *self._looks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._session is not None:
            await self._session.close()
            self._session = None


async def alive(session: aiohttp.ClientSession, url: str) -> bool:
    """Whether a server answers its list of models, if only with a refusal."""
    status, _ = await client.get(session, f"{url}/models")
    return 0 < status < 500
