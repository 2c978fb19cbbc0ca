"""How much of a server's speed arrives: this toolkit, a bare client and distilabel's OpenAI class on the same requests.

    python benchmarks/engine.py                  against the mock server, at the pace of a GPU server
    python benchmarks/engine.py -n 64 --rounds 1 --without distilabel --without pipeline      a quick look
    python benchmarks/engine.py --vllm -n 12     against a real vLLM that it starts, with a tiny model, on the CPU where there is no GPU
    python benchmarks/engine.py --gpu -n 512     the same on a GPU with a model of 8B shape and invented weights, see engine_vllm.py

The requests of n conversations are recorded once, at no pace.  Then in each round, each against a fresh server of the same pace:

(a) bare       a bare asyncio and aiohttp client sends the recorded requests, all conversations at once and without any limit;
(b) toolkit    the generating step of pipelines/psychology.py makes the same conversations, in one process, with all its books;
    pipeline   the whole script makes them (in the last round only); what it needs before and after is told apart;
(c) distilabel stock tasks and client on the first calls of other n conversations, beside (a) on the same calls.

All figures are the server's: calls a second from the first request to the last answer; idle is the share of its batch that was empty
meanwhile, and idle* the same until less than nine tenths of the batch were taken for the last time (after that the run is ending,
and nobody can fill the server); hits is the share of prompt tokens that it had in its prefix cache.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from pixel_synth.llms.mock import Mock

HERE = Path(__file__).resolve().parent
CONTENDERS, SCRIPT = HERE / "contenders.py", HERE.parent / "pipelines" / "psychology.py"
EVERY_S = 0.1  # between looks at the server
CROWD = 8  # requests in flight by which a run is told from the canary's single ones
SHORTFALL = 3  # exit status of the script when the gate took less than was wanted, as it does with a mock's babble
Sample = dict[str, Any]


class Seen(NamedTuple):
    """What the server saw of one client."""

    calls: int
    seconds: float
    idle: float
    full_s: float
    full_idle: float
    full_rate: float
    hits: float
    before_s: float
    after_s: float
    cpu_ms: float | None

    @property
    def rate(self) -> float:
        """Calls a second."""
        return self.calls / self.seconds


def watched(mock: Mock, command: list[str], batch: int) -> Seen:
    """Run a client and look at the server meanwhile."""
    samples: list[Sample] = []
    over = threading.Event()

    def look() -> None:
        while not over.wait(EVERY_S):
            samples.append({"at": time.monotonic(), **mock.stats()})

    looker = threading.Thread(target=look)
    began = time.monotonic()
    looker.start()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    ended = time.monotonic()
    time.sleep(2 * EVERY_S)
    over.set()
    looker.join()
    if done.returncode not in (0, SHORTFALL):
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout}\n{done.stderr}")
    return seen(samples, batch, began, ended, done.stdout)


def seen(samples: list[Sample], batch: int, began: float, ended: float, said: str) -> Seen:
    """Work out the figures from looks at the server."""
    crowded = next(i for i, s in enumerate(samples) if s["in_flight"] >= CROWD)
    first = max((s for s in samples[:crowded] if not s["in_flight"]), key=lambda s: s["at"], default={**samples[0], "at": began})
    last = next(s for s in samples if s["answered"] == samples[-1]["answered"])
    full = max((s for s in samples if s["running"] >= 0.9 * batch), key=lambda s: s["at"], default=last)
    lines = [line for line in said.splitlines() if line.startswith('{"seconds"')]
    cpu = json.loads(lines[-1])["cpu_s"] if lines else 0.0
    calls = last["answered"] - first["answered"]

    def idle(upto: Sample) -> float:
        return 1 - float((upto["slot_s"] - first["slot_s"]) / batch / (upto["at"] - first["at"]))

    return Seen(
        calls=calls,
        seconds=last["at"] - first["at"],
        idle=idle(last),
        full_s=full["at"] - first["at"],
        full_idle=idle(full),
        full_rate=(full["answered"] - first["answered"]) / (full["at"] - first["at"]),
        hits=(last["tokens_cached"] - first["tokens_cached"]) / (last["tokens_in"] - first["tokens_in"]),
        before_s=first["at"] - began,
        after_s=ended - last["at"],
        cpu_ms=1000 * cpu / calls if cpu else None,
    )


class Bench:
    """The contenders on one recording, and what was seen of each.

    Args:
        args: The command line.
        folder: For recordings and run directories.
    """

    def __init__(self, args: argparse.Namespace, folder: Path) -> None:
        self.args, self.folder, self.calls = args, folder, folder / "calls.jsonl"
        self.all: dict[str, list[Seen]] = {}

    def mock(self, **pace: float) -> Mock:
        """Return a fresh server; a pace left out is none."""
        flags = [f"--{name.replace('_', '-')}={value:g}" for name, value in pace.items()]
        return Mock(f"--length-sigma={self.args.length_sigma:g}", f"--cache-blocks={self.args.cache_blocks}", *flags)

    def client(self, who: str, url: str, n: int, *more: object) -> list[str]:
        """Return the command line of a contender."""
        return [sys.executable, "-W", "ignore", str(CONTENDERS), who, "--url", url, "-n", str(n), *map(str, more)]

    def record(self, n: int) -> int:
        """Record the requests of n conversations; return how many there are."""
        with self.mock() as mock:
            command = self.client("toolkit", mock.url, n, "--out", self.folder, "--record", self.calls)
            subprocess.run(command, check=True, capture_output=True)
        with self.calls.open(encoding="utf-8") as lines:
            return sum(len(json.loads(line)) for line in lines)

    def take(self, name: str, who: str, *more: object, n: int | None = None) -> None:
        """Let one contender run against a fresh server, and print what was seen."""
        a, n = self.args, n or self.args.n
        with self.mock(batch=a.batch, prefill_tps=a.prefill_tps, token_ms=a.token_ms, slowdown=a.slowdown) as mock:
            if who == "pipeline":
                command = [sys.executable, str(SCRIPT), "--engine", "server", "--base-url", mock.url, "-n", str(n), "--max-attempts", "1",
                           "--out", str(self.folder), *map(str, more)]  # fmt: skip
            else:
                command = self.client(who, mock.url, n, *more)
            load = os.getloadavg()[0]
            one = watched(mock, command, a.batch)
        self.all.setdefault(name, []).append(one)
        cpu = f"{one.cpu_ms:8.2f}" if one.cpu_ms else f"{'':8}"
        print(f"{name:26} {one.calls:6} {one.seconds:7.1f} {one.rate:7.1f} {one.idle:6.1%} {one.full_s:7.1f} {one.full_rate:7.1f} "
              f"{one.full_idle:6.1%} {one.hits:6.1%} {cpu} {one.before_s:7.1f} {one.after_s:6.1f} {load:5.1f}", flush=True)  # fmt: skip

    def ratio(self, name: str, to: str) -> None:
        """Print the median rate of one contender as a share of another's."""
        ours, theirs = self.all.get(name), self.all.get(to)
        if ours and theirs:
            whole = median(s.rate for s in ours) / median(s.rate for s in theirs)
            full = median(s.full_rate for s in ours) / median(s.full_rate for s in theirs)
            rounds = f"{len(ours)}:{len(theirs)} rounds"
            print(f"{name} / {to}: {whole:.3f} of the calls a second, {full:.3f} while the server could be full ({rounds})")


def against_mock(args: argparse.Namespace) -> None:
    """Run all contenders in turn and print the table."""
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(args, Path(folder))
        bare, toolkit = "(a) bare", "(b) toolkit"
        most = args.n if "distilabel" in args.without else max(args.n, args.peer_n)
        print(f"mock server: batch {args.batch}, {args.prefill_tps:g} uncached prompt tokens/s a request, {args.token_ms:g} ms a token, "
              f"x{1 + args.slowdown:g} when full, length sigma {args.length_sigma:g}, cache {args.cache_blocks * 16:,} tokens; "
              f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")  # fmt: skip
        print(f"{most} conversations recorded: {bench.record(most):,} calls")
        print(f"{'':26} {'calls':>6} {'seconds':>7} {'calls/s':>7} {'idle':>6} {'full s':>7} {'calls/s':>7} {'idle*':>6} {'hits':>6} "
              f"{'CPU ms':>8} {'before':>7} {'after':>6} {'load':>5}")  # fmt: skip
        for last in [False] * (args.rounds - 1) + [True]:
            bench.take(bare, "bare", "--calls", bench.calls)
            bench.take(toolkit, "toolkit", "--out", folder)
            if last and "pipeline" not in args.without:
                bench.take("(b) whole pipeline", "pipeline")
        if "distilabel" not in args.without:
            calls = ("--calls", bench.calls, "--depth", args.peer_depth)
            bench.take(f"(a) first {args.peer_depth} calls", "bare", *calls, n=args.peer_n)
            for batch in args.peer_batch:
                bench.take(f"(c) distilabel, batch {batch}", "distilabel", *calls, "--batch", batch, n=args.peer_n)
        bench.ratio(toolkit, bare)
        bench.ratio("(b) whole pipeline", bare)
        for batch in args.peer_batch:
            bench.ratio(f"(c) distilabel, batch {batch}", f"(a) first {args.peer_depth} calls")


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", type=int, default=192, help="conversations (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="of (a) and (b) in turn (%(default)s)")
    parser.add_argument("--without", action="append", default=[], choices=("pipeline", "distilabel"), help="leave one out; repeatable")
    pace = parser.add_argument_group("pace of the mock server").add_argument
    pace("--batch", type=int, default=64, help="requests at work at once (%(default)s)")
    pace("--prefill-tps", type=float, default=8000, help="uncached prompt tokens a second, of each request (%(default)s)")
    pace("--token-ms", type=float, default=4, help="milliseconds a token in an empty batch (%(default)s)")
    pace("--slowdown", type=float, default=0.5, help="a full batch takes 1+X times as long a token (%(default)s)")
    pace("--length-sigma", type=float, default=0.6, help="spread of the answers' length, of the logarithm (%(default)s)")
    pace("--cache-blocks", type=int, default=65536, help="prefix cache in blocks of 16 tokens (%(default)s)")
    peer = parser.add_argument_group("distilabel").add_argument
    peer("--peer-n", type=int, default=512, help="conversations (%(default)s)")
    peer("--peer-depth", type=int, default=6, help="calls of each: steps of its pipeline, a process each (%(default)s)")
    peer("--peer-batch", type=int, nargs="+", default=[50, 256], help="its input_batch_size (50 256)")
    real = parser.add_argument_group("a real vLLM").add_argument
    real("--vllm", action="store_true", help="start one instead of the mock, with a tiny model of random weights")
    real("--gpu", action="store_true", help="the same with a model of 8B shape, for a machine with a GPU")
    real("--model-config", type=Path, metavar="DIR", help="the same with the shape of this folder's config.json, and its tokenizer")
    real("--vllm-arg", action="append", default=[], metavar="FLAG", help="further flag, e.g. --vllm-arg=--max-num-seqs=128; repeatable")
    real("--keep-log", action="store_true", help="keep the server's log as ./engine-vllm.log")
    args = parser.parse_args()
    if args.vllm or args.gpu or args.model_config:
        from engine_vllm import against_vllm

        against_vllm(args)
    else:
        against_mock(args)


if __name__ == "__main__":
    main()
