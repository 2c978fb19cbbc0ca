"""The mixture: which records make the dataset, what was wanted and what there was, and why every other record was left."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from pixel_synth.books import Books
from pixel_synth.mix.item import Item
from pixel_synth.mix.objective import Terms
from pixel_synth.mix.strategies import Pass
from pixel_synth.recipe import Mixing

WhenShort = Literal["report", "shrink"]


class Quota(NamedTuple):
    """One category: its ratio, and records wanted, there (that may enter) and chosen, with the words and tokens of the chosen.

    ``tokens`` is ``None`` when a chosen record's were not counted, ``quality`` (mean overall score) when none has a score.
    """

    category: str
    ratio: float
    wanted: int
    available: int
    chosen: int
    words: int
    tokens: int | None
    quality: float | None

    @property
    def shortfall(self) -> int:
        """Records that are missing."""
        return max(0, self.wanted - self.chosen)


class CellCount(NamedTuple):
    """One value of one dimension; ``wanted`` is ``None`` where no share was asked for."""

    dimension: str
    value: str
    wanted: int | None
    available: int
    chosen: int

    @property
    def shortfall(self) -> int:
        """Records that are missing, 0 where none were asked for."""
        return max(0, (self.wanted or 0) - self.chosen)


class Variety(NamedTuple):
    """Different word pairs in the sketches of the mixture, and of a proportional draw of the same size from the same records."""

    chosen: int
    proportional: int


class Mixture(NamedTuple):
    """What was chosen and why.

    Attributes:
        chosen: The records, in drawn order: the order of the mixture.
        left: All others with the reason, in drawn order.
        asked: Size that was asked for.
        size: Size that the counts wanted are for: ``asked``, or less when it was shrunk.
    """

    strategy: Mixing
    seed: int
    asked: int
    size: int
    when_short: WhenShort
    tolerance: float
    chosen: tuple[Item, ...]
    left: tuple[tuple[Item, str], ...]
    quotas: tuple[Quota, ...]
    cells: tuple[CellCount, ...]
    terms: Terms
    passes: tuple[Pass, ...]
    variety: Variety | None
    books: Books

    @property
    def ids(self) -> tuple[str, ...]:
        """Ids of the chosen records."""
        return tuple(item.id for item in self.chosen)

    @property
    def short(self) -> bool:
        """Whether a category has too few, or a wanted cell misses more than the tolerance allows."""
        least = self.tolerance * len(self.chosen)
        return not self.size or any(q.shortfall for q in self.quotas) or any(c.shortfall > least for c in self.cells)

    def as_dict(self) -> dict[str, Any]:
        """Return everything but the records, for ``mix.json``."""
        n = len(self.chosen)
        return {
            "strategy": self.strategy,
            "seed": self.seed,
            "asked": self.asked,
            "size": self.size,
            "when_short": self.when_short,
            "tolerance": self.tolerance,
            "chosen": n,
            "categories": [
                {**q._asdict(), "share": q.chosen / n if n else None, "gap": q.chosen - q.wanted, "shortfall": q.shortfall}
                for q in self.quotas
            ],
            "cells": [{**c._asdict(), "share": c.chosen / n if n else None, "shortfall": c.shortfall} for c in self.cells],
            "terms": self.terms._asdict(),
            "passes": [{"pass": p.number, "swaps": p.swaps, **p.terms._asdict()} for p in self.passes],
            "variety": self.variety._asdict() if self.variety else None,
            "books": self.books.model_dump(),
        }
