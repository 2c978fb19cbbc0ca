"""What a blueprint means in words: the variables that prompts are rendered with."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import cached_property
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from pixel_synth.errors import EngineError
from pixel_synth.knowledge import Knowledge
from pixel_synth.knowledge.models import (
    Attachment,
    CrisisProtocol,
    Defense,
    Disorder,
    EthicsRule,
    LifeEvent,
    Modality,
    Occupation,
    Person,
    Population,
    Trait,
)
from pixel_synth.llms.engine import Call, Completion
from pixel_synth.records import Blueprint

M = TypeVar("M", bound=BaseModel)
Ask = Callable[[Call], Awaitable[Completion]]


class AnswerError(EngineError):
    """An engine's answer does not fit the schema; ``raw`` keeps it."""

    def __init__(self, message: str, raw: str) -> None:
        super().__init__(message)
        self.raw = raw


def parse(model: type[M], completion: Completion, part: str) -> M:
    """Validate an answer strictly against the task's own model, whatever the engine promised.

    Raises:
        AnswerError: With the raw text, when it is cut off or does not fit.
    """
    if completion.finish != "stop":
        raise AnswerError(f"{part}: answer ended with {completion.finish!r}", completion.text)
    try:
        return model.model_validate_json(completion.text)
    except ValidationError as error:
        first = error.errors()[0]
        raise AnswerError(f"{part}: {'.'.join(map(str, first['loc']))}: {first['msg']}", completion.text) from error


def bullets(lines: list[str]) -> str:
    """Return lines as a Markdown list, or "none"."""
    return "\n".join(f"- {line}" for line in lines) or "none"


class Context:
    """A blueprint together with the knowledge entries it points to."""

    def __init__(self, bp: Blueprint, knowledge: Knowledge) -> None:
        self.bp, self.knowledge = bp, knowledge
        self.topic = knowledge.get(Disorder, bp.topic)
        self.modality_entry = knowledge.get(Modality, bp.modality)

    def pick(self, *names: str) -> dict[str, str]:
        """Return the named variables for a prompt."""
        return {name: getattr(self, name) for name in names}

    @cached_property
    def client(self) -> str:
        """Name, age, work, who is close, personality and attachment."""
        p, k = self.bp.persona, self.knowledge
        big = ", ".join(f"{level} {trait}" for trait, level in p.big_five.model_dump().items() if level != "mid")
        defenses = ", ".join(k.get(Defense, d).name for d in p.defenses)
        return (
            f"{p.name} ({p.pronouns}), {p.age}, {k.get(Occupation, p.occupation).np}; closest: {k.get(Person, p.person).np}; "
            f"{big or 'average traits'}; attachment: {k.get(Attachment, p.attachment).name}; defences: {defenses or 'none'}"
        )

    @cached_property
    def manner(self) -> str:
        """How this client talks."""
        p, k = self.bp.persona, self.knowledge
        traits = k.all(Trait)
        lines = [getattr(traits[t], v).talk[0] for t, v in p.big_five.model_dump().items() if v != "mid" and t in traits]
        return "; ".join([*lines, *k.get(Attachment, p.attachment).talk[:2]])

    @cached_property
    def circumstances(self) -> str:
        """The event, how long it has been, and how heavy."""
        event = self.knowledge.get(LifeEvent, self.bp.event)
        return f"{event.name}; it has been like this for {self.bp.duration_text}; {self.bp.severity}"

    @cached_property
    def criteria(self) -> str:
        """What the client experiences and must say."""
        return bullets([self.topic.criterion(c).text for c in self.bp.criteria_voiced])

    @cached_property
    def criteria_full(self) -> str:
        """Every criterion of the topic with its id, and the count rules."""
        rules = [f"rule {r.id}: at least {r.at_least} of {', '.join(r.of)}" for r in self.topic.rules]
        return bullets([f"{c.id}: {c.text}" for c in self.topic.criteria] + rules)

    @cached_property
    def differentials(self) -> str:
        """What else it could be."""
        return bullets([f"{d.condition}: {d.separates}" for d in self.topic.differentials])

    @cached_property
    def topic_text(self) -> str:
        """Name and summary of the disorder."""
        return f"{self.topic.name}: {self.topic.summary}"

    @cached_property
    def modality(self) -> str:
        """Name and summary of the modality."""
        return f"{self.modality_entry.name}: {self.modality_entry.summary}"

    @cached_property
    def moves(self) -> str:
        """The planned moves with what good execution looks like."""
        by_id = {m.id: m for m in self.modality_entry.moves}
        return bullets([f"{p.move} ({p.phase}): {by_id[p.move].purpose} Good: {by_id[p.move].good}" for p in self.bp.moves])

    @cached_property
    def safety(self) -> str:
        """The steps of the crisis protocol that this risk level requires."""
        steps = {s.id: s for p in self.knowledge.all(CrisisProtocol).values() for s in p.steps}
        ids = [f.id.split(".", 1)[1] for f in self.bp.must_appear if f.kind == "safety"]
        return bullets([f"{steps[i].name}: {steps[i].purpose}" for i in ids if i in steps])

    @cached_property
    def risk(self) -> str:
        """The risk level and how it shows."""
        cue = next((f.text for f in self.bp.must_appear if f.kind == "risk"), "")
        return f"{self.bp.risk}; {cue}" if cue else self.bp.risk

    @cached_property
    def population(self) -> str:
        """What helps, what harms, what must not be assumed."""
        p = self.knowledge.get(Population, self.bp.population)
        return bullets([f"{p.name}: {p.summary}", *(f"helps: {h}" for h in p.helps[:3]), *(f"harms: {h}" for h in p.harms[:3]),
                        *(f"never assume: {s}" for s in p.stereotypes[:2])])  # fmt: skip

    @cached_property
    def ethics(self) -> str:
        """The ethics rules that weigh here."""
        rules = self.knowledge.all(EthicsRule)
        return bullets([f"{i}: {rules[i].rule}" for i in self.bp.must_not if i in rules])
