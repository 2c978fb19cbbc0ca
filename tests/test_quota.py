"""Whole numbers that keep ratios: laws that hold for every total and every ratio."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pixel_synth.errors import UsageError
from pixel_synth.mix.quota import asked, largest_remainder, shrunk
from pixel_synth.mix.spread import Group, spread

FIVE = {"psychology": 0.30, "voice": 0.25, "mental_health": 0.20, "reasoning": 0.15, "personality": 0.10}
RATIOS = st.dictionaries(st.sampled_from("abcdef"), st.floats(0.01, 1.0), min_size=1)


def test_a_hundred_thousand_is_dealt_as_the_ratios_say() -> None:
    assert list(largest_remainder(100_000, FIVE).values()) == [30_000, 25_000, 20_000, 15_000, 10_000]


def test_what_is_left_over_goes_to_the_largest_fractions_and_ties_to_the_larger_ratio() -> None:
    # Exact shares of 7: 2.1, 1.75, 1.4, 1.05, 0.7.
    assert largest_remainder(7, FIVE) == {"psychology": 2, "voice": 2, "mental_health": 1, "reasoning": 1, "personality": 1}
    assert largest_remainder(1, {"small": 0.5, "large": 0.5, "none": 0.0}) == {"small": 1, "large": 0, "none": 0}


@given(st.integers(0, 10**6), RATIOS)
def test_counts_add_up_and_lie_less_than_one_record_from_their_share(total: int, ratios: dict[str, float]) -> None:
    counts = largest_remainder(total, ratios)
    assert sum(counts.values()) == total
    whole = sum(ratios.values())
    assert all(abs(counts[key] - total * ratios[key] / whole) < 1 for key in ratios)


@given(st.integers(1, 200), RATIOS, st.data())
@settings(max_examples=60)
def test_shrunk_is_the_largest_size_that_fits(total: int, ratios: dict[str, float], data: st.DataObject) -> None:
    there = {key: data.draw(st.integers(1, 60)) for key in ratios}

    def fits(size: int) -> bool:
        return all(count <= there[key] for key, count in largest_remainder(size, ratios).items())

    assert shrunk(total, ratios, there) == max(size for size in range(total + 1) if fits(size))


def test_nothing_is_left_to_shrink_to_when_a_category_is_empty() -> None:
    assert shrunk(100, FIVE, dict.fromkeys(FIVE, 50) | {"voice": 0}) == 0
    assert shrunk(100, FIVE | {"voice": 0.0}, dict.fromkeys(FIVE, 50) | {"voice": 0}) == 100


def test_shares_that_are_none_are_refused() -> None:
    with pytest.raises(UsageError, match="0 or more"):
        largest_remainder(3, {"a": -1.0, "b": 2.0})
    with pytest.raises(UsageError, match="above 0"):
        largest_remainder(3, {"a": 0.0})


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_groups_give_the_counts_of_their_category_and_miss_no_more_than_a_plain_draw(data: st.DataObject) -> None:
    size = st.integers(1, 12)
    groups = [Group(c, cells, data.draw(size)) for c in (0, 1) for cells in ((), (0,), (1,), (0, 1))]
    counts = [data.draw(st.integers(0, sum(g.available for g in groups if g.category == c))) for c in (0, 1)]
    wanted = [float(data.draw(st.integers(0, 20))) for _ in range(2)]
    plain, made = spread(groups, counts, ()), spread(groups, counts, wanted)

    def missed(given: list[int]) -> float:
        return sum(abs(sum(n for n, g in zip(given, groups, strict=True) if w in g.cells) - wanted[w]) for w in range(2))

    for given_ in (plain, made):
        assert all(0 <= n <= g.available for n, g in zip(given_, groups, strict=True))
        assert [sum(n for n, g in zip(given_, groups, strict=True) if g.category == c) for c in (0, 1)] == counts
    assert missed(made) <= missed(plain) + 1e-9


def test_shares_that_can_be_met_are_met_exactly() -> None:
    groups = [Group(0, (0,), 30), Group(0, (1,), 30), Group(0, (0, 1), 5), Group(0, (), 300)]
    made = spread(groups, [100], [20.0, 30.0])
    assert made[0] + made[2] == 20
    assert made[1] + made[2] == 30


def test_a_named_ratio_is_set_and_the_others_share_the_rest_as_before() -> None:
    found = asked(["voice=0", "reasoning=0", "personality=0"], FIVE)
    assert found == pytest.approx({"psychology": 0.6, "voice": 0, "mental_health": 0.4, "reasoning": 0, "personality": 0})
    assert asked([], FIVE) == pytest.approx(FIVE)


@pytest.mark.parametrize("wrong", [["voice"], ["voices=0"], ["voice=1.2"], ["voice=0.8", "psychology=0.4"]])
def test_a_ratio_that_is_none_is_refused(wrong: list[str]) -> None:
    with pytest.raises(UsageError, match="--ratio"):
        asked(wrong, FIVE)
