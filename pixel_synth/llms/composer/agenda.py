"""What a session goes through, before a word is chosen: an ordered agenda that fits the planned number of turns.

Items are client-led (a beat the client opens) or therapist-led (a lead).  Client-led items may share a turn, take an
exchange of their own, or two with a follow-up question; therapist-led ones take one exchange each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from pixel_synth.draw import Draw
from pixel_synth.grammar import find_cue
from pixel_synth.knowledge import Knowledge
from pixel_synth.knowledge.models import (
    KINDS,
    Attachment,
    CrisisProtocol,
    Defense,
    Disorder,
    Instrument,
    Interview,
    LifeEvent,
    Modality,
    Person,
    Population,
    Rupture,
)
from pixel_synth.knowledge.pieces import Beat, Feature, Lead
from pixel_synth.records import RIDERS, Blueprint


@dataclass
class Item:
    """One thing on the agenda."""

    kind: str
    id: str
    beats: Sequence[Beat] = ()
    leads: Sequence[Lead] = ()
    preface: Sequence[Lead] = ()
    cues: tuple[str, ...] = ()
    phase: str = "explore"
    follow: bool = False
    riders: list[Item] = field(default_factory=list)
    hold_back: bool = False
    rupture: Rupture | None = None

    @property
    def client_led(self) -> bool:
        """Whether the client opens it."""
        return bool(self.beats)


def _tender(cues: Sequence[str]) -> bool:
    """Whether a criterion is about shame, worth, death or intrusion: such things are told late by guarded clients."""
    return find_cue(cues, "worthless guilt ashamed shame die dead disgust hate myself burden secret empty") is not None


def build(bp: Blueprint, knowledge: Knowledge) -> list[Item]:
    """Return the agenda of a blueprint, opening first and closing last, fitted to its number of turns."""
    draw = Draw(bp.seed, "agenda")
    topic, modality = knowledge.get(Disorder, bp.topic), knowledge.get(Modality, bp.modality)
    event, person = knowledge.get(LifeEvent, bp.event), knowledge.get(Person, bp.persona.person)
    pace = knowledge.get(Attachment, bp.persona.attachment).pace
    moves = {m.id: m for m in modality.moves}
    opening = Item("event", event.id, beats=event.beats, cues=event.cues, phase="opening")
    symptoms = [
        Item("criterion", c.id, beats=c.beats, cues=c.cues)
        for c in (topic.criterion(i) for i in bp.criteria_voiced)
        if c.kind != "exposure"  # what the client was exposed to is the event, which opens the session
    ]
    symptoms = draw.shuffled(symptoms)
    if pace in ("slow", "even"):
        symptoms.sort(key=lambda i: _tender(i.cues))
    elif pace == "fast":
        symptoms.sort(key=lambda i: not _tender(i.cues))
    others = [Item("person", person.id, beats=person.beats, cues=person.cues)]
    population = knowledge.get(Population, bp.population)
    if population.beats and bp.population != "general_adult":
        others.append(Item("population", population.id, beats=population.beats))
    if bp.difficulty != "basic" and bp.risk in ("none", "low"):
        others += [Item("defense", d, beats=knowledge.get(Defense, d).beats) for d in bp.persona.defenses]
    told, asked = _features(bp, knowledge)
    others += told
    leads = [Item("move", p.move, leads=moves[p.move].leads, phase=p.phase) for p in bp.moves]
    close = [i for i in leads if i.phase == "close"]
    explore = [*asked, *(i for i in leads if i.phase == "explore")]
    work = [i for i in leads if i.phase == "work"]
    risk = _risk_items(bp, knowledge)
    middle = symptoms[:1] + _weave(symptoms[1:], others, draw)
    for lead in explore:  # each after the one before
        last = max((i for i, item in enumerate(middle) if not item.client_led), default=-1)
        middle.insert(max(1, last + 1, len(middle) - draw.below(3)), lead)
    middle += [*work, *risk]  # safety comes last: whatever else came after it would sound like changing the subject
    return fit([opening, *middle, *close], bp, draw, _rupture(bp, knowledge))


def _split(key: str) -> tuple[str, str]:
    kind, _, id = key.partition(":")
    return kind, id


def _features(bp: Blueprint, knowledge: Knowledge) -> tuple[list[Item], list[Item]]:
    """Return what the client brings beyond the topic, and what the therapist asks from an instrument or interview."""
    told, asked = [], []
    for kind, id in map(_split, bp.features):
        entry = knowledge.get(KINDS[kind], id)
        if isinstance(entry, Feature):
            told.append(Item("feature", f"{kind}:{id}", beats=entry.beats, cues=entry.cues))
        elif isinstance(entry, Instrument | Interview):
            asked.append(Item("feature", f"{kind}:{id}", leads=entry.questions))
    return told, asked


def _rupture(bp: Blueprint, knowledge: Knowledge) -> Rupture | None:
    return next((knowledge.get(Rupture, id) for kind, id in map(_split, bp.features) if kind == "rupture"), None)


def _weave(main: list[Item], others: list[Item], draw: Draw) -> list[Item]:
    """Spread the other items among the main ones."""
    result = list(main)
    for item in others:
        result.insert(draw.below(len(result) + 1), item)
    return result


def _risk_items(bp: Blueprint, knowledge: Knowledge) -> list[Item]:
    if bp.risk == "none":
        return []
    protocol = knowledge.get(CrisisProtocol, bp.protocol)
    show = next(s for s in protocol.show if s.level == bp.risk)
    items = [Item("risk", f"{protocol.id}.{show.level}", beats=show.beats, cues=show.cues, phase="safety")]
    for step in protocol.steps:
        if bp.risk in step.required_for:
            items.append(Item("step", step.id, leads=step.leads, cues=step.cues, phase="safety"))
    if len(items) > 2:  # what was noticed is named in the same breath as the first question about it
        items[2].preface, items[1:2] = items[1].leads, []
    return items


def fit(items: list[Item], bp: Blueprint, draw: Draw, rupture: Rupture | None = None) -> list[Item]:
    """Make the agenda take exactly the planned number of exchanges: let items ride along, or follow them up."""
    exchanges = bp.turns // 2 - (rupture is not None)  # a rupture takes one for its repair
    optional = ("defense", "population")
    limit = RIDERS[bp.risk]
    threads = {"none": 2 + draw.below(2), "low": 1 + draw.below(2), "moderate": 0, "high": 0}[bp.risk]
    while len(items) > exchanges - threads:
        riders = [
            (i, seat)
            for i, item in enumerate(items)
            if i > 0 and item.client_led and not item.riders and item.kind not in ("risk", *optional) and (seat := _seat(items, i, limit))
        ]
        spare = [i for i, item in enumerate(items) if item.kind in optional]
        if not riders and not spare and threads:  # no room to follow anything up
            threads -= 1
        elif riders and (not spare or len(riders) > 1):
            i, seat = draw.pick(riders)
            seat.riders.append(items.pop(i))
        elif spare:
            gone = items.pop(draw.pick(spare))
            items[0].riders += gone.riders
        elif not _dissolve(items, limit):
            moves = [i for i, item in enumerate(items) if item.kind == "move"]
            if not moves:
                break
            del items[moves[0]]
    pushed = next((i for i in items if not i.client_led and i.phase not in ("close", "safety")), None)
    if pushed:
        pushed.rupture = rupture
    _spend(exchanges - len(items) + (rupture is not None and not pushed), items, bp, draw)
    return items


def _spend(room: int, items: list[Item], bp: Blueprint, draw: Draw) -> None:
    """Use spare exchanges: follow-up questions, holding back; what is left lets riders have their own turn."""
    holds = {"advanced": 0.5, "intermediate": 0.3, "basic": 0.12}[bp.difficulty]
    own = draw.shuffled([i for i in items if i.client_led and i.kind != "risk"])
    for item in own:
        if room:
            item.follow, room = True, room - 1
        if room and draw.chance(holds) and not any(i.hold_back for i in items):
            item.hold_back, room = True, room - 1
    for seat in own:
        while room and seat.riders:
            items.insert(items.index(seat) + 1, seat.riders.pop())
            room -= 1
    for item in own:
        if room and not item.hold_back:
            item.hold_back, room = True, room - 1


def _seat(items: list[Item], i: int, limit: int) -> Item | None:
    """Return a client-led item with room for a rider: before it on the same side of the safety talk, else the risk it leads to."""
    start = max((k + 1 for k, item in enumerate(items[:i]) if item.kind in ("risk", "step")), default=0)
    open_ = [item for item in items[start:i] if item.client_led and item.kind != "defense" and len(item.riders) < limit]
    if open_:
        return open_[0] if limit > 1 else open_[-1]
    return next((item for item in items[i:] if item.kind == "risk" and not item.riders), None)


def _dissolve(items: list[Item], limit: int) -> bool:
    """Take away one item that has riders and seat it and each of them elsewhere; false when there is no such item."""
    for i in range(len(items) - 1, 0, -1):
        item = items[i]
        if not item.client_led or not item.riders or item.kind in ("risk", "defense", "population"):
            continue
        rest, seats = [*items[:i], *items[i + 1 :]], []
        for piece in (item, *item.riders):
            if seat := _seat(rest, i, limit):
                seat.riders.append(piece)
                seats.append(seat)
        if len(seats) == 1 + len(item.riders):
            item.riders, items[:] = [], rest
            return True
        for seat in reversed(seats):
            seat.riders.pop()
    return False
