"""Hold one measure against one set of labels: labels and scores in, a card out."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from statistics import fmean
from typing import Any, Literal, NamedTuple

import numpy as np

from pixel_synth import __version__
from pixel_synth.calibrate.adapters import Labelled
from pixel_synth.calibrate.agreement import Interval, agree, auc, bootstrap
from pixel_synth.calibrate.card import Card, LabelSet, Origin, behaviours, refusals, scored
from pixel_synth.calibrate.fit import Point, clusters, cut, human_map
from pixel_synth.calibrate.labels import Rating, Scale, check_people, held_out, original
from pixel_synth.errors import UsageError
from pixel_synth.knowledge.load import Knowledge
from pixel_synth.records import Conversation, Role, Score

# Scorers of the client's words; all others are (also) of the therapist's.
CLIENTS = ("urgency", "personality_consistency")
# Thresholds for these precisions stand on every card.
PRECISIONS = (0.8, 0.9)


class Measure(NamedTuple):
    """What is held against people: a scorer, a judge, or one part of either."""

    metric: str
    kind: Literal["scorer", "judge"]
    version: str
    fingerprint: str
    model: str = ""


class Held(NamedTuple):
    """A card, and the items that were left out with the reason."""

    card: Card
    left_out: dict[str, str]


def scorer(name: str) -> Measure:
    """Return a scorer (or ``overall``), or a part of one, as a measure.

    Raises:
        UsageError: When there is none.
    """
    now = behaviours()
    if (metric := name.split(".")[0]) not in now:
        raise UsageError(f"no scorer {metric!r}", hint=f"known: {', '.join(sorted(now))}")
    return Measure(name, "scorer", __version__, now[metric])


def value_of(scores: Sequence[Score], metric: str) -> tuple[float | None, str]:
    """Return the value of a metric or of one of its parts, or ``None`` with the reason."""
    exact = next((s for s in scores if s.metric == metric), None)
    if exact is not None:
        return exact.value, exact.reason
    head, _, part = metric.rpartition(".")
    score = next((s for s in scores if s.metric == head), None)
    if score is None:
        return None, "no such score"
    found = next((p for p in score.parts if p.name == part), None)
    if found is None:
        return None, score.reason or f"{head} has no part {part}"
    return found.value, "" if found.value is not None else f"{part} does not apply"


def composite(labelled: Labelled, criteria: Sequence[str], group: str) -> tuple[list[Rating], Scale]:
    """Return one rating per item and rater: the criterion's, or the mean of several, laid on 1–5 where high is good.

    An item counts for a rater when all criteria were rated; good begins at the mean of where it begins on the criteria.

    Raises:
        UsageError: When a criterion has no scale, or the group rated none of the items.
    """
    if missing := [c for c in criteria if c not in labelled.scales]:
        raise UsageError(
            f"{labelled.name}: no scale for {', '.join(missing)}", hint=f"known: {', '.join(sorted(labelled.scales))}; or --scale"
        )
    mine = [r for r in labelled.ratings if r.group == group and r.criterion in criteria]
    if not mine:
        groups = ", ".join(sorted({r.group for r in labelled.ratings})) or "none"
        raise UsageError(f"{labelled.name}: nobody of group {group!r} rated {', '.join(criteria)}", hint=f"groups in it: {groups}")
    if len(criteria) == 1:
        return mine, labelled.scales[criteria[0]]
    by_pair: dict[tuple[str, str], dict[str, float]] = {}
    for r in mine:
        by_pair.setdefault((r.item, r.rater), {})[r.criterion] = labelled.scales[r.criterion].unit(r.rating)
    name = "+".join(criteria)
    scale = Scale(low=1, high=5, good_from=1 + 4 * fmean(labelled.scales[c].unit(labelled.scales[c].good_from) for c in criteria))
    ratings = [
        Rating(item=item, criterion=name, rater=rater, group=group, rating=1 + 4 * fmean(units.values()))
        for (item, rater), units in by_pair.items()
        if len(units) == len(criteria)
    ]
    return ratings, scale


def hold(
    measure: Measure, values: Mapping[str, float], labelled: Labelled, criteria: Sequence[str], *, group: str = "expert",
    origin: Origin = "people", wanted: Collection[float] = (), only_held_out: bool = False, trained_on: str = "not stated",
    lengths: Mapping[str, int], command: str = "",
) -> Held:  # fmt: skip
    """Make the card of a measure.

    Args:
        measure: What is held.
        values: Its raw score (0–1) per item; items without one are left out and named.
        labelled: Conversations and ratings.
        criteria: Which of the labels' criteria; several are averaged.
        group: Whose ratings are the people's.
        origin: Where the labels come from; those of a group "constructed" are constructed.
        wanted: Further precisions to find thresholds for.
        only_held_out: Use only items on which nothing was tuned.
        trained_on: What the measure was developed on, in words.
        lengths: Number of words per item (`lengths_of`): the baseline.
        command: How to make the card again.

    Raises:
        UsageError: When no item has both a score and a rating, or the group is a model.
    """
    check_people(group)
    origin = "constructed" if group == "constructed" else origin
    ratings, scale = composite(labelled, criteria, group)
    items = sorted({r.item for r in ratings})
    left_out = {i: "not held out" for i in items if only_held_out and not held_out(original(i))}
    left_out |= {i: "no score" for i in items if i not in values and i not in left_out}
    kept = [i for i in items if i not in left_out]
    if not kept:
        raise UsageError(f"{labelled.name}: no item has both a score of {measure.metric} and a rating", hint="do the ids match?")
    ratings = [r for r in ratings if r.item in set(kept)]
    by_item: dict[str, list[float]] = {}
    for r in ratings:
        by_item.setdefault(r.item, []).append(r.rating)
    place = {id: n for n, id in enumerate(dict.fromkeys(original(i) for i in kept))}
    copies = len(place) < len(kept)
    points = tuple(
        Point(
            round(values[i], 6),
            fmean(map(scale.unit, by_item[i])),
            fmean(map(scale.good, by_item[i])),
            place[original(i)] if copies else None,
        )
        for i in kept
    )
    agreement = agree({i: values[i] for i in kept}, ratings, scale)
    over_length = beyond_length(points, [lengths[i] for i in kept])
    labels = LabelSet(
        name=labelled.name, origin=origin, criteria=tuple(criteria), good=_good(scale, criteria), items=len(kept),
        conversations=len(place), raters=len({r.rater for r in ratings}), license=labelled.license, sha256=_digest(ratings),
        held_out=only_held_out, trained_on=trained_on,
    )  # fmt: skip
    card = Card(
        metric=measure.metric, kind=measure.kind, version=measure.version, fingerprint=measure.fingerprint, model=measure.model,
        labels=labels, agreement=agreement, over_length=over_length, scale=human_map(points), points=points,
        cuts=tuple(cut(points, p) for p in sorted({*PRECISIONS, *wanted})),
        refusals=refusals(measure.kind, labels, points, agreement, over_length),
        made=datetime.now(UTC).date().isoformat(), toolkit=__version__, command=command,
    )  # fmt: skip
    return Held(card, left_out)


def beyond_length(points: Sequence[Point], lengths: Sequence[int]) -> Interval:
    """Return how much better than the number of words the scores tell good from not good: difference of the AUCs, 90% interval.

    Length may speak for either direction: its AUC is taken as the larger of itself and one minus itself, which is hard on the score.
    The lower bound of the 90% interval is the one-sided 95% bound.  Items whose raters are evenly split take no part, as in the AUC.
    """

    def difference(raw: Any, words: Any, good: Any) -> Any:
        by_length = auc(words, good)
        return auc(raw, good) - np.maximum(by_length, 1 - by_length)

    good = [float("nan") if p.good == 0.5 else float(p.good > 0.5) for p in points]
    return bootstrap(difference, [p.raw for p in points], lengths, good, level=0.9, clusters=clusters(points))


def scores_of(conversations: Sequence[Conversation], metric: str, knowledge: Knowledge | None) -> tuple[dict[str, float], dict[str, str]]:
    """Score conversations with a scorer; return values by id, and why the others have none."""
    values, unscored = {}, {}
    for conversation in conversations:
        value, reason = value_of(scored(conversation, knowledge), metric)
        if value is None:
            unscored[conversation.id] = reason
        else:
            values[conversation.id] = value
    return values, unscored


def lengths_of(conversations: Sequence[Conversation], metric: str = "") -> dict[str, int]:
    """Return the number of words by conversation id: of the client for a metric of `CLIENTS`, else of the therapist."""
    role: Role = "user" if metric.split(".")[0] in CLIENTS else "assistant"
    return {c.id: len(c.said(role).split()) for c in conversations}


def _good(scale: Scale, criteria: Sequence[str]) -> str:
    side = "at most" if scale.high_is_bad else "at least"
    what = criteria[0] if len(criteria) == 1 else f"the mean of {', '.join(criteria)}, laid on 1–5 (high is good),"
    return f"{what} {side} {scale.good_from:g} of {scale.low:g}–{scale.high:g}"


def _digest(ratings: Sequence[Rating]) -> str:
    return hashlib.sha256("\n".join(sorted(r.line() for r in ratings)).encode()).hexdigest()
