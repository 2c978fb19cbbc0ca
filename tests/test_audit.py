"""The audit trail: whatever is done to a line is found, a killed writer loses at most its own line, heads catch a cut end."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pixel_synth.errors import RunError, UsageError
from pixel_synth.jsonl import sha256_of
from pixel_synth.prove.audit import HEAD, NAME, Audit, verify_run
from pixel_synth.prove.chain import Chain, Fault, Head, hash_of, verify


def trail(path: Path, n: int = 5) -> Path:
    chain = Chain(path / NAME, "tester")
    for number in range(n):
        chain.append("stage", f"0{number}-störung", kept=number, files={"kept.jsonl": "ab"})
    return path / NAME


def test_lines_follow_on_each_other_and_verify(tmp_path: Path) -> None:
    path = trail(tmp_path)
    entries = list(Chain(path).entries())
    assert [e.n for e in entries] == [1, 2, 3, 4, 5]
    assert all(b.previous == a.hash for a, b in itertools.pairwise(entries))
    found = verify(path)
    assert found.faults == ()
    assert found.notes == ()
    assert found.head == Head(5, entries[-1].hash) == Chain(path).head()


def test_the_actor_is_the_toolkit_and_the_user_unless_one_is_named(tmp_path: Path) -> None:
    assert Audit(tmp_path).append("a", "b").actor.startswith("pixel-synth ")
    assert Audit(tmp_path, "Dr. Who").append("a", "b").actor == "Dr. Who"


CHAIN: list[bytes] = []


def chain_lines(tmp: Path) -> list[bytes]:
    if not CHAIN:
        CHAIN.extend(trail(tmp).read_bytes().splitlines(keepends=True))
    return CHAIN


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_any_changed_byte_of_a_line_is_found_there(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    tmp = tmp_path_factory.mktemp("bytes")
    lines = list(chain_lines(tmp))
    at = data.draw(st.integers(0, 4))
    place = data.draw(st.integers(0, len(lines[at]) - 2))
    byte = data.draw(st.integers(0, 255).filter(lambda b: b not in (lines[at][place], 10)))
    lines[at] = lines[at][:place] + bytes([byte]) + lines[at][place + 1 :]
    (tmp / "x").write_bytes(b"".join(lines))
    assert at + 1 in {f.line for f in verify(tmp / "x").faults}


@pytest.mark.parametrize("order", [(0, 1, 3, 4), (1, 2, 3, 4), (0, 2, 1, 3, 4), (0, 1, 1, 2, 3, 4), (4, 3, 2, 1, 0)])
def test_lines_taken_out_put_in_or_moved_are_found_at_the_first_wrong_place(tmp_path: Path, order: tuple[int, ...]) -> None:
    lines = trail(tmp_path).read_bytes().splitlines(keepends=True)
    (tmp_path / NAME).write_bytes(b"".join(lines[i] for i in order))
    first = next(number for number, i in enumerate(order, 1) if i != number - 1)
    assert verify(tmp_path / NAME).faults[0].line == first


def test_a_line_that_was_changed_with_its_hash_is_told_by_the_line_after_it(tmp_path: Path) -> None:
    path = trail(tmp_path)
    lines = path.read_text().splitlines()
    data = json.loads(lines[1])
    data["details"]["kept"] = 1000
    data["hash"] = hash_of(data)
    lines[1] = json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    path.write_text("\n".join(lines) + "\n")
    assert [f.line for f in verify(path).faults] == [3]


def test_a_cut_end_is_found_by_the_head_in_the_manifest_and_by_one_kept_elsewhere(tmp_path: Path) -> None:
    path = trail(tmp_path)
    (tmp_path / "manifest.json").write_text(json.dumps({"files": {}}))
    head = Audit(tmp_path).seal()
    assert head.n == 6
    assert json.loads((tmp_path / "manifest.json").read_text())[HEAD] == str(head)
    later = Audit(tmp_path).append("review", "abc")
    assert verify_run(tmp_path).faults == ()
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:6]))
    assert verify_run(tmp_path).faults == ()  # the manifest was sealed before the last line
    assert verify_run(tmp_path, [Head(later.n, later.hash)]).faults[0].line == 7
    path.write_bytes(b"".join(lines[:5]) + lines[5][:40])
    assert [f.line for f in verify_run(tmp_path).faults] == [6]
    path.unlink()
    assert verify_run(tmp_path).faults == (Fault(1, "cut off: a head that was kept says there are at least 6 lines"),)


def test_a_trail_that_was_written_anew_does_not_fit_a_kept_head(tmp_path: Path) -> None:
    path = trail(tmp_path)
    head = Chain(path).head()
    assert head
    path.unlink()
    trail(tmp_path, 7)
    assert verify(path).faults == ()
    assert [f.line for f in verify(path, [head]).faults] == [5]


@pytest.mark.parametrize("text", ["", "12", "x:" + "0" * 64, "1:" + "g" * 64])
def test_what_is_no_head_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="no head"):
        Head.read(text)


@pytest.mark.parametrize("cut", [1, 30, 10_000])
def test_a_torn_last_line_is_taken_away_by_the_next_and_told(tmp_path: Path, cut: int) -> None:
    path = trail(tmp_path, 2)
    Chain(path).append("stage", "big", text="x" * 200_000)  # longer than the blocks that are read from the end
    path.write_bytes(path.read_bytes()[:-cut])
    assert verify(path).notes
    assert verify(path).head == Chain(path).head()
    assert Chain(path).append("stage", "next").n == 4
    entries = list(Chain(path).entries())
    assert [e.action for e in entries] == ["stage", "stage", "recovered", "stage"]
    assert entries[2].details["bytes"] > 0
    assert verify(path).faults == ()


def test_nothing_is_added_to_a_chain_whose_last_line_was_changed(tmp_path: Path) -> None:
    path = trail(tmp_path)
    path.write_bytes(path.read_bytes().replace(b'"kept":4', b'"kept":9'))
    with pytest.raises(RunError, match="last line was changed"):
        Chain(path).append("a", "b")


def test_threads_append_one_after_the_other(tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: Audit(tmp_path).append("review", f"r{n}"), range(24)))
    found = verify(tmp_path / NAME)
    assert found.faults == ()
    assert found.head
    assert found.head.n == 24


def test_a_killed_writer_loses_no_line_that_was_appended(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from pixel_synth.prove.audit import Audit\n"
        "audit = Audit(Path(sys.argv[1]))\n"
        "for n in range(10**6):\n"
        "    print(audit.append('stage', 'x' * 3000).n, flush=True)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        told = [process.stdout.readline() for _ in range(20)]
        os.kill(process.pid, signal.SIGKILL)
        told += process.stdout.readlines()
    appended = max(int(t) for t in told if t.endswith("\n"))
    after = Audit(tmp_path).append("stage", "after")
    found = verify(tmp_path / NAME)
    assert found.faults == ()
    assert after.n > appended


def test_a_stage_is_chained_once_with_the_hashes_of_its_files(tmp_path: Path) -> None:
    folder, private = tmp_path / "stages" / "02-screen", tmp_path / "private"
    folder.mkdir(parents=True)
    private.mkdir()
    (private / "redactions.jsonl").write_text("{}\n")
    stage = {"key": "k", "books": {"kept": 1}, "outputs": {"kept.jsonl": "ab"}}
    (folder / "stage.json").write_text(json.dumps(stage))
    audit = Audit(tmp_path)
    first = audit.stage("02-screen", also=[private / "redactions.jsonl"])
    assert first.details["files"] == {
        "stages/02-screen/kept.jsonl": "ab",
        "private/redactions.jsonl": sha256_of(private / "redactions.jsonl"),
    }
    assert audit.stage("02-screen", also=[private / "redactions.jsonl"]) == first
    (folder / "stage.json").write_text(json.dumps({**stage, "key": "other"}))
    assert audit.stage("02-screen", also=[private / "redactions.jsonl"]).n == 2
    with pytest.raises(RunError, match="03-none"):
        audit.stage("03-none")
