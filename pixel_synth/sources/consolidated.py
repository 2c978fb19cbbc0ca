"""A consolidated mental-health file of one's own (JSONL, any size): where it lies stands in ``[dataset.local]`` of ``pixel.toml``."""

from __future__ import annotations

from pixel_synth.sources.source import Source

SOURCE = Source(
    id="consolidated",
    title="a mental-health file of one's own, any size",
    group="local",
    category="mental_health",
    hub=False,
    patterns=("*.jsonl", "*.jsonl.gz", "*.jsonl.zst"),
    license="unknown",
    evidence="what is in it is its owner's to know",
    gated=False,
    limits=("collected from several sets, whose licences apply",),
    homepage="",
    citation="",
    strategy="the shape is found out from the rows; they are read line by line in bounded memory",
)
