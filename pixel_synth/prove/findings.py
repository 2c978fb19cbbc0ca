"""Slices of a dataset that fail more often than the rest, found from the data, each with what to do about it.

Every value of a dimension, each pair with source or category, and each triple of source, category and one more is a candidate.  It is held
against all other records with Fisher's exact test, one-sided (Fisher, 1935, doi:10.2307/2342435); a normal approximation is too ready to
see a difference where few records fail.  The p values of all candidates together are held to a false discovery rate of `RATE`
(Benjamini & Hochberg, 1995, doi:10.1111/j.2517-6161.1995.tb02031.x), and the difference must be `LEAST_DIFFERENCE` or more.
The slice with the highest z (two proportions, pooled) is a finding; its records are then taken out of that outcome
and the search goes on, so that what only overlaps it is not found again.  Taking out is sequential covering (Fürnkranz, 1999,
doi:10.1023/A:1006524209794); the rate holds for each round by itself.  Differences stand with their 95% interval by Newcombe (1998,
method 10, doi:10.1002/(SICI)1097-0258(19980430)17:8<873::AID-SIM779>3.0.CO;2-I).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from math import sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.stats import hypergeom

from pixel_synth.calibrate.fit import wilson
from pixel_synth.prove.advice import Advice, advice
from pixel_synth.prove.slices import DIMENSIONS, GATE, Slices
from pixel_synth.records import Record

LEAST = 30  # records of a slice, and of the rest: below it an interval is too wide to act on.  Ours.
RATE = 0.001  # low, because a finding sends a person to work; docs/validation.md says what it finds and misses
WORTH = 2.0  # z below which the exact p, above 0.02 then, is not worked out: it could pass no rate of 0.001
LEAST_DIFFERENCE = 0.05  # in shares; a smaller one is seldom worth a person's time, however sure.  Ours.
MOST = 12  # findings of one search
EXAMPLES = 3
Ints = NDArray[np.int64]


class Reason(Record):
    """Why records of the slice fail, and how many for it."""

    why: str
    records: int


class Finding(Record):
    """A slice that is worse than the rest; shares are 0-1, ``low`` and ``high`` bound their difference (95%), ``p`` is Fisher's."""

    outcome: str
    least: float | None = None
    counts: bool = Field(default=True, description="whether the threshold counts: a calibration card, or the settings, let it")
    slice: dict[str, str]
    records: int
    failing: int
    share: float
    rest: int
    rest_failing: int
    rest_share: float
    difference: float
    low: float
    high: float
    z: float
    p: float
    reasons: tuple[Reason, ...]
    examples: tuple[str, ...]
    told: str = ""
    action: str = ""
    command: str = ""


class _Family(NamedTuple):
    """One combination of dimensions: the number of each record's slice, and the codes that each slice stands for."""

    dimensions: tuple[str, ...]
    of: Ints
    values: NDArray[np.int32]


class _Test(NamedTuple):
    """One slice of one family held against the rest."""

    z: float
    p: float
    difference: float
    family: int
    slice: int
    outcome: str


def combinations(names: Sequence[str] = DIMENSIONS) -> Iterator[tuple[str, ...]]:
    """Yield the combinations of dimensions whose values are candidates, small ones first."""
    yield from ((d,) for d in names)
    yield ("source", "category")
    more = [d for d in names if d not in ("source", "category")]
    yield from ((head, d) for head in ("source", "category") for d in more)
    yield from (("source", "category", d) for d in more)


def findings(
    slices: Slices, thresholds: Mapping[str, float] | None = None, refused: Collection[str] = (), where: str = ""
) -> list[Finding]:
    """Return the slices that fail more often than the rest, the surest first; none where nothing differs.

    Args:
        slices: What was kept of the records.
        thresholds: Threshold of each metric, to be told.
        refused: Metrics whose threshold no calibration card lets count, to be told.
        where: File or folder that the commands name.
    """
    if len(slices) < 2 * LEAST:
        return []
    families = [_family(slices, dims) for dims in combinations(slices.names)]
    failed = {name: np.frombuffer(column, dtype=np.int8).copy() for name, column in sorted(slices.failed.items())}
    found: list[Finding] = []
    while len(found) < MOST and (best := _round(families, failed)):
        family = families[best.family]
        inside = (family.of == best.slice) & (failed[best.outcome] >= 0)
        finding = _finding(slices, family, best, inside, failed[best.outcome])
        least = (thresholds or {}).get(best.outcome)
        counts = best.outcome not in refused
        found.append(_told(finding.model_copy(update={"least": least, "counts": counts}), where))
        failed[best.outcome][inside] = -1
    return found


def _family(slices: Slices, dimensions: tuple[str, ...]) -> _Family:
    columns = np.stack([np.frombuffer(slices.dimensions[d], dtype=np.int32) for d in dimensions], axis=1)
    values, of = np.unique(columns, axis=0, return_inverse=True)
    return _Family(dimensions, np.asarray(of, dtype=np.int64).reshape(-1), values)


def _round(families: Sequence[_Family], failed: dict[str, NDArray[np.int8]]) -> _Test | None:
    """Return the surest slice that the false discovery rate lets through; of equally sure ones that of the fewest dimensions."""
    tests: list[_Test] = []
    for outcome, column in failed.items():
        measured = column >= 0
        total, bad = int(measured.sum()), int((column == 1).sum())
        if total >= 2 * LEAST and 0 < bad < total:
            for number, family in enumerate(families):
                size = len(family.values)
                n = np.bincount(family.of[measured], minlength=size)
                k = np.bincount(family.of[column == 1], minlength=size)
                able = np.flatnonzero((n >= LEAST) & (total - n >= LEAST))
                tests += (_test(int(k[i]), int(n[i]), bad, total, number, int(i), outcome) for i in able)
    tests.sort(key=lambda t: t.p)
    passing = [i for i, t in enumerate(tests, 1) if t.p <= RATE * i / len(tests)]
    sure = [t for t in tests[: max(passing, default=0)] if t.difference >= LEAST_DIFFERENCE]
    return min(sure, key=lambda t: (-round(t.z, 9), t.family, t.slice, t.outcome), default=None)


def _test(k: int, n: int, bad: int, total: int, family: int, slice: int, outcome: str) -> _Test:
    """Hold a slice with ``k`` failing of ``n`` against the rest of ``total`` records, of which ``bad`` fail in all."""
    pooled, difference = bad / total, k / n - (bad - k) / (total - n)
    z = difference / sqrt(pooled * (1 - pooled) * (1 / n + 1 / (total - n)))
    p = float(hypergeom.sf(k - 1, total, bad, n)) if z >= WORTH else 1.0
    return _Test(z, p, difference, family, slice, outcome)


def newcombe(bad: int, n: int, other: int, m: int) -> tuple[float, float]:
    """Return the 95% interval of ``bad / n - other / m``."""
    (l1, u1), (l2, u2), p1, p2 = wilson(bad, n), wilson(other, m), bad / n, other / m
    return p1 - p2 - sqrt((p1 - l1) ** 2 + (u2 - p2) ** 2), p1 - p2 + sqrt((u1 - p1) ** 2 + (p2 - l2) ** 2)


def _finding(slices: Slices, family: _Family, best: _Test, inside: NDArray[np.bool_], column: NDArray[np.int8]) -> Finding:
    n, rest = int(inside.sum()), int((column >= 0).sum() - inside.sum())
    bad = int((column[inside] == 1).sum())
    other = int((column == 1).sum()) - bad
    why, names = np.frombuffer(slices.why[best.outcome], dtype=np.int32), slices.codes["why"].names
    counted = Counter(names[code] for code in why[inside & (column == 1)].tolist() if code)
    low, high = newcombe(bad, n, other, rest)
    values = {d: slices.codes[d].names[code] or "(none)" for d, code in zip(family.dimensions, family.values[best.slice], strict=True)}
    return Finding(
        outcome=best.outcome,
        slice=values,
        records=n,
        failing=bad,
        share=round(bad / n, 4),
        rest=rest,
        rest_failing=other,
        rest_share=round(other / rest, 4),
        difference=round(bad / n - other / rest, 4),
        low=round(low, 4),
        high=round(high, 4),
        z=round(best.z, 2),
        p=best.p,
        reasons=tuple(Reason(why=w, records=k) for w, k in sorted(counted.items(), key=lambda item: (-item[1], item[0]))[:5]),
        examples=tuple(slices.place(int(i)) for i in np.flatnonzero(inside & (column == 1))[:EXAMPLES]),
    )


def _told(f: Finding, where: str) -> Finding:
    """Put a finding into words, with what to do about it."""
    slice = ", ".join(f"{name} {value}" for name, value in f.slice.items())
    what = "were rejected by the gate" if f.outcome == GATE else f"fall below {f.outcome}" + (f" {f.least:.2f}" if f.least else "")
    mostly = f", mostly {f.reasons[0].why} ({f.reasons[0].records:,})" if f.reasons else ""
    told = (
        f"{f.failing:,} of {f.records:,} records of {slice} {what}{mostly}: {f.share:.1%}, of the rest {f.rest_share:.1%} "
        f"(difference {100 * f.difference:.1f} points [{100 * f.low:.1f}, {100 * f.high:.1f}])"
        + ("" if f.counts else "; no card lets this threshold count")
    )
    todo: Advice = advice(f.outcome, f.reasons[0].why if f.reasons else "", f.slice, f.examples, where)
    return f.model_copy(update={"told": told, "action": todo.action, "command": todo.command})
