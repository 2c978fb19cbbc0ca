"""Split records into train, validation and test so that no component crosses, and say how far each split resembles the whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Literal, NamedTuple

from pydantic import Field

from pixel_synth.errors import UsageError
from pixel_synth.mix.dealing import NAMES, STRATEGIES, TEST, TRAIN, VALIDATION, Part, filled, part, sizes, when
from pixel_synth.mix.groups import Components
from pixel_synth.mix.item import Item
from pixel_synth.records import Record, Unit

Undated = Literal["train", "refuse"]
Spanning = Literal["earlier", "purge"]
LARGEST = 5  # components that a report names


class Cell(Record):
    """One figure of one split against the whole: a category's share, or the mean quality."""

    split: str
    name: str
    here: Unit | None = Field(description="None when the split has no record, or none that is scored")
    whole: Unit | None
    kept: bool | None = Field(description="within tolerance; None when it could not be told")
    reason: str = ""


class Figures(Record):
    """One split in figures."""

    name: str
    wanted: int
    records: int
    words: int
    tokens: int | None = Field(description="None when they were not counted")
    scored: int
    quality: Unit | None = Field(description="mean of the overall score; None when no record is scored")
    categories: dict[str, int]


class Split(NamedTuple):
    """Where each item goes: its split, or "" when it was purged; ``wanted`` are the sizes asked for and ``notes`` what is to be known."""

    of: tuple[str, ...]
    wanted: Mapping[str, int]
    notes: tuple[str, ...]


def split(
    items: Sequence[Item],
    components: Components,
    shares: Mapping[str, float],
    strategy: str = "stratified",
    seed: int = 7,
    *,
    undated: Undated = "train",
    spanning: Spanning = "earlier",
) -> Split:
    """Deal whole components to the splits; equal records, shares and seed give the same split, in whatever order the records come.

    Args:
        items: The records.
        components: What may not be parted, of the same items (`pixel_synth.mix.groups.components`).
        shares: Share of each split (0-1), which sum to 1; one that has none is left out.
        strategy: ``random``, ``stratified`` or ``temporal``, see `pixel_synth.mix.dealing`.
        seed: Seed of the draws.
        undated: Of a temporal split: records without a date go to train, or are refused.
        spanning: Of a temporal split: a component that spans a cut stays whole in the earlier split, or its newer records are purged.

    Raises:
        UsageError: When shares or strategy are unusable, or undated records are refused.
    """
    _usable(shares, strategy)
    parts = [part([items[i] for i in members], seed) for members in components.members]
    wanted = sizes(len(items), {name: shares[name] for name in NAMES if shares.get(name, 0.0) > 0})
    notes: list[str] = []
    if strategy == "temporal":
        notes += _undated(items, undated)
    dealt = STRATEGIES[strategy](parts, wanted)
    if strategy != "temporal":
        dealt = filled(parts, dealt, wanted)
    of = [dealt[component] for component in components.of]
    if strategy == "temporal":
        notes += _spanned(items, of, spanning)
    return Split(tuple(of), wanted, (*notes, *_large(parts, wanted), *_gaps(of, wanted)))


def _usable(shares: Mapping[str, float], strategy: str) -> None:
    if strategy not in STRATEGIES:
        raise UsageError(f"no strategy {strategy!r}", hint=f"one of {', '.join(STRATEGIES)}")
    if wrong := [name for name in shares if name not in NAMES]:
        raise UsageError(f"no split {wrong[0]!r}", hint=f"one of {', '.join(NAMES)}")
    if abs(sum(shares.values()) - 1.0) > 1e-6 or min(shares.values(), default=0.0) < 0 or not shares.get(TRAIN):
        raise UsageError(f"shares must sum to 1, with some of it for train, not {dict(shares)}", hint="--shares 0.9,0.05,0.05")


def _undated(items: Sequence[Item], undated: Undated) -> Iterator[str]:
    without = [item.id for item in items if when(item.created) is None]
    if without and undated == "refuse":
        raise UsageError(
            f"{len(without):,} of {len(items):,} records have no date that can be read, the first is {without[0]}",
            hint="--undated train puts them, and what hangs together with them, into train; or choose another strategy",
        )
    if without:
        yield f"{len(without):,} records without a date are in train, with what hangs together with them"


def _spanned(items: Sequence[Item], of: list[str], spanning: Spanning) -> Iterator[str]:
    """Find, and on request take out, what is newer than the beginning of a later split; tells each cut."""
    dates = [when(item.created) for item in items]
    later: datetime | None = None
    for name, earlier in ((TEST, (TRAIN, VALIDATION)), (VALIDATION, (TRAIN,))):
        here = [d for d, at in zip(dates, of, strict=True) if at == name and d is not None]
        if not here:
            continue
        began = min(here)
        newer = [i for i, d in enumerate(dates) if of[i] in earlier and d is not None and d > began]
        yield f"{name} begins {began.isoformat()}" + (f" and ends before {later.isoformat()}" if later and max(here) < later else "")
        if later == began:
            yield f"{name} and {TEST} begin at the same time: the dates are too coarse to part them"
        later = began
        if newer and spanning == "purge":
            for i in newer:
                of[i] = ""
            yield f"{len(newer):,} records newer than that, of components that began earlier, are purged"
        elif newer:
            yield f"{len(newer):,} records newer than that stay in an earlier split, since their components began there"


def _large(parts: Sequence[Part], wanted: Mapping[str, int]) -> Iterator[str]:
    least = min((size for name, size in wanted.items() if name != TRAIN), default=0)
    if large := [len(p.members) for p in parts if len(p.members) > max(least, 1)]:
        yield (
            f"{len(large):,} components hold more records than the smallest split ({least:,}), the largest {max(large):,}; "
            "what no other split has room for is in train"
        )


def _gaps(of: Sequence[str], wanted: Mapping[str, int]) -> Iterator[str]:
    counts = Counter(of)
    for name, size in wanted.items():
        if size and not counts[name]:
            yield f"{name} is empty: no component is left that could fill it"
        elif counts[name] != size:
            yield f"{name} has {counts[name]:,} records, {counts[name] - size:+,} against its share: components are not cut"


def moved(done: Split, components: Components, purge: bool) -> Split:
    """Return the split with every component that is in several splits taken into train, or, of a temporal split that purges, out of it."""
    homes: dict[int, set[str]] = {}
    for component, at in zip(components.of, done.of, strict=True):
        if at:
            homes.setdefault(component, set()).add(at)
    of = [
        at if not at or at == TRAIN or len(homes[component]) == 1 else "" if purge else TRAIN
        for component, at in zip(components.of, done.of, strict=True)
    ]
    n = sum(a != b for a, b in zip(of, done.of, strict=True))
    told = f"{n:,} records are {'purged' if purge else 'in train'}: the search across splits found records of another split too like them"
    gaps = set(_gaps(done.of, done.wanted))
    return Split(tuple(of), done.wanted, (*(note for note in done.notes if note not in gaps), told, *_gaps(of, done.wanted)))


def figures(items: Sequence[Item], done: Split) -> tuple[Figures, ...]:
    """Return each split in figures, in the order train, validation, test."""
    return tuple(
        _figures(name, wanted, [m for m, at in zip(items, done.of, strict=True) if at == name]) for name, wanted in done.wanted.items()
    )


def _figures(name: str, wanted: int, members: Sequence[Item]) -> Figures:
    tokens = [m.tokens for m in members]
    counted = [t for t in tokens if t is not None]
    quality = [m.quality for m in members if m.quality is not None]
    return Figures(
        name=name, wanted=wanted, records=len(members), words=sum(m.words for m in members),
        tokens=sum(counted) if len(counted) == len(tokens) else None, scored=len(quality),
        quality=_mean(quality), categories=dict(sorted(Counter(m.category for m in members).items())),
    )  # fmt: skip


def _mean(values: Sequence[float]) -> float | None:
    return min(1.0, sum(values) / len(values)) if values else None


def balance(items: Sequence[Item], done: Split, tolerance: float) -> tuple[Cell, ...]:
    """Compare category shares and mean quality of each split with those of all records.

    A share is kept when it lies within the tolerance, or as near as whole records allow: less than one record away.  A mean is kept when
    it lies within the tolerance on the scale 0-1, or so near that one record in place of another could mend it.
    """
    rest = [item for item, at in zip(items, done.of, strict=True) if at]
    whole, cells = _figures("", len(rest), rest), list[Cell]()
    scored = [item.quality for item in rest if item.quality is not None]
    spread = max(scored) - min(scored) if scored else 0.0
    for split in figures(items, done):
        for category, n in whole.categories.items():
            cells.append(_share(split, category, n / len(rest), tolerance))
        cells.append(_quality(split, whole, spread, tolerance))
    return tuple(cells)


def _share(split: Figures, category: str, whole: float, tolerance: float) -> Cell:
    if not split.records:
        return Cell(split=split.name, name=category, here=None, whole=whole, kept=None, reason="the split is empty")
    n = split.categories.get(category, 0)
    kept = abs(n / split.records - whole) <= tolerance or abs(n - whole * split.records) < 1
    return Cell(split=split.name, name=category, here=n / split.records, whole=whole, kept=kept)


def _quality(split: Figures, whole: Figures, spread: float, tolerance: float) -> Cell:
    if split.quality is None or whole.quality is None:
        reason = "the split is empty" if not split.records else "no record is scored"
        return Cell(split=split.name, name="quality", here=split.quality, whole=whole.quality, kept=None, reason=reason)
    away = abs(split.quality - whole.quality)
    kept = away <= tolerance or away * split.scored < spread
    return Cell(split=split.name, name="quality", here=split.quality, whole=whole.quality, kept=kept)
