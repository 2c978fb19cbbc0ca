"""Killed at any moment, a run leaves no process behind and is resumed to the bytes of an undisturbed one."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from pixel_synth.errors import RunError
from pixel_synth.runs.directory import Run, sha256_of

pytestmark = pytest.mark.heavy
SCRIPT = Path(__file__).resolve().parent.parent / "pipelines" / "psychology.py"
N, WORKERS = 200, 2
RUN_S, END_S = 300, 30  # a whole run; the time in which a run whose process was killed must have ended
RESULTS = (
    "plan.jsonl",
    "replans.jsonl",
    "report.md",
    "report.json",
    "data/conversations.jsonl",
    "data/rejected.jsonl",
    "data/failed.jsonl",
    "data/conversations.parquet",
    "manifest.json",
)
VICTIMS = ("tree", "child", "worker", "parent")


class Process:
    """The script as a process whose whole descent can be found by a mark in its environment."""

    def __init__(self, *args: object) -> None:
        self.mark = f"CHAOS_MARK={uuid4().hex}"
        name, _, value = self.mark.partition("=")
        command = [sys.executable, str(SCRIPT), *map(str, args)]
        self.popen = subprocess.Popen(
            command, env={**os.environ, name: value}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )

    def alive(self) -> list[int]:
        """Return the ids of all living processes of this run, zombies left out."""
        found = []
        for entry in Path("/proc").iterdir():
            try:
                ours = entry.name.isdigit() and self.mark.encode() in (entry / "environ").read_bytes()
                if ours and (entry / "stat").read_text().rpartition(")")[2].split()[0] != "Z":
                    found.append(int(entry.name))
            except OSError:
                continue
        return found

    def victims(self, kind: str, chance: random.Random) -> list[int]:
        if kind == "parent":
            return [self.popen.pid]
        if kind == "tree":
            return self.alive()
        if kind == "child":
            return [p for p in self.alive() if p != self.popen.pid and leads_a_group(p)]
        leaders = {p for p in self.alive() if p != self.popen.pid and leads_a_group(p)}
        members = [p for p in self.alive() if parent(p) in leaders]  # any of them: a worker, the generator of slots, a manager
        return [chance.choice(members)] if members else []

    def wait_gone(self, seconds: float = END_S) -> None:
        """Wait until no process of the run is left, or fail."""
        limit = time.monotonic() + seconds
        while self.alive():
            self.popen.poll()
            if time.monotonic() > limit:
                left = self.alive()
                for pid in left:
                    kill(pid)
                pytest.fail(f"still there after {seconds} s: {left}")
            time.sleep(0.2)


def parent(pid: int) -> int:
    try:
        return int((Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def leads_a_group(pid: int) -> bool:
    try:
        return os.getpgid(pid) == pid
    except ProcessLookupError:
        return False


def kill(pid: int, number: int = signal.SIGKILL) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def done(run: Path) -> int:
    try:
        return len(Run.open(run).positions())
    except RunError:
        return 0


def wait_for(process: Process, out: Path, more: int, seconds: float) -> Path:
    """Wait until ``more`` slots are done since now (or the time is over, or the process ended); return the run."""
    limit, start = time.monotonic() + seconds, None
    run = out / "psychology-001"
    while time.monotonic() < limit and process.popen.poll() is None:
        if (run / "run.json").is_file():
            start = done(run) if start is None else start
            if done(run) >= start + more > start:
                break
        time.sleep(0.05)
    return run


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    out = tmp_path_factory.mktemp("undisturbed")
    process = Process("-n", N, "--workers", WORKERS, "--out", out)
    assert process.popen.wait(RUN_S) in (0, 3)
    process.wait_gone()
    return out / "psychology-001"


def finish(run: Path) -> None:
    process = Process("--resume", run, "--workers", WORKERS)
    _, errors = process.popen.communicate(timeout=RUN_S)
    assert process.popen.returncode in (0, 3), errors
    process.wait_gone()


def same(run: Path, other: Path) -> None:
    assert {n: sha256_of(run / n) for n in RESULTS} == {n: sha256_of(other / n) for n in RESULTS}
    assert Run.open(run).damaged() == []


def test_a_run_killed_again_and_again_ends_with_the_bytes_of_an_undisturbed_one(tmp_path: Path, undisturbed: Path) -> None:
    chance = random.Random(20)
    run = tmp_path / "psychology-001"
    told: list[str] = []
    for round in range(8):
        started = (run / "run.json").is_file()
        process = Process(*(("--resume", run) if started else ("-n", N, "--out", tmp_path)), "--workers", WORKERS)
        kind = VICTIMS[round % len(VICTIMS)]
        if round in (4, 7):  # while it starts, before anything is written
            wait_for(process, tmp_path, 0, chance.uniform(1.0, 8.0))
        else:
            wait_for(process, tmp_path, chance.randint(1, 14), 60)
        before = done(run)
        victims = process.victims(kind, chance)
        for pid in victims:
            kill(pid)
        if victims:
            try:
                status = process.popen.wait(END_S)
            except subprocess.TimeoutExpired:
                process.wait_gone(0)
                raise
            assert status != 0 or done(run) == N, f"{kind}: ended with status 0 and {done(run)} of {N} slots"
        else:  # there was no such process yet or any more
            kill(process.popen.pid)
        process.wait_gone()
        assert done(run) >= before, "finished slots were lost"
        told.append(f"{kind} at {before}")
    print("killed:", ", ".join(told))
    finish(run)
    same(run, undisturbed)


@pytest.mark.parametrize("kind", ["child", "worker"])
def test_a_dead_process_ends_the_run_with_status_1_and_says_how_to_go_on(tmp_path: Path, kind: str) -> None:
    process = Process("-n", N, "--workers", WORKERS, "--out", tmp_path)
    wait_for(process, tmp_path, 5, 60)
    victims = process.victims(kind, random.Random(3))
    assert victims
    for pid in victims:
        kill(pid)
    _, errors = process.popen.communicate(timeout=END_S)
    assert process.popen.returncode == 1
    assert "--resume" in errors
    assert "Traceback" not in errors
    process.wait_gone()


def test_ctrl_c_ends_everything_with_status_130_and_the_run_goes_on_from_there(tmp_path: Path, undisturbed: Path) -> None:
    process = Process("-n", N, "--workers", WORKERS, "--out", tmp_path)
    run = wait_for(process, tmp_path, 20, 60)
    kill(process.popen.pid, signal.SIGINT)
    _, errors = process.popen.communicate(timeout=END_S)
    assert process.popen.returncode == 130
    assert "interrupted" in errors
    assert "Traceback" not in errors
    process.wait_gone()
    kept = done(run)
    assert 20 <= kept < N
    finish(run)
    same(run, undisturbed)
