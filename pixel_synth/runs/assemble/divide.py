"""Deal the mix to train, validation and test so that nothing crosses, and certify it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pixel_synth.errors import ShortfallError
from pixel_synth.mix.split_files import Way, split_file
from pixel_synth.recipe import Recipe
from pixel_synth.runs.assemble.assembly import Assembly, Result, parts


def divide(assembly: Assembly, folder: Path) -> Result:
    """Split the mix.

    Raises:
        ShortfallError: When the mix is empty.
    """
    recipe, source = assembly.recipe, assembly.folder("05-mix") / "kept.jsonl"
    if not source.stat().st_size:
        raise empty(assembly)
    way = Way(
        {str(name): share for name, share in recipe.split_shares.items()}, recipe.splitting, recipe.split_tolerance, recipe.seed,
        release=recipe.release,
    )  # fmt: skip
    report = split_file(source, folder, way, assembly.folder("03-deduplicate") / "similar.jsonl")
    facts: dict[str, Any] = report.model_dump(mode="json")
    return report.books, {**facts, "failing": [f"{c.split} {c.name}" for c in report.failing], "short": list(report.short)}


def empty(assembly: Assembly) -> ShortfallError:
    """Return what is told of a mix without a record: nothing passed, or shrinking kept the ratio of a category that has nothing."""
    categories = assembly.done[-1].facts["categories"]
    without = [q["category"] for q in categories if not q["available"]]
    if len(without) == len(categories):
        return ShortfallError("no record reached the mix", hint=f"read why in {assembly.folder('01-gather').parent}/*/rejects.jsonl")
    return ShortfallError(
        f"the mix is empty: there is no record of {', '.join(without)}, and a mix that shrinks keeps every ratio",
        hint=f"{' '.join(f'--ratio {name}=0' for name in without)} makes one of the others; --when-short report leaves the gaps",
    )


def decides(recipe: Recipe) -> dict[str, Any]:
    """Return what the split depends on besides the records."""
    return parts(recipe, "splitting", "split_shares", "split_tolerance", "seed", "release")
