"""How varied the wording of the chosen records is, kept up to date while records come and go.

The measure is the sum over word pairs of the square root of how often they were chosen, over the same sum for all records that there
are: 1 when everything is chosen, and the higher the more of the wording that there is occurs.  Such a concave function of counts is
monotone and submodular (Kirchhoff & Bilmes, 2014, Submodularity for data selection in machine translation, EMNLP), so that greedy
choice has a guarantee.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pixel_synth.mix.sketch import NONE

_ROWS = 1 << 16  # rows that are looked at together, which bounds memory


class Wording:
    """Counts of the word pairs in the chosen records.

    Args:
        sketches: Of all records (N × `PAIRS`), `numbered`.
        size: Most records that are chosen at a time.

    Attributes:
        most: The sum for all records: what gains and losses are to be divided by.
    """

    def __init__(self, sketches: NDArray[np.int32], size: int) -> None:
        self._sketches = sketches
        everything = np.bincount(sketches.ravel(), minlength=1)
        everything[NONE] = 0
        self.most = max(1.0, float(np.sqrt(everything).sum()))  # at least 1, where no record has two words
        # What one more adds, by how often a pair was chosen; the last two are for `NONE`, which adds nothing.
        self._steps = np.append(np.diff(np.sqrt(np.arange(size + 3))), (0.0, 0.0))
        self._counts = np.zeros(len(everything), np.int32)
        self._none()
        self._sum = 0.0

    def _none(self) -> None:
        self._counts[NONE] = len(self._steps) - 1

    @property
    def value(self) -> float:
        """The measure, 0-1."""
        return self._sum / self.most

    @property
    def distinct(self) -> int:
        """How many different pairs the sketches of the chosen records hold."""
        return int(np.count_nonzero(self._counts) - 1)

    def gains(self, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return by how much the measure would rise with each of these records, times `most`."""
        return self._sums(rows, 0)

    def losses(self, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return by how much it would fall without each of these chosen records, in the same unit."""
        return self._sums(rows, 1)

    def _sums(self, rows: NDArray[np.int64], back: int) -> NDArray[np.float64]:
        parts = [self._steps[self._counts[self._sketches[rows[i : i + _ROWS]]] - back].sum(1) for i in range(0, len(rows), _ROWS)]
        return np.concatenate(parts) if parts else np.zeros(0)

    def gain(self, row: int) -> float:
        """Return `gains` of one record."""
        return float(self._steps[self._counts[self._sketches[row]]].sum())

    def add(self, row: int) -> float:
        """Take a record in; return the rise, times `most`."""
        gain = self.gain(row)
        self._counts[self._sketches[row]] += 1
        self._none()
        self._sum += gain
        return gain

    def remove(self, row: int) -> float:
        """Take a chosen record out; return the fall, times `most`."""
        self._counts[self._sketches[row]] -= 1
        self._none()
        loss = self.gain(row)
        self._sum -= loss
        return loss
