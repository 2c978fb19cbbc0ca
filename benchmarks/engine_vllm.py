"""The part of `engine.py` that needs a real vLLM: the same conversations by this toolkit and by a bare client, on one server.

The toolkit makes n conversations once (recorded, not counted: the server compiles its grammars then).  In each round, in turn and
each after the prefix cache was emptied: the bare client with all recorded requests at once, as ``vllm bench`` sends them; the bare
client with the requests of each conversation one after the other; and the toolkit.

The model has random weights.  Without a GPU it is the tiny one of tests/tiny_model.py, served on the CPU; with ``--gpu`` it has the
shape of an 8B Llama 3 (32 layers of 4,096; the numbers are its published configuration) or the one of ``--model-config``, its weights
invented by vLLM's ``--load-format dummy``.  Random weights answer schema-valid nonsense at a real model's cost.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import runpy
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple
from urllib.parse import urlsplit

from pixel_synth.llms.vllm import Options, Server, available
from pixel_synth.runs.gauge import counters

HERE = Path(__file__).resolve().parent
TINY = HERE.parent / "tests" / "tiny_model.py"
# What the CPU build needs; a seeded prompt that is cut into chunks ends its engine.
ON_CPU = ("--gpu-memory-utilization", "0.2", "--enforce-eager", "--no-enable-chunked-prefill", "--max-num-batched-tokens", "32768")
CONTEXT = 16384
LLAMA_3_8B = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "torch_dtype": "bfloat16",
    "hidden_act": "silu",
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "rms_norm_eps": 1e-5,
    "rope_theta": 500000.0,
    "vocab_size": 128256,
    "max_position_embeddings": CONTEXT,  # published with 8,192; a session with its reasoning needs more
    "tie_word_embeddings": False,
    "bos_token_id": None,
}


class Ran(NamedTuple):
    """One client's run."""

    calls: float
    seconds: float
    tokens: float
    hits: float

    @property
    def rate(self) -> float:
        """Calls a second."""
        return self.calls / self.seconds


def shaped(folder: Path) -> Path:
    """Write a model folder of the 8B shape without weights; its tokenizer is the tests' own, which is smaller than the vocabulary."""
    fast = runpy.run_path(str(TINY))["tokenizer"](CONTEXT)
    fast.save_pretrained(folder)
    config = LLAMA_3_8B | {"eos_token_id": fast.eos_token_id, "pad_token_id": fast.pad_token_id}
    (folder / "config.json").write_text(json.dumps(config, indent=2), encoding="utf-8")
    return folder


def options(args: argparse.Namespace, folder: Path) -> Options:
    """Return what is served."""
    if args.gpu or args.model_config:
        model, flags = args.model_config or shaped(folder), ["--load-format", "dummy"]
    else:
        model, flags = folder, []
        subprocess.run([sys.executable, str(TINY), str(folder), "--max-positions", str(CONTEXT)], check=True, capture_output=True)
    if available():
        os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")  # GiB
        flags += ON_CPU
    os.environ["VLLM_SERVER_DEV_MODE"] = "1"  # for /reset_prefix_cache
    return Options(model=str(model), extra=(*flags, *args.vllm_arg))


def ask(url: str, method: str, path: str) -> str:
    """Ask the server for one of its own pages.

    Raises:
        SystemExit: When it answers anything but 200.
    """
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
    try:
        connection.request(method, path)
        response = connection.getresponse()
        page = response.read().decode()
    finally:
        connection.close()
    if response.status != 200:
        raise SystemExit(f"{method} {path}: {response.status} {page[:200]}")
    return page


def ran(url: str, who: str, n: int, *more: object) -> Ran:
    """Empty the prefix cache and let one client run."""
    ask(url, "POST", "/reset_prefix_cache")
    before = counters(ask(url, "GET", "/metrics"))
    command = [sys.executable, "-W", "ignore", str(HERE / "contenders.py"), who, "--url", url, "-n", str(n), *map(str, more)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout}\n{done.stderr}")
    said = json.loads(next(line for line in done.stdout.splitlines() if line.startswith('{"seconds"')))
    after = counters(ask(url, "GET", "/metrics"))
    grown = {name: after[name] - before[name] for name in ("generated_tokens", "prefix_hits", "prefix_queries")}
    return Ran(said["calls"], said["seconds"], grown["generated_tokens"], grown["prefix_hits"] / max(1.0, grown["prefix_queries"]))


def rounds(args: argparse.Namespace, url: str, folder: Path) -> dict[str, list[Ran]]:
    """Let the clients run in turn, each round in another order, and print each run."""
    calls = folder / "calls.jsonl"
    clients: list[tuple[str, str, Sequence[object]]] = [
        ("bare, all calls at once", "bare", ("--calls", calls, "--order", "all")),
        ("bare, calls in order", "bare", ("--calls", calls)),
        ("toolkit", "toolkit", ("--out", folder)),
    ]
    first = ran(url, "toolkit", args.n, "--out", folder, "--record", calls)
    print(f"{args.n} conversations recorded: {first.calls:,.0f} calls, {first.tokens:,.0f} tokens, {first.seconds:.0f} s, not counted")
    print(f"{'':26} {'calls':>6} {'seconds':>8} {'calls/s':>8} {'tokens/s':>9} {'hits':>6} {'load':>5}")
    found: dict[str, list[Ran]] = {name: [] for name, _, _ in clients}
    for number in range(args.rounds):
        for name, who, more in clients[number % 3 :] + clients[: number % 3]:
            load = os.getloadavg()[0]
            one = ran(url, who, args.n, *more)
            found[name].append(one)
            speed = one.tokens / one.seconds
            print(f"{name:26} {one.calls:6.0f} {one.seconds:8.1f} {one.rate:8.2f} {speed:9.0f} {one.hits:6.1%} {load:5.1f}", flush=True)
    return found


def against_vllm(args: argparse.Namespace) -> None:
    """Start the server, run all clients in turn and print the table."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        served = options(args, folder / "model")
        print(
            f"vLLM: {'GPU' if not available() else f'CPU ({available()})'}, {os.cpu_count()} cores, flags {' '.join(served.extra)}",
            flush=True,
        )
        with Server(served, Path("engine-vllm.log") if args.keep_log else folder / "server.log") as server:
            print(f"version {json.loads(ask(server.base_url, 'GET', '/version'))['version']}")
            found = rounds(args, server.base_url, folder)
    ours = found.pop("toolkit")
    for name, theirs in found.items():
        calls = median(o.rate for o in ours) / median(t.rate for t in theirs)
        tokens = median(o.tokens / o.seconds for o in ours) / median(t.tokens / t.seconds for t in theirs)
        print(f"toolkit / {name}: {calls:.3f} of the calls a second, {tokens:.3f} of the tokens a second ({len(ours)} rounds)")
