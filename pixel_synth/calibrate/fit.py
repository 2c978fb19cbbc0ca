"""From a raw score to the human scale, and from a wanted precision to a threshold.

The human scale of a metric is the share of people who would call the conversation good (0–1).  `human_map` estimates it from
labelled points by isotonic regression (Barlow et al., 1972; as a calibration map: Zadrozny & Elkan, 2002), averaged over
bootstrap resamples so that a handful of lucky points does not become a certainty (bagging: Breiman, 1996).  A raw score beyond
the labelled ones gets the value of the nearest labelled one: nothing is known there, and `HumanMap.knows` says so.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from pydantic import Field, model_validator

from pixel_synth.calibrate.interval import draws
from pixel_synth.records import Record, Unit

RESAMPLES = 500
KNOTS = 21
# Below this number of labelled conversations above a cut, a precision is a story about single cases.
LEAST_ABOVE = 5
# One standard error to either side of a normal estimate holds 68% of it.
ONE_ERROR = (0.16, 0.84)


class Point(NamedTuple):
    """One labelled conversation: raw score (0–1), mean rating (0 worst, 1 best), share of raters who call it good.

    Points with the same number ``of`` are a conversation and its copies, and are resampled together; without copies all are ``None``.
    """

    raw: float
    rating: float
    good: float
    of: int | None = None


def clusters(points: Sequence[Point]) -> list[int] | None:
    """Return which points are of one conversation, ``None`` where each is of its own: what `interval.bootstrap` takes."""
    return [p.of for p in points if p.of is not None] or None


class HumanMap(Record):
    """A monotone, piecewise linear map from raw score to the human scale."""

    knots: tuple[tuple[Unit, Unit], ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _rises(self) -> HumanMap:
        xs, ys = zip(*self.knots, strict=True)
        if any(a >= b for a, b in pairwise(xs)) or any(a > b for a, b in pairwise(ys)):
            raise ValueError("knots must rise in the raw score and must not fall on the human scale")
        return self

    def __call__(self, raw: float) -> float:
        """Return the human scale's value of a raw score."""
        place = bisect_right(self.knots, (raw, 1.1))
        if place == 0 or place == len(self.knots):
            return self.knots[0 if place == 0 else -1][1]
        (x0, y0), (x1, y1) = self.knots[place - 1 : place + 1]
        return y0 + (y1 - y0) * (raw - x0) / (x1 - x0)

    def knows(self, raw: float) -> bool:
        """Tell whether a raw score lies within the labelled ones."""
        return self.knots[0][0] <= raw <= self.knots[-1][0]

    @property
    def highest(self) -> float:
        """The highest value the map can give."""
        return self.knots[-1][1]


class Cut(Record):
    """The least raw score from which on at least ``wanted`` of the labelled conversations are good.

    ``raw`` is ``None``, with the reason, where no score has that precision; ``low`` and ``high`` bound ``precision`` (Wilson, 1927, 95%).
    """

    wanted: Unit
    raw: Unit | None
    precision: Unit | None = None
    low: Unit | None = None
    high: Unit | None = None
    recall: Unit | None = None
    above: int = 0
    reason: str = ""


def human_map(points: Sequence[Point], seed: int = 0) -> HumanMap:
    """Fit the map to labelled points.

    Raises:
        ValueError: When there is no point.
    """
    import numpy as np

    if not points:
        raise ValueError("no labelled conversation has a score")
    grid = np.unique(np.round(np.quantile([p.raw for p in points], np.linspace(0, 1, KNOTS)), 6))
    total = np.zeros(len(grid))
    for xs, fitted in _resampled(points, seed):
        total += np.interp(grid, xs, fitted)
    levels = np.maximum.accumulate(np.clip(total / RESAMPLES, 0, 1).round(6))
    return HumanMap(knots=tuple((float(x), float(y)) for x, y in zip(grid, levels, strict=True)))


def _resampled(points: Sequence[Point], seed: int) -> Iterator[tuple[Any, Any]]:
    """Yield the raw scores of every resample, ascending, and the share of people who call them good by isotonic regression."""
    import numpy as np
    from scipy.optimize import isotonic_regression

    raw, good = (np.array([getattr(p, name) for p in points]) for name in ("raw", "good"))
    rng = np.random.default_rng(seed)
    for drawn in draws(len(raw), RESAMPLES, rng, clusters(points)):
        xs, inverse, counts = np.unique(raw[drawn], return_inverse=True, return_counts=True)
        means = np.bincount(inverse, good[drawn]) / counts
        yield xs, isotonic_regression(means, weights=counts).x


def unsure(points: Sequence[Point], least: float, seed: int = 0) -> tuple[float, float]:
    """Return the raw scores between which a threshold of the human scale may lie: one standard error to either side.

    In every bootstrap resample of the labelled points (Efron, 1979) isotonic regression reaches the threshold at some raw score, or never,
    which counts as 1; the bounds are the 16th and the 84th percentile of these.  Of a score in between the labels cannot tell well on
    which side of the threshold it belongs.

    Raises:
        ValueError: When there is no point.
    """
    import numpy as np

    if not points:
        raise ValueError("no labelled conversation has a score")
    reached = [float(xs[levels >= least][0]) if levels[-1] >= least else 1.0 for xs, levels in _resampled(points, seed)]
    low, high = np.quantile(reached, ONE_ERROR, method="inverted_cdf")
    return round(float(low), 6), round(float(high), 6)


def cut(points: Sequence[Point], wanted: float) -> Cut:
    """Find the least raw score with the wanted precision; a conversation is good when more than half of its raters say so.

    A conversation whose raters are split evenly counts as not good.
    """
    best = None
    ordered = sorted(points, key=lambda p: -p.raw)
    total = sum(p.good > 0.5 for p in points)
    hits = 0
    for n, point in enumerate(ordered, start=1):
        hits += point.good > 0.5
        last_of_its_score = n == len(ordered) or ordered[n].raw < point.raw
        if last_of_its_score and n >= LEAST_ABOVE and hits / n >= wanted:
            low, high = wilson(hits, n)
            recall = hits / total if total else None
            best = Cut(wanted=wanted, raw=point.raw, precision=hits / n, low=low, high=high, recall=recall, above=n)
    return best or Cut(
        wanted=wanted, raw=None, reason=f"no score has {wanted:.0%} good ones among {LEAST_ABOVE} or more conversations above it"
    )


def wilson(hits: int, n: int, z: float = 1.959964) -> tuple[float, float]:
    """Return the score interval of a share (Wilson, 1927), 95% by default.

    Raises:
        ValueError: When ``n`` is not positive.
    """
    if n < 1:
        raise ValueError("the interval of a share needs at least one case")
    share, spread = hits / n, z * z / n
    middle = (share + spread / 2) / (1 + spread)
    half = z * (share * (1 - share) / n + spread / (4 * n)) ** 0.5 / (1 + spread)
    return max(0.0, middle - half), min(1.0, middle + half)
