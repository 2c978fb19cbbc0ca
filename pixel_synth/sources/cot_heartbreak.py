"""Heartbreak: questions on breakups and grief over them, with a chain of thought and an answer."""

from __future__ import annotations

from pixel_synth.sources.source import Source

SOURCE = Source(
    id="cot_heartbreak",
    title="how a breakup is got over: question, reasoning, answer",
    group="reasoning",
    category="reasoning",
    kind="reasoning",
    repo="mattwesney/CoT_Heartbreak_and_Breakups",
    former=("moremilk/CoT_Heartbreak_and_Breakups",),
    patterns=("*.json", "*.jsonl"),
    license="unknown",
    evidence="no stored copy of its page shows a licence; it asks for access, and its owner's name changed; "
    "about 9,850 rows by the Hub's list (2025-04)",
    gated=True,
    limits=("written by a model: its maker's terms apply as well", "not checked by a clinician, as far as is known"),
    homepage="https://huggingface.co/datasets/mattwesney/CoT_Heartbreak_and_Breakups",
    citation="mattwesney (2025). CoT_Heartbreak_and_Breakups. Hugging Face.",
    strategy="question and answer are the two turns; metadata.reasoning is kept apart as the thought and is never part of a reply",
    shape="cot",
    columns={"question": "question", "answer": "answer", "reasoning": "metadata.reasoning"},
)
