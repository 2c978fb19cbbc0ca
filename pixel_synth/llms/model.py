"""`PixelLLM`: any engine as a distilabel ``AsyncLLM``, with the ledger in front of it.

Our tasks call `ask` with a typed `Call`.  distilabel's own entry, ``agenerate``, takes plain chat messages and works
with engines that answer to messages alone (the composer does not: it needs the brief).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from distilabel.models.llms.base import AsyncLLM
from pydantic import PrivateAttr

from pixel_synth.errors import EngineError
from pixel_synth.llms.engine import Brief, Call, Completion, Engine, make_engine
from pixel_synth.llms.ledger import Ledger, ask


class PixelLLM(AsyncLLM):  # type: ignore[misc]
    """An engine and its ledger, loaded inside the process that uses them.

    Args:
        engine: Name of the engine.
        model: Model name under which calls are stored; the engine's name when empty.
        ledger: Path of the ledger file; without one nothing is stored.
    """

    engine: str = "composer"
    model: str = ""
    ledger: str | None = None
    _engine: Engine | None = PrivateAttr(default=None)
    _ledger: Ledger | None = PrivateAttr(default=None)

    def load(self) -> None:
        """Start the engine and open the ledger."""
        super().load()
        if self._engine is None:
            self._engine = make_engine(self.engine)
        if self.ledger and self._ledger is None:
            self._ledger = Ledger(Path(self.ledger))

    @property
    def model_name(self) -> str:
        """The name under which calls are stored."""
        return self.model or self.engine

    async def ask(self, call: Call) -> Completion:
        """Answer a call from the ledger, else from the engine, and store the answer."""
        if self._engine is None:
            raise EngineError("the engine is not loaded", hint="call load() first")
        return await ask(call, self._engine, self._ledger, self.model_name)

    async def agenerate(self, input: Any, num_generations: int = 1, brief: Brief | None = None, **sampling: Any) -> dict[str, Any]:
        """Answer plain chat messages in distilabel's form.

        Raises:
            EngineError: When the engine needs a typed brief and none is given.
        """
        if brief is None:
            raise EngineError(f"engine {self.engine!r} works from a typed brief", hint="use it through pixel_synth's tasks")
        done = [await self.ask(Call(brief, input, {}, {**sampling, "n": i})) for i in range(num_generations)]
        return {
            "generations": [c.text for c in done],
            "statistics": {"input_tokens": [c.tokens_in or 0 for c in done], "output_tokens": [c.tokens_out or 0 for c in done]},
        }
