"""Whether two names mean the same model.

A judge tends to like what it wrote itself (Panickssery et al., 2024, "LLM evaluators recognize and favor their own generations").
"""

from __future__ import annotations

import re
from collections.abc import Collection

from pixel_synth.records import Conversation, Score

# ".../models--Qwen--Qwen3-8B/snapshots/<hash>", as the Hugging Face cache lays a model down.
_CACHED = re.compile(r"models--[^/]*?--([^/]+)/snapshots/[^/]+/?$", re.IGNORECASE)
_SUFFIX = re.compile(
    r"[-_.:](?:latest|gguf|ggml|safetensors|mlx|awq|gptq(?:[-_]int[48])?|exl[23]|hqq|marlin|int[48]|uint4|fp(?:4|8|16|32)|bf16|f16|nvfp4|mxfp[48]"
    r"|w\d+a\d+(?:16)?|[348]-?bits?|bnb(?:-[48]bit)?|nf4|dynamic|quantized(?:\.w\d+a\d+)?|(?:ud-)?i?q\d+(?:_[0-9a-z]+)*|[0-9.]+bpw)$",
    re.IGNORECASE,
)


def plain(name: str) -> str:
    """Return a model's name without folder, organisation, revision, file type and quantisation, in lower case."""
    found = _CACHED.search(name)
    base = found[1] if found else name.rstrip("/").rpartition("/")[2].partition("@")[0]
    while base != (shorter := _SUFFIX.sub("", base)):
        base = shorter
    return re.sub(r"[_:\s]+", "-", base).lower()


def same_model(one: str, other: str) -> bool:
    """Tell whether two names mean the same model, however it is stored; an empty name means none."""
    return bool(plain(one)) and plain(one) == plain(other)


def panel_name(models: Collection[str], samples: int) -> str:
    """Return the name of a panel, under which its calibration cards run: its models in the order of the alphabet, and how many samples."""
    return " + ".join(sorted(models)) + (f" x{samples}" if samples > 1 else "")


def answered_by(score: Score) -> str:
    """Return the name of the panel that gave a score, "" where the score does not say."""
    return panel_name({o.judge for o in score.panel} - {""}, len({o.sample for o in score.panel}))


def selfsame(conversation: Conversation, judge_model: str) -> bool:
    """Tell whether a conversation was written by the model that judges it."""
    return same_model(conversation.provenance.model, judge_model)


def own_judges(conversation: Conversation, score: Score, unnamed: str = "") -> tuple[str, ...]:
    """Return the judges behind a score that are the model that wrote the conversation; none for a scorer's.

    Args:
        conversation: What was judged.
        score: Of a judge or a panel.
        unnamed: The judge where the score names none.
    """
    if not score.metric.startswith("judge."):
        return ()
    names = dict.fromkeys(opinion.judge or unnamed for opinion in score.panel) or {unnamed: None}
    return tuple(name for name in names if selfsame(conversation, name))
