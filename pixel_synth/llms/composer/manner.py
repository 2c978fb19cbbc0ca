"""How much a line sounds like this client: words of the persona's Big Five poles, from the trait packs."""

from __future__ import annotations

from collections.abc import Sequence

from pixel_synth.grammar import cue_pattern
from pixel_synth.knowledge.models import Pole, Trait
from pixel_synth.records import BigFive


class Manner:
    """The poles a persona lives at, and the words that speak for and against them."""

    def __init__(self, traits: dict[str, Trait], levels: BigFive) -> None:
        off = [(t, v) for t, v in levels.model_dump().items() if v != "mid" and t in traits]
        self.poles: Sequence[Pole] = [getattr(traits[t], v) for t, v in off]
        self._for = [cue_pattern(p.cues) for p in self.poles]
        self._against = [cue_pattern(getattr(traits[t], "low" if v == "high" else "high").cues) for t, v in off]

    def fit(self, text: str) -> float:
        """Return own words minus twice the opposite poles' words."""
        own = sum(len(p.findall(text)) for p in self._for)
        return own - 2.0 * sum(len(p.findall(text)) for p in self._against)
