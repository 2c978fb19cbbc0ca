"""Content that a therapeutic model must not learn to say, found by the words in ``unsafe.yaml`` and dropped by where it stands.

Therapy talks of death, abuse, sex and hate, so a find alone says little: a client may tell what a therapist may not say, and a role-play
set is held to more than a counselling set.  ``rules`` says for each kind what is done by origin (clinical, role_play, general) and role.
What depicts minors sexually, and what is there to turn a model against its rules, goes in every origin.

It finds plain wording in English.  It is a sieve for sets that are known to hold such content, not a classifier: docs/curation.md
has its figures.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Literal, NamedTuple

import yaml

from pixel_synth.books import Dropped
from pixel_synth.grammar import cue_pattern
from pixel_synth.records import Conversation, Message, Role

Origin = Literal["clinical", "role_play", "general"]
DATA = Path(__file__).with_name("unsafe.yaml")
_CLINICAL = frozenset({"psychology", "mental_health", "voice", "reasoning"})
_SENTENCE = re.compile(r"[^.!?\n]+[.!?\n]*")
_LEET = str.maketrans({"0": "o", "1": "i", "3": "e", "4": "a", "5": "s", "7": "t", "@": "a", "$": "s", "’": "'"})


class Found(NamedTuple):
    """One find: where it stands (index of the message, -1: no one message), who says it, the kind, the words."""

    turn: int
    role: Role
    kind: str
    quote: str


class _Kind(NamedTuple):
    certain: re.Pattern[str]
    weak: re.Pattern[str]
    least: int
    beside: re.Pattern[str] | None
    unless: re.Pattern[str] | None


class Unsafe:
    """Drop records with unsafe content; a `Step`.

    Args:
        client_only: Ids of further sets whose replies may never be a therapist's.
    """

    def __init__(self, client_only: tuple[str, ...] = ()) -> None:
        self.client_only = client_only

    def __call__(self, conversation: Conversation) -> Conversation | Dropped:
        """Return the record as it is, or why it is dropped."""
        if has_foreign_reply(conversation, self.client_only):
            return Dropped(f"role-play reply: {conversation.provenance.source or 'the set'} may give client lines only")
        origin = origin_of(conversation)
        for found in (*unsafe(conversation), *(_taken_together(conversation) if origin == "role_play" else ())):
            if _data()["rules"][found.kind][origin]["user" if found.role == "user" else "assistant"] == "drop":
                where = f"{found.role} turn {found.turn}" if found.turn >= 0 else "the whole"
                return Dropped(f"unsafe {found.kind}: {where} of a {origin} record")
        return conversation


def origin_of(conversation: Conversation) -> Origin:
    """Return by which rules a record is held: role-play by its kind or set, clinical by its category, else general."""
    if conversation.labels.kind in ("role_play", "client_lines") or _listed(conversation.provenance.source, ()):
        return "role_play"
    return "clinical" if conversation.category in _CLINICAL else "general"


def has_foreign_reply(conversation: Conversation, client_only: tuple[str, ...] = ()) -> bool:
    """Tell whether a record that may hold client lines only has a turn of somebody else."""
    held = conversation.labels.kind == "client_lines" or _listed(conversation.provenance.source, client_only)
    return held and any(m.role == "assistant" for m in (*conversation.messages, *conversation.dispreferred))


def _listed(source: str, more: tuple[str, ...]) -> bool:
    bare = _bare(source)
    return bool(bare) and any(_bare(name) in bare for name in (*_data()["client_only"], *more))


def _bare(name: str) -> str:
    return re.sub(r"[\W_]", "", name.lower())


def unsafe(conversation: Conversation) -> Iterator[Found]:
    """Yield what is found in a record, whatever the rules do with it; at most one find of a kind in a message."""
    texts = [(i, m) for i, m in enumerate(conversation.messages)] + [(-1, m) for m in conversation.dispreferred]
    if conversation.thought:
        texts += [(-1, Message.model_construct(role="assistant", content=conversation.thought))]
    for turn, message in texts:
        for kind, quote in unsafe_text(message.content):
            yield Found(turn, message.role, kind, quote)


def _taken_together(conversation: Conversation) -> Iterator[Found]:
    """Yield what a role-play shows when its lines are read as one text: weak words that are spread over it add up."""
    for kind, quote in unsafe_text("\n".join(m.content for m in conversation.messages)):
        yield Found(-1, "user", kind, quote)


def unsafe_text(text: str) -> Iterator[tuple[str, str]]:
    """Yield (kind, words) of a text, each kind once, in the order of ``unsafe.yaml``."""
    low = text.lower().replace("’", "'")
    forms = (low, low.translate(_LEET)) if re.search(r"[a-z][013457@$][a-z]", low) else (low,)
    for name, kind in _kinds().items():
        quote = next((q for form in forms if (q := _find(kind, form))), "")
        if quote:
            yield name, quote


def _find(kind: _Kind, text: str) -> str:
    for m in kind.certain.finditer(text):
        if kind.unless is None or not kind.unless.search(text, max(0, m.start() - 60), m.start()):
            return m[0]
    if not kind.least:
        return ""
    if kind.beside is not None:
        for sentence in _SENTENCE.finditer(text) if kind.beside.search(text) else ():
            if kind.beside.search(sentence[0]) and (weak := kind.weak.search(sentence[0])):
                return weak[0]
        return ""
    words = {m[0] for m in kind.weak.finditer(text)}
    return ", ".join(sorted(words)) if len(words) >= kind.least else ""


@cache
def _data() -> dict[str, Any]:
    data: dict[str, Any] = yaml.safe_load(DATA.read_text(encoding="utf-8"))
    return data


@cache
def _kinds() -> dict[str, _Kind]:
    """Return the patterns by kind; texts are in lower case, so they need not be case-blind."""

    def pattern(cues: list[str] | None) -> re.Pattern[str]:
        return cue_pattern(tuple(cues or ()), 0)

    return {
        name: _Kind(
            pattern(kind["certain"]), pattern(kind.get("weak")), kind.get("least", 0),
            pattern(kind["with"]) if "with" in kind else None, pattern(kind["not"]) if "not" in kind else None,
        )
        for name, kind in _data()["kinds"].items()
    }  # fmt: skip
