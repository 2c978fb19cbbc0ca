"""`PixelLLM`: any engine as a distilabel ``AsyncLLM``, with the ledger in front of it.

Our tasks call it with a typed `Call` (it is an `Ask`).  distilabel's own entry, ``agenerate``, takes plain chat messages, so that
distilabel's tasks work on it too, with engines that answer to messages alone (the composer does not: it needs the brief)::

    llm = PixelLLM(base_url=["http://127.0.0.1:8000/v1"])
    TextGeneration(llm=llm)
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from distilabel.models.llms.base import AsyncLLM
from pydantic import PrivateAttr

from pixel_synth.errors import EngineError
from pixel_synth.llms.ask import Asker
from pixel_synth.llms.connect import connect_all, make_asker
from pixel_synth.llms.engine import Brief, Call, Completion
from pixel_synth.llms.ledger import Ledger
from pixel_synth.settings import exact_settings

MAX_TOKENS = 1024


class PixelLLM(AsyncLLM):  # type: ignore[misc]
    """An engine and its ledger, loaded inside the process that uses them.

    Args:
        engine: ``composer``, ``transformers`` or ``server``; ``server`` when addresses are given.
        model: Model name or folder; a server that offers only one needs none.
        base_url: Addresses of OpenAI-compatible servers that offer the model.
        ledger: Path of the ledger file; without one nothing is stored.
    """

    engine: str = "composer"
    model: str = ""
    base_url: tuple[str, ...] = ()
    ledger: str | None = None
    _asker: Asker | None = PrivateAttr(default=None)
    _name: str = PrivateAttr(default="")

    def load(self) -> None:
        """Look at the servers, run the canary, and open the ledger.

        Raises:
            UsageError: For settings that do not go together.
            EngineDown: When a server cannot be used.
        """
        super().load()
        if self._asker is None:
            engine = "server" if self.base_url else self.engine
            settings = exact_settings({"engine": engine, "model": self.model, "base_url": self.base_url})
            links = asyncio.run(connect_all(settings))
            self._name = links.generator.model
            self._asker = make_asker(links, settings, Ledger(Path(self.ledger)) if self.ledger else None)

    @property
    def model_name(self) -> str:
        """The name under which calls are stored."""
        return self._name or self.model or self.engine

    async def ask(self, call: Call) -> Completion:
        """Answer a call from the ledger, else from the engine, and store the answer."""
        if self._asker is None:
            raise EngineError("the engine is not loaded", hint="call load() first")
        return await self._asker(call)

    async def release(self) -> None:
        """Close the connections of this event loop."""
        if self._asker is not None:
            await self._asker.release()

    async def agenerate(self, input: Any, num_generations: int = 1, brief: Brief | None = None, **sampling: Any) -> dict[str, Any]:
        """Answer plain chat messages in distilabel's form; ``max_new_tokens`` is taken for ``max_tokens``.

        Raises:
            EngineError: When the engine needs a typed brief and none is given.
        """
        if "max_new_tokens" in sampling:
            sampling["max_tokens"] = sampling.pop("max_new_tokens")
        wanted = {"max_tokens": MAX_TOKENS, **sampling}
        seed = wanted.get("seed", 0)
        done = [await self.ask(Call(brief, input, {}, {**wanted, "seed": seed + i})) for i in range(num_generations)]
        return {
            "generations": [c.text for c in done],
            "statistics": {"input_tokens": [c.tokens_in or 0 for c in done], "output_tokens": [c.tokens_out or 0 for c in done]},
        }
