"""Exact, near and semantic duplicates; `deduplicate` is the stage."""

from pixel_synth.curate.dedup.stage import Deduplication, deduplicate

__all__ = ["Deduplication", "deduplicate"]
