"""What is counted in a set while it is taken in, and the limits that raise an alert.

Points go to ``metrics.jsonl`` and alerts to ``alerts.jsonl`` of the cache, a line each, as they happen.
"""

from __future__ import annotations

import heapq
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from pixel_synth.draw import seed_of
from pixel_synth.records import Conversation
from pixel_synth.sources.receipt import Measured, Receipt
from pixel_synth.sources.source import Place, Source, Step
from pixel_synth.standardise.rows import Raw

EVERY = 2000  # rows between two points
SAMPLE = 200  # rows that are converted; a share is then within 7 points of the set's at 95% (1.96 x sqrt(.25 / 200))
COLUMNS = 100  # columns that are told apart


class Limits(NamedTuple):
    """Shares (0-1) above which an alert is raised.

    Both are choices, not measurements.  ``nulls`` is on columns that a record is made of: where one row in twenty lacks its question
    or its answer, the set is not what its file here says.  ``rejects`` is the share of a sample that cannot become a record: above one
    row in five, reading it as it is read here loses too much to go unnoticed.
    """

    nulls: float = 0.05
    rejects: float = 0.2


LIMITS = Limits()


class Alert(NamedTuple):
    """A limit that was breached."""

    set: str
    measure: str
    value: float
    limit: float

    def __str__(self) -> str:
        """Return the line for the screen."""
        return f"{self.set}: {self.measure} {self.value:.1%}, limit {self.limit:.0%}"


def append(path: Path, event: Mapping[str, Any]) -> None:
    """Add one event with its time (UTC, ISO 8601) to a JSONL file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    line = json.dumps({"time": datetime.now(UTC).isoformat(timespec="seconds"), **event}, ensure_ascii=False)
    with path.open("a", encoding="utf-8") as file:
        file.write(line + "\n")


def filled(value: Mapping[str, Any], column: str) -> bool:
    """Tell whether a row has something in a column; a dot reaches into an object."""
    found: Any = value
    for key in column.split("."):
        found = found.get(key) if isinstance(found, Mapping) else None
    return not (found is None or found == [] or (isinstance(found, str) and not found.strip()))


class Meter:
    """Counts the rows of one set as they pass, writes points and raises alerts."""

    def __init__(self, source: Source, cache: Path, limits: Limits, say: Callable[[Alert], None]) -> None:
        self._source, self._cache, self._limits, self._say = source, cache, limits, say
        self._rows = self._bad = 0
        self._filled: Counter[str] = Counter(dict.fromkeys({*source.columns.values(), *source.groups.values()}, 0))
        self._sample: list[tuple[int, int, Raw]] = []  # the largest hash in front
        self._raised: set[str] = set()
        self.alerts: list[Alert] = []

    def see(self, raw: Raw) -> None:
        """Count one row."""
        self._rows += 1
        key = -seed_of("measured", self._source.id, raw.file, raw.row)
        if len(self._sample) < SAMPLE:
            heapq.heappush(self._sample, (key, self._rows, raw))
        elif key > self._sample[0][0]:
            heapq.heapreplace(self._sample, (key, self._rows, raw))
        if raw.value is None:
            self._bad += 1
        else:
            for column in (*raw.value, *(c for c in self._source.columns.values() if "." in c)):
                if (column in self._filled or len(self._filled) < COLUMNS) and filled(raw.value, column):
                    self._filled[column] += 1
        if self._rows % EVERY == 0:
            self.point("reading")
            self._check_nulls()

    @property
    def nulls(self) -> dict[str, float]:
        """Share of the readable rows in which each column is missing, null or blank."""
        good = self._rows - self._bad
        return {c: round(1 - n / good, 4) for c, n in sorted(self._filled.items())} if good else {}

    def point(self, event: str, **more: Any) -> None:
        """Write how it stands to ``metrics.jsonl``."""
        point = {"set": self._source.id, "event": event, "rows": self._rows, "unreadable": self._bad, "nulls": self.nulls}
        append(self._cache / "metrics.jsonl", point | more)

    def finish(self, revision: str) -> Measured:
        """Convert the sample, and return everything that was counted."""
        self._check_nulls()
        became = list(self._source.convert((raw for _, _, raw in sorted(self._sample, key=lambda s: s[1])), revision))
        good = [c for c in became if isinstance(c, Conversation)]
        rejects = round(1 - len(good) / len(became), 4) if became else None
        if rejects is not None:
            self._alert("rejects in the sample", rejects, self._limits.rejects)
        quality = list(_quality(good))
        reason = "" if quality else "no rows" if not became else "no record of the sample is long enough to score"
        return Measured(
            rows=self._rows,
            unreadable=self._bad,
            nulls=self.nulls,
            sampled=len(self._sample),
            rejects=rejects,
            quality=round(sum(quality) / len(quality), 4) if quality else None,
            scored=len(quality),
            reason=reason,
        )

    def _check_nulls(self) -> None:
        needed = {*self._source.columns.values(), *self._source.groups.values()}
        for column, share in self.nulls.items():
            if column in needed:
                self._alert(f"nulls in column {column}", share, self._limits.nulls)

    def _alert(self, measure: str, value: float, limit: float) -> None:
        if value <= limit or measure in self._raised:
            return
        self._raised.add(measure)
        alert = Alert(self._source.id, measure, value, limit)
        self.alerts.append(alert)
        append(self._cache / "alerts.jsonl", alert._asdict())
        self._say(alert)


def _quality(records: list[Conversation]) -> Iterator[float]:
    from pixel_synth.scorers.language_quality import score

    yield from (value for c in records if (value := score(c, None).value) is not None)


def measure(
    source: Source,
    place: Place,
    receipt: Receipt,
    limits: Limits = LIMITS,
    say: Callable[[Alert], None] = lambda _: None,
    step: Step = lambda *_: None,
) -> tuple[Measured, list[Alert]]:
    """Read a set once and count.

    Args:
        source: The set, whose receipt has been written.
        place: Where sets lie.
        receipt: What was fetched.
        limits: Shares above which an alert is raised.
        say: Told each alert as it is raised.
        step: Told the rows so far, now and then.

    Returns:
        What was counted, and the alerts.

    Raises:
        SourceError: When a file of the set is gone.
    """
    meter = Meter(source, place.cache, limits, say)
    for number, raw in enumerate(source.read(place), 1):
        meter.see(raw)
        if number % EVERY == 0:
            step(source.id, number, 0)
    found = meter.finish(receipt.revision)
    meter.point(
        "measured", files=len(receipt.files), bytes=receipt.bytes, sampled=found.sampled, rejects=found.rejects,
        quality=found.quality, scored=found.scored, reason=found.reason,
    )  # fmt: skip
    return found, meter.alerts
