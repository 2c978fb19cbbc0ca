"""One ledger a worker, where workers sit on several machines: read on top of the run's, and gathered into it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pixel_synth.errors import EngineError, RunError
from pixel_synth.llms.branch import Branch, gather
from pixel_synth.llms.engine import Call, Completion
from pixel_synth.llms.ledger import Ledger

CALL = Call(None, [{"role": "user", "content": "hi"}], {}, {})


def said(text: str) -> Completion:
    return Completion(text=text, tokens_in=10, tokens_out=5)


def trunk(run: Path) -> Ledger:
    return Ledger(run / "ledger.sqlite")


def begun(run: Path, *keys: str) -> None:
    """Leave a ledger as an earlier start leaves it."""
    ledger = trunk(run)
    for key in keys:
        ledger.put(key, CALL, said(f"first {key}"))
    ledger.close()
    gather(run)


def test_a_branch_answers_with_its_own_calls_and_those_of_earlier_starts(tmp_path: Path) -> None:
    begun(tmp_path, "a")
    branch = Branch(tmp_path)
    branch.put("b", CALL, said("second"))
    assert [branch.get(key) for key in ("a", "b", "c")] == [said("first a"), said("second"), None]


def test_a_failure_of_an_earlier_start_fails_again(tmp_path: Path) -> None:
    ledger = trunk(tmp_path)
    ledger.put_failure("a", CALL, EngineError("slow", kind="timeout"))
    ledger.close()
    gather(tmp_path)
    with pytest.raises(EngineError, match="slow") as caught:
        Branch(tmp_path).get("a")
    assert caught.value.kind == "timeout"


def test_gathered_branches_are_one_ledger_and_gone(tmp_path: Path) -> None:
    begun(tmp_path, "a")
    for key in ("b", "c"):
        branch = Branch(tmp_path)
        branch.put(key, CALL, said(key))
        branch.count_up({"retry_timeout": 1})
        branch.metrics.write_text(f'{{"worker": "{key}"}}\n')
        branch.close()
    assert gather(tmp_path) == 2
    ledger = trunk(tmp_path)
    assert (ledger.count(), ledger.get("c")) == (3, said("c"))
    assert ledger.totals() == {"calls": 3, "tokens_in": 30, "tokens_out": 15, "retry_timeout": 2}
    ledger.close()
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 2
    assert not (tmp_path / "branches").exists()
    assert gather(tmp_path) == 0


def test_a_branch_that_is_taken_in_twice_counts_once(tmp_path: Path) -> None:
    begun(tmp_path)
    branch = Branch(tmp_path)
    branch.put("a", CALL, said("x"))
    branch.close()
    ledger = trunk(tmp_path)
    for _ in range(2):  # as when the first was killed before it could remove the file
        ledger.take_in(branch.path)
    assert (ledger.count(), ledger.totals()["tokens_in"]) == (1, 10)


KILLED = """
import os, signal, sys
from pathlib import Path
from pixel_synth.llms.branch import Branch
from pixel_synth.llms.engine import Call, Completion
branch = Branch(Path(sys.argv[1]))
branch.put("k", Call(None, [{"role": "user", "content": "hi"}], {}, {}), Completion(text="kept"))
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_worker_had_stored_is_gathered(tmp_path: Path) -> None:
    begun(tmp_path)
    killed = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert list((tmp_path / "branches").glob("*.sqlite-wal")), "nothing was left to bring in"
    assert gather(tmp_path) == 1
    assert trunk(tmp_path).get("k") == Completion(text="kept")
    assert not (tmp_path / "branches").exists()


def test_a_branch_killed_before_its_first_table_is_gathered(tmp_path: Path) -> None:
    begun(tmp_path)
    (tmp_path / "branches").mkdir()
    (tmp_path / "branches" / "empty.sqlite").touch()
    assert gather(tmp_path) == 1


def test_a_damaged_branch_is_named(tmp_path: Path) -> None:
    begun(tmp_path)
    (tmp_path / "branches").mkdir()
    (tmp_path / "branches" / "bad.sqlite").write_bytes(os.urandom(8192))
    with pytest.raises(RunError, match=r"bad\.sqlite"):
        gather(tmp_path)


def test_workers_share_what_is_left_of_the_budget(tmp_path: Path) -> None:
    begun(tmp_path, "a", "b")  # 30 tokens
    branch = Branch(tmp_path)
    assert [branch.share(*case) for case in ((0, 4), (1030, 4), (30, 4), (7, 4))] == [0, 250, 1, 1]
    branch.put("c", CALL, said("own"))
    assert sum(branch.totals().get(what, 0) for what in ("tokens_in", "tokens_out")) == 15, "of its own only"
