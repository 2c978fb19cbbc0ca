"""The order of a training split: from simple to complex, or shuffled.

A curriculum shows simple examples first (Bengio, Y., Louradour, J., Collobert, R. & Weston, J., 2009, Curriculum learning, ICML, 41-48).
What counts as simple is the complexity score, a description of length, vocabulary, themes, risk and resistance, not a measure of how hard
a record is for a model.  Whether the order helps depends on model and task; later work found small or no gains in ordinary training
(Wu, X., Dyer, E. & Neyshabur, B., 2021, When do curricula work?, ICLR).  A trainer that shuffles undoes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple, Protocol, TypeVar

import numpy as np
from pydantic import Field, ValidationError

from pixel_synth.calibrate.coefficients import spearman
from pixel_synth.draw import seed_of
from pixel_synth.errors import RecordError
from pixel_synth.jsonl import whole
from pixel_synth.records import Conversation, Record, Unit

Strategy = Literal["shuffled", "curriculum"]
TENTHS = 10


class Ranked(Protocol):
    """Anything with an id and a complexity (0-1, ``None`` when unscored), such as `pixel_synth.mix.item.Item`."""

    @property
    def id(self) -> str:
        """Id of the record."""

    @property
    def complexity(self) -> float | None:
        """Complexity of the record."""


R = TypeVar("R", bound=Ranked)


class Rise(Record):
    """How complexity rises over a file.

    ``spearman`` is the rank correlation of position and complexity among the scored ones; ``tenths`` are their mean complexities per
    tenth of the file.  Both are ``None`` or empty where ``reason`` says why.
    """

    scored: int = Field(ge=0)
    unscored: int = Field(ge=0)
    spearman: float | None = None
    tenths: tuple[Unit, ...] = ()
    reason: str = ""


def order(items: Sequence[R], strategy: Strategy, seed: int) -> list[R]:
    """Return the items in order; the same whatever order they came in.

    "curriculum" puts the simple ones first, ties in a drawn order, and unscored ones at the end; "shuffled" draws the whole order.

    Args:
        items: What is to be ordered, with distinct ids.
        strategy: "shuffled" or "curriculum".
        seed: Seed of the draw, 0 or more.
    """
    drawn = {item.id: seed_of(seed, "order", item.id) for item in items}
    if strategy == "shuffled":
        return sorted(items, key=lambda i: (drawn[i.id], i.id))
    return sorted(items, key=lambda i: (i.complexity is None, i.complexity or 0.0, drawn[i.id], i.id))


def rise(items: Sequence[Ranked]) -> Rise:
    """Return how complexity rises over items in their order."""
    values = [i.complexity for i in items if i.complexity is not None]
    missing = len(items) - len(values)
    if len(values) < TENTHS:
        return Rise(scored=len(values), unscored=missing, reason=f"needs {TENTHS} scored records")
    places = np.arange(len(values), dtype=float)
    rank = float(spearman(places, np.asarray(values, dtype=float)))
    means = tuple(round(float(part.mean()), 4) for part in np.array_split(np.asarray(values), TENTHS))
    if np.isnan(rank):
        return Rise(scored=len(values), unscored=missing, tenths=means, reason="all have the same complexity")
    return Rise(scored=len(values), unscored=missing, spearman=round(rank, 4), tenths=means)


class _Line(NamedTuple):
    """A record's line in a file, with what it is ordered by."""

    id: str
    complexity: float | None
    start: int
    size: int


def _lines(path: Path) -> list[_Line]:
    found, start = [], 0
    try:
        file = path.open("rb")
    except OSError as error:
        raise RecordError(f"cannot read {path}: {error.strerror}") from error
    with file:
        for number, line in enumerate(file, 1):
            if line.strip():
                try:
                    c = Conversation.model_validate_json(line)
                except ValidationError as error:
                    raise RecordError(f"{path}:{number}: {error.errors()[0]['msg']}", hint=f"pixel-synth check {path}") from error
                score = c.score("complexity")
                found.append(_Line(c.id, score.value if score else None, start, len(line)))
            start += len(line)
    return found


def order_file(path: Path, out: Path | None, strategy: Strategy, seed: int) -> Rise:
    """Write the lines of a file in order, unchanged, and return how complexity rises over them; some 200 bytes a record are kept.

    Args:
        path: JSONL file of records.
        out: Where to write; ``None`` only looks.
        strategy: "shuffled" or "curriculum".
        seed: Seed of the draw, 0 or more.

    Raises:
        RecordError: At the first bad line, with file and line.
    """
    ordered = order(_lines(path), strategy, seed)
    if out:
        with path.open("rb") as file, whole(out) as written:
            for line in ordered:
                file.seek(line.start)
                written.write(file.read(line.size).decode().rstrip("\n") + "\n")
    return rise(ordered)
