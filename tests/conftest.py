"""Fixtures of the whole suite: the real packs, a plan, conversations composed in this process, and one real run.

The real run takes longer than everything else together, so it is started in the background as soon as a collected test asks
for it, and the tests that read it are called last.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from pixel_synth.curate.gate import settle
from pixel_synth.knowledge import Knowledge, load
from pixel_synth.llms.ask import Asker, Voice
from pixel_synth.llms.composer import Composer
from pixel_synth.plan import Plan
from pixel_synth.records import Blueprint, Conversation
from pixel_synth.runs.chain import write
from pixel_synth.settings import Settings, load_settings

ROOT = Path(__file__).resolve().parent.parent
SCRIPT = ROOT / "pipelines" / "psychology.py"
RUN_N = 6
DERIVED = {
    "manifest.json",
    "conversations.jsonl",
    "conversations.parquet",
    "report.md",
    "report.json",
    "README.md",
    "coverage.svg",
    "ledger.sqlite",
}

Compose = Callable[[Blueprint], Conversation]
Script = Callable[..., "subprocess.CompletedProcess[str]"]


def pytest_configure() -> None:
    os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", HF_HUB_DISABLE_TELEMETRY="1")
    for name in [n for n in os.environ if n.startswith("PIXEL_")]:
        del os.environ[name]


def wanted(items: list[pytest.Item], fixture: str) -> bool:
    return any(fixture in getattr(item, "fixturenames", ()) for item in items)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: sum(name in getattr(item, "fixturenames", ()) for name in ("finished_run", "resumed_run")))


@pytest.fixture(scope="session")
def knowledge() -> Knowledge:
    return load()


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings under which thresholds count, as those of the real run: no calibration card is needed to see a rejection."""
    return load_settings(engine="composer", accept=200, seed=7, allow_uncalibrated=True, out=tmp_path_factory.mktemp("out"))


@pytest.fixture(scope="session")
def plan(settings: Settings, knowledge: Knowledge) -> Plan:
    return Plan(settings, knowledge, 200)


@pytest.fixture(scope="session")
def composer(knowledge: Knowledge) -> Composer:
    return Composer(knowledge)


@pytest.fixture(scope="session")
def compose(knowledge: Knowledge, settings: Settings, composer: Composer) -> Compose:
    """Write and score one conversation in this process, without distilabel and without a ledger."""

    def one(bp: Blueprint) -> Conversation:
        return asyncio.run(write(bp, knowledge, Asker(Voice(composer, "composer")), settings, settle(settings)))[0]

    return one


@pytest.fixture(scope="session")
def conversation(plan: Plan, compose: Compose) -> Conversation:
    return compose(plan.blueprint(0))


@pytest.fixture(scope="session")
def script() -> Script:
    """Call the pipeline script as a user does."""

    def call(*args: object, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(SCRIPT), *map(str, args)]
        return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)

    return call


def _finish(*args: object) -> None:
    """Call the pipeline script and let it end with everything accepted or a shortfall."""
    command = [sys.executable, str(SCRIPT), *map(str, args), "--workers", "1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode in (0, 3), f"{done.stdout}\n{done.stderr}"


def _run(out: Path) -> Path:
    _finish("-n", RUN_N, "--allow-uncalibrated", "--out", out)
    (path,) = out.iterdir()
    return path


def _damage_and_resume(run: Path, copy: Path) -> Path:
    """Tear a line of a copy of the run, take shards and results away, and resume it."""
    shutil.copytree(run, copy)
    shards = sorted((copy / "shards").glob("*.jsonl"))
    whole = shards[0].read_bytes().splitlines(keepends=True)
    shards[0].write_bytes(b"".join(whole[:2]) + whole[2][: len(whole[2]) // 2])
    for path in (*shards[1:], *(p for p in copy.rglob("*") if p.is_file() and p.name in DERIVED)):
        path.unlink()
    (copy / ".plan.jsonl.part").write_text("left over")
    _finish("--resume", copy)
    return copy


@pytest.fixture(scope="session", autouse=True)
def _real_runs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[Path]]]:
    """Start what the collected tests need of real runs in the background, one after the other."""
    runs: dict[str, Future[Path]] = {}
    with ThreadPoolExecutor(1) as pool:
        if wanted(request.session.items, "finished_run"):
            runs["finished"] = pool.submit(_run, tmp_path_factory.mktemp("runs"))
        if wanted(request.session.items, "resumed_run"):
            copy = tmp_path_factory.mktemp("damaged") / "psychology-001"
            runs["resumed"] = pool.submit(lambda: _damage_and_resume(runs["finished"].result(), copy))
        yield runs


@pytest.fixture(scope="session")
def finished_run(_real_runs: dict[str, Future[Path]]) -> Path:
    """The directory of a real, finished run of the pipeline script (n=6, seed 7, thresholds count); nothing may change it."""
    return _real_runs["finished"].result()


@pytest.fixture(scope="session")
def resumed_run(finished_run: Path, _real_runs: dict[str, Future[Path]]) -> Path:
    """A copy of the finished run that was damaged and resumed."""
    return _real_runs["resumed"].result()
