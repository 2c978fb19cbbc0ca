"""The quality of the records that a training run consumes: a compact table of their scores, and windows against the whole.

The table holds 24 bytes of ids, 4 per score and 2 per slice for each record: 7 MB for 100,000 records with nine scores.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pixel_synth.errors import RecordError, UsageError
from pixel_synth.jsonl import conversations
from pixel_synth.prove.monitor.points import DIMENSIONS, OTHER, VALUES, Tally, scores_of, slices_of
from pixel_synth.prove.monitor.store import Window, now, windows
from pixel_synth.records import Conversation

if TYPE_CHECKING:
    from numpy.typing import NDArray

ABSENT = 0  # stands for "no record" where a batch is filled up; `key_of` never gives it
GROW = 4096


def key_of(record_id: str) -> int:
    """Return a number in 1..2^63-1 for an id, which fits into an integer tensor."""
    return int.from_bytes(hashlib.blake2b(record_id.encode(), digest_size=8).digest(), "big") % (2**63 - 1) + 1


class ScoreTable:
    """Scores and slices of every record of a dataset, by id or by row.

    Args:
        records: The dataset's training records in their order.
        name: How the dataset is called.

    Raises:
        RecordError: When two ids are the same.
    """

    def __init__(self, records: Iterable[Conversation], name: str) -> None:
        self.name = name
        self._metrics: dict[str, int] = {}
        self._values: tuple[dict[str, int], ...] = tuple({} for _ in DIMENSIONS)
        keys: list[NDArray[np.int64]] = []
        blocks: list[NDArray[np.float32]] = []
        slices: list[NDArray[np.int16]] = []
        for some in _blocks(records):
            keys.append(np.array([key_of(c.id) for c in some], np.int64))
            scores = [scores_of(c) for c in some]
            for metric in dict.fromkeys(m for row in scores for m in row):
                self._metrics.setdefault(metric, len(self._metrics))
            # A score that was not run is -2, one that could not be computed -1.
            blocks.append(np.array([[_held(row, m) for m in self._metrics] for row in scores], np.float32))
            slices.append(np.array([[self._code(i, c) for i in range(len(DIMENSIONS))] for c in some], np.int16))
        self.rows = np.concatenate(keys) if keys else np.empty(0, np.int64)
        width = len(self._metrics)
        wide = [np.pad(b, ((0, 0), (0, width - b.shape[1])), constant_values=-2) for b in blocks]
        self._scores = np.concatenate(wide) if wide else np.empty((0, 0), np.float32)
        self._slices = np.concatenate(slices) if slices else np.empty((0, len(DIMENSIONS)), np.int16)
        self._order = np.argsort(self.rows, kind="stable")
        self._sorted = self.rows[self._order]
        if len(self.rows) and (self._sorted[1:] == self._sorted[:-1]).any():
            raise RecordError(f"{name}: two records have the same id", hint="pixel-synth dedup finds them")
        self._names = tuple(list(values) for values in self._values)

    def _code(self, dimension: int, record: Conversation) -> int:
        values = self._values[dimension]
        name = slices_of(record)[DIMENSIONS[dimension]]
        name = name if name in values or len(values) < VALUES else OTHER
        return values.setdefault(name, len(values))

    def __len__(self) -> int:
        """How many records it holds."""
        return len(self.rows)

    @property
    def metrics(self) -> tuple[str, ...]:
        """The scores that some record has."""
        return tuple(self._metrics)

    def find(self, keys: Sequence[int] | NDArray[np.int64]) -> tuple[NDArray[np.int64], int]:
        """Return the rows of those keys that are known (see `key_of`), and how many are not; `ABSENT` is passed over."""
        wanted = np.asarray(keys, np.int64)
        wanted = wanted[wanted != ABSENT]
        if not len(self.rows):
            return np.empty(0, np.int64), len(wanted)
        places = np.minimum(np.searchsorted(self._sorted, wanted), len(self.rows) - 1)
        hit = self._sorted[places] == wanted
        return self._order[places[hit]], int((~hit).sum())

    def window(self, rows: NDArray[np.int64], run: str, stage: str, number: int) -> Window:
        """Return the points of some rows."""
        tally = Tally()
        for row in rows.tolist():
            scores = self._scores[row].tolist()
            held = {m: (None if scores[i] == -1 else scores[i]) for m, i in self._metrics.items() if scores[i] != -2}
            codes = self._slices[row].tolist()
            tally.add(held, {d: self._names[i][codes[i]] for i, d in enumerate(DIMENSIONS)})
        (found,) = windows(tally.lines(now(), run, stage, number)) or [Window(run, stage, number, (), ())]
        return found

    def whole(self) -> Window:
        """Return the points of all records: what a training run is compared with."""
        return self.window(np.arange(len(self)), self.name, "whole", 0)


def _held(row: dict[str, float | None], metric: str) -> float:
    if metric not in row:
        return -2.0
    value = row[metric]
    return -1.0 if value is None else value


def _blocks(records: Iterable[Conversation]) -> Iterable[list[Conversation]]:
    some: list[Conversation] = []
    for record in records:
        some.append(record)
        if len(some) == GROW:
            yield some
            some = []
    if some:
        yield some


def load_table(path: Path) -> ScoreTable:
    """Return the table of a run directory's training split, or of a JSONL file of records.

    Raises:
        UsageError: When there is no such file.
        RecordError: At the first bad line.
    """
    files = [path / "data" / name for name in ("train.jsonl", "conversations.jsonl")] if path.is_dir() else [path]
    file = next((f for f in files if f.is_file()), None)
    if file is None:
        raise UsageError(f"{path} has no data/train.jsonl", hint="name the run directory of a dataset, or a JSONL file of records")
    return ScoreTable(conversations(file), path.name if path.is_dir() else path.stem)
