"""`Asker`: the one way by which a call is answered: from the ledger when it is there, else by an engine, and stored.

It also keeps the budget and feeds the meter.  A call whose answer is stored costs nothing, whatever the budget says.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pixel_synth.errors import EngineDown, EngineError, PixelError, UsageError
from pixel_synth.llms.engine import Call, Completion, Engine
from pixel_synth.llms.ledger import Ledger

LOOK_S = 1.0  # how old the total of all processes may be


class Stopped(PixelError):
    """Nothing new may be asked: the budget is used up, or a replay has no such answer."""


class Voice(NamedTuple):
    """An engine, the model name under which its calls are stored, and what each request holds besides.

    Without an engine only the ledger answers.
    """

    engine: Engine | None
    model: str
    extra: Mapping[str, Any] = {}


class Budget:
    """Tokens and time after which nothing new is asked.

    Args:
        ledger: Knows the tokens of all processes of the run.
        tokens: Most tokens, in and out; 0 = no limit.
        until: Wall-clock time (seconds since the epoch) to stop at; 0 = no limit.
    """

    def __init__(self, ledger: Ledger, tokens: int = 0, until: float = 0.0) -> None:
        self._ledger, self.tokens, self.until = ledger, tokens, until
        self._spent, self._looked = 0.0, 0.0

    @property
    def spent(self) -> float:
        """Tokens of the whole run, at most `LOOK_S` old."""
        if time.monotonic() - self._looked > LOOK_S:
            totals = self._ledger.totals()
            self._spent, self._looked = totals.get("tokens_in", 0) + totals.get("tokens_out", 0), time.monotonic()
        return self._spent

    def add(self, tokens: int) -> None:
        """Count tokens of this process that the last look could not see."""
        self._spent += tokens

    def exhausted(self) -> str:
        """Return which limit is reached, or ""."""
        if self.until and time.time() >= self.until:
            return "the hours of the budget are over"
        return f"the budget of {self.tokens:,} tokens is used up" if self.tokens and self.spent >= self.tokens else ""


class Asker:
    """Answers calls.

    Args:
        generator: Who writes.
        judge: Who answers calls of part ``judge``; the generator when not given.
        ledger: Where answers are kept; without one nothing is.
        budget: What may be spent.
        others: Further judges; a call is theirs when it is addressed to their model.
    """

    def __init__(
        self,
        generator: Voice,
        judge: Voice | None = None,
        ledger: Ledger | None = None,
        budget: Budget | None = None,
        others: Sequence[Voice] = (),
    ) -> None:
        self._voices = {"judge": judge or generator}
        self._judges = {voice.model: voice for voice in (judge or generator, *others)}
        self._generator, self._ledger, self._budget = generator, ledger, budget

    @property
    def judges(self) -> tuple[str, ...]:
        """The models that judge."""
        return tuple(self._judges)

    def voice(self, call: Call) -> Voice:
        """Return who answers a call.

        Raises:
            UsageError: When it is addressed to a model that is none of the judges.
        """
        if call.to and call.to not in self._judges:
            raise UsageError(f"no judge {call.to!r}", hint=f"connected: {', '.join(self._judges)}")
        if call.to:
            return self._judges[call.to]
        return self._voices.get(call.part.partition(".")[0], self._generator)

    async def __call__(self, call: Call) -> Completion:
        """Answer one call.

        Raises:
            EngineError: When no answer can be had; it is stored, so that a replay fails in the same way.
            EngineDown: When no engine is left; nothing is stored.
            Stopped: When nothing new may be asked.
        """
        engine, model, extra = self.voice(call)
        call = call._replace(sampling={**call.sampling, **extra})
        key = call.key(model)
        if self._ledger and (stored := self._ledger.get(key)):
            return stored
        if self._budget and (why := self._budget.exhausted()):
            raise Stopped(why)
        if engine is None:
            raise Stopped(f"no answer to call {key[:12]} in the ledger")
        began = time.perf_counter()
        try:
            completion = await engine.complete(call)
        except EngineDown:
            raise
        except EngineError as error:
            if self._ledger and error.kind != "error":  # a fault of ours may be mended before the next start
                self._ledger.put_failure(key, call, error)
            raise
        if self._ledger:
            self._ledger.put(key, call, completion, time.perf_counter() - began)
        if self._budget:
            if self._budget.tokens and completion.tokens_in is None:
                raise EngineDown("the engine counts no tokens, so a budget of tokens cannot be kept", hint="leave --budget-tokens out")
            self._budget.add((completion.tokens_in or 0) + (completion.tokens_out or 0))
        return completion

    async def release(self) -> None:
        """Close the connections of this event loop; a model in this process stays loaded."""
        from pixel_synth.llms.server import Servers

        for engine in self.engines:
            if isinstance(engine, Servers):
                await engine.close()

    @property
    def engines(self) -> list[Engine]:
        """The engines behind it, each once."""
        voices = (self._generator, *self._judges.values())
        return list(dict.fromkeys(v.engine for v in voices if v.engine))

    async def close(self) -> None:
        """Release what the engines hold."""
        for engine in self.engines:
            await engine.close()

    def count_up(self, amounts: Mapping[str, float]) -> None:
        """Add to the run's meter, where there is one."""
        if self._ledger:
            self._ledger.count_up(amounts)
