"""Men's mental health: questions on how men fare and seek help, with a chain of thought and an answer."""

from __future__ import annotations

from pixel_synth.sources.source import Source

SOURCE = Source(
    id="cot_men",
    title="how men fare and seek help: question, reasoning, answer",
    group="reasoning",
    category="reasoning",
    kind="reasoning",
    repo="mattwesney/CoT_Reasoning_Mens_Mental_Health",
    former=("moremilk/CoT_Reasoning_Mens_Mental_Health",),
    patterns=("*.json", "*.jsonl"),
    license="unknown",
    evidence="no stored copy of its page shows a licence; it asks for access, and its owner's name changed",
    gated=True,
    limits=("written by a model: its maker's terms apply as well", "not checked by a clinician, as far as is known"),
    homepage="https://huggingface.co/datasets/mattwesney/CoT_Reasoning_Mens_Mental_Health",
    citation="mattwesney (2025). CoT_Reasoning_Mens_Mental_Health. Hugging Face.",
    strategy="question and answer are the two turns; metadata.reasoning is kept apart as the thought and is never part of a reply",
    shape="cot",
    columns={"question": "question", "answer": "answer", "reasoning": "metadata.reasoning"},
)
