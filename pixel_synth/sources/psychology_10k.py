"""Psychology-10k: instructions on psychological troubles with a model's answers (KTH, 2023)."""

from __future__ import annotations

from pixel_synth.sources.source import Source

SOURCE = Source(
    id="psychology_10k",
    title="questions on psychological troubles with a model's answers",
    group="mental_health",
    category="mental_health",
    kind="instruction",
    repo="samhog/psychology-10k",
    seen="2d60e50",
    patterns=("Psychology-10K.json",),
    license="unknown",
    evidence="its page names no licence, and the question which it is stood open "
    "(huggingface.co/datasets/samhog/psychology-10k/discussions); "
    "about 9,850 rows by the Hub's list",
    gated=False,
    limits=("answers written by a model: its maker's terms apply as well",),
    homepage="https://huggingface.co/datasets/samhog/psychology-10k",
    citation="samhog (2023). psychology-10k. Hugging Face.",
    strategy="input is the client's turn, output the therapist's; the instruction, the same in all rows, becomes the system turn",
    shape="instruction",
    columns={"instruction": "instruction", "input": "input", "output": "output"},
)
