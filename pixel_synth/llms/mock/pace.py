"""How fast the server is: a bounded batch with a queue, time for prompt and answer, and a prefix cache."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, fields, replace
from time import monotonic

BLOCK = 64  # characters of one cache block: 16 tokens, as vLLM has it
STEP_S = 0.25  # how often a paced answer looks at how full the batch is


@dataclass(frozen=True)
class Pace:
    """The speeds.  Zero means: takes no time, or has no bound."""

    batch: int = 0  # requests at work at once; the others wait in order of arrival
    prefill_tps: float = 0.0  # prompt tokens a second, one request alone; cached ones take no time
    token_ms: float = 0.0  # time for one token of the answer
    latency_ms: float = 0.0  # on top of every request, outside the batch
    slowdown: float = 0.0  # a full batch makes a token take (1 + slowdown) × token_ms
    length_sigma: float = 0.0  # spread of the answers' length: standard deviation of its logarithm
    slow_s: float = 0.0  # how much later a "slow" answer comes; 0: 20 times the time

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < float("inf"):
                raise ValueError(f"{field.name} has to be a number of at least 0, got {value!r}")
        if self.batch != int(self.batch):
            raise ValueError(f"batch has to be a whole number, got {self.batch!r}")

    def changed(self, values: Mapping[str, object]) -> Pace:
        """Return the pace with some of its values changed.

        Raises:
            ValueError: When a name or a value is none.
        """
        names = [field.name for field in fields(self)]
        if unknown := set(values) - set(names):
            raise ValueError(f"no pace {', '.join(sorted(unknown))}; there are {', '.join(names)}")
        return replace(self, **values)  # type: ignore[arg-type]  # __post_init__ checks every value


class Slots:
    """The places of the batch, given out in order of arrival, and a clock of how long they were taken."""

    def __init__(self, batch: int) -> None:
        self.batch = batch
        self.running = self.peak_running = self.peak_queued = 0
        self.busy_s = self.slot_s = 0.0
        self._queue: deque[asyncio.Future[None]] = deque()
        self._since = monotonic()

    @property
    def queued(self) -> int:
        """How many requests wait for a slot."""
        return len(self._queue)

    def resize(self, batch: int) -> None:
        """Change the number of slots; those at work go on."""
        self.batch = batch
        self._admit()

    def tick(self) -> None:
        """Bring the clocks up to now."""
        now = monotonic()
        self.slot_s += (now - self._since) * self.running
        self.busy_s += (now - self._since) * (self.running > 0)
        self._since = now

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Wait for a slot and hold it."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append(turn)
        self._admit()
        self.peak_queued = max(self.peak_queued, self.queued)
        try:
            await turn
            yield
        finally:
            # A client that left while it waited stands in the queue still, unless it was given a slot at the same moment.
            if turn.cancelled() and turn in self._queue:
                self._queue.remove(turn)
            else:
                self._change(-1)
                self._admit()

    def _admit(self) -> None:
        while self._queue and (not self.batch or self.running < self.batch):
            turn = self._queue.popleft()
            self._change(+1)
            if not turn.done():
                turn.set_result(None)

    def _change(self, by: int) -> None:
        self.tick()
        self.running += by
        self.peak_running = max(self.peak_running, self.running)

    async def work(self, pace: Pace, uncached: int, answer: int, factor: float = 1.0, extra_s: float = 0.0) -> None:
        """Let the time of one request pass; a slot is held meanwhile.

        Args:
            pace: The speeds.
            uncached: Prompt tokens that the prefix cache did not have.
            answer: Tokens of the answer.
            factor: How many times as long it takes.
            extra_s: Seconds on top.
        """
        due = monotonic() + extra_s + factor * (uncached / pace.prefill_tps if pace.prefill_tps else 0.0)
        left, token_s = float(answer), factor * pace.token_ms / 1000
        while left > 0 and token_s > 0:
            # Times are added up, not slept one by one, so that the sleeps' own delays do not.
            crowd = 1 + (pace.slowdown * self.running / self.batch if self.batch else 0.0)
            count = min(left, max(1.0, STEP_S / (token_s * crowd))) if pace.slowdown and self.batch else left
            due, left = due + count * token_s * crowd, left - count
            await until(due)
        await until(due)


async def until(due: float) -> None:
    """Sleep until a moment of the monotonic clock, if it is not past."""
    if (wait := due - monotonic()) > 0:
        await asyncio.sleep(wait)


class PrefixCache:
    """Which beginnings of prompts were seen lately: an LRU of blocks, each known by all that comes before it.

    Args:
        blocks: How many are kept; 0 keeps none.
    """

    def __init__(self, blocks: int) -> None:
        self.blocks = blocks
        self._seen: OrderedDict[int, None] = OrderedDict()

    def take(self, prompt: str) -> int:
        """Return how many tokens of a prompt are cached (at least one never is), and cache it."""
        if not self.blocks:
            return 0
        chains, chain = [], 0
        for start in range(0, len(prompt) - BLOCK, BLOCK):
            chain = hash((chain, prompt[start : start + BLOCK]))
            chains.append(chain)
        hits = next((i for i, known in enumerate(chains) if known not in self._seen), len(chains))
        # Last block first, so that a prompt is forgotten from its end: blocks behind a gap are of no use.
        for chain in reversed(chains):
            self._seen[chain] = None
            self._seen.move_to_end(chain)
        while len(self._seen) > self.blocks:
            self._seen.popitem(last=False)
        return hits * BLOCK // 4
