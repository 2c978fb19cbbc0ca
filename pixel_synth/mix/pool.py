"""What a strategy chooses from: the records that may enter, in drawn order, with all that it may go by as arrays."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pixel_synth.draw import seed_of
from pixel_synth.mix.cells import Cell, cells
from pixel_synth.mix.item import Item
from pixel_synth.mix.sketch import PAIRS, numbered, sketch
from pixel_synth.mix.spread import Group, spread

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


class Pool(NamedTuple):
    """N records in the order of their draw, which is also that of the mixture.

    Attributes:
        items: The records.
        draws: One number in (0, 1) per record, from seed and id alone (N).
        category: Place of each record's category in ``counts`` (N).
        quality: Overall score, NaN when unscored (N).
        group: Place of each record's group in ``groups`` (N).
        groups: What is alike to the balance.
        members: Per group its records, in drawn order.
        counts: Records that each category gives.
        wanted: Share of the mixture wanted of each cell.
        sketches: Wording of each record (N × `PAIRS`), `numbered`; ``None`` when no text was given.
        tolerance: Distance from a wanted share at which balancing rests.
    """

    items: Sequence[Item]
    draws: Floats
    category: Ints
    quality: Floats
    group: Ints
    groups: Sequence[Group]
    members: Sequence[Ints]
    counts: Sequence[int]
    wanted: Sequence[tuple[Cell, float]]
    sketches: NDArray[np.int32] | None
    tolerance: float

    @property
    def size(self) -> int:
        """Records of the mixture."""
        return sum(self.counts)

    def balanced(self) -> list[int]:
        """Return how many records each group gives so that the wanted shares are met as nearly as can be."""
        return spread(self.groups, self.counts, [share * self.size for _, share in self.wanted])


def drawn(items: Sequence[Item], seed: int) -> list[tuple[int, Item]]:
    """Return the records with their draw, in drawn order; it depends on seed and id alone, so that a new record moves no other."""
    return sorted(((seed_of(seed, "mix", item.id), item) for item in items), key=lambda pair: (pair[0], pair[1].id))


def pool(
    order: Sequence[tuple[int, Item]],
    categories: Sequence[str],
    counts: Sequence[int],
    wanted: Sequence[tuple[Cell, float]],
    text: Callable[[Item], str] | None,
    tolerance: float,
) -> Pool:
    """Make the pool.

    Args:
        order: The records that may enter, `drawn`.
        categories: Names of the categories.
        counts: Records that each of them gives, none above what it has.
        wanted: Wanted shares of cells.
        text: Gives a record's words; ``None`` when wording does not matter to the strategy.
        tolerance: See `Pool`.
    """
    place = {cell: i for i, (cell, _) in enumerate(wanted)}
    number = {name: i for i, name in enumerate(categories)}
    kinds: dict[tuple[int, tuple[int, ...]], list[int]] = defaultdict(list)
    items = [item for _, item in order]
    for i, item in enumerate(items):
        inside = tuple(sorted(place[c] for c in cells(item) if c in place)) if place else ()
        kinds[number[item.category], inside].append(i)
    keys = sorted(kinds)
    group = np.zeros(len(items), np.int64)
    for g, key in enumerate(keys):
        group[kinds[key]] = g
    sketches = np.empty((len(items), PAIRS), np.int32) if text else None
    if text and sketches is not None:
        # In the order of the files, which is how they are read fastest; the sketches do not depend on it.
        for i in sorted(range(len(items)), key=lambda i: items[i].start):
            sketches[i] = sketch(text(items[i]))
    return Pool(
        items=items,
        draws=(np.array([draw for draw, _ in order], float) + 0.5) / 2.0**63,
        category=np.array([number[item.category] for item in items], np.int64),
        quality=np.array([np.nan if item.quality is None else item.quality for item in items], float),
        group=group,
        groups=[Group(category, inside, len(kinds[category, inside])) for category, inside in keys],
        members=[np.array(kinds[key], np.int64) for key in keys],
        counts=counts,
        wanted=wanted,
        sketches=None if sketches is None else numbered(sketches),
        tolerance=tolerance,
    )
