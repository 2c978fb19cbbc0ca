"""The owner of a vLLM server, with a stand-in program: a tiny web server that takes vLLM's flags."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from pixel_synth.errors import EngineDown, EngineError, UsageError
from pixel_synth.llms import vllm, vllm_log
from pixel_synth.llms.vllm import Options, Server, command_line

STAND_IN = """
import argparse, http.server, os, signal, subprocess, sys, time
p = argparse.ArgumentParser()
p.add_argument("--port", type=int)
p.add_argument("--pids")
p.add_argument("--say", default="")
p.add_argument("--end", type=int)
p.add_argument("--deaf", action="store_true")
p.add_argument("--delay", type=float, default=0)
a, _ = p.parse_known_args()
if a.deaf:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if a.pids:  # one child, and one grandchild whose own parent ends at once
    child = subprocess.Popen(["sleep", "600"])
    orphan = subprocess.run(["sh", "-c", "sleep 600 >&- 2>&- & echo $!"], capture_output=True, text=True).stdout
    with open(a.pids, "w") as file:
        file.write(f"{os.getpid()} {child.pid} {orphan}")
print(a.say, os.environ.get("VLLM_NO_USAGE_STATS"), flush=True)
if a.end is not None:
    sys.exit(a.end)
time.sleep(a.delay)
class Health(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", a.port), Health).serve_forever()
"""


@pytest.fixture
def options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Options]:
    monkeypatch.setattr(vllm, "POLL_S", 0.1)
    program = tmp_path / "stand_in.py"
    program.write_text(STAND_IN)

    def make(*extra: str, start_s: float = 20) -> Options:
        return Options("tiny", extra=extra, command=(sys.executable, "-S", str(program)), start_s=start_s)

    return make


def running(pid: int) -> bool:
    """Whether a process is there and not just waiting to be collected."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def pids(path: Path) -> list[int]:
    return [int(word) for word in path.read_text().split()]


def gone(found: list[int], within_s: float = 3) -> bool:
    deadline = time.monotonic() + within_s
    while any(map(running, found)) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not any(map(running, found))


def test_a_server_runs_inside_the_block_and_not_after_it(options: Callable[..., Options], tmp_path: Path) -> None:
    told: list[tuple[str, float]] = []
    with Server(options("--say", "loading", "--delay", "2"), tmp_path / "vllm.log", lambda *said: told.append(said)) as server:
        assert urllib.request.urlopen(server.base_url.removesuffix("/v1") + "/health", timeout=5).status == 200  # noqa: S310
        assert server.alive()
        assert running(server.pid)
        assert server.ending() == ""
        assert os.getpgid(server.pid) == os.getpgrp(), "ending the run's process group must end the server"
    assert told[-1][0] == "loading 1", "the latest line, and no statistics are sent"
    assert not running(server.pid)
    assert not server.alive()


def test_a_server_that_ends_early_is_told_with_status_log_and_hint(
    options: Callable[..., Options], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "not-for-any-eye")
    (tmp_path / "vllm.log").write_text("ValueError: of an earlier start\n")
    said = "RuntimeError: CUDA out of memory (not-for-any-eye)"
    with pytest.raises(EngineDown) as caught, Server(options("--say", said, "--end", "3"), tmp_path / "vllm.log"):
        pass
    assert "exit status 3" in caught.value.message
    assert "CUDA out of memory (***)" in caught.value.message
    assert "earlier start" not in caught.value.message
    assert "max_model_len" in caught.value.hint


def test_a_server_that_is_never_ready_is_ended(options: Callable[..., Options], tmp_path: Path) -> None:
    server = Server(options("--delay", "600", start_s=0.5), tmp_path / "vllm.log")
    with pytest.raises(EngineDown, match=r"not ready after 0.5 s"), server:
        pass
    assert gone([server.pid])


@pytest.mark.parametrize("flag", ["--deaf", "--polite"])
def test_stopping_ends_every_process_of_the_server_and_no_other(
    options: Callable[..., Options], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flag: str
) -> None:
    monkeypatch.setattr(vllm, "GRACE_S", 0.3)
    found = tmp_path / "pids"
    bystander = subprocess.Popen(["sleep", "600"])
    try:
        with Server(options("--pids", str(found), flag), tmp_path / "vllm.log"):
            assert all(map(running, pids(found)))
        assert gone(pids(found), 0.2)
        assert running(bystander.pid)
    finally:
        bystander.kill()
        bystander.wait()


def test_an_interrupt_while_it_starts_leaves_nothing(options: Callable[..., Options], tmp_path: Path) -> None:
    found = tmp_path / "pids"

    def interrupt(line: str, seconds: float) -> None:
        if line.startswith("started"):  # the stand-in's processes are there by then
            raise KeyboardInterrupt

    server = Server(options("--delay", "600", "--say", "started", "--pids", str(found)), tmp_path / "vllm.log", interrupt)
    with pytest.raises(KeyboardInterrupt), server:
        pass
    assert gone(pids(found))


def test_a_killed_server_is_noticed_and_its_children_end_too(options: Callable[..., Options], tmp_path: Path) -> None:
    found = tmp_path / "pids"
    with Server(options("--pids", str(found)), tmp_path / "vllm.log") as server:
        os.kill(server.pid, signal.SIGKILL)
        assert gone(pids(found))
        deadline = time.monotonic() + 3
        while server.alive() and time.monotonic() < deadline:
            time.sleep(0.02)
        assert "SIGKILL" in server.ending()


def test_nothing_is_left_when_the_owner_is_killed(options: Callable[..., Options], tmp_path: Path) -> None:
    found, log = tmp_path / "pids", tmp_path / "vllm.log"
    served = options("--pids", str(found))
    code = (
        "import sys, time, pathlib; from pixel_synth.llms.vllm import Options, Server\n"
        f"with Server(Options(*{tuple(served)!r}), pathlib.Path({str(log)!r})):\n"
        "    print('ready', flush=True); time.sleep(600)"
    )
    owner = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    with owner.stdout as said:
        assert said.readline() == "ready\n"
    below = pids(found)
    assert all(map(running, below))
    owner.kill()
    owner.wait()
    assert gone(below)


def test_flags_passed_through_replace_ours_and_cannot_move_the_server() -> None:
    line = command_line(
        Options("m", extra=("--no_enable_prefix_caching", "-tp=2", "--dtype=half"), tensor_parallel=4, command=("v",)), 8000
    )
    assert "--enable-prefix-caching" not in line
    assert "--tensor-parallel-size" not in line
    assert "--dtype" not in line
    assert line[:3] == ["v", "--model", "m"]
    assert line[line.index("--served-model-name") + 1] == "m"
    assert command_line(Options("m", command=("vllm", "serve")), 1)[:3] == ["vllm", "serve", "m"]
    with pytest.raises(UsageError, match="--port"):
        command_line(Options("m", extra=("--port=1",), command=("v",)), 8000)


def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="no-such-vllm"), Server(Options("m", command=("no-such-vllm",)), tmp_path / "vllm.log"):
        pass


def test_hidden_gpus_are_the_reason_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vllm.importlib.util, "find_spec", lambda name: object())
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert "CUDA_VISIBLE_DEVICES" in vllm.available()


def test_log_lines_are_told_without_prefix_colour_and_key() -> None:
    line = "\x1b[1m(EngineCore pid=7) ERROR 11-22 17:15:30 [core.py:1512] ValueError: hf_abcdefghijkl is no good"
    assert vllm_log.clean(line) == "ValueError: hf_*** is no good"
    assert vllm_log.secrets(("--hf-token", "abcdefgh", "--some_key=ijklmnop")) >= {"abcdefgh", "ijklmnop"}


def test_the_first_error_is_told_when_the_log_ends_in_others() -> None:
    lines = ["ValueError: the cause", *(f"line {i}" for i in range(30))]
    assert vllm_log.tail(lines).splitlines()[:2] == ["ValueError: the cause", "…"]
    assert len(vllm_log.tail(lines).splitlines()) == vllm_log.TAIL_LINES + 2


def test_what_explains_an_error_is_kept_and_the_traceback_is_not(tmp_path: Path) -> None:
    (tmp_path / "log").write_text(
        'Traceback (most recent call last):\n  File "x.py", line 1, in y\n    raise ValueError\n'
        "pydantic_core.ValidationError: 1 validation error for ModelConfig\n"
        "  Value error, User-specified max_model_len (99999) is greater than the derived max_model_len\n"
        "nanobind: leaked 4 instances!\n"
    )
    lines = vllm_log.read(tmp_path / "log", 0, set())
    assert [line.split()[0] for line in lines] == ["Traceback", "pydantic_core.ValidationError:", "Value"]
    assert "max_model_len" in vllm_log.hint(lines)
    assert vllm_log.read(tmp_path / "nothing", 0, set()) == []
