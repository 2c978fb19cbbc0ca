"""Personality: attachment, defences, PDM-2 axes, Big Five domains, facets and profiles."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from pydantic import Field

from pixel_synth.knowledge.pieces import Beat, Cue, Entry, Feature, Id, Part, Reply, Talk, Text
from pixel_synth.records import BigFive


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


class FacetPole(Part):
    """How one end of a facet sounds and what it does."""

    talk: tuple[Text, ...] = Field(min_length=2, description="talk markers, described")
    behaviour: tuple[Text, ...] = Field(min_length=2, description="what others see")
    asides: tuple[Talk, ...] = Field(min_length=4, description="whole short sentences that can follow any disclosure")
    cues: tuple[Cue, ...] = Field(min_length=2)


class Facet(Entry):
    """One of the thirty facets (Costa & McCrae, 1992; IPIP-NEO names after Goldberg, 1999)."""

    domain: Id = Field(description="trait id")
    number: int = Field(ge=1, le=6, description="position within the domain")
    summary: Text
    high: FacetPole
    low: FacetPole


class Organization(Entry):
    """A level of personality organisation of the P axis (PDM-2, after Kernberg)."""

    rank: int = Field(ge=1, le=5, description="1 healthiest")
    summary: Text
    identity: Text
    defenses: tuple[Id, ...] = Field(description="defences typical of it")
    reality_testing: Text
    relations: Text
    talk: tuple[Text, ...] = Field(min_length=3)
    asides: tuple[Talk, ...] = Field(min_length=4, description="whole short sentences that can follow any disclosure")
    help: tuple[Text, ...] = Field(min_length=2)


class Syndrome(Feature):
    """A personality syndrome of the P axis: what someone's life turns around, on whatever level of organisation."""

    tension: Text = Field(description="the central preoccupation")
    affects: tuple[Text, ...] = Field(min_length=1)
    belief_self: Text
    belief_others: Text
    defenses: tuple[Id, ...] = Field(min_length=1)
    countertransference: Text
    talk: tuple[Text, ...] = Field(min_length=3)
    help: tuple[Text, ...] = Field(min_length=2)


class Capacity(Feature):
    """One of the twelve mental capacities of the M axis, rated 5 (intact) to 1 (severely impaired)."""

    number: int = Field(ge=1, le=12)
    domain: Literal["cognitive_affective", "identity_relationships", "defense_coping", "self_awareness"]
    intact: tuple[Text, ...] = Field(min_length=2, description="how it shows in talk when it holds")
    impaired: tuple[Text, ...] = Field(min_length=2, description="how it shows in talk when it does not")
    help: tuple[Text, ...] = Field(min_length=1)


class Experience(Entry):
    """The S axis: what a symptom pattern is like from inside, apart from its criteria."""

    summary: Text
    disorders: tuple[Id, ...] = Field(min_length=1)
    affects: tuple[Text, ...] = Field(min_length=2)
    thoughts: tuple[Text, ...] = Field(min_length=2)
    body: tuple[Text, ...] = Field(min_length=2)
    relations: tuple[Text, ...] = Field(min_length=2)
    asides: tuple[Talk, ...] = Field(min_length=4, description="whole short sentences that can follow any disclosure")


def experiences(entries: Iterable[Experience], topic: str) -> list[Experience]:
    """Return the first entry that tells what a disorder is like from inside, or an empty list."""
    return [e for e in entries if topic in e.disorders][:1]
