"""A mixture and evened bins as text for the screen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pixel_synth.mix.even import Bin
from pixel_synth.mix.mixture import CellCount, Mixture
from pixel_synth.mix.objective import Terms

WIDTH = 24
MOST = 12  # cells of a dimension that are shown when no share of it was asked for


def bar(share: float) -> str:
    """Return a text bar for a share of 0-1."""
    filled = round(max(0.0, min(1.0, share)) * WIDTH)
    return "█" * filled + "·" * (WIDTH - filled)


def mixture_text(m: Mixture) -> str:
    """Return the tables: categories, cells, terms and passes, variety, and the books with every reason."""
    parts = [categories(m), cells(m), improvement(m), books(m)]
    return "\n\n".join("\n".join(part) for part in (list(p) for p in parts) if part)


def categories(m: Mixture) -> Iterator[str]:
    """Yield target, actual and gap of each category, in records and shares, with words and tokens."""
    n, ratios = len(m.chosen), sum(q.ratio for q in m.quotas)
    yield (
        f"{'category':<14} {'there':>9} {'target':>9} {'actual':>9} {'gap':>9}   "
        f"{'target':>7} {'actual':>7} {'words':>12} {'tokens':>12} {'quality':>8}"
    )
    for q in m.quotas:
        share = f"{q.chosen / n:7.2%}" if n else f"{'–':>7}"
        tokens, quality = "–" if q.tokens is None else f"{q.tokens:,}", "–" if q.quality is None else f"{q.quality:.3f}"
        yield (
            f"{q.category:<14} {q.available:>9,} {q.wanted:>9,} {q.chosen:>9,} {q.chosen - q.wanted:>+9,}   "
            f"{q.ratio / ratios:7.2%} {share} {q.words:>12,} {tokens:>12} {quality:>8}"
        )
    wanted, words = sum(q.wanted for q in m.quotas), sum(q.words for q in m.quotas)
    yield f"{'together':<14} {sum(q.available for q in m.quotas):>9,} {wanted:>9,} {n:>9,} {n - wanted:>+9,}   {'':>15} {words:>12,}"
    if m.size < m.asked:
        empty = [q.category for q in m.quotas if not q.available]
        yield (
            f"nothing to shrink to: {', '.join(empty)} has no record that may enter; set its ratio to 0 or use --when-short report"
            if empty
            else f"shrunk from {m.asked:,} to {m.size:,}: the largest size at which every category keeps its ratio"
        )


def cells(m: Mixture) -> Iterator[str]:
    """Yield the cells by dimension, with a bar of their share; those that were wanted always, others up to `MOST`."""
    n = len(m.chosen)
    for i, dimension in enumerate(dict.fromkeys(c.dimension for c in m.cells)):
        mine = [c for c in m.cells if c.dimension == dimension]
        if [c.value for c in mine] == ["unknown"]:
            yield f"{dimension}: not known of any record"
            continue
        yield f"{'' if not i else chr(10)}{dimension:<34} {'there':>8} {'wanted':>8} {'actual':>8}"
        shown = [c for k, c in enumerate(mine) if c.wanted is not None or k < MOST]
        yield from (_cell(c, n) for c in shown)
        if len(shown) < len(mine):
            yield f"  … and {len(mine) - len(shown)} more, see mix.json"


def _cell(c: CellCount, n: int) -> str:
    wanted = "" if c.wanted is None else f"{c.wanted:,}"
    share = c.chosen / n if n else 0.0
    missing = f"  {c.shortfall:,} missing" if c.shortfall else ""
    return f"  {c.value:<32} {c.available:>8,} {wanted:>8} {c.chosen:>8,} {bar(share)} {share:6.1%}{missing}"


def improvement(m: Mixture) -> Iterator[str]:
    """Yield the terms of the objective, pass by pass where there were passes, and the variety against a proportional draw."""
    yield f"{m.strategy + ', seed ' + str(m.seed):<22} {'swaps':>9} {'quality':>9} {'diversity':>9} {'balance':>9} {'objective':>10}"
    for p in m.passes:
        yield f"{'start' if not p.number else f'pass {p.number}':<22} {p.swaps:>9,} {_terms(p.terms)}"
    if not m.passes:
        yield f"{'':<22} {'':>9} {_terms(m.terms)}"
    if m.variety and m.variety.proportional:
        more = m.variety.chosen / m.variety.proportional - 1
        yield (
            f"different word pairs in the sketches: {m.variety.chosen:,}, {more:+.1%} against a proportional draw "
            f"of this size ({m.variety.proportional:,})"
        )


def _terms(t: Terms) -> str:
    return " ".join(f"{'–' if v is None else f'{v:.4f}':>{9 + (i == 3)}}" for i, v in enumerate(t))


def books(m: Mixture) -> Iterator[str]:
    """Yield the books, with how many were left for which reason."""
    yield f"{m.books.taken:,} records = {m.books.kept:,} chosen + {m.books.rejected:,} left"
    for reason, n in m.books.reasons.items():
        yield f"  {n:>9,}  {reason}"


def problems(m: Mixture) -> Iterator[str]:
    """Yield what is short, and what can be done about it; nothing when all is there."""
    lacking = [f"{q.category} {q.shortfall:,}" for q in m.quotas if q.shortfall]
    if lacking:
        yield f"short of records: {', '.join(lacking)}; nothing was put in their place"
    least = m.tolerance * len(m.chosen)
    cells = [f"{c.dimension} {c.value} {c.shortfall:,}" for c in m.cells if c.shortfall > least]
    if cells:
        yield f"short of a wanted share by more than {m.tolerance:.0%} of the mix: {', '.join(cells)}"
    unscored = m.books.reasons.get("unscored", 0)
    if unscored and (lacking or not m.size):
        yield f"  hint: {unscored:,} records have no overall score: pixel-synth score FILE -o OUT, or let them in with --unscored"


def bins_text(bins: Sequence[Bin]) -> str:
    """Return before and after of every bin that occurs, with bars of the shares among the known."""
    lines = [f"{'':<34} {'before':>8} {'':<{WIDTH}}         {'after':>8}"]
    for b in bins:
        if b.before:
            one, two = (f"{bar(s)} {s:6.1%}" if s is not None else " " * (WIDTH + 7) for s in (b.share_before, b.share_after))
            lines.append(f"{b.domain + ' ' + b.level:<34} {b.before:>8,} {one} {b.after:>8,} {two}".rstrip())
    return "\n".join(lines)
