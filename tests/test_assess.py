"""Instruments: scoring by the published rules, and a Big Five persona from an inventory."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from instruments import ALL, GAD7, IPIP, NINE, PACKS, PHQ9, ROOT, SCREENS, SOURCES, changed, leaning, patterns, phq9, raised, same, total_of

from pixel_synth.errors import UsageError
from pixel_synth.knowledge import Knowledge, read_pack
from pixel_synth.knowledge.assess import DOMAINS, gaps, levels, members, persona, score
from pixel_synth.knowledge.models import KINDS, Instrument, Profile

# ----------------------------------------------------------------------------------------------- scoring


@pytest.mark.parametrize(
    ("instrument", "value", "band"),
    [
        *((PHQ9, v, b) for b, ends in {
            "minimal": (0, 4), "mild": (5, 9), "moderate": (10, 14), "moderately severe": (15, 19), "severe": (20, 27),
        }.items() for v in ends),
        *((GAD7, v, b) for b, ends in {"minimal": (0, 4), "mild": (5, 9), "moderate": (10, 14), "severe": (15, 21)}.items() for v in ends),
        *((ALL[id], v, b) for id in ("phq2", "gad2") for b, ends in {
            "below the cut-off": (0, 2), "at or above the cut-off": (3, 6),
        }.items() for v in ends),
    ],
)  # fmt: skip
def test_both_ends_of_every_published_band(instrument: Instrument, value: int, band: str) -> None:
    found = total_of(instrument, value).scales[0]
    assert (found.value, found.band) == (value, band)


@pytest.mark.parametrize(("id", "cut"), [("phq9", 10), ("gad7", 10), ("phq2", 3), ("gad2", 3)])
def test_the_cut_off_flag_is_raised_from_the_published_value_on(id: str, cut: int) -> None:
    assert raised(total_of(ALL[id], cut - 1))[f"cutoff_{cut}"] is False
    assert raised(total_of(ALL[id], cut))[f"cutoff_{cut}"] is True


@pytest.mark.parametrize(
    ("points", "major", "other"),
    [
        ((2, 0, 2, 2, 2, 2, 0, 0, 0), True, False),  # five, interest among them
        ((2, 0, 2, 2, 2, 0, 0, 0, 1), True, False),  # self-harm counts at any frequency
        ((2, 0, 2, 2, 2, 1, 1, 1, 0), False, True),  # several days are not enough elsewhere
        ((1, 1, 3, 3, 3, 3, 3, 3, 3), False, False),  # seven, no leading symptom
        ((0, 3, 0, 2, 0, 0, 0, 0, 0), False, True),
        ((0, 3, 0, 0, 0, 0, 0, 0, 0), False, False),  # a single one is no syndrome
        ((3, 3, 3, 3, 3, 3, 3, 3, 3), True, False),
    ],
)
def test_the_syndrome_rule_of_the_phq9(points: tuple[int, ...], major: bool, other: bool) -> None:
    found = raised(phq9(*points))
    assert (found["major_depressive_syndrome"], found["other_depressive_syndrome"]) == (major, other)


def test_a_rule_that_unanswered_items_leave_open_is_neither_raised_nor_not() -> None:
    found = raised(phq9(2, 2, 2, 2, None, 0, 0, 0, 0))
    assert (found["major_depressive_syndrome"], found["other_depressive_syndrome"]) == (None, None)
    assert found["safety"] is False
    assert raised(phq9(0, 0, 0, 0, 0, 0, 0, 0, None))["safety"] is None
    assert raised(phq9(2, 2, 2, 2, 2, None, None, None, None))["major_depressive_syndrome"] is True
    assert raised(phq9(0, 0, None, 0, 0, 0, 0, 0, 0))["major_depressive_syndrome"] is False


def test_thoughts_of_self_harm_are_urgent_at_several_days_whatever_the_sum() -> None:
    result = phq9(0, 0, 0, 0, 0, 0, 0, 0, 1)
    assert result.of("total").band == "minimal"
    assert [f.flag for f in result.flags if f.urgent and f.raised] == ["safety"]


def test_up_to_two_unanswered_items_of_the_phq9_take_the_mean_of_the_others() -> None:
    found = phq9(1, 1, 1, 1, 1, 1, 1, None, None).of("total")
    assert (found.value, found.prorated, found.band) == (9, 2, "mild")
    found = phq9(2, 1, 1, 1, 1, 1, 1, 1, None).of("total")
    assert found.value == pytest.approx(9 * 9 / 8)
    assert found.band == "moderate"
    found = phq9(1, 1, 1, 1, 1, 1, 1, 1, None).of("total")
    assert (found.value, found.band) == (9, "mild")


def test_a_value_between_two_bands_has_not_reached_the_upper_one() -> None:
    found = phq9(2, 2, 0, 0, 0, 0, 0, None, 0).of("total")
    assert (found.value, found.band) == (4.5, "minimal")


@pytest.mark.parametrize("points", [(1, 1, 1, 1, 1, 1, None, None, None), (None,) * 9])
def test_more_unanswered_than_allowed_is_unscored_with_the_items_named(points: tuple[float | None, ...]) -> None:
    found = phq9(*points).of("total")
    assert (found.value, found.band, found.prorated) == (None, "", 0)
    assert found.reason == "no item is answered" or all(id in found.reason for id in ("concentration", "movement", "at most 2"))


def test_the_gad7_has_no_allowance() -> None:
    found = score(GAD7, {item.id: 1 for item in GAD7.items[:-1]}).of("total")
    assert found.value is None
    assert "afraid" in found.reason


@pytest.mark.parametrize("points", [4, -1, 1.5, True, float("nan"), float("inf"), "2"])
def test_points_that_are_no_answer_are_refused_by_the_name_of_the_item(points: Any) -> None:
    with pytest.raises(UsageError, match="item sleep") as caught:
        score(PHQ9, {"sleep": points})
    assert "0, 1, 2, 3" in caught.value.hint


def test_an_unknown_item_is_refused() -> None:
    with pytest.raises(UsageError, match="slep"):
        score(PHQ9, {"slep": 1})


def test_an_optional_item_changes_no_score() -> None:
    full = dict.fromkeys(NINE, 1.0)
    assert score(PHQ9, full | {"difficulty": 3}).scales == score(PHQ9, full).scales


METHODS = changed(
    GAD7,
    bands=(),
    flags=(),
    scales=[
        {"id": "mean", "name": "mean", "method": "mean", "missing": 3},
        {"id": "max", "name": "max", "method": "max"},
        {"id": "count", "name": "count", "method": "count", "threshold": 2},
        {"id": "double", "name": "double", "factor": 2, "missing": 1},
    ],
)


def test_every_method_and_the_factor() -> None:
    points = dict(zip((i.id for i in GAD7.items), (0, 1, 2, 3, 2, 1, 0), strict=True))
    values = {s.scale: (s.value, s.low, s.high) for s in score(METHODS, points).scales}
    assert values == {"mean": (pytest.approx(9 / 7), 0, 3), "max": (3, 0, 3), "count": (3, 0, 7), "double": (18, 0, 42)}
    part = score(METHODS, points | {"nervous": None})
    assert part.of("mean").value == pytest.approx(9 / 6)
    assert part.of("double").value == pytest.approx(9 / 6 * 7 * 2)
    assert part.of("max").value is part.of("count").value is None


@pytest.mark.parametrize("instrument", ALL.values(), ids=lambda i: i.id)
def test_every_band_list_covers_its_range(instrument: Instrument) -> None:
    assert list(gaps(instrument)) == []


@pytest.mark.parametrize(
    ("low", "said"), [(11, "between 9 and 11"), (9, "share 9"), (None, "cover 0–9, the scale goes from 0 to 27")], ids=str
)
def test_a_hole_an_overlap_and_an_open_end_are_found(low: int | None, said: str) -> None:
    bands = [b.model_dump() for b in PHQ9.bands[:2]]
    bands += [] if low is None else [{"scale": "total", "low": low, "high": 27, "label": "rest", "source": ["kroenke2001"]}]
    (found,) = gaps(changed(PHQ9, bands=bands))
    assert said in found


@pytest.mark.parametrize("instrument", SCREENS, ids=lambda i: i.id)
@given(data=st.data())
def test_every_answer_pattern_lies_in_exactly_one_band_per_scale(instrument: Instrument, data: st.DataObject) -> None:
    result = score(instrument, data.draw(patterns(instrument)))
    for found in result.scales:
        assert found.value is not None
        assert found.low <= found.value <= found.high
        inside = [b.label for b in instrument.bands if b.scale == found.scale and b.low <= found.value <= b.high]
        assert inside == [found.band]
    assert None not in raised(result).values()


@given(data=st.data())
def test_with_blanks_there_is_a_value_and_a_band_or_a_reason(data: st.DataObject) -> None:
    found = score(PHQ9, data.draw(patterns(PHQ9, blanks=True))).of("total")
    assert (found.value is None) == bool(found.reason) == (not found.band)
    assert found.value is None or (found.low <= found.value <= found.high and found.prorated <= 2)


# --------------------------------------------------------------------------------------------- inventory


def test_the_inventory_has_120_items_in_thirty_facets_of_four_and_five_domains_of_24() -> None:
    assert len(IPIP.items) == 120
    assert [s.id for s in IPIP.scales[:5]] == list(DOMAINS)
    facets = IPIP.scales[5:]
    assert len(facets) == 30
    for domain in IPIP.scales[:5]:
        mine = [s for s in facets if s.id.startswith(f"{domain.id}.")]
        assert (len(domain.items), len(mine), {len(s.items) for s in mine}) == (24, 6, {4})
        assert sorted(i for s in mine for i in s.items) == sorted(domain.items)


def test_facets_lie_thirty_items_apart_as_in_the_published_scoring_program() -> None:
    facets = {s.id: s.items for s in IPIP.scales[5:]}
    assert facets["neuroticism.anxiety"] == ("q001", "q031", "q061", "q091")
    assert facets["conscientiousness.cautiousness"] == ("q030", "q060", "q090", "q120")
    for items in facets.values():
        first = int(items[0][1:])
        assert [int(i[1:]) for i in items] == [first, first + 30, first + 60, first + 90]


def test_reversal_takes_highest_plus_lowest_minus_the_answer() -> None:
    calm = {item.id: item for item in IPIP.items}["q116"]
    assert (calm.asks, calm.reverse) == ("Remain calm under pressure", True)
    middle = dict(same(3))
    vulnerable = [score(IPIP, middle | {"q116": p}).of("neuroticism.vulnerability").value for p in (1, 3, 5)]
    assert vulnerable == [14, 12, 10]
    trusting = [score(IPIP, middle | {"q004": p}).of("agreeableness.trust").value for p in (1, 5)]
    assert trusting == [10, 14]
    assert {s.value for s in score(IPIP, same(3)).scales} == {12, 72}


def test_norms_agree_with_the_facets_and_with_the_programs_own_percentiles() -> None:
    result = score(IPIP, same(3))
    for scale in IPIP.scales[:5]:
        for n, norm in enumerate(scale.norms):
            facets = sum(s.norms[n].mean for s in IPIP.scales if s.id.startswith(f"{scale.id}."))
            assert abs(facets - norm.mean) < 0.7, (scale.id, norm.group)
    for found in result.scales[:5]:
        assert len(found.norms) == 8
        for norm in found.norms:
            assert norm.t == pytest.approx(
                50 + 10 * (72 - norm_of(found.scale, norm.group)[0]) / norm_of(found.scale, norm.group)[1], abs=0.01
            )
            if 35 <= norm.t <= 65:
                cubic = 210.335958661391 - 16.7379362643389 * norm.t + 0.405936512733332 * norm.t**2 - 0.00270624341822222 * norm.t**3
                assert norm.percentile == pytest.approx(cubic, abs=3)


def norm_of(scale: str, group: str) -> tuple[float, float]:
    return next((n.mean, n.sd) for s in IPIP.scales if s.id == scale for n in s.norms if n.group == group)


def test_levels_without_a_norm_come_from_the_range_and_say_so(bigfive: Knowledge) -> None:
    result = score(IPIP, leaning({"conscientiousness"}, {"extraversion"}))
    found = persona(result, bigfive)
    assert found.big_five.model_dump() == dict.fromkeys(DOMAINS, "mid") | {"conscientiousness": "high", "extraversion": "low"}
    assert (found.profile, found.apart) == ("quiet_planner", 0)
    assert "not normed" in found.basis
    assert {f.scale.split(".")[0] for f in found.facets} == {"conscientiousness", "extraversion"}
    assert len(found.facets) == 12


@pytest.mark.parametrize(("group", "level"), [("men over 60", "high"), ("women under 21", "mid"), ("", "mid")])
def test_the_same_answers_stand_differently_in_different_norms(group: str, level: str) -> None:
    assert levels(score(IPIP, same(3)), group).neuroticism == level


def test_half_a_standard_deviation_is_the_bound() -> None:
    mean, sd = norm_of("extraversion", "men 21-40")
    values: dict[str, set[int]] = {}
    for up in range(0, 25):
        answers = dict(leaning(set(), set()))
        for item in members(IPIP, IPIP.scales[2])[:up]:
            answers[item.id] = 2 if item.reverse else 4
        result = score(IPIP, answers)
        values.setdefault(levels(result, "men 21-40").extraversion, set()).add(int(result.of("extraversion").value or 0))
    assert max(values["mid"]) <= mean + sd / 2 < min(values["high"])


def test_no_persona_is_made_from_an_inventory_with_holes(bigfive: Knowledge) -> None:
    with pytest.raises(UsageError, match="q007"):
        persona(score(IPIP, dict(same(3)) | {"q007": None}), bigfive)
    with pytest.raises(UsageError, match="no scale 'openness'"):
        levels(phq9(*(1,) * 9))
    with pytest.raises(UsageError, match="men of 30"):
        levels(score(IPIP, same(3)), "men of 30")


@pytest.fixture(scope="module")
def bigfive() -> Knowledge:
    packs = (*PACKS.values(), read_pack(ROOT / "bigfive" / "profiles.yaml", SOURCES))
    return Knowledge(packs, {kind: {e.id: e for p in packs if p.kind == kind for e in p.entries} for kind in KINDS})


def test_every_named_profile_is_nearest_to_itself(bigfive: Knowledge) -> None:
    for profile in bigfive.all(Profile).values():
        ends = {level: {d for d in DOMAINS if getattr(profile.levels, d) == level} for level in ("high", "low")}
        found = persona(score(IPIP, leaning(ends["high"], ends["low"])), bigfive)
        assert (found.profile, found.apart) == (profile.id, 0)
