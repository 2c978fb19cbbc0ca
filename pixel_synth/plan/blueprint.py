"""Draw one blueprint for a cell: client, illness, life, session; every choice comes from the knowledge packs.

The draw is addressed by (run seed, slot, attempt), so a slot that is planned again keeps its cell and gets new people.
"""

from __future__ import annotations

import re
from math import exp, log

from pixel_synth.draw import Draw, seed_of
from pixel_synth.grammar import find_cue
from pixel_synth.knowledge import Knowledge
from pixel_synth.knowledge.models import (
    Attachment,
    CountRule,
    CrisisProtocol,
    CrisisStep,
    Criterion,
    Defense,
    Disorder,
    EthicsRule,
    Experience,
    LifeEvent,
    Modality,
    Occupation,
    Person,
    Population,
    Profile,
    experiences,
)
from pixel_synth.knowledge.pieces import Pronouns
from pixel_synth.plan import features
from pixel_synth.plan.coverage import Cell, client_ages, fits_life, pronouns_of, span
from pixel_synth.records import DIFFICULTIES, RIDERS, Blueprint, Fact, Persona, PlannedMove, Severity, stable_id

MAX_EXCHANGES = 12
# Given names in use in many countries; they carry no other meaning.
NAMES = {
    "she": "Amara Beatriz Chiara Dana Elif Farah Grace Hana Imani Joanna Karin Leila Mei Nadia Olga Priya Rosa Sofia Tara Yuki".split(),
    "he": "Adam Bilal Carlos Dmitri Emeka Farid George Hugo Ivan Jonas Kwame Luis Marek Niko Omar Paulo Ravi Stefan Tomasz Wei".split(),
    "they": "Alex Ari Charlie Jo Kai Lou Max Noor Quinn Robin Sam Sasha".split(),
}
PRONOUN_SHARES: dict[Pronouns, float] = {"she": 0.48, "he": 0.48, "they": 0.04}
WARDS = {"parent": ("son", "daughter"), "family": ("mother", "father", "sister", "brother")}
_UNITS = (("week", 7), ("month", 30), ("year", 365))
_NUMBERS = "zero one two three four five six seven eight nine ten eleven twelve".split()
_ABOUT_DEATH = re.compile(r"suicid|self-harm|self-injur|of death|about death|being dead|not waking|own death", re.IGNORECASE)


def number(n: int) -> str:
    """Return a number as people say it: words up to twelve, digits beyond."""
    return _NUMBERS[n] if n < len(_NUMBERS) else str(n)


def duration(draw: Draw, topic: Disorder, age: int) -> tuple[int, str, tuple[str, ...]]:
    """Draw a duration within the disorder's bounds (log-uniform): (days, how it is said, its cues)."""
    own = topic.client == "self"
    if topic.max_onset_age is not None and own:
        years = max(1, age - draw.between(min(5, topic.max_onset_age - 1), topic.max_onset_age - 1))
        said = f"{number(years)} year{'s' if years > 1 else ''}"
        return years * 365, said, tuple(dict.fromkeys((said, f"{years} year{'s' if years > 1 else ''}")))
    low, high = topic.duration_range_days
    high = max(low, min(high, (age - 6) * 365)) if own else high
    days = exp(log(max(low, 1)) + (log(max(high, 1)) - log(max(low, 1))) * draw.below(1000) / 999)
    unit, size = _UNITS[0] if days < 50 else _UNITS[1] if days < 700 else _UNITS[2]
    count = max(1, round(days / size))
    while count * size < max(low, topic.min_duration_days):
        count += 1
    while count > 1 and topic.max_duration_days is not None and count * size > topic.max_duration_days:
        count -= 1
    text = f"{number(count)} {unit}{'s' if count > 1 else ''}"
    cues = [text, f"{count} {unit}{'s' if count > 1 else ''}"]
    if count == 1:
        cues += [f"a {unit}"]
    return count * size, text, tuple(dict.fromkeys(cues))


def voiced(criterion: Criterion) -> bool:
    """Whether a criterion can be heard in talk."""
    return bool(criterion.beats)


def meet(draw: Draw, topic: Disorder, cell: Cell, severity: Severity, age: int) -> list[str]:
    """Draw criteria that satisfy every count rule of the disorder, and a few more with severity."""
    met: list[str] = []
    extra = {"mild": 0, "moderate": 1, "severe": 2}[severity]
    by = topic.severity_by_count

    def allowed(id: str) -> bool:
        return cell.risk != "none" or not _ABOUT_DEATH.search(topic.criterion(id).text)

    rules = {r.id: r for r in topic.rules}

    def satisfy(rule: CountRule) -> None:
        nonlocal extra
        pool = [i for i in draw.shuffled(rule.of) if i in rules or allowed(i)] or list(rule.of)
        first = [i for i in pool if i in rule.any_of][:1]
        wanted = rule.least(age if topic.client == "self" else None)
        if by and by.rule == rule.id:  # the manual counts severity: neither more nor fewer than its range
            low, high = getattr(by, severity)
            wanted = draw.between(max(wanted, low), max(low, min(high, len(pool), low + 2)))
        elif wanted < len(rule.of) and extra and not any(i in rules for i in rule.of):
            wanted, extra = min(len(pool), wanted + extra), 0
        have = [i for i in rule.of if i in met]
        for id in (*first, *pool):
            if len(have) >= wanted and (not first or first[0] in have):
                break
            if id not in have:
                have.append(id)
                if id in rules:
                    satisfy(rules[id])
                else:
                    met.append(id)

    for rule in topic.top_rules:
        satisfy(rule)
    order = [c.id for c in topic.criteria]
    return sorted(dict.fromkeys(met), key=order.index)


def steps_for(protocol: CrisisProtocol, risk: str) -> list[CrisisStep]:
    """Return the protocol steps that a risk level requires, in order."""
    return [s for s in protocol.steps if risk in s.required_for]


def draw_blueprint(knowledge: Knowledge, seed: int, slot: int, attempt: int, cell: Cell) -> Blueprint:
    """Draw the blueprint of a slot's attempt."""
    topic, modality = knowledge.get(Disorder, cell.topic), knowledge.get(Modality, cell.modality)
    population = knowledge.get(Population, cell.population)
    draw = Draw(seed, slot, attempt, "life")
    event, job, ages = _life(draw, knowledge, topic, population)
    ward = draw.pick(WARDS[topic.client]) if topic.client in WARDS else ""
    age = draw.between(*ages)
    person = _person(draw, knowledge, event, population, age)
    profile = draw.pick(list(knowledge.all(Profile).values()))
    allowed = pronouns_of(topic, population, event)
    pronouns = draw.weighted(allowed, [PRONOUN_SHARES[p] for p in allowed])
    n_defenses = {"basic": 1, "intermediate": 1, "advanced": 2}[cell.difficulty]
    persona = Persona(
        name=draw.pick(NAMES[pronouns]),
        pronouns=pronouns,
        age=age,
        occupation=job.id,
        person=person.id,
        profile=profile.id,
        big_five=profile.levels,
        attachment=draw.pick(list(knowledge.all(Attachment))),
        defenses=tuple(draw.shuffled(list(knowledge.all(Defense)))[:n_defenses]),
        organization=features.organization(draw, knowledge, topic),
        facets=features.facets(draw, knowledge, profile.levels),
    )
    draw = Draw(seed, slot, attempt, "illness")
    weights = {"basic": (0.5, 0.4, 0.1), "intermediate": (0.25, 0.5, 0.25), "advanced": (0.1, 0.5, 0.4)}[cell.difficulty]
    severity: Severity = draw.weighted(("mild", "moderate", "severe"), weights)
    days, said, duration_cues = duration(draw, topic, age)
    met = meet(draw, topic, cell, severity, age)
    heard = [c for c in met if voiced(topic.criterion(c))]
    protocol = _protocol(draw, knowledge, topic) if cell.risk != "none" else None
    steps = steps_for(protocol, cell.risk) if protocol else []
    heard = heard[: {"none": 9, "low": 6, "moderate": 4, "high": 2}[cell.risk]]
    extras = features.draw_features(knowledge, seed, slot, attempt, cell, population)
    told = 1 + sum(topic.criterion(c).kind != "exposure" for c in heard)  # the close person as well; exposures are the event
    told += sum(f.tells for f in extras)
    own = sum(not f.tells for f in extras)  # a rupture and its repair, or questions of an instrument, take an exchange of their own
    moves, turns = _session(Draw(seed, slot, attempt, "session"), cell, modality, told, len(steps[1:]), own)
    facts = [Fact(id=f"{topic.id}.{c.id}", kind="criterion", text=c.text, cues=_cues(c, event)) for c in map(topic.criterion, heard)]
    facts.append(Fact(id="duration", kind="duration", text=f"for {said}", cues=duration_cues))
    facts.append(Fact(id=event.id, kind="event", text=event.name, cues=event.cues))
    facts.append(Fact(id=job.id, kind="occupation", text=job.name, cues=job.cues))
    facts.append(Fact(id=person.id, kind="person", text=person.name, cues=person.cues))
    if protocol:
        show = next(s for s in protocol.show if s.level == cell.risk)
        facts.append(Fact(id=f"{protocol.id}.{show.level}", kind="risk", text=show.text, cues=show.cues))
        facts += [Fact(id=f"{protocol.id}.{s.id}", kind="safety", text=s.name, cues=s.cues, speaker="therapist") for s in steps]
    facts += [Fact(id=f.key, kind="feature", text=f.text, cues=f.cues) for f in extras if f.tells]
    must_not = tuple(r.id for r in knowledge.all(EthicsRule).values() if r.weight in ("safety", "scope", "honesty"))
    levels = persona.big_five.model_dump()
    knows = (
        f"disorder:{topic.id}",
        f"modality:{modality.id}",
        f"population:{population.id}",
        f"life_event:{event.id}",
        f"occupation:{job.id}",
        f"person:{person.id}",
        f"profile:{profile.id}",
        f"attachment:{persona.attachment}",
        *(f"trait:{trait}" for trait, level in levels.items() if level != "mid"),
        *(f"defense:{d}" for d in persona.defenses),
        *((f"crisis_protocol:{protocol.id}",) if protocol else ()),
        *(f"ethics_rule:{r}" for r in must_not),
        *((f"organization:{persona.organization}",) if persona.organization else ()),
        *(f"facet:{f.split(':')[0]}" for f in persona.facets),
        *(f"experience:{e.id}" for e in experiences(knowledge.all(Experience).values(), topic.id)),
        *(f.key for f in extras),
    )
    return Blueprint(
        id=stable_id("blueprint", seed, slot, attempt, *cell),
        seed=seed_of(seed, slot, attempt),
        slot=slot,
        attempt=attempt,
        topic=topic.id,
        modality=modality.id,
        population=population.id,
        difficulty=cell.difficulty,
        risk=cell.risk,
        severity=severity,
        persona=persona,
        event=event.id,
        duration_days=days,
        duration_text=said,
        criteria_met=tuple(met),
        criteria_voiced=tuple(heard),
        client="self" if topic.client == "reference" else topic.client,
        ward=ward,
        protocol=protocol.id if protocol else "",
        features=tuple(f.key for f in extras),
        evidence=next((i.evidence for i in modality.indications if i.disorder == topic.id), "none stated"),
        moves=moves,
        turns=turns,
        must_appear=tuple(facts),
        must_not=must_not,
        knowledge=knows,
    )


def _cues(criterion: Criterion, event: LifeEvent) -> tuple[str, ...]:
    """Return a criterion's cues; what a client was exposed to is the event itself, so its cues count as well."""
    return criterion.cues + event.cues if criterion.kind == "exposure" else criterion.cues


def _life(draw: Draw, knowledge: Knowledge, topic: Disorder, population: Population) -> tuple[LifeEvent, Occupation, tuple[int, int]]:
    """Draw an event and an occupation with a common age range."""
    base = client_ages(topic, population) or population.ages
    all_jobs = knowledge.all(Occupation)
    jobs = [all_jobs[i] for i in population.occupations] or list(all_jobs.values())
    events = [e for e in knowledge.all(LifeEvent).values() if fits_life(e, topic, population)]
    typical = [e for e in events if e.id in population.events]
    pools = [typical, events] if typical and draw.chance(0.6) else [events]
    for pool in pools:
        for event in draw.shuffled(pool):
            for job in draw.shuffled(jobs):
                if job.id not in event.excludes and (ages := span(base, event.ages, job.ages)):
                    return event, job, ages
    raise ValueError(f"no life fits {topic.id} × {population.id}")  # the coverage rules exclude such pairs


def _person(draw: Draw, knowledge: Knowledge, event: LifeEvent, population: Population, age: int) -> Person:
    """Draw someone close whom the event has not taken away."""
    people = [p for p in knowledge.all(Person).values() if p.ages[0] <= age <= p.ages[1] and p.id not in population.excludes]
    lost = f"{event.id.replace('_', ' ')} {event.name} {event.np}"
    parted = re.search(r"divorc|break ?up|breakup|separat|widow|spouse|husband|wife|partner", lost, re.IGNORECASE)
    safe = [p for p in people if not find_cue(p.cues, lost) and not (parted and p.role == "partner")]
    return draw.pick(safe or people)


def _protocol(draw: Draw, knowledge: Knowledge, topic: Disorder) -> CrisisProtocol | None:
    """Draw the crisis protocol that the risk calls for: mostly the first that the topic names."""
    known = [knowledge.all(CrisisProtocol)[id] for id in topic.protocols if id in knowledge.all(CrisisProtocol)]
    known = known or list(knowledge.all(CrisisProtocol).values())[-1:]
    return draw.weighted(known, [2.0**-i for i in range(len(known))]) if known else None


def _session(draw: Draw, cell: Cell, modality: Modality, n_told: int, n_steps: int, n_own: int) -> tuple[tuple[PlannedMove, ...], int]:
    """Choose the moves and the number of turns so that everything planned has room.

    What the client tells can ride along with other things: up to `RIDERS` with each thing that has an exchange of its own.
    """
    rank = DIFFICULTIES.index(cell.difficulty)
    riders, shows = RIDERS[cell.risk], int(n_steps > 0)
    own = max(0, -(-(n_told - riders - shows) // (riders + 1)))
    room = MAX_EXCHANGES - (1 + own + shows + n_steps + n_own)
    fitting = [m for m in modality.moves if DIFFICULTIES.index(m.difficulty) <= rank]
    closing = [m for m in fitting if m.phase == "close"] or [m for m in modality.moves if m.phase == "close"]
    close = [draw.pick(closing)] if closing and room > 0 else []
    working = draw.shuffled([m for m in fitting if m.phase in ("explore", "work")])
    wanted = {"none": 2 + draw.below(2), "low": 2, "moderate": 1, "high": 0}[cell.risk]
    chosen = sorted(working[: max(0, min(wanted, room - len(close)))], key=lambda m: m.phase != "explore")
    moves = tuple(PlannedMove(move=m.id, phase=m.phase) for m in (*chosen, *close))
    fewest = 1 + own + shows + n_steps + n_own + len(moves)
    resist = rank if cell.risk in ("none", "low") else min(rank, 1)
    ideal = min(MAX_EXCHANGES, 3 + n_told + shows + n_steps + n_own + len(moves) + resist)
    return moves, 2 * max(3, draw.between(min(fewest, ideal), ideal))
