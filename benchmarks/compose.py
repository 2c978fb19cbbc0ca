"""Cost of composer conversations: rate, peak memory, growth from 1,000 to 10,000, and distilabel's share.

    python benchmarks/compose.py                 1,000 and 10,000 conversations, then distilabel alone on as many rows
    python benchmarks/compose.py --sizes 200 400 a quick look

Each size runs the whole chain (plan, scenario, dialogue, reasoning, ledger, scores, gate, shard) in a fresh process,
one attempt a slot.  ``distilabel alone`` runs a one-step pipeline that passes the same number of rows through in the same
shards; it is the peer that our wide step is held against.  All figures are of this machine and this run.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def compose(n: int) -> dict[str, float]:
    """Run n chains in this process and return seconds, peak memory in MB and the share accepted."""
    from pixel_synth.knowledge import load
    from pixel_synth.llms.ask import Asker, Voice
    from pixel_synth.llms.composer import Composer
    from pixel_synth.llms.ledger import Ledger
    from pixel_synth.plan import make_plan
    from pixel_synth.runs.chain import fill_slot
    from pixel_synth.settings import load_settings

    with tempfile.TemporaryDirectory() as folder:
        settings = load_settings(engine="composer", accept=n, max_attempts=1)
        plan, engine, ledger = make_plan(settings, load()), Composer(), Ledger(Path(folder) / "ledger.sqlite")
        asker = Asker(Voice(engine, "composer"), ledger=ledger)
        began = time.perf_counter()

        async def run() -> int:
            accepted = 0
            with (Path(folder) / "shard.jsonl").open("w") as shard:
                for slot in range(n):
                    outcome = await fill_slot(plan, slot, asker, settings)
                    shard.write(outcome.line() + "\n")
                    accepted += outcome.accepted
            return accepted

        accepted = asyncio.run(run())
        seconds = time.perf_counter() - began
        ledger.close()
    return {"seconds": seconds, "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, "accepted": accepted / n}


def distilabel(n: int) -> dict[str, float]:
    """Pass n rows through a one-step distilabel pipeline and return seconds and peak memory in MB (parent process)."""
    from distilabel.pipeline import Pipeline
    from distilabel.steps import LoadDataFromDicts
    from distilabel.steps.columns.keep import KeepColumns

    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        with Pipeline(name="nothing", cache_dir=Path(folder)) as pipeline:
            shard = max(1, n // 8)
            rows = LoadDataFromDicts(data=[{"slot": i} for i in range(n)], batch_size=shard)
            rows >> KeepColumns(columns=["slot"], input_batch_size=shard)
        pipeline.run(use_cache=False)
        seconds = time.perf_counter() - began
    return {"seconds": seconds, "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def fresh(what: str, n: int) -> dict[str, float]:
    """Run a measurement in a fresh process, so that memory and imports are its own."""
    command = [sys.executable, __file__, "--one", what, str(n)]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    result: dict[str, float] = json.loads(out.strip().splitlines()[-1])
    return result


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 10000])
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        print(json.dumps({"compose": compose, "distilabel": distilabel}[args.one[0]](int(args.one[1]))))
        return
    print(f"{'conversations':>14} {'seconds':>9} {'per s':>8} {'peak MB':>8} {'accepted':>9} {'distilabel alone s':>19} {'its share':>10}")
    seen = []
    for n in args.sizes:
        ours, theirs = fresh("compose", n), fresh("distilabel", n)
        seen.append((n, ours))
        print(f"{n:>14,} {ours['seconds']:>9.1f} {n / ours['seconds']:>8.1f} {ours['peak_mb']:>8.0f} {ours['accepted']:>9.1%} "
              f"{theirs['seconds']:>19.1f} {theirs['seconds'] / (theirs['seconds'] + ours['seconds']):>10.1%}", flush=True)  # fmt: skip
    (small, a), (large, b) = seen[0], seen[-1]
    if large > small:
        time_x, memory_x = b["seconds"] / a["seconds"], b["peak_mb"] / a["peak_mb"]
        print(f"growth {small:,} → {large:,}: rows ×{large / small:.1f}, time ×{time_x:.2f}, memory ×{memory_x:.2f}")


if __name__ == "__main__":
    main()
