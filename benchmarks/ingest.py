"""Speed and memory of `pixel-synth ingest` against bare parsers, on the same rows in the same run.

    uv run --group bench python benchmarks/ingest.py            10,000 and 100,000 conversations
    uv run --group bench python benchmarks/ingest.py 10000      one size

Every contender runs in a process of its own; CPU seconds and peak memory are what the system says of that process and its children.
``orjson`` and ``polars`` only parse: no cap on lines, no repeated keys, no roles, no cleaning, no validation, nothing written.
``rows`` is our reader alone, ``ingest`` the whole command: read, check, convert, clean, validate, book, write.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from pixel_synth.draw import Draw

SIZES = (10_000, 100_000)
TURNS, WORDS = 6, 33  # messages of a conversation and words of a message, as in the figures of docs/benchmarks.md
START = """
import json, os, resource, sys, time
from pathlib import Path
path, out, workers = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
"""
END = """
used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
cpu = sum(u.ru_utime + u.ru_stime for u in used)
print(json.dumps({"rows": rows, "cpu_s": cpu, "own_mb": used[0].ru_maxrss / 1024, "child_mb": used[1].ru_maxrss / 1024}))
"""
CONTENDERS = {
    "orjson": "import orjson\nrows = 0\nfor line in path.open('rb'):\n    orjson.loads(line); rows += 1",
    "polars": "import polars\nrows = polars.read_ndjson(path).height",
    "rows": "from pixel_synth.standardise.rows import rows as read\nrows = sum(1 for r in read(path) if r.value)",
    "ingest": """
from pixel_synth.standardise.ingest import ingest
from pixel_synth.standardise.spec import Spec
if __name__ == "__main__":
    rows = ingest([path], out, Spec(source="bench", category="mental_health"), workers=workers).books.kept
""",
}
TITLES = {"rows/CPU-s": 12, "CPU s": 9, "wall s": 9, "peak MB": 9, "a worker": 10, "times orjson": 14, "times polars": 14}
RUNS = (("orjson", 1), ("polars", 1), ("rows", 1), ("ingest", 1), ("ingest", 2))


class Measured(NamedTuple):
    """One contender: rows per second of CPU time, and the largest memory of its processes in MB."""

    per_s: float
    cpu_s: float
    wall_s: float
    own_mb: float
    child_mb: float


def write(path: Path, count: int) -> None:
    """Write conversations of drawn words as lists of messages."""
    words = (Path(__file__).parent / "talks.txt").read_text(encoding="utf-8").split()
    with path.open("w", encoding="utf-8") as file:
        for n in range(count):
            draw = Draw("ingest", n)
            starts = [draw.below(len(words) - WORDS) for _ in range(TURNS)]
            turns = [{"role": ("user", "assistant")[i % 2], "content": " ".join(words[s : s + WORDS])} for i, s in enumerate(starts)]
            file.write(json.dumps({"id": n, "messages": turns}) + "\n")


def measure(name: str, workers: int, path: Path, folder: Path) -> Measured:
    """Run one contender in a fresh process; its script is a file, since worker processes load it again."""
    import time

    script = folder / f"run_{name}.py"
    body = CONTENDERS[name] + END
    if name == "ingest":
        body = CONTENDERS[name] + "".join(f"    {line}\n" for line in END.strip().splitlines())
    script.write_text(START + body, encoding="utf-8")
    began = time.monotonic()
    told = subprocess.run([sys.executable, script, path, folder / "out", str(workers)], check=True, capture_output=True, text=True).stdout
    found = json.loads(told)
    return Measured(found["rows"] / found["cpu_s"], found["cpu_s"], time.monotonic() - began, found["own_mb"], found["child_mb"])


def main() -> None:
    """Print a table for every size, and how time and memory grow."""
    sizes = tuple(map(int, sys.argv[1:])) or SIZES
    kept: dict[int, dict[tuple[str, int], Measured]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for size in sizes:
            path = folder / f"{size}.jsonl"
            write(path, size)
            print(f"\n{size:,} conversations, {path.stat().st_size / 1e6:.0f} MB")
            print(
                f"{'':<18}{'rows/CPU-s':>12}{'CPU s':>9}{'wall s':>9}{'peak MB':>9}{'a worker':>10}{'times orjson':>14}{'times polars':>14}"
            )
            kept[size] = {}
            for run in RUNS:
                m = kept[size][run] = measure(*run, path, folder)
                bare = [kept[size][key].cpu_s for key in (("orjson", 1), ("polars", 1)) if key in kept[size]]
                ratios = "".join(f"{m.cpu_s / cpu:>14.1f}" for cpu in bare)
                label = run[0] + (f", {run[1]} workers" if run[1] > 1 else "")
                child = f"{m.child_mb:.0f}" if run[1] > 1 else ""
                print(f"{label:<18}{m.per_s:>12,.0f}{m.cpu_s:>9.1f}{m.wall_s:>9.1f}{m.own_mb:>9.0f}{child:>10}{ratios}", flush=True)
    if len(sizes) > 1:
        small, large = kept[sizes[0]], kept[sizes[-1]]
        for run in RUNS:
            growth = large[run].cpu_s / small[run].cpu_s
            print(f"{run[0]} {run[1]}: {sizes[-1] / sizes[0]:g} times the rows take {growth:.1f} times the CPU, "
                  f"{large[run].own_mb - small[run].own_mb:+.0f} MB")  # fmt: skip


if __name__ == "__main__":
    main()
