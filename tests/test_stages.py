"""Stages of a dataset run: the same bytes by one or two processes, nothing lost to kill -9, nothing done twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pixel_synth.books import Books, Dropped
from pixel_synth.errors import RunError
from pixel_synth.records import Conversation
from pixel_synth.runs.directory import Run
from pixel_synth.runs.parallel import Task, Work, Worked, each
from pixel_synth.runs.stages import Stages
from pixel_synth.settings import load_settings

N = 12
HERE = Path(__file__).resolve().parent


def worker(log: str, poison: str = "", pause_s: float = 0.0) -> Work:
    """Keep every record but the odd ones, and write down that it was looked at; the poison kills the process."""

    def work(record: Conversation) -> Worked:
        if record.id == poison:
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(pause_s)
        with Path(log).open("a") as file:
            file.write(record.id + "\n")
        odd = int(record.id[1:]) % 2
        return Worked(Dropped("odd: it is") if odd else record, {"seen": [f'{{"id":"{record.id}"}}']})

    return work


@pytest.fixture
def source(tmp_path: Path) -> Path:
    record = {"category": "auxiliary", "messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}],
              "provenance": {"engine": "human", "model": "", "toolkit": "", "seed": 0}}  # fmt: skip
    lines = [Conversation.model_validate({"id": f"r{n}", **record}).line() for n in range(N)]
    path = tmp_path / "in.jsonl"
    path.write_text("\n".join([*lines[:4], "{broken", *lines[4:]]) + "\n")
    return path


def run_task(source: Path, folder: Path, workers: int, **options: Any) -> Books:
    return each(source, folder, Task("t", worker, {"log": str(folder.parent / "log"), **options}, ("seen",)), workers, chunk=3)


def test_one_process_and_two_give_the_same_bytes_and_books_that_add_up(source: Path, tmp_path: Path) -> None:
    books = [run_task(source, tmp_path / f"out{workers}", workers) for workers in (1, 2)]
    assert books[0] == books[1]
    assert (books[0].kept, books[0].rejected, books[0].failed, books[0].taken) == (6, 6, 1, N + 1)
    assert books[0].reasons == {"odd": 6, "unreadable": 1}
    for name in ("kept.jsonl", "rejects.jsonl", "seen.jsonl"):
        assert (tmp_path / "out1" / name).read_bytes() == (tmp_path / "out2" / name).read_bytes()
    assert '"row":5' in (tmp_path / "out1" / "rejects.jsonl").read_text()
    assert not (tmp_path / "out1" / ".chunks").exists()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_killed_stage_goes_on_at_its_chunk(source: Path, tmp_path: Path, workers: int) -> None:
    whole, folder = tmp_path / "whole", tmp_path / "again" / "out"
    run_task(source, whole, 1)
    folder.parent.mkdir()
    code = (
        f"import sys; sys.path.insert(0, {str(HERE)!r}); from pathlib import Path; import test_stages as t\n"
        f"if __name__ == '__main__': t.run_task(Path({str(source)!r}), Path({str(folder)!r}), {workers}, pause_s=0.1)\n"
    )
    script = tmp_path / "script.py"
    script.write_text(code)
    process = subprocess.Popen([sys.executable, str(script)])
    while not list(folder.glob(".chunks/*/books.json")) and process.poll() is None:
        time.sleep(0.02)
    process.kill()
    process.wait()
    before = len(list(folder.glob(".chunks/*/books.json")))
    assert 1 <= before < 5
    time.sleep(0.3)  # its processes have ended with it: none writes on
    looked = (folder.parent / "log").read_text()
    time.sleep(0.3)
    assert (folder.parent / "log").read_text() == looked
    (folder.parent / "log").unlink()
    run_task(source, folder, workers)
    assert len((folder.parent / "log").read_text().split()) <= N - 2  # a finished chunk of three, or two beside the broken line
    for name in ("kept.jsonl", "rejects.jsonl", "seen.jsonl"):
        assert (folder / name).read_bytes() == (whole / name).read_bytes()


def test_a_kill_while_chunks_are_removed_loses_none(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(folder: Path, **_: Any) -> None:
        if folder.is_dir():
            next(folder.glob("*/kept.jsonl")).unlink()
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("pixel_synth.runs.parallel.shutil.rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            run_task(source, tmp_path / "out", 1)
    assert run_task(source, tmp_path / "out", 1).taken == N + 1
    assert [p.name for p in (tmp_path / "out").iterdir() if p.name.startswith(".")] == []


def test_a_process_that_dies_ends_the_stage_with_an_error_and_keeps_what_was_done(source: Path, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="died"):
        run_task(source, tmp_path / "out", 2, poison="r11")
    assert list((tmp_path / "out").glob(".chunks/*/books.json"))
    assert run_task(source, tmp_path / "out", 2).taken == N + 1


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run.create(load_settings(out=tmp_path / "runs"), "dataset")


def stages_of(run: Run) -> tuple[Stages, list[str]]:
    said: list[str] = []
    return Stages(run, said.append), said


def writes(name: str, text: str, made: list[str]) -> Callable[[Path], tuple[Books, dict[str, Any]]]:
    def work(folder: Path) -> tuple[Books, dict[str, Any]]:
        made.append(name)
        (folder / "kept.jsonl").write_text(text)
        return Books(kept=1), {"text": text}

    return work


def test_a_finished_stage_is_skipped_and_a_change_makes_all_that_rests_on_it_anew(run: Run) -> None:
    made: list[str] = []

    def go(first: str, second: int) -> None:
        stages, _ = stages_of(run)
        stages.run("01-a", {}, writes("a", "same", made)) if first == "" else stages.run("01-a", {"x": first}, writes("a", first, made))
        stages.run("02-b", {"n": second}, writes("b", f"{second}", made))

    go("", 1)
    go("", 1)
    assert made == ["a", "b"]
    go("", 2)
    assert made == ["a", "b", "b"]
    go("new", 2)
    assert made == ["a", "b", "b", "a", "b"]


def test_a_stage_whose_file_is_gone_is_made_again(run: Run) -> None:
    made: list[str] = []
    for _ in range(2):
        stages, said = stages_of(run)
        stage = stages.run("01-a", {}, writes("a", "x", made))
        assert stage.books.taken == 1
        assert stage.outputs.keys() == {"kept.jsonl"}
        (run.path / "stages" / "01-a" / "kept.jsonl").unlink()
    assert made == ["a", "a"]
    assert "1 taken in = 1 kept" in said[-1]


def test_a_stage_whose_file_was_changed_is_made_again_and_says_so(run: Run) -> None:
    made: list[str] = []
    stages_of(run)[0].run("01-a", {}, writes("a", "x", made))
    (run.path / "stages" / "01-a" / "kept.jsonl").write_text("y")
    stages, said = stages_of(run)
    stages.run("01-a", {}, writes("a", "x", made))
    assert made == ["a", "a"]
    assert "kept.jsonl" in said[0]
    assert (run.path / "stages" / "01-a" / "kept.jsonl").read_text() == "x"


def test_a_stage_that_raised_is_not_done(run: Run) -> None:
    def breaks(folder: Path) -> tuple[Books, dict[str, Any]]:
        (folder / "kept.jsonl").write_text("half")
        raise RunError("no")

    made: list[str] = []
    with pytest.raises(RunError):
        stages_of(run)[0].run("01-a", {}, breaks)
    stages_of(run)[0].run("01-a", {}, writes("a", "x", made))
    assert made == ["a"]


def test_books_refuse_reasons_that_do_not_add_up() -> None:
    with pytest.raises(ValueError, match="reasons"):
        Books(kept=1, rejected=2, reasons={"short": 1})
    both = Books(kept=1, rejected=1, reasons={"a": 1}) + Books(failed=2, reasons={"a": 1, "b": 1})
    assert (both.taken, both.reasons) == (4, {"a": 2, "b": 1})
