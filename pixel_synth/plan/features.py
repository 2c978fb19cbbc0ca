"""What colours a session beyond topic, modality and population, and how it is dealt so that all of it gets used.

Six slots in ten carry a feature: something the client brings (culture axis, edge case, challenging behaviour, mental
capacity, personality syndrome) or questions of an instrument or interview that fit the topic.  Features are dealt in a
seeded round over all entries, so that coverage is a property of the plan.  Where the plan has room for pushback, a
rupture with its repair is dealt in the same way.  Sessions with a moderate or high risk carry neither: safety needs the time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from pixel_synth.draw import Draw
from pixel_synth.knowledge import Knowledge
from pixel_synth.knowledge.models import (
    KINDS,
    Behaviour,
    Capacity,
    Culture,
    Disorder,
    EdgeCase,
    Facet,
    Instrument,
    Interview,
    Organization,
    Population,
    Rupture,
    Syndrome,
)
from pixel_synth.knowledge.pieces import Entry
from pixel_synth.knowledge.pieces import Feature as FeatureEntry
from pixel_synth.plan.coverage import Cell
from pixel_synth.records import BigFive

TOLD: tuple[type[FeatureEntry], ...] = (Culture, EdgeCase, Behaviour, Capacity, Syndrome)
SHARE = 0.6  # of the slots that carry a feature
ASKED = 0.4  # of those, in which the therapist turns to an instrument or interview
PUSHES = {"basic": 0.0, "intermediate": 0.25, "advanced": 0.75}  # share of sessions with a rupture, by difficulty
_PSYCHOTIC = ("schizophrenia_spectrum",)


class Chosen(NamedTuple):
    """A feature of one plan: ``tells`` when the client brings it in and its cues must be found in the client's words."""

    key: str
    text: str
    cues: tuple[str, ...]
    tells: bool


def kind_of(model: type[Entry]) -> str:
    """Return the pack kind of a model."""
    return next(k for k, m in KINDS.items() if m is model)


def draw_features(knowledge: Knowledge, seed: int, slot: int, attempt: int, cell: Cell, population: Population) -> list[Chosen]:
    """Return the features of a slot's attempt; a later attempt keeps them, so that coverage does not wander."""
    if cell.risk not in ("none", "low"):
        return []
    draw, chosen = Draw(seed, slot, "features"), []
    if draw.chance(SHARE):
        told: list[tuple[str, Entry]] = [(kind_of(m), e) for m in TOLD for e in knowledge.all(m).values()]
        asked = _asked(knowledge, cell.topic) if draw.chance(ASKED) else []
        for kind, entry in _round(Draw(seed, "features", cell.topic if asked else ""), asked or told, slot):
            if entry.id not in population.excludes:
                cues = entry.cues if isinstance(entry, FeatureEntry) else ()
                chosen.append(Chosen(f"{kind}:{entry.id}", entry.name, cues, bool(cues)))
                break
    if draw.chance(PUSHES[cell.difficulty]):
        ruptures = [("rupture", e) for e in knowledge.all(Rupture).values()]
        chosen += [Chosen(f"rupture:{e.id}", e.name, (), False) for _, e in _round(Draw(seed, "ruptures"), ruptures, slot)[:1]]
    return chosen


def _asked(knowledge: Knowledge, topic: str) -> list[tuple[str, Entry]]:
    """Return the instruments made for a topic; where there are none, those for any topic and the interview guides."""
    instruments = [e for e in knowledge.all(Instrument).values() if e.questions]
    own: list[tuple[str, Entry]] = [("instrument", e) for e in instruments if topic in e.disorders]
    general: list[tuple[str, Entry]] = [("instrument", e) for e in instruments if not e.disorders]
    return own or [*general, *(("interview", e) for e in knowledge.all(Interview).values() if e.questions)]


def _round(draw: Draw, entries: Sequence[tuple[str, Entry]], slot: int) -> list[tuple[str, Entry]]:
    """Return the entries in a seeded order that begins one further at every slot."""
    order = draw.shuffled(entries)
    start = slot % max(1, len(order))
    return [*order[start:], *order[:start]]


def organization(draw: Draw, knowledge: Knowledge, topic: Disorder) -> str:
    """Draw a level of personality organisation that the topic allows (PDM-2: most people in outpatient care are in the middle)."""
    levels = sorted(knowledge.all(Organization).values(), key=lambda o: o.rank)
    if not levels:
        return ""
    if topic.chapter in _PSYCHOTIC:
        return draw.pick(levels[-2:]).id
    if topic.chapter == "personality":
        return draw.pick(levels[1:-1] or levels).id
    return draw.weighted(levels[:3], (0.3, 0.5, 0.2)[: len(levels[:3])]).id


def facets(draw: Draw, knowledge: Knowledge, levels: BigFive) -> tuple[str, ...]:
    """Draw two facets, each at the pole of its domain's level."""
    off = {trait: level for trait, level in levels.model_dump().items() if level != "mid"}
    fitting = [f for f in knowledge.all(Facet).values() if f.domain in off]
    return tuple(f"{f.id}:{off[f.domain]}" for f in draw.shuffled(fitting)[:2])
