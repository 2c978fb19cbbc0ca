"""Write the dataset in the forms that were asked for."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from pixel_synth.books import Books
from pixel_synth.jsonl import lines_of
from pixel_synth.publish.dataset_files import export
from pixel_synth.recipe import Recipe
from pixel_synth.runs.assemble.assembly import Assembly, Result, parts

BESIDE = ("auxiliary", "client_lines")  # what stands outside the ratios


def publish(assembly: Assembly, folder: Path) -> Result:
    """Put the splits into ``data/``, with the records that stand outside the ratios, and write the other formats."""
    splits = [p for p in sorted(assembly.folder("06-split").glob("*.jsonl")) if p.name != "rejects.jsonl"]
    beside = [p for p in (assembly.folder("05-mix") / f"{name}.jsonl" for name in BESIDE) if p.stat().st_size]
    for path in (*splits, *beside):
        shutil.copyfile(path, folder / path.name)
    recipe = assembly.recipe
    exported = export(folder, recipe.formats, folder, tokenizer=recipe.tokenizer, max_tokens=recipe.max_tokens)
    return Books(kept=sum(map(lines_of, splits))), {"beside": {p.stem: lines_of(p) for p in beside}, "export": exported}


def decides(recipe: Recipe) -> dict[str, Any]:
    """Return what the files depend on besides the records."""
    return parts(recipe, "formats", "tokenizer", "max_tokens")
