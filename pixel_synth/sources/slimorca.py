"""SlimOrca in Claude 3.5 Sonnet's words, 20,000 rows: following instructions; outside the ratios."""

from __future__ import annotations

from pixel_synth.sources.source import Source

SOURCE = Source(
    id="slimorca",
    title="general instructions with a model's answers",
    group="auxiliary",
    wrote="model",
    category="auxiliary",
    kind="instruction",
    repo="Gryphe/Sonnet3.5-SlimOrcaDedupCleaned-20k",
    seen="c25ad7e",
    patterns=("sharegpt_claude_sonnet3.5_slimorca_subset.jsonl",),
    license="MIT",
    evidence="its page shows License: mit (huggingface.co/datasets/Gryphe/Sonnet3.5-SlimOrcaDedupCleaned-20k/commits/main)",
    gated=False,
    limits=("answers written by a model: its maker's terms apply as well",),
    homepage="https://huggingface.co/datasets/Gryphe/Sonnet3.5-SlimOrcaDedupCleaned-20k",
    citation="Gryphe (2024). Sonnet3.5-SlimOrcaDedupCleaned-20k. Hugging Face. After Lian, W., et al. (2023). SlimOrca. Hugging Face.",
    strategy="system, human and gpt become the turns",
    shape="sharegpt",
    columns={"conversations": "conversations"},
    roles={"system": "system", "human": "user", "gpt": "assistant"},
)
