"""What is kept of a stage's quality: per score and slice a histogram and moments, and how many records each slice has.

All of it is counted in one pass; memory grows with the number of slices, not of records.  Scores are the raw ones (0-1): the calibrated
scale moves when a card is made anew, and that would look like drift.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from math import sqrt
from typing import Literal

from pydantic import Field

from pixel_synth.records import Conversation, Record, Unit

BINS = 200  # of the histograms, each 0.005 wide; the last holds 1.0 as well
VALUES = 200  # slices that are told apart in a dimension; records of further ones count as OTHER
OTHER = "(other)"
UNKNOWN = "(unknown)"
Dimension = Literal["all", "source", "category", "modality"]
DIMENSIONS: tuple[Dimension, ...] = ("source", "category", "modality")


class Line(Record):
    """One line of ``metrics.jsonl``: of which run, stage and window; ``window`` is 0 for a whole stage, the step in training."""

    at: str = Field(description="UTC time of measuring, ISO 8601")
    run: str
    stage: str
    window: int = Field(default=0, ge=0)
    dimension: Dimension


class Point(Line):
    """How one score is distributed in one slice; mean, sd (of the population) and percentiles are ``None`` when nothing was scored."""

    kind: Literal["score"] = "score"
    value: str = Field(description='which slice: "counsel_chat"; empty for all records')
    metric: str
    n: int = Field(ge=0, description="records with a value")
    unscored: int = Field(ge=0, description="records whose value could not be computed")
    mean: Unit | None
    sd: float | None
    p10: Unit | None = Field(description="tenth percentile, as the middle of its bin of 0.005")
    p50: Unit | None
    hist: dict[int, int] = Field(description=f"records per bin, bins 0-{BINS - 1}, empty ones left out")


class Shares(Line):
    """How many records each slice of a dimension has."""

    kind: Literal["shares"] = "shares"
    counts: dict[str, int]


class _Sum:
    """A running count of one score in one slice."""

    __slots__ = ("hist", "n", "squares", "total", "unscored")

    def __init__(self) -> None:
        self.n = self.unscored = 0
        self.total = self.squares = 0.0
        self.hist: Counter[int] = Counter()

    def add(self, value: float | None) -> None:
        if value is None:
            self.unscored += 1
            return
        self.n += 1
        self.total += value
        self.squares += value * value
        self.hist[min(int(value * BINS), BINS - 1)] += 1


class Tally:
    """Counts records; `lines` gives the points so far."""

    def __init__(self) -> None:
        self._sums: dict[tuple[Dimension, str, str], _Sum] = {}
        self._counts: dict[Dimension, Counter[str]] = {dimension: Counter() for dimension in DIMENSIONS}
        self.n = 0

    def add(self, scores: Mapping[str, float | None], slices: Mapping[Dimension, str]) -> None:
        """Count a record with its scores (0-1, ``None`` = unscored) and its value in each dimension."""
        self.n += 1
        where: list[tuple[Dimension, str]] = [("all", "")]
        for dimension, value in slices.items():
            counts = self._counts[dimension]
            name = value or UNKNOWN
            name = name if name in counts or len(counts) < VALUES else OTHER
            counts[name] += 1
            where.append((dimension, name))
        for metric, score in scores.items():
            for dimension, name in where:
                key = (dimension, name, metric)
                if key not in self._sums:
                    self._sums[key] = _Sum()
                self._sums[key].add(score)

    def lines(self, at: str, run: str, stage: str, window: int = 0) -> Iterator[Point | Shares]:
        """Yield a point per score and slice, and the shares of every dimension."""
        for (dimension, value, metric), s in sorted(self._sums.items()):
            mean = min(1.0, s.total / s.n) if s.n else None
            yield Point(
                at=at, run=run, stage=stage, window=window, dimension=dimension, value=value, metric=metric, n=s.n, unscored=s.unscored,
                mean=None if mean is None else round(mean, 6),
                sd=None if mean is None else round(sqrt(max(0.0, s.squares / s.n - mean * mean)), 6),
                p10=percentile(s.hist, 0.1), p50=percentile(s.hist, 0.5), hist=dict(sorted(s.hist.items())),
            )  # fmt: skip
        for dimension, counts in self._counts.items():
            if counts:
                yield Shares(at=at, run=run, stage=stage, window=window, dimension=dimension, counts=dict(sorted(counts.items())))


def percentile(hist: Mapping[int, int], share: float) -> float | None:
    """Return the middle of the bin in which a share (0-1) of the records is reached; ``None`` for an empty histogram."""
    left = share * sum(hist.values())
    for place in sorted(hist):
        left -= hist[place]
        if left <= 0:
            return round((place + 0.5) / BINS, 6)
    return None


def slices_of(conversation: Conversation) -> dict[Dimension, str]:
    """Return a record's value in each dimension."""
    labels, origin = conversation.labels, conversation.provenance
    return {"source": origin.source, "category": conversation.category, "modality": labels.modality}


def scores_of(conversation: Conversation) -> dict[str, float | None]:
    """Return a record's raw scores by metric."""
    return {score.metric: score.value for score in conversation.scores}
