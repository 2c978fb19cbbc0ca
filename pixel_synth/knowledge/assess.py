"""Score an instrument: scale values, bands, norms and flags of one set of answers, and a Big Five persona from an inventory.

A value that cannot be computed is ``None`` with a reason; a rule that unanswered items leave open is ``None`` too.
Nothing is made up beyond the published allowance of a scale (``missing``), and what was made up is counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from statistics import NormalDist

from pydantic import Field

from pixel_synth.errors import UsageError
from pixel_synth.knowledge.load import Knowledge
from pixel_synth.knowledge.models import Facet, Flag, Instrument, Item, Option, Profile, Scale
from pixel_synth.records import BigFive, Level, Record

DOMAINS = tuple(BigFive.model_fields)
Answers = Mapping[str, float | None]


class Normed(Record):
    """Where a value stands in a norm group: ``t = 50 + 10 (value - mean) / sd``, the percentile from the normal curve."""

    group: str
    t: float
    percentile: float = Field(ge=0, le=100, description="share of the group below, if the group were normally distributed")


class ScaleScore(Record):
    """One scale: its value, or why there is none."""

    scale: str
    name: str
    value: float | None
    reason: str = Field(default="", description="why there is no value")
    low: float = Field(description="lowest value the scale can take")
    high: float = Field(description="highest value the scale can take")
    prorated: int = Field(default=0, description="unanswered items that were made up for by the mean of the others")
    band: str = Field(default="", description="empty where the scale has no bands or no value")
    norms: tuple[Normed, ...] = ()


class Raised(Record):
    """One flag: raised, not raised, or open (``None``) because items it needs are unanswered."""

    flag: str
    means: str
    urgent: bool
    raised: bool | None
    reason: str = ""


class Result(Record):
    """The scored answers of one person to one instrument."""

    instrument: str
    answers: dict[str, float | None] = Field(description="points as given, in the order of the items, before any reversal")
    scales: tuple[ScaleScore, ...]
    flags: tuple[Raised, ...]

    def of(self, scale: str) -> ScaleScore:
        """Return a scale's score.

        Raises:
            UsageError: When the instrument has no such scale.
        """
        if found := next((s for s in self.scales if s.scale == scale), None):
            return found
        raise UsageError(f"{self.instrument} has no scale {scale!r}", hint=f"scales: {', '.join(s.scale for s in self.scales)}")


def options(instrument: Instrument, item: Item) -> tuple[Option, ...]:
    """Return the answers of an item: its own, or those of the instrument."""
    return item.options or instrument.options


def members(instrument: Instrument, scale: Scale) -> tuple[Item, ...]:
    """Return the items of a scale, in the order of the instrument."""
    return tuple(i for i in instrument.items if (i.id in scale.items if scale.items else not i.optional))


def keyed(instrument: Instrument, item: Item, points: float) -> float:
    """Return scored points: for a reversed item highest + lowest points minus the answer."""
    if not item.reverse:
        return points
    given = [o.points for o in options(instrument, item)]
    return max(given) + min(given) - points


def span(instrument: Instrument, scale: Scale) -> tuple[float, float]:
    """Return the lowest and highest value a scale can take."""
    points = [[o.points for o in options(instrument, item)] for item in members(instrument, scale)]
    return _value(scale, [min(p) for p in points]), _value(scale, [max(p) for p in points])


def score(instrument: Instrument, answers: Answers) -> Result:
    """Score one person's answers (points by item id; ``None`` or no key: unanswered).

    Raises:
        UsageError: For an unknown item, and for points that are no answer of their item; the message names the item.
    """
    items = {item.id: item for item in instrument.items}
    if unknown := sorted(set(answers) - set(items)):
        raise UsageError(f"{instrument.id} has no item {', '.join(unknown)}", hint=f"items: {', '.join(items)}")
    for id, points in answers.items():
        given = sorted({o.points for o in options(instrument, items[id])})
        if points is not None and (isinstance(points, bool) or points not in given):
            raise UsageError(f"{instrument.id}, item {id}: {points!r} is no answer", hint=f"answers: {', '.join(f'{p:g}' for p in given)}")
    all_given = {id: answers.get(id) for id in items}
    scored = {id: None if p is None else keyed(instrument, items[id], p) for id, p in all_given.items()}
    scales = tuple(_scale(instrument, scale, scored) for scale in instrument.scales)
    values = scored | {s.scale: s.value for s in scales}
    return Result(instrument=instrument.id, answers=all_given, scales=scales, flags=tuple(_flags(instrument.flags, values)))


def _value(scale: Scale, points: list[float]) -> float:
    if scale.method == "sum":
        raw = sum(points)
    elif scale.method == "mean":
        raw = sum(points) / len(points)
    elif scale.method == "max":
        raw = max(points)
    else:
        raw = sum(p >= scale.threshold for p in points)
    return round(raw * scale.factor, 9)


def _scale(instrument: Instrument, scale: Scale, scored: Answers) -> ScaleScore:
    ids = [item.id for item in members(instrument, scale)]
    given = [p for id in ids if (p := scored[id]) is not None]
    blank = [id for id in ids if scored[id] is None]
    allowed = scale.missing if scale.method in ("sum", "mean") else 0
    low, high = span(instrument, scale)
    base = ScaleScore(scale=scale.id, name=scale.name, value=None, low=low, high=high)
    if not given:
        return base.model_copy(update={"reason": "no item is answered"})
    if len(blank) > allowed:
        most = f"at most {allowed} may be" if allowed else "none may be"
        return base.model_copy(update={"reason": f"{len(blank)} of {len(ids)} items unanswered ({', '.join(blank)}); {most}"})
    value = _value(scale, given + [sum(given) / len(given)] * len(blank))
    norms = tuple(_normed(value, n.group, n.mean, n.sd) for n in scale.norms)
    return base.model_copy(
        update={"value": value, "prorated": len(blank), "band": band_of(instrument, scale.id, value), "norms": norms},
    )


def _normed(value: float, group: str, mean: float, sd: float) -> Normed:
    z = (value - mean) / sd
    return Normed(group=group, t=round(50 + 10 * z, 2), percentile=round(100 * NormalDist().cdf(z), 2))


def band_of(instrument: Instrument, scale: str, value: float) -> str:
    """Return the label of the band a value has reached, or "" where the scale has none.

    A prorated value between two bands (9.6 between 5–9 and 10–14) has not reached the upper one.
    """
    reached = [b for b in instrument.bands if b.scale == scale and b.low <= value]
    return max(reached, key=lambda b: b.low).label if reached else ""


def gaps(instrument: Instrument) -> Iterator[str]:
    """Yield what is wrong with the bands: overlaps, holes, and range that no band covers."""
    for scale in instrument.scales:
        bands = sorted((b for b in instrument.bands if b.scale == scale.id), key=lambda b: b.low)
        if not bands:
            continue
        low, high = span(instrument, scale)
        if bands[0].low > low or bands[-1].high < high:
            yield f"the bands of {scale.id} cover {bands[0].low:g}–{bands[-1].high:g}, the scale goes from {low:g} to {high:g}"
        step = 0.1 if scale.method == "mean" else _step(instrument, scale)
        for one, other in pairwise(bands):
            if other.low <= one.high:
                yield f"the bands {one.label!r} and {other.label!r} of {scale.id} share {other.low:g}"
            elif other.low - one.high > step + 1e-9:
                yield f"no band of {scale.id} covers what lies between {one.high:g} and {other.low:g}"


def _step(instrument: Instrument, scale: Scale) -> float:
    if scale.method == "count":
        return scale.factor
    points = [sorted({o.points for o in options(instrument, item)}) for item in members(instrument, scale)]
    return scale.factor * min((b - a for p in points for a, b in pairwise(p)), default=1.0)


def _flags(flags: tuple[Flag, ...], values: Answers) -> Iterator[Raised]:
    state: dict[str, bool | None] = {}
    for flag in flags:
        own = {mark.of: mark.at_least for mark in flag.own}
        known = {id: v for id in flag.of if (v := values[id]) is not None}
        blank = [id for id in flag.of if id not in known]
        least = sum(v >= own.get(id, flag.at_least) for id, v in known.items())
        most = least + len(blank)
        needs = [state[id] for id in flag.needs]
        if most < flag.count or (flag.most is not None and least > flag.most) or False in needs:
            raised: bool | None = False
        elif least >= flag.count and (flag.most is None or most <= flag.most) and None not in needs:
            raised = True
        else:
            raised = None
        state[flag.id] = raised
        reason = f"open: no value for {', '.join(blank) or 'what it needs'}" if raised is None else ""
        yield Raised(flag=flag.id, means=flag.means, urgent=flag.urgent, raised=raised, reason=reason)


# ---------------------------------------------------------------------------------------------- persona


class Standing(Record):
    """How far a scale lies from its middle: below -1 low, above 1 high."""

    scale: str
    level: Level
    distance: float


class Portrait(Record):
    """A Persona-ready Big Five: levels, the nearest named profile, and the facets that stand out."""

    big_five: BigFive
    basis: str = Field(description="the norm group, or that the levels are not normed")
    profile: str | None = Field(description="knowledge id of the nearest named profile")
    apart: int | None = Field(description="steps between the levels and the profile's, 0–10")
    facets: tuple[Standing, ...] = Field(description="facets that are not mid, farthest first")


def standing(found: ScaleScore, group: str = "") -> Standing:
    """Return whether a scale is low, mid or high.

    With a norm group: low below T 45, high above T 55 (half a standard deviation; the bounds of Johnson's scoring program of
    the IPIP-NEO-120 and of the NEO-PI-R manual, Costa & McCrae, 1992).  Without: a rule of our own over the scale's range,
    not a norm: low below 3/8 of it, high above 5/8, which is a mean answer below 2.5 or above 3.5 on five steps.

    Raises:
        UsageError: When the scale has no value, or no norm for the group.
    """
    if found.value is None:
        raise UsageError(f"{found.scale} has no value: {found.reason}")
    if group:
        norm = next((n for n in found.norms if n.group == group), None)
        if norm is None:
            raise UsageError(f"{found.scale} has no norm {group!r}", hint=f"norms: {', '.join(n.group for n in found.norms) or 'none'}")
        distance = (norm.t - 50) / 5
    else:
        distance = ((found.value - found.low) / (found.high - found.low) - 0.5) * 8
    level: Level = "low" if distance < -1 else "high" if distance > 1 else "mid"
    return Standing(scale=found.scale, level=level, distance=round(distance, 3))


def levels(result: Result, group: str = "") -> BigFive:
    """Return the Big Five levels of an inventory with one scale per domain (see `standing` for the rule).

    Raises:
        UsageError: When a domain is missing or has no value.
    """
    return BigFive(**{domain: standing(result.of(domain), group).level for domain in DOMAINS})


def persona(result: Result, knowledge: Knowledge, group: str = "") -> Portrait:
    """Return levels, the nearest named profile (fewest steps apart, then by id) and facet extremes.

    Raises:
        UsageError: When a domain or facet has no value.
    """
    big = levels(result, group)
    order = ("low", "mid", "high")

    def apart(profile: Profile) -> int:
        return sum(abs(order.index(getattr(profile.levels, d)) - order.index(getattr(big, d))) for d in DOMAINS)

    near = min(knowledge.all(Profile).values(), key=lambda p: (apart(p), p.id), default=None)
    known = set(knowledge.all(Facet))
    facets = [standing(s, group) for s in result.scales if s.scale.partition(".")[0] in DOMAINS and "." in s.scale]
    if unknown := [f.scale for f in facets if known and f.scale not in known]:
        raise UsageError(f"facets that the knowledge does not have: {', '.join(unknown)}")
    return Portrait(
        big_five=big,
        basis=f"norm: {group}" if group else "not normed: by the range of each scale",
        profile=near.id if near else None,
        apart=apart(near) if near else None,
        facets=tuple(sorted((f for f in facets if f.level != "mid"), key=lambda f: (-abs(f.distance), f.scale))),
    )
