"""What licences permit, which sets a profile refuses, and what a mixture may be published under."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixel_synth.sources import sources
from pixel_synth.sources.inventory import uses
from pixel_synth.sources.licence import LICENCES, forbidden, licence, terms

PAIRS = st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from(sorted(LICENCES))), max_size=6)


@pytest.mark.parametrize("spelled", ["CC-BY-NC-SA-4.0", "cc-by-nc-sa-4.0", "CC BY-NC-SA 4.0", "cc_by_nc_sa_4.0"])
def test_a_licence_is_known_however_it_is_spelled(spelled: str) -> None:
    assert licence(spelled).id == "CC-BY-NC-SA-4.0"


@pytest.mark.parametrize(
    ("spelled", "id"),
    [("mit", "MIT"), ("Apache License 2.0", "Apache-2.0"), ("agpl-3.0", "AGPL-3.0-only"), ("openrail", "OpenRAIL"), ("cc0", "CC0-1.0")],
)
def test_the_hubs_tags_are_known(spelled: str, id: str) -> None:
    assert licence(spelled).id == id


def test_a_licence_that_is_not_in_the_table_permits_nothing_that_is_known() -> None:
    found = licence("Ask Aunt Mary 1.0")
    assert found.commercial is None
    assert "Ask Aunt Mary 1.0" in found.clause


def test_every_line_of_the_table_says_where_it_was_read_and_every_bound_names_its_clause() -> None:
    for one in LICENCES.values():
        assert one.url.startswith("https://") or one.id == "own"
        if one.commercial is not True or one.alike or not one.adapted:
            assert one.clause, one.id


def test_the_commercial_profile_refuses_non_commercial_and_unknown_with_set_licence_and_clause() -> None:
    found = forbidden([("nice", "MIT"), ("talks", "CC-BY-NC-SA-4.0"), ("found", ""), ("odd", "Ask Aunt Mary 1.0")], "commercial")
    assert [line.partition(":")[0] for line in found] == ["found", "odd", "talks"]
    assert "CC-BY-NC-SA-4.0" in found[2]
    assert "NonCommercial" in found[2]
    assert "all rights are reserved" in found[0]


def test_what_we_generated_needs_no_licence_in_its_records() -> None:
    assert forbidden([("generated", "")], "commercial") == []
    assert forbidden([("found", "")], "commercial") != []


@given(PAIRS)
def test_the_commercial_profile_lets_through_only_what_allows_it(pairs: list[tuple[str, str]]) -> None:
    refused = {line.partition(":")[0] for line in forbidden(pairs, "commercial")}
    for name, text in pairs:
        if LICENCES[text].commercial is not True:
            assert name in refused
    assert forbidden(pairs, "research") == []


def test_share_alike_licences_that_exclude_each_other_are_named_with_their_sets() -> None:
    found = terms([("talks", "CC-BY-NC-SA-4.0"), ("roles", "AGPL-3.0-only"), ("nice", "MIT")])
    assert found.under == ""
    assert len(found.problems) == 1
    for word in ("talks", "roles", "CC-BY-NC-SA-4.0", "AGPL-3.0-only"):
        assert word in found.problems[0]


def test_one_share_alike_licence_decides_for_the_whole() -> None:
    assert terms([("a", "CC-BY-SA-4.0"), ("b", "MIT")]).under == "CC-BY-SA-4.0"
    assert terms([("a", "CC-BY-SA-4.0"), ("b", "AGPL-3.0-only")]).under == "AGPL-3.0-only"
    assert terms([("a", "CC-BY-4.0"), ("b", "MIT")]) == terms([("b", "MIT"), ("a", "CC-BY-4.0")])
    assert terms([("a", "CC-BY-4.0"), ("b", "MIT")]).problems == ()


def test_a_copyleft_that_allows_commerce_and_a_set_that_forbids_it_do_not_go_together() -> None:
    (problem,) = terms([("roles", "AGPL-3.0-only"), ("limited", "CC-BY-NC-4.0")]).problems
    assert "limited" in problem


def test_sets_that_may_not_be_passed_on_are_named() -> None:
    found = terms([("found", "unknown"), ("whole", "CC-BY-ND-4.0"), ("asked", "MIT")], gated=["asked"])
    assert [p.partition(":")[0] for p in found.problems] == ["found", "whole", "asked"]
    assert not found.commercial


@given(PAIRS)
def test_terms_do_not_depend_on_the_order_and_have_a_problem_for_every_set_that_may_not_be_shared(pairs: list[tuple[str, str]]) -> None:
    unique = list({name: (name, text) for name, text in pairs}.values())
    found = terms(unique)
    assert found == terms(unique[::-1])
    for name, text in unique:
        if not LICENCES[text].shared:
            assert any(p.startswith(f"{name}:") for p in found.problems)


@pytest.mark.parametrize("source", sources().values(), ids=lambda s: s.id)
def test_every_sets_licence_is_a_line_of_the_table(source) -> None:  # type: ignore[no-untyped-def]
    assert source.license in LICENCES
    assert uses(licence(source.license))
