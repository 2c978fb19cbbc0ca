"""Neurodiversity: questions on how neurodivergent and neurotypical people understand each other, with a chain of thought."""

from __future__ import annotations

from pixel_synth.sources.source import Source

SOURCE = Source(
    id="cot_neurodivergent",
    title="how neurodivergent and neurotypical people meet: question, reasoning, answer",
    group="reasoning",
    category="reasoning",
    kind="reasoning",
    repo="mattwesney/CoT_Neurodivergent_vs_Neurotypical_Interactions",
    former=("moremilk/CoT_Neurodivergent_vs_Neurotypical_Interactions",),
    patterns=("*.json", "*.jsonl"),
    license="unknown",
    evidence="no stored copy of its page shows a licence; it asks for access, and its owner's name changed",
    gated=True,
    limits=("written by a model: its maker's terms apply as well", "not checked by a clinician, as far as is known"),
    homepage="https://huggingface.co/datasets/mattwesney/CoT_Neurodivergent_vs_Neurotypical_Interactions",
    citation="mattwesney (2025). CoT_Neurodivergent_vs_Neurotypical_Interactions. Hugging Face.",
    strategy="question and answer are the two turns; metadata.reasoning is kept apart as the thought and is never part of a reply",
    shape="cot",
    columns={"question": "question", "answer": "answer", "reasoning": "metadata.reasoning"},
)
