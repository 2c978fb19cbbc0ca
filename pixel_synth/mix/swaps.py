"""Passes of swaps that raise the objective of a choice of records.

A pass pairs, inside each category, the chosen records that give the least with the records outside that would give the most, and makes
every swap that raises the objective, computed exactly.  So it never falls, and the counts of the categories do not change.  A record
without a score changes places only with another such: otherwise the mean score would rise by taking scores away.
"""

from __future__ import annotations

import numpy as np

from pixel_synth.mix.objective import Objective
from pixel_synth.mix.pool import Ints, Pool
from pixel_synth.mix.strategies import Pass

PASSES = 12
# A pass that raises the objective by less ends the passes.
GAIN = 1e-4


def improve(pool: Pool, chosen: Ints, log: list[Pass]) -> Ints:
    """Return a choice whose objective is at least that of ``chosen``, and write the passes into ``log``."""
    objective = Objective(pool, chosen)
    inside = np.zeros(len(pool.items), bool)
    inside[chosen] = True
    log.append(Pass(0, 0, objective.terms()))
    for number in range(1, PASSES + 1):
        before = log[-1].terms.objective
        swaps = sum(_swap(objective, pool, inside, c, scored) for c in range(len(pool.counts)) for scored in (True, False))
        log.append(Pass(number, swaps, objective.terms()))
        after = log[-1].terms.objective
        if not swaps or before is None or after is None or after - before < GAIN:
            break
    return np.flatnonzero(inside)


def _swap(objective: Objective, pool: Pool, inside: np.ndarray, category: int, scored: bool) -> int:
    """Make the swaps of one category that pay; return how many."""
    mine = (pool.category == category) & (np.isnan(pool.quality) != scored)
    ins, outs = np.flatnonzero(mine & inside), np.flatnonzero(mine & ~inside)
    if not len(ins) or not len(outs):
        return 0
    gives, would = objective.worth(ins, True), objective.worth(outs, False)
    low, high = np.argsort(gives, kind="stable"), np.argsort(-would, kind="stable")
    made = 0
    for i, o in zip(low.tolist(), high.tolist(), strict=False):
        if would[o] <= gives[i]:
            break
        if objective.swap(int(ins[i]), int(outs[o])):
            inside[ins[i]], inside[outs[o]] = False, True
            made += 1
    return made
