"""Passes of swaps that raise the objective of a choice of records.

A pass pairs the chosen records that give the least with the records outside that would give the most, first inside each category, then
inside each group of the balance, and makes every swap that pays, computed exactly.  So the objective never falls, and the counts of the
categories do not change.  A record
without a score changes places only with another such: otherwise the mean score would rise by taking scores away.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

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
    places = [np.flatnonzero(pool.category == c) for c in range(len(pool.counts))] + (list(pool.members) if pool.wanted else [])
    kinds = [rows[np.isnan(pool.quality[rows]) != scored] for rows in places for scored in (True, False)]
    for number in range(1, PASSES + 1):
        before = log[-1].terms.objective
        swaps = sum(_swap(objective, inside, rows) for rows in kinds)
        log.append(Pass(number, swaps, objective.terms()))
        after = log[-1].terms.objective
        if not swaps or before is None or after is None or after - before < GAIN:
            break
    return np.flatnonzero(inside)


def _swap(objective: Objective, inside: NDArray[np.bool_], rows: Ints) -> int:
    """Make the swaps among these records that pay; return how many."""
    ins, outs = rows[inside[rows]], rows[~inside[rows]]
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
