"""What a mixture is improved by: one number, the mean of up to three terms of 0-1 with equal weight.

quality
    Mean overall score of the chosen records that have one.
diversity
    How much of the wording that there is occurs, see `pixel_synth.mix.wording`.
balance
    One minus half the summed distances of the cells from their wanted shares, mean over the dimensions that shares are wanted of.
    Only the part of a distance beyond the tolerance counts: within it balancing rests.

A term that cannot be computed (no score, no text, nothing wanted) is ``None`` and is left out.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pixel_synth.mix.pool import Floats, Ints, Pool
from pixel_synth.mix.wording import Wording

# A change smaller than this is rounding.
LEAST = 1e-12


class Terms(NamedTuple):
    """The terms and their mean, each 0-1; ``None`` where it cannot be computed."""

    quality: float | None
    diversity: float | None
    balance: float | None
    objective: float | None


class Objective:
    """The objective of one choice of records, kept up to date over swaps inside a category.

    Args:
        pool: What is chosen from.
        chosen: Places of the chosen records.
    """

    def __init__(self, pool: Pool, chosen: Ints) -> None:
        self._pool, self._size = pool, max(1, len(chosen))
        scores = pool.quality[chosen]
        self._scored = int(np.count_nonzero(~np.isnan(scores)))
        self._sum = float(np.nansum(scores))
        self._wording = Wording(pool.sketches, len(chosen)) if pool.sketches is not None else None
        for row in chosen if self._wording else ():
            self._wording.add(row)  # type: ignore[union-attr]
        self._lies = np.zeros((len(pool.groups), len(pool.wanted)))
        for g, group in enumerate(pool.groups):
            self._lies[g, list(group.cells)] = 1.0
        self._counts = self._lies[pool.group[chosen]].sum(0)
        self._targets = np.array([share * self._size for _, share in pool.wanted])
        self._dimensions = len({cell.dimension for cell, _ in pool.wanted})
        self._parts = sum((bool(self._scored), self._wording is not None, bool(self._dimensions)))

    def terms(self) -> Terms:
        """Return the terms as they are now."""
        quality = self._sum / self._scored if self._scored else None
        diversity = self._wording.value if self._wording else None
        balance = self._balance(self._counts) if self._dimensions else None
        known = [t for t in (quality, diversity, balance) if t is not None]
        return Terms(quality, diversity, balance, sum(known) / len(known) if known else None)

    @property
    def distinct(self) -> int | None:
        """Different word pairs in the sketches of the chosen, ``None`` without texts."""
        return self._wording.distinct if self._wording else None

    def _balance(self, counts: Floats) -> float:
        beyond = np.maximum(0.0, np.abs(counts - self._targets) - self._pool.tolerance * self._size)
        return 1.0 - 0.5 * float(beyond.sum()) / self._size / self._dimensions

    def worth(self, rows: Ints, chosen: bool) -> Floats:
        """Return about how much of the objective each record gives (chosen) or would give, all else as it is."""
        worth = np.nan_to_num(self._pool.quality[rows]) / max(1, self._scored)
        if self._wording:
            change = self._wording.losses(rows) if chosen else self._wording.gains(rows)
            worth = worth + change / self._wording.most
        if self._dimensions:
            off = self._counts - self._targets
            pull = -np.sign(off) * (np.abs(off) > self._pool.tolerance * self._size)
            worth = worth + (self._lies @ pull)[self._pool.group[rows]] * 0.5 / self._size / self._dimensions
        return np.asarray(worth / max(1, self._parts), float)

    def swap(self, out: int, into: int) -> bool:
        """Put one record in the place of another if it pays; tell whether it was done.

        It pays when it raises the objective, does not lower the balance, and takes the cells no further from their shares, not even
        inside the tolerance: what is met stays met.
        """
        change = 0.0
        counts = self._counts
        if self._dimensions and self._pool.group[out] != self._pool.group[into]:
            counts = counts - self._lies[self._pool.group[out]] + self._lies[self._pool.group[into]]
            change = self._balance(counts) - self._balance(self._counts)
            further = np.abs(counts - self._targets).sum() - np.abs(self._counts - self._targets).sum()
            if change < -LEAST or further > LEAST:
                return False
        quality = float(np.nan_to_num(self._pool.quality[into])) - float(np.nan_to_num(self._pool.quality[out]))
        change += quality / max(1, self._scored)
        if not self._reworded(out, into, change):
            return False
        self._sum += quality
        self._counts = counts
        return True

    def _reworded(self, out: int, into: int, change: float) -> bool:
        """Tell whether a swap pays that changes the other terms by ``change``; when it does, the wording is that after the swap."""
        if self._wording is None:
            return change > LEAST
        lost = self._wording.remove(out)
        pays = change + (self._wording.gain(into) - lost) / self._wording.most > LEAST
        self._wording.add(into if pays else out)
        return pays
