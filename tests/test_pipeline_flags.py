"""The pipeline script's own flags, in this process: looking before running writes nothing."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pixel_synth.runs.job import main


def never(run: object, workers: int) -> object:
    raise AssertionError("nothing was to be generated")


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def call(*args: str) -> int:
    try:
        return main("psychology", "doc", never, list(args))  # type: ignore[arg-type]
    except SystemExit as end:
        return int(end.code or 0)


def test_a_dry_run_shows_coverage_exclusions_and_cost_and_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("--dry-run", "-n", "30") == 0
    told = capsys.readouterr().out
    assert "plan: 30 conversations" in told
    assert "never planned:" in told
    assert re.search(r"cost: \d", told)
    assert not list(tmp_path.iterdir())


def test_a_dry_run_counts_the_calls_of_a_panel_and_of_the_anchors(capsys: pytest.CaptureFixture[str]) -> None:
    server = ("--dry-run", "-n", "5", "--base-url", "http://127.0.0.1:9/v1", "--model", "m")
    assert call(*server) == 0
    bare = capsys.readouterr().out
    assert "anchors" not in bare
    assert call(*server, "--judge", "alliance", "--judge-model", "m", "--judge-model", "n", "--judge-samples", "2") == 0
    told = capsys.readouterr().out
    calls = [float(re.search(r"cost: ([\d.]+)", text)[1]) for text in (bare, told)]  # type: ignore[index]
    assert calls[1] - calls[0] == pytest.approx(1 * 2 * 2)
    assert "48 calls for the 12 anchors, once a run; 72 in the run that makes the baseline" in told


def test_a_preview_writes_to_the_screen_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("--preview", "2", "-n", "5") == 0
    told = capsys.readouterr().out
    assert len(re.findall(r"^── ", told, re.MULTILINE)) == 2
    assert "client" in told
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("k", ["0", "-3"])
def test_a_preview_of_nothing_is_a_usage_error_and_starts_no_run(tmp_path: Path, k: str) -> None:
    try:
        assert call("--preview", k, "-n", "2") == 2
    finally:
        assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("-n", "0"), "accept"),
        (("--topic", "panic"), "panic_disorder"),
        (("--max-attempts", "0"), "max_attempts"),
        (("--model", "m"), "nothing here can run it"),
        (("--engine", "composer", "--base-url", "http://x"), "composer"),
        (("--engine", "server"), "base_url"),
        (("--engine", "vllm"), "model"),
        (("--base-url", "ftp://x/v1"), "http"),
        (("--base-url", "http://name:secret@127.0.0.1:9/v1"), "PIXEL_API_KEY"),
        (("--workers", "-1"), "workers"),
        (("--judge-model", "a", "--judge-model", "a"), "names a model twice"),
        (("--judge-model", "a", "--judge-base-url", "b=http://h/v1"), "judge_base_url names b"),
        (("--judge", "epitome", "--judge-base-url", "http://127.0.0.1:9/v1"), "no judge is asked for the threshold judge.alliance"),
        (("--judge-samples", "0"), "judge_samples"),
        (("--risk", "extreme"), "extreme"),
        (("-n", "many"), "many"),
        (("--engine", "gpt"), "gpt"),
    ],
)
def test_a_wrong_flag_has_status_2_and_says_which(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, args: tuple[str, ...], said: str
) -> None:
    if "alliance" in said:
        monkeypatch.setenv("PIXEL_THRESHOLDS", '{"judge.alliance": 0.5}')
    assert call(*args) == 2
    assert said in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_resuming_what_is_no_run_has_status_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("--resume", str(tmp_path)) == 1
    assert "run.json" in capsys.readouterr().err


def test_resume_refuses_flags_that_would_change_the_run(tmp_path: Path) -> None:
    said = call("--resume", str(tmp_path), "--seed", "3")
    assert said == 2
