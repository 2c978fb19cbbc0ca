"""A user's own texts to typed entries: fixtures about invented states in several layouts, and an account of every line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from parsed import adds_up

from pixel_synth.knowledge.models import Instrument
from pixel_synth.knowledge.parse import Parsed, parse_file, parse_text
from pixel_synth.knowledge.parse.meaning import CIRCUMSTANCES

TEXTS = Path(__file__).resolve().parent / "texts"
FILES = sorted(TEXTS.iterdir())


def entry(file: str, id: str) -> Parsed:
    return next(p for p in parse_file(TEXTS / file).entries if p.entry["id"] == id)


# ------------------------------------------------------------------------------------------------ criteria


def test_criteria_of_a_manual_become_typed_pieces() -> None:
    found = entry("lanterns.txt", "lantern_dread_disorder")
    assert found.status == "draft"
    assert found.entry["icd10cm"] == "F99.1"
    assert [(c["id"], c["kind"]) for c in found.entry["criteria"]] == [
        *((f"a{n}", "symptom") for n in range(1, 6)),
        ("b", "duration"),
        ("c", "impairment"),
        ("d", "exclusion"),
        ("e", "age"),
    ]
    lead, conditions = found.entry["rules"]
    assert (lead["id"], lead["at_least"], lead["any_of"], lead["child"]) == ("a", 4, ["a1", "a2"], {"under": 18, "at_least": 1})
    assert conditions["of"] == ["b", "c", "d", "e"]
    assert conditions["at_least"] == 4
    assert found.entry["criteria"][7]["unless"] == ["substance", "medical_condition", "manic_episode", "hypomanic_episode"]
    assert (found.entry["min_duration_days"], found.entry["child_duration"]) == (180, {"under": 18, "days": 30})
    assert found.entry["max_onset_age"] == 12
    assert [s["name"] for s in found.entry["specifiers"]] == ["With humming", "With winter glow"]
    assert set(found.entry["severity"]) == {"mild", "moderate", "severe"}


def test_wrapped_and_hyphenated_lines_are_joined_across_page_headers() -> None:
    found = entry("lanterns.txt", "lantern_dread_disorder").entry
    assert found["criteria"][2]["text"] == "Counting wicks, or checking them (self-checking included)."
    assert "2-week period; at least one" in found["rules"][0]["note"]
    assert not any("Handbook" in c["text"] for c in found["criteria"])


def test_what_the_text_does_not_give_is_listed_and_never_filled_in() -> None:
    found = entry("lanterns.txt", "lantern_dread_disorder")
    assert {"summary", "onset", "prevalence", "differentials", "comorbid", "risk_note", "duration_range_days"} <= set(found.missing)
    assert any(key.startswith("formulation") for key in found.missing)
    assert any("beats" in key for key in found.missing)
    assert not set(found.entry) & {"summary", "onset", "prevalence", "formulation", "duration_range_days"}


def test_a_second_entry_of_a_file_has_its_own_ages_and_range() -> None:
    found = entry("lanterns.txt", "wick_grief").entry
    assert found["criteria"][0]["kind"] == "exposure"
    assert (found["min_duration_days"], found["max_duration_days"], found["min_age"]) == (3, 30, 18)


def test_markdown_with_three_levels_and_a_count_by_age() -> None:
    found = entry("clocks.md", "clockwork_restlessness").entry
    rules = {r["id"]: r for r in found["rules"]}
    assert (rules["a"]["of"], rules["a"]["at_least"]) == (["a1", "a2"], 1)
    assert (rules["a1"]["at_least"], rules["a1"]["child"]) == (5, {"under": 17, "at_least": 6})
    assert rules["a2"]["of"] == ["a2a", "a2b"]
    assert found["min_duration_days"] == 180
    assert found["max_onset_age"] == 10
    assert "min_age" not in found
    assert [s["id"] for s in found["specifiers"]] == ["evening_type", "noon_type"]


def test_capitals_round_brackets_and_form_feeds() -> None:
    found = entry("shells.txt", "shell_collecting_disorder").entry
    assert [c["id"] for c in found["criteria"]] == ["a1", "a2", "b", "c"]
    assert found["rules"][0]["at_least"] == 2
    assert found["min_duration_days"] == 31
    assert "icd10cm" in entry("shells.txt", "shell_collecting_disorder").missing


def test_every_circumstance_that_is_recognised_is_in_the_base() -> None:
    path = TEXTS.parent.parent / "knowledge" / "dsm5" / "circumstances.yaml"
    known = {e["id"] for e in yaml.safe_load(path.read_text(encoding="utf-8"))["entries"]}
    assert {id for id, _ in CIRCUMSTANCES} <= known


# ------------------------------------------------------------------------------------------------ personality and inventories


def test_labelled_passages_become_a_syndrome_and_capacities() -> None:
    weather = entry("weather.txt", "barometric_personality")
    assert weather.kind == "syndrome"
    assert weather.entry["defenses"] == ["forecasting", "denial_of_drizzle"]
    assert weather.entry["belief_others"] == "They carry umbrellas so as not to need me"
    assert {"countertransference", "talk", "help", "cues", "beats"} == set(weather.missing)
    fog = entry("weather.txt", "capacity_for_fog")
    assert (fog.entry["number"], fog.entry["domain"]) == (4, "self_awareness")
    assert fog.entry["impaired"] == ["Runs", "shouts at it"]


def test_a_bad_section_fails_alone_and_is_named() -> None:
    document = parse_file(TEXTS / "weather.txt")
    assert [p.status for p in document.entries] == ["draft", "failed", "draft"]
    (fault,) = document.entries[1].faults
    assert fault.line == 15
    assert "number" in fault.message
    assert fault.remedy


def test_an_inventory_that_says_everything_is_complete() -> None:
    found = entry("bells.md", "bell_fear_inventory")
    assert found.status == "complete"
    model = found.model()
    assert isinstance(model, Instrument)
    assert model.abbr == "BFI"
    assert model.period == "the past two weeks"
    assert [o.points for o in model.options] == [0, 1, 2, 3]
    assert [i.id for i in model.items if i.reverse] == ["i2", "i4"]
    assert model.items[4].asks.endswith("begin again from the first stroke.")
    assert [(s.name, s.method, len(s.items)) for s in model.scales] == [("Waiting", "sum", 3), ("Ease", "sum", 2), ("Whole", "sum", 6)]
    assert [(b.low, b.high, b.label) for b in model.bands] == [
        (0, 4, "minimal"),
        (5, 9, "mild"),
        (10, 14, "moderate"),
        (15, 18, "severe"),
    ]
    assert "own licensed copy" in model.rights.text


def test_plus_and_minus_keys_means_and_open_ranges() -> None:
    model = entry("kites.txt", "kite_temperament_scale").model()
    assert isinstance(model, Instrument)
    assert [i.reverse for i in model.items] == [False, True, False, True]
    assert {s.method for s in model.scales} == {"mean"}
    assert [(b.scale, b.low, b.high) for b in model.bands] == [("lift", 2.5, 3), ("pull", 1, 1.5)]


def test_a_table_of_items_with_answers_in_brackets() -> None:
    model = entry("tables.md", "tabled_fear_questionnaire").model()
    assert isinstance(model, Instrument)
    assert [(i.asks, i.reverse) for i in model.items] == [
        ("I avoid tables.", False),
        ("I sit on floors.", False),
        ("I love a table.", True),
    ]
    assert [(o.points, o.label) for o in model.options] == [(0, "Never"), (1, "Sometimes"), (2, "Often")]
    assert [(b.low, b.high, b.label) for b in model.bands] == [(0, 1, "Low"), (2, 3, "Moderate"), (4, 6, "High")]
    assert (model.kind, model.period) == ("screen", "the past month")


def test_labels_in_any_order_and_a_list_of_reversed_items() -> None:
    model = entry("chairs.txt", "chair_comfort_list").model()
    assert isinstance(model, Instrument)
    assert [i.reverse for i in model.items] == [False, True, True]
    assert [o.label for o in model.options] == ["never", "sometimes", "often"]
    assert [(s.id, s.method, s.items) for s in model.scales] == [("total", "mean", ())]


def test_an_inventory_without_answers_is_a_draft() -> None:
    text = (TEXTS / "bells.md").read_text(encoding="utf-8")
    (found,) = parse_text(re.sub(r"\*\*Answer scale.*", "", text).replace("15 or more", "15-18"), kind="instrument").entries
    assert found.status == "draft"
    assert found.missing == ("options",)


def test_an_inventory_without_a_method_stays_a_draft() -> None:
    text = (TEXTS / "bells.md").read_text(encoding="utf-8").replace("**Scoring:** Scores are the sum of the items.\n", "")
    (found,) = parse_text(text.split("**Cut-offs**")[0] + "**Limits:** None known.\n").entries
    assert found.status == "draft"
    assert any("does not say sum or mean" in key for key in found.missing)
    assert "method" not in found.entry["scales"][0]


# ------------------------------------------------------------------------------------------------ the account


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.name)
def test_every_line_is_accounted_for_once(path: Path) -> None:
    assert adds_up(parse_file(path))


def test_lines_that_were_not_understood_are_listed_with_number_and_reason() -> None:
    unread = {u.line: u for u in parse_file(TEXTS / "weather.txt").unread}
    assert unread[13].text.startswith("Favourite instrument")
    assert "no field" in unread[13].why
    assert [u.line for u in parse_file(TEXTS / "lanterns.txt").unread] == [39, 40]


def test_a_numbered_list_in_prose_after_the_criteria_is_no_criterion() -> None:
    text = (TEXTS / "lanterns.txt").read_text(encoding="utf-8")
    plain = parse_text(text)
    more = parse_text(
        text.replace("Lanterns have long", "1. Lanterns have long").replace(
            "Handbook of Imagined Conditions          19", "A. Smith wrote so."
        )
    )
    assert [p.entry for p in more.entries] == [p.entry for p in plain.entries]
    assert {u.line for u in more.unread} > {u.line for u in plain.unread}
