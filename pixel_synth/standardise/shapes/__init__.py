"""The known shapes of rows, one file each; its stem is the shape's name, and dropping a file in adds a shape.

A shape has ``RANK`` (the lower, the more it asks of a row; of several shapes that fit, the lowest is taken), ``NEEDS`` (what a row must
have, in words), ``COLUMNS`` (our column -> the names it goes by, lower case, letters and digits only; a dot reaches into an object) and
``read(row) -> Draft``, which gets the row under our names and raises `Unfit`.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules
from typing import Protocol, cast

from pixel_synth.records import Conversation
from pixel_synth.standardise.draft import Draft, Row


class Shape(Protocol):
    """What a module of this folder offers."""

    RANK: int
    NEEDS: str
    COLUMNS: dict[str, tuple[str, ...]]

    @staticmethod
    def read(row: Row) -> Draft | Conversation:
        """Return what the row says."""


def _discover() -> dict[str, Shape]:
    found = {info.name: cast(Shape, import_module(f"{__name__}.{info.name}")) for info in iter_modules(__path__)}
    return dict(sorted(found.items(), key=lambda pair: pair[1].RANK))


SHAPES: dict[str, Shape] = _discover()
