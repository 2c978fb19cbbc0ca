"""Cost of the data side: a dataset made by pipelines/dataset.py from a corpus with planted duplicates, stage by stage, and its growth.

    python benchmarks/data.py                         10,000 conversations, then 100,000
    python benchmarks/data.py --sizes 10000 100000 400000
    python benchmarks/data.py --sizes 2000            a quick look

The corpus: stretches of six turns of composed sessions, with some words of their own in every turn, so that scorers have something to
read; a tenth are exact copies of others and a tenth near copies (a word changed), both known.  Categories are dealt in the ratios of the
mix.  Every stage prints wall clock, CPU (with its processes), the peak resident memory of the process tree, and records a
CPU-second; growth is the ratio between two sizes.  Reading alone is held against bare orjson in the same run.
All figures are of this machine and this run.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
CATEGORIES = ("psychology",) * 6 + ("voice",) * 5 + ("mental_health",) * 4 + ("reasoning",) * 3 + ("personality",) * 2
TURNS, SESSIONS = 6, 150
EXACT, NEAR = 0.1, 0.1


def windows() -> list[list[str]]:
    """Return all stretches of six turns, client first, of composed sessions."""
    from pixel_synth.curate.gate import settle
    from pixel_synth.knowledge import load
    from pixel_synth.llms.ask import Asker, Voice
    from pixel_synth.llms.composer import Composer
    from pixel_synth.plan import make_plan
    from pixel_synth.runs.chain import write
    from pixel_synth.settings import load_settings

    settings = load_settings(engine="composer", accept=SESSIONS, max_attempts=1, risks=("none",), risk_shares={"none": 1.0})
    gate = settle(settings)
    plan, asker = make_plan(settings, load()), Asker(Voice(Composer(), "composer"))
    found: list[list[str]] = []
    for slot in range(SESSIONS):
        conversation, _ = asyncio.run(write(plan.blueprint(slot), plan.knowledge, asker, settings, gate))
        said = [m.content for m in conversation.messages]
        found += [said[at : at + TURNS] for at in range(0, len(said) - TURNS + 1, 2)]
    return found


def corpus(n: int, path: Path, said: list[list[str]]) -> tuple[int, int]:
    """Write ``n`` conversations; return how many exact and near copies are among them."""
    from pixel_synth.draw import Draw

    words = sorted({w for turns in said for t in turns for w in t.split()})
    exact, near = int(n * EXACT), int(n * NEAR)
    fresh = n - exact - near
    draw = Draw("benchmark", n)

    def fresh_one(i: int) -> list[str]:
        own = Draw("conversation", i)
        turns = []
        for said_here in own.pick(said):
            text = said_here.split()
            for _ in range(6):  # words of its own in every turn: no two conversations are near by chance
                text.insert(own.below(len(text) + 1), own.pick(words))
            turns.append(" ".join(text))
        return turns

    def line(i: int, category: str, turns: list[str]) -> str:
        messages = [{"role": "user" if t % 2 == 0 else "assistant", "content": text} for t, text in enumerate(turns)]
        provenance = {"engine": "human", "model": "", "toolkit": "", "seed": 0, "source": f"made-{category}", "license": "CC0-1.0"}
        return json.dumps({"id": f"c{i:07d}", "category": category, "messages": messages, "provenance": provenance})

    with path.open("w", encoding="utf-8") as out:
        for i in range(n):
            if i < fresh:
                turns = fresh_one(i)
            else:
                turns = fresh_one(draw.below(fresh))
                if i >= fresh + exact:
                    at = draw.below(TURNS)
                    text = turns[at].split()
                    text[draw.below(len(text))] = draw.pick(words)
                    turns[at] = " ".join(text)
            out.write(line(i, CATEGORIES[i % len(CATEGORIES)], turns) + "\n")
    return exact, near


def bare(path: Path) -> float:
    """Return the CPU seconds of parsing the file with orjson and nothing else."""
    import orjson

    began = time.process_time()
    with path.open("rb") as file:
        for line in file:
            orjson.loads(line)
    return time.process_time() - began


def measure(n: int, folder: Path, said: list[list[str]], workers: int) -> dict[str, Any]:
    """Make a dataset of ``n`` conversations and return what its stages say of themselves."""
    path = folder / f"corpus-{n}.jsonl"
    exact, near = corpus(n, path, said)
    command = [sys.executable, str(ROOT / "pipelines" / "dataset.py"), "--input", str(path), "--out", str(folder / f"runs-{n}"),
               "--total", str(n // 4), "--when-short", "shrink", "--workers", str(workers), "--unscored"]  # fmt: skip
    began = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wall = time.monotonic() - began
    runs = sorted((folder / f"runs-{n}").glob("dataset-*/stages/*/stage.json"))
    if done.returncode not in (0, 1, 3) or not runs:
        sys.exit(f"{' '.join(command)} ended with {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    stages = [json.loads(p.read_text(encoding="utf-8")) for p in runs]
    return {"n": n, "bytes": path.stat().st_size, "exact": exact, "near": near, "orjson_s": bare(path), "wall_s": wall, "stages": stages}


def show(found: dict[str, Any]) -> None:
    """Print the table of one size."""
    n = found["n"]
    print(f"\n{n:,} conversations, {found['bytes'] / 1e6:.0f} MB, {found['exact']:,} exact and {found['near']:,} near copies planted")
    print(f"{'stage':<18}{'wall s':>9}{'CPU s':>9}{'peak MB':>9}{'records/CPU-s':>15}   books")
    for s in found["stages"]:
        books = s["books"]
        taken = books["kept"] + books["rejected"] + books["failed"]
        rate = f"{taken / s['cpu_s']:,.0f}" if s["cpu_s"] else "-"
        print(f"{s['name']:<18}{s['wall_s']:>9.1f}{s['cpu_s']:>9.1f}{s['peak_mb']:>9.0f}{rate:>15}   "
              f"{taken:,} = {books['kept']:,} + {books['rejected']:,} + {books['failed']:,}")  # fmt: skip
    first = found["stages"][0]["cpu_s"] / found["orjson_s"]
    cpu = sum(s["cpu_s"] for s in found["stages"])
    print(f"{'all':<18}{found['wall_s']:>9.1f}{cpu:>9.1f}{max(s['peak_mb'] for s in found['stages']):>9.0f}{n / cpu:>15,.0f}")
    print(f"bare orjson reads the corpus in {found['orjson_s']:.2f} CPU-s; the first stage takes {first:.1f} times that")


def growth(before: dict[str, Any], after: dict[str, Any]) -> None:
    """Print how time and memory of each stage grow between two sizes."""
    print(f"\ngrowth {before['n']:,} -> {after['n']:,} (x{after['n'] / before['n']:.1f}):  CPU, peak memory")
    for a, b in zip(before["stages"], after["stages"], strict=True):
        cpu = f"x{b['cpu_s'] / a['cpu_s']:.1f}" if a["cpu_s"] else "-"
        print(f"  {a['name']:<18}{cpu:>8}  x{b['peak_mb'] / a['peak_mb']:.1f}")


def main() -> None:
    """Measure the sizes asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000], metavar="N")
    parser.add_argument("--workers", type=int, default=2, metavar="W")
    args = parser.parse_args()
    said = windows()
    found: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        for n in args.sizes:
            found.append(measure(n, Path(folder), said, args.workers))
            show(found[-1])
    for before, after in itertools.pairwise(found):
        growth(before, after)


if __name__ == "__main__":
    main()
