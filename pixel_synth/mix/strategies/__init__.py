"""How records are chosen where there are more than wanted: one module each, whose name is the key.

Each has ``choose(pool, log) -> Ints``: places of the chosen records, as many per category as ``pool.counts`` says.  ``log`` takes
the passes of those that improve step by step.  ``TEXT`` says whether it looks at the wording.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import NamedTuple

from pixel_synth.mix.objective import Terms
from pixel_synth.mix.pool import Ints, Pool
from pixel_synth.recipe import Mixing


class Pass(NamedTuple):
    """One pass of an improvement: swaps that were made, and the terms after it (pass 0: the start)."""

    number: int
    swaps: int
    terms: Terms


class Strategy(NamedTuple):
    """A way to choose, and whether it needs the records' text."""

    choose: Callable[[Pool, list[Pass]], Ints]
    text: bool


def strategy(name: Mixing) -> Strategy:
    """Return the strategy of a name."""
    module = import_module(f"{__name__}.{name}")
    return Strategy(module.choose, module.TEXT)
