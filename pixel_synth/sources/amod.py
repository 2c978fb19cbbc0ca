"""Amod's counselling conversations: question and answer pairs, for the most part the same text as Counsel Chat."""

from __future__ import annotations

from pixel_synth.sources.source import Source

SOURCE = Source(
    id="amod",
    title="counselling questions with psychologists' answers",
    group="mental_health",
    wrote="human",
    category="mental_health",
    kind="question_answer",
    repo="Amod/mental_health_counseling_conversations",
    patterns=("*.json", "*.jsonl"),
    license="OpenRAIL",
    evidence="card of a copy says license: openrail (huggingface.co/datasets/MaggiePai/mental_health_counseling_conversations, c27af5a); "
    "others report that its terms have to be accepted (2026-09); about 3,510 rows by the Hub's list",
    gated=True,
    limits=("derived from Counsel Chat: most rows are near duplicates of it", "written in public by people in distress: redact"),
    homepage="https://huggingface.co/datasets/Amod/mental_health_counseling_conversations",
    citation="Bertagnolli, N. (2020). Counsel chat: Bootstrapping high-quality therapy data. Towards Data Science.",
    strategy="Context is the client's turn, Response the therapist's; rows with one Context share a group and never cross a split",
    after=("counsel_chat",),
    shape="context_response",
    columns={"context": "Context", "response": "Response"},
)
