"""Deterministic measures of one conversation: no model, no network, the same score on every machine.

Each metric is one file with ``score(conversation, knowledge) -> Score``; dropping a file in adds a metric.  Helper
modules (``text``, ``talk``, ``lexicon``, ``acts``, ``risk`` ...) have no ``score`` function.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Literal

from pixel_synth.knowledge.load import Knowledge
from pixel_synth.records import Conversation, Part, Score

Scorer = Callable[[Conversation, Knowledge | None], Score]


def _discover() -> dict[str, Scorer]:
    modules = (import_module(f"{__name__}.{info.name}") for info in iter_modules(__path__))
    return {m.__name__.rpartition(".")[2]: m.score for m in modules if hasattr(m, "score")}


SCORERS: dict[str, Scorer] = dict(sorted(_discover().items()))
METRICS: tuple[str, ...] = tuple(SCORERS)
DESCRIPTIVE = frozenset({"complexity", "urgency"})
OVERALL: dict[str, float] = {metric: 1.0 for metric in METRICS if metric not in DESCRIPTIVE}
# Metrics without which there is no overall score; personality_consistency joins them when there is a blueprint.
REQUIRED = ("coherence", "emotional_authenticity", "therapeutic_accuracy", "clinical_compliance")


def score_all(conversation: Conversation, knowledge: Knowledge | None = None) -> tuple[Score, ...]:
    """Run every metric on the conversation, in alphabetical order."""
    return tuple(scorer(conversation, knowledge) for scorer in SCORERS.values())


def overall(scores: tuple[Score, ...], weights: Mapping[str, float] | None = None, *, persona: bool = False) -> Score:
    """Return the weighted mean of the scored metrics as a score named "overall".

    Unscored metrics are left out and named in the reason.  There is no overall score (``None``) when one of
    `REQUIRED` is unscored: a mean over what happened to be measurable would pass records that nobody could judge.
    ``personality_consistency`` may be missing only where there is no persona to be consistent with.

    Args:
        scores: What `score_all` returned.
        weights: Weight per metric, 0 to leave one out; equal weights (`OVERALL`) by default.
        persona: Whether the conversation has a persona, so that personality_consistency is required as well.
    """
    weights = OVERALL if weights is None else weights
    by_name = {s.metric: s for s in scores if weights.get(s.metric, 0.0) > 0}
    parts = tuple(Part(name=name, value=s.value) for name, s in by_name.items())
    unscored = [name for name, s in by_name.items() if s.value is None]
    required = [m for m in (*REQUIRED, *(("personality_consistency",) if persona else ())) if weights.get(m, 0.0) > 0]
    if missing := [m for m in required if m not in by_name or m in unscored]:
        return Score(metric="overall", value=None, reason=f"unscored: {', '.join(missing)}", parts=parts)
    known = {name: s.value for name, s in by_name.items() if s.value is not None}
    total = sum(weights[name] for name in known)
    if not total:
        return Score(metric="overall", value=None, reason="no metric has a weight and a value", parts=parts)
    value = sum(weights[name] * v for name, v in known.items()) / total
    reason = f"left out, unscored: {', '.join(unscored)}" if unscored else ""
    return Score(metric="overall", value=round(value, 4), reason=reason, parts=parts)


def level(score: float) -> Literal["basic", "intermediate", "advanced"]:
    """Return the level of a complexity score (cuts at 0.35 and 0.6)."""
    return "basic" if score < 0.35 else "intermediate" if score < 0.6 else "advanced"


@lru_cache(maxsize=1)
def _reference() -> tuple[Conversation, ...]:
    path = Path(__file__).with_name("reference") / "counsel_chat.jsonl"
    return tuple(Conversation.model_validate_json(line) for line in path.read_text(encoding="utf-8").splitlines())


def reference() -> list[Conversation]:
    """Return a few real question-and-answer records (counsel-chat, MIT) to hold the scorers against."""
    return list(_reference())


__all__ = ["METRICS", "OVERALL", "SCORERS", "level", "overall", "reference", "score_all"]
