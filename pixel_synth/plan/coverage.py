"""Which cell each slot of the plan covers: topic × modality × population × difficulty, with risk alongside.

Slots are dealt one by one.  At every slot each dimension takes the allowed value that is furthest behind its target,
counting both its own share and its share within the topic, so that marginals stay within a record or two of
their targets and pairs are spread as well.  Ties fall in a seeded order.  The deal is a pure function of seed, shares
and knowledge; slot *i* does not depend on how many slots follow.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from pixel_synth.draw import Draw
from pixel_synth.errors import UsageError
from pixel_synth.knowledge import Knowledge
from pixel_synth.knowledge.models import Disorder, LifeEvent, Modality, Occupation, Population
from pixel_synth.knowledge.pieces import Pronouns
from pixel_synth.records import Difficulty, Risk
from pixel_synth.settings import Settings

# How often a modality is planned for a topic, by the evidence that its pack states; our choice, no finding.
WEIGHTS = {"strong": 4.0, "moderate": 3.0, "emerging": 2.0, "adjunct": 1.5}


class Cell(NamedTuple):
    """What one slot must cover."""

    topic: str
    modality: str
    population: str
    difficulty: Difficulty
    risk: Risk


class Exclusion(NamedTuple):
    """A pair that is never planned, and why."""

    one: str
    other: str
    reason: str


class Space(NamedTuple):
    """The values of each dimension with their target shares, what can go together, and the pairs ruled out."""

    targets: dict[str, dict[str, float]]
    allowed: dict[str, dict[str, tuple[str, ...]]]  # topic → modality → populations
    within: dict[str, dict[str, float]]  # topic → share of each modality in its sessions
    risks_of: dict[str, tuple[Risk, ...]]
    exclusions: tuple[Exclusion, ...]


def span(*ranges: tuple[int, int]) -> tuple[int, int] | None:
    """Return the overlap of closed integer ranges, or ``None``."""
    low, high = max(r[0] for r in ranges), min(r[1] for r in ranges)
    return (low, high) if low <= high else None


def fits_event(event: LifeEvent, topic: Disorder) -> bool:
    """Whether a life event may precede a disorder; where the manual asks for an exposure, the event has to be one that counts."""
    if any(c.kind == "exposure" for c in topic.criteria):
        return topic.id in (*event.exposure_for, *event.disorders)
    if event.disorders:
        return topic.id in event.disorders
    return topic.id not in event.not_for and (not event.chapters or topic.chapter in event.chapters)


class Pairs:
    """Which two values cannot go together, each pair looked at once."""

    def __init__(self, knowledge: Knowledge) -> None:
        self.events = list(knowledge.all(LifeEvent).values())
        self.jobs = knowledge.all(Occupation)

    def topic_modality(self, topic: Disorder, modality: Modality) -> Exclusion | None:
        """Return why a modality is never planned for a topic."""
        if modality.only and topic.id not in modality.only:
            return Exclusion(topic.id, modality.id, f"{modality.name} is for other conditions")
        return next(
            (
                Exclusion(topic.id, modality.id, c.text)
                for c in modality.contraindications
                if c.effect == "exclude" and topic.id in c.disorders
            ),
            None,
        )

    def modality_population(self, modality: Modality, population: Population) -> Exclusion | None:
        """Return why a modality is never planned with a population."""
        if modality.id in population.excludes:
            return Exclusion(modality.id, population.id, f"the pack of {population.name} rules it out")
        ruled = (c for c in modality.contraindications if c.effect == "exclude" and population.id in c.populations)
        return next((Exclusion(modality.id, population.id, c.text) for c in ruled), None)

    def topic_population(self, topic: Disorder, population: Population) -> Exclusion | None:
        """Return why a topic is never planned with a population: ruled out, no common age, or no life that fits."""
        if topic.id in population.excludes:
            return Exclusion(topic.id, population.id, f"the pack of {population.name} rules it out")
        ages = client_ages(topic, population)
        if ages is None:
            return Exclusion(topic.id, population.id, "no age fits both")
        if not pronouns_of(topic, population):
            return Exclusion(topic.id, population.id, "no client fits both")
        jobs = [self.jobs[i] for i in population.occupations] or list(self.jobs.values())
        events = [e for e in self.events if fits_life(e, topic, population)]
        if not any(span(ages, e.ages, j.ages) for e in events for j in jobs if j.id not in e.excludes):
            return Exclusion(topic.id, population.id, "no life event and occupation fit this disorder at this age")
        return None


def pronouns_of(topic: Disorder, population: Population, event: LifeEvent | None = None) -> tuple[Pronouns, ...]:
    """Return the pronouns that a client of a topic, a population and an event can have."""
    sets = [set(x.pronouns) for x in (topic, population, event) if x and x.pronouns]
    every: tuple[Pronouns, ...] = ("she", "he", "they")
    return tuple(p for p in every if all(p in allowed for allowed in sets))


def fits_life(event: LifeEvent, topic: Disorder, population: Population) -> bool:
    """Whether an event can be in the life of somebody of a population with this topic."""
    return fits_event(event, topic) and event.id not in population.excludes and bool(pronouns_of(topic, population, event))


def client_ages(topic: Disorder, population: Population) -> tuple[int, int] | None:
    """Return the ages of whoever talks: those of the topic's client, old enough for the diagnosis, within the population's."""
    youngest = topic.min_age if topic.client == "self" else 18
    return span(population.ages, topic.client_ages, (youngest, 120))


def _chosen(wanted: Sequence[str], known: Sequence[str], flag: str) -> list[str]:
    if unknown := [w for w in wanted if w not in known]:
        from difflib import get_close_matches

        near = get_close_matches(unknown[0], known, n=3, cutoff=0.3)
        raise UsageError(f"--{flag}: unknown {unknown[0]!r}", hint=f"known: {', '.join(near or known)}")
    return [k for k in known if not wanted or k in wanted]


def _shares(names: Sequence[str], given: Mapping[str, float]) -> dict[str, float]:
    """Give listed names their share, the others the rest in equal parts, normalised to 1."""
    rest = [n for n in names if n not in given]
    left = max(0.0, 1.0 - sum(given.get(n, 0.0) for n in names))
    shares = {n: given.get(n, left / len(rest) if rest else 0.0) for n in names}
    total = sum(shares.values())
    return {n: s / total for n, s in shares.items() if s > 0}


def _supported(topic: str, modalities: Sequence[Modality]) -> dict[str, float]:
    """Share a topic's sessions among modalities by how well each is supported for it (`WEIGHTS`; 1 where nothing is stated)."""
    weights = {m.id: next((WEIGHTS[i.evidence] for i in m.indications if i.disorder == topic), 1.0) for m in modalities}
    return {m: w / sum(weights.values()) for m, w in weights.items()}


def space(settings: Settings, knowledge: Knowledge) -> Space:
    """Work out targets and exclusions for the given settings.

    Raises:
        UsageError: When a filter names something unknown, or nothing possible is left.
    """
    disorders, modalities, populations = knowledge.all(Disorder), knowledge.all(Modality), knowledge.all(Population)
    _chosen(list(settings.topic_shares), list(disorders), "topic_shares")
    topics = _chosen(settings.topics, list(disorders), "topic")
    mods = _chosen(settings.modalities, list(modalities), "modality")
    pops = _chosen(settings.populations, list(populations), "population")
    risks = {r: s for r, s in settings.risk_shares.items() if s > 0 and (not settings.risks or r in settings.risks)}
    for risk in settings.risks:
        risks.setdefault(risk, 1.0 / len(settings.risks))
    exclusions: set[Exclusion] = set()
    allowed: dict[str, dict[str, tuple[str, ...]]] = {}
    risks_of = {t: tuple(r for r in risks if r in disorders[t].risks) for t in topics}
    pairs = Pairs(knowledge)

    def fit(found: Exclusion | None) -> bool:
        exclusions.update([found] if found else [])
        return not found

    of_modality = {m: [p for p in pops if fit(pairs.modality_population(modalities[m], populations[p]))] for m in mods}
    for t in topics:
        if disorders[t].client == "reference":
            exclusions.add(Exclusion(t, "any session", disorders[t].why_reference))
            continue
        exclusions |= {Exclusion(t, f"risk {r}", "the pack does not give this disorder such a risk") for r in risks if r not in risks_of[t]}
        if not risks_of[t] or settings.topic_shares.get(t) == 0.0:
            continue
        of_topic = {p for p in pops if fit(pairs.topic_population(disorders[t], populations[p]))}
        rows = {
            m: tuple(p for p in of_modality[m] if p in of_topic) for m in mods if fit(pairs.topic_modality(disorders[t], modalities[m]))
        }
        if rows := {m: ps for m, ps in rows.items() if ps}:
            allowed[t] = rows
    if not allowed:
        why = "; ".join(e.reason for e in sorted(exclusions)) or "every topic left has a share of 0"
        raise UsageError("nothing is left to plan with these filters", hint=why[:400])
    risks = {r: s for r, s in risks.items() if any(r in risks_of[t] for t in allowed)}
    total = sum(risks.values())
    topic_shares = _shares(list(allowed), settings.topic_shares)
    within = {t: _supported(t, [modalities[m] for m in rows]) for t, rows in allowed.items()}
    by_modality: Counter[str] = Counter()
    for t, share in topic_shares.items():
        by_modality.update({m: share * part for m, part in within[t].items()})
    targets: dict[str, dict[str, float]] = {
        "topic": topic_shares,
        "modality": {m: by_modality[m] for m in mods if by_modality[m]},
        "population": _shares([p for p in pops if any(p in ps for rows in allowed.values() for ps in rows.values())], {}),
        "difficulty": {k: v for k, v in settings.difficulty_shares.items() if v > 0},
        "risk": {r: s / total for r, s in risks.items()},
    }
    return Space(targets, allowed, within, risks_of, tuple(sorted(exclusions)))


def deal(space: Space, seed: int) -> Iterator[Cell]:
    """Deal cells without end, in slot order."""
    order = {d: {v: i for i, v in enumerate(Draw(seed, "deal", d).shuffled(sorted(t)))} for d, t in space.targets.items()}
    counts: Counter[tuple[str, ...]] = Counter()
    slot = 0
    while True:
        slot += 1

        def behind(dim: str, value: str, topic: str, slot: int = slot) -> float:
            share = space.targets[dim][value]
            gap = share * slot - counts[dim, value]
            if topic:
                share = space.within[topic][value] if dim == "modality" else share
                gap += (share * (counts["topic", topic] + 1) - counts[dim, value, topic]) * 0.5
            return gap

        def take(dim: str, allowed: Sequence[str], topic: str = "") -> str:
            best = max(allowed, key=lambda v: (round(behind(dim, v, topic), 9), -order[dim][v]))
            counts[dim, best] += 1
            if topic:
                counts[dim, best, topic] += 1
            return best

        topic = take("topic", list(space.targets["topic"]))
        modality = take("modality", list(space.allowed[topic]), topic)
        population = take("population", space.allowed[topic][modality], topic)
        difficulty = take("difficulty", list(space.targets["difficulty"]), topic)
        risk = take("risk", space.risks_of[topic], topic)
        yield Cell(topic, modality, population, difficulty, risk)  # type: ignore[arg-type]


def coverage(cells: Sequence[Cell], space: Space) -> dict[str, dict[str, tuple[float, float]]]:
    """Return per dimension and value (target share, share among the cells)."""
    result: dict[str, dict[str, tuple[float, float]]] = {}
    for i, dim in enumerate(Cell._fields):
        seen = Counter(cell[i] for cell in cells)
        result[dim] = {v: (share, seen[v] / max(1, len(cells))) for v, share in space.targets[dim].items()}
    return result


class Ruled(NamedTuple):
    """Values that are never planned together with another, for one reason."""

    other: str
    reason: str
    ones: tuple[str, ...]


def ruled_out(space: Space) -> list[Ruled]:
    """Return the exclusions grouped by what they exclude and why, the largest groups first."""
    groups: dict[tuple[str, str], list[str]] = {}
    for e in space.exclusions:
        groups.setdefault((e.other, e.reason), []).append(e.one)
    return sorted((Ruled(*key, tuple(ones)) for key, ones in groups.items()), key=lambda r: (-len(r.ones), r.other, r.reason))


def used(knowledge: Knowledge, ids: Counter[str]) -> list[tuple[str, int, int, int]]:
    """Return (kind, entries used, entries there, conversations that use one) from counts of "kind:id", per kind in use."""
    rows = []
    for kind, entries in knowledge.by_kind.items():
        mine = [n for key, n in ids.items() if key.partition(":")[0] == kind and key.partition(":")[2] in entries]
        if mine:
            rows.append((kind, len(mine), len(entries), sum(mine)))
    return rows
