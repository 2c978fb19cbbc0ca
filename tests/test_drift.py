"""Drift: the statistics against references, planted differences found, chance and tiny shifts not."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from pixel_synth.prove.monitor.drift import SHARE, Finding, Limits, adjusted, compare, grouped, index, ks, psi, shares
from pixel_synth.prove.monitor.points import BINS, Tally
from pixel_synth.prove.monitor.store import Window, windows
from pixel_synth.prove.monitor.watch import Watch, limit

HIST = st.dictionaries(st.integers(0, BINS - 1), st.integers(1, 400), min_size=1, max_size=40)


def hist(values: np.ndarray) -> dict[int, int]:
    return dict(Counter(np.minimum((values * BINS).astype(int), BINS - 1).tolist()))


def window(seed: int, n: int, drop: float = 0.0, number: int = 0, forum: float = 0.5, metric: str = "overall") -> Window:
    """A window of n records; the score is lowered by ``drop`` sds of it, and a share of the records is from a forum."""
    rng = np.random.default_rng(seed)
    tally = Tally()
    for value, where in zip(rng.beta(18, 2, n) - drop * 0.0655, rng.random(n), strict=True):
        tally.add({metric: float(np.clip(value, 0, 1))}, {"source": "forum" if where < forum else "generated"})
    return windows(tally.lines("", "run", "stage", number))[0]


def of(found: tuple[Finding, ...], metric: str = "overall", dimension: str = "all") -> Finding:
    return next(f for f in found if f.metric == metric and f.dimension == dimension)


def test_the_distance_is_that_of_scipy_on_the_same_bins() -> None:
    rng = np.random.default_rng(3)
    a, b = np.floor(rng.beta(18, 2, 400) * BINS), np.floor(rng.beta(16, 2, 300) * BINS)
    found, reference = ks(Counter(a.astype(int).tolist()), Counter(b.astype(int).tolist())), stats.ks_2samp(a, b, method="asymp")
    assert found.statistic == pytest.approx(reference.statistic, abs=1e-12)
    assert found.p == pytest.approx(reference.pvalue, rel=0.15)
    assert found.p >= reference.pvalue  # the limit errs towards no alarm


@given(HIST)
def test_a_histogram_does_not_differ_from_itself(one: dict[int, int]) -> None:
    assert ks(one, one) == (0.0, 1.0)
    found = psi(one, one)
    assert found.statistic in (None, pytest.approx(0.0, abs=1e-12))


@given(HIST, HIST)
def test_statistics_are_in_their_ranges(a: dict[int, int], b: dict[int, int]) -> None:
    distance, stability = ks(a, b), psi(a, b)
    assert 0 <= distance.statistic <= 1
    assert 0 <= distance.p <= 1
    if stability.statistic is not None:
        assert stability.statistic >= 0
        assert 0 <= stability.p <= 1
    left, right = grouped(a, b)
    assert not left or (sum(left), sum(right)) == (sum(a.values()), sum(b.values()))


@given(st.lists(st.floats(0, 1), max_size=60))
def test_adjusted_p_values_are_never_smaller_and_keep_their_order(ps: list[float]) -> None:
    qs = adjusted(ps)
    assert all(q >= p - 1e-12 for p, q in zip(ps, qs, strict=True))
    assert [q for _, q in sorted(zip(ps, qs, strict=True))] == sorted(qs)


def test_psi_is_the_textbook_sum() -> None:
    base, new = [4000, 3000, 3000], [3000, 3000, 4000]
    by_hand = (0.3 - 0.4) * np.log(0.3 / 0.4) + (0.4 - 0.3) * np.log(0.4 / 0.3)
    assert index(base, new) == pytest.approx(by_hand, abs=1e-4)


def test_the_p_of_psi_is_about_even_without_drift() -> None:
    rng = np.random.default_rng(0)
    base = hist(rng.beta(18, 2, 2000))
    low = sum((psi(base, hist(rng.beta(18, 2, 200))).p or 0) < 0.05 for _ in range(200))
    assert low <= 20  # 10 are due


def test_the_usual_limit_of_psi_is_passed_by_chance_at_small_n_and_the_p_knows() -> None:
    rng = np.random.default_rng(1)
    found = [psi(hist(rng.beta(18, 2, 60)), hist(rng.beta(18, 2, 60))) for _ in range(50)]
    over = [t for t in found if (t.statistic or 0) >= 0.1]
    assert len(over) > 10
    assert sum((t.p or 0) < 0.01 for t in over) <= 2


def test_a_planted_drop_is_found_and_noise_is_not() -> None:
    base = window(0, 3000)
    assert of(compare(base, window(1, 300, drop=0.6), Limits())).standing == "drop"
    assert of(compare(base, window(1, 300, drop=-0.6), Limits())).standing == "rise"
    assert of(compare(base, window(2, 300), Limits())).standing == "same"


def test_a_tiny_shift_of_many_records_is_significant_and_small() -> None:
    found = of(compare(window(0, 15_000), window(1, 15_000, drop=0.12), Limits()))
    assert found.q is not None
    assert found.q < 1e-4
    assert found.standing == "small"


def test_a_score_that_describes_drifts_without_a_direction() -> None:
    found = compare(window(0, 2000, metric="urgency"), window(1, 300, drop=1, metric="urgency"), Limits())
    assert of(found, "urgency").standing == "drift"


def test_a_constant_score_that_falls_is_a_drop() -> None:
    def flags(share: float) -> Window:
        tally = Tally()
        for i in range(200):
            tally.add({"clinical_compliance": 0.5 if i < 200 * share else 1.0}, {})
        return windows(tally.lines("", "r", "s"))[0]

    found = of(compare(flags(0), flags(0.2), Limits()), "clinical_compliance")
    assert found.standing == "drop"
    assert found.shift is None


def test_few_records_are_told_and_not_judged() -> None:
    found = of(compare(window(0, 3000), window(1, 12, drop=3), Limits()))
    assert (found.standing, found.q, found.psi) == ("too few", None, None)


def test_shares_of_slices_are_compared() -> None:
    base = window(0, 3000)
    assert of(compare(base, window(1, 400, forum=0.8), Limits()), SHARE, "source").standing == "drift"
    assert of(compare(base, window(1, 400), Limits()), SHARE, "source").standing == "same"
    assert shares({"a": 50, "b": 50}, {"c": 100}).p == pytest.approx(0, abs=1e-20)
    assert shares({"a": 50}, {"a": 70}).p == 1.0


def test_an_alert_needs_windows_that_agree_and_is_told_once() -> None:
    watch = Watch(window(0, 3000), need=2, of=3)
    drops = [0.0, 0.8, 0.0, 0.0, 0.8, 0.8, 0.8, 0.0, 0.0, 0.0, 0.8, 0.8]
    alerts = [bool(watch.see(window(10 + i, 200, drop, i + 1)).alerts) for i, drop in enumerate(drops)]
    assert alerts == [False] * 5 + [True] + [False] * 5 + [True]


def test_a_gradual_drop_is_found_though_no_window_differs_enough() -> None:
    watch = Watch(window(0, 5000), Limits(shift=0.3, psi=5, distance=0.9), need=3, of=3)
    seen = [watch.see(window(20 + i, 400, 0.22, i + 1)) for i in range(24)]
    assert not any(f.standing == "drop" for s in seen[:3] for f in s.findings)
    assert {a.kind for s in seen for a in s.alerts} == {"gradual drop"}


@pytest.mark.parametrize("seed", range(3))
def test_windows_without_drift_raise_no_alert(seed: int) -> None:
    watch = Watch(window(100 + seed, 2000))
    assert not [a for i in range(8) for a in watch.see(window(1000 * (seed + 1) + i, 150, 0.0, i + 1)).alerts]


@given(st.floats(0.5, 4), st.floats(100, 1e6))
def test_the_limit_of_the_sum_is_never_below_five(reference: float, length: float) -> None:
    assert limit(reference, length) >= 5
