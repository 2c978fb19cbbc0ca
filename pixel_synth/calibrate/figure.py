"""A calibration card as a picture: raw scores against people's ratings, with the map to the human scale."""

from __future__ import annotations

from pathlib import Path

from pixel_synth.calibrate.card import Card
from pixel_synth.jsonl import whole


def draw(card: Card, path: Path) -> None:
    """Write the picture as SVG."""
    import io

    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context({"svg.hashsalt": "pixel_synth", "svg.fonttype": "none", "font.size": 9}):
        figure = Figure(figsize=(5.4, 4.2), layout="constrained")
        axes = figure.add_subplot()
        axes.plot(
            [p.raw for p in card.points],
            [p.rating for p in card.points],
            "o",
            markersize=4,
            alpha=0.5,
            color="#3b6ea5",
            label="mean rating (0–1)",
        )
        xs, ys = zip(*card.scale.knots, strict=True)
        axes.plot(xs, ys, color="#b5533c", label="share of people who call it good")
        axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xlabel=f"raw score of {card.metric}", ylabel="people")
        axes.set_title(
            f"{card.labels.name}: {', '.join(card.labels.criteria)}\n{'may gate' if card.gates else 'may not gate'}", loc="left", fontsize=9
        )
        axes.legend(fontsize=7, loc="upper left")
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
        out = io.StringIO()
        figure.savefig(out, format="svg", metadata={"Date": None})
    with whole(path) as file:
        file.write(out.getvalue())
