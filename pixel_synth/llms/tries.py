"""What bounds a call, and whose fault a failure is: the call's, or its server's.

* Retries with exponential backoff and equal jitter (Brooker 2015, "Exponential Backoff And Jitter"), or as long as the server asks
  to wait.  A call fails only by itself: it is given up after `Limits.tries` tries if its server has answered another one meanwhile,
  else when the server has answered nothing for ``patience_s``.  Waiting for a server that is down, or that asks to wait, is no try.
* A server that leaves `LOST` calls in a row without an answer rests for `REST_S` where there is another one, else it is `EngineDown`;
  so it is when servers go down `DEATHS` times under one call, which may then be what ends them.
* The deadline of a request follows what the server takes: six times the slowest of its recent answers, between `LEAST_S` and
  ``Limits.timeout_s``; until twenty answers are known it is ``timeout_s``, and every timeout doubles it.
"""

from __future__ import annotations

import random
import time
from collections import deque
from typing import NamedTuple

from pixel_synth.errors import EngineDown, EngineError
from pixel_synth.llms import client
from pixel_synth.llms.window import Window

LEAST_S, SLACK, KNOWN = 60.0, 6.0, 20
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.25, 30.0
LOST, DEATHS, REST_S = 8, 8, 60.0


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
        self._lost = 0  # calls in a row that were given up
        self.answered_at = 0.0
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
        self._stretch, self._lost, self.answered_at = 1.0, 0, time.monotonic()

    def timed_out(self) -> None:
        """Let the next requests take longer, and send fewer at once."""
        self._stretch *= 2
        self.window.overloaded()

    def gave_up(self) -> bool:
        """Count a call that is given up, and return whether too many in a row were."""
        self._lost += 1
        return self._lost >= LOST

    def turn(self, up: bool) -> None:
        """Mark as up or down."""
        if self.up != up:
            self.up, self.since, self._lost = up, time.monotonic(), 0


class Tries:
    """What one call has met so far."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.failed = self._own = self._deaths = 0
        self._since = 0.0

    def used_up(self, endpoint: Endpoint, error: EngineError) -> bool:
        """Count a failure, and return whether the call is to be given up."""
        now = time.monotonic()
        self._since = self._since or now
        self.failed += 1
        silent_s = now - max(self._since, endpoint.answered_at)
        if isinstance(error, client.RateLimited):
            return silent_s + error.after_s > self._limits.patience_s
        self._own += 1
        return self._own >= self._limits.tries and (endpoint.answered_at > self._since or silent_s >= self._limits.patience_s)

    def died(self, error: EngineError) -> None:
        """Count that the server went down.

        Raises:
            EngineDown: When that has happened too often for chance.
        """
        self._deaths += 1
        if self._deaths >= DEATHS:
            raise down(f"servers went down {DEATHS} times while they answered one call", error) from error


def pause(tried: int, error: EngineError) -> float:
    """Return the seconds to wait before another try; never less than the server asks for."""
    least = error.after_s * random.uniform(1.0, 1.5) if isinstance(error, client.RateLimited) else 0.0
    most = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** min(tried, 10))
    return max(least, random.uniform(most / 2, most))


def down(what: str, error: EngineError) -> EngineDown:
    """Return the error that ends a run because of its servers."""
    hint = "mend the server, or leave its --base-url out, then --resume; what was finished is kept"
    return EngineDown(f"{what}; the last: {error.message}", hint=hint, kind=error.kind)
