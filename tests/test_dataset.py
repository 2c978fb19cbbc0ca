"""pipelines/dataset.py: from inputs of all categories to a split dataset, with books, without leaks, resumed to the same bytes."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from small_dataset import COMPOSED, MAIL, PLANTED, make, stages, write_inputs

from pixel_synth.jsonl import conversations, read
from pixel_synth.plan import Plan
from pixel_synth.prove.audit import verify_run
from pixel_synth.recipe import CATEGORIES
from pixel_synth.records import Blueprint, Conversation
from pixel_synth.runs.assemble.gather import foreign
from pixel_synth.runs.directory import Run

TOTAL = 20


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory, plan: Plan, compose: Callable[[Blueprint], Conversation]) -> list[str]:
    return write_inputs(tmp_path_factory.mktemp("inputs"), plan, compose)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, inputs: list[str]) -> Path:
    out = tmp_path_factory.mktemp("runs")
    assert make(inputs, out, "--total", TOTAL) == 0
    return out / "dataset-001"


def test_every_stage_takes_in_what_the_one_before_kept(made: Path) -> None:
    found = list(stages(made).values())
    assert len(found) == 7
    for before, after in pairwise(found):
        books = after["books"]
        assert books["kept"] + books["rejected"] + books["failed"] == before["books"]["kept"], after["name"]
    assert found[-1]["books"]["kept"] == TOTAL


def test_the_mix_has_the_ratios_to_one_record(made: Path) -> None:
    everything = [c for name in ("train", "validation", "test") for c in conversations(made / "data" / f"{name}.jsonl")]
    counts = {category: sum(c.category == category for c in everything) for category in CATEGORIES}
    assert counts == {"psychology": 6, "voice": 5, "mental_health": 4, "reasoning": 3, "personality": 2}
    assert len({c.id for c in everything}) == TOTAL


def test_what_was_planted_is_found_and_told_where_it_stood(made: Path) -> None:
    files = sorted(made.glob("stages/*/rejects.jsonl"))
    reasons = {path.parent.name: [json.loads(line) for line in path.open()] for path in files}
    broken = [r for r in reasons["01-gather"] if "malformed" in r["reason"]]
    assert [(r["row"], Path(r["file"]).name) for r in broken] == [(sum(COMPOSED.values()) + PLANTED + 1, "records.jsonl")]
    assert [r["id"] for r in reasons["02-screen"] if r["reason"].startswith("language: de")] == ["mental_health-903"]
    assert sorted(r["reason"].split(":")[0] for r in reasons["03-deduplicate"]) == ["duplicate", "duplicate"]


def test_no_personal_data_leaves_the_private_folders(made: Path) -> None:
    holds = {str(p.relative_to(made)) for p in made.rglob("*") if p.is_file() and MAIL.encode() in p.read_bytes()}
    assert holds <= {"private/redactions.jsonl", "stages/01-gather/kept.jsonl"}
    assert "private/redactions.jsonl" in holds
    for name in ("private", "stages"):
        assert stat.S_IMODE((made / name).stat().st_mode) == 0o700
    assert stat.S_IMODE((made / "private" / "redactions.jsonl").stat().st_mode) == 0o600


def test_a_finished_dataset_is_not_made_again(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (made / "manifest.json").read_bytes()
    assert make([], made.parent, "--resume", made) in (0, 2)
    assert capsys.readouterr().out.count("done before") == 8
    assert (made / "manifest.json").read_bytes() == before
    assert not Run.open(made).damaged()


def test_what_stands_beside_the_data_tells_the_same(made: Path) -> None:
    manifest = json.loads((made / "manifest.json").read_text())
    assert {"README.md", "report.md", "validation.json", "mix.json", "splits.json"} <= manifest["files"].keys()
    assert "audit_head" in manifest
    assert not verify_run(made).faults
    validation = json.loads((made / "validation.json").read_text())
    assert not [rule for rule in validation["rules"] if rule["passed"] is False]
    assert f"{TOTAL} records" in (made / "README.md").read_text()
    assert "The slowest stage is" in (made / "performance.md").read_text()


def test_a_category_that_is_short_is_told_and_not_filled(tmp_path: Path, inputs: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert make(inputs, tmp_path, "--total", 30) == 3
    mix = {q["category"]: q for q in json.loads((tmp_path / "dataset-001" / "mix.json").read_text())["categories"]}
    assert (mix["personality"]["wanted"], mix["personality"]["chosen"], mix["personality"]["shortfall"]) == (3, 2, 1)
    assert "1 missing" in capsys.readouterr().out


def test_a_licence_that_forbids_the_use_refuses_the_run_by_name(
    tmp_path: Path, inputs: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    table = inputs[1].split("=", 1)[1]
    assert make([inputs[0], f"mental_health:CC-BY-NC-4.0={table}"], tmp_path, "--profile", "commercial") == 1
    told = capsys.readouterr().err
    assert "commercial forbids" in told
    assert "answers.csv" in told


def test_wrong_flags_are_told_before_anything_is_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert make([], tmp_path) == 2
    assert make([str(tmp_path)], tmp_path, "--want", "modality:cbt") == 2
    assert make([str(tmp_path)], tmp_path, "--total", 0) == 2
    assert not list(tmp_path.iterdir())
    assert "nothing goes in" in capsys.readouterr().err


@pytest.mark.parametrize("flags", [("--input", "mental_health:MIT=talks.csv"), ("--input", ".", "--evaluation", "talks.csv")])
def test_a_file_that_is_not_there_is_told_before_anything_is_made(
    flags: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert make([], tmp_path / "runs", *flags) == 2
    assert "not there: talks.csv" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_only_run_directories_can_say_that_a_record_was_generated_here(inputs: list[str]) -> None:
    record = next(iter(conversations_of(inputs)))
    claims = record.model_copy(update={"provenance": record.provenance.model_copy(update={"source": "generated", "license": ""})})
    told = foreign(claims, "some/talks.jsonl", {"runs/psychology-001"}).provenance
    assert (told.source, told.license) == ("talks", "unknown")
    assert foreign(claims, "runs/psychology-001", {"runs/psychology-001"}).provenance.source == "generated"


def conversations_of(inputs: list[str]) -> Iterator[Conversation]:
    return (row.record for row in read(Path(inputs[0])) if row.record)


def test_an_input_that_cannot_be_read_ends_the_run_with_its_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "answers.csv").write_text("question,answer\nWhy am I so tired?,How do you sleep?\n")
    assert make([str(tmp_path / "answers.csv")], tmp_path / "runs") == 1
    assert "nobody says of which category answers is" in capsys.readouterr().err
