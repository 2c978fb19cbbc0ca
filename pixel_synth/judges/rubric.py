"""Rubrics: what a judge is asked, one file each, and nothing else about judging.

A rubric is ``prompts/judges/<name>.md``: YAML front matter (`Rubric`; every key is described in ``docs/judges.md``) and, below it,
guidance in plain text.  The file stem is the key, and version and hash of the file travel with every score.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BeforeValidator, Field, ValidationError, model_validator

from pixel_synth.errors import PromptError, UsageError
from pixel_synth.judges.quotes import Speaker, find
from pixel_synth.prompts import prompts_dir
from pixel_synth.records import Message, PromptRef, Record
from pixel_synth.settings import THRESHOLDS

Scale = Literal["yes/no", "0-2", "1-5", "A/B/tie"]
# Levels from low to high; those of a comparison have no order.
LEVELS: dict[Scale, tuple[str, ...]] = {
    "yes/no": ("no", "yes"),
    "0-2": ("0", "1", "2"),
    "1-5": ("1", "2", "3", "4", "5"),
    "A/B/tie": ("A", "B", "tie"),
}
ANCHORED: dict[Scale, set[str]] = {"yes/no": {"no", "yes"}, "0-2": {"0", "1", "2"}, "1-5": {"1", "3", "5"}, "A/B/tie": set()}
NOT_APPLICABLE, UNCLEAR = "not_applicable", "unclear"
DOCS = "docs/judges.md describes every key"


def _level(value: object) -> object:
    """Return a level as text: YAML reads yes and no as truth values, and digits as numbers."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value) if isinstance(value, int) else value


Level = Annotated[str, BeforeValidator(_level)]
Text = Annotated[str, Field(min_length=1)]
Id = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]


class Criterion(Record):
    """One question of a rubric, the meaning of its levels, and what its answer counts for."""

    ask: Text
    scale: Scale
    anchors: dict[Level, Text] = Field(default_factory=dict, description="what each level looks like")
    good_from: Level = Field(default="", description="least good level; the highest good one where high is bad; of yes/no the good one")
    high_is_bad: bool = False
    applies: str = Field(default="", description="when it does not apply; empty = it always does")
    quote: Speaker = "either"
    weight: float = Field(default=1.0, gt=0)
    fatal: bool = Field(default=False, description="of a flow: caps the score when it is not good")

    @model_validator(mode="after")
    def _levels_fit_the_scale(self) -> Criterion:
        if self.scale == "A/B/tie":
            if self.good_from or self.high_is_bad:
                raise ValueError("a comparison has no good level: leave good_from and high_is_bad out")
            return self
        levels = LEVELS[self.scale]
        if strange := [level for level in self.anchors if level not in levels]:
            raise ValueError(f"anchors: {', '.join(strange)} is no level of {self.scale} (levels: {', '.join(levels)})")
        if missing := [level for level in levels if level in ANCHORED[self.scale] and level not in self.anchors]:
            raise ValueError(f"anchors: say what {', '.join(missing)} looks like")
        if self.good_from not in levels:
            raise ValueError(f"good_from: must be one of {', '.join(levels)}, not {self.good_from!r}")
        if self.scale == "yes/no" and self.high_is_bad:
            raise ValueError("high_is_bad: of yes/no, good_from is the good answer; leave high_is_bad out")
        return self

    @property
    def answers(self) -> tuple[str, ...]:
        """What may be answered: the levels, ``not_applicable`` where that can be, and ``unclear``."""
        return (*LEVELS[self.scale], *([NOT_APPLICABLE] if self.applies else []), UNCLEAR)

    def unit(self, answer: str) -> float | None:
        """Return an answer as 0 (worst) to 1 (best), levels equally far apart; ``None`` for one that is no level."""
        levels = LEVELS[self.scale]
        if answer not in levels or self.scale == "A/B/tie":
            return None
        share = levels.index(answer) / (len(levels) - 1)
        return 1.0 - share if self.high_is_bad or (self.scale == "yes/no" and self.good_from == "no") else share

    def good(self, answer: str) -> bool:
        """Tell whether a level counts as good."""
        levels = LEVELS[self.scale]
        if self.scale == "yes/no":
            return answer == self.good_from
        at, limit = levels.index(answer), levels.index(self.good_from)
        return at <= limit if self.high_is_bad else at >= limit


class Said(Record):
    """One turn of an example."""

    role: Literal["client", "therapist"]
    text: Text


class Answered(Record):
    """The agreed answer to one criterion of an example."""

    answer: Level
    quote: str = Field(default="", max_length=300)
    why: str = Field(default="", max_length=200)


class Example(Record):
    """A short session with the answers that were agreed on for it."""

    session: tuple[Said, ...] = Field(min_length=1)
    answers: dict[str, Answered] = Field(min_length=1)

    @property
    def messages(self) -> tuple[Message, ...]:
        """The session in chat form."""
        return tuple(Message(role="user" if said.role == "client" else "assistant", content=said.text) for said in self.session)


class Rubric(Record):
    """A parsed rubric file."""

    name: Id
    version: Text
    title: Text
    asks: Literal["session", "pair"]
    speaks_to: str = Field(default="", description="the threshold's metric that it can inform")
    sources: tuple[Text, ...] = Field(min_length=1)
    knowledge: bool = Field(default=False, description="whether the judge is shown knowledge entries of the topic")
    combine: Literal["mean", "flow"]
    criteria: dict[Id, Criterion] = Field(min_length=1)
    examples: tuple[Example, ...] = ()
    guidance: Text
    sha256: str

    @model_validator(mode="after")
    def _fits_together(self) -> Rubric:
        if self.speaks_to and self.speaks_to not in THRESHOLDS:
            raise ValueError(f"speaks_to: {self.speaks_to!r} is no threshold (known: {', '.join(THRESHOLDS)}; or leave it empty)")
        for id, criterion in self.criteria.items():
            if (criterion.scale == "A/B/tie") != (self.asks == "pair"):
                raise ValueError(f"criteria.{id}.scale: A/B/tie belongs to `asks: pair`, the other scales to `asks: session`")
            if criterion.fatal and self.combine != "flow":
                raise ValueError(f"criteria.{id}.fatal: only a flow has fatal criteria; set `combine: flow` or leave fatal out")
        for number, example in enumerate(self.examples):
            for id, answered in example.answers.items():
                try:
                    self._check_answer(id, answered, example.messages)
                except ValueError as error:
                    raise ValueError(f"examples.{number}.answers.{id}: {error}") from error
        if "{{" in self.guidance or "{%" in self.guidance:
            raise ValueError("guidance: plain text, no template; take {{ and {% out")
        return self

    def _check_answer(self, id: str, answered: Answered, messages: tuple[Message, ...]) -> None:
        if id not in self.criteria:
            raise ValueError(f"no such criterion (known: {', '.join(self.criteria)})")
        criterion = self.criteria[id]
        if answered.answer not in criterion.answers:
            raise ValueError(f"answer {answered.answer!r} is none of {', '.join(criterion.answers)}")
        if answered.quote or answered.answer not in (NOT_APPLICABLE, UNCLEAR):
            find(answered.quote, messages, criterion.quote)

    @property
    def ref(self) -> PromptRef:
        """What a record says of the rubric it was judged by."""
        return PromptRef(name=f"judges/{self.name}", version=self.version, sha256=self.sha256)


def rubric(name: str) -> Rubric:
    """Load a rubric by its name.

    Raises:
        PromptError: When there is none, or its file is malformed; names file and key and what to do.
    """
    folder = prompts_dir() / "judges"
    if not (folder / f"{name}.md").is_file():
        raise PromptError(f"no rubric {name!r} in {folder}", hint=f"known: {', '.join(p.stem for p in sorted(folder.glob('*.md')))}")
    return read(folder / f"{name}.md")


def session_rubric(name: str) -> Rubric:
    """Load a rubric that can be asked about one session.

    Raises:
        PromptError: When there is none, or its file is malformed.
        UsageError: When it compares pairs.
    """
    found = rubric(name)
    if found.asks != "session":
        raise UsageError(f"rubric {name!r} compares two sessions and cannot be asked about one", hint="pixel-synth judge --list")
    return found


def pair_rubric(name: str) -> Rubric:
    """Load a rubric that compares two sides.

    Raises:
        PromptError: When there is none, or its file is malformed.
        UsageError: When it asks about one session.
    """
    found = rubric(name)
    if found.asks != "pair":
        raise UsageError(f"rubric {name!r} asks about one session", hint="pixel-synth judge --list shows those that ask about a pair")
    return found


def rubrics() -> list[Rubric]:
    """Load every rubric, by name.

    Raises:
        PromptError: When a file is malformed.
    """
    return [read(path) for path in sorted((prompts_dir() / "judges").glob("*.md"))]


@cache
def read(path: Path) -> Rubric:
    """Read and check one rubric file.

    Raises:
        PromptError: Naming the file, the key and what to do.
    """
    raw = path.read_text(encoding="utf-8")
    head, fence, guidance = raw.removeprefix("---\n").partition("\n---\n")
    try:
        front = yaml.safe_load(head)
    except yaml.YAMLError as error:
        raise PromptError(f"{path}: front matter is not YAML: {error}", hint="put texts with a colon or a # into quotes") from error
    if not fence or not isinstance(front, dict):
        raise PromptError(f"{path}: it must begin with front matter between two lines of ---", hint=DOCS)
    computed = {"guidance": guidance.strip(), "sha256": hashlib.sha256(raw.encode()).hexdigest()}
    if mixed := sorted(computed.keys() & front.keys()):
        raise PromptError(f"{path}: {', '.join(mixed)}: no key of the front matter", hint="guidance is the text below it")
    try:
        found = Rubric.model_validate({**front, **computed})
    except ValidationError as error:
        raise PromptError(f"{path}: {_first(error)}", hint=DOCS) from error
    if found.name != path.stem:
        raise PromptError(f"{path}: name: {found.name!r} is not the file's stem", hint=f"rename the file, or write name: {path.stem}")
    return found


def _first(error: ValidationError) -> str:
    """Return the first fault with its key."""
    fault: Any = error.errors(include_url=False)[0]
    key = ".".join(str(k) for k in fault["loc"] if k != "[key]")
    told = str(fault["msg"]).removeprefix("Value error, ")
    if fault["type"] == "string_type":
        told += f", not {fault['input']!r}: put it into quotes"
    return f"{key}: {told}" if key else told
