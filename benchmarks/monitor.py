"""How often the drift monitor raises a false alarm, and how often it finds a planted drop.

    python benchmarks/monitor.py                  200 simulations of 8 windows per size: some minutes
    python benchmarks/monitor.py --runs 20

Every simulation draws six independent scores (beta, sd 0.067, as skewed as real ones) for records of two sources, three categories and
four modalities: a baseline of 2,000 records, and 8 windows of n.  A drop is planted in one score of all records from the first window
on, in sds of the score.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from pixel_synth.prove.monitor.points import BINS, Dimension, Point, Shares, percentile
from pixel_synth.prove.monitor.store import Window
from pixel_synth.prove.monitor.watch import Watch

METRICS = 6
SLICES: dict[Dimension, str] = {"source": "ab", "category": "xyz", "modality": "1234"}
SHAPE = (18.0, 2.0)
SD = float(np.sqrt(SHAPE[0] * SHAPE[1] / (sum(SHAPE) ** 2 * (sum(SHAPE) + 1))))
WINDOWS = 8
BASELINE = 2000
SIZES = (50, 250, 1000)
DROPS = (0.1, 0.2, 0.3, 0.5, 1.0)


def points(scores: NDArray[np.float64], dimension: Dimension, value: str) -> Iterator[Point]:
    """Yield the points of one slice; ``scores`` is (records, metrics)."""
    for m, column in enumerate(scores.T):
        bins = np.bincount(np.minimum((column * BINS).astype(int), BINS - 1))
        hist = {int(i): int(bins[i]) for i in np.flatnonzero(bins)}
        yield Point(
            at="", run="", stage="", dimension=dimension, value=value, metric=f"score_{m}", n=len(column), unscored=0,
            mean=float(column.mean()), sd=float(column.std()), p10=percentile(hist, 0.1), p50=percentile(hist, 0.5), hist=hist,
        )  # fmt: skip


def window(rng: np.random.Generator, n: int, number: int = 0, drop: float = 0.0) -> Window:
    """Return a window of n records, the first score lowered by ``drop`` sds."""
    scores = rng.beta(*SHAPE, (n, METRICS))
    scores[:, 0] = np.clip(scores[:, 0] - drop * SD, 0, 1)
    found, shares = list(points(scores, "all", "")), []
    for dimension, values in SLICES.items():
        which = rng.integers(len(values), size=n)
        counts = {v: int((which == i).sum()) for i, v in enumerate(values)}
        shares.append(Shares(at="", run="", stage="", dimension=dimension, counts=counts))
        for i, v in enumerate(values):
            if counts[v]:
                found += points(scores[which == i], dimension, v)
    return Window("simulated", f"n={n}", number, tuple(found), tuple(shares))


def simulate(seed: int, n: int, drop: float = 0.0, gradual: bool = False) -> tuple[int, bool, bool]:
    """Return in how many windows something differed, whether there was an alert, and one on the score that was lowered."""
    rng = np.random.default_rng(seed)
    watch = Watch(window(rng, BASELINE))
    single, metrics = 0, set()
    for i in range(WINDOWS):
        seen = watch.see(window(rng, n, i + 1, drop * (i + 1) / WINDOWS if gradual else drop))
        single += any(f.standing in ("drop", "drift", "rise") for f in seen.findings)
        metrics |= {alert.metric for alert in seen.alerts}
    return single, bool(metrics), "score_0" in metrics


def main() -> None:
    """Print both tables as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=200, help="simulations per cell without a drop; a tenth of that with one")
    runs = parser.parse_args().runs
    print("| n | single windows that differ | simulations with an alert |\n|---|---|---|")
    for n in SIZES:
        found = [simulate(seed, n) for seed in range(runs)]
        print(f"| {n} | {sum(s for s, *_ in found)} of {runs * WINDOWS} | {sum(a for _, a, _ in found)} of {runs} |", flush=True)
    print("\n| drop |" + "".join(f" n = {n} |" for n in SIZES) + "\n|---|" + "---|" * len(SIZES))
    few = max(1, runs // 10)
    for drop, gradual in [*((d, False) for d in DROPS), (1.0, True)]:
        cells = [sum(simulate(1000 + seed, n, drop, gradual)[2] for seed in range(few)) / few for n in SIZES]
        print(f"| {'0 to ' if gradual else ''}{drop} sd |" + "".join(f" {c:.0%} |" for c in cells), flush=True)


if __name__ == "__main__":
    main()
