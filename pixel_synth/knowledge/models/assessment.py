"""Assessment: instruments with items, keys, cut-offs and a conversation template; interview guides."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from pixel_synth.knowledge.pieces import Claim, Entry, Id, Lead, Part, Talk, Text


class Option(Part):
    """One answer of the scale and how clients say it; every ``says`` fits every item that uses the scale."""

    points: float
    label: Text
    says: tuple[Talk, ...] = ()


class Item(Part):
    """What one item asks, in our own words unless its wording is in the public domain."""

    id: Id
    asks: Text
    reverse: bool = Field(default=False, description="scored as highest + lowest points minus the answer")
    ask: tuple[Talk, ...] = Field(default=(), description="how a clinician puts it in conversation; each ends in '?'")
    options: tuple[Option, ...] = Field(default=(), description="own answers where they differ from the instrument's")
    optional: bool = Field(default=False, description="asked, but part of no required score")


class Norm(Part):
    """A published norm of a scale for a group."""

    group: Text
    mean: float
    sd: float = Field(gt=0)
    source: tuple[str, ...] = Field(min_length=1)


class Scale(Part):
    """A score over items; ``sum`` and ``mean`` in the items' points, ``max`` the highest, ``count`` items at ``threshold`` or more."""

    id: Id
    name: Text
    items: tuple[Id, ...] = Field(default=(), description="empty: all items that are not optional")
    method: Literal["sum", "mean", "max", "count"] = "sum"
    threshold: float = 1.0
    missing: int = Field(default=0, ge=0, description="unanswered items that are made up for by the mean of the others (sum and mean only)")
    factor: float = Field(
        default=1.0, gt=0, description="what the sum, mean, max or count is multiplied by: 2 in the DASS-21, 4 in the WHO-5"
    )
    worse: Literal["high", "low"] = Field(default="high", description="which end of the scale is the troubled one")
    norms: tuple[Norm, ...] = ()


class Band(Part):
    """A range of a scale (closed, in points) and what the literature calls it.

    The bands of one scale cover its range without overlap; a further cut-off is a `Flag` over the scale.
    """

    scale: Id
    low: float
    high: float
    label: Text
    source: tuple[str, ...] = Field(min_length=1)


class Mark(Part):
    """A threshold of one member of a rule."""

    of: Id
    at_least: float


class Flag(Part):
    """A rule over single answers or scales: at least ``count`` of ``of`` (items or scales) at ``at_least`` scored points or more."""

    id: Id
    of: tuple[Id, ...] = Field(min_length=1)
    at_least: float
    count: int = Field(default=1, ge=1)
    most: int | None = Field(default=None, description="not raised when more than these are met")
    own: tuple[Mark, ...] = Field(default=(), description="thresholds of members for which ``at_least`` does not hold")
    needs: tuple[Id, ...] = Field(default=(), description="flags, named before this one, that must be raised as well")
    means: Text
    urgent: bool = Field(default=False, description="about safety: taken up as soon as an answer raises it, before the next question")
    stay: bool = Field(default=False, description="not to be left alone: the end is a handover and not a plan for home")
    leads: tuple[Lead, ...] = Field(default=(), description="what is said then, in order; none: the shared safety talk when urgent")
    source: tuple[str, ...] = Field(min_length=1)


class Instrument(Entry):
    """A questionnaire or interview with items, scoring and cut-offs."""

    abbr: str
    summary: Text
    kind: Literal["screen", "severity", "risk", "personality", "function", "outcome"]
    period: str = Field(description='time the items ask about: "the past two weeks"')
    ages: tuple[int, int] = (18, 90)
    rights: Claim = Field(description="who holds the wording and on what terms it may be used")
    options: tuple[Option, ...] = ()
    items: tuple[Item, ...] = Field(min_length=1)
    scales: tuple[Scale, ...] = Field(min_length=1)
    bands: tuple[Band, ...] = ()
    flags: tuple[Flag, ...] = ()
    accuracy: tuple[Claim, ...] = Field(default=(), description="reliability, sensitivity and specificity as published")
    limits: tuple[Text, ...] = Field(min_length=1, description="what the score does not say")
    disorders: tuple[Id, ...] = ()
    intro: tuple[Talk, ...] = Field(default=(), description="how a clinician introduces it")
    leads: tuple[Lead, ...] = Field(default=(), description="talk about the answers, for a session that turns to them")
    close: tuple[Talk, ...] = Field(default=(), description="how a clinician ends it and says what happens next; none: the shared closing")

    @property
    def questions(self) -> tuple[Lead, ...]:
        """The talk threads that a therapist opens with it."""
        return self.leads

    @model_validator(mode="after")
    def _consistent(self) -> Instrument:
        items, scales = {i.id for i in self.items}, {s.id for s in self.scales}
        if len(items) != len(self.items):
            raise ValueError("item ids repeat")
        for scale in self.scales:
            if unknown := set(scale.items) - items:
                raise ValueError(f"scale {scale.id} names unknown items: {', '.join(sorted(unknown))}")
        for band in self.bands:
            if band.scale not in scales:
                raise ValueError(f"a band names the unknown scale {band.scale}")
        earlier: set[str] = set()
        for flag in self.flags:
            if unknown := set(flag.of) - items - scales:
                raise ValueError(f"flag {flag.id} names unknown items or scales: {', '.join(sorted(unknown))}")
            if unknown := {mark.of for mark in flag.own} - set(flag.of):
                raise ValueError(f"flag {flag.id} has thresholds for what it is not over: {', '.join(sorted(unknown))}")
            if unknown := set(flag.needs) - earlier:
                raise ValueError(f"flag {flag.id} needs flags that are not named before it: {', '.join(sorted(unknown))}")
            earlier.add(flag.id)
        for item in self.items:
            if not (item.options or self.options):
                raise ValueError(f"item {item.id} has no answers")
        return self


class Topic(Part):
    """One subject of an interview: what must be found out, and how it is asked."""

    id: Id
    name: Text
    find_out: Text
    required: bool = True
    leads: tuple[Lead, ...] = Field(min_length=1)


class Interview(Entry):
    """An interview guide: subjects in order, with questions and what clients answer."""

    summary: Text
    topics: tuple[Topic, ...] = Field(min_length=4)

    @property
    def questions(self) -> tuple[Lead, ...]:
        """The talk threads that a therapist opens with it."""
        return tuple(lead for topic in self.topics for lead in topic.leads)
