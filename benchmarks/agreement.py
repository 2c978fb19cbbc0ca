"""How far experts, models and crowds agree on empathy: a published table from its ratings, and what may gate by our rule.

    python benchmarks/agreement.py PATH/empathy-judges [--figure agreement.png]

The ratings are those of Kumar et al. (2025), see pixel_synth/calibrate/adapters/empathy_judges.py.  Printed are (1) every kappa of
their table beside ours, by their definition; (2) per dimension the median quadratic kappa of all pairs of annotators, with
bootstrap intervals over conversations; (3) the medians over dimensions of that and of the mean over pairs, which are not the medians
of the published table, for that takes the median of the three experts and one model of three; (4) which dimensions a model may
gate, with the reasons.
Nothing is tuned on these ratings, so all 50 conversations of each set count.
"""

from __future__ import annotations

import argparse
import ast
import csv
from itertools import combinations, product
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np

from pixel_synth.calibrate.adapters.empathy_judges import EXPERTS, GROUPS, MODELS, SOURCES, empathy_judges
from pixel_synth.calibrate.agreement import Interval, bootstrap, kappa, median_kappa
from pixel_synth.calibrate.coefficients import Floats
from pixel_synth.calibrate.interval import middle
from pixel_synth.calibrate.labels import Scale
from pixel_synth.calibrate.rule import FAIR, ITEMS, MARGIN, MODERATE, may_gate

# Half a unit of the second decimal, in which the table is printed.
ROUNDING = 0.005
Pair = tuple[str, str]
PAIRS: dict[str, list[Pair]] = {
    "experts": list(combinations(EXPERTS, 2)),
    "models and experts": list(product(MODELS, EXPERTS)),
    "crowd and experts": [("crowd", expert) for expert in EXPERTS],
}
# Colour and offset of each group in the figure.
STYLE = {"experts": ("#1b1b1b", -0.22), "models and experts": ("#2166ac", 0.0), "crowd and experts": ("#d6604d", 0.22)}


class Dimension(NamedTuple):
    """The ratings of one dimension: per rater an array over the items of all data sets, NaN where they are of another."""

    title: str
    name: str
    scale: Scale
    by: dict[str, Floats]

    def own(self, rater: str) -> Floats:
        """Return a rater's ratings of the items of this data set."""
        return np.asarray(self.by[rater][~np.isnan(self.by["expert1"])], float)


def dimensions(folder: Path) -> list[Dimension]:
    """Read the ratings."""
    ratings = empathy_judges(folder).ratings
    place = {item: i for i, item in enumerate(sorted({rating.item for rating in ratings}))}
    by = {(name, rater): np.full(len(place), np.nan) for source in SOURCES for name in source.scales for rater in GROUPS}
    for rating in ratings:
        by[rating.criterion, rating.rater][place[rating.item]] = rating.rating
    return [Dimension(s.title, name, scale, {r: by[name, r] for r in GROUPS}) for s in SOURCES for name, scale in s.scales.items()]


def as_published(dimension: Dimension, pair: Pair) -> float:
    """Return a kappa by the definition that gives the published table.

    ``experts`` is the median of the three, ``llm`` is Gemini 2.5 Pro alone, and the levels are the different values that occur, so
    that each mean of a crowd is a level of its own.  Found by trying: these three together give all 126 figures.
    """
    experts = np.median([dimension.own(expert) for expert in EXPERTS], axis=0)
    one, other = (experts if who == "experts" else dimension.own("gemini" if who == "llm" else who) for who in pair)
    return float(kappa(one, other))


def replicate(dims: list[Dimension], folder: Path) -> None:
    """Print each published kappa beside ours."""
    with (folder / "annotations" / "table_kappa.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    table = {(r["Dimension"], ast.literal_eval(r["Annotator Pair"])): float(r["Weighted Cohen's Kappa"]) for r in rows}
    ours = {(d.name, pair): as_published(d, pair) for d in dims for name, pair in table if name == d.name}
    pairs = list(dict.fromkeys(pair for _, pair in table))
    print("(1) quadratic kappa, published / here")
    print(f"{'':<28}" + "".join(f"{' – '.join(pair):>20}" for pair in pairs))
    for d in dims:
        print(f"{d.name:<28}" + "".join(f"{table[d.name, p]:>12.2f} / {ours[d.name, p]:5.2f}" for p in pairs))
    print(f"{'median':<28}" + "".join(f"{_median(table, dims, p):>12.2f} / {_median(ours, dims, p):5.2f}" for p in pairs))
    print(f"median of the 63 kappas of two experts: published {median(v for (_, p), v in table.items() if p in pairs[:3]):.2f}")
    apart = {key: abs(ours[key] - table[key]) for key in table}
    worst = max(apart, key=lambda key: apart[key])
    beyond = sum(value > ROUNDING for value in apart.values())
    print(f"{len(table)} figures, {beyond} apart by more than rounding; at most {apart[worst]:.4f} ({worst[0]}, {' – '.join(worst[1])})")


def _median(found: dict[tuple[str, Pair], float], dims: list[Dimension], pair: Pair) -> float:
    return median(found[d.name, pair] for d in dims)


def over_dimensions(dims: list[Dimension], pairs: list[Pair], within: str) -> Interval:
    """Return the median over dimensions of the mean or median kappa over pairs, conversations of all data sets resampled."""
    data = np.rint(np.stack([np.stack([d.by[rater] for rater in GROUPS]) for d in dims]))
    row = {rater: i for i, rater in enumerate(GROUPS)}

    def statistic(x: Floats) -> Floats:
        each = []
        for i, d in enumerate(dims):
            found = [kappa(x[i, row[a]], x[i, row[b]], levels=d.scale.levels()) for a, b in pairs]
            each.append(np.asarray(np.mean(found, axis=0)) if within == "mean" else middle(found))
        return middle(each)

    return bootstrap(statistic, data, resamples=500)


def figure(rows: list[tuple[Dimension, dict[str, Interval]]], path: Path) -> None:
    """Draw the table as dots with intervals, a row per dimension."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    chart, axis = pyplot.subplots(figsize=(8, 9), layout="constrained")
    for group, (colour, shift) in STYLE.items():
        shown = [(y + shift, i.value, i.low, i.high) for y, (_, found) in enumerate(rows) if (i := found[group]).value is not None]
        at, value, low, high = (np.array(column, float) for column in zip(*shown, strict=True))
        axis.hlines(at, low, high, color=colour, alpha=0.45, linewidth=2)
        axis.plot(value, at, "o", color=colour, markersize=5, label=group)
    axis.axvline(MODERATE, color="#888888", linewidth=0.8, linestyle="--")
    axis.annotate(f"moderate ({MODERATE:.2f})", (MODERATE, -0.75), fontsize=8, color="#666666", ha="center", annotation_clip=False)
    axis.set_yticks(range(len(rows)), [f"{d.title}: {d.name.removeprefix('level_').removeprefix('m_').replace('_', ' ')}" for d, _ in rows])
    axis.set_ylim(len(rows) - 0.4, -0.9)
    axis.set_xlabel("median quadratic kappa of pairs, 95% bootstrap interval")
    axis.legend(loc="upper center", bbox_to_anchor=(0.35, -0.06), ncols=3, frameon=False)
    axis.grid(axis="x", color="#eeeeee")
    axis.spines[["top", "right", "left"]].set_visible(False)
    chart.savefig(path, dpi=130)
    print(f"wrote {path}")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--figure", type=Path, help="draw the second table to this file")
    args = parser.parse_args()
    dims = dimensions(args.folder)
    replicate(dims, args.folder)
    rows = []
    print("\n(2) median quadratic kappa over pairs of annotators, ratings rounded to whole steps of the scale, 95% bootstrap interval")
    print(f"{'':<28}" + "".join(f"{group:>22}" for group in PAIRS))
    for d in dims:
        found = {group: median_kappa([(d.own(a), d.own(b)) for a, b in pairs], d.scale) for group, pairs in PAIRS.items()}
        rows.append((d, found))
        print(f"{d.name:<28}" + "".join(f"{found[group]!s:>22}" for group in PAIRS))
    print(f"\n(3) medians over the {len(dims)} dimensions, conversations resampled (500 times)")
    for within in ("median", "mean"):
        told = ", ".join(f"{group} {over_dimensions(dims, pairs, within)}" for group, pairs in PAIRS.items())
        print(f"of the {within} over pairs: {told}")
    gates(rows)
    if args.figure:
        figure(rows, args.figure)


def gates(rows: list[tuple[Dimension, dict[str, Interval]]]) -> None:
    """Print which dimensions the models together, and each alone, may gate."""
    print(
        f"\n(4) may a model gate?  People's median kappa and its own at least {MODERATE:.2f}, its interval above {FAIR:.2f}, no more than"
    )
    print(
        f"    {MARGIN:.2f} below people's unless the intervals overlap, {ITEMS} conversations or more; 'together': the median over models"
    )
    for d, found in rows:
        decided = may_gate(found["models and experts"], found["experts"])
        alone = [m for m in MODELS if may_gate(median_kappa([(d.own(m), d.own(e)) for e in EXPERTS], d.scale), found["experts"]).may]
        told = "may gate" if decided.may else f"may not: {'; '.join(decided.reasons)}"
        print(f"{d.name:<28} alone: {', '.join(alone) or 'none'}; together: {told}")


if __name__ == "__main__":
    main()
