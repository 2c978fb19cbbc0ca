"""What is kept of every record to find slices that are worse than the rest: its place, its slice in each dimension, and what failed.

About 60 bytes a record; no text.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterator, Mapping, Sequence

from pixel_synth.curate.gate import Gate, applies
from pixel_synth.prove.rules.quality import reached, scored
from pixel_synth.prove.rules.rule import Place
from pixel_synth.records import Conversation

DIMENSIONS = ("source", "category", "kind", "modality", "topic", "length")
# Upper ends of the bands of length, in words of all turns: a line, an answer, a long answer, a short session.  Ours.
BANDS = ((50, "under 50 words"), (150, "50-149 words"), (400, "150-399 words"), (1000, "400-999 words"))
LONGEST = "1000 words and more"
GATE = "gate"  # the outcome "the gate rejected it"; the other outcomes are metrics
_PARTS = re.compile(r"\(([\w.]+) ")


class Codes:
    """Numbers for names, in the order of their first appearance; 0 is the empty name."""

    def __init__(self) -> None:
        self.names = [""]
        self._of = {"": 0}

    def __call__(self, name: str) -> int:
        """Return the number of a name."""
        code = self._of.setdefault(name, len(self.names))
        if code == len(self.names):
            self.names.append(name)
        return code


class Slices:
    """Records by slice and outcome.

    Args:
        names: The dimensions in which slices are looked for, of `DIMENSIONS` in their order.

    Attributes ``dimensions[name]`` hold the code of each record's value, ``failed[outcome]`` 1 (failed), 0 (did not) or -1 (not measured),
    ``why[outcome]`` the code of the reason; ``files`` and ``lines`` say where a record stands.
    """

    def __init__(self, names: Sequence[str] = DIMENSIONS) -> None:
        self.names = tuple(names)  # dimensions in which slices are looked for
        self.codes = {name: Codes() for name in (*DIMENSIONS, "file", "why")}
        self.dimensions = {name: array("i") for name in DIMENSIONS}
        self.files, self.lines = array("i"), array("i")
        self.failed: dict[str, array[int]] = {}
        self.why: dict[str, array[int]] = {}

    def __len__(self) -> int:
        return len(self.files)

    def add(self, c: Conversation, at: Place, outcomes: Mapping[str, tuple[bool, str]]) -> None:
        """Keep a record; ``outcomes`` says for each that was measured whether it failed, and why."""
        for name, value in zip(DIMENSIONS, _values(c), strict=True):
            self.dimensions[name].append(self.codes[name](value))
        for outcome in outcomes.keys() - self.failed.keys():
            self.failed[outcome], self.why[outcome] = array("b", [-1] * len(self)), array("i", [0] * len(self))
        for outcome, column in self.failed.items():
            bad, why = outcomes.get(outcome, (None, ""))
            column.append(-1 if bad is None else int(bad))
            self.why[outcome].append(self.codes["why"](why))
        self.files.append(self.codes["file"](at.file))
        self.lines.append(at.line)

    def place(self, index: int) -> str:
        """Return where a record stands, as file:line."""
        return f"{self.codes['file'].names[self.files[index]]}:{self.lines[index]}"


def _values(c: Conversation) -> Iterator[str]:
    words = sum(len(m.content.split()) for m in c.messages)
    yield from (c.provenance.source, c.category, c.labels.kind, c.labels.modality, c.labels.topic)
    yield next((name for end, name in BANDS if words < end), LONGEST)


def outcomes(c: Conversation, at: Place, gate: Gate) -> dict[str, tuple[bool, str]]:
    """Return for each threshold whether a record is below it, with its weakest part; refused thresholds are looked at as well."""
    found: dict[str, tuple[bool, str]] = {}
    for limit in gate.limits if scored(c, at) else ():
        value = reached(limit, c) if applies(limit.metric, c) else None
        score = c.score(limit.metric)
        if value is not None and score is not None:
            parts = sorted((p.value, p.name) for p in score.parts if p.value is not None and p.value < limit.least)
            found[limit.metric] = value < limit.least, (parts[0][1] if parts and value < limit.least else "")
    return found


def kind_of_reason(reason: str) -> str:
    """Return the kind of a rejection without its numbers: ``coherence: 0.5 < 0.9 (order 0.5)`` is ``coherence: order``."""
    first = reason.split("; ")[0]
    head, _, rest = first.partition(": ")
    if part := _PARTS.search(rest):
        return f"{head}: {part[1]}"
    return head if re.search(r"\d", rest) or not rest else f"{head}: {rest}"
