"""Runs of our own pipelines: their accepted conversations, unchanged, with plan, scores and verdict."""

from __future__ import annotations

from pixel_synth.sources.source import Source

SOURCE = Source(
    id="generated",
    title="accepted conversations of our own runs",
    group="local",
    category=None,
    hub=False,
    patterns=("data/conversations.jsonl", "*/data/conversations.jsonl"),
    license="own",
    evidence="made here",
    gated=False,
    limits=("the terms of the model that wrote them apply", "records say which engine wrote them: the composer's are no model's"),
    homepage="",
    citation="",
    strategy="records are taken as they are; each keeps the category it was planned for",
    shape="records",
)
