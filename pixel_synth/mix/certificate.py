"""The certificate of a split: what was checked on the written files, how, and what was found.

Nothing is taken from the plan of the split.  The files are read again, whoever wrote them; groups are derived anew from every record, texts
are compared anew.  It passes when no id, no text, no group and no pair of near-duplicates is in two splits.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from itertools import combinations, islice
from pathlib import Path
from typing import NamedTuple

from pydantic import Field

from pixel_synth.curate.dedup.sketch import parts
from pixel_synth.errors import UsageError
from pixel_synth.jsonl import conversations, sha256_of
from pixel_synth.mix.groups import RECORD, groups, kind_of
from pixel_synth.mix.overlap import CONTAINED, LEAST, NAMED, Index, Pair
from pixel_synth.records import Conversation, Record, Unit

# Jaccard similarity of five-word shingles from which two records are one family.  De-duplication drops from 0.8 on and lists what is left
# from 0.5 on as families; a split is held to the same line.
ALIKE = 0.5
BATCH = 256
BASE = "train"
HOW = {
    "ids": "ids of all records",
    "texts": "all words of all turns, whatever their case, punctuation and accents' spelling; the system prompt left out",
    "links": "links that say two records are of one thing",
    "near_duplicates": "the pairs that de-duplication listed",
    "similarity": "the Jaccard similarity of five-word shingles of all records of different splits; an exact search, none missed",
    "containment": f"of the same pairs: {CONTAINED:.0%} of the smaller record's shingles stand in the other, from {LEAST} shingles on",
}


class File(Record):
    """A file that was read."""

    name: str
    records: int
    bytes: int
    sha256: str


class Check(Record):
    """One thing that was looked for: ``found`` of ``of`` cross, ``named`` are the first of them."""

    name: str
    how: str
    of: int = Field(description="groups of two and more records, pairs, or records: what could have crossed")
    found: int
    passed: bool
    let_go: int = Field(default=0, description="groups that cross, but were let go of when the split was made: no finding")
    named: tuple[str, ...] = ()


class Likeness(Record):
    """The most alike pair of records of different splits."""

    similarity: Unit
    a: str
    a_split: str
    b: str
    b_split: str


class Contamination(Record):
    """How much of one split's wording train has: told, not judged, since stock phrases count as well."""

    split: str
    records: int = Field(description="records that hold a run of 13 words which train has too")
    of_records: int
    runs: int = Field(description="distinct runs of 13 words that train has too")
    of_runs: int


class Certificate(Record):
    """What was checked, how, and what was found."""

    passed: bool
    limit: Unit
    files: dict[str, File]
    checks: tuple[Check, ...]
    highest: Likeness | None = Field(description="None when no two records of different splits share five words in a row")
    contamination: tuple[Contamination, ...]

    @property
    def failing(self) -> tuple[Check, ...]:
        """The checks that were not passed."""
        return tuple(c for c in self.checks if not c.passed)


class _Shared:
    """Ids and groups of all records, each with the splits it was met in."""

    def __init__(self, names: Collection[str]) -> None:
        self.names = tuple(names)
        self.met: dict[str, int] = {}  # group -> how many records << 8 | bits of its splits
        self.where: dict[str, int] = {}  # id -> bits of its splits
        self.links: list[tuple[str, str]] = []

    def note(self, c: Conversation, split: str) -> None:
        bit = 1 << self.names.index(split)
        self.where[c.id] = self.where.get(c.id, 0) | bit
        for group in groups(c):
            if group.startswith(RECORD):
                self.links.append((c.id, group[len(RECORD) :]))
            else:
                self.met[group] = (self.met.get(group, 0) + (1 << 8)) | bit

    def crossing(self, bits: int) -> bool:
        return bits & (bits - 1) & 0xFF != 0

    def pairs(self, found: Iterable[tuple[str, str]]) -> tuple[int, list[tuple[str, str]]]:
        """Return how many pairs have both records here, and those whose records are in different splits."""
        here = [(a, b) for a, b in found if a in self.where and b in self.where]
        return len(here), [(a, b) for a, b in here if self.crossing(self.where[a] | self.where[b])]

    def splits(self, id: str) -> str:
        return "+".join(name for i, name in enumerate(self.names) if self.where[id] >> i & 1)


class Examined(NamedTuple):
    """A certificate, and all pairs of ids that the search found too alike or one within the other (it names the first)."""

    certificate: Certificate
    alike: tuple[tuple[str, str], ...]


def certify(
    files: Mapping[str, Path],
    *,
    pairs: Iterable[tuple[str, str]] = (),
    let_go: Collection[str] = (),
    limit: float = ALIKE,
    progress: Callable[[int], None] = lambda read: None,
) -> Certificate:
    """Check that nothing crosses the splits of some files.

    Args:
        files: JSONL files of records by the name of their split, at most 8.  All but ``train`` (or the largest file) must fit in memory
            as numbers: about 4 kB a record.
        pairs: Ids of near-duplicates that de-duplication listed; those that name a record which is in no split are passed over.
        let_go: Groups that were knowingly let go (see `groups.components`): that they cross is told, and no finding.
        limit: Jaccard similarity (0-1) from which a pair of records may not be in two splits.
        progress: Told after every batch how many records were read; every record is read once, those outside the base twice.

    Raises:
        RecordError: When a file is not there or has a bad line.
        UsageError: When there are no two splits to compare.
    """
    return examine(files, pairs=pairs, let_go=let_go, limit=limit, progress=progress).certificate


def examine(
    files: Mapping[str, Path],
    *,
    pairs: Iterable[tuple[str, str]] = (),
    let_go: Collection[str] = (),
    limit: float = ALIKE,
    progress: Callable[[int], None] = lambda read: None,
) -> Examined:
    """Check like `certify`, and return the pairs of the search as well."""
    if not 2 <= len(files) <= 8:
        raise UsageError(f"a certificate is of 2 to 8 splits, not of {len(files)}")
    base = BASE if BASE in files else max(sorted(files), key=lambda name: files[name].stat().st_size)
    shared, index, read = _Shared(files), Index(limit), 0
    for name in (n for n in files if n != base):
        for batch in _batches(files[name]):
            index.add([c.id for c in batch], name, [parts(c) for c in batch])
            progress(read := read + len(batch))
    index.close()
    counts = dict.fromkeys(files, 0)
    for name, path in files.items():
        for batch in _batches(path):
            for c in batch:
                shared.note(c, name)
            index.meet([c.id for c in batch], name, [parts(c) for c in batch], base=name == base)
            counts[name] += len(batch)
            progress(read := read + len(batch))
    crossing = (*_grouped(shared, files, frozenset(let_go)), *_paired(shared, pairs))
    checks = (_ids(shared), _texts(index, counts), *crossing, *_alike(index, counts))
    certificate = Certificate(
        passed=all(c.passed for c in checks),
        limit=limit,
        files={name: _file(path, counts[name]) for name, path in files.items()},
        checks=checks,
        highest=Likeness(**index.highest._asdict()) if index.highest else None,
        contamination=tuple(_contamination(index, name) for name in files if name != base),
    )
    return Examined(certificate, tuple((p.a, p.b) for p in (*index.over, *index.contained)))


def _batches(path: Path) -> Iterator[list[Conversation]]:
    found = conversations(path)
    while batch := list(islice(found, BATCH)):
        yield batch


def _file(path: Path, records: int) -> File:
    return File(name=path.name, records=records, bytes=path.stat().st_size, sha256=sha256_of(path))


def _between(counts: Mapping[str, int]) -> int:
    return sum(a * b for a, b in combinations(counts.values(), 2))


def _ids(shared: _Shared) -> Check:
    found = [id for id, bits in shared.where.items() if shared.crossing(bits)]
    named = tuple(f"{id} in {shared.splits(id)}" for id in found[:NAMED])
    return Check(name="ids", how=HOW["ids"], of=len(shared.where), found=len(found), passed=not found, named=named)


def _texts(index: Index, counts: Mapping[str, int]) -> Check:
    named = tuple(_told(p) for p in index.same_named)
    return Check(name="texts", how=HOW["texts"], of=_between(counts), found=index.same, passed=not index.same, named=named)


def _grouped(shared: _Shared, files: Mapping[str, Path], let_go: frozenset[str]) -> Iterator[Check]:
    """Yield a check for each kind of group; who is in a group that crosses is looked up in the files again."""
    kinds: dict[str, list[str]] = {}
    several = Counter[str]()
    for group, met in shared.met.items():
        crossing = kinds.setdefault(kind_of(group), [])
        several[kind_of(group)] += met >> 8 > 1
        if shared.crossing(met & 0xFF):
            crossing.append(group)
    leaks = {kind: [g for g in crossing if g not in let_go] for kind, crossing in kinds.items()}
    who = _members([g for found in leaks.values() for g in found[:NAMED]], files)
    for kind in sorted(kinds):
        found = leaks[kind]
        named = tuple(f"{g}: {who[g]}" for g in found[:NAMED])
        yield Check(
            name=f"group {kind}", how="the groups of every record, derived again", of=several[kind], found=len(found), passed=not found,
            let_go=len(kinds[kind]) - len(found), named=named,
        )  # fmt: skip


def _members(wanted: Collection[str], files: Mapping[str, Path]) -> dict[str, str]:
    first: dict[str, dict[str, str]] = {group: {} for group in wanted}
    if not first:
        return {}
    for name, path in files.items():
        for c in conversations(path):
            for group in groups(c):
                if group in first:
                    first[group].setdefault(name, c.id)
    return {group: " | ".join(f"{name} {id}" for name, id in found.items()) for group, found in first.items()}


def _paired(shared: _Shared, pairs: Iterable[tuple[str, str]]) -> Iterator[Check]:
    for name, given in (("links", shared.links), ("near_duplicates", pairs)):
        of, found = shared.pairs(given)
        named = tuple(f"{a} in {shared.splits(a)} | {b} in {shared.splits(b)}" for a, b in found[:NAMED])
        yield Check(name=name, how=HOW[name], of=of, found=len(found), passed=not found, named=named)


def _alike(index: Index, counts: Mapping[str, int]) -> Iterator[Check]:
    for name, found in (("similarity", index.over), ("containment", index.contained)):
        named = tuple(_told(p) for p in found[:NAMED])
        yield Check(name=name, how=HOW[name], of=_between(counts), found=len(found), passed=not found, named=named)


def _told(p: Pair) -> str:
    return f"{p.a_split} {p.a} | {p.b_split} {p.b} ({p.similarity:.2f})"


def _contamination(index: Index, split: str) -> Contamination:
    found = index.runs(split)
    return Contamination(split=split, records=found.records, of_records=found.of, runs=found.runs, of_runs=found.of_runs)
