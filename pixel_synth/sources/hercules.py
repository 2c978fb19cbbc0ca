"""Hercules v6.9: millions of instructions of many kinds; a fixed number of rows is sampled while they stream by."""

from __future__ import annotations

from pixel_synth.sources.sampled import Sampled

SOURCE = Sampled(
    id="hercules",
    title="instructions of many kinds, for balance of tone",
    group="personality",
    wrote="model",
    category="personality",
    kind="instruction",
    repo="Locutusque/hercules-v6.9",
    revision="eebd4a5b03670f427e6d88f853047d4082372c0f",
    seen="eebd4a5b03670f427e6d88f853047d4082372c0f",
    patterns=("cleaned/*.parquet",),
    license="unknown",
    evidence="its page at this commit names no licence (huggingface.co/datasets/Locutusque/hercules-v6.9/tree/eebd4a5b0367); "
    "v6.0 was Apache-2.0",
    gated=False,
    limits=("collected from many sets with licences of their own", "hardly any of it is about persons: the topic filter will drop most"),
    homepage="https://huggingface.co/datasets/Locutusque/hercules-v6.9",
    citation="Locutusque (2025). hercules-v6.9. Hugging Face.",
    strategy="a sample of rows, drawn by hash; human and gpt are the two sides; trait tags are carried where a row has them",
    shape="sharegpt",
    columns={"conversations": "conversations"},
    roles={"system": "system", "human": "user", "gpt": "assistant"},
    traits="traits",
    keep=20_000,
    scan=400_000,
)
