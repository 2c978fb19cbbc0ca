"""Therapy: modalities with their moves and evidence, ethics, crisis protocols, ruptures."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pixel_synth.knowledge.pieces import Beat, Claim, Cue, Entry, Id, Lead, Part, Reply, Talk, Text
from pixel_synth.records import Difficulty, Risk


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


class Competence(Part):
    """One item of a modality's competence scale, in our own words."""

    id: Id
    item: Text
    poor: Text
    good: Text


class Modality(Entry):
    """A therapy modality with its stages, moves and evidence."""

    abbr: str
    summary: Text
    stages: tuple[Text, ...] = Field(min_length=3)
    indications: tuple[Indication, ...] = Field(min_length=1)
    contraindications: tuple[Contraindication, ...] = ()
    only: tuple[Id, ...] = Field(default=(), description="disorders it is fit for; empty = any that is not excluded")
    markers: tuple[Cue, ...] = Field(min_length=8, description="vocabulary and question forms of this modality")
    moves: tuple[TherapistMove, ...] = Field(min_length=6)
    competence_scale: Claim = Field(description="the published scale by which it is rated, and its range")
    competences: tuple[Competence, ...] = Field(min_length=4)


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


class Rupture(Entry):
    """A strain in the alliance, how it shows and how it is mended (Safran & Muran, 2000)."""

    form: Literal["withdrawal", "confrontation"]
    summary: Text
    markers: tuple[Text, ...] = Field(min_length=2)
    cues: tuple[Cue, ...] = Field(min_length=3)
    says: tuple[Reply, ...] = Field(min_length=4, description="the client, straining; each with what an attuned therapist hears in it")
    repairs: tuple[Talk, ...] = Field(min_length=6, description="therapist: owns a part, invites more; ends in a question")
    mends: tuple[Reply, ...] = Field(min_length=4, description="the client after a repair; fits every repair")
    poor: tuple[Text, ...] = Field(min_length=2, description="what makes it worse")
