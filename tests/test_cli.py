"""The commands on a real run: what they print, their exit status, and errors without a traceback."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from pixel_synth.cli import main
from pixel_synth.judges.rubric import rubrics
from pixel_synth.knowledge import Knowledge
from pixel_synth.records import Conversation, Verdict


class Said(NamedTuple):
    status: int
    out: str
    err: str


Cli = Callable[..., Said]


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cli]:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")

    def call(*args: object) -> Said:
        capsys.readouterr()
        try:
            status = main([str(a) for a in args])
        except SystemExit as end:
            status = int(end.code or 0)
        return Said(status, *capsys.readouterr())

    return call


def records(path: Path) -> list[Conversation]:
    return [Conversation.model_validate_json(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_knowledge_list_names_every_entry(cli: Cli, knowledge: Knowledge) -> None:
    said = cli("knowledge", "list")
    assert said.status == 0
    assert sum(line.startswith("  ") for line in said.out.splitlines()) == sum(len(p.entries) for p in knowledge.packs)
    assert cli("knowledge", "list", "modality").out.startswith("modality (")
    assert "secure" in cli("knowledge", "list", "pdm2").out
    wrong = cli("knowledge", "list", "wizards")
    assert wrong.status == 2
    assert "disorder" in wrong.err


def test_knowledge_show_prints_the_entry_with_its_sources(cli: Cli) -> None:
    import yaml

    said = cli("knowledge", "show", "panic_disorder")
    assert said.status == 0
    assert "# source" in said.out
    assert yaml.safe_load(said.out)["id"] == "panic_disorder"
    wrong = cli("knowledge", "show", "panic_disordr")
    assert wrong.status == 1
    assert "panic_disorder" in wrong.err


def test_knowledge_check_counts_and_fails_on_findings(cli: Cli, knowledge: Knowledge) -> None:
    said = cli("knowledge", "check")
    assert f"{len(knowledge.packs)} packs" in said.out
    assert said.status == (0 if said.out.rstrip().endswith(" 0 findings") else 1)
    assert len(said.err.splitlines()) == int(said.out.split()[-2])


def test_knowledge_check_names_the_place_of_a_broken_pack(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "packs").mkdir()
    (tmp_path / "packs" / "bad.yaml").write_text("kind: person\nsources: {}\nentries:\n- id: x\n")
    monkeypatch.setenv("PIXEL_KNOWLEDGE_DIR", str(tmp_path / "packs"))
    from pixel_synth.knowledge import load

    load.cache_clear()
    said = cli("knowledge", "check")
    monkeypatch.undo()
    load.cache_clear()
    assert said.status == 1
    assert "bad.yaml:4: entries.0.name" in said.err


def test_config_shows_and_checks(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    assert json.loads(cli("config", "show").out)["thresholds"]["coherence"] == 0.9
    assert cli("config", "check").status == 0
    Path("pixel.toml").write_text("accept = 0\n")
    said = cli("config", "check")
    assert said.status == 2
    assert "accept" in said.err


@pytest.mark.parametrize("record", ["Conversation", "Blueprint", "Attempt", "Outcome"])
def test_schema_prints_a_closed_json_schema(cli: Cli, record: str) -> None:
    schema = json.loads(cli("schema", record).out)
    assert schema["title"] == record
    assert schema["additionalProperties"] is False


def test_prompts_lists_every_prompt_and_every_rubric(cli: Cli) -> None:
    listed = [line.split()[0] for line in cli("prompts").out.splitlines()]
    assert listed[:6] == ["client", "judge", "judge_pair", "reasoning", "scenario", "therapist"]
    assert listed[6:] == [f"judges/{rubric.name}" for rubric in rubrics()]


def test_show_prints_a_conversation_by_the_beginning_of_its_id(cli: Cli, finished_run: Path) -> None:
    first = records(finished_run / "data" / "conversations.jsonl")[0]
    said = cli("show", finished_run, first.id[:8])
    assert said.status == 0
    assert first.id in said.out
    assert "coherence" in said.out
    assert Conversation.model_validate_json(cli("show", finished_run, first.id, "--json").out) == first
    assert cli("show", finished_run).status == 0
    assert cli("show", finished_run, "zzzz").status == 1


def test_show_rejected_gives_reasons(cli: Cli, finished_run: Path) -> None:
    rejected = records(finished_run / "data" / "rejected.jsonl")
    said = cli("show", finished_run, "--rejected")
    assert said.status == (0 if rejected else 1)
    assert ("rejected: " in said.out) is bool(rejected)


@pytest.mark.parametrize("k", ["0", "-1", "999", "x"])
def test_show_takes_any_number_without_a_traceback(cli: Cli, finished_run: Path, k: str) -> None:
    said = cli("show", finished_run, "-k", k)
    assert said.status == (0 if k == "999" else 2)


def test_report_prints_every_format_with_the_same_books(cli: Cli, finished_run: Path) -> None:
    books = json.loads(cli("report", finished_run, "--format", "json").out)["books"]
    line = f"planned {books['planned']} = accepted {books['accepted']} + rejected {books['rejected']} + failed {books['failed']}"
    for format in ("txt", "md", "html"):
        assert line in cli("report", finished_run, "--format", format).out
    assert cli("report", finished_run, "--format", "md").out == (finished_run / "report.md").read_text(encoding="utf-8")
    assert cli("report", finished_run, "--format", "html").out == (finished_run / "report.html").read_text(encoding="utf-8")
    assert next(csv.DictReader(io.StringIO(cli("report", finished_run, "--format", "csv").out)))["metric"] == "overall"
    assert cli("report", finished_run, "--format", "pdf").status == 2


def test_check_finds_damage_in_a_run(cli: Cli, finished_run: Path, tmp_path: Path) -> None:
    assert cli("check", finished_run).status == 0
    copy = tmp_path / "copy"
    shutil.copytree(finished_run, copy)
    with (copy / "data" / "conversations.jsonl").open("a") as file:
        file.write("x")
    said = cli("check", copy)
    assert said.status == 1
    assert "conversations.jsonl" in said.err


def test_check_tells_every_bad_line_of_a_file(cli: Cli, finished_run: Path, tmp_path: Path) -> None:
    path = finished_run / "data" / "conversations.jsonl"
    n = len(records(path))
    assert cli("check", path) == Said(0, f"{n} lines = {n} good + 0 bad\n", "")
    bad = tmp_path / "bad.jsonl"
    bad.write_text(path.read_text(encoding="utf-8") + "{}\n", encoding="utf-8")
    said = cli("check", bad)
    assert said.status == 1
    assert f"bad.jsonl:{n + 1}: " in said.err


def test_score_gives_the_scores_the_run_gave(cli: Cli, finished_run: Path, tmp_path: Path) -> None:
    path, out = finished_run / "data" / "conversations.jsonl", tmp_path / "scored.jsonl"
    said = cli("score", path, "-o", out)
    assert said.status == 0
    assert records(out) == records(path)
    one = cli("score", path, "--metric", "coherence")
    score = records(path)[0].score("coherence")
    assert score is not None
    assert f"coherence {score.value:.3f}" in one.out
    for part in score.parts:
        assert part.name in one.out
    wrong = cli("score", path, "--metric", "beauty")
    assert wrong.status == 2
    assert "coherence" in wrong.err


def test_score_onto_its_own_input_loses_nothing(cli: Cli, finished_run: Path, tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    shutil.copy(finished_run / "data" / "conversations.jsonl", path)
    before = records(path)
    cli("score", path, "-o", path)
    assert records(path) == before


def test_filter_keeps_what_the_run_accepted_and_drops_what_it_rejected(cli: Cli, finished_run: Path, tmp_path: Path) -> None:
    data, mixed = finished_run / "data", tmp_path / "mixed.jsonl"
    mixed.write_text((data / "conversations.jsonl").read_text() + (data / "rejected.jsonl").read_text() + "{}\n")
    said = cli("filter", mixed, "-o", tmp_path / "out", "--allow-uncalibrated")
    assert said.status == 0
    kept, dropped = (records(tmp_path / "out" / f"{n}.jsonl") for n in ("kept", "dropped"))
    assert kept == records(data / "conversations.jsonl")
    assert dropped == records(data / "rejected.jsonl")
    assert all(c.verdict and not c.verdict.accepted and c.verdict.reasons for c in dropped)
    rejects = [json.loads(line) for line in (tmp_path / "out" / "rejects.jsonl").read_text().splitlines()]
    assert [r["line"] for r in rejects] == [len(kept) + len(dropped) + 1]
    assert f"{len(kept) + len(dropped) + 1} lines" in said.out


def test_filter_onto_its_own_input_loses_nothing(cli: Cli, finished_run: Path, tmp_path: Path) -> None:
    path = tmp_path / "kept.jsonl"
    shutil.copy(finished_run / "data" / "conversations.jsonl", path)
    before = records(path)
    cli("filter", path, "-o", tmp_path, "--allow-uncalibrated")
    assert records(path) == before


def test_filter_drops_what_breaks_a_promise(cli: Cli, conversation: Conversation, tmp_path: Path) -> None:
    cut = conversation.model_copy(update={"messages": conversation.messages[:2], "turns": (), "verdict": Verdict(accepted=True)})
    path = tmp_path / "cut.jsonl"
    path.write_text(cut.line() + "\n", encoding="utf-8")
    cli("filter", path, "-o", tmp_path / "out")
    (dropped,) = records(tmp_path / "out" / "dropped.jsonl")
    assert dropped.verdict is not None
    assert any(r.startswith("fact missing") for r in dropped.verdict.reasons)


@pytest.mark.parametrize(
    "args",
    [
        ("show", "RUN"),
        ("report", "RUN"),
        ("check", "RUN"),
        ("check", "no.jsonl"),
        ("score", "no.jsonl"),
        ("filter", "no.jsonl", "-o", "out"),
    ],
)
def test_what_is_not_there_is_an_error_with_status_1(cli: Cli, tmp_path: Path, args: tuple[str, ...]) -> None:
    said = cli(*(str(tmp_path) if a == "RUN" else a for a in args))
    assert said.status == 1
    assert said.err.startswith("error: ")


@pytest.mark.parametrize("name", ["run.json", "manifest.json"])
def test_a_damaged_file_of_the_run_itself_is_an_error_and_no_traceback(cli: Cli, tmp_path: Path, finished_run: Path, name: str) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(finished_run, copy)
    (copy / name).write_text("{")
    if name == "run.json":
        from pixel_synth.errors import PixelError
        from pixel_synth.runs.directory import Run

        with pytest.raises(PixelError, match=r"run\.json"):
            _ = Run.open(copy).settings
    else:
        assert cli("check", copy).status == 1


def test_an_output_that_cannot_be_written_is_an_error_and_no_traceback(cli: Cli, finished_run: Path, tmp_path: Path) -> None:
    path = finished_run / "data" / "conversations.jsonl"
    said = cli("score", path, "-o", tmp_path / "no" / "such" / "out.jsonl")
    assert said.status in (0, 1)
    assert said.status == 0 or "out.jsonl" in said.err


def test_no_command_and_unknown_commands_are_usage_errors(cli: Cli) -> None:
    assert cli().status == 2
    assert cli("generate").status == 2
    assert cli("--version").out.startswith("pixel-synth ")
