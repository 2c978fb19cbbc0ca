"""The pieces every pack is built of: ids, sources, entries, and the two kinds of talk threads."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Id = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]+(\.[a-z0-9_]+)*$", max_length=80)]
Text = Annotated[str, StringConstraints(min_length=3, max_length=900, strip_whitespace=True)]
Talk = Annotated[str, StringConstraints(min_length=2, max_length=700, strip_whitespace=True)]
Cue = Annotated[str, StringConstraints(min_length=2, max_length=60, pattern=r"^[^A-Z]+$")]


Pronouns = Literal["she", "he", "they"]


class Entry(BaseModel):
    """Base of everything in a pack: immutable, closed, with an id, a name and sources."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Id
    name: Text
    source: tuple[str, ...] = Field(min_length=1, description="keys into the pack's sources")


class Part(BaseModel):
    """Base of the pieces inside an entry."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Source(Part):
    """A publication, with enough detail to find the claim in it."""

    cite: Text = Field(description="authors (year). title. publisher or journal.")
    doi: str = ""
    url: str = ""
    license: str = Field(default="facts only", description="what was taken: facts only, or the text's licence")


class Claim(Part):
    """A statement of fact with the sources that carry it."""

    text: Text
    source: tuple[str, ...] = Field(min_length=1, description="keys of the pack's or the shared sources")


# ------------------------------------------------------------------------------------------------- talk

Tone = Literal["any", "open", "guarded"]


class Reply(Part):
    """What a client answers, and how an attuned therapist could put it back.

    ``say`` is first person, whole sentences.  ``hear`` is a second-person clause without capital or full stop
    that can stand alone or be joined with "and": "the nights turn into a courtroom, and you're the one on trial".
    """

    say: Talk
    hear: tuple[Talk, ...] = Field(min_length=1)
    tone: Tone = "any"
    stance: Literal["any", "engaged", "reluctant", "resistant"] = "any"
    level: Literal["any", "low", "moderate", "high"] = "any"


class Beat(Reply):
    """A thread the client opens: a disclosure, questions that follow it, and what the client answers then."""

    severity: Literal["any", "mild", "severe"] = "any"
    age: Literal["any", "young", "adult"] = Field(default="any", description="who would say it: young is below 18")
    ask: tuple[Talk, ...] = Field(min_length=1, description="open questions of the therapist, specific to `say`")
    then: tuple[Reply, ...] = Field(min_length=1, description="answers that fit every one of the questions")


class Lead(Part):
    """A thread the therapist opens: a line and what clients of different stance answer."""

    say: tuple[Talk, ...] = Field(min_length=1)
    replies: tuple[Reply, ...] = Field(min_length=1)


class Feature(Entry):
    """Something that can give a part of a session its colour: a session may carry one or two.

    ``beats`` are what the client brings in; ``cues`` are the words by which it is recognised in anyone's talk.
    """

    summary: Text
    cues: tuple[Cue, ...] = Field(min_length=3)
    beats: tuple[Beat, ...] = Field(min_length=3)
