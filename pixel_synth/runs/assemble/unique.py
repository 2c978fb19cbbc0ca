"""Drop what repeats another record: the same words, nearly the same, or (on request) the same meaning."""

from __future__ import annotations

from pathlib import Path

from pixel_synth.curate.dedup import deduplicate
from pixel_synth.records import Conversation
from pixel_synth.runs.assemble.assembly import Assembly, Result
from pixel_synth.scorers.language_quality import score


def quality(record: Conversation) -> float | None:
    """Return the language quality, by which one of near copies without an overall score is kept: what copies differ in are their words."""
    return score(record).value


def unique(assembly: Assembly, folder: Path) -> Result:
    """De-duplicate what was screened; of those that repeat each other the best stays (see `pixel_synth.curate.dedup.keep`)."""
    source, recipe, read = assembly.folder("02-screen") / "kept.jsonl", assembly.recipe, 0
    with assembly.progress(source.stat().st_size >> 10, "kB read") as show:

        def tell(more: int) -> None:
            nonlocal read
            read += more
            show(read >> 10, 0)

        found = deduplicate(
            [source], folder, jaccard=recipe.jaccard, semantic=recipe.semantic, seed=recipe.seed, workers=assembly.workers,
            quality=quality, progress=tell,
        )  # fmt: skip
    return found.books, found.model_dump(mode="json", exclude={"books", "largest"})
