"""Three ways to deal components to splits: random, stratified, temporal.  A component is never cut.

Each takes the components and how many records every split should hold, and answers a split per component.  Draws are hashes of the seed
and of a component's least id, so that neither the order of the records nor the number of workers matters.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from pixel_synth.draw import seed_of
from pixel_synth.mix.item import Item

TRAIN, VALIDATION, TEST = "train", "validation", "test"
NAMES = (TRAIN, VALIDATION, TEST)
BANDS = 5  # quality is balanced by fifths of what is there
# How much a dimension weighs against the others when a component finds no place that is right for all.  Ours: size and category are
# what the check of a split looks at, the rest is balanced as far as they leave room.
WEIGHTS = {"size": 4.0, "category": 4.0, "quality": 2.0, "kind": 1.0, "modality": 1.0, "risk": 1.0}


class Part(NamedTuple):
    """A component to deal: its draw, and its records."""

    draw: int
    members: tuple[Item, ...]


# Which split each part goes to; the wanted sizes are whole records and sum to all of them.
Deal = Callable[[Sequence[Part], Mapping[str, int]], list[str]]


def part(members: Sequence[Item], seed: int) -> Part:
    """Return a component with its draw: equal for equal seed and least id, whatever comes to the dataset beside it."""
    return Part(seed_of(seed, "split", min(m.id for m in members)), tuple(members))


def sizes(n: int, shares: Mapping[str, float]) -> dict[str, int]:
    """Return whole sizes that sum to ``n``: largest remainders (Hamilton), and one record for each split that has a share, while they last.

    Ties go to the split that is named first.
    """
    exact = {name: n * share for name, share in shares.items()}
    found = {name: int(value + 1e-9) for name, value in exact.items()}
    by_remainder = sorted(shares, key=lambda name: found[name] - exact[name])
    for name in by_remainder[: n - sum(found.values())]:
        found[name] += 1
    for name in shares:
        richest = max(found, key=lambda other: found[other])
        if shares[name] > 0 and not found[name] and found[richest] > 1:
            found[name], found[richest] = 1, found[richest] - 1
    return found


def random(parts: Sequence[Part], wanted: Mapping[str, int]) -> list[str]:
    """Deal by the draw alone: test fills from the low end, validation from the high end, train holds what is between.

    When records are added, only components near the two cuts change their place.  A component that a split has no room for goes to train.
    """
    order = sorted(range(len(parts)), key=lambda i: parts[i].draw)
    dealt = [TRAIN] * len(parts)
    for name, turn in ((TEST, order), (VALIDATION, order[::-1])):
        room = wanted.get(name, 0)
        for i in turn:
            if not room:
                break
            if dealt[i] == TRAIN and len(parts[i].members) <= room:
                dealt[i] = name
                room -= len(parts[i].members)
    return dealt


def stratified(parts: Sequence[Part], wanted: Mapping[str, int]) -> list[str]:
    """Deal so that every split resembles the whole in category, kind, modality, risk and fifths of quality.

    After Sechidis, Tsoumakas & Vlahavas (2011), "On the stratification of multi-label data", doi:10.1007/978-3-642-23808-6_10: what is
    hardest to place comes first, and goes where it is missed most.  Here the largest components come first, among equals those with the
    rarest label, and a component goes to the split with room in which the weighted chi-square distance of its labels' counts from the
    wanted ones grows least.  A wanted count below 1 is taken as 1 (Cochran, 1954, doi:10.2307/3001616, wants no expectation below that):
    else one record of a rare modality would outweigh a whole category.  scikit-learn's ``StratifiedGroupKFold`` deals groups in the same
    manner, by one label.
    """
    labels = _labels(parts)
    total = Counter[tuple[str, str]]()
    for counts in labels:
        total.update(counts)
    n = sum(wanted.values())
    rarest = [min(total[label] for label in counts) for counts in labels]
    order = sorted(range(len(parts)), key=lambda i: (-len(parts[i].members), rarest[i], parts[i].draw))
    have: dict[str, dict[tuple[str, str], int]] = {name: dict.fromkeys(total, 0) for name in wanted}
    room, dealt = dict(wanted), [TRAIN] * len(parts)
    shares = {name: size / n for name, size in wanted.items() if size}
    for i in order:
        size, best, least = len(parts[i].members), TRAIN, float("inf")
        for name, share in shares.items():
            if room[name] >= size:
                got = have[name]
                due = {label: max(1.0, total[label] * share) for label in labels[i]}
                cost = sum(WEIGHTS[label[0]] * v * ((2 * got[label] + v) / due[label] - 2) for label, v in labels[i].items())
                if cost < least:
                    best, least = name, cost
        dealt[i] = best
        room[best] -= size
        for label, v in labels[i].items():
            have[best][label] += v
    return dealt


def _labels(parts: Sequence[Part]) -> list[dict[tuple[str, str], int]]:
    scored = sorted(m.quality for p in parts for m in p.members if m.quality is not None)
    cuts = [scored[len(scored) * k // BANDS] for k in range(1, BANDS)] if scored else []

    def of(m: Item) -> tuple[tuple[str, str], ...]:
        band = "unscored" if m.quality is None else str(bisect_right(cuts, m.quality))
        return (
            ("size", ""), ("category", m.category), ("kind", m.kind), ("modality", m.modality), ("risk", m.risk), ("quality", band),
        )  # fmt: skip

    return [dict(Counter(label for m in p.members for label in of(m))) for p in parts]


def temporal(parts: Sequence[Part], wanted: Mapping[str, int]) -> list[str]:
    """Deal by date: test is newest, validation comes before it, train is oldest.

    A component stands where its oldest record stands, so that one that spans a cut lies in the earlier split.  One that is larger than a
    split should be, or that has no date, goes to train.  Each cut is where the split comes nearest to its size.
    """
    limit = min((wanted[name] for name in (VALIDATION, TEST) if wanted.get(name)), default=0)
    dates = {i: began for i, p in enumerate(parts) if len(p.members) <= limit and (began := oldest(p)) is not None}
    order = sorted(dates, key=lambda i: (dates[i], parts[i].draw))
    dealt = [TRAIN] * len(parts)
    for name in (TEST, VALIDATION):
        size = 0
        while order and abs(size + len(parts[order[-1]].members) - wanted.get(name, 0)) < abs(size - wanted.get(name, 0)):
            newest = order.pop()
            size += len(parts[newest].members)
            dealt[newest] = name
    return dealt


def oldest(p: Part) -> datetime | None:
    """Return the date of a component's oldest record; ``None`` as soon as one of them has none: it could be older still."""
    dates = [when(m.created) for m in p.members]
    known = [d for d in dates if d is not None]
    return min(known) if known and len(known) == len(dates) else None


def when(created: str) -> datetime | None:
    """Return a date or time of ISO 8601 ("2020", "2020-03", "2020-03-25T10:00:00Z"; no zone = UTC), ``None`` when it is none."""
    text = created.strip()
    text += {4: "-01-01", 7: "-01"}.get(len(text), "")
    try:
        found = datetime.fromisoformat(text)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):  # the calendar's first and last days have no UTC in every zone
        return None


def filled(parts: Sequence[Part], dealt: list[str], wanted: Mapping[str, int]) -> list[str]:
    """Return the deal with no split empty that should hold something: train gives its smallest component, while it has two.

    Ties go by the draw; of a temporal deal this may move an old record, which the split's notes then say.
    """
    found, counts = list(dealt), Counter(dealt)
    for name in wanted:
        if wanted[name] and not counts[name] and counts[TRAIN] > 1:
            i = min((i for i, at in enumerate(found) if at == TRAIN), key=lambda i: (len(parts[i].members), parts[i].draw))
            found[i] = name
            counts.update({name: 1, TRAIN: -1})
    return found


STRATEGIES: dict[str, Deal] = {"random": random, "stratified": stratified, "temporal": temporal}
