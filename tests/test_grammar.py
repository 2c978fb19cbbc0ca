"""Talk notation and cues."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixel_synth.errors import GrammarError
from pixel_synth.grammar import SLOTS, answers, expand, find_cue, open_words, parse, slots, sure_words, variants

WORD = st.text("abcdefgh ,.'’–", min_size=1, max_size=8)
SLOT = st.sampled_from(sorted(SLOTS)).map(lambda s: "{" + s + "}")
LINE = st.recursive(
    st.one_of(WORD, SLOT, st.just("")),
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map("".join),
        st.lists(inner, min_size=1, max_size=3).map(lambda options: "[" + "|".join(options) + "]"),
    ),
    max_leaves=6,
)


def first(n: int) -> int:
    return 0


def test_a_choice_takes_one_alternative_and_a_slot_its_value() -> None:
    line = "I lie there [till three|until four], and {person} [has [no|not one] idea|sleeps]."
    assert expand(line, first, {"person": "my sister"}.__getitem__) == "I lie there till three, and my sister has no idea."
    assert expand(line, lambda n: n - 1, {"person": "my sister"}.__getitem__) == "I lie there until four, and my sister sleeps."
    assert slots(line) == {"person"}
    assert len(variants(line)) == 6


def test_an_empty_alternative_is_allowed() -> None:
    assert variants("it's [|really ]bad") == ["it's bad", "it's really bad"]


@pytest.mark.parametrize("line", ["a [b|c", "a b]", "a | b", "a {b", "b} c", "{two words}", "[[a]", "{}"])
def test_a_malformed_line_is_an_error_that_quotes_it(line: str) -> None:
    with pytest.raises(GrammarError, match=re.escape(repr(line))):
        parse(line)


@given(LINE)
def test_every_expansion_is_one_of_the_variants_and_has_no_notation_left(line: str) -> None:
    every = variants(line, 4096)
    for turn in (0, 1, 2):
        text = expand(line, lambda n, turn=turn: turn % n, lambda name: "{" + name + "}")
        assert text in every
    for text in every:
        assert not re.search(r"[\[\]|]", text)
        assert slots(text) <= slots(line)


@given(LINE, st.integers(1, 5))
def test_variants_keep_to_their_limit(line: str, limit: int) -> None:
    assert 1 <= len(variants(line, limit)) <= limit


def test_a_slot_in_a_branch_not_taken_needs_no_value() -> None:
    def value(name: str) -> str:
        raise AssertionError(name)

    assert expand("[yes|{person}]", first, value) == "yes"


@pytest.mark.parametrize(
    ("cue", "text", "there"),
    [
        ("sleep*", "I was Sleeping on the bus", True),
        ("sleep*", "an oversleeper", False),
        ("sleep", "sleeping", False),
        ("let..down", "I let everybody down", True),
        ("let..down", "I let down", True),
        ("let..down", "let all my old friends down", True),
        ("let..down", "let one two three four five down", False),
        ("let..down", "outlet is down", False),
        ("4 months", "for 4  months now", True),
        ("4 months", "for 14 months", False),
        ("can't sleep", "I can’t sleep", True),
        ("a.m", "at 3 axm", False),
        ("four months", "four\nmonths", True),
        ("mum", "my mum's keys", True),
    ],
)
def test_cues_find_words_stems_and_gaps(cue: str, text: str, there: bool) -> None:
    assert (find_cue([cue], text) is not None) is there


@given(st.text("abcxyz", min_size=1, max_size=6), st.text(" .,abc", max_size=12))
def test_a_plain_cue_finds_itself_as_a_whole_word_only(word: str, other: str) -> None:
    assert find_cue([word], f"{other} {word}, {other}")
    assert not find_cue([word], f"q{word}q")


def test_a_line_that_takes_up_an_alternative_fits_only_what_was_chosen() -> None:
    told = "I put the [kettle|radio] on, and the whole [house|flat [over the shop|]] went quiet."
    assert sure_words(told) >= {"whole", "quiet", "went"}
    assert open_words(told) == {"kettle", "radio", "house", "flat", "over", "shop"}
    assert answers("the kettle was company", told, "i put the kettle on, and the whole house went quiet.")
    assert not answers("the kettle was company", told, "i put the radio on, and the whole house went quiet.")
    assert answers("the [kettle|radio] was company", told, "i put the radio on, and the whole house went quiet.")
    assert answers("it was quiet", told, "i put the radio on, and the whole house went quiet.")
