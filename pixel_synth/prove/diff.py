"""What changed between two versions of a dataset: records, splits, scores, and what it is made of.

Both are streamed.  Of the first, an id, a hash, a place and the scores of each record are kept (some 300 bytes); text is read again
only of records whose line differs.
"""

from __future__ import annotations

import hashlib
from array import array
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any, NamedTuple

from pydantic_core import from_json

from pixel_synth.errors import RecordError
from pixel_synth.prove.shift import Measure, Shift
from pixel_synth.publish.hub_plan import goes

PACKED = (".jsonl.gz", ".jsonl.zst")
NESTED = ("labels", "provenance", "verdict")  # told apart by their keys
DIMENSIONS: dict[str, Callable[[dict[str, Any]], str]] = {
    "category": lambda r: str(r.get("category") or ""),
    "source": lambda r: str(_part(r, "provenance").get("source") or ""),
    "license": lambda r: str(_part(r, "provenance").get("license") or ""),
    "engine": lambda r: str(_part(r, "provenance").get("engine") or ""),
    "kind": lambda r: str(_part(r, "labels").get("kind") or ""),
    "language": lambda r: str(_part(r, "labels").get("language") or ""),
}
Progress = Callable[[int, int], None]


class Line(NamedTuple):
    """One record: its parsed line, the hash of its bytes, its file and number, where it begins and how long it is."""

    record: dict[str, Any]
    digest: bytes
    file: Path
    number: int
    start: int
    size: int


class Change(NamedTuple):
    """A record that is in both with other content; ``fields`` as in ``labels.topic``, ``scores.coherence``, ``messages``."""

    id: str
    fields: tuple[str, ...]
    a: tuple[Path, int, int]
    b: tuple[Path, int, int]


class Share(NamedTuple):
    """How many records of each version have a value of a dimension."""

    dimension: str
    value: str
    a: int
    b: int


class Diff(NamedTuple):
    """Everything that differs.  ``moved`` holds (id, split before, split after); ``fields`` counts changed records by field."""

    a: Path
    b: Path
    a_records: int
    b_records: int
    same: int
    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[Change, ...]
    moved: tuple[tuple[str, str, str], ...]
    fields: dict[str, int]
    shifts: tuple[Shift, ...]
    shares: tuple[Share, ...]

    @property
    def equal(self) -> bool:
        """Whether both hold the same records in the same splits."""
        return not (self.added or self.removed or self.changed or self.moved)


def files_of(path: Path) -> list[Path]:
    """Return the files of records of a run, a folder or a file: JSONL right below ``data/``, or below the folder.

    Raises:
        RecordError: When there is none, or one is packed.
    """
    if path.is_file():
        found = [path]
    else:
        folder, run = (path / "data", True) if (path / "data").is_dir() else (path, False)
        listed = sorted(p for p in folder.glob("*") if p.is_file() and goes(f"data/{p.name}" if run else p.name, run))
        found = [p for p in listed if p.name.endswith((".jsonl", *PACKED))]
    if not found:
        raise RecordError(f"{path}: no JSONL files of records", hint="a run directory, a folder of JSONL files, or a file")
    if packed := [p for p in found if p.name.endswith(PACKED)]:
        raise RecordError(f"{packed[0]} is packed, and records are read from their place in the file", hint="unpack it first")
    return found


def lines_of(path: Path) -> Iterator[Line]:
    """Yield every record of a file.

    Raises:
        RecordError: For a line that is no record, with file and number.
    """
    start = 0
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if body := line.rstrip(b"\r\n"):
                try:
                    record = from_json(body)
                except ValueError as error:
                    raise RecordError(f"{path}:{number}: {error}", hint=f"pixel-synth check {path}") from error
                if not isinstance(record, dict) or not isinstance(record.get("id"), str):
                    raise RecordError(f"{path}:{number}: no record: it has no id", hint=f"pixel-synth check {path}")
                yield Line(record, hashlib.blake2b(body, digest_size=16).digest(), path, number, start, len(line))
            start += len(line)


class _Side:
    """What is kept of the first version."""

    def __init__(self) -> None:
        self.place: dict[str, int] = {}
        self.digests, self.files = bytearray(), list[Path]()
        self.file, self.start, self.size = array("H"), array("Q"), array("Q")

    def add(self, line: Line) -> int:
        place = self.place.setdefault(line.record["id"], len(self.file))
        if place != len(self.file):
            raise _twice(line, self.files[self.file[place]])
        if not self.files or self.files[-1] != line.file:
            self.files.append(line.file)
        self.digests += line.digest
        self.file.append(len(self.files) - 1)
        self.start.append(line.start)
        self.size.append(line.size)
        return place

    def digest(self, place: int) -> bytes:
        return bytes(self.digests[16 * place : 16 * place + 16])

    def spot(self, place: int) -> tuple[Path, int, int]:
        return self.files[self.file[place]], self.start[place], self.size[place]


class _Sums:
    """Scores and shares of both versions."""

    def __init__(self) -> None:
        self.measures: dict[str, Measure] = {}
        self.counts: tuple[Counter[tuple[str, str]], Counter[tuple[str, str]]] = (Counter(), Counter())

    def take(self, line: Line, first: bool, place: int | None) -> None:
        for name, value in values_of(line.record):
            measure = self.measures.setdefault(name, Measure())
            if first:
                measure.first(place or 0, value)
            else:
                measure.second(place, value)
        counts = self.counts[not first]
        counts["split", line.file.stem] += 1
        for name, of in DIMENSIONS.items():
            counts[name, of(line.record)] += 1

    def shares(self) -> Iterator[Share]:
        a, b = self.counts
        order = ["split", *DIMENSIONS]
        for name, value in sorted(a.keys() | b.keys(), key=lambda key: (order.index(key[0]), -a[key] - b[key], key[1])):
            yield Share(name, value, a[name, value], b[name, value])


def values_of(record: dict[str, Any]) -> Iterator[tuple[str, float]]:
    """Yield the scores that a record has, and its words and messages."""
    for score in record.get("scores") or ():
        if score.get("value") is not None:
            yield f"scores.{score['metric']}", float(score["value"])
    messages = record.get("messages") or ()
    yield "words", float(sum(len(str(m.get("content", "")).split()) for m in messages))
    yield "messages", float(len(messages))


def diff(a: Path, b: Path, progress: Progress = lambda done, total: None) -> Diff:
    """Compare two versions.

    Args:
        a: The first: a run, a folder of JSONL files, or a file.
        b: The second.
        progress: Told the bytes read and all bytes.

    Raises:
        RecordError: When one has no records, a line is none, or an id occurs twice in one of them.
    """
    first, second = files_of(a), files_of(b)
    total, done, old, sums = sum(p.stat().st_size for p in (*first, *second)), 0, _Side(), _Sums()
    splits = a.is_dir() or b.is_dir()  # the names of two single files say nothing
    for path in first:
        for line in lines_of(path):
            sums.take(line, True, old.add(line))
            progress(done := done + line.size, total)
    seen, added, differ, moved = bytearray(len(old.file)), dict[str, None](), list[tuple[str, int, tuple[Path, int, int]]](), []
    for path in second:
        for line in lines_of(path):
            id, place = line.record["id"], old.place.get(line.record["id"])
            if id in added or (place is not None and seen[place]):
                raise _twice(line, b)
            sums.take(line, False, place)
            progress(done := done + line.size, total)
            if place is None:
                added[id] = None
                continue
            seen[place] = 1
            if old.digest(place) != line.digest:
                differ.append((id, place, (line.file, line.start, line.size)))
            if splits and (before := old.spot(place)[0].stem) != path.stem:
                moved.append((id, before, path.stem))
    with Reader() as reader:
        pairs = ((id, old.spot(place), now) for id, place, now in differ)
        every = (Change(id, changed_fields(reader(was), reader(now)), was, now) for id, was, now in pairs)
        changed = tuple(c for c in every if c.fields)
    removed = tuple(id for id, place in old.place.items() if not seen[place])
    fields = Counter(f for c in changed for f in c.fields)
    shifts = tuple(sums.measures[name].shift(name) for name in sorted(sums.measures))
    same = len(old.file) - len(removed) - len(changed)
    return Diff(
        a, b, len(old.file), len(added) + sum(seen), same, tuple(added), removed, changed, tuple(moved), dict(fields.most_common()), shifts,
        tuple(sums.shares()),
    )  # fmt: skip


class Reader:
    """Reads records again from their place."""

    def __init__(self) -> None:
        self._stack, self._files = ExitStack(), dict[Path, IO[bytes]]()

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def __call__(self, spot: tuple[Path, int, int]) -> dict[str, Any]:
        """Return the record that lies there."""
        path, start, size = spot
        if path not in self._files:
            self._files[path] = self._stack.enter_context(path.open("rb"))
        self._files[path].seek(start)
        record: dict[str, Any] = from_json(self._files[path].read(size))
        return record


def flat(record: dict[str, Any]) -> dict[str, Any]:
    """Return a record with labels, provenance, verdict and scores told apart by their keys; empty values are left out."""
    found: dict[str, Any] = {}
    for key, value in record.items():
        if key in NESTED and isinstance(value, dict):
            found |= {f"{key}.{inner}": v for inner, v in value.items()}
        elif key == "scores":
            found |= {f"scores.{s['metric']}": s for s in value or ()}
        else:
            found[key] = value
    return {key: value for key, value in found.items() if value not in (None, "", [], {})}


def changed_fields(a: dict[str, Any], b: dict[str, Any]) -> tuple[str, ...]:
    """Return the fields in which two records differ; a missing one is as an empty one, as in an older schema."""
    one, two = flat(a), flat(b)
    return tuple(sorted(key for key in one.keys() | two.keys() if one.get(key) != two.get(key)))


def _part(record: dict[str, Any], key: str) -> dict[str, Any]:
    found = record.get(key)
    return found if isinstance(found, dict) else {}


def _twice(line: Line, other: Path) -> RecordError:
    return RecordError(
        f"{line.file}:{line.number}: record {line.record['id']} was there before, in {other}", hint="pixel-synth dedup takes duplicates out"
    )
