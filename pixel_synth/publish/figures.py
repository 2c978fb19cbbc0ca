"""The pictures of a report, as SVG with the same bytes for the same numbers (fixed hash salt, no date)."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from pixel_synth.publish.tally import Tally

INK, SOFT, WARM = "#24313f", "#4f7fa8", "#c8553d"


def _figure(width: float, height: float) -> Figure:
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.hashsalt": "pixel_synth", "svg.fonttype": "none", "font.size": 9, "axes.edgecolor": INK,
                                "text.color": INK, "axes.labelcolor": INK, "xtick.color": INK, "ytick.color": INK})  # fmt: skip
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def _svg(figure: Figure) -> str:
    out = io.StringIO()
    figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    return out.getvalue()


def coverage_map(tally: Tally) -> str:
    """Draw accepted conversations per topic × modality as a heat map."""
    topics = sorted({t for t, _ in tally.cells})
    modalities = sorted({m for _, m in tally.cells})
    grid = [[tally.cells[t, m] for m in modalities] for t in topics]
    figure = _figure(2.6 + 0.85 * max(1, len(modalities)), 1.4 + 0.34 * max(1, len(topics)))
    axes = figure.subplots()
    top = max((max(row) for row in grid), default=1)
    if grid:
        axes.imshow(grid, aspect="auto", cmap="YlGnBu", vmin=0)
        for y, row in enumerate(grid):
            for x, n in enumerate(row):
                axes.text(x, y, str(n), ha="center", va="center", fontsize=8, color="white" if n > top * 0.6 else INK)
    axes.set_xticks(range(len(modalities)), [m.replace("_", " ") for m in modalities], rotation=30, ha="right")
    axes.set_yticks(range(len(topics)), [t.replace("_", " ") for t in topics])
    axes.set_title("Accepted conversations per topic and modality", loc="left")
    return _svg(figure)


def score_histograms(tally: Tally, thresholds: dict[str, float], reference: dict[str, list[float]]) -> str:
    """Draw each gated metric's distribution: accepted, rejected, the threshold, and real conversations as ticks."""
    figure = _figure(9, 1.9 * ((len(thresholds) + 2) // 3))
    grid = figure.subplots((len(thresholds) + 2) // 3, 3, squeeze=False).ravel()
    edges = [i / 40 for i in range(41)]
    for axes, (metric, least) in zip(grid, thresholds.items(), strict=False):
        columns: list[Any] = [list(tally.scores["accepted"][metric]), list(tally.scores["rejected"][metric])]
        axes.hist(columns, bins=edges, stacked=True, color=[SOFT, "#d9b8ae"], label=["accepted", "rejected"])
        axes.axvline(least, color=WARM, linewidth=1.5, label=f"threshold {least:.2f}")
        axes.plot(reference.get(metric, []), [0.0] * len(reference.get(metric, [])), "|", color=INK, markersize=14, label="real Q&A")
        axes.set_xlim(0, 1.01)
        axes.set_title(metric.replace("_", " "), loc="left", fontsize=9)
    for axes in grid[len(thresholds) :]:
        axes.axis("off")
    grid[0].legend(fontsize=6, loc="upper left")
    return _svg(figure)


def performance(series: list[dict[str, float | None]]) -> str:
    """Draw calls in flight and generated tokens a second over the time of a run."""
    figure = _figure(9, 3.4)
    above, below = figure.subplots(2, 1, sharex=True)
    above.step([p["s"] for p in series], [p["in_flight"] for p in series], where="post", color=SOFT)
    above.set_ylabel("in flight")
    told = [p for p in series if p["tokens_per_s"] is not None]
    below.plot([p["s"] for p in told], [p["tokens_per_s"] for p in told], color=WARM)
    below.set_ylabel("tokens/s generated")
    below.set_xlabel("seconds since the first sample")
    for axes in (above, below):
        axes.set_ylim(bottom=0)
    return _svg(figure)


def turn_lengths(tally: Tally) -> str:
    """Draw how many messages the accepted conversations have."""
    figure = _figure(5, 2)
    axes = figure.subplots()
    counts = sorted(tally.turn_counts.items())
    axes.bar([k for k, _ in counts], [v for _, v in counts], width=1.4, color=SOFT)
    axes.set_xlabel("messages")
    axes.set_title("Length of the accepted conversations", loc="left")
    return _svg(figure)
