"""What goes wrong in a user's text is named with line and remedy; files that cannot be read; PDF; packs and the command."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import yaml
from parsed import adds_up

from pixel_synth.cli import main
from pixel_synth.errors import KnowledgeError
from pixel_synth.knowledge import read_pack
from pixel_synth.knowledge.parse import parse_file, parse_text, write_packs
from pixel_synth.knowledge.parse.source import MAX_BYTES

TEXTS = Path(__file__).resolve().parent / "texts"
CITE = "Nobody, N. (2020). A book of invented states. No Press."


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
