"""How far a judge or scorer agrees with people, and how far the people agree with each other.

The coefficients stand in `coefficients`, the bootstrap in `interval`; both can be had from here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
from pydantic import Field

from pixel_synth.calibrate.coefficients import ICC, Floats, alpha, alpha_of_counts, auc, icc, kappa, spearman
from pixel_synth.calibrate.interval import Interval, bootstrap, middle
from pixel_synth.calibrate.labels import Rating, Scale, check_scales, original
from pixel_synth.errors import UsageError
from pixel_synth.records import Record

__all__ = ["ICC", "Against", "Agreement", "Interval", "Measures", "agree", "alpha", "auc", "bootstrap", "icc", "kappa", "spearman"]

# Two raters are compared where they rated at least so many items in common; below that a kappa is noise (its standard error
# with five items of moderate agreement is about .4).
SHARED = 10
ONE_PERSON = "one rater alone: people's agreement with each other is not known"
NO_SHARED = f"no two of them rated {SHARED} items in common"
NO_STEPS = "the scale has no whole steps, and kappa needs levels"


class Measures(Record):
    """The coefficients of one comparison.

    Of the people: ``kappa`` is the median over pairs of them, ``spearman`` and ``auc`` the median over people, each held against
    the others' mean and the others' majority, ``alpha`` and the ICCs are of all of them together.  Of the judge: ``kappa`` is the
    median over people, ``spearman`` is with the people's mean, ``auc`` with their majority, ``alpha`` and the ICCs are of the
    people with the judge as one rater more.
    """

    kappa: Interval
    alpha: Interval
    icc_c: Interval
    icc_a: Interval
    spearman: Interval
    auc: Interval


class Against(Record):
    """Quadratic kappa and Spearman of a judge and one person, or of two persons."""

    raters: tuple[str, ...]
    kappa: Interval
    spearman: Interval


class Agreement(Record):
    """A score held against people's ratings of one criterion, with the people's own agreement beside it."""

    criterion: str
    scale: Scale
    raters: tuple[str, ...]
    items: int = Field(description="items that have a score and a rating; everything here is computed on these")
    unscored: int = Field(description="rated items without a score")
    tied: int = Field(description="items of which people are evenly split whether they are good; left out of the AUC")
    rounded: int = Field(description="ratings between the steps of the scale, rounded (half to even) for kappa and alpha")
    judge: Measures
    humans: Measures
    each: tuple[Against, ...] = Field(description="the judge with each person")
    pairs: tuple[Against, ...] = Field(description="each two persons who share enough items")


def agree(score: Mapping[str, float | None], ratings: Sequence[Rating], scale: Scale, *, resamples: int = 2000, seed: int = 0) -> Agreement:
    """Hold a score against people's ratings of one criterion.

    For kappa, alpha and the ICCs the score, 0 (worst) to 1 (best), is laid linearly on the scale of the ratings; for kappa and
    alpha it and any rating between two steps (the mean of a crowd) are rounded to the nearest whole step, halves to the even one.
    That is a demanding reading of a score that was not made for the scale: fit a map first where the level matters.  Spearman and
    AUC do not depend on it.  An item is good when most people rated it so on the scale.  Copies of a conversation (`labels.original`)
    are resampled together with it.

    Args:
        score: Item to score; ``None`` for one that could not be scored.
        ratings: Ratings of one criterion by people; leave models' ratings out (`labels.people`).
        scale: What the ratings mean.
        resamples: Bootstrap samples of items per interval.
        seed: Equal seeds give equal intervals.

    Raises:
        RecordError: When a rating lies off the scale.
        UsageError: When the ratings are of several criteria, a score is not 0 to 1, or no rated item has one.
    """
    criteria = sorted({rating.criterion for rating in ratings})
    if len(criteria) != 1:
        raise UsageError(f"agreement is of one criterion at a time, not of {', '.join(criteria) or 'none'}")
    check_scales(ratings, {criteria[0]: scale})
    if odd := next((item for item, value in score.items() if value is not None and not 0.0 <= value <= 1.0), None):
        raise UsageError(f"the score of {odd} is {score[odd]:g}, not between 0 and 1")
    rated = {rating.item for rating in ratings}
    items = sorted(item for item in rated if score.get(item) is not None)
    if not items:
        raise UsageError(f"no item rated on {criteria[0]} has a score", hint="the items of the labels are the ids of the conversations")
    raters = tuple(sorted({rating.rater for rating in ratings}))
    people = np.full((len(raters), len(items)), np.nan)
    column, row = {item: i for i, item in enumerate(items)}, {rater: i for i, rater in enumerate(raters)}
    for rating in ratings:
        if rating.item in column:
            people[row[rating.rater], column[rating.item]] = rating.rating
    judged = np.array([scale.rating(float(score[item] or 0.0)) for item in items])
    held = _Held(raters, judged, people, scale, [original(item) for item in items], {"resamples": resamples, "seed": seed})
    majority = held.majority(people)
    return Agreement(
        criterion=criteria[0],
        scale=scale,
        raters=raters,
        items=len(items),
        unscored=len(rated) - len(items),
        tied=int(np.isnan(majority).sum()),
        rounded=int((people[~np.isnan(people)] % 1 != 0).sum()) if scale.levels() else 0,
        judge=held.judge(),
        humans=held.humans(),
        each=tuple(held.against(("judge", rater), judged, people[i]) for i, rater in enumerate(raters) if held.shared(judged, people[i])),
        pairs=tuple(held.against((raters[i], raters[j]), people[i], people[j]) for i, j in held.couples()),
    )


class _Held:
    """A judge's ratings, shape (items,), beside people's, shape (raters, items), both on the scale."""

    def __init__(
        self, raters: tuple[str, ...], judged: Floats, people: Floats, scale: Scale, originals: list[str], options: dict[str, int]
    ) -> None:
        self.raters, self.judged, self.people, self.scale, self.options = raters, judged, people, scale, options
        # Without copies the items are drawn one by one, which is quick.
        self.originals = np.array(originals) if len(set(originals)) < len(originals) else None
        self.levels = scale.levels()
        # All stands on the people's scale, so only the AUC has to know which end is good.
        self.sign = -1.0 if scale.high_is_bad else 1.0

    def interval(self, statistic: Callable[..., Any], *arrays: Floats, rows: Any = slice(None), vectorized: bool = True) -> Interval:
        """Return a statistic of arrays over the items, or over those of some rows, with its interval."""
        clusters = None if self.originals is None else self.originals[rows].tolist()
        return bootstrap(statistic, *arrays, clusters=clusters, vectorized=vectorized, **self.options)

    def shared(self, a: Floats, b: Floats) -> bool:
        return int((~np.isnan(a) & ~np.isnan(b)).sum()) >= SHARED

    def couples(self) -> list[tuple[int, int]]:
        return [(i, j) for i, j in combinations(range(len(self.raters)), 2) if self.shared(self.people[i], self.people[j])]

    def majority(self, people: Floats) -> Floats:
        """Return 1 where most raters along the first axis call an item good, 0 where most do not, NaN where neither."""
        good = people <= self.scale.good_from if self.scale.high_is_bad else people >= self.scale.good_from
        votes = np.where(np.isnan(people), 0.0, np.where(good, 1.0, -1.0)).sum(0)
        return np.where(votes > 0, 1.0, np.where(votes < 0, 0.0, np.nan))

    def kappas(self, data: list[tuple[Floats, Floats]], none: str, rows: Any = slice(None)) -> Interval:
        """Return the median kappa of pairs of raters of some rows."""
        if not self.levels or not data:
            return Interval.none(none if self.levels else NO_STEPS, len(self.judged))
        return self.interval(_median_kappa(self.levels), np.rint(couples(data)), rows=rows)

    def against(self, names: tuple[str, ...], a: Floats, b: Floats) -> Against:
        both = ~(np.isnan(a) | np.isnan(b))
        a, b = a[both], b[both]
        return Against(raters=names, kappa=self.kappas([(a, b)], "", both), spearman=self.interval(spearman, a, b, rows=both))

    def panel(self, people: Floats, none: str) -> dict[str, Interval]:
        """Return alpha and the ICCs of raters together."""
        if none:
            return dict.fromkeys(("alpha", "icc_c", "icc_a"), Interval.none(none, len(self.judged)))
        whole = np.rint(people) if self.levels else people
        seen = np.unique(whole[~np.isnan(whole)])
        counts = np.stack([(whole == value).sum(0) for value in seen])
        return {
            "alpha": self.interval(lambda c: alpha_of_counts(c.T, seen), counts, vectorized=False),
            "icc_c": self.interval(lambda x: icc(np.moveaxis(x, 0, -1)).consistency, people),
            "icc_a": self.interval(lambda x: icc(np.moveaxis(x, 0, -1)).agreement, people),
        }

    def judge(self) -> Measures:
        pairs = [(self.judged, person) for person in self.people if self.shared(self.judged, person)]
        return Measures(
            kappa=self.kappas(pairs, f"nobody rated {SHARED} items that have a score"),
            spearman=self.interval(spearman, self.judged, np.nanmean(self.people, 0)),
            auc=self.interval(auc, self.sign * self.judged, self.majority(self.people)),
            **self.panel(np.vstack([self.people, self.judged]), ""),
        )

    def humans(self) -> Measures:
        none = "" if self.couples() else ONE_PERSON if len(self.raters) == 1 else NO_SHARED
        return Measures(
            kappa=self.kappas([(self.people[i], self.people[j]) for i, j in self.couples()], none),
            spearman=self.left_out(none, lambda one, others: spearman(one, _mean(others))),
            auc=self.left_out(none, lambda one, others: auc(self.sign * one, self.majority(others))),
            **self.panel(self.people, none),
        )

    def left_out(self, none: str, statistic: Callable[[Floats, Floats], Any]) -> Interval:
        """Return the median over people of a statistic of one of them and all others."""
        if none:
            return Interval.none(none, len(self.judged))
        return self.interval(lambda x: middle([statistic(x[i], np.delete(x, i, axis=0)) for i in range(len(x))]), self.people)


def median_kappa(data: Sequence[tuple[Floats, Floats]], scale: Scale, *, resamples: int = 2000, seed: int = 0) -> Interval:
    """Return the median quadratic kappa of pairs of raters of the same items, rounded to the whole steps of the scale.

    Args:
        data: Per pair the ratings of the one and of the other, shape (items,), NaN where there is none.
        scale: What the ratings mean; its low and high are whole numbers.
        resamples: Bootstrap samples of items.
        seed: Equal seeds give equal intervals.
    """
    return bootstrap(_median_kappa(scale.levels()), np.rint(couples(data)), resamples=resamples, seed=seed)


def couples(data: Sequence[tuple[Floats, Floats]]) -> Floats:
    """Return pairs of raters as one array of shape (2, pairs, items)."""
    return np.stack([np.stack(pair) for pair in data], 1)


def _median_kappa(levels: Sequence[float]) -> Callable[[Floats], Floats]:
    return lambda x: middle([kappa(x[0, i], x[1, i], levels=levels) for i in range(x.shape[1])])


def _mean(people: Floats) -> Floats:
    """Return the mean over raters, NaN where nobody rated."""
    there = ~np.isnan(people)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(there, people, 0.0).sum(0) / there.sum(0))
