"""The pipeline on a Ray cluster of two nodes, here two raylets of this machine, against two mock servers."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from pixel_synth.errors import EngineError, RunError, UsageError
from pixel_synth.jsonl import sha256_of
from pixel_synth.llms.connect import Link, Links
from pixel_synth.llms.ledger import Ledger
from pixel_synth.llms.mock import Mock
from pixel_synth.runs.directory import Run
from pixel_synth.settings import load_settings

pytestmark = [
    pytest.mark.heavy,
    pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed: pip install 'pixel-synth[ray]'"),
]
SCRIPT = Path(__file__).resolve().parent.parent / "pipelines" / "psychology.py"
N, WORKERS = 16, 2
RUN_S, END_S = 300, 30  # a whole run; the time in which a run whose process was killed must have ended
RESULTS = ("plan.jsonl", "replans.jsonl", "report.json", "data/conversations.jsonl", "data/rejected.jsonl", "data/failed.jsonl",
           "data/conversations.parquet", "manifest.json")  # fmt: skip
CLUSTER = """
import sys
from ray.cluster_utils import Cluster
same = {"num_cpus": 1, "object_store_memory": 80 * 2**20, "node_ip_address": "127.0.0.1", "include_dashboard": False}
cluster = Cluster(initialize_head=True, head_node_args={**same, "temp_dir": sys.argv[1]})
del same["include_dashboard"]
cluster.add_node(**same)
print(cluster.address, flush=True)
sys.stdin.read()
cluster.shutdown()
"""


def environment(mark: str) -> dict[str, str]:
    """Return variables for Ray on the loopback address with a key of its own, and a mark by which processes are found."""
    ours = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "token"}
    return {**os.environ, **ours, "RAY_AUTH_TOKEN": KEY, "RAY_MARK": mark}


KEY = secrets.token_hex(32)


def processes(mark: str, name: str = "") -> dict[int, int]:
    """Return the living processes with a mark whose program has a name in it, each with its parent."""
    found = {}
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and f"RAY_MARK={mark}".encode() in (entry / "environ").read_bytes():
                state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
                if state != "Z" and name in (entry / "cmdline").read_text().split("\0")[0]:
                    found[int(entry.name)] = int(parent)
    return found


def wait(condition: Callable[[], bool], seconds: float = END_S) -> None:
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, f"not so after {seconds} s"
        time.sleep(0.1)


class Nodes:
    """A cluster of two nodes with one processor each."""

    def __init__(self) -> None:
        self.mark = secrets.token_hex(8)
        self.folder = tempfile.mkdtemp(prefix="ps-ray-", dir="/tmp")  # a short path: it holds sockets
        (Path(self.folder) / "ray").mkdir()  # Ray notes the address of its last cluster there, and does not make the folder
        command = [sys.executable, "-c", CLUSTER, self.folder]
        env = {**environment(self.mark), "RAY_TMPDIR": self.folder}
        self.popen = subprocess.Popen(command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.address = self.popen.stdout.readline().strip()  # type: ignore[union-attr]

    def actors(self) -> dict[int, int]:
        """Return the actors that run steps, each with the raylet of its node."""
        return processes(self.mark, "ray::Actor")

    def core(self) -> set[int]:
        """Return the processes that are the cluster: one of its head, one of each node."""
        return {*processes(self.mark, "/gcs_server"), *processes(self.mark, "/raylet")}

    def end(self) -> None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.popen.communicate("", timeout=END_S)
        for pid in processes(self.mark):
            os.kill(pid, signal.SIGKILL)
        shutil.rmtree(self.folder, ignore_errors=True)


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    cluster = Nodes()
    try:
        assert len(cluster.core()) == 3, "the cluster did not start"
        yield cluster
    finally:
        cluster.end()


@pytest.fixture
def servers() -> Iterator[tuple[Mock, Mock]]:
    with Mock("--latency-ms", "20") as a, Mock("--latency-ms", "20") as b:
        yield a, b


class Script:
    """The pipeline script as a process."""

    def __init__(self, *args: object, **variables: str) -> None:
        self.mark = secrets.token_hex(8)
        command = [sys.executable, str(SCRIPT), *map(str, args), "--workers", str(WORKERS)]
        self.popen = subprocess.Popen(
            command, env={**environment(self.mark), **variables}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def end(self, seconds: float = RUN_S) -> tuple[int, str]:
        """Wait for the end and return status and standard error; nothing of it may be left."""
        _, errors = self.popen.communicate(timeout=seconds)
        wait(lambda: not processes(self.mark))
        return self.popen.returncode, errors

    @property
    def driver(self) -> int:
        return next(pid for pid, parent in processes(self.mark).items() if parent == self.popen.pid and os.getpgid(pid) == pid)


def flags(servers: tuple[Mock, Mock], out: Path) -> list[object]:
    urls = [flag for server in servers for flag in ("--base-url", server.url)]
    return ["-n", N, "--max-attempts", 2, "--engine", "server", *urls, "--out", out]


def same(run: Path, other: Path) -> None:
    assert {n: sha256_of(run / n) for n in RESULTS} == {n: sha256_of(other / n) for n in RESULTS}
    assert Run.open(run).damaged() == []


def done(run: Path) -> int:
    try:
        return len(Run.open(run).positions())
    except RunError:
        return 0


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same run in processes of this machine."""
    out = tmp_path_factory.mktemp("plain")
    with Mock() as a, Mock() as b:
        status, errors = Script(*flags((a, b), out)).end()
    assert status in (0, 3), errors
    return out / "psychology-001"


def test_a_run_on_two_nodes_ends_with_the_bytes_of_one_without_ray(
    tmp_path: Path, nodes: Nodes, servers: tuple[Mock, Mock], plain: Path
) -> None:
    before, seen = nodes.core(), set()
    script = Script(*flags(servers, tmp_path), "--ray", nodes.address)
    while script.popen.poll() is None:
        seen |= set(nodes.actors().values())
        time.sleep(0.1)
    status, errors = script.end()
    assert status in (0, 3), errors
    run = tmp_path / "psychology-001"
    same(run, plain)
    assert len(list((run / "shards").glob("*.jsonl"))) == WORKERS
    assert all(path.stat().st_size for path in (run / "shards").glob("*.jsonl")), "one worker had nothing to do"
    assert len(seen) == 2, "the workers were all on one node"
    assert all(server.stats()["answered"] > N for server in servers), "one server had nothing to do"
    assert Ledger(run / "ledger.sqlite", read_only=True).count() == Ledger(plain / "ledger.sqlite", read_only=True).count()
    assert not (run / "branches").exists()
    wait(lambda: not nodes.actors())
    assert before <= nodes.core(), "the cluster was touched"


@pytest.mark.parametrize("victim", ["worker", "driver", "script"])
def test_a_killed_process_ends_the_run_and_leaves_the_cluster_as_it_was(
    tmp_path: Path, nodes: Nodes, servers: tuple[Mock, Mock], plain: Path, victim: str
) -> None:
    before, run = nodes.core(), tmp_path / "psychology-001"
    for server in servers:
        server.pace(latency_ms=200)  # so that there is time to kill it
    script = Script(*flags(servers, tmp_path), "--ray", nodes.address)
    wait(lambda: done(run) > 1, RUN_S)
    pid = {"worker": lambda: next(iter(nodes.actors())), "driver": lambda: script.driver, "script": lambda: script.popen.pid}[victim]()
    os.kill(pid, signal.SIGKILL)
    status, errors = script.end(END_S)
    wait(lambda: not nodes.actors())
    assert before <= nodes.core(), "the cluster was touched"
    kept = done(run)
    assert 1 < kept < N
    if victim == "script":
        assert status == -signal.SIGKILL
    else:
        assert status == 1
        assert f"--resume {run}" in errors
        assert "Traceback" not in errors
    if victim == "worker":
        assert "died" in errors
    for server in servers:
        server.pace(latency_ms=20)
    again = ["--ray", ""] if victim == "script" else []  # off the cluster, once
    status, errors = Script("--resume", run, *again).end()
    assert status in (0, 3), errors
    same(run, plain)
    stats = [server.stats() for server in servers]
    assert sum(s["keys_answered_twice"] for s in stats) <= sum(s["peak_in_flight"] for s in stats), "stored answers were asked for again"


def test_ctrl_c_ends_a_run_on_a_cluster_of_its_own_with_all_of_it(tmp_path: Path, servers: tuple[Mock, Mock], plain: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    own = {"HOME": str(home), "RAY_AUTH_MODE": "", "RAY_AUTH_TOKEN": ""}
    run = tmp_path / "psychology-001"
    script = Script(*flags(servers, tmp_path), "--ray", "local", **own)
    wait(lambda: done(run) > 1, RUN_S)
    os.kill(script.popen.pid, signal.SIGINT)
    status, errors = script.end(END_S)
    assert status == 130, errors
    assert 1 < done(run) < N
    status, errors = Script("--resume", run, "--ray", "local", **own).end()
    assert status in (0, 3), errors
    same(run, plain)
    assert not list(home.rglob("auth_token")), "a key was left in the home folder"


@pytest.mark.parametrize(("address", "told"), [("127.0.0.1:9", "no Ray cluster"), ("ray://127.0.0.1:10001", "has to run on a node")])
def test_an_address_without_a_cluster_is_refused_at_once(tmp_path: Path, servers: tuple[Mock, Mock], address: str, told: str) -> None:
    status, errors = Script(*flags(servers, tmp_path), "--ray", address).end(60)
    assert status == 1
    assert told in errors
    assert "Traceback" not in errors


# ------------------------------------------------------------------------------------------------ without a cluster


def linked(tmp_path: Path, engine: str, *urls: str) -> Run:
    run = Run.create(load_settings(accept=3, out=tmp_path), "test")
    (run.path / "links.json").write_text(Links(generator=Link(engine=engine, model="m", urls=urls)).model_dump_json())  # type: ignore[arg-type]
    return run


def test_what_could_only_wait_or_fail_on_other_nodes_is_refused(tmp_path: Path) -> None:
    from pixel_synth.runs.cluster import check

    far, near = linked(tmp_path, "server", "http://gpu1:8000/v1"), linked(tmp_path, "server", "http://localhost:8000/v1")
    check(far, 4, {"10.0.0.1", "10.0.0.2"}, {"CPU": 4.0})
    check(near, 1, {"10.0.0.1"}, {"CPU": 4.0})
    with pytest.raises(EngineError, match=r"4 workers .* 3 free"):
        check(far, 4, {"10.0.0.1"}, {"CPU": 3.9})
    with pytest.raises(UsageError, match="this machine only"):
        check(near, 1, {"10.0.0.1", "10.0.0.2"}, {"CPU": 4.0})
    with pytest.raises(UsageError, match="transformers"):
        check(linked(tmp_path, "transformers"), 1, {"10.0.0.1"}, {"CPU": 4.0})


def test_a_missing_ray_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    from pixel_synth.runs import cluster

    monkeypatch.setattr(cluster, "find_spec", lambda name: None)
    with pytest.raises(EngineError, match="not installed") as caught:
        cluster.on_ray(None, "auto")  # type: ignore[arg-type]
    assert caught.value.hint == "pip install 'pixel-synth[ray]'"


def test_actors_get_folders_that_do_not_depend_on_where_they_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from pixel_synth.runs.cluster import environment as carried

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PIXEL_KNOWLEDGE_DIR", "packs")
    monkeypatch.setenv("PIXEL_API_KEY", "secret")
    assert carried() == {"PIXEL_KNOWLEDGE_DIR": str(tmp_path / "packs"), "PIXEL_API_KEY": "secret"}
