"""Greedy choice of records that repeat the least wording, fast enough for hundreds of thousands.

Stochastic greedy (Mirzasoleiman et al., 2015, Lazier than lazy greedy, AAAI): each step looks at a sample of the records that are left
and takes the best of it.  With samples of ``N / k * ln(1 / e)`` records its expected value is within ``1 - 1/e - e`` of the best there is.
Here the samples are stretches of the drawn order, so that the choice is the same on any machine.
"""

from __future__ import annotations

from math import ceil, log

import numpy as np

from pixel_synth.errors import UsageError
from pixel_synth.mix.pool import Floats, Ints, Pool
from pixel_synth.mix.wording import Wording

EPSILON = 0.1


def greedy(pool: Pool, amounts: list[int], bonus: Floats | None = None) -> Ints:
    """Return ``amounts`` records of each group.

    Args:
        pool: What is chosen from; it must have sketches.
        amounts: How many of each group.
        bonus: Added to what a record gives in wording, where a share ``1 / size`` of all wording counts 1 (N); none by default.

    Raises:
        UsageError: When the pool has no sketches.
    """
    if pool.sketches is None:
        raise UsageError("wording cannot be compared without the records' text", hint="give mix() a text function")
    wording = Wording(pool.sketches, sum(amounts))
    chosen = [_of_group(rows, n, wording, sum(amounts) / wording.most, bonus) for rows, n in zip(pool.members, amounts, strict=True)]
    return np.sort(np.concatenate(chosen)) if chosen else np.zeros(0, np.int64)


def _of_group(rows: Ints, n: int, wording: Wording, unit: float, bonus: Floats | None) -> Ints:
    left, taken = rows, list[int]()
    sample = min(len(rows), ceil(len(rows) / n * log(1 / EPSILON))) if n else 1
    while len(taken) < n:
        picked = np.zeros(len(left), bool)
        for start in range(0, len(left), sample):
            if len(taken) == n:
                break
            stretch = left[start : start + sample]
            value = wording.gains(stretch) * unit
            best = int(np.argmax(value if bonus is None else value + bonus[stretch]))
            wording.add(int(stretch[best]))
            taken.append(int(stretch[best]))
            picked[start + best] = True
        left = left[~picked]
    return np.array(taken, np.int64)
