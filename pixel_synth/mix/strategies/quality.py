"""Quality: a weighted draw without replacement; the better a record is, the likelier it is taken.

Each record gets the key ``u ** (1 / w)`` with ``u`` uniform in (0, 1), and those with the largest keys are taken (Efraimidis & Spirakis,
2006, Information Processing Letters 97).  The weight is the record's rank in its category, from 0 to 1: scores lie close together, so that
their raw values would weigh nearly alike.  What has no score is taken only after what has one.
"""

from __future__ import annotations

import numpy as np

from pixel_synth.mix.pool import Floats, Ints, Pool
from pixel_synth.mix.strategies import Pass

TEXT = False


def choose(pool: Pool, log: list[Pass]) -> Ints:
    """Take the records with the largest keys of each group."""
    weights = ranks(pool)
    with np.errstate(divide="ignore"):
        keys = np.where(weights > 0, np.log(pool.draws) / weights, -np.inf)
    chosen = [rows[np.argsort(-keys[rows], kind="stable")[:n]] for rows, n in zip(pool.members, pool.balanced(), strict=True)]
    return np.sort(np.concatenate(chosen)) if chosen else np.zeros(0, np.int64)


def ranks(pool: Pool) -> Floats:
    """Return each record's mean rank by quality in its category over the number of scored ones there, in (0, 1]; 0 when unscored."""
    result = np.zeros(len(pool.items))
    for category in range(len(pool.counts)):
        rows = np.flatnonzero((pool.category == category) & ~np.isnan(pool.quality))
        if len(rows):
            _, place, times = np.unique(pool.quality[rows], return_inverse=True, return_counts=True)
            result[rows] = (np.cumsum(times) - (times - 1) / 2)[place] / len(rows)
    return result
