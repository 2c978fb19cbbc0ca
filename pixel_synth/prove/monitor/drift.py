"""Whether two windows differ by more than chance and by enough to matter.

A score is compared by two tests on its histograms.  *Kolmogorov-Smirnov* takes the largest distance of the cumulative shares;
its p is the limiting one (Smirnov, 1948, Ann. Math. Stat. 19, 279-281), which on binned values errs towards no alarm (Conover, 1972,
J. Am. Stat. Assoc. 67, 591-596).  The *population stability index* is compared with its own null distribution,
``(1/n + 1/m) chi-squared(B - 1)`` (Yurdakul & Naranjo, 2020, J. Risk Model Validation 14(4), 89-100), because the usual limits 0.1 and 0.25
(Siddiqi, 2006, Credit Risk Scorecards) know nothing of n: at n = 50 they are passed by chance.  Shares of slices are compared by PSI and a
chi-squared test of homogeneity.

All p-values of a comparison are adjusted together (Benjamini & Hochberg, 1995, J. R. Stat. Soc. B 57, 289-300), and what is significant
must also be large: see `Limits`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import log, sqrt
from typing import Literal, NamedTuple

import numpy as np
from pydantic import Field
from scipy import special, stats

from pixel_synth.prove.monitor.points import Dimension, Point
from pixel_synth.prove.monitor.store import Window
from pixel_synth.records import Record

GROUPS = 10  # bins of the PSI: tenths of the baseline (Siddiqi, 2006)
EXPECTED = 5  # least expected count of a bin, so that the chi-squared approximation holds (Cochran, 1954, Biometrics 10, 417-451)
SHARE = "share"  # stands as the metric of findings on shares of slices
# Scores that describe; there is no better end of them.
DESCRIPTIVE = ("complexity", "urgency")
Standing = Literal["same", "small", "drop", "rise", "drift", "too few"]


class Limits(Record):
    """When a difference counts: significant, and at least one of the effects large."""

    alpha: float = Field(default=0.01, gt=0, lt=1, description="largest adjusted p, the false discovery rate")
    psi: float = Field(default=0.1, gt=0, description="least PSI (Siddiqi, 2006: below 0.1 nothing moved)")
    distance: float = Field(default=0.1, gt=0, le=1, description="least KS distance")
    shift: float = Field(default=0.2, gt=0, description="least shift of the mean in sds of the baseline (Cohen, 1988: small)")
    least: int = Field(default=30, ge=2, description="least records on either side")


class Test(NamedTuple):
    """A statistic and its p; both ``None`` when there are too few records or bins."""

    statistic: float | None
    p: float | None


NONE = Test(None, None)


class Finding(Record):
    """How one score of one slice, or the shares of one dimension, differ from the baseline."""

    dimension: Dimension
    value: str
    metric: str
    standing: Standing
    n: int
    base_n: int
    mean: float | None = None
    base_mean: float | None = None
    shift: float | None = Field(default=None, description="of the mean, in sds of the baseline; None where those are 0 or unknown")
    psi: float | None = None
    psi_p: float | None = None
    distance: float | None = Field(default=None, description="Kolmogorov-Smirnov distance, 0-1")
    distance_p: float | None = None
    q: float | None = Field(default=None, description="smallest adjusted p of the tests")

    @property
    def slice(self) -> str:
        """The slice in words."""
        return f"{self.dimension}={self.value}" if self.value else self.dimension


def ks(base: Mapping[int, int], new: Mapping[int, int]) -> Test:
    """Return the Kolmogorov-Smirnov distance of two histograms with the same bins, and its limiting p."""
    n, m = sum(base.values()), sum(new.values())
    if not n or not m:
        return NONE
    places = sorted(base.keys() | new.keys())
    gap = np.cumsum([base.get(i, 0) / n - new.get(i, 0) / m for i in places])
    distance = float(np.abs(gap).max())
    return Test(distance, float(special.kolmogorov(distance * sqrt(n * m / (n + m)))))


def grouped(base: Mapping[int, int], new: Mapping[int, int]) -> tuple[list[int], list[int]]:
    """Merge neighbouring bins so that each holds about a tenth of the baseline and `EXPECTED` or more are due on either side."""
    n, m = sum(base.values()), sum(new.values())
    wanted = max(n / GROUPS, EXPECTED, EXPECTED * n / m)
    left: list[int] = []
    right: list[int] = []
    due = here = 0
    for i in sorted(base.keys() | new.keys()):
        due, here = due + base.get(i, 0), here + new.get(i, 0)
        if due >= wanted:
            left.append(due)
            right.append(here)
            due = here = 0
    if left:
        left[-1] += due
        right[-1] += here
    return left, right


def index(base: Sequence[int], new: Sequence[int]) -> float:
    """Return the PSI of two rows of counts over the same bins; half a record is added to each, so that an empty one can be compared."""
    n, m = sum(base) + len(base) / 2, sum(new) + len(new) / 2
    pairs = [((a + 0.5) / n, (b + 0.5) / m) for a, b in zip(base, new, strict=True)]
    return float(sum((q - p) * log(q / p) for p, q in pairs))


def psi(base: Mapping[int, int], new: Mapping[int, int]) -> Test:
    """Return the PSI of two histograms over tenths of the baseline, and the p of its null distribution."""
    n, m = sum(base.values()), sum(new.values())
    if not n or not m:
        return NONE
    left, right = grouped(base, new)
    if len(left) < 2:
        return NONE
    found = index(left, right)
    return Test(found, float(special.chdtrc(len(left) - 1, found / (1 / n + 1 / m))))


def shares(base: Mapping[str, int], new: Mapping[str, int]) -> Test:
    """Return the PSI of the counts of slices, and the p of the chi-squared test of homogeneity; rare slices are pooled."""
    n, m = sum(base.values()), sum(new.values())
    if not n or not m:
        return NONE
    rows: list[tuple[int, int]] = []
    rare = (0, 0)
    for name in sorted(base.keys() | new.keys()):
        a, b = base.get(name, 0), new.get(name, 0)
        if (a + b) * min(n, m) / (n + m) >= EXPECTED:
            rows.append((a, b))
        else:
            rare = (rare[0] + a, rare[1] + b)
    rows += [rare] if sum(rare) else []
    if len(rows) < 2:
        return Test(0.0, 1.0)
    left, right = [a for a, _ in rows], [b for _, b in rows]
    return Test(index(left, right), float(stats.chi2_contingency([left, right], correction=False).pvalue))


def adjusted(ps: Sequence[float]) -> list[float]:
    """Return the p-values adjusted for their number (Benjamini & Hochberg, 1995)."""
    return [float(q) for q in stats.false_discovery_control(ps)] if ps else []


def compare(base: Window, new: Window, limits: Limits) -> tuple[Finding, ...]:
    """Compare what both windows have, worst first; a slice that the baseline does not have is not compared."""
    known = {(p.dimension, p.value, p.metric): p for p in base.points}
    counts = {s.dimension: s.counts for s in base.shares}
    found = [_score(known[key], p, limits) for p in new.points if (key := (p.dimension, p.value, p.metric)) in known]
    found += [_share(s.dimension, counts[s.dimension], s.counts, limits) for s in new.shares if s.dimension in counts]
    ps = [p for f in found for p in (f.psi_p, f.distance_p) if p is not None]
    qs = iter(adjusted(ps))
    judged = []
    for f in found:
        mine = [next(qs) for p in (f.psi_p, f.distance_p) if p is not None]
        judged.append(_judged(f.model_copy(update={"q": min(mine, default=None)}), limits))
    return tuple(sorted(judged, key=lambda f: (f.q is None, f.standing in ("same", "small"), f.q or 0.0, f.dimension, f.value, f.metric)))


def _score(base: Point, new: Point, limits: Limits) -> Finding:
    enough = min(base.n, new.n) >= limits.least
    distance, stability = (ks(base.hist, new.hist), psi(base.hist, new.hist)) if enough else (NONE, NONE)
    shift = (new.mean - base.mean) / base.sd if base.sd and base.mean is not None and new.mean is not None else None
    return Finding(
        dimension=new.dimension, value=new.value, metric=new.metric, standing="same" if enough else "too few", n=new.n, base_n=base.n,
        mean=new.mean, base_mean=base.mean, shift=shift, psi=stability.statistic, psi_p=stability.p,
        distance=distance.statistic, distance_p=distance.p,
    )  # fmt: skip


def _share(dimension: Dimension, base: Mapping[str, int], new: Mapping[str, int], limits: Limits) -> Finding:
    n, m = sum(base.values()), sum(new.values())
    test = shares(base, new) if min(n, m) >= limits.least else NONE
    standing: Standing = "too few" if test.p is None else "same"
    return Finding(
        dimension=dimension, value="", metric=SHARE, standing=standing, n=m, base_n=n, psi=test.statistic, psi_p=test.p
    )  # fmt: skip


def _judged(f: Finding, limits: Limits) -> Finding:
    if f.q is None or f.q > limits.alpha:
        return f
    moved = f.shift is not None and abs(f.shift) >= limits.shift
    if not (moved or (f.psi or 0) >= limits.psi or (f.distance or 0) >= limits.distance):
        return f.model_copy(update={"standing": "small"})
    standing: Standing = "drift"
    directed = f.metric not in (*DESCRIPTIVE, SHARE) and f.mean is not None and f.base_mean is not None
    if directed and (moved or f.shift is None):
        standing = "drop" if (f.mean or 0) < (f.base_mean or 0) else "rise"
    return f.model_copy(update={"standing": standing})
