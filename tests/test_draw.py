"""Seeded draws: the laws of each draw, and values fixed for ever."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixel_synth.draw import Draw, seed_of

PATHS = st.lists(st.one_of(st.integers(), st.text(max_size=8)), min_size=1, max_size=4)


def test_the_sequence_of_a_path_never_changes() -> None:
    draw = Draw(7, 0, 0, "life")
    assert seed_of(7, 0, 0, "life") == 2027350540054220639
    assert [draw.below(1000) for _ in range(6)] == [652, 357, 93, 821, 776, 9]
    assert Draw(7, "x").shuffled("abcdef") == list("dfbeac")


@given(PATHS)
def test_a_path_is_a_63_bit_seed_and_says_the_same_twice(path: list[object]) -> None:
    assert 0 <= seed_of(*path) < 2**63
    one, two = Draw(*path), Draw(*path)
    assert [one.below(97) for _ in range(20)] == [two.below(97) for _ in range(20)]


def test_paths_are_told_apart_by_their_borders() -> None:
    assert len({seed_of("a", "b"), seed_of("ab"), seed_of("a", "b", ""), seed_of("b", "a"), seed_of(1, 12), seed_of(11, 2)}) == 6


@given(PATHS, st.integers(1, 10_000))
def test_below_stays_below(path: list[object], n: int) -> None:
    draw = Draw(*path)
    assert all(0 <= draw.below(n) < n for _ in range(30))


@given(PATHS, st.integers(-50, 50), st.integers(0, 60))
def test_between_includes_both_ends_and_nothing_beyond(path: list[object], low: int, width: int) -> None:
    draw = Draw(*path)
    assert {draw.between(low, low + width) for _ in range(60)} <= set(range(low, low + width + 1))


def test_between_reaches_both_ends() -> None:
    draw = Draw("ends")
    assert {draw.between(3, 5) for _ in range(200)} == {3, 4, 5}


@given(PATHS, st.lists(st.integers(), max_size=30))
def test_shuffled_is_a_permutation_and_leaves_its_input(path: list[object], items: list[int]) -> None:
    before = list(items)
    assert sorted(Draw(*path).shuffled(items)) == sorted(items)
    assert items == before


def test_shuffled_reaches_every_order() -> None:
    assert len({tuple(Draw("orders", i).shuffled("abc")) for i in range(300)}) == 6


@given(PATHS, st.lists(st.floats(0, 10), min_size=1, max_size=8).filter(lambda w: sum(w) > 1e-9))
def test_weighted_never_takes_a_weight_of_zero(path: list[object], weights: list[float]) -> None:
    draw = Draw(*path)
    assert all(weights[draw.weighted(range(len(weights)), weights)] > 0 for _ in range(30))


def test_weighted_follows_its_weights() -> None:
    draw = Draw("shares")
    seen = [draw.weighted("abc", (0.7, 0.2, 0.1)) for _ in range(4000)]
    for item, share in zip("abc", (0.7, 0.2, 0.1), strict=True):
        assert seen.count(item) / 4000 == pytest.approx(share, abs=0.03)


def test_chance_zero_and_one_are_certain() -> None:
    draw = Draw("coin")
    assert not any(draw.chance(0.0) for _ in range(100))
    assert all(draw.chance(1.0) for _ in range(100))
