"""Proportional: a seeded uniform draw; inside each group of the balance every source gives in proportion to what it has."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from pixel_synth.mix.pool import Ints, Pool
from pixel_synth.mix.quota import largest_remainder
from pixel_synth.mix.strategies import Pass

TEXT = False


def choose(pool: Pool, log: list[Pass]) -> Ints:
    """Take the first records of each group and source in drawn order; wanted shares are met by how much each group gives."""
    return take(pool, pool.balanced())


def take(pool: Pool, amounts: list[int]) -> Ints:
    """Return the first records of each group and source, ``amounts`` of each group."""
    chosen: list[int] = []
    for rows, amount in zip(pool.members, amounts, strict=True):
        of_source: dict[str, list[int]] = defaultdict(list)
        for row in rows.tolist():
            of_source[pool.items[row].source].append(row)
        shares = {source: float(len(of_source[source])) for source in sorted(of_source)}
        for source, n in largest_remainder(amount, shares).items():
            chosen += of_source[source][:n]
    return np.sort(np.array(chosen, np.int64))
