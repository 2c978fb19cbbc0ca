"""How much a line sounds like this client: words of the persona's Big Five poles, from the trait packs."""

from __future__ import annotations

from collections.abc import Sequence

from pixel_synth.grammar import cue_pattern
from pixel_synth.knowledge import Knowledge
from pixel_synth.knowledge.models import Experience, Facet, Organization, Pole, Trait, experiences
from pixel_synth.records import BigFive, Blueprint


def asides(bp: Blueprint, knowledge: Knowledge) -> list[str]:
    """Return short sentences of this person beyond the five domains: facets, personality organisation, what the condition is like."""
    lines = [line for key in bp.persona.facets for line in _facet(key, knowledge)]
    if bp.persona.organization:
        lines += knowledge.get(Organization, bp.persona.organization).asides
    if bp.client == "self":
        lines += [line for e in experiences(knowledge.all(Experience).values(), bp.topic) for line in e.asides]
    return lines


def _facet(key: str, knowledge: Knowledge) -> tuple[str, ...]:
    id, _, pole = key.partition(":")
    facet = knowledge.get(Facet, id)
    return facet.high.asides if pole == "high" else facet.low.asides


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
