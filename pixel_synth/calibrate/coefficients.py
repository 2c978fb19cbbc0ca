"""The coefficients of agreement, over float arrays in which NaN stands for a missing rating.

Each function works along the last axis (the items) and gives one value per index of the axes before it, so that thousands of
resamples are one call.  A value that is not defined (fewer than two items, ratings that do not vary) is NaN.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Weights = Literal["quadratic", "linear"]


class ICC(NamedTuple):
    """Intraclass correlations of single ratings: ICC(C,1) lets raters differ in level, ICC(A,1) does not."""

    consistency: Floats
    agreement: Floats


def kappa(a: ArrayLike, b: ArrayLike, weights: Weights | None = "quadratic", levels: Sequence[float] | None = None) -> Floats:
    """Return Cohen's kappa of two raters: 1 for full agreement, 0 for what their own frequencies would give by chance.

    The cost of a disagreement grows with the number of levels in between: squared (``quadratic``), as it is (``linear``), or any
    disagreement costs the same (``None``).

    Args:
        a: Ratings of the first rater, shape (..., items).
        b: Ratings of the second rater, of the same shape.
        weights: How disagreements are weighed.
        levels: All ratings that can be given, ascending; each rating must be one of them, so round means of a crowd first.  Left
            out, the levels are the different values that occur, and what counts is how many of those lie in between: a crowd
            mean of 2.67 is then a level of its own.  R's ``irr::kappa2`` does that, and so do the kappas published for
            crowds by Kumar et al. (2025).  Give ``levels`` when you resample.

    Raises:
        ValueError: When a rating is none of the levels.

    Source: Cohen, J. (1960), Educational and Psychological Measurement, 20(1), 37-46; weighted: Cohen, J. (1968), Psychological
    Bulletin, 70(4), 213-220.
    """
    x, y, both = _paired(a, b)
    known = np.unique(np.concatenate([x[both], y[both]])) if levels is None else np.asarray(levels, float)
    i, j = _place(x, both, known), _place(y, both, known)
    n = both.sum(-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        if weights == "quadratic":
            observed = _mean((i - j) ** 2.0, both)
            expected = _mean(i**2.0, both) + _mean(j**2.0, both) - 2.0 * _mean(i, both) * _mean(j, both)
        else:
            step = np.abs(np.subtract.outer(np.arange(len(known)), np.arange(len(known))))
            cost = step.astype(float) if weights == "linear" else (step > 0).astype(float)
            observed = _mean(np.where(both, cost[i, j], 0.0) if len(known) else np.zeros(both.shape), both)
            share_a, share_b = (np.stack([_mean(p == k, both) for k in range(len(known))] or [np.zeros(n.shape)], -1) for p in (i, j))
            expected = ((share_a @ cost) * share_b).sum(-1) if len(known) else np.zeros(n.shape)
        return np.where((n > 1) & (expected > 1e-12), 1.0 - observed / expected, np.nan)[()]


def alpha(ratings: ArrayLike, level: Literal["nominal", "ordinal", "interval"] = "ordinal") -> float:
    """Return Krippendorff's alpha of any number of raters with gaps, computed by the ``krippendorff`` package.

    Args:
        ratings: Shape (raters, items); this one function takes no axes before these.
        level: What the differences between ratings mean.

    Source: Krippendorff, K. (2019), Content Analysis (4th ed.), chapter 12.
    """
    values = np.asarray(ratings, float)
    seen = np.unique(values[~np.isnan(values)])
    counts = np.stack([(values == value).sum(0) for value in seen], -1) if len(seen) else np.zeros((0, 0))
    return alpha_of_counts(counts, seen, level)


def alpha_of_counts(counts: NDArray[np.int_] | Floats, seen: Floats, level: Literal["nominal", "ordinal", "interval"] = "ordinal") -> float:
    """Return Krippendorff's alpha from how many raters gave each value, shape (items, values): quick to resample."""
    import krippendorff

    paired = counts[counts.sum(-1) > 1] if counts.size else counts
    if not paired.size or (paired.sum(0) > 0).sum() < 2:
        return float("nan")
    return float(krippendorff.alpha(value_counts=paired, value_domain=list(seen), level_of_measurement=level))


def icc(ratings: ArrayLike) -> ICC:
    """Return ICC(C,1) and ICC(A,1) of the items that every rater rated.

    From the mean squares of items (R), raters (C) and error (E) of n items and k raters: C,1 = (R - E) / (R + (k - 1) E) and
    A,1 = (R - E) / (R + (k - 1) E + k (C - E) / n).  A,1 and C,1 are the ICC(2,1) and ICC(3,1) of Shrout & Fleiss (1979).

    Args:
        ratings: Shape (..., items, raters), two raters or more.

    Source: McGraw, K. O., & Wong, S. P. (1996), Psychological Methods, 1(1), 30-46, tables 4 and 5.
    """
    x = np.asarray(ratings, float)
    k = x.shape[-1]
    whole = ~np.isnan(x).any(-1)
    n = whole.sum(-1)
    x = np.where(whole[..., None], x, 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        grand = x.sum((-2, -1)) / (n * k)
        of_items, of_raters = x.mean(-1), x.sum(-2) / n[..., None]
        rows = k * _sum((of_items - grand[..., None]) ** 2, whole)
        columns = n * ((of_raters - grand[..., None]) ** 2).sum(-1)
        total = _sum(((x - grand[..., None, None]) ** 2).sum(-1), whole)
        r, c = rows / (n - 1), columns / (k - 1)
        e = np.maximum(total - rows - columns, 0.0) / ((n - 1) * (k - 1))
        fit = (n > 1) & (total > 1e-12)
        consistency = np.where(fit & (r + e > 1e-12), (r - e) / (r + (k - 1) * e), np.nan)
        below = r + (k - 1) * e + k * (c - e) / n
        return ICC(consistency[()], np.where(fit & (np.abs(below) > 1e-12), (r - e) / below, np.nan)[()])


def spearman(a: ArrayLike, b: ArrayLike) -> Floats:
    """Return Spearman's rank correlation, ties at their mean rank, of arrays of shape (..., items).

    Source: Spearman, C. (1904), American Journal of Psychology, 15(1), 72-101.
    """
    x, y, both = _paired(a, b)
    r, s = _ranks(x, both), _ranks(y, both)
    with np.errstate(invalid="ignore", divide="ignore"):
        r, s = r - _mean(r, both)[..., None], s - _mean(s, both)[..., None]
        spread = np.sqrt(_sum(r * r, both) * _sum(s * s, both))
        return np.where(spread > 1e-12, _sum(r * s, both) / spread, np.nan)[()]


def auc(score: ArrayLike, good: ArrayLike) -> Floats:
    """Return the chance that a good item scores above one that is not, ties counting half.

    Args:
        score: Shape (..., items).
        good: 1 for good, 0 for not, NaN for an item that is neither; of the same shape.

    Source: Mann, H. B., & Whitney, D. R. (1947), Annals of Mathematical Statistics, 18(1), 50-60; as the area under the ROC curve:
    Hanley, J. A., & McNeil, B. J. (1982), Radiology, 143(1), 29-36.
    """
    x, g, both = _paired(score, good)
    ranks = _ranks(x, both)
    top = both & (g > 0.5)
    n, rest = top.sum(-1), (both & ~top).sum(-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where((n > 0) & (rest > 0), (_sum(ranks, top) - n * (n + 1) / 2) / (n * rest), np.nan)[()]


def _paired(a: ArrayLike, b: ArrayLike) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    x, y = np.broadcast_arrays(np.asarray(a, float), np.asarray(b, float))
    return x, y, ~(np.isnan(x) | np.isnan(y))


def _place(x: Floats, both: NDArray[np.bool_], levels: Floats) -> NDArray[np.int_]:
    if not len(levels):
        return np.zeros(x.shape, int)
    filled = np.where(both, x, levels[0])
    at = np.minimum(np.searchsorted(levels, filled), len(levels) - 1)
    wrong = filled[levels[at] != filled]
    if wrong.size:
        raise ValueError(f"a rating of {wrong.flat[0]:g} is none of the levels {', '.join(f'{v:g}' for v in levels)}: round it first")
    return at


def _ranks(x: Floats, both: NDArray[np.bool_]) -> Floats:
    """Return mean ranks from 1 among what is there; what is missing ranks last and touches no other rank."""
    from scipy.stats import rankdata

    ranks: Floats = rankdata(np.where(both, x, np.inf), axis=-1)
    return ranks


def _sum(x: NDArray[Any], where: NDArray[np.bool_]) -> Floats:
    total: Floats = np.where(where, x, 0.0).sum(-1)
    return total


def _mean(x: NDArray[Any], where: NDArray[np.bool_]) -> Floats:
    total: Floats = np.where(where, x, 0.0).sum(-1) / where.sum(-1)
    return total
