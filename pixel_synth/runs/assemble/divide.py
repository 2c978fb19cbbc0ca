"""Deal the mix to train, validation and test so that nothing crosses, and certify it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pixel_synth.errors import UsageError
from pixel_synth.mix.split_files import Way, split_file
from pixel_synth.recipe import Recipe
from pixel_synth.runs.assemble.assembly import Assembly, Result, parts


def divide(assembly: Assembly, folder: Path) -> Result:
    """Split the mix.

    Raises:
        UsageError: When the mix is empty.
    """
    recipe, source = assembly.recipe, assembly.folder("05-mix") / "kept.jsonl"
    if not source.stat().st_size:
        raise UsageError(
            "no record reached the mix", hint=f"read why in {assembly.folder('04-score') / 'rejects.jsonl'} and the stages before it"
        )
    way = Way(
        {str(name): share for name, share in recipe.split_shares.items()}, recipe.splitting, recipe.split_tolerance, recipe.seed,
        release=recipe.release,
    )  # fmt: skip
    report = split_file(source, folder, way, assembly.folder("03-deduplicate") / "similar.jsonl")
    facts: dict[str, Any] = report.model_dump(mode="json")
    return report.books, {**facts, "failing": [f"{c.split} {c.name}" for c in report.failing], "short": list(report.short)}


def decides(recipe: Recipe) -> dict[str, Any]:
    """Return what the split depends on besides the records."""
    return parts(recipe, "splitting", "split_shares", "split_tolerance", "seed", "release")
