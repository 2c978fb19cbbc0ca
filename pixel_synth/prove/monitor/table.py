"""The tables of `pixel-synth monitor`: quality by stage and slice with its trend, and what differs from the baseline."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from pixel_synth.prove.monitor.drift import SHARE, Finding
from pixel_synth.prove.monitor.points import Dimension, Point
from pixel_synth.prove.monitor.store import Window
from pixel_synth.prove.monitor.watch import Seen

BLOCKS = "▁▂▃▄▅▆▇█"
NARROW = 0.05  # a range of means below this is drawn on a scale this wide, so that noise does not look like a trend
COLUMNS = 5
WIDEST = 40
MOST = 12  # rows of findings


def sparkline(means: Sequence[float | None]) -> str:
    """Return means (0-1) as blocks, a dot where there is none; the newest `WIDEST` of them."""
    means = means[-WIDEST:]
    known = [m for m in means if m is not None]
    if not known:
        return "·" * len(means)
    wide = max(max(known) - min(known), NARROW)
    low = (max(known) + min(known) - wide) / 2
    return "".join("·" if m is None else BLOCKS[min(int((m - low) / wide * len(BLOCKS)), len(BLOCKS) - 1)] for m in means)


def trend(windows: Sequence[Window], metric: str, dimension: Dimension) -> str:
    """Return the table of one score: a row for all and for each slice, a column of means for each of the newest windows."""
    held = [{(p.dimension, p.value): p for p in w.points if p.metric == metric} for w in windows]
    slices = sorted({key for points in held for key in points if key[0] == dimension})
    rows = [["", *(_name(w, windows) for w in windows[-COLUMNS:]), "n", "unscored", "p10", "trend"]]
    for key in [("all", ""), *slices]:
        points = [h.get(key) for h in held]
        last = next((p for p in reversed(points) if p), None)
        if last is not None:
            means = [p.mean if p else None for p in points]
            rows.append([key[1] or "all", *(_number(m) for m in means[-COLUMNS:]), *_last(last), sparkline(means)])
    note = f", the last {COLUMNS} of {len(windows)}" if len(windows) > COLUMNS else ""
    return f"{metric} by {dimension}, means{note}\n{aligned(rows)}"


def _name(window: Window, windows: Sequence[Window]) -> str:
    several = len({w.run for w in windows}) > 1
    short = window.stage + (f"@{window.window}" if window.window else "")
    return f"{window.run}/{short}" if several else short


def _last(point: Point) -> list[str]:
    return [f"{point.n:,}", f"{point.unscored:,}", _number(point.p10)]


def _number(value: float | None, digits: int = 3) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def aligned(rows: Sequence[Sequence[str]], words: int = 1) -> str:
    """Return rows as columns, the first ``words`` ones and the last to the left, numbers to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    left = (*range(words), len(widths) - 1)
    lines = ["  ".join(c.ljust(w) if i in left else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))) for row in rows]
    return "\n".join(f"  {line}".rstrip() for line in lines)


def differences(seen: Iterable[Seen]) -> str:
    """Return what differs, worst first, and how many comparisons said what."""
    found: list[tuple[Seen, Finding]] = [(s, f) for s in seen for f in s.findings]
    standings = Counter(f.standing for _, f in found)
    parts = ", ".join(f"{n:,} {standing}" for standing, n in standings.most_common())
    head = f"{len(found):,} comparisons with the baseline: {parts}" if found else "nothing to compare with the baseline"
    worst = sorted((x for x in found if x[1].standing in ("drop", "drift", "rise")), key=lambda x: -abs(x[1].shift or x[1].psi or 0))
    if not worst:
        return head
    rows = [["window", "score", "slice", "n", "mean", "was", "shift", "PSI", "KS", "q", "what"]]
    rows += [_row(s.window, f) for s, f in worst[:MOST]]
    more = f"\n  and {len(worst) - MOST:,} more: --json lists them" if len(worst) > MOST else ""
    return f"{head}\n{aligned(rows, words=3)}{more}"


def _row(window: Window, f: Finding) -> list[str]:
    shift = "–" if f.shift is None else f"{f.shift:+.2f}"
    figures = [
        _number(f.mean),
        _number(f.base_mean),
        shift,
        _number(f.psi, 2),
        _number(f.distance, 2),
        "–" if f.q is None else f"{f.q:.1g}",
    ]
    return [window.name, "shares" if f.metric == SHARE else f.metric, f.slice, f"{f.n:,}", *figures, f.standing]
