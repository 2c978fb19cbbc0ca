"""Addiction counselling: sessions as one column of text with role markers."""

from __future__ import annotations

from pixel_synth.sources.source import Source

SOURCE = Source(
    id="addiction",
    title="addiction counselling as text with role markers",
    group="mental_health",
    category="mental_health",
    kind="session",
    repo="wesley7137/formatted_annotated_addiction_counseling_csv_SFT",
    patterns=("*.csv",),
    license="unknown",
    evidence="neither its page nor a licence for it could be found in stored copies",
    gated=None,
    limits=("where its sessions come from is not stated",),
    homepage="https://huggingface.co/datasets/wesley7137/formatted_annotated_addiction_counseling_csv_SFT",
    citation="wesley7137. formatted_annotated_addiction_counseling_csv_SFT. Hugging Face.",
    strategy="the text is cut at its role markers into turns; a text without markers is rejected",
    shape="markers",
)
