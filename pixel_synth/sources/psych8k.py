"""Psych8k: instructions from counselling sessions, put into question and answer by a model (Liu et al., 2023)."""

from __future__ import annotations

from pixel_synth.sources.source import Source

SOURCE = Source(
    id="psych8k",
    title="counselling instructions drawn from real sessions",
    group="mental_health",
    wrote="mixed",
    category="mental_health",
    kind="instruction",
    repo="EmoCareAI/Psych8k",
    seen="091787feccbce3e0adfd03b1ea3063f3d938c32d",
    patterns=("*.json", "*.jsonl"),
    license="CC-BY-NC-SA-4.0",
    evidence="two independent lists of counselling sets name it with this licence; its discussions show access given one by one "
    "(huggingface.co/datasets/EmoCareAI/Psych8k/discussions/27); the commit is that of a public data manifest; "
    "about 8,190 rows by the Hub's list",
    gated=True,
    limits=("drawn from sessions of real clients", "put into words by a model: its maker's terms apply as well"),
    homepage="https://huggingface.co/datasets/EmoCareAI/Psych8k",
    citation="Liu, J. M., Li, D., Cao, H., Ren, T., Liao, Z., & Wu, J. (2023). ChatCounselor: A large language model for mental health "
    "support. arXiv:2309.15461.",
    strategy="input is the client's turn, output the therapist's; the instruction, the same in all rows, becomes the system turn",
    shape="instruction",
    columns={"instruction": "instruction", "input": "input", "output": "output"},
)
