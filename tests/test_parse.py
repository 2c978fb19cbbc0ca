"""A user's own texts to typed entries: fixtures about invented states in several layouts, an account of every line, named faults."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
import yaml

from pixel_synth.cli import main
from pixel_synth.errors import KnowledgeError
from pixel_synth.knowledge import read_pack
from pixel_synth.knowledge.models import Instrument
from pixel_synth.knowledge.parse import Document, Parsed, parse_file, parse_text, write_packs
from pixel_synth.knowledge.parse.meaning import CIRCUMSTANCES
from pixel_synth.knowledge.parse.source import MAX_BYTES

TEXTS = Path(__file__).resolve().parent / "texts"
FILES = sorted(TEXTS.iterdir())
CITE = "Nobody, N. (2020). A book of invented states. No Press."


def entry(file: str, id: str) -> Parsed:
    return next(p for p in parse_file(TEXTS / file).entries if p.entry["id"] == id)


def adds_up(document: Document) -> bool:
    told = set(document.read) | {u.line for u in document.unread}
    return (
        document.lines == document.blank + len(document.furniture) + len(document.read) + len(document.unread)
        and len(told) == len(document.read) + len(document.unread)
        and all(1 <= line <= document.lines for line in told)
    )


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


# ------------------------------------------------------------------------------------------------ faults

GOOD = """\
## Lantern dread

A. Two (or more) of the following:
1. Dreads wicks.
2. Dreads oil.
3. Dreads glass.
B. It lasts at least 6 months.
"""
QUIZ = """\
## Bell quiz (BQ)

Answer scale: 0 = no; 1 = yes
1. I like bells.
2. I like towers.
Scales
All: 1, 2
Scoring: sum
Cut-offs
0-1 low
2 or more: high
"""


@pytest.mark.parametrize(
    ("text", "old", "new", "line", "said"),
    [
        (GOOD, "B. It", "C. It", 7, "C after a3"),
        (GOOD, "2. Dreads oil.", "4. Dreads oil.", 5, "4 after a1"),
        (GOOD, "Two (or more)", "Five (or more)", 3, "asks for 5 of 3"),
        (GOOD, "following:", "following; at least one is (7):", 3, "names item 7"),
        (GOOD, "B. It lasts at least 6 months.", "B.", 7, "has no text"),
        (GOOD, "B. It lasts at least 6 months.", "B. It lasts " + "very " * 200 + "long.", 7, "at most 900"),
        (QUIZ, "2. I like towers.", "3. I like towers.", 5, "item 3 after 1"),
        (QUIZ, "All: 1, 2", "All: 1, 5", 7, "names item 5"),
        (QUIZ, "All: 1, 2", "All: 1 and the rest", 7, "no scale in"),
        (QUIZ, "0-1 low", "1-0 low", 10, "goes from 1 to 0"),
        (QUIZ, "0-1 low", "0-2 low", 11, "overlaps"),
        (QUIZ, "2 or more: high", "2-9 high", 11, "highest score"),
        (QUIZ, "0-1 low", "Towers: 0-1 low", 10, "no scale (scales: All)"),
        (QUIZ, "0-1 low", "low", 10, "no range"),
        (QUIZ, "1 = yes", "0 = yes", 3, "same points"),
        (QUIZ, "Scales\n", "Reverse-scored: 9\nScales\n", 6, "reversed item 9"),
    ],
)
def test_a_fault_names_its_line_and_the_next_section_is_read(text: str, old: str, new: str, line: int, said: str) -> None:
    assert old in text
    document = parse_text(text.replace(old, new) + "\n" + GOOD.replace("Lantern", "Other"))
    bad, good = document.entries
    assert bad.status == "failed"
    assert any(f.line == line and said in f.message and f.remedy for f in bad.faults), bad.faults
    assert good.status == "draft"
    assert adds_up(document)


def test_criteria_without_a_name_fail_with_a_remedy() -> None:
    (found,) = parse_text("A. Dreads wicks.\nB. Lasts at least 2 weeks.\nSpecify if:\nWith oil: Only oil.\n").entries
    assert found.status == "failed"
    assert "without a name" in found.faults[0].message


def test_a_count_that_the_text_does_not_give_is_missing_not_guessed() -> None:
    (found,) = parse_text(GOOD.replace("Two (or more) of the following:", "Dreads such as:")).entries
    assert [r["id"] for r in found.entry["rules"]] == ["conditions"]
    assert any("line 3 does not say how many" in key for key in found.missing)


def test_a_numbered_list_below_a_sentence_is_criterion_a() -> None:
    (found,) = parse_text(GOOD.replace("A. Two", "Two").split("B. ")[0], kind="disorder").entries
    assert [c["id"] for c in found.entry["criteria"]] == ["a1", "a2", "a3"]
    assert found.entry["rules"][0]["at_least"] == 2


def test_the_same_entry_twice_is_a_fault() -> None:
    first, second = parse_text(GOOD + "\n" + GOOD).entries
    assert first.status == "draft"
    assert "already at line 1" in second.faults[0].message


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("a.txt", b"## X\nA. caf\xe9\n", ":2: byte 0xe9 is not UTF-8"),
        ("a.txt", "## X".encode("utf-16"), "UTF-16"),
        ("a.txt", b"x" * 20_000, ":1: a line of 20000 characters"),
        ("a.txt", b"only prose here\n", "no entry found"),
        ("a.docx", b"PK", "cannot read .docx"),
        ("a.pdf", b"no pdf at all", "not a readable PDF"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, name: str, data: bytes, said: str) -> None:
    if name.endswith(".pdf"):
        pytest.importorskip("pypdf")
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(KnowledgeError) as caught:
        parse_file(path)
    assert said in caught.value.message
    assert str(path) in caught.value.message
    assert caught.value.hint


def test_a_file_beyond_the_limit_is_not_opened(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    with path.open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(KnowledgeError, match="at most"):
        parse_file(path)


# ------------------------------------------------------------------------------------------------ PDF


def test_a_pdf_gives_what_its_text_gives(tmp_path: Path) -> None:
    pytest.importorskip("pypdf")
    fpdf = pytest.importorskip("fpdf")
    pdf = fpdf.FPDF()
    pages = (TEXTS / "shells.txt").read_text(encoding="utf-8").replace("•", "-").split("\f")
    for page in pages:
        pdf.add_page()
        pdf.set_font("Helvetica", size=11)
        for line in page.splitlines():
            pdf.cell(0, 6, line, new_x="LMARGIN", new_y="NEXT")
    path = tmp_path / "shells.pdf"
    pdf.output(str(path))
    document = parse_file(path)
    assert [p.entry for p in document.entries] == [p.entry for p in parse_file(TEXTS / "shells.txt").entries]
    assert adds_up(document)


def test_a_pdf_without_text_says_what_to_do(tmp_path: Path) -> None:
    pytest.importorskip("pypdf")
    fpdf = pytest.importorskip("fpdf")
    pdf = fpdf.FPDF()
    pdf.add_page()
    pdf.output(str(tmp_path / "scan.pdf"))
    with pytest.raises(KnowledgeError, match="without text") as caught:
        parse_file(tmp_path / "scan.pdf")
    assert "OCR" in caught.value.hint


def test_without_the_extra_a_pdf_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pypdf", None)
    (tmp_path / "a.pdf").write_bytes(b"%PDF-1.4")
    with pytest.raises(KnowledgeError) as caught:
        parse_file(tmp_path / "a.pdf")
    assert "pixel-synth[pdf]" in caught.value.hint


# ------------------------------------------------------------------------------------------------ packs and the command


def test_a_complete_entry_is_a_pack_and_a_draft_lists_what_is_missing(tmp_path: Path) -> None:
    (path,) = write_packs(parse_file(TEXTS / "bells.md"), tmp_path, CITE)
    pack = read_pack(path)
    assert pack.sources["own_copy"].cite == CITE
    assert pack.sources["own_copy"].license == "user's own licensed copy; not for redistribution"
    drafts = write_packs(parse_file(TEXTS / "lanterns.txt"), tmp_path, CITE)
    assert [d.name for d in drafts] == ["lantern_dread_disorder.yaml.draft", "wick_grief.yaml.draft"]
    text = drafts[0].read_text(encoding="utf-8")
    assert "#   differentials" in text
    assert yaml.safe_load(text)["entries"][0]["max_onset_age"] == 12


def test_a_pack_that_was_worked_on_is_not_overwritten(tmp_path: Path) -> None:
    document = parse_file(TEXTS / "bells.md")
    (path,) = write_packs(document, tmp_path, CITE)
    write_packs(document, tmp_path, CITE)
    path.write_text("mine", encoding="utf-8")
    with pytest.raises(KnowledgeError, match="already there"):
        write_packs(document, tmp_path, CITE)
    assert path.read_text(encoding="utf-8") == "mine"


def test_the_command_writes_reports_and_fails_for_a_bad_section(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bells = str(TEXTS / "bells.md")
    assert main(["knowledge", "parse", bells, "--out", str(tmp_path), "--source", CITE, "--report"]) == 0
    said = capsys.readouterr()
    assert "bell_fear_inventory.yaml" in said.out
    assert "items.i5" in said.out
    assert "1 entries = 1 complete + 0 draft + 0 failed" in said.err
    assert main(["knowledge", "parse", bells]) == 0
    assert yaml.safe_load(capsys.readouterr().out)["entries"][0]["abbr"] == "BFI"
    assert main(["knowledge", "parse", str(TEXTS / "weather.txt")]) == 1
    said = capsys.readouterr()
    assert "weather.txt:15: Capacity for Puddles: number" in said.err
    assert len(list(yaml.safe_load_all(said.out))) == 2
    assert main(["knowledge", "parse", str(tmp_path / "none.txt")]) == 1
    assert "no such file" in capsys.readouterr().err


def test_a_kind_that_is_given_is_taken_at_its_word(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["knowledge", "parse", str(TEXTS / "bells.md"), "--kind", "syndrome"]) == 1
    assert "no labelled passage" in capsys.readouterr().err


def test_a_text_is_data(tmp_path: Path) -> None:
    name = "../../x: !!python/object/apply:os.system ['true']"
    (found,) = parse_text(GOOD.replace("Lantern dread", name)).entries
    (path,) = write_packs(parse_text(GOOD.replace("Lantern dread", name)), tmp_path / "out", CITE)
    assert path.parent == tmp_path / "out"
    assert yaml.safe_load(path.read_text(encoding="utf-8"))["entries"][0]["name"] == found.name
