"""The coefficients of agreement against published worked examples and other libraries; the bootstrap, the comparison and the rule."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import cohen_kappa_score, roc_auc_score

from pixel_synth.calibrate.agreement import Agreement, Interval, agree, alpha, auc, bootstrap, icc, kappa, spearman
from pixel_synth.calibrate.labels import Rating, Scale
from pixel_synth.calibrate.rule import may_gate
from pixel_synth.errors import RecordError, UsageError

NAN = math.nan
FIVE = Scale(low=1, high=5, good_from=4)
LEVELS = FIVE.levels()
ratings_of_two = st.lists(st.tuples(st.integers(1, 5), st.integers(1, 5)), min_size=3, max_size=40)


def spread(table: Sequence[Sequence[int]]) -> tuple[list[int], list[int]]:
    """Turn a table of counts (rows: first rater) into the ratings of both."""
    cells = [(i, j) for i, row in enumerate(table) for j, count in enumerate(row) for _ in range(count)]
    return [i for i, _ in cells], [j for _, j in cells]


def labels(*people: Sequence[float], criterion: str = "warmth") -> list[Rating]:
    return [
        Rating(item=f"c{i}", criterion=criterion, rater=f"r{p}", rating=value)
        for p, person in enumerate(people)
        for i, value in enumerate(person)
        if not math.isnan(value)
    ]


# ------------------------------------------------------------------------------------------------------ coefficients


def test_kappa_of_fleiss_example() -> None:
    # Fleiss, J. L. (1981), Statistical Methods for Rates and Proportions, table 13.1: 100 patients, three diagnoses, kappa .68.
    assert kappa(*spread([[75, 1, 4], [5, 4, 1], [0, 0, 10]]), weights=None) == pytest.approx(0.676, abs=5e-4)


def test_linear_kappa_of_the_sas_example() -> None:
    # SAS/STAT User's Guide, PROC FREQ, tests and measures of agreement: 88 patients seen by two dermatologists, .5082.
    a, b = spread([[10, 4, 1, 0], [5, 10, 12, 2], [2, 4, 12, 5], [0, 2, 6, 13]])
    assert kappa(a, b, weights="linear") == pytest.approx(0.5082, abs=5e-5)


@given(ratings_of_two, st.sampled_from(["quadratic", "linear", None]), st.booleans())
def test_kappa_is_that_of_scikit_learn(pairs: list[tuple[int, int]], weights: str | None, whole_scale: bool) -> None:
    a, b = zip(*pairs, strict=True)
    if len({*a, *b}) > 1:
        known = LEVELS if whole_scale else None
        expected = cohen_kappa_score(a, b, weights=weights, labels=known)
        ours = kappa(a, b, weights=weights, levels=known)  # type: ignore[arg-type]
        assert math.isnan(ours) if math.isnan(expected) else ours == pytest.approx(expected, abs=1e-9)


def test_without_levels_each_mean_of_a_crowd_is_a_level_of_its_own() -> None:
    one, crowd = [1, 2, 3, 4, 4], [1, 7 / 3, 8 / 3, 4, 3]
    ranks = [1, 2, 5, 6, 6], [1, 3, 4, 6, 5]
    assert kappa(one, crowd) == pytest.approx(cohen_kappa_score(*ranks, weights="quadratic", labels=range(1, 7)))
    assert kappa(one, crowd) != pytest.approx(kappa(one, np.rint(crowd), levels=LEVELS))


def test_a_rating_that_is_no_level_is_refused() -> None:
    with pytest.raises(ValueError, match=r"2\.5 is none of the levels 1, 2, 3, 4, 5"):
        kappa([1, 2.5], [1, 2], levels=LEVELS)


def test_kappa_of_ratings_that_never_vary_is_not_defined() -> None:
    assert math.isnan(kappa([3, 3, 3], [3, 3, 3]))
    assert math.isnan(kappa([3.0], [2.0], levels=LEVELS))


@pytest.mark.parametrize(("level", "published"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849)])
def test_alpha_of_krippendorffs_example(level: str, published: float) -> None:
    # Krippendorff, K. (2011), Computing Krippendorff's alpha-reliability, section C: four observers, twelve units, gaps.
    ratings = [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, NAN, NAN, NAN],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, NAN, 3],
        [NAN, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, NAN],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, NAN],
    ]
    assert alpha(ratings, level) == pytest.approx(published, abs=5e-4)  # type: ignore[arg-type]


def test_alpha_is_not_defined_where_nothing_can_be_compared() -> None:
    assert math.isnan(alpha([[1, 2, NAN], [NAN, NAN, 3]]))
    assert math.isnan(alpha([[4, 4], [4, 4]]))


SHROUT_FLEISS = np.array([[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], float)


def test_icc_of_shrout_and_fleiss() -> None:
    # Shrout, P. E., & Fleiss, J. L. (1979), Psychological Bulletin, 86(2), 420-428, table 4: ICC(2,1) .29 and ICC(3,1) .71.
    found = icc(SHROUT_FLEISS)
    assert found.agreement == pytest.approx(0.29, abs=5e-3)
    assert found.consistency == pytest.approx(0.71, abs=5e-3)


def test_icc_leaves_items_with_a_gap_out() -> None:
    gap = np.vstack([SHROUT_FLEISS, [1, NAN, 9, 9]])
    assert icc(gap) == pytest.approx(icc(SHROUT_FLEISS))


def test_a_constant_shift_between_raters_costs_agreement_but_no_consistency() -> None:
    found = icc(np.array([[1, 3], [2, 4], [3, 5], [4, 6]], float))
    assert found.consistency == pytest.approx(1.0)
    assert found.agreement < 0.5


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=3, max_size=40))
def test_spearman_and_auc_are_those_of_the_libraries(pairs: list[tuple[int, int]]) -> None:
    a, b = (list(x) for x in zip(*pairs, strict=True))
    if len(set(a)) > 1 and len(set(b)) > 1:
        assert spearman(a, b) == pytest.approx(stats.spearmanr(a, b).statistic, abs=1e-9)
    good = [int(x > 4) for x in b]
    if 0 < sum(good) < len(good):
        assert auc(a, good) == pytest.approx(roc_auc_score(good, a), abs=1e-9)
    else:
        assert math.isnan(auc(a, good))


@given(ratings_of_two, st.integers(0, 2))
def test_a_missing_rating_counts_as_if_the_item_were_not_there(pairs: list[tuple[int, int]], gaps: int) -> None:
    a, b = np.array(pairs, float).T
    more_a, more_b = np.append(a, [NAN] * gaps + [2.0]), np.append(b, [3.0] * gaps + [NAN])
    for statistic in (kappa, spearman):
        np.testing.assert_allclose(statistic(more_a, more_b), statistic(a, b))
    good = np.where(np.isnan(more_b), NAN, more_b > 3)
    np.testing.assert_allclose(auc(more_a, good), auc(a, b > 3))


@pytest.mark.parametrize("statistic", [lambda a, b: kappa(a, b, levels=LEVELS), lambda a, b: kappa(a, b, "linear", LEVELS), spearman])
def test_many_samples_at_once_give_what_each_gives_alone(statistic) -> None:
    a, b = np.random.default_rng(1).integers(1, 6, (2, 7, 30)).astype(float)
    b[2, 5] = NAN
    np.testing.assert_allclose(statistic(a, b), [statistic(x, y) for x, y in zip(a, b, strict=True)])


# --------------------------------------------------------------------------------------------------------- bootstrap


def test_the_interval_is_that_of_scipy() -> None:
    rng = np.random.default_rng(3)
    a = rng.normal(size=80)
    b = a + rng.normal(size=80)
    ours = bootstrap(spearman, a, b, resamples=4000)
    how = {"paired": True, "vectorized": True, "method": "percentile", "n_resamples": 4000, "rng": 1}
    theirs = stats.bootstrap((a, b), lambda x, y, axis: spearman(x, y), **how).confidence_interval
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.02)
    assert ours.value == pytest.approx(stats.spearmanr(a, b).statistic)


def test_equal_seeds_give_equal_intervals_and_others_do_not() -> None:
    a, b = np.random.default_rng(5).normal(size=(2, 40))
    assert bootstrap(spearman, a, b) == bootstrap(spearman, a, b)
    assert bootstrap(spearman, a, b) != bootstrap(spearman, a, b, seed=1)


def test_one_by_one_gives_the_same_kind_of_interval_as_all_at_once() -> None:
    a, b = np.random.default_rng(6).integers(1, 6, (2, 60)).astype(float)
    at_once, singly = (bootstrap(lambda x, y: kappa(x, y, levels=LEVELS), a, b, vectorized=v, resamples=1500) for v in (True, False))
    assert (at_once.low, at_once.high) == pytest.approx((singly.low, singly.high), abs=0.05)


def test_items_of_one_cluster_are_drawn_together() -> None:
    a, b = np.random.default_rng(7).normal(size=(2, 25))
    once = bootstrap(spearman, a, b, resamples=800)
    copied = np.repeat(a, 6), np.repeat(b, 6)
    clustered = bootstrap(spearman, *copied, clusters=[i // 6 for i in range(150)], resamples=800)
    apart = bootstrap(spearman, *copied, resamples=800)
    width = [i.high - i.low for i in (once, clustered, apart) if i.high is not None and i.low is not None]
    assert width[1] == pytest.approx(width[0], rel=0.15)
    assert width[2] < 0.6 * width[0]


def test_resamples_without_a_value_are_counted_and_too_many_leave_no_bounds() -> None:
    good = np.array([1.0] + [0.0] * 11)
    found = bootstrap(auc, np.arange(12.0), good)
    # The one good item is missing from (11/12)^12, some 35 in 100, of the resamples.
    assert found.undefined / 2000 == pytest.approx((11 / 12) ** 12, abs=0.05)
    assert found.low is not None
    few = bootstrap(lambda x: np.where(x.sum(-1) == 15, 1.0, NAN), np.arange(6.0))
    assert few.value == 1.0
    assert few.low is None
    assert "resamples have no value" in few.reason


def test_what_is_not_defined_has_a_reason_instead_of_a_value() -> None:
    found = bootstrap(spearman, [1, 1, 1], [1, 2, 3])
    assert found.value is None
    assert found.reason
    assert bootstrap(spearman, [], []).reason == "no items"
    with pytest.raises(ValueError, match="needs a reason"):
        Interval(value=None, n=3)


# -------------------------------------------------------------------------------------------------------- comparison


def made(judge_noise: float, n: int = 60) -> tuple[dict[str, float], list[Rating]]:
    rng = np.random.default_rng(11)
    truth = rng.integers(1, 6, n)
    people = [np.clip(truth + rng.integers(-1, 2, n) * (rng.random(n) < 0.4), 1, 5) for _ in range(3)]
    score = np.clip((truth - 1) / 4 + rng.normal(0, judge_noise, n), 0, 1)
    return {f"c{i}": float(v) for i, v in enumerate(score)}, labels(*people)


def test_a_good_judge_agrees_as_people_do_and_a_guessing_one_does_not() -> None:
    good = agree(*made(0.05), FIVE, resamples=200)
    guess = agree(*made(5.0), FIVE, resamples=200)
    assert good.humans == guess.humans
    for name in Agreement.model_fields["judge"].annotation.model_fields:  # type: ignore[union-attr]
        better, worse = getattr(good.judge, name), getattr(guess.judge, name)
        assert better.low > worse.high or name in ("alpha", "icc_c", "icc_a"), name
        assert better.value > worse.value
    assert may_gate(good.judge.kappa, good.humans.kappa).may
    assert not may_gate(guess.judge.kappa, guess.humans.kappa).may


def test_the_figures_of_a_comparison_are_those_of_the_coefficients() -> None:
    score, ratings = made(0.2)
    found = agree(score, ratings, FIVE, resamples=50)
    people = np.array([[r.rating for r in ratings if r.rater == f"r{p}"] for p in range(3)])
    judged = 1 + 4 * np.array([score[f"c{i}"] for i in range(60)])
    assert found.judge.kappa.value == pytest.approx(np.median([kappa(np.rint(judged), p, levels=LEVELS) for p in people]))
    assert found.humans.kappa.value == pytest.approx(
        np.median([kappa(people[i], people[j], levels=LEVELS) for i, j in ((0, 1), (0, 2), (1, 2))])
    )
    assert found.humans.alpha.value == pytest.approx(alpha(people))
    assert found.judge.alpha.value == pytest.approx(alpha([*people, np.rint(judged)]))
    assert found.humans.icc_a.value == pytest.approx(icc(people.T).agreement)
    assert found.judge.spearman.value == pytest.approx(spearman(judged, people.mean(0)))
    assert found.humans.spearman.value == pytest.approx(np.median([spearman(people[i], np.delete(people, i, 0).mean(0)) for i in range(3)]))
    assert found.judge.auc.value == pytest.approx(auc(judged, (people >= 4).sum(0) > 1.5))
    assert [a.raters for a in found.each] == [("judge", "r0"), ("judge", "r1"), ("judge", "r2")]
    assert len(found.pairs) == 3


def test_where_high_is_bad_a_score_that_follows_people_still_agrees() -> None:
    bad = Scale(low=1, high=5, good_from=2, high_is_bad=True)
    person = [float(1 + i % 5) for i in range(40)]
    score = {f"c{i}": bad.unit(value) for i, value in enumerate(person)}
    found = agree(score, labels(person, person), bad, resamples=50)
    assert (found.judge.kappa.value, found.judge.spearman.value, found.judge.auc.value) == pytest.approx((1.0, 1.0, 1.0))
    assert found.humans.auc.value == pytest.approx(1.0)


def test_ties_gaps_unscored_items_and_rounded_ratings_are_counted() -> None:
    n = 20
    one, other = [float(1 + i % 5) for i in range(n)], [float(1 + i % 5) for i in range(n)]
    one[3], other[3], one[4], other[5] = 5.0, 1.0, 2.5, NAN
    score: dict[str, float | None] = {f"c{i}": (i % 5) / 4 for i in range(n)}
    score["c7"] = None
    del score["c8"]
    found = agree(score, labels(one, other), FIVE, resamples=20)
    assert (found.items, found.unscored, found.rounded) == (18, 2, 1)
    # c3 is good to one and not to the other; at c4 one says 2.5 and the other 5.
    assert found.tied == 2


def test_one_rater_alone_leaves_peoples_agreement_open() -> None:
    found = agree({f"c{i}": (i % 5) / 4 for i in range(30)}, labels([1.0 + i % 5 for i in range(30)]), FIVE, resamples=20)
    assert found.judge.kappa.value == pytest.approx(1.0)
    assert found.humans.kappa.value is None
    assert "one rater alone" in found.humans.auc.reason
    assert "not known" in may_gate(found.judge.kappa, found.humans.kappa).reasons[0]


def test_a_scale_without_whole_steps_has_no_kappa_but_ranks() -> None:
    values = [i / 40 for i in range(40)]
    found = agree({f"c{i}": v for i, v in enumerate(values)}, labels(values, values), Scale(low=0, high=1.5, good_from=0.5), resamples=20)
    assert "no whole steps" in found.judge.kappa.reason
    assert found.judge.spearman.value == pytest.approx(1.0)


def test_misuse_is_told() -> None:
    with pytest.raises(UsageError, match="one criterion at a time, not of warmth, zeal"):
        agree({}, labels([1]) + labels([1], criterion="zeal"), FIVE)
    with pytest.raises(UsageError, match="no item rated on warmth has a score"):
        agree({"other": 0.5}, labels([1]), FIVE)
    with pytest.raises(RecordError, match="rated warmth of c0 6, off its scale 1-5"):
        agree({"c0": 0.5}, labels([6]), FIVE)
    with pytest.raises(UsageError, match="the score of c0 is 4, not between 0 and 1"):
        agree({"c0": 4}, labels([4]), FIVE)


# -------------------------------------------------------------------------------------------------------------- rule


def k(value: float, low: float, high: float, n: int = 50) -> Interval:
    return Interval(value=value, low=low, high=high, n=n)


@pytest.mark.parametrize(
    ("judge", "people", "word"),
    [
        (k(0.6, 0.4, 0.8), k(0.39, 0.2, 0.5), "people agree with each other only at 0.39"),
        (k(0.39, 0.3, 0.5), k(0.5, 0.4, 0.6), "agrees with people only at 0.39"),
        (k(0.5, 0.19, 0.8), k(0.5, 0.4, 0.6), "may be as low as 0.19"),
        (k(0.5, 0.4, 0.6), k(0.8, 0.7, 0.9), "lies 0.30 below"),
        (k(0.6, 0.4, 0.8, n=29), k(0.6, 0.4, 0.8), "29 items are fewer than 30"),
        (Interval.none("nobody", 40), k(0.6, 0.4, 0.8), "not known: nobody"),
    ],
)
def test_each_clause_of_the_rule_closes_the_gate_alone(judge: Interval, people: Interval, word: str) -> None:
    decided = may_gate(judge, people)
    assert not decided.may
    assert len(decided.reasons) == 1
    assert word in decided.reasons[0]


def test_the_rule_lets_a_judge_through_that_is_near_people_or_within_their_interval() -> None:
    assert may_gate(k(0.5, 0.45, 0.55), k(0.64, 0.6, 0.7)).may
    assert may_gate(k(0.5, 0.3, 0.65), k(0.75, 0.6, 0.9)).may
