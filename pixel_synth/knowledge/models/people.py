"""People and lives: populations, culture, hard moments, events, occupations, close persons."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pixel_synth.knowledge.models.disorder import Chapter
from pixel_synth.knowledge.pieces import Beat, Cue, Entry, Feature, Id, Part, Pronouns, Talk, Text


class Wording(Part):
    """A word or phrase to avoid and what to say instead."""

    avoid: Text
    say: Text


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
    pronouns: tuple[Pronouns, ...] = Field(default=(), description="of its people; empty = any")
    group: Literal["life", "neurodiversity", "gender"] = "life"
    adapt: tuple[Text, ...] = Field(default=(), description="how the therapist's manner of speaking changes")
    language: tuple[Wording, ...] = Field(default=(), description="words that hurt or belittle, and what is said instead")
    beats: tuple[Beat, ...] = Field(default=(), description="talk in which the circumstances show")


class LifeEvent(Entry):
    """Something that happened, from which the client's story hangs."""

    np: Talk = Field(description='person-neutral noun phrase: "the layoff", "{my} father\'s death"')
    ages: tuple[int, int] = (18, 90)
    pronouns: tuple[Pronouns, ...] = Field(default=(), description="of those it can happen to; empty = any")
    chapters: tuple[Chapter, ...] = Field(default=(), description="chapters it may precede; empty = any")
    disorders: tuple[Id, ...] = Field(default=(), description="when given, only these disorders")
    exposure_for: tuple[Id, ...] = Field(default=(), description="disorders whose criterion of exposure the event can be")
    not_for: tuple[Id, ...] = Field(default=(), description="disorders that its talk does not go with")
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


class Culture(Feature):
    """An axis along which people and families differ, and what that asks of a therapist.  Never a trait of a nation."""

    poles: tuple[Text, Text] = Field(description="the two ends, described without preference")
    helps: tuple[Text, ...] = Field(min_length=3)
    harms: tuple[Text, ...] = Field(min_length=3)
    stereotypes: tuple[Text, ...] = Field(min_length=2, description="claims that must not be made")
    language: tuple[Wording, ...] = Field(min_length=1)


class EdgeCase(Feature):
    """A moment that tests the frame of therapy: a boundary, a dilemma, a surprise."""

    theme: Literal["boundary", "confidentiality", "dilemma", "safety", "practical", "identity", "ending"]
    rules: tuple[Id, ...] = Field(min_length=1, description="ethics rule ids it turns on")
    hold: tuple[Text, ...] = Field(min_length=2, description="what the therapist does")
    avoid: tuple[Text, ...] = Field(min_length=1, description="what would fail the client")
    resolution: Text = Field(description="how the rules are weighed, with reasons")


class Behaviour(Feature):
    """A way in which a client makes the work hard, and what it may be for."""

    function: Text = Field(description="what it may protect")
    meet: tuple[Text, ...] = Field(min_length=2, description="what helps")
    avoid: tuple[Text, ...] = Field(min_length=1, description="what makes it worse")
