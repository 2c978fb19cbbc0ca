"""Attuned conversations written by hand for these tests, and ways to spoil them."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from pixel_synth.records import BigFive, Conversation, Message, Provenance

FIXTURE = Path(__file__).with_name("fixtures") / "attuned.jsonl"
ATTUNED = [Conversation.model_validate_json(line) for line in FIXTURE.read_text(encoding="utf-8").splitlines()]

MI = Path(__file__).with_name("fixtures") / "mi.txt"

CANNED = (
    "I understand how you feel.",
    "That must be really hard.",
    "I'm here for you. Tell me more.",
    "Thank you for sharing that with me. How does that make you feel?",
)
DISMISSIVE = (
    "Everyone feels like that sometimes. At least you have a job.",
    "Don't worry so much, it could be worse.",
    "You're overreacting. Just think positive.",
    "Look on the bright side, you'll be fine.",
)
LECTURE = (
    "You should go to bed earlier and exercise every day. You need to stop thinking about it. Try to eat healthy food and avoid "
    "screens. Research shows that exercise helps.",
    "You have to talk to them. Make sure you write a list every day and stick to it. I recommend meditation, and you should also "
    "read a good self-help book.",
    "Why don't you take a holiday? You need to relax more. Start a hobby. Keep a journal. Drink more water.",
)


def talk(*lines: str) -> Conversation:
    """Return a conversation of the lines, the client first."""
    messages = tuple(Message(role="assistant" if i % 2 else "user", content=line) for i, line in enumerate(lines))
    provenance = Provenance(engine="test", model="", toolkit="test", seed=0)
    return Conversation(id="test", category="psychology", messages=messages, provenance=provenance)


class Sketch(NamedTuple):
    """A session of motivational interviewing written to be good or poor; a ``check`` took no part in tuning."""

    good: bool
    topic: str
    check: bool
    conversation: Conversation


def sketches() -> list[Sketch]:
    """Read the sketches of motivational interviewing."""
    found = []
    for block in MI.read_text(encoding="utf-8").split("\n## ")[1:]:
        head, *lines = block.strip().splitlines()
        quality, topic, use = (part.strip() for part in head.split("|"))
        messages = tuple(Message(role="assistant" if line[0] == "T" else "user", content=line[3:]) for line in lines)
        found.append(Sketch(quality == "good", topic, use == "check", with_messages(talk("Hi.", "Hello."), list(messages))))
    return found


def with_messages(c: Conversation, messages: list[Message]) -> Conversation:
    """Return the conversation with other messages."""
    return c.model_copy(update={"messages": tuple(messages)})


def with_therapist(c: Conversation, lines: tuple[str, ...] | list[str]) -> Conversation:
    """Replace the therapist's turns, using the lines in turn."""
    out, used = [], 0
    for m in c.messages:
        if m.role == "assistant":
            m, used = Message(role="assistant", content=lines[used % len(lines)]), used + 1
        out.append(m)
    return with_messages(c, out)


def off_topic(c: Conversation, other: Conversation) -> Conversation:
    """Take the therapist's turns from another conversation."""
    return with_therapist(c, [m.content for m in other.messages if m.role == "assistant"])


def shuffled(c: Conversation, seed: int) -> Conversation:
    """Shuffle the turns of each speaker among themselves."""
    rng = random.Random(seed)
    turns = {role: [m for m in c.messages if m.role == role] for role in ("user", "assistant")}
    for group in turns.values():
        rng.shuffle(group)
    return with_messages(c, [turns[m.role].pop() for m in c.messages])


def replaced(c: Conversation, old: str, new: str, role: str = "user") -> Conversation:
    """Replace words in every message of a role; the words must be there."""
    assert old in c.said(role)  # type: ignore[arg-type]
    edit: Callable[[Message], Message] = lambda m: Message(role=m.role, content=m.content.replace(old, new)) if m.role == role else m  # noqa: E731
    return with_messages(c, [edit(m) for m in c.messages])


def other_person(c: Conversation) -> Conversation:
    """Keep the words and turn the persona's trait levels round."""
    flip = {"high": "low", "low": "high", "mid": "mid"}
    assert c.blueprint
    persona = c.blueprint.persona
    levels = BigFive.model_validate({k: flip[v] for k, v in persona.big_five.model_dump().items()})
    swapped = persona.model_copy(update={"big_five": levels})
    return c.model_copy(update={"blueprint": c.blueprint.model_copy(update={"persona": swapped})})


@pytest.fixture(params=ATTUNED, ids=lambda c: c.id)
def attuned(request: pytest.FixtureRequest) -> Conversation:
    """Each attuned conversation."""
    return request.param


@pytest.fixture
def by_id() -> dict[str, Conversation]:
    """All attuned conversations by id without the prefix."""
    return {c.id.removeprefix("attuned-"): c for c in ATTUNED}
