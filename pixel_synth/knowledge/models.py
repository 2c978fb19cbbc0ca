"""Typed entries of the knowledge packs.  One YAML file is one `Pack`: a kind, its sources, its entries.

The file's ``kind`` decides the entry model, so adding knowledge is adding one file.  All text is in our own
words; facts, codes, counts and cut-offs carry the key of a source listed at the head of the same file.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

from pydantic import Field, model_validator

from pixel_synth.knowledge.pieces import Beat, Cue, Entry, Id, Lead, Part, Reply, Talk, Text
from pixel_synth.records import BigFive, Difficulty, Risk, Severity

Chapter = Literal[
    "neurodevelopmental", "schizophrenia_spectrum", "bipolar", "depressive", "anxiety", "obsessive_compulsive",
    "trauma_stressor", "dissociative", "somatic_symptom", "feeding_eating", "elimination", "sleep_wake",
    "sexual_dysfunctions", "gender_dysphoria", "disruptive_impulse_conduct", "substance_addictive",
    "neurocognitive", "personality", "paraphilic", "other_conditions",
]  # fmt: skip


# ------------------------------------------------------------------------------------------- disorders


class Criterion(Part):
    """One diagnostic criterion in our own words, and how it sounds in the first person."""

    id: Id
    kind: Literal["symptom", "exposure", "duration", "impairment", "exclusion", "age", "course"]
    text: Text
    cues: tuple[Cue, ...] = Field(default=(), description="words by which it is recognised in talk")
    beats: tuple[Beat, ...] = ()

    @model_validator(mode="after")
    def _symptoms_talk(self) -> Criterion:
        if self.kind in ("symptom", "exposure") and not (self.cues and self.beats):
            raise ValueError(f"criterion {self.id}: a {self.kind} needs cues and beats")
        return self


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

    @model_validator(mode="after")
    def _possible(self) -> CountRule:
        if self.at_least > len(self.of):
            raise ValueError(f"rule {self.id}: asks for {self.at_least} of {len(self.of)}")
        if not set(self.any_of) <= set(self.of):
            raise ValueError(f"rule {self.id}: any_of names criteria outside of")
        return self


class Differential(Part):
    """Another condition that can look alike, and what tells them apart."""

    condition: Text = Field(description="disorder id where the base has one, else a plain name")
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


class Prevalence(Part):
    """A published prevalence figure."""

    text: Text
    source: tuple[str, ...] = Field(min_length=1)


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
    min_age: int = Field(default=0, ge=0)
    max_onset_age: int | None = Field(default=None, description="symptoms must have been there before this age")
    onset: str = ""
    prevalence: tuple[Prevalence, ...] = ()
    differentials: tuple[Differential, ...] = Field(min_length=1)
    comorbid: tuple[str, ...] = ()
    severity: dict[Severity, Text] = Field(default_factory=dict)
    risk_note: Text
    risks: tuple[Risk, ...] = Field(default=("none", "low", "moderate", "high"), min_length=1)
    duration_range_days: tuple[int, int] = Field(description="plausible span to draw a client's duration from")
    formulation: Formulation

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
        if self.max_duration_days is not None and high > self.max_duration_days:
            raise ValueError("duration_range_days goes beyond max_duration_days")
        return self

    @property
    def top_rules(self) -> tuple[CountRule, ...]:
        """The rules that must all hold: those that no other rule names."""
        named = {id for rule in self.rules for id in rule.of}
        return tuple(r for r in self.rules if r.id not in named)

    def holds(self, rule: CountRule, found: Collection[str]) -> bool:
        """Whether a set of criterion ids satisfies a rule."""
        rules = {r.id: r for r in self.rules}
        met = [id for id in rule.of if (self.holds(rules[id], found) if id in rules else id in found)]
        return len(met) >= rule.at_least and (not rule.any_of or any(id in met for id in rule.any_of))

    def meets(self, found: Collection[str]) -> bool:
        """Whether a set of criterion ids satisfies every rule of the disorder."""
        return all(self.holds(rule, found) for rule in self.top_rules)

    def criterion(self, id: str) -> Criterion:
        """Return the criterion with this id (KeyError when there is none)."""
        for criterion in self.criteria:
            if criterion.id == id:
                return criterion
        raise KeyError(id)


# ---------------------------------------------------------------------------------------- personality


class Attachment(Entry):
    """An attachment pattern with its talk markers and how it paces disclosure."""

    summary: Text
    pace: Literal["even", "fast", "slow", "erratic"]
    talk: tuple[Text, ...] = Field(min_length=3, description="how people with this pattern talk, described")
    cues: tuple[Cue, ...] = ()
    asides: tuple[Talk, ...] = Field(min_length=6, description="short client phrases that end or open a turn")
    reluctance: tuple[Reply, ...] = Field(min_length=3, description="how this client holds back when asked")
    needs: tuple[Text, ...] = Field(min_length=2, description="what the therapist does that helps")


class Defense(Entry):
    """A psychological defence, its level in the DMRS hierarchy, and how it sounds."""

    level: int = Field(ge=1, le=7, description="1 action … 7 high adaptive (Perry, DMRS)")
    level_name: Text
    summary: Text
    cues: tuple[Cue, ...] = ()
    beats: tuple[Beat, ...] = Field(min_length=3)
    help: tuple[Text, ...] = Field(min_length=1, description="how a therapist meets it")


class Pole(Part):
    """How one end of a trait sounds."""

    talk: tuple[Text, ...] = Field(min_length=3, description="talk style, described")
    openers: tuple[Talk, ...] = Field(min_length=6, description="phrases that can open a sentence, end with comma or dash")
    asides: tuple[Talk, ...] = Field(min_length=6, description="whole short sentences that can follow a disclosure")
    cues: tuple[Cue, ...] = Field(default=(), description="words typical of this pole in the cited studies")


class Trait(Entry):
    """A Big Five domain with its two poles."""

    summary: Text
    high: Pole
    low: Pole


class Profile(Entry):
    """A named combination of Big Five levels."""

    summary: Text
    levels: BigFive


# ---------------------------------------------------------------------------------------- therapy


class Indication(Part):
    """How well a modality is supported for a disorder."""

    disorder: Id
    evidence: Literal["strong", "moderate", "emerging", "adjunct"]
    source: tuple[str, ...] = Field(min_length=1)


class Contraindication(Part):
    """When a modality or pairing is ruled out (``exclude``) or needs care (``caution``)."""

    effect: Literal["exclude", "caution"]
    text: Text
    disorders: tuple[Id, ...] = ()
    populations: tuple[Id, ...] = ()
    risks: tuple[Risk, ...] = ()
    source: tuple[str, ...] = Field(min_length=1)


class TherapistMove(Part):
    """A typed therapist move: what it is, how good and poor execution look, and how it sounds."""

    id: Id
    name: Text
    phase: Literal["opening", "explore", "work", "close"]
    purpose: Text
    good: Text
    poor: Text
    difficulty: Difficulty = "basic"
    leads: tuple[Lead, ...] = Field(min_length=2)


class Modality(Entry):
    """A therapy modality with its stages, moves and evidence."""

    abbr: str
    summary: Text
    stages: tuple[Text, ...] = Field(min_length=3)
    indications: tuple[Indication, ...] = Field(min_length=1)
    contraindications: tuple[Contraindication, ...] = ()
    markers: tuple[Cue, ...] = Field(min_length=8, description="vocabulary and question forms of this modality")
    moves: tuple[TherapistMove, ...] = Field(min_length=6)


class EthicsRule(Entry):
    """A rule of practice that judges and prompts cite by id."""

    rule: Text
    weight: Literal["safety", "scope", "boundary", "honesty", "respect"]


class CrisisStep(Part):
    """One step of a crisis protocol, led by the therapist."""

    id: Id
    name: Text
    required_for: tuple[Risk, ...] = Field(min_length=1)
    purpose: Text
    cues: tuple[Cue, ...] = Field(min_length=2, description="words by which the step is recognised in the reply")
    leads: tuple[Lead, ...] = Field(min_length=1)


class RiskCue(Part):
    """How a client first lets a risk show, at one level."""

    level: Literal["low", "moderate", "high"]
    text: Text
    cues: tuple[Cue, ...] = Field(min_length=1)
    beats: tuple[Beat, ...] = Field(min_length=3)


class CrisisProtocol(Entry):
    """What is said and done when a risk shows."""

    summary: Text
    show: tuple[RiskCue, ...] = Field(min_length=3)
    steps: tuple[CrisisStep, ...] = Field(min_length=4)


class Helpline(Entry):
    """A crisis contact of one region."""

    region: str
    contact: Text
    hours: Text


# ------------------------------------------------------------------------------------- people and lives


class Population(Entry):
    """A group whose circumstances matter in the room."""

    summary: Text
    ages: tuple[int, int]
    helps: tuple[Text, ...] = Field(min_length=2)
    harms: tuple[Text, ...] = Field(min_length=2)
    stereotypes: tuple[Text, ...] = Field(min_length=1, description="claims that must not be made")
    excludes: tuple[Id, ...] = Field(default=(), description="disorders, modalities or events that cannot go with it")
    occupations: tuple[Id, ...] = Field(default=(), description="when given, only these")
    events: tuple[Id, ...] = Field(default=(), description="life events typical here, preferred when given")
    beats: tuple[Beat, ...] = Field(default=(), description="talk in which the circumstances show")


class LifeEvent(Entry):
    """Something that happened, from which the client's story hangs."""

    np: Talk = Field(description='person-neutral noun phrase: "the layoff", "{my} father\'s death"')
    ages: tuple[int, int] = (18, 90)
    chapters: tuple[Chapter, ...] = Field(default=(), description="chapters it may precede; empty = any")
    disorders: tuple[Id, ...] = Field(default=(), description="when given, only these disorders")
    excludes: tuple[Id, ...] = Field(default=(), description="occupations it cannot happen to")
    cues: tuple[Cue, ...] = Field(min_length=1)
    beats: tuple[Beat, ...] = Field(min_length=3)


class Occupation(Entry):
    """What the client does all day."""

    np: Talk = Field(description='"a night-shift nurse"')
    place: Talk = Field(description='"the ward"')
    ages: tuple[int, int] = (18, 67)
    cues: tuple[Cue, ...] = Field(min_length=1)
    says: tuple[Talk, ...] = Field(min_length=3, description="sentences in which the job shows")


class Person(Entry):
    """Someone close to the client."""

    np: Talk = Field(description='noun after the possessive: "sister"')
    pronoun: Literal["she", "he", "they"]
    ages: tuple[int, int] = (18, 90)
    role: Literal["partner", "parent", "child", "sibling", "friend", "colleague", "other"]
    cues: tuple[Cue, ...] = Field(min_length=1)
    beats: tuple[Beat, ...] = Field(min_length=2)


KINDS: dict[str, type[Entry]] = {
    "disorder": Disorder,
    "attachment": Attachment,
    "defense": Defense,
    "trait": Trait,
    "profile": Profile,
    "modality": Modality,
    "ethics_rule": EthicsRule,
    "crisis_protocol": CrisisProtocol,
    "helpline": Helpline,
    "population": Population,
    "life_event": LifeEvent,
    "occupation": Occupation,
    "person": Person,
}
