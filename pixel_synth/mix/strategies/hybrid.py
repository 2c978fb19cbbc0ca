"""Hybrid: a greedy start by quality and wording that meets the wanted shares, then passes of swaps that raise the objective."""

from __future__ import annotations

import numpy as np

from pixel_synth.mix.greedy import greedy
from pixel_synth.mix.pool import Ints, Pool
from pixel_synth.mix.strategies import Pass
from pixel_synth.mix.swaps import improve

TEXT = True


def choose(pool: Pool, log: list[Pass]) -> Ints:
    """Start with what is good and new in wording at once, and improve; what has no score is judged by its wording alone."""
    return improve(pool, greedy(pool, pool.balanced(), np.nan_to_num(pool.quality)), log)
