"""The records that travel through every room: `Blueprint` (what to write) and `Conversation` (what was written).

All models are frozen and closed (``extra="forbid"``).  They serialise with a fixed key order and without a
wall clock, so that the same plan and the same answers give the same bytes on any machine.
"""

from __future__ import annotations

import hashlib
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Role = Literal["system", "user", "assistant"]
Level = Literal["low", "mid", "high"]
Risk = Literal["none", "low", "moderate", "high"]
Difficulty = Literal["basic", "intermediate", "advanced"]
Severity = Literal["mild", "moderate", "severe"]
Category = Literal["psychology", "voice", "mental_health", "reasoning", "personality", "auxiliary"]
# What sort of talk a record is: a session of several turns, one question with its answer, an instruction with its response, a
# role-play, the client's lines of one (no therapist), a question with a chain of thought, or a preferred against a dispreferred answer.
Kind = Literal["", "session", "question_answer", "instruction", "role_play", "client_lines", "reasoning", "preference"]
Unit = Annotated[float, Field(ge=0.0, le=1.0)]

DIFFICULTIES: tuple[Difficulty, ...] = ("basic", "intermediate", "advanced")
# How many further things a client may tell in one turn, by risk: more where safety needs the time.
RIDERS: dict[Risk, int] = {"none": 1, "low": 1, "moderate": 2, "high": 2}


class Record(BaseModel):
    """Base of all records: immutable, and closed to unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def line(self) -> str:
        """Return the record as one JSON line without the newline."""
        return self.model_dump_json()


# ---------------------------------------------------------------------------------------------- the plan


class BigFive(Record):
    """Levels of the five domains (Goldberg, 1990; Costa & McCrae, 1992), relative to the adult population."""

    openness: Level
    conscientiousness: Level
    extraversion: Level
    agreeableness: Level
    neuroticism: Level


class Persona(Record):
    """Who the client is.  All ids point into the knowledge packs."""

    name: str
    pronouns: Literal["she", "he", "they"]
    age: int = Field(ge=12, le=100)
    occupation: str = Field(description="knowledge id of an occupation")
    person: str = Field(description="knowledge id of the close person who is mentioned")
    profile: str = Field(description="knowledge id of the Big Five profile")
    big_five: BigFive
    attachment: str = Field(description="knowledge id of the attachment pattern")
    defenses: tuple[str, ...] = Field(max_length=3, description="knowledge ids, most used first")
    organization: str = Field(default="", description="knowledge id of the level of personality organisation")
    facets: tuple[str, ...] = Field(default=(), description='facet ids with their pole: "neuroticism.anxiety:high"')


class Fact(Record):
    """Something the conversation must contain, with the words by which anyone can find it.

    ``cues`` are lower-case patterns (see `pixel_synth.grammar.cue_pattern`); the fact is present when one of
    them matches what the named speaker says.  They come from the knowledge packs, never from an engine.
    """

    id: str
    kind: Literal["criterion", "duration", "event", "occupation", "person", "risk", "safety", "feature"]
    text: str
    cues: tuple[str, ...] = Field(min_length=1)
    speaker: Literal["client", "therapist"] = "client"


class PlannedMove(Record):
    """One typed therapist move, to be made in the given phase."""

    move: str = Field(description="knowledge id of a modality move")
    phase: Literal["opening", "explore", "work", "close"]


class Blueprint(Record):
    """A typed, seeded plan of one conversation; every engine puts the same blueprint into words."""

    id: str
    seed: int = Field(ge=0, description="seed of this one conversation, derived from run seed, slot and attempt")
    slot: int = Field(ge=0, description="position in the plan; keeps its cell when the slot is planned again")
    attempt: int = Field(ge=0, description="0 for the first plan of the slot, +1 each time it is planned again")
    topic: str = Field(description="knowledge id of the disorder")
    modality: str
    population: str
    difficulty: Difficulty
    risk: Risk
    severity: Severity
    persona: Persona
    event: str = Field(description="knowledge id of the life event that set things off")
    duration_days: int = Field(ge=0)
    duration_text: str = Field(description='how the client puts it, e.g. "four months"')
    criteria_met: tuple[str, ...] = Field(description="criterion ids of the topic that this client meets")
    criteria_voiced: tuple[str, ...] = Field(description="those of them that must be heard in the session")
    client: Literal["self", "parent", "family"] = Field(default="self", description="who talks: the person, a parent or a relative")
    ward: str = Field(default="", description='whom a parent or relative comes about: "daughter", "father"')
    protocol: str = Field(default="", description="knowledge id of the crisis protocol that the risk calls for")
    features: tuple[str, ...] = Field(default=(), description='what else colours the session, as "kind:id"')
    evidence: str = Field(default="", description="how well the modality is supported for the topic, in the words of its pack")
    moves: tuple[PlannedMove, ...]
    turns: int = Field(ge=6, le=24, description="number of messages, client first, therapist last")
    must_appear: tuple[Fact, ...]
    must_not: tuple[str, ...] = Field(description="ethics rule ids that apply with particular weight here")
    knowledge: tuple[str, ...] = Field(description="every knowledge id this plan stands on")

    @property
    def cell(self) -> tuple[str, str, str, str]:
        """The coverage cell: topic, modality, population, difficulty."""
        return (self.topic, self.modality, self.population, self.difficulty)


# ------------------------------------------------------------------------------------- what tasks write


class Scenario(Record):
    """The client's situation in clinical prose (third person), written before the dialogue."""

    presenting_problem: str = Field(min_length=20, max_length=900, description="what brings the client, and every listed experience")
    history: str = Field(min_length=20, max_length=1200, description="how it began and went on, who and what is around it")
    functioning: str = Field(min_length=10, max_length=700, description="work, home, sleep, people")
    strengths: str = Field(min_length=10, max_length=500, description="what helps and who is there")
    risk_summary: str = Field(min_length=5, max_length=600, description="what is known about risk, without methods")
    goal: str = Field(min_length=5, max_length=400, description="what the client hopes for")


class Hypothesis(Record):
    """One diagnostic hypothesis of the therapist, with criteria for and against."""

    condition: str = Field(max_length=120, description="name of the condition")
    criteria_for: tuple[Annotated[str, Field(max_length=400)], ...] = Field(max_length=10)
    criteria_against: tuple[Annotated[str, Field(max_length=400)], ...] = Field(max_length=6)
    standing: Literal["leading", "possible", "unlikely"]


class MoveChoice(Record):
    """Why the therapist made one move: what was heard, the options, the choice and its reason."""

    turn: int = Field(ge=0, le=30, description="number in brackets of the therapist turn")
    heard: str = Field(max_length=300, description="what the client had said, a few words quoted")
    options: tuple[Annotated[str, Field(max_length=160)], ...] = Field(max_length=4)
    move: str = Field(max_length=120, description="the move that was made")
    why: str = Field(max_length=400, description="why this one")


class Reasoning(Record):
    """The therapist's chain of thought; it is never part of a reply."""

    heard: tuple[Annotated[str, Field(max_length=300)], ...] = Field(max_length=10)
    hypotheses: tuple[Hypothesis, ...] = Field(max_length=3)
    risk: str = Field(max_length=600, description="how risk was judged and on what")
    moves: tuple[MoveChoice, ...] = Field(max_length=12)
    unknown: tuple[Annotated[str, Field(max_length=300)], ...] = Field(max_length=6)


# --------------------------------------------------------------------------------------- conversations


class Message(Record):
    """One turn in the standard chat form: ``user`` is the client, ``assistant`` the therapist."""

    role: Role
    content: str = Field(min_length=1, max_length=20_000)


class TurnTag(Record):
    """What a generator says it did in the message at the same index; empty for ingested data."""

    phase: str = ""
    act: str = ""
    move: str = ""


class Evidence(Record):
    """A span of one message that a score rests on: ``messages[turn].content[start:end] == quote``."""

    turn: int = Field(ge=0)
    start: int = Field(ge=0)
    end: int = Field(ge=0)
    quote: str
    label: str = Field(description="sub-score or rule id that this span counts for")


class Part(Record):
    """A named sub-score, 0–1; ``None`` when it does not apply."""

    name: str
    value: Unit | None


class Opinion(Record):
    """What one member of a panel said: a model, or one of several samples of it."""

    judge: str = Field(description="model of the judge")
    sample: int = Field(default=0, ge=0)
    value: Unit | None
    reason: str = ""
    parts: tuple[Part, ...] = ()


class Score(Record):
    """The result of one scorer or judge on one conversation.

    ``value`` is ``None`` exactly when the measure could not be computed; ``reason`` then says why.
    An unscored metric never counts as zero or as passed.  ``calibrated`` is the value on the human scale of the metric's
    calibration card (the share of raters who would call it good), ``None`` where there is no card.
    """

    metric: str
    value: Unit | None
    calibrated: Unit | None = None
    reason: str = ""
    parts: tuple[Part, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    panel: tuple[Opinion, ...] = ()

    @model_validator(mode="after")
    def _unscored_has_reason(self) -> Score:
        if self.value is None and not self.reason:
            raise ValueError("an unscored metric needs a reason")
        return self


class Labels(Record):
    """What a record can be selected and balanced by."""

    topic: str = ""
    modality: str = ""
    population: str = ""
    difficulty: str = ""
    risk: str = ""
    complexity: Literal["", "basic", "intermediate", "advanced"] = ""
    kind: Kind = ""
    technique: str = Field(default="", description="knowledge id of a modality move that the therapist makes")
    language: str = Field(default="", description="ISO 639-1 code")
    traits: tuple[str, ...] = Field(default=(), description='the client\'s Big Five levels that are known: "neuroticism:high"')


class PromptRef(Record):
    """Which prompt file, in which version and with which content, wrote a part of the record."""

    name: str
    version: str
    sha256: str


class Provenance(Record):
    """Where a record comes from, down to the knowledge entries and prompts."""

    engine: str = Field(description="what put it into words: an engine of ours; of others' data human, model, mixed or unknown")
    model: str
    toolkit: str
    seed: int
    knowledge: tuple[str, ...] = ()
    prompts: tuple[PromptRef, ...] = ()
    source: str = Field(default="generated", description='"generated" or the id of the ingested source')
    license: str = Field(default="", description="SPDX identifier, or the words of the source")
    revision: str = Field(default="", description="pinned revision of the source, or the SHA-256 of the file")
    row: str = Field(default="", description='where it stood there: "file:line", or the row\'s own id')
    created: str = Field(default="", description="ISO 8601 date or time that the source gives; empty when it gives none")
    converter: str = Field(default="", description="the shape it was read as, see pixel_synth.standardise")


class Link(Record):
    """A reference to another record of the same dataset."""

    id: str
    kind: str = Field(description='why it is related: "condition", "similar", "same_question" ...')
    similarity: Unit | None = Field(default=None, description="of the texts, where it was measured")


class Redaction(Record):
    """How many items of one kind of personal data were taken out of a record."""

    kind: str
    count: int = Field(ge=1)


class Verdict(Record):
    """The gate's decision with every reason for a rejection (empty when accepted).

    ``ungated`` names the thresholds that did not count because no calibration card allows them to, and ``uncalibrated`` those
    that counted without one because the settings said so; ``review`` says why a person should look at the record.
    """

    accepted: bool
    reasons: tuple[str, ...] = ()
    ungated: tuple[str, ...] = ()
    uncalibrated: tuple[str, ...] = ()
    review: tuple[str, ...] = ()


class Conversation(Record):
    """One conversation: the only record that travels between the rooms.

    Schema 1.1 added, each with an empty default: `thought`, `dispreferred`, `groups`, `links`, `marks`, `redactions`, four labels and
    four keys of the provenance.
    """

    id: str
    schema_version: Literal["1.0", "1.1"] = "1.1"
    category: Category
    messages: tuple[Message, ...] = Field(min_length=2, max_length=500)
    turns: tuple[TurnTag, ...] = ()
    scenario: Scenario | None = None
    reasoning: Reasoning | None = None
    blueprint: Blueprint | None = None
    labels: Labels = Labels()
    scores: tuple[Score, ...] = ()
    verdict: Verdict | None = None
    provenance: Provenance
    thought: str = Field(default="", max_length=100_000, description="chain of thought in prose that it came with; never part of a reply")
    dispreferred: tuple[Message, ...] = Field(
        default=(), description="of a preference: what should not have been said in place of the last message"
    )
    groups: tuple[str, ...] = Field(
        default=(),
        description='what it shares with others, as "kind:key": question, speaker, persona, conversation; no group may cross a split',
    )
    links: tuple[Link, ...] = ()
    marks: tuple[Evidence, ...] = Field(default=(), description='the spans that labels rest on, each labelled "label:value"')
    redactions: tuple[Redaction, ...] = ()

    @model_validator(mode="after")
    def _tags_match_messages(self) -> Conversation:
        if self.turns and len(self.turns) != len(self.messages):
            raise ValueError(f"turns has {len(self.turns)} tags for {len(self.messages)} messages")
        return self

    def said(self, role: Role) -> str:
        """Return everything one role says, joined by newlines."""
        return "\n".join(m.content for m in self.messages if m.role == role)

    def score(self, metric: str) -> Score | None:
        """Return the score of a metric, or ``None`` when it was not run."""
        return next((s for s in self.scores if s.metric == metric), None)


class Attempt(Record):
    """What became of one planned conversation."""

    status: Literal["accepted", "rejected", "failed"]
    blueprint: Blueprint
    conversation: Conversation | None = None
    reason: str = ""
    kind: str = Field(default="", description="of a failed attempt: the kind of the call that failed, see errors.Failure")
    raw: str = Field(default="", description="of a failed attempt: the answer that was of no use, as it came")


class Outcome(Record):
    """All attempts of one slot, in order; only the last can be accepted.

    ``stopped`` says why a slot was left before it was filled or its attempts were used up; it can be gone on with.
    """

    slot: int
    accepted: bool
    stopped: str = ""
    attempts: tuple[Attempt, ...]


def stable_id(*parts: object) -> str:
    """Return a 16-hex-digit id from the parts' text; equal parts give equal ids on any machine."""
    text = "\x1f".join(str(p) for p in parts)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
