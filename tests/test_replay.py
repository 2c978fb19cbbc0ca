"""A replay rebuilds the dataset from plan and ledger alone, and says what differs when it cannot."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from small_run import LEFT, SLOTS, go_on, small_run

from pixel_synth.cli import main
from pixel_synth.errors import RunError
from pixel_synth.records import Outcome
from pixel_synth.runs.directory import Run
from pixel_synth.runs.recall import stored
from pixel_synth.runs.replay import Replayed, gone_on, named, replay, slots_of

CAPTURE = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return small_run(tmp_path_factory.getbasetemp() / "small")


@pytest.fixture
def copy(small: Run, tmp_path: Path) -> Run:
    """A copy of the small run that a test may change."""
    return Run(Path(shutil.copytree(small.path, tmp_path / "copy")))


def again(run: Run, target: Path) -> Replayed:
    return replay(run, target, lambda done, accepted: None, slots_of(run), workers=1)


def files(root: Path) -> dict[str, int]:
    """Return the files with the times they were changed; SQLite keeps the locks of readers in one of them."""
    return {str(p.relative_to(root)): p.stat().st_mtime_ns for p in root.rglob("*") if not p.name.endswith("-shm")}


def last_outcomes(run: Run) -> dict[int, Outcome]:
    return {o.slot: o for o in run.outcomes()}


def test_a_finished_run_is_rebuilt_byte_for_byte_and_without_any_engine(finished_run: Path, tmp_path: Path) -> None:
    before = files(finished_run)
    code = (
        "import sys; from pixel_synth.cli import main; status = main(sys.argv[1:]);"
        "print(sorted({'distilabel', 'aiohttp', 'torch', 'transformers'} & sys.modules.keys())); sys.exit(status)"
    )
    command = [sys.executable, "-c", code, "replay", str(finished_run), "--out", str(tmp_path / "again")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    manifest = json.loads((finished_run / "manifest.json").read_text())
    assert done.stdout.splitlines()[-2:] == [f"identical: {len(manifest['files'])} files", "[]"]
    for name in manifest["files"]:
        assert (tmp_path / "again" / name).read_bytes() == (finished_run / name).read_bytes(), name
    assert files(finished_run) == before


def test_a_run_with_repairs_failures_judges_and_a_left_slot_is_rebuilt(small: Run, tmp_path: Path) -> None:
    kinds = {a.kind for o in small.outcomes() for a in o.attempts}
    assert {"invalid", "timeout"} <= kinds
    assert last_outcomes(small)[LEFT].stopped
    before = files(small.path)
    found = again(small, tmp_path / "again")
    assert (found.differing, found.changed, found.missing) == ((), (), ())
    assert found.files > 5
    assert files(small.path) == before


def test_a_run_that_was_killed_and_gone_on_with_is_rebuilt(copy: Run, tmp_path: Path) -> None:
    (shard,) = (copy.path / "shards").iterdir()
    shard.write_bytes(shard.read_bytes()[:-900])  # a torn line
    assert len(copy.positions(stopped=True)) == SLOTS - 1
    go_on(copy)
    assert len(copy.positions()) == SLOTS
    assert len(list((copy.path / "shards").iterdir())) == 2
    found = again(copy, tmp_path / "again")
    assert (found.differing, found.changed, found.missing) == ((), (), ())


def test_attempts_that_a_killed_start_made_later_are_not_taken_in(copy: Run, tmp_path: Path) -> None:
    lines = [o.line() for o in copy.outcomes()]
    left = last_outcomes(copy)[LEFT]
    other = next(o for o in last_outcomes(copy).values() if len(o.attempts) > 1 and not o.stopped)
    cut = Outcome(slot=other.slot, accepted=False, stopped="the hours of the budget are over", attempts=other.attempts[:1])
    kept = [x for x in lines if f'{{"slot":{other.slot},' not in x[:20]]
    (shard,) = (copy.path / "shards").iterdir()
    shard.write_text("\n".join([*kept, cut.line()]) + "\n")
    found = again(copy, tmp_path / "again")
    rebuilt = last_outcomes(Run(tmp_path / "again"))
    assert rebuilt[other.slot].attempts == cut.attempts
    assert rebuilt[left.slot].attempts == left.attempts
    assert (found.changed, found.missing) == ((), ())
    assert found.differing  # the dataset in the copy was made before


def test_a_missing_answer_is_told_with_its_slot(copy: Run, tmp_path: Path, capsys: CAPTURE, monkeypatch: pytest.MonkeyPatch) -> None:
    slot = SLOTS - 1
    blueprint = last_outcomes(copy)[slot].attempts[0].blueprint.id
    with sqlite3.connect(copy.path / "ledger.sqlite") as db:
        assert db.execute("DELETE FROM calls WHERE blueprint = ? AND part = 'reasoning'", (blueprint,)).rowcount == 1
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    assert main(["replay", str(copy.path)]) == 1
    told = capsys.readouterr()
    assert f"calls that the ledger does not have: in 1 slot ({slot})" in told.err
    assert told.out.splitlines()[-1].startswith("different: ")
    assert not list(tmp_path.glob("pixel-replay-*"))


def test_one_changed_byte_of_an_answer_makes_another_dataset(copy: Run, tmp_path: Path) -> None:
    attempt = next(a for o in copy.outcomes() for a in o.attempts if a.status == "accepted")
    assert attempt.conversation
    assert attempt.conversation.reasoning
    said = attempt.conversation.reasoning.risk
    with sqlite3.connect(copy.path / "ledger.sqlite") as db:
        query = "SELECT key, text FROM calls WHERE blueprint = ? AND part = 'reasoning'"
        key, text = db.execute(query, (attempt.blueprint.id,)).fetchone()
        changed = text.replace(said, "X" + said[1:])
        assert len(changed) == len(text)
        assert changed != text
        db.execute("UPDATE calls SET text = ? WHERE key = ?", (changed, key))
    found = again(copy, tmp_path / "again")
    assert {"data/conversations.jsonl", "data/conversations.parquet"} <= set(found.differing)
    assert found.changed == (attempt.blueprint.slot,)
    assert found.missing == ()


def test_what_cannot_be_replayed_is_refused(copy: Run, tmp_path: Path, capsys: CAPTURE) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    with pytest.raises(RunError, match="not empty"):
        again(copy, tmp_path / "full")
    content = copy.info["content"]
    copy.update(content="of another version")
    with pytest.raises(RunError, match="packs, prompts or the toolkit changed"):
        again(copy, tmp_path / "again")
    copy.update(content=content)
    for name in ("ledger.sqlite", "links.json", "manifest.json", "run.json"):
        (copy.path / name).rename(tmp_path / name)
        assert main(["replay", str(copy.path), "--out", str(tmp_path / "again")]) == 1
        assert name in capsys.readouterr().err
        (tmp_path / name).rename(copy.path / name)
    shutil.rmtree(copy.path / "shards")
    with pytest.raises(RunError, match="no outcome"):
        slots_of(copy)
    assert not (tmp_path / "again").exists()


def test_a_run_that_was_gone_on_with_is_noticed(copy: Run) -> None:
    assert not gone_on(copy)
    copy.new_shard().close()
    assert gone_on(copy)


def test_slots_are_named_up_to_a_few() -> None:
    assert named([4]) == "1 slot (4)"
    assert named(list(range(9))) == "9 slots (0, 1, 2, 3, 4, …)"


def test_a_ledger_that_is_only_read_leaves_no_trace(small: Run) -> None:
    before = sorted(p.name for p in small.path.iterdir())
    ledger = stored(small.path)
    assert ledger.count()
    assert sorted(p.name for p in small.path.iterdir()) == before
    ledger.close()
