"""A run directory: one owner, damage found, torn lines ignored, and resumed to the same bytes."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pixel_synth.errors import RunError
from pixel_synth.jsonl import conversations
from pixel_synth.plan import make_plan
from pixel_synth.records import Blueprint, Outcome
from pixel_synth.runs.directory import Run, content_hash, sha256_of, write_atomic
from pixel_synth.runs.supervise import Tail
from pixel_synth.settings import Settings, load_settings

RESULTS = (
    "plan.jsonl",
    "replans.jsonl",
    "report.md",
    "report.json",
    "report.html",
    "README.md",
    "data/conversations.jsonl",
    "data/rejected.jsonl",
    "data/failed.jsonl",
    "data/conversations.parquet",
    "figures/coverage.svg",
    "figures/scores.svg",
    "manifest.json",
)


def small(tmp_path: Path, **flags: object) -> Run:
    return Run.create(load_settings(accept=3, out=tmp_path, **flags), "test")


def test_runs_are_numbered_and_keep_their_settings(tmp_path: Path) -> None:
    one, two = small(tmp_path, seed=9), small(tmp_path)
    assert (one.path.name, two.path.name) == ("test-001", "test-002")
    assert (one.settings.seed, one.settings.accept) == (9, 3)
    assert one.info["fingerprint"] == one.settings.fingerprint()
    shutil.rmtree(one.path)
    assert small(tmp_path).path.name == "test-003"


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"run\.json"):
        Run.open(tmp_path)


def test_a_write_leaves_the_old_or_the_new_file(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file.txt"
    write_atomic(path, "old")
    write_atomic(path, b"new")
    assert path.read_text() == "new"
    assert [p.name for p in path.parent.iterdir()] == ["file.txt"]


HOLD = """
import sys, pathlib
from pixel_synth.runs.directory import Run
run = Run.open(pathlib.Path(sys.argv[1]))
run.lock()
print("held", flush=True)
sys.stdin.readline()
"""


def test_a_locked_run_refuses_a_second_process_until_the_first_is_gone(tmp_path: Path) -> None:
    run = small(tmp_path)
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(run.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(RunError, match="in use"):
            run.lock()
    finally:
        holder.kill()
        holder.wait()
    run.lock()
    run.unlock()


def outcome(settings: Settings, slot: int) -> Outcome:
    from pixel_synth.knowledge import load
    from pixel_synth.records import Attempt

    bp = make_plan(settings, load()).blueprint(slot)
    return Outcome(slot=slot, accepted=slot % 2 == 0, attempts=(Attempt(status="failed", blueprint=bp, reason=f"é {slot}"),))


def test_torn_last_lines_are_ignored_and_the_first_whole_one_counts(tmp_path: Path) -> None:
    run = small(tmp_path)
    rows = [outcome(run.settings, slot) for slot in range(3)]
    lines = [(row.line() + "\n").encode() for row in rows]
    with run.new_shard() as shard:
        shard.write(lines[2] + lines[0] + lines[1][:-20])
    assert sorted(run.positions()) == [0, 2]
    with run.new_shard() as shard:
        shard.write(lines[1] + lines[0].replace(b'"accepted":true', b'"accepted":false', 1))
    assert {slot: at.accepted for slot, at in run.positions().items()} == {0: True, 1: False, 2: True}
    assert list(run.outcomes()) == rows
    assert Tail(run).read() == (4, 2)


def test_a_tail_counts_growing_files_once(tmp_path: Path) -> None:
    run = small(tmp_path)
    tail, line = Tail(run), (outcome(run.settings, 0).line() + "\n").encode()
    assert tail.read() == (0, 0)
    with run.new_shard() as shard:
        shard.write(line[:50])
        assert tail.read() == (0, 0)
        shard.write(line[50:])
        assert tail.read() == (1, 1)
        shard.write(line + line[:10])
        assert tail.read() == (2, 2)


def test_shards_never_share_a_file(tmp_path: Path) -> None:
    run = small(tmp_path)
    files = [run.new_shard() for _ in range(4)]
    assert len({f.name for f in files}) == 4
    for file in files:
        file.close()


def test_a_plan_that_would_be_another_one_is_refused(tmp_path: Path, knowledge: object) -> None:
    run = small(tmp_path)
    run.write_plan(make_plan(run.settings, knowledge))  # type: ignore[arg-type]
    before = (run.path / "plan.jsonl").read_bytes()
    run.write_plan(make_plan(run.settings, knowledge))  # type: ignore[arg-type]
    with pytest.raises(RunError, match="changed since this run began"):
        run.write_plan(make_plan(run.settings.model_copy(update={"seed": 99}), knowledge))  # type: ignore[arg-type]
    assert (run.path / "plan.jsonl").read_bytes() == before
    assert not list(run.path.glob(".*.part"))


def test_the_manifest_finds_every_damaged_or_missing_file(tmp_path: Path) -> None:
    run = small(tmp_path)
    with pytest.raises(RunError, match="not ended"):
        run.damaged()
    for name in ("a", "b", "c"):
        (run.path / name).write_text(name)
    run.write_manifest([run.path / n for n in "abc"])
    assert run.damaged() == []
    (run.path / "b").write_text("B")
    (run.path / "c").unlink()
    assert run.damaged() == ["b", "c"]


# ----------------------------------------------------------------------------------------- a real run


def test_a_finished_run_has_its_files_and_its_books_balance(finished_run: Path) -> None:
    run = Run.open(finished_run)
    assert run.damaged() == []
    outcomes = list(run.outcomes())
    assert [o.slot for o in outcomes] == list(range(run.settings.accept))
    files = json.loads((finished_run / "manifest.json").read_text())["files"]
    assert set(RESULTS) - {"manifest.json"} <= set(files)
    books = json.loads((finished_run / "report.json").read_text())["books"]
    n = {name: len((finished_run / "data" / f"{name}.jsonl").read_bytes().splitlines()) for name in ("conversations", "rejected", "failed")}
    assert (books["accepted"], books["rejected"], books["failed"]) == (n["conversations"], n["rejected"], n["failed"])
    assert books["planned"] == sum(n.values()) == sum(len(o.attempts) for o in outcomes)
    assert run.info["status"] == ("done" if n["conversations"] == run.settings.accept else "shortfall")
    plans = [Blueprint.model_validate_json(line) for line in (finished_run / "plan.jsonl").read_text().splitlines()]
    assert plans == [o.attempts[0].blueprint for o in outcomes]


def test_what_a_run_accepts_meets_every_threshold(finished_run: Path) -> None:
    limits = Run.open(finished_run).settings.thresholds
    for conversation in conversations(finished_run / "data" / "conversations.jsonl"):
        for metric, least in limits.items():
            score = conversation.score(metric)
            assert score is not None
            assert score.value is not None
            assert score.value >= least


def test_a_run_writes_the_same_as_the_chain_does_in_this_process(finished_run: Path, plan: object, compose: object) -> None:
    done = next(Run.open(finished_run).outcomes())
    assert done.attempts[0].conversation == compose(plan.blueprint(0))  # type: ignore[operator, attr-defined]


def test_every_call_of_a_run_is_in_its_ledger(finished_run: Path, tmp_path: Path) -> None:
    from pixel_synth.llms.ledger import Ledger

    copy = tmp_path / "ledger.sqlite"
    shutil.copy(finished_run / "ledger.sqlite", copy)
    for outcome_ in Run.open(finished_run).outcomes():
        for attempt in outcome_.attempts:
            assert len(list(Ledger(copy).of(attempt.blueprint.id))) == attempt.blueprint.turns + 2


def test_resuming_a_damaged_run_gives_the_same_bytes(finished_run: Path, resumed_run: Path) -> None:
    assert len(list(Run.open(resumed_run).outcomes())) == Run.open(finished_run).settings.accept
    shards = sorted((resumed_run / "shards").glob("*.jsonl"))
    assert len(shards) > 1, "something was written again"
    assert {n: sha256_of(resumed_run / n) for n in RESULTS} == {n: sha256_of(finished_run / n) for n in RESULTS}
    assert not [p for p in resumed_run.rglob("*") if p.name.endswith(".part") or p.name in (".workers", ".distilabel")]


def test_resuming_a_run_that_is_in_use_or_edited_is_refused(finished_run: Path, tmp_path: Path, script: object) -> None:
    copy = tmp_path / "edited-001"
    copy.mkdir()
    info = json.loads((finished_run / "run.json").read_text())
    (copy / "run.json").write_text(json.dumps({**info, "settings": {**info["settings"], "seed": 8}}))
    done = script("--resume", copy)  # type: ignore[operator]
    assert done.returncode == 1
    assert "do not match" in done.stderr
    (copy / "run.json").write_text(json.dumps(info))
    run = Run.open(copy)
    run.lock()
    done = script("--resume", copy)  # type: ignore[operator]
    run.unlock()
    assert done.returncode == 1
    assert "in use" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_run_of_other_content_is_not_resumed(finished_run: Path, tmp_path: Path) -> None:
    copy = tmp_path / "psychology-001"
    shutil.copytree(finished_run, copy)
    info = json.loads((copy / "run.json").read_text())
    (copy / "run.json").write_text(json.dumps({**info, "content": "0" * 16}))
    assert info["content"] == content_hash()
    script = Path(__file__).resolve().parent.parent / "pipelines" / "psychology.py"
    done = subprocess.run([sys.executable, str(script), "--resume", str(copy)], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "changed since this run began" in done.stderr


def test_a_fragment_that_another_line_was_glued_to_does_not_count(tmp_path: Path) -> None:
    run = Run.create(load_settings(out=tmp_path, accept=3), "psychology")
    (run.path / "shards").mkdir()
    (run.path / "shards" / "00000.jsonl").write_text(
        '{"slot":1,"acc{"slot":2,"accepted":true,"stopped":"","attempts":[]}\n{"slot":0,"accepted":true,"stopped":"","attempts":[]}\n'
    )
    assert set(run.positions()) == {0}
