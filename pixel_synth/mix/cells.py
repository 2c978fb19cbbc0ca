"""The cells that a mixture is balanced over inside the ratios: kind, modality, population, and each Big Five domain on its own.

A record whose label is not known lies in a cell of its own, ``unknown``: it is never counted as any other.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple, get_args

from pixel_synth.errors import UsageError
from pixel_synth.mix.item import Item
from pixel_synth.recipe import Want
from pixel_synth.records import BigFive, Kind, Level

UNKNOWN = "unknown"
DOMAINS = tuple(BigFive.model_fields)
LEVELS: tuple[str, ...] = get_args(Level)
EVEN = "even"


class Cell(NamedTuple):
    """One value of one dimension; ``dimension`` of a trait is ``traits.DOMAIN``."""

    dimension: str
    value: str


def trait_cell(trait: str) -> Cell:
    """Return the cell of a trait, written ``neuroticism:high``."""
    domain, _, level = trait.partition(":")
    return Cell(f"traits.{domain}", level)


def cells(item: Item) -> tuple[Cell, ...]:
    """Return the one cell of each dimension in which a record lies: eight in all."""
    known = dict(t.split(":", 1) for t in item.traits if ":" in t)
    return (
        Cell("kind", item.kind or UNKNOWN),
        Cell("modality", item.modality or UNKNOWN),
        Cell("population", item.population or UNKNOWN),
        *(Cell(f"traits.{domain}", known.get(domain, UNKNOWN)) for domain in DOMAINS),
    )


def wanted_cells(wanted: Iterable[Want]) -> dict[Cell, float]:
    """Return the wanted share of each cell.

    Raises:
        UsageError: When a kind, domain or level does not exist, a cell is asked for twice, or the shares of a domain exceed 1.
    """
    asked: dict[Cell, float] = {}
    for want in wanted:
        cell = trait_cell(want.value) if want.dimension == "traits" else Cell(want.dimension, want.value)
        _check(cell, want)
        if cell in asked:
            raise UsageError(f"{want.dimension} {want.value}: wanted twice", hint="name each value once")
        asked[cell] = want.share
    for dimension in {c.dimension for c in asked}:
        total = sum(share for cell, share in asked.items() if cell.dimension == dimension)
        if total > 1 + 1e-6:
            raise UsageError(f"the shares wanted of {dimension} sum to {total:.4f}, more than 1")
    return asked


def _check(cell: Cell, want: Want) -> None:
    if want.dimension == "traits":
        if cell.dimension.removeprefix("traits.") not in DOMAINS or cell.value not in (*LEVELS, UNKNOWN):
            raise UsageError(
                f"traits {want.value}: no such trait", hint=f"DOMAIN:LEVEL, of {', '.join(DOMAINS)} and {', '.join((*LEVELS, UNKNOWN))}"
            )
    elif want.dimension == "kind" and want.value not in (*filter(None, get_args(Kind)), UNKNOWN):
        raise UsageError(f"kind {want.value}: no such kind", hint=f"one of {', '.join((*filter(None, get_args(Kind)), UNKNOWN))}")


def even_traits(items: Sequence[Item], weights: Sequence[float]) -> tuple[Want, ...]:
    """Return wants that ask each Big Five domain for equal shares of low, mid and high.

    Args:
        items: The records that may enter.
        weights: How likely each is to, so that the known share of a domain stays what it would be without balancing.
    """
    whole = sum(weights)
    if not whole:
        return ()
    known = dict.fromkeys(DOMAINS, 0.0)
    for item, weight in zip(items, weights, strict=True):
        for cell in cells(item)[3:]:
            known[cell.dimension.removeprefix("traits.")] += weight * (cell.value != UNKNOWN)
    return tuple(
        Want(dimension="traits", value=f"{domain}:{level}", share=known[domain] / whole / len(LEVELS))
        for domain in DOMAINS
        if known[domain]
        for level in LEVELS
    )
