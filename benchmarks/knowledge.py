"""How long it takes to load the knowledge base: read from YAML, and kept by content; each beside plain parsing of the same bytes.

    python benchmarks/knowledge.py [--rounds 5]

Every figure is the smallest of the rounds, each in a process of its own; seconds of `load()` without the interpreter's start.
The peers are PyYAML's C loader on the same files and `json.loads` on the kept file, which only parse and check nothing.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

LOAD = "import time; from pixel_synth.knowledge import load; t = time.perf_counter(); k = load(); print(time.perf_counter() - t)"
YAML = """
import time, yaml
from pixel_synth.knowledge.load import knowledge_dir
texts = [p.read_text() for p in sorted(knowledge_dir().rglob("*.yaml"))]
t = time.perf_counter()
for text in texts:
    yaml.load(text, Loader=yaml.CSafeLoader)
print(time.perf_counter() - t)
"""
JSON = """
import json, sys, time
text = open(sys.argv[1]).read()
t = time.perf_counter()
for pack in json.loads(text):
    json.loads(pack["entries"])
print(time.perf_counter() - t)
"""
HELP = """
import subprocess, sys, time
t = time.perf_counter()
subprocess.run([sys.executable, "-m", "pixel_synth.cli", "--help"], stdout=subprocess.DEVNULL, check=True)
print(time.perf_counter() - t)
"""


def best(code: str, rounds: int, cache: str, *args: str) -> float:
    """Return the smallest time that ``code`` prints over the rounds."""
    env = {**os.environ, "PIXEL_CACHE_DIR": cache}
    runs = [subprocess.run([sys.executable, "-c", code, *args], env=env, capture_output=True, text=True, check=True) for _ in range(rounds)]
    return min(float(run.stdout) for run in runs)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as cache:
        cold = best(LOAD, rounds, "off")
        best(LOAD, 1, cache)
        kept = next(Path(cache).glob("knowledge-*.json"))
        warm = best(LOAD, rounds, cache)
        yaml, json = best(YAML, rounds, "off"), best(JSON, rounds, "off", str(kept))
        size = kept.stat().st_size
    print(f"from YAML   {cold:.3f} s   {cold / yaml:.2f} × PyYAML's C loader alone ({yaml:.3f} s)")
    print(f"kept        {warm:.3f} s   {warm / json:.2f} × json.loads alone ({json:.3f} s), {size / 1e6:.1f} MB")
    print(f"            {cold / warm:.1f} × faster than from YAML")
    print(f"--help      {best(HELP, rounds, 'off'):.3f} s")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
