"""Disorders of DSM-5-TR section II as typed rules, in our own words."""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

from pydantic import Field, model_validator

from pixel_synth.knowledge.pieces import Beat, Claim, Cue, Entry, Id, Part, Pronouns, Talk, Text
from pixel_synth.records import Risk, Severity

Chapter = Literal[
    "neurodevelopmental", "schizophrenia_spectrum", "bipolar", "depressive", "anxiety", "obsessive_compulsive",
    "trauma_stressor", "dissociative", "somatic_symptom", "feeding_eating", "elimination", "sleep_wake",
    "sexual_dysfunctions", "gender_dysphoria", "disruptive_impulse_conduct", "substance_addictive",
    "neurocognitive", "personality", "paraphilic", "other_mental",
]  # fmt: skip


class Criterion(Part):
    """One diagnostic criterion in our own words, and how it sounds in the first person."""

    id: Id
    kind: Literal["symptom", "exposure", "duration", "impairment", "exclusion", "age", "course"]
    text: Text
    cues: tuple[Cue, ...] = Field(default=(), description="words by which it is recognised in talk")
    beats: tuple[Beat, ...] = ()
    unless: tuple[Id, ...] = Field(default=(), description="exclusions: circumstances or disorder ids under which it fails")

    @model_validator(mode="after")
    def _talk_is_found(self) -> Criterion:
        if self.beats and not self.cues:
            raise ValueError(f"criterion {self.id}: beats need cues by which they are recognised")
        if self.unless and self.kind != "exclusion":
            raise ValueError(f"criterion {self.id}: only an exclusion has `unless`")
        return self


class ChildCount(Part):
    """Another count below an age."""

    under: int = Field(ge=1, le=21)
    at_least: int = Field(ge=1)


class ChildDuration(Part):
    """Another minimum duration below an age."""

    under: int = Field(ge=1, le=21)
    days: int = Field(ge=0)


class CountRule(Part):
    """``at_least`` of the listed criteria must be met, among them one of ``any_of`` when given.

    ``of`` may name other rules of the disorder as well ("5 of the first nine or 5 of the second nine" is a rule over two
    rules); a rule that is named by another one only counts through it.
    """

    id: Id
    of: tuple[Id, ...] = Field(min_length=1)
    at_least: int = Field(ge=1)
    any_of: tuple[Id, ...] = ()
    note: str = ""
    child: ChildCount | None = Field(default=None, description="the count that holds below an age")

    def least(self, age: int | None = None) -> int:
        """Return the count that holds for a person of this age (adult when not given)."""
        return self.child.at_least if self.child and age is not None and age < self.child.under else self.at_least

    @model_validator(mode="after")
    def _possible(self) -> CountRule:
        if self.at_least > len(self.of):
            raise ValueError(f"rule {self.id}: asks for {self.at_least} of {len(self.of)}")
        if not set(self.any_of) <= set(self.of):
            raise ValueError(f"rule {self.id}: any_of names criteria outside of")
        return self


class Differential(Part):
    """Another condition that can look alike, and what tells them apart."""

    condition: Id = Field(description="id of a disorder or a circumstance")
    separates: Text


class Thought(Part):
    """An automatic thought with what a client brings for it, against it, and a fairer view of it.

    ``think`` and ``think_you`` are the same clause in first and second person, without capital or full stop.
    ``pro``, ``con`` and ``fairer`` are first-person sentences.
    """

    think: Talk
    think_you: Talk
    pro: Talk
    con: Talk
    fairer: Talk


class Formulation(Part):
    """Material for working moves, in person-neutral phrases (use ``{my}``, ``{me}``, ``{myself}``)."""

    thoughts: tuple[Thought, ...] = Field(min_length=3)
    avoids: tuple[Talk, ...] = Field(min_length=3, description='gerund phrases: "opening {my} mail"')
    wants: tuple[Talk, ...] = Field(min_length=3, description='verb phrases without "to"')
    steps: tuple[Talk, ...] = Field(min_length=3, description='verb phrases without "to", small and concrete')
    copes: tuple[Talk, ...] = Field(min_length=3, description="gerund phrases of what the client does to get by")
    strengths: tuple[Talk, ...] = Field(min_length=3, description="noun phrases")
    bodies: tuple[Talk, ...] = Field(min_length=3, description="noun phrases of what the body feels")


class Specifier(Part):
    """A specifier of the manual and when it applies."""

    id: Id
    name: Text
    text: Text


class SeverityCount(Part):
    """Severity by the number of criteria of a rule, as closed ranges."""

    rule: Id
    mild: tuple[int, int]
    moderate: tuple[int, int]
    severe: tuple[int, int]


class Circumstance(Entry):
    """What may explain symptoms without being a disorder of the base: an exclusion or a differential points to it."""

    summary: Text


class Disorder(Entry):
    """A disorder of DSM-5-TR section II as typed rules, in our own words."""

    chapter: Chapter
    icd10cm: str = Field(pattern=r"^[A-Z][0-9][0-9A-Z](\.[0-9A-Z]{1,4})?$")
    icd10cm_by: dict[str, str] = Field(default_factory=dict, description="codes per severity or specifier")
    summary: Text
    criteria: tuple[Criterion, ...] = Field(min_length=2)
    rules: tuple[CountRule, ...] = Field(min_length=1)
    min_duration_days: int = Field(ge=0, description="0 where the manual sets none")
    max_duration_days: int | None = Field(default=None, description="upper bound, e.g. 30 for acute stress disorder")
    child_duration: ChildDuration | None = None
    duration_waived_by: tuple[Id, ...] = Field(default=(), description="circumstances under which any duration will do")
    min_age: int = Field(default=0, ge=0, description="youngest age at which the diagnosis is given")
    max_onset_age: int | None = Field(default=None, description="symptoms must have been there before this age")
    specifiers: tuple[Specifier, ...] = ()
    severity: dict[Severity, Text] = Field(default_factory=dict)
    severity_by_count: SeverityCount | None = None
    onset: Claim
    prevalence: tuple[Claim, ...] = Field(min_length=1)
    culture: tuple[Claim, ...] = Field(min_length=1)
    gender: tuple[Claim, ...] = Field(min_length=1)
    differentials: tuple[Differential, ...] = Field(min_length=2)
    comorbid: tuple[Id, ...] = Field(min_length=1, description="disorder ids")
    risk_note: Claim
    client: Literal["self", "parent", "family", "reference"] = Field(
        default="self",
        description="who talks in a session: the person, a parent, a grown child or sibling; reference = no session is ever planned",
    )
    why_reference: str = ""
    pronouns: tuple[Pronouns, ...] = Field(default=(), description="of a client who can have it; empty = any")
    client_ages: tuple[int, int] = Field(default=(18, 90), description="ages of whoever talks")
    risks: tuple[Risk, ...] = Field(default=("none", "low", "moderate", "high"), min_length=1)
    protocols: tuple[Id, ...] = Field(default=("suicide",), description="crisis protocols that fit, likeliest first")
    duration_range_days: tuple[int, int] = Field(description="plausible span to draw a duration from")
    formulation: Formulation | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Disorder:
        known = {c.id for c in self.criteria}
        if len(known) != len(self.criteria):
            raise ValueError("criterion ids repeat")
        for rule in self.rules:
            if missing := set(rule.of) - known - {r.id for r in self.rules if r.id != rule.id}:
                raise ValueError(f"rule {rule.id} names unknown criteria: {', '.join(sorted(missing))}")
        low, high = self.duration_range_days
        if low < self.min_duration_days or high < low:
            raise ValueError("duration_range_days must start at or above min_duration_days and not shrink")
        if (self.client == "reference") != bool(self.why_reference):
            raise ValueError("why_reference goes with client: reference, and only with it")
        if self.client != "reference" and not self.formulation:
            raise ValueError("a disorder that sessions are planned for needs a formulation")
        if self.severity_by_count and self.severity_by_count.rule not in {r.id for r in self.rules}:
            raise ValueError("severity_by_count names no rule of this disorder")
        if self.max_duration_days is not None and high > self.max_duration_days:
            raise ValueError("duration_range_days goes beyond max_duration_days")
        return self

    @property
    def top_rules(self) -> tuple[CountRule, ...]:
        """The rules that must all hold: those that no other rule names."""
        named = {id for rule in self.rules for id in rule.of}
        return tuple(r for r in self.rules if r.id not in named)

    def found_of(self, rule: CountRule, found: Collection[str], age: int | None = None) -> list[str]:
        """Return what of a rule is there, in its order: criteria that were found, rules that hold."""
        rules = {r.id: r for r in self.rules}
        return [id for id in rule.of if (self.holds(rules[id], found, age) if id in rules else id in found)]

    def holds(self, rule: CountRule, found: Collection[str], age: int | None = None) -> bool:
        """Whether a set of criterion ids satisfies a rule, for a person of this age (adult when not given)."""
        met = self.found_of(rule, found, age)
        return len(met) >= rule.least(age) and (not rule.any_of or any(id in met for id in rule.any_of))

    def meets(self, found: Collection[str], age: int | None = None) -> bool:
        """Whether a set of criterion ids satisfies every rule of the disorder."""
        return all(self.holds(rule, found, age) for rule in self.top_rules)

    def criterion(self, id: str) -> Criterion:
        """Return the criterion with this id (KeyError when there is none)."""
        for criterion in self.criteria:
            if criterion.id == id:
                return criterion
        raise KeyError(id)
