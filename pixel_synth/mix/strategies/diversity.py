"""Diversity: greedily the records whose wording the others have not."""

from __future__ import annotations

from pixel_synth.mix.greedy import greedy
from pixel_synth.mix.pool import Ints, Pool
from pixel_synth.mix.strategies import Pass

TEXT = True


def choose(pool: Pool, log: list[Pass]) -> Ints:
    """Choose greedily by wording alone; wanted shares are met by how much each group gives."""
    return greedy(pool, pool.balanced())
