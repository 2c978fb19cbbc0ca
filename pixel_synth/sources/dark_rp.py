"""Synthetic-Dark-RP: dark role-play; read for what a hostile or frightening client may say, never for a reply."""

from __future__ import annotations

from pixel_synth.sources.source import Source

SOURCE = Source(
    id="dark_rp",
    title="dark role-play written by a model",
    group="personality",
    wrote="model",
    category="personality",
    kind="client_lines",
    repo="ChaoticNeutrals/Synthetic-Dark-RP",
    seen="18ed6a2",
    patterns=("synthetic_dark_rp_ShareGPT.json",),
    license="AGPL-3.0-only",
    evidence="its card says license: agpl-3.0 and the tag not-for-all-audiences (commit 2323478bbcd0); fewer than 1,000 rows",
    gated=False,
    role_play=True,
    limits=("not for all audiences: violence, cruelty, sexual content",),
    homepage="https://huggingface.co/datasets/ChaoticNeutrals/Synthetic-Dark-RP",
    citation="Epiculous & The Chaotic Neutrals (2024). Synthetic-Dark-RP. Hugging Face.",
    strategy="only what the human side says is kept, as lines of a client; the other side never becomes a therapist; "
    "unsafe lines are filtered",
    shape="sharegpt",
    columns={"conversations": "conversations"},
    roles={"human": "user", "gpt": "assistant"},
    client_only=True,
)
