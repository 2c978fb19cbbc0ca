"""Gutenberg DPO: a passage of a classic novel preferred to a model's version of it; for style, outside the ratios."""

from __future__ import annotations

from pixel_synth.sources.source import Source

SOURCE = Source(
    id="gutenberg_dpo",
    title="passages of novels preferred to a model's",
    group="auxiliary",
    wrote="mixed",
    category="auxiliary",
    kind="preference",
    repo="jondurbin/gutenberg-dpo-v0.1",
    seen="7f48159",
    patterns=("gutenberg-dpo.parquet",),
    license="CC-BY-4.0",
    evidence="its page shows License: cc-by-4.0 (huggingface.co/datasets/jondurbin/gutenberg-dpo-v0.1/tree/main); "
    "918 rows by the Hub's list",
    gated=False,
    limits=("the rejected side was written by models: their makers' terms apply as well",),
    homepage="https://huggingface.co/datasets/jondurbin/gutenberg-dpo-v0.1",
    citation="Durbin, J. (2024). gutenberg-dpo-v0.1. Hugging Face.",
    strategy="prompt and chosen are the record, rejected is kept beside it as the dispreferred answer",
    shape="preference",
    columns={"prompt": "prompt", "chosen": "chosen", "rejected": "rejected"},
)
