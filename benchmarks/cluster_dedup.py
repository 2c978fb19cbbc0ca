"""The de-duplication stage as tasks on a Ray cluster: does it remove the same records as the one-machine stage, and at what cost?

    uv pip install 'pixel-synth[ray]'
    python benchmarks/cluster_dedup.py --rows 10000 --shards 8

The tasks call the functions of the stage itself and hand over files in one folder, which all nodes must see.  Four rounds:

1. per shard: read, validate, shingle, MinHash; written are one column per band, the shingles, and the facts the keeper is chosen by;
2. per band: the pairs of records that share it, from the columns of all shards; the key of the exact words is one more band;
3. per block of pairs: the true Jaccard similarity;
4. one task: keepers by rule, over the members of pairs only.

No task but the last holds anything of all records except one column of 8 bytes a record.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import tempfile
import time
from collections.abc import Callable, Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from dedup import make

from pixel_synth.curate.dedup import deduplicate
from pixel_synth.curate.dedup.keep import settle, standing
from pixel_synth.curate.dedup.lines import batches
from pixel_synth.curate.dedup.pairs import Pair, candidates
from pixel_synth.curate.dedup.shingle import Hashes, jaccard
from pixel_synth.curate.dedup.sketch import BANDS, Facts, sketch
from pixel_synth.draw import seed_of

LEAST, BLOCK = 0.8, 20_000
EXACT = BANDS  # the column after the last band


class Round(NamedTuple):
    """What one round took in its tasks, and its longest task."""

    name: str
    tasks: int
    cpu_s: float
    longest_s: float


def prepare(source: Path, folder: Path, shard: int, seed: int) -> int:
    """Sketch a file into columns, shingles and facts; return how many records it has."""
    sketches = [sketch(batch.lines, seed) for batch in batches([source])]
    for band in range(BANDS):
        np.save(folder / f"{band}-{shard}.npy", np.concatenate([s.bands[:, band] for s in sketches]))
    np.save(folder / f"{EXACT}-{shard}.npy", np.concatenate([s.keys[:, 0] for s in sketches]))
    np.save(folder / f"shingles-{shard}.npy", np.concatenate([s.hashes for s in sketches]))
    np.save(folder / f"sizes-{shard}.npy", np.concatenate([np.diff(s.offsets) for s in sketches]))
    with (folder / f"facts-{shard}.jsonl").open("w") as file:
        for s in sketches:
            rows = zip(s.facts, s.words.tolist(), s.line.tolist(), strict=True)
            file.writelines(json.dumps([*facts, words, line]) + "\n" for facts, words, line in rows)
    return sum(len(s.facts) for s in sketches)


def paired(folder: Path, shards: int, band: int) -> Hashes:
    """Return the pairs of records that share a band, as ``a << 32 | b`` of their numbers over all shards."""
    column = np.concatenate([np.load(folder / f"{band}-{shard}.npy") for shard in range(shards)])
    return candidates(column[:, None], np.arange(len(column)))


def checked(folder: Path, starts: list[int], pairs: Hashes) -> list[Pair]:
    """Return the pairs that reach the threshold, from the shingles on disk."""
    shingles = [np.load(folder / f"shingles-{s}.npy", mmap_mode="r") for s in range(len(starts) - 1)]
    bounds = [np.concatenate([[0], np.cumsum(np.load(folder / f"sizes-{s}.npy"))]) for s in range(len(starts) - 1)]

    def of(i: int) -> Hashes:
        shard = int(np.searchsorted(starts, i, side="right")) - 1
        low, high = bounds[shard][i - starts[shard]], bounds[shard][i - starts[shard] + 1]
        return np.asarray(shingles[shard][low:high])

    both = ((int(p) >> 32, int(p) & 0xFFFFFFFF) for p in pairs)
    return [Pair(a, b, similarity) for a, b in both if (similarity := jaccard(of(a), of(b))) >= LEAST]


def chosen(folder: Path, starts: list[int], pairs: Iterable[Pair]) -> set[str]:
    """Return the ids to drop; only members of pairs are held."""
    pairs = list(pairs)
    members = {i for p in pairs for i in (p.a, p.b)}
    places, ids = {}, {}
    for shard, (start, _) in enumerate(pairwise(starts)):
        with (folder / f"facts-{shard}.jsonl").open() as file:
            for i, line in enumerate(file, start):
                if i in members:
                    *facts, words, digest = json.loads(line)
                    places[i], ids[i] = standing(Facts(*facts), words, digest, compared=False), facts[0]
    return {ids[i] for i in settle(pairs, places, bytearray(starts[-1]))}


def timed(work: Callable[..., Any], *given: Any) -> tuple[Any, float]:
    """Return what a function returns, and the CPU-seconds of this process meanwhile."""
    began = time.process_time()
    return work(*given), time.process_time() - began


def cluster(files: list[Path], folder: Path, seed: int) -> tuple[set[str], list[Round]]:
    """Run the rounds on the Ray cluster and return the ids to drop."""
    import ray

    remote = ray.remote(timed)
    rounds = []

    def run(name: str, work: Callable[..., Any], tasks: list[tuple[Any, ...]]) -> list[Any]:
        done = ray.get([remote.remote(work, *given) for given in tasks])
        rounds.append(Round(name, len(tasks), sum(s for _, s in done), max(s for _, s in done)))
        return [result for result, _ in done]

    counts = run("sketch a shard", prepare, [(path, folder, shard, seed) for shard, path in enumerate(files)])
    starts = [0, *np.cumsum(counts).tolist()]
    found = run("pairs of a band", paired, [(folder, len(files), band) for band in range(BANDS + 1)])
    pairs = np.unique(np.concatenate(found))
    blocks = [pairs[at : at + BLOCK] for at in range(0, max(len(pairs), 1), BLOCK)]
    near = run("check a block", checked, [(folder, starts, block) for block in blocks])
    (gone,) = run("choose keepers", chosen, [(folder, starts, [p for block in near for p in block])])
    return gone, rounds


def main() -> None:
    """Make a corpus, run both, compare."""
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--rows", type=int, default=10_000)
    args.add_argument("--shards", type=int, default=8)
    args.add_argument("--address", default="local", help='of the cluster; "local" starts one here')
    args.add_argument("--folder", type=Path, help="folder that all nodes see; a temporary one by default")
    given = args.parse_args()
    if given.address == "local":  # listens on this machine only, and with a key that is nowhere else
        os.environ.update(
            RAY_USAGE_STATS_ENABLED="0", RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER="0", RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=secrets.token_hex(32)
        )
    # The workers import this file and the toolkit as this process does.
    os.environ["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    import ray  # reads the environment as it is now

    ray.init(address=given.address, log_to_driver=False, include_dashboard=False)
    with tempfile.TemporaryDirectory(dir=given.folder) as name:
        folder = Path(name)
        make(folder, given.rows, 7)
        lines = (folder / "records.jsonl").read_bytes().splitlines(keepends=True)
        files = [folder / f"shard-{n}.jsonl" for n in range(given.shards)]
        for n, path in enumerate(files):
            path.write_bytes(b"".join(lines[n * len(lines) // given.shards : (n + 1) * len(lines) // given.shards]))
        gone, rounds = cluster(files, folder, seed_of("dedup", 7) % 2**32)
        deduplicate(files, folder / "one", workers=1)
        with (folder / "one" / "rejects.jsonl").open() as file:
            ours = {json.loads(line)["id"] for line in file}
    print(f"{len(lines):,} records in {given.shards} shards, ray {ray.__version__}, {int(ray.cluster_resources()['CPU'])} processors")
    for r in rounds:
        print(f"{r.name:<18}{r.tasks:>4} tasks{r.cpu_s:>9.2f} CPU s, longest {r.longest_s:.2f}")
    same = "the same records" if gone == ours else f"{len(gone ^ ours)} differ"
    print(f"removed: cluster {len(gone):,}, one machine {len(ours):,}, {same}")
    ray.shutdown()
    if gone != ours:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
