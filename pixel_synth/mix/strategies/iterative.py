"""Iterative: a proportional draw without regard to wanted shares, then passes of swaps that raise the objective."""

from __future__ import annotations

from pixel_synth.mix.pool import Ints, Pool
from pixel_synth.mix.spread import spread
from pixel_synth.mix.strategies import Pass
from pixel_synth.mix.strategies.proportional import take
from pixel_synth.mix.swaps import improve

TEXT = True


def choose(pool: Pool, log: list[Pass]) -> Ints:
    """Start proportional and improve."""
    return improve(pool, take(pool, spread(pool.groups, pool.counts, ())), log)
