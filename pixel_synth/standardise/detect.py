"""Tell which shape rows have by trying all of them on a sample."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple, TypeVar

from pixel_synth.books import Dropped
from pixel_synth.records import Conversation
from pixel_synth.standardise.convert import SAYS, Converter
from pixel_synth.standardise.rows import Raw, Unparsed
from pixel_synth.standardise.shapes import SHAPES
from pixel_synth.standardise.spec import Spec

HEAD_ROWS = 1000  # rows from which the sample is taken, evenly spread
HEAD_CHARS = 2**25  # and how much text it may hold, roughly
SAMPLE_ROWS = 200
LEAST_SHARE = 0.5  # of the sample must fit, else the shape counts as unknown: most rows would be rejected
SHOWN_KEYS = 12

R = TypeVar("R", Raw, Unparsed, Raw | Unparsed)


class Detection(NamedTuple):
    """Which shape a file has.

    ``fits`` and ``converts`` are shares of the sample, 0-1: rows that have the shape, and rows of which a record can be made.
    ``shape`` is empty when none fits; ``why`` then names the keys that are there.
    """

    shape: str
    sampled: int
    fits: float | None = None
    converts: float | None = None
    runner_up: str = ""
    runner_up_fits: float | None = None
    why: str = ""

    def __str__(self) -> str:
        """Return the detection in one line."""
        if not self.shape:
            return f"unknown shape ({self.why})"
        if self.fits is None or self.converts is None:
            return f"{self.shape} (as asked)"
        after = f", then {self.runner_up} {self.runner_up_fits:.0%}" if self.runner_up_fits else ""
        return f"{self.shape} (fits {self.fits:.0%} of {self.sampled} sampled rows, {self.converts:.0%} convert{after})"


def head_of(rows: Iterator[R]) -> list[R]:
    """Take the rows from a stream by which its shape is told."""
    head, held = [], 0
    for row in rows:
        head.append(row)
        held += weight(row)
        if len(head) >= HEAD_ROWS or held >= HEAD_CHARS:
            break
    return head


def weight(row: Raw | Unparsed) -> int:
    """Return roughly how many characters a row holds."""
    if isinstance(row, Unparsed):
        return len(row.data)
    return 100 + sum(len(v) if isinstance(v, str) else 1000 for v in (row.value or {}).values())


def sample(head: Sequence[Raw]) -> list[Raw]:
    """Return up to 200 readable rows, evenly spread over the head."""
    good = [raw for raw in head if raw.value is not None]
    step = max(1, -(-len(good) // SAMPLE_ROWS))
    return good[::step]


def detect(head: Sequence[Raw], spec: Spec) -> Detection:
    """Return the shape of the rows: of those that fit at least half of the sample, the one that asks most of a row."""
    rows = sample(head)
    if spec.shape:
        return Detection(spec.shape, len(rows))
    if not rows:
        return Detection("", 0, why="no readable row")
    shares = {}
    for shape in SHAPES:
        columns = {k: v for k, v in spec.columns.items() if k in SHAPES[shape].COLUMNS}
        if len(columns) < len(spec.columns):
            continue  # the columns that were given belong to another shape
        converter = Converter(_any(spec, shape), shape)
        shares[shape] = sum(converter.fits(raw.value) for raw in rows if raw.value is not None) / len(rows)
    likely = [shape for shape, share in shares.items() if share >= LEAST_SHARE]
    if not likely:
        return Detection("", len(rows), why=unknown(rows, spec))
    shape, others = likely[0], {s: v for s, v in shares.items() if s != likely[0] and v}
    second = max(others, key=lambda s: others[s], default="")
    converter = Converter(_any(spec, shape), shape)
    converts = sum(isinstance(converter(raw), Conversation) for raw in rows) / len(rows)
    return Detection(shape, len(rows), shares[shape], converts, second, others.get(second))


def _any(spec: Spec, shape: str) -> Spec:
    """Return the spec with a category, so that the shape can be found before anybody says which."""
    known = spec.category or SAYS.get(shape) or shape == "records"
    return spec if known else spec.model_copy(update={"category": "mental_health"})


def unknown(rows: Sequence[Raw], spec: Spec) -> str:
    """Say which keys the rows have, with their types, and what comes closest."""
    types: dict[str, Counter[str]] = {}
    for raw in rows:
        for key, value in (raw.value or {}).items():
            types.setdefault(key, Counter())[type(value).__name__] += 1
    shown = [f"{key} ({'/'.join(sorted(found))})" for key, found in list(types.items())[:SHOWN_KEYS]]
    more = f" and {len(types) - SHOWN_KEYS} more" if len(types) > SHOWN_KEYS else ""
    texts = [
        (sum(len(v) for raw in rows if isinstance(v := (raw.value or {}).get(key), str)) / len(rows), key)
        for key, found in types.items()
        if set(found) <= {"str", "NoneType"}
    ]
    longest = [key for length, key in sorted(texts, reverse=True)[:2] if length > 20]
    if len(longest) == 2:
        fit = f"to read it all the same: --shape prompt_response --column prompt={longest[0]} --column response={longest[1]}"
    else:
        fit = "no two columns of text: nothing is said here that could become a talk"
    return f"keys: {', '.join(shown)}{more}; {fit}"


def reject_reason(found: Detection) -> Dropped:
    """Return why the rows of an unknown shape are rejected."""
    return Dropped(f"unknown shape: {found.why}")
