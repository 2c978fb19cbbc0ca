"""From a row to a record: roles, cleaning, the strategy of the category, groups, labels, provenance."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from pixel_synth import __version__
from pixel_synth.books import Dropped
from pixel_synth.errors import UsageError
from pixel_synth.records import Category, Conversation, Kind, Labels, Message, Provenance, stable_id
from pixel_synth.standardise.columns import Columns, column
from pixel_synth.standardise.draft import Draft, Turn, Unfit
from pixel_synth.standardise.roles import Said, Unrepairable, client_lines, mapped, repaired
from pixel_synth.standardise.rows import Raw
from pixel_synth.standardise.shapes import SHAPES
from pixel_synth.standardise.spec import Spec
from pixel_synth.standardise.text import Unclean, clean, key

MAX_CHARS, MAX_TURNS, MAX_THOUGHT = 20_000, 500, 100_000  # of records.Message and records.Conversation
LEAST_CLIENT_TURNS = 2
# What the shape alone says of the category; all other rows must be told theirs.
SAYS: dict[str, Category] = {"preference": "auxiliary", "cot": "reasoning"}
TALKS = frozenset({"psychology", "mental_health", "voice"})
_THOUGHT = re.compile(r"\s*<(think|thinking|thought|reasoning)>(.*?)</\1>\s*", re.S | re.I)
_CLOSED = re.compile(r"(.*?)</(think|thinking)>\s*", re.S | re.I)  # templates of reasoning models open the tag in the prompt
_STRAY = re.compile(r"</?(think|thinking)>", re.I)


def category(spec: Spec, shape: str) -> Category | None:
    """Return the category of rows of a shape: asked for, or what the shape means; ``None`` when rows say it themselves.

    Raises:
        UsageError: When nobody says it.
    """
    found = spec.category or SAYS.get(shape)
    if found is None and shape != "records":
        raise UsageError(f"nobody says of which category {spec.source} is", hint="--category psychology, mental_health, reasoning ...")
    return found


class Converter:
    """Makes records of the rows of one shape; ``repaired`` says what the last record took."""

    def __init__(self, spec: Spec, shape: str) -> None:
        self._spec, self._shape = spec, shape
        self._category = category(spec, shape)
        self._columns = Columns(shape, spec.columns)
        self._read = SHAPES[shape].read
        self.repaired: tuple[str, ...] = ()

    def fits(self, row: Mapping[str, Any]) -> bool:
        """Tell whether a row has the shape, whatever else is wrong with it."""
        try:
            self._read(self._columns.of(row))
        except Unfit:
            return False
        return True

    def __call__(self, raw: Raw) -> Conversation | Dropped:
        """Return the record of a row, or why there is none."""
        if raw.value is None:
            return Dropped(raw.error)
        self.repaired = ()
        try:
            draft = self._read(self._columns.of(raw.value))
            if isinstance(draft, Conversation):
                return self._asked(draft)
            record, repairs = self._record(draft, raw)
        except (Unfit, Unclean, Unrepairable) as error:
            return Dropped(str(error))
        self.repaired = tuple(sorted(repairs))
        return record

    def _asked(self, record: Conversation) -> Conversation | Dropped:
        """Return a row that is a record already, in the category and under the licence that were said of the file."""
        theirs, ours = record.provenance.license, self._spec.license
        if theirs and ours and theirs.casefold() != ours.casefold():
            return Dropped(
                f"licence: the record says {theirs[:80]}, and of the file was said {ours}; leave it out there if the record is right"
            )
        told = record.provenance if theirs or not ours else record.provenance.model_copy(update={"license": ours})
        return record.model_copy(update={"category": self._spec.category or record.category, "provenance": told})

    def _record(self, draft: Draft, raw: Raw) -> tuple[Conversation, Counter[str]]:
        row = raw.value or {}
        spec, counted = self._spec, Counter(draft.repairs)
        said, thoughts = self._said(strategy(draft.turns, self._category), counted)
        other, _ = self._said(draft.dispreferred, Counter())
        if spec.client_only:
            said, thoughts, other = client_lines(said), [], []
        else:
            said, repairs = repaired(said)
            counted.update(repairs)
        messages, dispreferred = tuple(map(_message, said)), tuple(map(_message, other))
        _check(messages, dispreferred, preference=draft.kind == "preference", client_only=spec.client_only)
        if draft.thought.strip() and not spec.client_only:
            thoughts = [clean(draft.thought)[0], *thoughts]
        thought = "\n\n".join(thoughts) if spec.keep_reasoning else ""
        if len(thought) > MAX_THOUGHT:
            raise Unfit(f"over-long thought: {len(thought):,} characters, at most {MAX_THOUGHT:,}")
        told = ", ".join(f"{name} {n}" if n > 1 else name for name, n in sorted(counted.items()))
        record = Conversation(
            id=identity(spec.source, messages, dispreferred),
            category=self._category or "auxiliary",
            messages=messages,
            dispreferred=dispreferred,
            thought=thought,
            labels=self._labels(row, self._kind(draft, messages, thought)),
            groups=self._groups(row, draft),
            provenance=Provenance(
                engine=spec.wrote, model="", toolkit=__version__, seed=0, source=spec.source, license=spec.license, revision=spec.revision,
                row=f"{raw.file}:{raw.row}", created=str(column(row, spec.created) or "") if spec.created else "",
                converter=f"{self._shape}; {told}" if told else self._shape,
            ),
        )  # fmt: skip
        return record, counted

    def _said(self, turns: Sequence[Turn], counted: Counter[str]) -> tuple[list[Said], list[str]]:
        """Return the cleaned turns under our roles, and the thoughts that stood in replies."""
        said, thoughts = [], []
        for role, words in mapped(turns, self._spec.roles):
            if role == "assistant" and "<" in words:
                words, thought = apart(words)
                thoughts += [thought] if thought else []
            words, repairs = clean(words)
            counted.update(repairs)
            said.append((role, words))
        return said, thoughts

    def _kind(self, draft: Draft, messages: tuple[Message, ...], thought: str) -> Kind:
        spec = self._spec
        if spec.client_only:
            return "client_lines"
        if spec.kind or draft.kind == "preference":
            return spec.kind or draft.kind
        if thought or draft.kind:
            return "reasoning" if thought else "question_answer"
        if self._category == "personality":
            return "role_play"
        if sum(m.role == "user" for m in messages) > 1:
            return "session"
        return "question_answer" if self._category in TALKS else "instruction"

    def _labels(self, row: Mapping[str, Any], kind: Kind) -> Labels:
        given = {label: column(row, name) for label, name in self._spec.labels.items()}
        try:
            return Labels(kind=kind, **{label: str(value).strip() for label, value in given.items() if value is not None})
        except ValidationError as error:
            first = error.errors()[0]
            raise Unfit(f"no such label: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error

    def _groups(self, row: Mapping[str, Any], draft: Draft) -> tuple[str, ...]:
        asked = dict.fromkeys(filter(None, map(key, () if self._spec.client_only else draft.questions)))
        found = [f"question:{stable_id(words)}" for words in asked]
        for kind, name in self._spec.groups.items():
            value = column(row, name)
            if value not in (None, ""):
                found.append(f"{kind}:{self._spec.source}/{value}")
        return tuple(found)


def identity(source: str, messages: Sequence[Message], dispreferred: Sequence[Message] = ()) -> str:
    """Return the id of a record: a hash of its source and of every word, not of where it stood."""
    return stable_id(source, *(f"{m.role}\x1e{m.content}" for m in messages), *(f"not\x1e{m.role}\x1e{m.content}" for m in dispreferred))


def strategy(turns: Sequence[Turn], category: Category | None) -> list[Turn]:
    """Put an instruction where its category wants it.

    In talks the instruction tells the model how to be ("you are a licensed psychologist ...") and the input is what a client says, so the
    instruction becomes the system turn: no client speaks like that.  Elsewhere it is the task itself, and both are one turn of the user.
    """
    if not turns or turns[0].who != "instruction":
        return list(turns)
    if category in TALKS:
        return [Turn("system", turns[0].text), *turns[1:]]
    return [Turn("user", f"{turns[0].text.strip()}\n\n{turns[1].text.strip()}"), *turns[2:]]


def apart(words: str) -> tuple[str, str]:
    """Return a reply without its chain of thought, and the thought.

    Raises:
        Unfit: When it cannot be told where the thought ends.
    """
    found = _THOUGHT.match(words) or _CLOSED.match(words)
    reply = words[found.end() :] if found else words
    if _STRAY.search(reply):
        raise Unfit("thought inside a reply: it cannot be told where it begins or ends")
    if not found:
        return words, ""
    return reply, (found[2] if found.re is _THOUGHT else found[1]).strip()


def _message(said: Said) -> Message:
    role, words = said
    if len(words) > MAX_CHARS:
        raise Unfit(f"over-long turn: {len(words):,} characters, at most {MAX_CHARS:,}")
    if not words:
        raise Unfit(f"empty turn: {role}")
    return Message(role=role, content=words)


def _check(messages: Sequence[Message], dispreferred: Sequence[Message], *, preference: bool, client_only: bool) -> None:
    """Raise `Unfit` when there is not enough of a talk, or too much."""
    if len(messages) > MAX_TURNS:
        raise Unfit(f"too many turns: {len(messages):,}, at most {MAX_TURNS}")
    users, replies = (sum(m.role == role for m in messages) for role in ("user", "assistant"))
    if client_only and users < LEAST_CLIENT_TURNS:
        raise Unfit(f"too few client turns: {users}, at least {LEAST_CLIENT_TURNS}")
    if not client_only and not (users and replies):
        raise Unfit(f"too few turns: {users} of the client, {replies} of the therapist")
    for role in ("user",) if client_only else ("user", "assistant"):
        if not any(any(map(str.isalnum, m.content)) for m in messages if m.role == role):
            raise Unfit(f"no words: nothing that the {role} says has a letter or digit")
    if preference and not client_only and not dispreferred:
        raise Unfit("no preference: nothing is left of the rejected answer")
