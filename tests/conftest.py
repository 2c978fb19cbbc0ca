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
from pathlib import Path

import pytest

from pixel_synth.knowledge import Knowledge, load
from pixel_synth.llms.composer import Composer
from pixel_synth.llms.ledger import ask
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
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def knowledge() -> Knowledge:
    return load()


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return load_settings(accept=200, seed=7, out=tmp_path_factory.mktemp("out"))


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
        return asyncio.run(write(bp, knowledge, lambda call: ask(call, composer, None, "composer"), settings))[0]

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


@pytest.fixture(scope="session", autouse=True)
def _started_run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[subprocess.Popen[str] | None]:
    """Start the real run in the background when a collected test needs it."""
    if not wanted(request.session.items, "_ended_run"):
        yield None
        return
    out = tmp_path_factory.mktemp("runs")
    command = [sys.executable, str(SCRIPT), "-n", str(RUN_N), "--workers", "1", "--out", str(out)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process.out = out  # type: ignore[attr-defined]
    yield process
    if process.poll() is None:
        process.terminate()
        process.wait(20)


@pytest.fixture(scope="session")
def _ended_run(_started_run: subprocess.Popen[str]) -> Path:
    told, errors = _started_run.communicate(timeout=180)
    assert _started_run.returncode in (0, 3), f"{told}\n{errors}"
    (path,) = _started_run.out.iterdir()  # type: ignore[attr-defined]
    return path


@pytest.fixture(scope="session")
def finished_run(request: pytest.FixtureRequest, _ended_run: Path) -> Path:
    """The directory of a real, finished run of the pipeline script (n=6, seed 7); nothing may change it."""
    if wanted(request.session.items, "resumed_run"):
        request.getfixturevalue("_damaged_run")  # its resuming goes on in the background
    return _ended_run


@pytest.fixture(scope="session")
def _damaged_run(_ended_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[subprocess.Popen[str] | None]:
    """Damage a copy of the finished run and begin to resume it in the background: a line torn, shards and results gone."""
    copy = tmp_path_factory.mktemp("damaged") / _ended_run.name
    shutil.copytree(_ended_run, copy)
    shards = sorted((copy / "shards").glob("*.jsonl"))
    whole = shards[0].read_bytes().splitlines(keepends=True)
    shards[0].write_bytes(b"".join(whole[:2]) + whole[2][: len(whole[2]) // 2])
    for path in (*shards[1:], *(p for p in copy.rglob("*") if p.is_file() and p.name in DERIVED)):
        path.unlink()
    (copy / ".plan.jsonl.part").write_text("left over")
    command = [sys.executable, str(SCRIPT), "--resume", str(copy), "--workers", "1"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process.path = copy  # type: ignore[attr-defined]
    yield process
    if process.poll() is None:
        process.terminate()
        process.wait(20)


@pytest.fixture(scope="session")
def resumed_run(_damaged_run: subprocess.Popen[str]) -> Path:
    """A copy of the finished run that was damaged and resumed."""
    told, errors = _damaged_run.communicate(timeout=180)
    assert _damaged_run.returncode in (0, 3), f"{told}\n{errors}"
    path: Path = _damaged_run.path  # type: ignore[attr-defined]
    return path
