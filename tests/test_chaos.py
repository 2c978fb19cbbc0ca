"""Killed at any moment, a run leaves no process behind, asks no answered call again, and is resumed to the bytes of an undisturbed one.

For the embedded engine, for a server that outlives the run, and for a server of the run's own.  A hundred kills:
``CHAOS_ROUNDS=100 pytest -m heavy tests/test_chaos.py -k again``.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pytest
from processes import END_S, Process, command, kill, stat

from pixel_synth.errors import RunError
from pixel_synth.jsonl import sha256_of
from pixel_synth.llms.ledger import Ledger
from pixel_synth.llms.mock import Mock
from pixel_synth.runs.directory import Run

pytestmark = pytest.mark.heavy
ROUNDS = int(os.environ.get("CHAOS_ROUNDS", "9"))  # kills, over all engines together
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
ENGINES = ("composer", "server", "vllm")
OWNED = "pixel_synth.llms.mock"
PACE = "--latency-ms=30"
CHATS = 4  # conversations in flight, so at most so many calls
# By what a process is known in its command line.
NAMED = {"server": OWNED, "guard": "guard.py", "grandchild": "time.sleep(600)"}
STATUS_1 = {"child", "worker", "server", "guard"}  # a lost process ends the run with an error and not with a signal


class Kind(NamedTuple):
    """What is killed: how many slots, the flags of every start, those of the first one alone, and whom to kill."""

    n: int
    flags: tuple[object, ...]
    first: tuple[object, ...]
    victims: tuple[str, ...]

    def process(self, run: Path) -> Process:
        if (run / "run.json").is_file():
            return Process("--resume", run, *self.flags)
        return Process("-n", self.n, *self.first, *self.flags, "--out", run.parent)


def kind_of(engine: str, server: Mock) -> Kind:
    if engine == "composer":
        return Kind(60, ("--workers", 2), ("--engine", "composer"), ("worker", "interrupt", "tree", "parent", "child"))
    once, some = ("--max-attempts", 1), ("--window", CHATS)
    if engine == "server":
        return Kind(32, ("--base-url", server.url, *some), once, ("parent", "worker", "tree", "interrupt", "child"))
    own = f"{sys.executable} -m {OWNED}"
    vllm = ("--engine", "vllm", "--model", "tiny", "--vllm-command", own, "--vllm-arg=--grandchild", f"--vllm-arg={PACE}")
    return Kind(32, some, (*vllm, *once), ("server", "tree", "guard", "parent", "grandchild", "interrupt", "child", "worker"))


def victims(process: Process, kind: str, chance: random.Random) -> list[int]:
    """Return the ids of the processes to kill; none when there are none yet or any more."""
    alive = process.alive()
    below = [p for p in alive if p != process.popen.pid]
    leaders = [p for p in below if stat(p, 2) == p]
    if kind in ("parent", "interrupt"):
        return [process.popen.pid]
    if kind == "tree":
        return alive
    if kind == "child":
        return leaders
    if kind in NAMED:  # the guard and the script name the server in their command lines as well
        return [p for p in below if NAMED[kind] in command(p) and (kind == "guard" or not {"guard.py", "pipelines"} & _words(p))]
    members = [p for p in below if stat(p, 1) in leaders]  # any of them: a worker, the generator of slots, a manager
    return [chance.choice(members)] if members else []


def _words(pid: int) -> set[str]:
    return {part for word in command(pid).split() for part in Path(word).parts}


def done(run: Path) -> int:
    try:
        return len(Run.open(run).positions())
    except RunError:
        return 0


def wait_for(process: Process, run: Path, more: int, seconds: float) -> None:
    """Wait until ``more`` slots are done since now (or the time is over, or the process ended)."""
    limit, start = time.monotonic() + seconds, None
    while time.monotonic() < limit and process.popen.poll() is None:
        if (run / "run.json").is_file():
            start = done(run) if start is None else start
            if done(run) >= start + more > start:
                break
        time.sleep(0.05)


def same(run: Path, other: Path) -> None:
    assert {n: sha256_of(run / n) for n in RESULTS} == {n: sha256_of(other / n) for n in RESULTS}
    assert Run.open(run).damaged() == []
    slots = [outcome.slot for outcome in Run.open(run).outcomes()]
    assert slots == list(range(Run.open(run).settings.accept)), "lost or doubled"


def disturb(process: Process, run: Path, n: int, kind: str, chance: random.Random) -> None:
    """Kill what a round is about, and check how the run ends."""
    before = done(run)
    if kind == "grandchild":  # the run does not need it and must not mind; then it is the server's turn
        for pid in victims(process, kind, chance):
            kill(pid)
        time.sleep(1)
        kind = "server"
    over = process.popen.poll() is not None
    targets = victims(process, kind, chance)
    for pid in targets or [process.popen.pid]:
        kill(pid, signal.SIGINT if kind == "interrupt" else signal.SIGKILL)
    try:
        process.popen.wait(END_S)
    except subprocess.TimeoutExpired:
        process.wait_gone(0)
        raise
    told = process.wait()
    assert done(run) >= before, "finished slots were lost"
    whole = done(run) == n  # it may have been through in the moment in which it was killed
    assert over or whole or told.status not in (0, 3), f"{kind}: ended with status {told.status} and {done(run)} of {n} slots"
    if kind in STATUS_1 and targets and not over and not whole:
        assert told.status == 1, told
        assert "--resume" in told.errors, told
        assert "Traceback" not in told.errors, told
    if kind == "interrupt" and not over and run.is_dir() and not whole:
        assert told.status == 130, told
        assert "interrupted" in told.errors, told
        assert "Traceback" not in told.errors, told


def lap(engine: str, run: Path, rounds: int, chance: random.Random, told: Counter[str]) -> None:
    """Kill a run up to so many times until all its slots are done, finish it, and look at the server's books."""
    with Mock(PACE, "--model", "tiny") as server:
        kind, killed = kind_of(engine, server), 0
        while killed < rounds and done(run) < kind.n:
            process = kind.process(run)
            victim = kind.victims[told.total() % len(kind.victims)]
            if chance.random() < 0.2:  # while it starts, before anything is written
                wait_for(process, run, 0, chance.uniform(0.5, 10.0))
            else:
                wait_for(process, run, chance.randint(1, max(2, kind.n // 6)), 120)
                time.sleep(chance.uniform(0.0, 0.2))
            print(f"{engine}: {victim} at {done(run)} of {kind.n}", flush=True)
            disturb(process, run, kind.n, victim, chance)
            killed += 1
            told[victim] += 1
        ended = kind.process(run).wait()
        assert ended.status in (0, 3), ended
        if engine == "server":
            stats, stored = server.stats(), Ledger(run / "ledger.sqlite", read_only=True).count()
            # Two of the canary's three requests are the same at every start.
            assert stats["keys_answered_twice"] <= 2 + CHATS * killed, "answered calls were asked again that were not in flight"
            assert 0 <= stats["keys"] - stored - 2 <= killed + 1, "an answer is not in the ledger"


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Future[Path]]]:
    """Return a run of an engine that nobody disturbed; it is made in the background."""
    made: dict[str, Future[Path]] = {}

    def one(engine: str, run: Path) -> Path:
        with Mock(PACE, "--model", "tiny") as server:
            ended = kind_of(engine, server).process(run).wait()
        assert ended.status in (0, 3), ended
        return run

    with ThreadPoolExecutor(1) as pool:

        def start(engine: str) -> Future[Path]:
            if engine not in made:
                made[engine] = pool.submit(one, engine, tmp_path_factory.mktemp(engine) / "psychology-001")
            return made[engine]

        yield start


@pytest.mark.parametrize("engine", ENGINES)
def test_a_run_killed_again_and_again_ends_with_the_bytes_of_an_undisturbed_one(
    tmp_path: Path, undisturbed: Callable[[str], Future[Path]], engine: str
) -> None:
    chance, told = random.Random(f"{engine} {ROUNDS}"), Counter[str]()
    other = undisturbed(engine)
    rounds = ROUNDS // len(ENGINES) + (ENGINES.index(engine) < ROUNDS % len(ENGINES))
    runs: list[Path] = []
    while told.total() < rounds:
        runs.append(tmp_path / str(len(runs)) / "psychology-001")
        lap(engine, runs[-1], rounds - told.total(), chance, told)
    for run in runs:
        same(run, other.result())
    print(f"{engine}: killed {dict(told)}, {len(runs)} runs")
