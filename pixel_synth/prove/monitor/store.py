"""``metrics.jsonl`` of a run directory: the points of its stages and of the training on it, one line each, only ever appended to.

Other parts of the toolkit write lines of their own shape into files of that name; they are passed over.  A torn last line (a kill in the
middle of writing) is ignored, and the next line begins on a new one.  Where a stage was measured twice, the later lines count.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from pixel_synth.errors import RecordError
from pixel_synth.jsonl import conversations
from pixel_synth.prove.monitor.points import Point, Shares, Tally, scores_of, slices_of
from pixel_synth.records import Conversation, Record

METRICS = "metrics.jsonl"


class Window(NamedTuple):
    """The points of one stage of one run; ``window`` is the step in training, the number of the window in a file, else 0."""

    run: str
    stage: str
    window: int
    points: tuple[Point, ...]
    shares: tuple[Shares, ...]

    @property
    def name(self) -> str:
        """How the window is called in tables and alerts."""
        return f"{self.run}/{self.stage}" + (f"@{self.window}" if self.window else "")


def now() -> str:
    """Return the time in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def append(path: Path, lines: Iterable[Record]) -> None:
    """Append records in one write, beginning on a new line.

    Raises:
        RecordError: When the file cannot be written.
    """
    text = "".join(line.line() + "\n" for line in lines).encode()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab+") as file:
            if file.tell():
                file.seek(-1, os.SEEK_END)
                text = text if file.read(1) == b"\n" else b"\n" + text
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise RecordError(f"cannot write {path}: {error.strerror}") from error


def parse(line: bytes) -> Point | Shares | None:
    """Return a line as a point or shares; ``None`` for a torn line, or one that another part of the toolkit wrote.

    Raises:
        ValidationError: When it says that it is one of ours and is not.
    """
    try:
        data = json.loads(line)
    except ValueError:
        return None
    kind = data.get("kind") if isinstance(data, dict) else None
    if kind == "score":
        return Point.model_validate(data)
    return Shares.model_validate(data) if kind == "shares" else None


def read(path: Path) -> Iterator[Point | Shares]:
    """Yield the points and shares of a file in order; nothing when it is not there.

    Raises:
        RecordError: At a line that says it is a point and does not fit, with file and line.
    """
    if not path.is_file():
        return
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                found = parse(line)
            except ValidationError as error:
                raise RecordError(f"{path}:{number}: {error.errors()[0]['msg']}", hint="take the line out of the file") from error
            if found is not None:
                yield found


def windows(lines: Iterable[Point | Shares]) -> list[Window]:
    """Group lines into windows, in order of their first appearance; of lines for the same thing the last counts."""
    found: dict[tuple[str, str, int], dict[tuple[str, str, str], Point | Shares]] = {}
    for line in lines:
        what = (line.dimension, line.value, line.metric) if isinstance(line, Point) else (line.dimension, "", "")
        found.setdefault((line.run, line.stage, line.window), {})[what] = line
    return [
        Window(*key, tuple(x for x in held.values() if isinstance(x, Point)), tuple(x for x in held.values() if isinstance(x, Shares)))
        for key, held in found.items()
    ]


def record(run_dir: Path, stage: str, records: Iterable[Conversation], at: str = "") -> int:
    """Count the quality of a stage's records and append the points to ``metrics.jsonl``; returns how many records there were.

    Args:
        run_dir: The run directory; its name is the run's.
        stage: Name of the stage, as in ``stages/``.
        records: Its records, taken one by one.
        at: Time to write; now by default.
    """
    tally = Tally()
    for conversation in records:
        tally.add(scores_of(conversation), slices_of(conversation))
    append(run_dir / METRICS, tally.lines(at or now(), run_dir.name, stage))
    return tally.n


def measured(records: Iterable[Conversation], run: str, stage: str, size: int = 0) -> Iterator[Window]:
    """Yield windows of ``size`` records in order, numbered from 1; one window 0 of all when ``size`` is 0; nothing is written.

    Records at the end that do not fill a window make a shorter one.
    """
    tally, number = Tally(), min(size, 1)
    for conversation in records:
        tally.add(scores_of(conversation), slices_of(conversation))
        if tally.n == size:
            yield from windows(tally.lines(now(), run, stage, number))
            tally, number = Tally(), number + 1
    yield from windows(tally.lines(now(), run, stage, number))


def stages_of(run_dir: Path) -> list[tuple[str, Path]]:
    """Return the stages of a run directory and the files of their records: finished stages, else what the run wrote.

    Raises:
        RecordError: When there are none.
    """
    found = [(path.parent.name, path) for path in sorted(run_dir.glob("stages/*/kept.jsonl"))]
    found = found or [("data", path) for path in [run_dir / "data" / "conversations.jsonl"] if path.is_file()]
    found = found or [("data", path) for path in [run_dir / "kept.jsonl"] if path.is_file()]
    if not found:
        raise RecordError(f"{run_dir} has no points and no records to measure", hint="name a run directory or a JSONL file of records")
    return found


def load(path: Path, size: int = 0) -> list[Window]:
    """Return the windows of a run directory (its points, or measured now when it has none), or of a file of records or points.

    Args:
        path: Run directory, ``metrics.jsonl``, or JSONL file of records.
        size: Records per window; 0 takes each stage as one.

    Raises:
        RecordError: When there is nothing to read, or a line is broken.
    """
    if path.name == METRICS or (path.is_dir() and not size):
        found = windows(read(path / METRICS if path.is_dir() else path))
        if found or not path.is_dir():
            return found
    if path.is_dir():
        stages = stages_of(path)
        return [w for stage, file in (stages[-1:] if size else stages) for w in measured(conversations(file), path.name, stage, size)]
    return list(measured(conversations(path), path.stem, "file", size))
