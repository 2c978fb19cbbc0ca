"""What de-duplication writes: kept and rejected records, clusters with their reasons, and families that may not cross a split."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Literal, NamedTuple

from pydantic import Field

from pixel_synth.books import Books, Counting, Reject
from pixel_synth.curate.dedup.index import Index
from pixel_synth.curate.dedup.keep import Drop, Standing, why
from pixel_synth.curate.dedup.pairs import CONTAINED, Kin, Pair
from pixel_synth.jsonl import whole
from pixel_synth.records import Conversation, Record, Unit, stable_id

FILES = ("kept", "rejects", "clusters", "similar")


class Member(Record):
    """One record of a cluster."""

    id: str
    source: str
    license: str
    file: str
    row: int
    kept: bool
    keeper: str = Field(
        default="",
        description="id of the record that is kept in its place, empty when it is kept itself; one that stood for exact or near copies can "
        "itself have gone as a duplicate in meaning, and then names the next",
    )
    how: Literal["", "exact", "near", "meaning"] = ""
    similarity: Unit | None = Field(default=None, description="to the keeper: Jaccard, for meaning cosine; none when it is kept itself")
    why: str = Field(default="", description="of a kept one: the rule that put it before the best one that it replaces")


class Cluster(Record):
    """Records that are linked by duplicates, directly or through others; more than one is kept where the ends of a chain differ."""

    id: str
    members: tuple[Member, ...] = Field(min_length=2)


class Similar(Record):
    """Two kept records that belong together: they may not be in different splits.

    ``near``: Jaccard similarity from 0.5 up to the threshold.  ``contained``: one has nearly all shingles of the other.  ``shared``: a
    message of 20 words or more stands in both, and at least a fifth of the smaller one's shingles are in the other; ``similarity`` of
    these two is that share.
    """

    a: str
    b: str
    kind: Literal["near", "contained", "shared"]
    similarity: Unit


class Found(NamedTuple):
    """The decision: which records go, why, and the places of those that were compared."""

    seen: Index
    dropped: dict[int, Drop]
    how: dict[int, str]
    places: dict[int, Standing]
    jaccard: float


def rounded(value: float) -> float:
    """Return a similarity with four digits, rounded down so that it never seems to reach a threshold that it does not."""
    return int(value * 10_000 + 1e-6) / 10_000


def clusters_of(found: Found, components: Iterable[Sequence[int]]) -> list[Cluster]:
    """Return the clusters in which something is dropped, the best record of each first."""
    clusters = []
    for members in components:
        ordered = sorted(members, key=found.places.__getitem__)
        if any(i in found.dropped for i in ordered):
            heads: dict[int, int] = {}
            for i in reversed(ordered):
                if i in found.dropped:
                    heads[found.dropped[i].keeper] = i
            rows = tuple(_member(found, i, heads.get(i)) for i in ordered)
            clusters.append(Cluster(id=stable_id("cluster", *(m.id for m in rows)), members=rows))
    return clusters


def _member(found: Found, i: int, replaces: int | None) -> Member:
    index, drop = found.seen, found.dropped.get(i)
    facts, file = index.facts[i], index.paths[index.file[i]].name
    about = {"id": facts.id, "source": facts.source, "license": facts.license, "file": file, "row": int(index.number[i])}
    if drop is None:
        told = why(found.places[i], found.places[replaces]) if replaces is not None else "no duplicate of another kept record"
        return Member(**about, kept=True, why=told)
    return Member(**about, kept=False, keeper=index.facts[drop.keeper].id, how=found.how[i], similarity=rounded(drop.similarity))


def families_of(found: Found, related: Iterable[Pair], kin: Iterable[Kin]) -> list[Similar]:
    """Return the pairs of kept records that belong together, each once."""
    facts, stays = found.seen.facts, range(found.seen.compared, len(found.seen.facts))
    pairs: dict[tuple[str, str], Similar] = {}
    rows = [(a, b, s, "contained" if s >= CONTAINED else "shared") for a, b, s in kin]
    rows += [(a, b, s, "near") for a, b, s in related]
    for a, b, s, kind in rows:
        if a in stays and b in stays and a not in found.dropped and b not in found.dropped:
            first, second = sorted((facts[a].id, facts[b].id))
            pairs[first, second] = Similar(a=first, b=second, kind=kind, similarity=rounded(s))
    return [pairs[key] for key in sorted(pairs)]


def reason(found: Found, i: int) -> str:
    """Return why a record goes, in the words of the rejects file."""
    drop, how = found.dropped[i], found.how[i]
    keeper = found.seen.facts[drop.keeper].id
    if drop.keeper < found.seen.compared:
        keeper += f" in {found.seen.paths[found.seen.file[drop.keeper]].name}"
    if how == "exact":
        return f"duplicate: exact of {keeper}"
    measure = "jaccard" if how == "near" else "cosine"
    return f"duplicate: {how} {keeper} {measure} {rounded(drop.similarity):.4g}"


def write(found: Found, clusters: Iterable[Cluster], families: Iterable[Similar], out: Path | None) -> Books:
    """Write the files, unless ``out`` is ``None``, and return the books; records that are only compared with are in neither.

    Raises:
        RecordError: When a file cannot be written.
    """
    books = Counting()
    with ExitStack() as stack:
        files = {name: stack.enter_context(whole(out / f"{name}.jsonl")) for name in FILES} if out else {}
        for name, rows in (("clusters", clusters), ("similar", families)):
            if files:
                files[name].writelines(row.line() + "\n" for row in rows)
        _deal(found, files, books)
    return books.books


def _deal(found: Found, files: dict[str, IO[str]], books: Counting) -> None:
    """Put every line into kept or rejects, and count it."""
    index = found.seen
    if not files:
        books.keep(len(index.facts) - index.compared - len(found.dropped))
        for gone in found.dropped:
            books.reject(reason(found, gone))
    first = index.compared_files
    for i, file, number, raw in index.again() if files else ():
        if file < first:
            continue
        path = str(index.paths[file])
        if i is None:
            error, text = index.bad[file, number]
            row = Reject(stage="dedup", reason=f"unreadable: {error}", file=path, row=number, text=text)
        elif i in found.dropped:
            books.reject(reason(found, i))
            c = Conversation.model_validate_json(raw)
            row = Reject(stage="dedup", reason=reason(found, i), file=path, row=number, id=c.id, record=c)
        else:
            books.keep()
            files["kept"].write(raw.decode().rstrip("\r\n") + "\n")
            continue
        files["rejects"].write(row.line() + "\n")
    for file, _ in index.bad:
        if file >= first:
            books.fail("unreadable")
