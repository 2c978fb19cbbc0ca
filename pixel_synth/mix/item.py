"""What mixing and splitting know of a record: everything but its text, a few hundred bytes each, with the place of its line."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from pixel_synth.errors import RecordError
from pixel_synth.records import Conversation

_same = partial(map, sys.intern)


class Item(NamedTuple):
    """One record without its text.

    ``quality`` is the overall score (0-1), on the human scale where it has one, ``None`` when unscored; ``accepted`` the gate's verdict,
    ``None`` when it was not gated.  ``words`` counts all messages.  ``tokens`` is ``None`` unless a tokenizer counted them.
    ``start`` and ``size`` say where the line lies in its file, in bytes with the newline.
    """

    id: str
    category: str
    source: str
    license: str
    engine: str
    kind: str
    topic: str
    modality: str
    population: str
    difficulty: str
    risk: str
    language: str
    traits: tuple[str, ...]
    groups: tuple[str, ...]
    created: str
    quality: float | None
    complexity: float | None
    accepted: bool | None
    review: bool
    words: int
    tokens: int | None
    messages: int
    therapist: bool
    start: int
    size: int


def item(c: Conversation, start: int = 0, size: int = 0, tokens: int | None = None) -> Item:
    """Return what is known of a record; ``groups`` are those that it names itself (see `mix.groups` for the others)."""
    overall, complexity = c.score("overall"), c.score("complexity")
    quality = None if overall is None else overall.value if overall.calibrated is None else overall.calibrated
    p, labels = c.provenance, c.labels
    same = sys.intern
    return Item(
        c.id, same(c.category), same(p.source), same(p.license), same(p.engine), same(labels.kind), same(labels.topic),
        same(labels.modality), same(labels.population), same(labels.difficulty), same(labels.risk), same(labels.language),
        tuple(_same(labels.traits)), c.groups,
        same(p.created), quality, complexity.value if complexity else None, c.verdict.accepted if c.verdict else None,
        bool(c.verdict and c.verdict.review), sum(len(m.content.split()) for m in c.messages), tokens, len(c.messages),
        any(m.role == "assistant" for m in c.messages), start, size,
    )  # fmt: skip


def records(path: Path) -> Iterator[tuple[Conversation, int, int]]:
    """Yield each record of a JSONL file that must be whole, with the first byte of its line and its size.

    Raises:
        RecordError: At the first bad line, with file and line.
    """
    start = 0
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                try:
                    yield Conversation.model_validate_json(line), start, len(line)
                except ValidationError as error:
                    raise RecordError(f"{path}:{number}: {error.errors()[0]['msg']}", hint=f"pixel-synth check {path}") from error
            start += len(line)
