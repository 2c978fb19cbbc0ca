"""Records as the rows that trainers read: ``messages``, and ``prompt``, ``chosen``, ``rejected`` for preferences.

Column names and the conversational form are those of TRL (https://huggingface.co/docs/trl/dataset_formats), which axolotl reads as type
``chat_template`` (https://docs.axolotl.ai/docs/dataset-formats/conversation.html).
"""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from pixel_synth.records import Conversation, Message, MoveChoice, Reasoning, Record, Role, Unit

_OPEN, _CLOSE = "<think>", "</think>"


class Turn(Record):
    """One message in the form of chat templates."""

    role: Role
    content: str


class _About(Record):
    """What rows are chosen by."""

    id: str
    category: str
    kind: str
    source: str
    license: str
    quality: Unit | None = Field(description="the overall score, on the human scale where it has one; None when unscored")


class ChatRow(_About):
    """A row for supervised training; ``length`` is the number of tokens of ``text``, under the name that trainers look for."""

    messages: tuple[Turn, ...]
    thought: str
    text: str = ""
    length: int | None = None


class PreferenceRow(_About):
    """A row for preference training, in the conversational form."""

    prompt: tuple[Turn, ...]
    chosen: tuple[Turn, ...]
    rejected: tuple[Turn, ...]


def row(c: Conversation, *, think: bool = False, swapped: bool = False) -> ChatRow:
    """Return a record as a row for supervised training, not yet rendered.

    Args:
        c: The record.
        think: Put the chain of thought before the reply that it led to; without it replies are what was said and nothing else.
        swapped: The client is the one to be learned: ``user`` and ``assistant`` change places.
    """
    return ChatRow(**_about(c).model_dump(), messages=turns(c, think=think, swapped=swapped), thought=thought(c))


def preference(c: Conversation) -> PreferenceRow | None:
    """Return a record as a row for preference training, ``None`` when it has nothing dispreferred."""
    if not c.dispreferred:
        return None
    talk, rejected = turns(c), tuple(Turn(role=m.role, content=m.content) for m in c.dispreferred)
    return PreferenceRow(**_about(c).model_dump(), prompt=talk[:-1], chosen=talk[-1:], rejected=rejected)


def _about(c: Conversation) -> _About:
    overall, origin = c.score("overall"), c.provenance
    quality = None if overall is None else overall.value if overall.calibrated is None else overall.calibrated
    return _About(id=c.id, category=c.category, kind=c.labels.kind, source=origin.source, license=origin.license, quality=quality)


def turns(c: Conversation, *, think: bool = False, swapped: bool = False) -> tuple[Turn, ...]:
    """Return the messages of a record; a thought stands in tags with line breaks, as Qwen3 and DeepSeek-R1 write it."""
    thoughts = _thoughts(c) if think and not swapped else {}
    exchange: dict[Role, Role] = {"user": "assistant", "assistant": "user"} if swapped else {}
    return tuple(
        Turn(
            role=exchange.get(m.role, m.role),
            content=f"{_OPEN}\n{thoughts[i]}\n{_CLOSE}\n\n{m.content}" if i in thoughts else m.content,
        )
        for i, m in enumerate(c.messages)
    )


def thought(c: Conversation) -> str:
    """Return the chain of thought as prose: the one that the record came with, and the therapist's own where it was planned."""
    parts = [c.thought.strip()]
    if c.reasoning:
        parts += [*(f"Turn {m.turn}: {_move(m)}" for m in c.reasoning.moves), _whole(c.reasoning)]
    return "\n\n".join(part for part in parts if part)


def _thoughts(c: Conversation) -> dict[int, str]:
    """Return what was thought before each reply.

    A choice of move stands before its own turn; what was made of the whole talk stands before the last reply, since an earlier one
    would know what is said later.
    """
    last = _last_reply(c.messages)
    found: dict[int, list[str]] = {}
    for move in c.reasoning.moves if c.reasoning else ():
        if move.turn < len(c.messages) and c.messages[move.turn].role == "assistant":
            found.setdefault(move.turn, []).append(_move(move))
    if last is not None:
        found.setdefault(last, []).extend(filter(None, (_whole(c.reasoning) if c.reasoning else "", c.thought.strip())))
    return {turn: "\n".join(parts).replace(_CLOSE, "< /think>") for turn, parts in found.items() if parts}


def _last_reply(messages: Sequence[Message]) -> int | None:
    return next((i for i in range(len(messages) - 1, -1, -1) if messages[i].role == "assistant"), None)


def _move(m: MoveChoice) -> str:
    options = f" Options: {', '.join(m.options)}." if m.options else ""
    return f"Heard: {_stopped(m.heard)}{options} Choice: {_stopped(m.move)} Why: {_stopped(m.why)}"


def _whole(r: Reasoning) -> str:
    lines = [f"Heard: {_stopped('; '.join(r.heard))}"] if r.heard else []
    for h in r.hypotheses:
        against = f"; against it: {', '.join(h.criteria_against)}" if h.criteria_against else ""
        speaks_for = f"; for it: {', '.join(h.criteria_for)}" if h.criteria_for else ""
        lines.append(_stopped(f"Hypothesis ({h.standing}): {h.condition}{speaks_for}{against}"))
    lines.append(f"Risk: {_stopped(r.risk)}")
    lines += [f"Not known: {_stopped('; '.join(r.unknown))}"] if r.unknown else []
    return "\n".join(lines)


def _stopped(text: str) -> str:
    """Return a text that ends as a sentence does."""
    return text if text.rstrip('”")').endswith((".", "!", "?", "…")) else f"{text}."
