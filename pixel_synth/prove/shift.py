"""By how much the mean of a score differs between two versions that share some of their records."""

from __future__ import annotations

import math
from array import array

from pydantic import Field

from pixel_synth.records import Record

LEVEL = 0.95


class Shift(Record):
    """Means of a measure in two versions, and their difference (second less first) with its 95% interval.

    ``a`` and ``b`` are ``None`` where no record has the measure; ``low`` and ``high`` where ``reason`` says why.
    """

    metric: str
    a_n: int = Field(ge=0)
    b_n: int = Field(ge=0)
    shared: int = Field(ge=0, description="records that have it in both")
    a: float | None
    b: float | None
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    reason: str = ""

    @property
    def moved(self) -> bool:
        """Whether the interval excludes no difference at all."""
        return self.low is not None and self.high is not None and not self.low <= 0 <= self.high


class Measure:
    """Collects one measure of both versions: all values of the first by place, sums of the second."""

    def __init__(self) -> None:
        self._first = array("d")
        self._a, self._b, self._both = [0.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0] * 6

    def first(self, place: int, value: float) -> None:
        """Take a value of the record at a place of the first version; places may be left out."""
        self._first.extend([math.nan] * (place - len(self._first)))
        self._first.append(value)
        _add(self._a, value)

    def second(self, place: int | None, value: float) -> None:
        """Take a value of the second version; ``place`` is where the first has this record, ``None`` where it has not."""
        _add(self._b, value)
        if place is None or place >= len(self._first) or math.isnan(before := self._first[place]):
            return
        for i, term in enumerate((1.0, before, value, before * before, value * value, before * value)):
            self._both[i] += term

    def shift(self, metric: str) -> Shift:
        """Return the difference.

        The interval is that of the t test for samples that share some members, variances not assumed equal (Derrick, Russ, Toher & White
        2017, Test statistics for the comparison of means for two samples that include both paired and independent observations, Journal
        of Modern Applied Statistical Methods 16(1), https://doi.org/10.22237/jmasm/1493597280).  Without shared records it is Welch's
        test; Welch's test alone would give intervals that are too wide wherever versions share most records.
        """
        (n1, s1, _), (n2, s2, _) = self._a, self._b
        base = {"metric": metric, "a_n": int(n1), "b_n": int(n2), "shared": int(self._both[0])}
        mean1, mean2 = (s1 / n1 if n1 else None), (s2 / n2 if n2 else None)
        if mean1 is None or mean2 is None:
            return Shift(**base, a=mean1, b=mean2, reason="only one version has it")
        told = {**base, "a": mean1, "b": mean2, "difference": mean2 - mean1}
        if min(n1, n2) < 2:
            return Shift(**told, reason="fewer than two records have it")
        v1, v2 = (max(0.0, (q - s * s / n) / (n - 1)) for n, s, q in (self._a, self._b))
        error = math.sqrt(max(0.0, v1 / n1 + v2 / n2 - 2 * self._correlation() * math.sqrt(v1 * v2) * self._both[0] / (n1 * n2)))
        if error < 1e-12:
            return Shift(**told, low=mean2 - mean1, high=mean2 - mean1)
        half = _quantile(self._freedom(v1, v2)) * error
        return Shift(**told, low=mean2 - mean1 - half, high=mean2 - mean1 + half)

    def _correlation(self) -> float:
        n, a, b, aa, bb, ab = self._both
        if n < 2:
            return 0.0
        spread = (aa - a * a / n) * (bb - b * b / n)
        return min(1.0, max(-1.0, (ab - a * b / n) / math.sqrt(spread))) if spread > 1e-18 else 0.0

    def _freedom(self, v1: float, v2: float) -> float:
        n1, n2, shared = self._a[0], self._b[0], self._both[0]
        welch = (v1 / n1 + v2 / n2) ** 2 / ((v1 / n1) ** 2 / (n1 - 1) + (v2 / n2) ** 2 / (n2 - 1))
        alone = n1 + n2 - 2 * shared
        return (shared - 1) + (welch - shared + 1) / (alone + 2 * shared) * alone


def _add(sums: list[float], value: float) -> None:
    sums[0] += 1
    sums[1] += value
    sums[2] += value * value


def _quantile(freedom: float) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(freedom, (1 + LEVEL) / 2))
