"""What a blueprint means in words: the variables that prompts are rendered with."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import cached_property
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from pixel_synth.draw import Draw
from pixel_synth.errors import EngineError, Failure
from pixel_synth.knowledge import Knowledge
from pixel_synth.knowledge.models import (
    KINDS,
    Attachment,
    CrisisProtocol,
    Defense,
    Disorder,
    EthicsRule,
    Facet,
    LifeEvent,
    Modality,
    Occupation,
    Organization,
    Person,
    Population,
    Trait,
)
from pixel_synth.llms.engine import Call, Completion
from pixel_synth.records import Blueprint, Fact

M = TypeVar("M", bound=BaseModel)
Ask = Callable[[Call], Awaitable[Completion]]
Check = Callable[[M], None]


REPORTED = 3  # faults of one answer that are told at once
SHOWN_CUES = 4  # words that a prompt shows for each thing that must be said
_SAID = {"duration": "how long it has been: ", "occupation": "your work: ", "person": "somebody close: ", "event": "what happened: ",
         "feature": "something that comes up: "}  # fmt: skip
EXCERPT = 1500  # characters of an unusable answer that are shown to the model again


class AnswerError(EngineError):
    """An engine's answer is of no use; ``raw`` keeps it."""

    def __init__(self, message: str, raw: str, kind: Failure = "invalid") -> None:
        super().__init__(message, kind=kind)
        self.raw = raw


def parse(model: type[M], completion: Completion, part: str) -> M:
    """Validate an answer strictly against the task's own model, whatever the engine promised.

    Raises:
        AnswerError: With the raw text and its kind: refused, truncated, empty or invalid.
    """
    if completion.finish != "stop":
        kind: Failure = "truncated" if completion.finish == "length" else "refused"
        raise AnswerError(f"{part}: answer was {kind}", completion.text, kind)
    if not completion.text.strip():
        raise AnswerError(f"{part}: empty answer", completion.text, "empty")
    try:
        return model.model_validate_json(completion.text, strict=True)
    except ValidationError as error:
        faults = (f"{'.'.join(map(str, e['loc'])) or 'answer'}: {e['msg']}" for e in error.errors(include_input=False)[:REPORTED])
        raise AnswerError(f"{part}: {'; '.join(faults)}", completion.text) from error


async def answer(model: type[M], call: Call, ask: Ask, part: str, repairs: int, check: Check[M] | None = None) -> tuple[M, str]:
    """Ask for an answer of a model's schema; what cannot be used is sent back with what is wrong with it.

    Args:
        model: The schema of the answer.
        call: What to ask.
        ask: Answers calls.
        part: How errors name this answer.
        repairs: Times an unusable answer is asked for again.
        check: Further conditions; raises ``ValueError`` saying what is wrong.

    Returns:
        The answer, and its text as it came.

    Raises:
        AnswerError: When the last answer cannot be used either.
        EngineError: When no answer can be had.
    """
    asked = call
    for number in range(repairs + 1):
        completion = await ask(asked)
        try:
            found = parse(model, completion, part)
            if check:
                _check(check, found, completion, part)
            return found, completion.text
        except AnswerError as error:
            if number == repairs:
                raise
            asked = repair(call, error, number + 1)
    raise AssertionError("repairs is at least 0")


def _check(check: Check[M], found: M, completion: Completion, part: str) -> None:
    try:
        check(found)
    except ValueError as error:
        raise AnswerError(f"{part}: {error}", completion.text) from error


def repair(call: Call, error: AnswerError, number: int) -> Call:
    """Return the call that asks again: with the unusable answer and its faults, or, when there is none, only with another seed."""
    sampling = {**call.sampling, "seed": (call.sampling.get("seed", 0) + 7919 * number) % 2**31}
    if error.kind in ("empty", "refused") or not error.raw.strip():
        return call._replace(sampling=sampling)
    wrong = "It was cut off. Answer again, much shorter." if error.kind == "truncated" else f"It cannot be used: {error.message}"
    again = f"{wrong}\nAnswer again with one JSON object that fits the schema and nothing else."
    said = [{"role": "assistant", "content": error.raw[:EXCERPT]}, {"role": "user", "content": again}]
    return call._replace(messages=[*call.messages, *said], sampling=sampling)


def spelled(model: type[BaseModel]) -> str:
    """Return what an answer of a model consists of, in words: one line a key, taken from the model itself."""
    schema = model.model_json_schema()
    return "\n".join(_lines(schema, schema.get("$defs", {}), ""))


def _lines(schema: dict[str, Any], defs: dict[str, Any], indent: str) -> list[str]:
    lines = []
    for name, field in schema["properties"].items():
        inner = field.get("items", field)
        inner = {**defs.get(str(inner.get("$ref", "")).rsplit("/", 1)[-1], {}), **inner}
        many = f"list of at most {field['maxItems']}" if "maxItems" in field else ""
        one = "one of " + ", ".join(inner["enum"]) if "enum" in inner else "whole number" if inner.get("type") == "integer" else ""
        one = one or (f"at most {inner['maxLength']} characters" if "maxLength" in inner else "")
        about = "; ".join(text for text in (field.get("description", ""), f"{many}, {one}".strip(", ")) if text)
        lines.append(f"{indent}- {name}: {about}" + (", each with" if "properties" in inner else ""))
        if "properties" in inner:
            lines += _lines(inner, defs, indent + "  ")
    return lines


def quoted(text: str) -> str:
    """Return text as data for a prompt: on one line, and unable to close the tag that it stands in."""
    return " ".join(text.split()).replace("</", "< /")


def bullets(lines: list[str]) -> str:
    """Return lines as a Markdown list, or "none"."""
    return "\n".join(f"- {line}" for line in lines) or "none"


class Context:
    """A blueprint together with the knowledge entries it points to, and how often an answer about it may be repaired."""

    def __init__(self, bp: Blueprint, knowledge: Knowledge, repairs: int = 0) -> None:
        self.bp, self.knowledge, self.repairs = bp, knowledge, repairs
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
            f"{self._organization()}{self._role()}"
        )

    def _organization(self) -> str:
        id = self.bp.persona.organization
        return f"; personality organisation: {self.knowledge.get(Organization, id).name}" if id else ""

    def _role(self) -> str:
        """Say whom the client comes about, when it is not about themselves."""
        if self.bp.client == "self":
            return ""
        return f"; comes about their {self.bp.ward}: what is lived with below is the {self.bp.ward}'s, seen and told by the client"

    @cached_property
    def manner(self) -> str:
        """How this client talks."""
        p, k = self.bp.persona, self.knowledge
        traits = k.all(Trait)
        lines = [getattr(traits[t], v).talk[0] for t, v in p.big_five.model_dump().items() if v != "mid" and t in traits]
        for key in p.facets:
            facet = k.get(Facet, key.partition(":")[0])
            lines.append((facet.high if key.endswith(":high") else facet.low).talk[0])
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
    def to_say(self) -> str:
        """What the client must say, each with a few of the words by which the gate finds it."""
        return bullets(
            [f"{_SAID.get(f.kind, '')}{f.text} (words like: {self._words(f)})" for f in self.bp.must_appear if f.speaker == "client"]
        )

    @cached_property
    def to_ask(self) -> str:
        """What the therapist must say for safety, each with a few of the words by which the gate finds it."""
        return bullets([f"{f.text} (words like: {self._words(f)})" for f in self.bp.must_appear if f.speaker == "therapist"])

    def _words(self, fact: Fact) -> str:
        """Return some of a fact's cues as words; others for each conversation, so that not all sound alike."""
        cues = Draw(self.bp.seed, "words", fact.id).shuffled(fact.cues)[:SHOWN_CUES]
        return ", ".join(cue.replace("*", "…").replace("..", " … ") for cue in cues)

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
        steps = {s.id: s for s in self.knowledge.get(CrisisProtocol, self.bp.protocol).steps} if self.bp.protocol else {}
        ids = [f.id.split(".", 1)[1] for f in self.bp.must_appear if f.kind == "safety"]
        return bullets([f"{i}: {steps[i].name}: {steps[i].purpose}" for i in ids if i in steps])

    @cached_property
    def risk(self) -> str:
        """The risk level and how it shows."""
        cue = next((f.text for f in self.bp.must_appear if f.kind == "risk"), "")
        return f"{self.bp.risk}; {cue}" if cue else self.bp.risk

    @cached_property
    def population(self) -> str:
        """What helps, what harms, what must not be assumed; and what else colours this session."""
        p = self.knowledge.get(Population, self.bp.population)
        return bullets([f"{p.name}: {p.summary}", *(f"helps: {h}" for h in p.helps[:3]), *(f"harms: {h}" for h in p.harms[:3]),
                        *(f"never assume: {s}" for s in p.stereotypes[:2]), *(f"therapist: {a}" for a in p.adapt[:3]),
                        *(f"say “{w.say}”, not “{w.avoid}”" for w in p.language[:3]), *self._features()])  # fmt: skip

    def _features(self) -> list[str]:
        """What the session meets besides its topic: name, what it is, and how it is met."""
        lines = []
        for key in self.bp.features:
            kind, _, id = key.partition(":")
            entry: Any = self.knowledge.get(KINDS[kind], id)
            meet = next((getattr(entry, name) for name in ("hold", "meet", "helps", "help", "repairs") if hasattr(entry, name)), ())
            lines.append(f"{kind.replace('_', ' ')}, {entry.name}: {entry.summary}" + (f" Met by: {meet[0]}" if meet else ""))
        return lines

    @cached_property
    def ethics(self) -> str:
        """The ethics rules that weigh here."""
        rules = self.knowledge.all(EthicsRule)
        return bullets([f"{i}: {rules[i].rule}" for i in self.bp.must_not if i in rules])
