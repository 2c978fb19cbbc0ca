"""Write the dataset in the forms that were asked for."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from pixel_synth.books import Books
from pixel_synth.recipe import Recipe
from pixel_synth.runs.assemble.assembly import Assembly, Result, lines_of, parts


def publish(assembly: Assembly, folder: Path) -> Result:
    """Put the splits into ``data/``, with the records that stand outside the ratios, and write the other formats."""
    for path in sorted(assembly.folder("06-split").glob("*.jsonl")):
        if path.name != "rejects.jsonl":
            shutil.copyfile(path, folder / path.name)
    for name in ("auxiliary", "client_lines"):
        path = assembly.folder("05-mix") / f"{name}.jsonl"
        if path.stat().st_size:
            shutil.copyfile(path, folder / path.name)
    return Books(kept=sum(lines_of(p) for p in folder.glob("*.jsonl"))), {}


def decides(recipe: Recipe) -> dict[str, Any]:
    """Return what the files depend on besides the records."""
    return parts(recipe, "formats", "tokenizer", "max_tokens")
