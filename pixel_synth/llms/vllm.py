"""One vLLM server of our own: started for a run, watched, and ended with it.

The server is a child of this process (behind `llms.guard`, in this process group) on a free loopback port; its output
goes to a log file.  Nothing is imported from vLLM: the program is run, so it may live in an environment of its own.
"""

from __future__ import annotations

import http.client
import importlib.metadata
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from pixel_synth.errors import EngineDown, EngineError, UsageError
from pixel_synth.llms import guard, vllm_log

HOST = "127.0.0.1"
POLL_S, REPORT_S, GRACE_S = 0.5, 1.0, 15.0
# Guidance without whitespace is the constraint whose answers are valid JSON in every case measured; the request cannot choose it.
STRUCTURED = '{"backend": "guidance", "disable_any_whitespace": true}'
_OURS = ("--host", "--port", "--uds", "--api-key")
_SHORT = {"-tp": "--tensor-parallel-size", "-dp": "--data-parallel-size", "-q": "--quantization"}

Report = Callable[[str, float], None]


class Options(NamedTuple):
    """What is served, and how.

    Args:
        model: Folder or hub name; clients ask for it by the same name.
        dtype: Number format of the weights, as vLLM names it.
        tensor_parallel: GPUs that share one copy of the model.
        data_parallel: Copies of the model behind the one port.
        max_model_len: Context in tokens; 0 = the model's own.
        prefix_caching: Keep the attention of shared beginnings of prompts.
        quantization: vLLM's name of a quantization; "" = the checkpoint's own.
        extra: Flags passed through; they win over the ones set here.
        command: Program and arguments in place of vLLM's own; () = the vLLM of this environment.
        start_s: How long the start may take, in seconds.
    """

    model: str
    dtype: str = "auto"
    tensor_parallel: int = 1
    data_parallel: int = 1
    max_model_len: int = 0
    prefix_caching: bool = True
    quantization: str = ""
    extra: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    start_s: float = 1800


def available() -> str:
    """Return "" when vLLM can be started here on a GPU, else the reason why not.  Quick; imports nothing of vLLM."""
    if importlib.util.find_spec("vllm") is None:
        return "vLLM is not installed"
    if os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):
        return "CUDA_VISIBLE_DEVICES hides every GPU"
    if smi := shutil.which("nvidia-smi"):
        try:
            listed = subprocess.run([smi, "-L"], capture_output=True, text=True, timeout=10, check=False)  # noqa: S603
        except (OSError, subprocess.TimeoutExpired):
            return "nvidia-smi does not answer"
        return "" if "GPU" in listed.stdout else "nvidia-smi lists no GPU"
    return "" if Path("/dev/nvidia0").exists() else "no NVIDIA GPU was found"


def command_line(options: Options, port: int) -> list[str]:
    """Return the program and arguments that serve a model on a loopback port.

    Raises:
        UsageError: When a flag passed through would take the server out of our reach.
        EngineError: When no vLLM is installed and no other program is named.
    """
    given = {_name(flag) for flag in options.extra if flag.startswith("-")}
    if taken := sorted(given.intersection(_OURS)):
        raise UsageError(f"{taken[0]} cannot be passed to vLLM: the run chooses it", hint="start the server yourself, and give its URL")
    flags = {
        "--host": [HOST],
        "--port": [str(port)],
        "--served-model-name": [options.model],
        "--dtype": [options.dtype],
        "--tensor-parallel-size": [str(options.tensor_parallel)] if options.tensor_parallel > 1 else None,
        "--data-parallel-size": [str(options.data_parallel)] if options.data_parallel > 1 else None,
        "--max-model-len": [str(options.max_model_len)] if options.max_model_len else None,
        "--quantization": [options.quantization] if options.quantization else None,
        "--enable-prefix-caching" if options.prefix_caching else "--no-enable-prefix-caching": [],
        "--structured-outputs-config": [STRUCTURED],
        "--enable-prompt-tokens-details": [],
        "--disable-uvicorn-access-log": [],
    }
    ours = [word for flag, values in flags.items() if values is not None and _name(flag) not in given for word in (flag, *values)]
    return [*_program(options), *ours, *options.extra]


def _name(flag: str) -> str:
    """Return a flag's one long name: without value, sub-key, negation, and with hyphens."""
    bare = flag.partition("=")[0].partition(".")[0].replace("_", "-")
    bare = _SHORT.get(bare, bare)
    return f"--{bare.removeprefix('--no-')}" if bare.startswith("--no-") else bare


def _program(options: Options) -> list[str]:
    """Return the program with the model as its first argument."""
    program = list(options.command)
    if not program:
        if importlib.util.find_spec("vllm") is None:
            raise EngineError("vLLM is not installed", hint="pip install 'pixel-synth[vllm]'")
        script = Path(sys.executable).parent / "vllm"
        # The script reads the metadata of a distribution called vllm; builds under another name have only the module.
        own = any(d.metadata["Name"] == "vllm" for d in importlib.metadata.distributions(name="vllm"))
        program = [str(script), "serve"] if own and script.exists() else [sys.executable, "-m", "vllm.entrypoints.openai.api_server"]
    return [*program, options.model] if program[-1] == "serve" else [*program, "--model", options.model]


class Server:
    """A running server; a context manager that ends it whatever happens.

    Args:
        options: What is served.
        log_path: The server's output is added to this file.
        report: Called while it starts, at most once a second, with the latest line of the log and the seconds since the start.
    """

    def __init__(self, options: Options, log_path: Path, report: Report | None = None) -> None:
        self.options, self.log_path, self.report = options, log_path, report
        self.base_url, self.pid = "", 0
        self._guard: subprocess.Popen[str] | None = None
        self._log_start, self._hidden = 0, vllm_log.secrets(options.extra)

    def __enter__(self) -> Self:
        """Start the server and wait until it answers.

        Raises:
            EngineDown: When it ends before it answers, or needs longer than ``start_s``.
            EngineError, UsageError: See `command_line`.
        """
        port = _free_port()
        command = command_line(self.options, port)
        if shutil.which(command[0]) is None:
            raise EngineError(f"cannot start {command[0]!r}: no such program", hint="pip install 'pixel-synth[vllm]'")
        try:
            self._spawn(command)
            self._wait(port)
        except BaseException:
            self._stop()
            raise
        self.base_url = f"http://{HOST}:{port}/v1"
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stop()

    def alive(self) -> bool:
        """Return whether the server's process is still there."""
        return self._guard is not None and self._guard.poll() is None

    def ending(self) -> str:
        """Return how the server ended, with the end of its log; "" while it runs."""
        if self.alive() or self._guard is None:
            return ""
        said = vllm_log.tail(self._said())
        return f"{_status(self._guard.returncode)}; the end of {self.log_path}:\n{said}" if said else _status(self._guard.returncode)

    def _said(self) -> list[str]:
        return vllm_log.read(self.log_path, self._log_start, self._hidden)

    def _spawn(self, command: list[str]) -> None:
        """Start the guard, and learn the server's process id from it."""
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        # No statistics are sent anywhere; a key demanded of loopback clients would only shut ourselves out.
        env = {k: v for k, v in os.environ.items() if k != "VLLM_API_KEY"} | {"VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"}
        watched = [sys.executable, "-I", "-S", guard.__file__, str(os.getpid()), str(GRACE_S), *command]
        with self.log_path.open("ab") as log:
            self._log_start = log.tell()
            self._guard = subprocess.Popen(  # noqa: S603 - the user's own command line
                watched, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, env=env, text=True
            )
        if self._guard.stdout is not None:
            with self._guard.stdout as told:
                self.pid = int(told.readline() or 0)

    def _wait(self, port: int) -> None:
        """Wait until the server is healthy."""
        begun = told = time.monotonic()
        while not _healthy(port):
            seconds = time.monotonic() - begun
            if not self.alive():
                raise EngineDown(f"vLLM ended before it was ready: {self.ending()}", hint=vllm_log.hint(self._said()), kind="unreachable")
            if seconds > self.options.start_s:
                said = vllm_log.tail(self._said())
                raise EngineDown(
                    f"vLLM was not ready after {self.options.start_s:g} s; the end of {self.log_path}:\n{said}",
                    hint="a large model may need longer: the setting start_s",
                    kind="timeout",
                )
            if self.report and time.monotonic() - told >= REPORT_S:
                told = time.monotonic()
                self.report(next(reversed(self._said()), "starting"), seconds)
            time.sleep(POLL_S)
        if not self.alive():  # whoever answered, it was not ours
            raise EngineDown(f"vLLM ended: {self.ending()}", hint=vllm_log.hint(self._said()), kind="unreachable")

    def _stop(self) -> None:
        """End the server and all its processes; the guard allows it `GRACE_S` for an orderly end."""
        if self._guard is None:
            return
        self._guard.terminate()
        try:
            self._guard.wait(GRACE_S + guard.KILL_S + 5)
        except subprocess.TimeoutExpired:
            self._guard.kill()
            self._guard.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _healthy(port: int) -> bool:
    """Ask for /health, past any proxy of the environment."""
    connection = http.client.HTTPConnection(HOST, port, timeout=2)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _status(code: int) -> str:
    """Return an exit status in words; the guard tells signals as 128 + number, as shells do."""
    number = -code if code < 0 else code - 128
    if number in {s.value for s in signal.Signals}:
        return f"ended by {signal.Signals(number).name}"
    return f"exit status {code}"
