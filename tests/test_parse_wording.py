"""Phrases of diagnostic manuals to numbers and kinds, on invented matter; and phrases that name a number without setting one."""

from __future__ import annotations

import pytest

from pixel_synth.knowledge.parse.meaning import codes, kind, unless, without_codes
from pixel_synth.knowledge.parse.wording import Count, Duration, count, duration, onset_age, youngest_age


@pytest.mark.parametrize(
    ("text", "listed", "found"),
    [
        ("Five (or more) of the following have been there during the same 2-week period", 9, Count(5)),
        ("…; at least one of the symptoms is either (1) or (2). Five (or more) of the following", 9, Count(5, (1, 2))),
        ("Two (or more) of the following. At least one of these must be (1), (2), or (3):", 5, Count(2, (1, 2, 3))),
        ("At least one of the symptoms is either (1) dread of wicks or (2) dread of oil; 3 or more of the following", 4, Count(3, (1, 2))),
        ("as shown by at least two of the following, within a 12-month period:", 11, Count(2)),
        ("a minimum of 4 symptoms from the list", 6, Count(4)),
        ("at least 3 of:", 6, Count(3)),
        ("One (or both) of the following:", 2, Count(1)),
        ("Either of the following:", 2, Count(1)),
        ("Either (1) or (2):", 2, Count(1)),
        ("as characterised by (1) and/or (2):", 2, Count(1)),
        ("Both of the following:", 2, Count(2)),
        ("All of the following:", 4, Count(4)),
        ("Any of the following:", 4, Count(1)),
        ("three (or more) of the following six signs. Note: Only one item is required in children.", 6, Count(3, (), (18, 1))),
        ("Three of the following; in children under 7, at least two", 6, Count(3, (), (7, 2))),
        ("Three of the following. Only one symptom is required in children 6 years and younger.", 6, Count(3, (), (7, 1))),
        (
            "Six (or more) of the following for at least 6 months. For adolescents aged 17 and older, at least five.",
            9,
            Count(5, (), (17, 6)),
        ),
        ("Fear of the following:", 3, None),
        ("It lasts at least 3 months, such as:", 3, None),
    ],
)
def test_counts(text: str, listed: int, found: Count | None) -> None:
    assert count(text, listed) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("lasts at least 6 months", Duration(180)),
        ("for more than 1 month", Duration(31)),
        ("lasting 3 days to 1 month", Duration(3, 30)),
        ("between 2 and 6 weeks", Duration(14, 42)),
        ("during the same 2-week period", Duration(14)),
        ("for at least four consecutive days", Duration(4)),
        ("1 month (or more) of worry", Duration(30)),
        ("typically lasting for 6 months or more", Duration(180)),
        ("at least once a week for 3 months", Duration(90)),
        ("at least 1 month but less than 6 months", Duration(30, 179)),
        ("for at least 2 years (at least 1 year in children and adolescents)", Duration(730, None, (18, 365))),
        ("for at least 2 years. In children and adolescents it lasts at least 1 year.", Duration(730, None, (18, 365))),
        ("at least 4 weeks in children under 12 and 6 months or more otherwise", Duration(180, None, (12, 28))),
        ("has never been without it for more than 2 months at a time", Duration()),
        ("within 3 months of the onset", Duration()),
        ("two of the following within a 12-month period", Duration()),
        ("at least 18 years of age", Duration()),
        ("before age 12 years", Duration()),
        ("every 2 weeks", Duration()),
        ("five or more", Duration()),
    ],
)
def test_durations(text: str, found: Duration) -> None:
    assert duration(text) == found


@pytest.mark.parametrize(
    ("text", "onset", "youngest"),
    [
        ("Several signs were there before age 12 years.", 12, None),
        ("The onset is before 18 years of age.", 18, None),
        ("The person is at least 18 years old.", None, 18),
        ("The person is at least age 16.", None, 16),
        ("Chronological age is at least 5 years.", None, 5),
        ("Given at age 6 years or older.", None, 6),
        ("It began before 3 weeks had passed.", None, None),
        ("It lasts at least 2 years.", None, None),
    ],
)
def test_ages(text: str, onset: int | None, youngest: int | None) -> None:
    assert (onset_age(text), youngest_age(text)) == (onset, youngest)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("The humming is not better explained by another mental disorder.", "exclusion"),
        ("There has never been a manic episode.", "exclusion"),
        ("It does not occur exclusively during delirium.", "exclusion"),
        ("The humming causes clinically significant distress or impairment at work.", "impairment"),
        ("The signs interfere with school and family life.", "impairment"),
        ("The humming is persistent, lasting for 6 months or more.", "duration"),
        ("Duration of the humming is more than 1 month.", "duration"),
        ("Some signs were there before age 7.", "age"),
        ("Exposure to an actual or threatened eclipse.", "exposure"),
        ("The humming happens twice a week.", "course"),
        ("Humming at night, even when no one is not listening.", "symptom"),
        ("Persistent avoidance of wicks.", "symptom"),
        ("Feels left out of every lantern walk.", "symptom"),
    ],
)
def test_kinds(text: str, found: str) -> None:
    assert kind(text) == found


def test_what_an_exclusion_excludes() -> None:
    assert unless("not attributable to the effects of a substance (a drug, a medication) or another medical condition") == (
        "substance",
        "medical_condition",
    )
    assert unless("never been a manic episode or a hypomanic episode") == ("manic_episode", "hypomanic_episode")
    assert unless("never a hypomanic episode") == ("hypomanic_episode",)
    assert unless("never a manic or hypomanic episode") == ("manic_episode", "hypomanic_episode")
    assert unless("not explained by schizophrenia, or by normal grief") == ("other_psychotic_disorder", "expected_grief")
    assert unless("not explained by the weather") == ()


def test_codes_in_headings() -> None:
    assert codes("Diagnostic Criteria 300.02 (F41.1)") == ("F41.1",)
    assert codes("309.81 (F43.10), F43.12") == ("F43.10", "F43.12")
    assert codes("The ABC2 scale, version 1.2") == ()
    assert without_codes("Lantern dread 300.02 (F41.1)") == "Lantern dread"
