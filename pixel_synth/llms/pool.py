"""One or more servers that offer the same model: who gets a request, who is left out, and when to try again.

* A conversation stays with the server it began on (its prefix lies in that server's cache) and moves only when that server is
  down; a new one goes to the server with the most free places.
* A server that cannot be reached is left out and looked at again with growing pauses; it comes back by itself.
* Retries: `Limits.tries` per call with exponential backoff and full jitter (Brooker 2015, "Exponential Backoff And Jitter"), or as
  long as the server asks to wait.  Waiting for a server that is down is no try: a call fails only by itself.
* When all servers are down for `Limits.patience_s`, `EngineDown` stops the run, so that a crashed server never turns into
  thousands of failed conversations.
* The deadline of a request follows what the server takes: six times the slowest of its recent answers, between `LEAST_S` and
  ``Limits.timeout_s``; until twenty answers are known it is ``timeout_s``, and every timeout doubles it.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter, OrderedDict, deque
from typing import TYPE_CHECKING, Any, NamedTuple

from pixel_synth.errors import EngineDown, EngineError
from pixel_synth.llms import client
from pixel_synth.llms.engine import Completion
from pixel_synth.llms.window import Window

if TYPE_CHECKING:
    import aiohttp

LEAST_S, SLACK, KNOWN = 60.0, 6.0, 20
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.25, 30.0
REMEMBERED = 100_000  # conversations whose server is remembered


class Limits(NamedTuple):
    """What bounds a call.  None of it changes an answer.

    Attributes:
        window: Most requests in flight at one server, per process.
        tries: Times a request is sent before the call counts as failed.
        timeout_s: Longest deadline of one request.
        patience_s: How long all servers may be down before the run stops.
    """

    window: int = 512
    tries: int = 5
    timeout_s: float = 1800.0
    patience_s: float = 120.0


class Endpoint:
    """One server: its window, whether it is up, how long its answers take."""

    def __init__(self, url: str, limits: Limits) -> None:
        self.url = url
        self.window = Window(limits.window)
        self.up = True
        self.since = time.monotonic()
        self._most_s = limits.timeout_s
        self._recent: deque[float] = deque(maxlen=256)
        self._stretch = 1.0

    @property
    def free(self) -> float:
        """Free places; negative when requests wait."""
        return self.window.limit - self.window.in_flight - self.window.waiting

    @property
    def deadline_s(self) -> float:
        """How long the next request may take."""
        if len(self._recent) < KNOWN:
            return self._most_s
        return min(self._most_s, max(LEAST_S, SLACK * max(self._recent)) * self._stretch)

    def answered(self, seconds: float) -> None:
        """Take in how long an answer took."""
        self._recent.append(seconds)
        self._stretch = 1.0

    def timed_out(self) -> None:
        """Let the next requests take longer, and send fewer at once."""
        self._stretch *= 2
        self.window.overloaded()

    def turn(self, up: bool) -> None:
        """Mark as up or down."""
        if self.up != up:
            self.up, self.since = up, time.monotonic()


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
            home: Requests of the same home go to the same server.
            priority: Lower goes first where requests wait for a place.

        Raises:
            EngineError: When it failed for good, with the kind of its last try.
            EngineDown: When no server is left, or key or model are wrong.
        """
        tried = 0
        while True:
            endpoint = await self._endpoint(home)
            try:
                return await self._once(endpoint, body, priority)
            except EngineDown:
                raise
            except EngineError as error:
                if error.kind == "unreachable" and await self._is_down(endpoint):
                    continue  # the server's fault, not the call's
                tried += 1
                if error.kind == "bad_request" or tried >= self._limits.tries:
                    raise
                self.counts[f"retry_{error.kind}"] += 1
                await asyncio.sleep(_pause(tried, error))

    async def _once(self, endpoint: Endpoint, body: dict[str, Any], priority: int) -> Completion:
        await endpoint.window.enter(priority)
        began, answered = time.monotonic(), False
        try:
            completion = await client.chat(self.session, endpoint.url, body, endpoint.deadline_s)
            answered = True
            endpoint.answered(time.monotonic() - began)
            return completion
        except EngineError as error:
            if error.kind == "rate_limited":
                endpoint.window.overloaded()
            elif error.kind == "timeout":
                endpoint.timed_out()
            raise
        finally:
            endpoint.window.leave(answered=answered)

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
        if await alive(self.session, endpoint.url):
            return False
        if endpoint.up:
            endpoint.turn(up=False)
            self._watches[endpoint.url] = asyncio.create_task(self._watch(endpoint))
        return True

    async def _watch(self, endpoint: Endpoint) -> None:
        pause = FIRST_PAUSE_S
        while not await alive(self.session, endpoint.url):
            await asyncio.sleep(pause)
            pause = min(LONGEST_PAUSE_S, pause * 2)
        endpoint.turn(up=True)
        self._news.set()

    async def close(self) -> None:
        """Stop watching and close the connections."""
        for task in list(self._watches.values()):
            task.cancel()
        if self._session is not None:
            await self._session.close()
            self._session = None


async def alive(session: aiohttp.ClientSession, url: str) -> bool:
    """Whether a server answers its list of models, or says itself that it is healthy."""
    status, _ = await client.get(session, f"{url}/models")
    return 0 < status < 500


def _pause(tried: int, error: EngineError) -> float:
    """Return the seconds to wait before another try."""
    if isinstance(error, client.RateLimited) and error.after_s:
        return error.after_s * random.uniform(1.0, 1.5)
    return random.uniform(0.0, min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2**tried))
