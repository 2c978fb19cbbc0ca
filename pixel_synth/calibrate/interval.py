"""A value with its bootstrap interval: resampling the items says how far a figure would move with other conversations.

Source: Efron, B., & Tibshirani, R. J. (1993), An Introduction to the Bootstrap, chapter 13 (percentile intervals); chapter 8 for
resampling whole clusters.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field, model_validator

from pixel_synth.calibrate.coefficients import Floats
from pixel_synth.records import Record

# Elements that one block of resamples may hold: some 16 MB per array.
BLOCK = 2_000_000
UNDEFINED = "not defined: too few items, or ratings that do not vary"


class Interval(Record):
    """A statistic with its interval; ``value``, or ``low`` and ``high``, are ``None`` exactly when ``reason`` says why.

    ``n`` counts the items, ``undefined`` the resamples in which the statistic has no value; those are left out of the interval.
    """

    value: float | None = Field(allow_inf_nan=False)
    low: float | None = Field(default=None, allow_inf_nan=False)
    high: float | None = Field(default=None, allow_inf_nan=False)
    n: int = Field(ge=0)
    undefined: int = Field(default=0, ge=0)
    reason: str = ""

    @model_validator(mode="after")
    def _says_why(self) -> Interval:
        missing = None in (self.value, self.low, self.high)
        if missing != bool(self.reason) or (self.low is None) != (self.high is None) or (self.value is None and self.low is not None):
            raise ValueError("an interval without a value or bounds needs a reason, and only such a one")
        return self

    @classmethod
    def none(cls, reason: str, n: int = 0) -> Interval:
        """Return the interval of something that cannot be computed."""
        return cls(value=None, n=n, reason=reason)

    def overlaps(self, other: Interval) -> bool:
        """Tell whether the two intervals share a value; never true where one has no bounds."""
        if self.low is None or self.high is None or other.low is None or other.high is None:
            return False
        return self.low <= other.high and other.low <= self.high

    def __str__(self) -> str:
        """Return the value with its bounds in two decimals, or a dash."""
        if self.value is None:
            return "–"
        return f"{self.value:.2f}" + ("" if self.low is None else f" [{self.low:.2f}, {self.high:.2f}]")


def bootstrap(
    statistic: Callable[..., Any],
    *arrays: ArrayLike,
    resamples: int = 2000,
    seed: int = 0,
    level: float = 0.95,
    clusters: Sequence[Hashable] | None = None,
    vectorized: bool = True,
) -> Interval:
    """Return a statistic of the arrays with its percentile interval over resampled items.

    Args:
        statistic: Takes arrays of the shapes given and returns one number, NaN when it has none.  A ``vectorized`` one works along
            the last axis: an array of shape (..., items) comes as (..., resamples, items), and one number per resample is wanted.
        arrays: Data whose last axis are the items, of one length.
        resamples: How many samples of the items are drawn with replacement.
        seed: Equal seeds give equal intervals.
        level: Share of the resampled values inside the interval.
        clusters: The cluster of each item (a client, a source); whole clusters are drawn then, one resample at a time.
        vectorized: Whether the statistic takes many resamples in one call.
    """
    data = [np.asarray(array, float) for array in arrays]
    n = data[0].shape[-1]
    if any(array.shape[-1] != n for array in data) or (clusters is not None and len(clusters) != n):
        raise ValueError("the arrays, and the clusters, need one entry per item each")
    value = float(statistic(*data)) if n else float("nan")
    if np.isnan(value):
        return Interval.none(UNDEFINED if n else "no items", n)
    values = np.concatenate(
        [
            np.atleast_1d(np.asarray(statistic(*(array[..., rows] for array in data)), float))
            for rows in draws(n, resamples, np.random.default_rng(seed), clusters, sum(a.size for a in data) if vectorized else 0)
        ]
    )
    defined = values[~np.isnan(values)]
    undefined = int(len(values) - len(defined))
    if len(defined) < len(values) / 2:
        return Interval(value=value, n=n, undefined=undefined, reason=f"{undefined} of {resamples} resamples have no value")
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return Interval(value=value, low=float(low), high=float(high), n=n, undefined=undefined)


def draws(
    n: int, resamples: int, rng: np.random.Generator, clusters: Sequence[Hashable] | None, size: int = 0
) -> Iterator[NDArray[np.int_]]:
    """Yield rows of drawn items: blocks of shape (resamples, items), or one resample at a time when ``size`` is 0 or in clusters."""
    if clusters is not None:
        members: dict[Hashable, list[int]] = {}
        for row, cluster in enumerate(clusters):
            members.setdefault(cluster, []).append(row)
        groups = [np.array(rows) for rows in members.values()]
        for _ in range(resamples):
            yield np.concatenate([groups[g] for g in rng.integers(0, len(groups), len(groups))])
    elif not size:
        for _ in range(resamples):
            yield rng.integers(0, n, n)
    else:
        block = max(1, BLOCK // size)
        for start in range(0, resamples, block):
            yield rng.integers(0, n, (min(block, resamples - start), n))


def middle(values: Sequence[Floats]) -> Floats:
    """Return the median over the first axis of what is defined, NaN where nothing is."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return np.asarray(np.nanmedian(np.stack(values), axis=0))[()]
