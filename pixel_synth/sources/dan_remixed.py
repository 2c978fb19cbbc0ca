"""dan_remixed: prompts that try to talk a model out of its limits; read for how a provoking client may talk, never for a reply."""

from __future__ import annotations

from pixel_synth.sources.source import Source

SOURCE = Source(
    id="dan_remixed",
    title="provoking prompts with unfiltered replies",
    group="personality",
    category="personality",
    kind="client_lines",
    repo="UnfilteredAI/dan_remixed",
    license="unknown",
    evidence="no stored copy of its page; a collection on the Hub lists it with about 2,320 rows (2024-09)",
    gated=None,
    role_play=True,
    limits=("made to get round the limits of models: abuse, sexual content, instructions for harm",),
    homepage="https://huggingface.co/datasets/UnfilteredAI/dan_remixed",
    citation="UnfilteredAI (2024). dan_remixed. Hugging Face.",
    strategy="only what the human side says is kept, as lines of a client; the other side never becomes a therapist; "
    "unsafe lines are filtered",
    client_only=True,
)
