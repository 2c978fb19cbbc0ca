"""Making a mixture: what may enter is told from what may not, the counts are settled, and a strategy chooses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise

import numpy as np

from pixel_synth.books import Counting
from pixel_synth.errors import RecordError, SourceError, UsageError
from pixel_synth.mix.cells import Cell, cells, even_traits, wanted_cells
from pixel_synth.mix.eligible import AUXILIARY, CLIENT_LINES, why_not
from pixel_synth.mix.item import Item
from pixel_synth.mix.mixture import CellCount, Mixture, Quota, Variety, WhenShort
from pixel_synth.mix.objective import Objective
from pixel_synth.mix.pool import Ints, Pool, drawn, pool
from pixel_synth.mix.quota import largest_remainder, shrunk
from pixel_synth.mix.strategies import Pass, strategy
from pixel_synth.mix.strategies.proportional import take
from pixel_synth.recipe import CATEGORIES, Recipe
from pixel_synth.records import Category

NOT_NEEDED = "not needed: category full"


def mix(
    items: Sequence[Item],
    recipe: Recipe,
    ratios: Mapping[Category, float],
    text: Callable[[Item], str] | None = None,
    *,
    when_short: WhenShort = "report",
    even: bool = False,
    refuse: Callable[[Iterable[tuple[str, str]]], Sequence[str]] | None = None,
) -> Mixture:
    """Choose the records of a dataset.

    Args:
        items: All records, in any order; the answer does not depend on it.
        recipe: Its total, mixing, seed, floors, wanted shares and tolerance count.
        ratios: Share of each category; only their proportions count.
        text: Gives the words of a record; only what compares wording asks for it (diversity, iterative, hybrid).
        when_short: Where a category has too few: ``report`` leaves the others at their counts, ``shrink`` takes the largest size at which
            the ratios hold.
        refuse: Says of pairs of source and licence which may not be used, a sentence each; asked of all records but those that a floor
            or the gate keeps out.
        even: Also want low, mid and high of each Big Five domain alike, among the records in which it is known.

    Raises:
        RecordError: When two records have the same id.
        SourceError: When a licence forbids the use; it names every set.
        UsageError: When a wanted share makes no sense, or the strategy needs texts and there are none.
    """
    way = strategy(recipe.mixing)
    if way.text and text is None:
        raise UsageError(f"the strategy {recipe.mixing} compares wording and needs the records' text", hint="give mix() a text function")
    order = drawn(items, recipe.seed)
    _ids_differ(order)
    reasons = [why_not(item, recipe, ratios) for _, item in order]
    able = [pair for pair, reason in zip(order, reasons, strict=True) if not reason]
    _licensed(order, reasons, refuse)
    used: dict[str, float] = {name: ratios[name] for name in CATEGORIES if ratios.get(name, 0) > 0}
    there: Counter[str] = Counter(item.category for _, item in able)
    size = shrunk(recipe.total, used, there) if when_short == "shrink" else recipe.total
    wanted = largest_remainder(size, used)
    counts = {name: min(count, there[name]) for name, count in wanted.items()}
    asked = wanted_cells(recipe.wanted)
    if even:
        asked = _evened(asked, able, counts, there)
    p = pool(able, list(counts), list(counts.values()), list(asked.items()), text if way.text else None, recipe.tolerance)
    passes: list[Pass] = []
    chosen = way.choose(p, passes)
    taken = {p.items[row].id for row in chosen.tolist()}
    left = [(item, reason or NOT_NEEDED) for (_, item), reason in zip(order, reasons, strict=True) if item.id not in taken]
    books = Counting()
    books.keep(len(taken))
    for _, reason in left:
        books.reject(reason)
    objective = Objective(p, chosen)
    return Mixture(
        strategy=recipe.mixing,
        seed=recipe.seed,
        asked=recipe.total,
        size=size,
        when_short=when_short,
        tolerance=recipe.tolerance,
        chosen=tuple(p.items[row] for row in chosen.tolist()),
        left=tuple(left),
        quotas=tuple(_quota(p, chosen, i, name, used[name], wanted[name]) for i, name in enumerate(wanted)),
        cells=tuple(_cell_counts(p, chosen, asked)),
        terms=objective.terms(),
        passes=tuple(passes),
        variety=_variety(p, objective),
        books=books.books,
    )


def _ids_differ(order: Sequence[tuple[int, Item]]) -> None:
    twice = [a.id for (_, a), (_, b) in pairwise(order) if a.id == b.id]
    if twice:
        raise RecordError(
            f"{len(twice)} records have an id that another has, the first is {twice[0]}",
            hint="the same file was given twice, or duplicates are to be taken out first: pixel-synth dedup",
        )


def _licensed(
    order: Sequence[tuple[int, Item]],
    reasons: Sequence[str],
    refuse: Callable[[Iterable[tuple[str, str]]], Sequence[str]] | None,
) -> None:
    if refuse is None:
        return
    written = {
        (item.source, item.license) for (_, item), reason in zip(order, reasons, strict=True) if reason in ("", AUXILIARY, CLIENT_LINES)
    }
    if told := refuse(written):
        lines = "\n".join(f"  {sentence}" for sentence in told)
        raise SourceError(
            f"the use that the dataset is for is forbidden by a licence of\n{lines}", hint="leave these sets out, or: --profile research"
        )


def _evened(
    asked: Mapping[Cell, float], able: Sequence[tuple[int, Item]], counts: Mapping[str, int], there: Mapping[str, int]
) -> dict[Cell, float]:
    """Add the shares that even the levels of every domain of which none is asked for."""
    chance = {name: count / there[name] if there[name] else 0.0 for name, count in counts.items()}
    wants = even_traits([item for _, item in able], [chance[item.category] for _, item in able])
    spoken_for = {cell.dimension for cell in asked}
    return {**asked, **{cell: share for cell, share in wanted_cells(wants).items() if cell.dimension not in spoken_for}}


def _quota(p: Pool, chosen: Ints, place: int, name: str, ratio: float, wanted: int) -> Quota:
    mine = chosen[p.category[chosen] == place]
    taken = [p.items[row] for row in mine.tolist()]
    tokens = [item.tokens for item in taken if item.tokens is not None]
    scores = p.quality[mine][~np.isnan(p.quality[mine])]
    return Quota(
        category=name,
        ratio=ratio,
        wanted=wanted,
        available=int((p.category == place).sum()),
        chosen=len(taken),
        words=sum(item.words for item in taken),
        tokens=sum(tokens) if taken and len(tokens) == len(taken) else None,
        quality=float(scores.mean()) if len(scores) else None,
    )


def _cell_counts(p: Pool, chosen: Ints, asked: Mapping[Cell, float]) -> Iterable[CellCount]:
    """Yield every cell that occurs or is wanted, by dimension and falling count."""
    there = Counter(cell for item in p.items for cell in cells(item))
    taken = Counter(cell for row in chosen.tolist() for cell in cells(p.items[row]))
    dimensions = list(dict.fromkeys(cell.dimension for cell in (*there, *asked)))
    for cell in sorted({*there, *asked}, key=lambda c: (dimensions.index(c.dimension), -taken[c], c.value)):
        wanted = round(asked[cell] * len(chosen)) if cell in asked else None
        yield CellCount(cell.dimension, cell.value, wanted, there[cell], taken[cell])


def _variety(p: Pool, objective: Objective) -> Variety | None:
    if p.sketches is None or objective.distinct is None:
        return None
    random = Objective(p, take(p, p.balanced())).distinct
    return None if random is None else Variety(objective.distinct, random)
