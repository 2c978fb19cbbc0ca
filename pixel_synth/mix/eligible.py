"""Which records may enter a mixture at all, and why the others may not.  Floors are looked at here and nowhere else."""

from __future__ import annotations

from collections.abc import Mapping

from pixel_synth.mix.item import Item
from pixel_synth.recipe import Recipe
from pixel_synth.records import Category

AUXILIARY = "auxiliary: outside the ratios"
CLIENT_LINES = "client lines: outside the ratios"


def why_not(item: Item, recipe: Recipe, ratios: Mapping[Category, float]) -> str:
    """Return why a record may not enter, as ``"kind: detail"``; empty when it may."""
    if item.category == "auxiliary":
        return AUXILIARY
    if item.kind == "client_lines" or not item.therapist:
        return CLIENT_LINES
    if not any(name == item.category and ratio > 0 for name, ratio in ratios.items()):
        return f"no ratio: category {item.category}"
    if item.accepted is False:
        return "rejected by the gate"
    if item.quality is None:
        return "" if recipe.unscored else "unscored: no overall score"
    if recipe.least_quality is not None and item.quality < recipe.least_quality:
        return f"below the floor: quality {item.quality:.4g} < {recipe.least_quality:.4g}"
    return ""
