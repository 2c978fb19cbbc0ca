"""How many requests one server is given at once: found while running, not configured.

The limit doubles while more requests in flight give more tokens per second (slow start), stops at the knee where they only
wait longer, and from there on tries a fifth more now and then; after each change it waits until the server has settled.  A server
that tells how many requests wait inside it (vLLM's ``/metrics``) is given no more than it works at, and a quarter to spare.  One
that asks to wait (429, or 503 with Retry-After) or lets requests time out halves the limit (additive increase, multiplicative
decrease; Chiu & Jain 1989, as in TCP).
The signal is Little's law read as a measurement: beyond the server's batch size throughput stays and only latency grows,
and on an LLM server more waiting conversations also push each other's prefixes out of the cache.

Who waits is served by priority, not by arrival: a conversation that began earlier goes first, so that conversations are
finished one after the other while the server stays full, and prefixes are reused while they are still warm.
"""

from __future__ import annotations

import asyncio
import heapq
import time
from itertools import count

START, GAIN, BACK_OFF = 64.0, 0.05, 0.5
SPARE, SPARE_LEAST, LOOKS = 0.25, 4.0, 2  # what may wait inside a server, as a share of what it works at; looks in a row before it counts
EPOCH_S = 1.0  # an epoch lasts at least this long, and at least as many answers as the limit
PROBE_EVERY = 8  # epochs between trials of a larger limit, once the knee was found


class Window:
    """The limit on requests in flight at one server.

    Args:
        most: Upper bound of the limit.
        start: Limit to begin with.
    """

    def __init__(self, most: int, start: float = START) -> None:
        self.most = float(most)
        self.limit = min(start, self.most)
        self.in_flight = 0
        self.peak = 0
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._order = count()
        self._growing = True
        self._settling = True  # what is answered in this epoch was asked under another limit
        self._answers, self._work, self._full, self._since = 0, 0.0, False, time.monotonic()
        self._best, self._rate, self._calm = 0.0, 0.0, 0  # the best limit, its work per second, epochs since a trial
        self._eased, self._crowded = 0.0, 0

    @property
    def waiting(self) -> int:
        """How many requests wait for a place."""
        return len(self._waiting)

    async def enter(self, priority: int) -> None:
        """Wait for a place; lower priorities go first."""
        if self.in_flight < int(self.limit) and not self._waiting:
            self._take()
            return
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (priority, next(self._order), place))
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                self._give()
            raise

    def leave(self, *, answered: bool, work: float = 1.0) -> None:
        """Give a place back after an answer that took so much work (tokens), or after a failure that says nothing about load."""
        if answered:
            self._answers, self._work = self._answers + 1, self._work + work
            self._full = self._full or self.in_flight >= int(self.limit)
            self._measure()
        self._give()

    def overloaded(self) -> None:
        """Halve the limit, at most once a second; the caller still leaves."""
        now = time.monotonic()
        if now - self._eased > 1.0:
            self._eased = now
            self._fall(self.limit * BACK_OFF)

    def told(self, running: float, waiting: float) -> None:
        """Take in how many requests the server works at and how many wait inside it, from all its clients.

        Who waits there helps nobody, cannot be overtaken, and pushes what others will need again out of the prefix cache.
        """
        spare = SPARE * running + SPARE_LEAST
        self._crowded = self._crowded + 1 if waiting > spare and running else 0
        share = self.in_flight * (running + spare) / max(1.0, running + waiting)
        if self._crowded >= LOOKS and share < self.limit:
            self._fall(share)

    def _fall(self, limit: float) -> None:
        self.limit = self._best = max(1.0, limit)
        self._growing, self._settling, self._rate, self._calm = False, True, 0.0, 0
        self._new_epoch()

    def _take(self) -> None:
        self.in_flight += 1
        self.peak = max(self.peak, self.in_flight)

    def _give(self) -> None:
        self.in_flight -= 1
        while self._waiting and self.in_flight < int(self.limit):
            _, _, place = heapq.heappop(self._waiting)
            if not place.done():
                self._take()
                place.set_result(None)

    def _new_epoch(self) -> None:
        self._answers, self._work, self._full, self._since = 0, 0.0, False, time.monotonic()

    def _measure(self) -> None:
        """At the end of an epoch in which the limit was reached, compare its rate with that of the best limit so far."""
        spent = time.monotonic() - self._since
        if self._answers < self.limit or spent < EPOCH_S:
            return
        before = self.limit
        if self._full and not self._settling:
            self._judge(self._work / spent)
        self._settling = self.limit != before
        self._new_epoch()

    def _judge(self, rate: float) -> None:
        if self.limit <= self._best:  # no trial: what this limit gives drifts with what is asked
            self._rate += (0.3 if self._rate else 1.0) * (rate - self._rate)
            self._calm += 1
        elif rate > self._rate * (1 + GAIN * (2 if self._growing else 1)):
            self._best, self._rate = self.limit, rate
            self._calm = PROBE_EVERY if self._growing else 0
        else:
            self._growing, self._calm = False, 0
            self.limit = self._best
        if self._calm >= PROBE_EVERY:
            self._calm = 0
            self.limit = min(self.most, self._best * 2.0 if self._growing else max(self._best * 1.2, self._best + 1.0))
