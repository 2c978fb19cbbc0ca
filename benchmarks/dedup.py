"""How fast and how right is de-duplication beside datatrove's and datasketch's, on one corpus in one run?

    uv pip install --group bench
    python benchmarks/dedup.py --rows 10000
    python benchmarks/dedup.py --rows 400000 --only ours

The corpus is conversation-like: six turns of about 33 words, drawn from 30,000 made-up words with Zipf weights.  Of the rows, 10% are
exact copies, 10% copies with replaced words whose 5-word Jaccard similarity to their original is 0.8 or more, and 5% such copies
with a similarity of 0.5 to 0.8, which are no duplicates; each similarity is computed from the sets of word runs themselves, and no
two copies have the same original.  Each tool runs in a process of its own; CPU-seconds are those of it and its children, imports
and reading included.  Peers read bare ``{"id", "text"}`` lines, ours whole conversation records.

Found is judged by what is removed: recall is the share of true pairs of which a record went, precision the share of removed records
that have a true duplicate which stays.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

TURNS, WORDS, VOCABULARY = 6, 33, 30_000
EXACT, NEAR, FAR = 0.10, 0.10, 0.05
LEAST = 0.8
TOOLS = ("ours", "datasketch-xxh32", "datasketch-sha1", "datatrove")
PERMUTATIONS = 128


class Truth(NamedTuple):
    """Pairs of ids that are duplicates, and how many of them are exact."""

    pairs: list[tuple[str, str]]
    exact: int


class Measured(NamedTuple):
    """What one tool took, and how right it was."""

    cpu_s: float
    wall_s: float
    peak_mb: float
    removed: int
    recall: float
    precision: float


def similarity(a: list[str], b: list[str]) -> float:
    """Return the Jaccard similarity of the 5-word runs of two texts, from the sets themselves."""
    x, y = ({tuple(w[i : i + 5]) for i in range(len(w) - 4)} for w in (a, b))
    return len(x & y) / len(x | y)


def edited(words: list[str], rng: np.random.Generator, vocabulary: list[str], low: float, high: float) -> list[str]:
    """Return a copy with words replaced one by one until its similarity to the original lies in [low, high)."""
    while True:
        copy = list(words)
        aim = rng.uniform(low, high)
        while (now := similarity(words, copy)) >= aim:
            last = now, list(copy)
            copy[int(rng.integers(len(copy)))] = vocabulary[int(rng.integers(len(vocabulary)))]
        if last[0] < high and last[1] != words:
            return last[1]
        if low <= now < high:
            return copy


def texts(rows: int, seed: int) -> Iterator[tuple[str, list[str], str]]:
    """Yield id, words and what the row is: an original, or a copy of the id after the colon."""
    rng = np.random.default_rng(seed)
    vocabulary = ["".join(rng.choice(list("aeioubcdfghklmnprstvw"), size=rng.integers(2, 11))) for _ in range(VOCABULARY)]
    weights = 1 / (np.arange(VOCABULARY) + 2.7)
    running = np.cumsum(weights / weights.sum())
    running[-1] = 1.0
    copies = {kind: int(rows * share) for kind, share in (("exact", EXACT), ("near", NEAR), ("far", FAR))}
    originals = rows - sum(copies.values())
    step = originals // sum(copies.values())
    kinds = [kind for kind, n in copies.items() for _ in range(n)]
    order = rng.permutation(len(kinds))
    done = 0
    for i in range(originals):
        n = max(int(rng.normal(TURNS * WORDS, 30)), 60)
        words = [vocabulary[w] for w in np.searchsorted(running, rng.random(n), side="right")]
        yield f"o{i}", words, "original"
        if i % step == 0 and done < len(kinds):
            kind = kinds[order[done]]
            bounds = {"near": (LEAST, 1.0), "far": (0.5, LEAST - 0.005)}
            yield f"c{done}", edited(words, rng, vocabulary, *bounds[kind]) if kind in bounds else words, f"{kind}:o{i}"
            done += 1


def make(folder: Path, rows: int, seed: int) -> Truth:
    """Write the corpus twice, as records and as bare texts, and return the true pairs."""
    from pixel_synth.records import Conversation, Message, Provenance

    pairs, exact = [], 0
    provenance = Provenance(engine="benchmark", model="", toolkit="", seed=seed, source="benchmark")
    with (folder / "records.jsonl").open("w") as records, (folder / "texts.jsonl").open("w") as bare:
        for id, words, kind in texts(rows, seed):
            turns = [" ".join(words[len(words) * t // TURNS : len(words) * (t + 1) // TURNS]) for t in range(TURNS)]
            messages = tuple(Message(role="assistant" if t % 2 else "user", content=turn) for t, turn in enumerate(turns))
            records.write(Conversation(id=id, category="psychology", messages=messages, provenance=provenance).line() + "\n")
            bare.write(json.dumps({"id": id, "text": " ".join(words)}) + "\n")
            if kind.startswith(("exact", "near")):
                pairs.append((kind.partition(":")[2], id))
                exact += kind.startswith("exact")
    return Truth(pairs, exact)


def ours(folder: Path, workers: int) -> list[str]:
    """Return the ids that our stage removes."""
    from pixel_synth.curate.dedup import deduplicate

    deduplicate([folder / "records.jsonl"], folder / "ours", jaccard=LEAST, workers=workers)
    with (folder / "ours" / "rejects.jsonl").open() as file:
        return [json.loads(line)["id"] for line in file]


def datasketch(folder: Path, hashing: str) -> list[str]:
    """Return the ids that datasketch's index calls near an earlier row, after the check of the estimated similarity."""
    import xxhash
    from datasketch import MinHash, MinHashLSH

    own: dict[str, Any] = {} if hashing == "sha1" else {"hashfunc": lambda b: xxhash.xxh32_intdigest(b)}
    index, removed = MinHashLSH(threshold=LEAST, num_perm=PERMUTATIONS, params=(32, 4)), list[str]()
    kept: dict[str, Any] = {}
    with (folder / "texts.jsonl").open() as file:
        for line in file:
            row = json.loads(line)
            words = row["text"].lower().split()
            sketch = MinHash(num_perm=PERMUTATIONS, **own)
            sketch.update_batch(list({" ".join(words[i : i + 5]).encode() for i in range(len(words) - 4)}))
            if any(kept[other].jaccard(sketch) >= LEAST for other in index.query(sketch)):
                removed.append(row["id"])
                continue
            kept[row["id"]] = sketch
            index.insert(row["id"], sketch, check_duplication=False)
    return removed


def datatrove(folder: Path) -> list[str]:
    """Return the ids that datatrove's four-step pipeline removes, with its defaults but for 5-grams."""
    from datatrove.executor import LocalPipelineExecutor
    from datatrove.pipeline.dedup import MinhashDedupCluster, MinhashDedupFilter, MinhashDedupSignature
    from datatrove.pipeline.dedup.minhash import MinhashConfig, MinhashDedupBuckets
    from datatrove.pipeline.readers import JsonlReader
    from datatrove.pipeline.writers import JsonlWriter

    config, base, out = MinhashConfig(n_grams=5), str(folder / "trove"), str(folder / "trove" / "removed")
    read = JsonlReader(str(folder), glob_pattern="texts.jsonl")
    steps: list[tuple[list[Any], int]] = [
        ([read, MinhashDedupSignature(output_folder=f"{base}/signatures", config=config)], 1),
        ([MinhashDedupBuckets(input_folder=f"{base}/signatures", output_folder=f"{base}/buckets", config=config)], config.num_buckets),
        ([MinhashDedupCluster(input_folder=f"{base}/buckets", output_folder=f"{base}/ids", config=config)], 1),
        ([read, MinhashDedupFilter(input_folder=f"{base}/ids", exclusion_writer=JsonlWriter(out, compression=None))], 1),
    ]
    for n, (pipeline, tasks) in enumerate(steps):
        LocalPipelineExecutor(pipeline, tasks=tasks, workers=1, logging_dir=f"{base}/logs/{n}", skip_completed=False).run()
    return [json.loads(line)["id"] for path in Path(out).glob("*.jsonl") for line in path.open()]


def judge(removed: list[str], truth: Truth) -> tuple[float, float]:
    """Return recall and precision of what was removed."""
    gone = set(removed)
    right = {i for a, b in truth.pairs for i, other in ((a, b), (b, a)) if i in gone and other not in gone}
    recall = sum(a in gone or b in gone for a, b in truth.pairs) / len(truth.pairs)
    return recall, len(right) / len(gone) if gone else 0.0


def measure(tool: str, folder: Path, truth: Truth, workers: int) -> Measured:
    """Run a tool in a process of its own."""
    began = time.monotonic()
    command = [sys.executable, __file__, "--tool", tool, "--folder", str(folder), "--workers", str(workers)]
    with (folder / f"{tool}.log").open("w") as log:
        child = subprocess.Popen(command, stderr=log, stdout=log)
        _, status, used = os.wait4(child.pid, 0)
    if status:
        raise SystemExit(f"{tool} failed:\n{(folder / f'{tool}.log').read_text()[-2000:]}")
    removed = json.loads((folder / f"{tool}.json").read_text())
    recall, precision = judge(removed, truth)
    return Measured(
        used.ru_utime + used.ru_stime, time.monotonic() - began, used.ru_maxrss / 1024, len(removed), recall, precision
    )  # fmt: skip


def main() -> None:
    """Make the corpus, run the tools, print the table."""
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--rows", type=int, default=10_000)
    args.add_argument("--seed", type=int, default=7)
    args.add_argument("--workers", type=int, default=1, help="processes of ours; the peers use one")
    args.add_argument("--only", choices=TOOLS, action="append", help="run only this tool (may be given again)")
    args.add_argument("--tool", choices=TOOLS, help=argparse.SUPPRESS)
    args.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = args.parse_args()
    if given.tool:
        kind, _, rest = given.tool.partition("-")
        found = {"ours": lambda: ours(given.folder, given.workers), "datasketch": lambda: datasketch(given.folder, rest)}
        removed = found.get(kind, lambda: datatrove(given.folder))()
        (given.folder / f"{given.tool}.json").write_text(json.dumps(removed))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        truth = make(folder, given.rows, given.seed)
        size = (folder / "records.jsonl").stat().st_size / 1e6
        near = len(truth.pairs) - truth.exact
        print(f"{given.rows:,} rows, {size:.0f} MB of records, {truth.exact:,} exact and {near:,} near duplicates planted")
        print(f"{'tool':<18}{'CPU s':>9}{'wall s':>9}{'peak MB':>9}{'removed':>9}{'recall':>9}{'precision':>11}{'CPU : ours':>12}")
        first: float | None = None
        for tool in given.only or TOOLS:
            m = measure(tool, folder, truth, given.workers)
            first = m.cpu_s if tool == "ours" else first
            times = f"{m.cpu_s / first:.1f}" if first else "–"
            line = f"{m.cpu_s:>9.1f}{m.wall_s:>9.1f}{m.peak_mb:>9.0f}{m.removed:>9,}{m.recall:>9.4f}{m.precision:>11.4f}{times:>12}"
            print(f"{tool:<18}{line}", flush=True)
        for package in ("rensa", "datasketch", "datatrove"):
            if given.only is None or any(tool.startswith(package) for tool in given.only) or package == "rensa":
                print(f"{package} {version(package)}", end="  ")
        print(f"numpy {np.__version__}")


if __name__ == "__main__":
    main()
