"""De-duplication of files of conversations: exact, near and, on request, in meaning.

Written are ``kept.jsonl`` (the lines as they came, in their order), ``rejects.jsonl``, ``clusters.jsonl`` and ``similar.jsonl``.  The same
input gives the same bytes with any number of processes, and the same kept records in any order of the input.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
from pydantic import Field

from pixel_synth.books import Books
from pixel_synth.curate.dedup.index import Index, Progress, index
from pixel_synth.curate.dedup.keep import Drop, Standing, components, settle
from pixel_synth.curate.dedup.lines import processes
from pixel_synth.curate.dedup.pairs import Pair, candidates, kin, verified
from pixel_synth.curate.dedup.semantic import Embed, alike
from pixel_synth.curate.dedup.write import Cluster, Found, clusters_of, families_of, write
from pixel_synth.draw import seed_of
from pixel_synth.errors import UsageError
from pixel_synth.records import Conversation, Record

FAMILY = 0.5  # from here on two records are of one family, which may not cross a split
Quality = Callable[[Conversation], float | None]


class Deduplication(Record):
    """What de-duplication found.

    ``candidates`` are the pairs that shared a MinHash band, ``pairs`` those of them whose true Jaccard similarity reaches the threshold.
    ``families`` counts the lines of ``similar.jsonl``.
    """

    books: Books
    jaccard: float
    exact: int = Field(description="dropped: the same words and roles")
    near: int = Field(description="dropped: Jaccard similarity to the keeper at or above the threshold")
    meaning: int = Field(description="dropped: cosine similarity to the keeper at or above `semantic.COSINE`")
    candidates: int
    pairs: int
    clusters: int
    families: int
    largest: tuple[Cluster, ...] = Field(default=(), description="the largest clusters, as many as were asked for")


def deduplicate(
    paths: Sequence[Path],
    out: Path | None,
    *,
    jaccard: float = 0.8,
    semantic: bool = False,
    seed: int = 7,
    workers: int = 0,
    quality: Quality | None = None,
    against: Sequence[Path] = (),
    embed: Embed | None = None,
    progress: Progress = lambda _: None,
    largest: int = 0,
) -> Deduplication:
    """De-duplicate JSONL files of conversations (plain or gzip).

    Args:
        paths: Files to read, in order.
        out: Folder for the four files; ``None`` writes nothing.
        jaccard: Least similarity of near duplicates, 0.5-1; shingles of five words over the whole conversation.
        semantic: Also drop duplicates in meaning.
        seed: Of the MinHash functions.
        workers: Processes; 0 = one per core, at most 8, where there is enough to do.
        quality: Scores members of clusters that have no overall score, 0-1 on the scale of that score.
        against: Files whose records nothing of ``paths`` may repeat; they are never written.
        embed: In place of the model of the extra ``semantic``.
        progress: Called with the bytes that were read.
        largest: How many of the largest clusters the result holds.

    Raises:
        UsageError: When the threshold is out of range, or ``semantic`` is asked for and its packages are not there.
        RecordError: When a file is not there or damaged, or cannot be written.
        RunError: When a process dies.
    """
    if not FAMILY <= jaccard <= 1:
        raise UsageError(f"jaccard must lie between {FAMILY} and 1, not {jaccard}")
    if semantic and embed is None:
        from pixel_synth.curate.dedup.semantic import bundled

        embed = bundled()
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
    sources = [*against, *paths]
    found = index(sources, len(against), out, seed_of("dedup", seed) % 2**32, processes(sources, workers), progress)
    with closing(found.spool):
        groups = found.exact()
        first = np.arange(len(found.facts))
        for members in groups:
            first[members] = members[0]
        alone = np.unique(first)
        rough = candidates(found.bands[alone], alone)
        related = verified(rough, found.spool, FAMILY)
        near = [p for p in related if p.similarity >= jaccard]
        places = _places(found, groups, near, quality)
        best = {members[0]: min(members, key=places.__getitem__) for members in groups}
        near, related = ([Pair(best.get(a, a), best.get(b, b), s) for a, b, s in pairs] for pairs in (near, related))
        dropped, how = _drop(found, groups, near, places)
        meant = alike(found, embed, dropped) if embed else []
        if meant:
            places |= _places(found, [], meant, quality)
            more = settle(meant, places, _fixed(found))
            dropped |= more
            how |= dict.fromkeys(more, "meaning")
        alive = [i for i in range(found.compared, len(found.facts)) if i not in dropped]
        result = Found(found, dropped, how, places, jaccard)
        links = [*((m[0], other) for m in groups for other in m[1:]), *((p.a, p.b) for p in (*near, *meant))]
        clusters = clusters_of(result, components(links))
        families = families_of(result, related, kin(found.said, found.said_by, found.spool, alive))
        books = write(result, clusters, families, out)
    count = {kind: sum(h == kind for h in how.values()) for kind in ("exact", "near", "meaning")}
    shown = tuple(sorted(clusters, key=lambda c: (-len(c.members), c.id))[:largest])
    return Deduplication(
        books=books, jaccard=jaccard, candidates=len(rough), pairs=len(near), clusters=len(clusters), families=len(families),
        largest=shown, **count,
    )  # fmt: skip


def _fixed(found: Index) -> bytearray:
    return bytearray([1]) * found.compared + bytearray(len(found.facts) - found.compared)


def _places(found: Index, groups: Iterable[Sequence[int]], pairs: Iterable[Pair], quality: Quality | None) -> dict[int, Standing]:
    """Return the places of all records that have a duplicate; those without an overall score are scored when they can be."""
    wanted = {i for members in groups for i in members} | {i for p in pairs for i in (p.a, p.b)}
    scored: dict[int, float | None] = {}
    if quality is not None:
        unscored = {i for i in wanted if found.facts[i].overall is None and i >= found.compared}
        scored = {i: quality(c) for i, c in found.reread(unscored)} if unscored else {}
    return {i: found.place(i, scored.get(i)) for i in wanted}


def _drop(
    found: Index, groups: Sequence[Sequence[int]], near: Iterable[Pair], places: dict[int, Standing]
) -> tuple[dict[int, Drop], dict[int, str]]:
    """Return the exact and near duplicates to drop, with their keepers, and which of the two each is."""
    dropped = settle(near, places, _fixed(found))
    how = dict.fromkeys(dropped, "near")
    for members in groups:
        keeper = min(members, key=places.__getitem__)
        for i in members:
            if i != keeper and i >= found.compared:
                # The words are the same, so what is near to the keeper is as near to this one.
                dropped[i] = dropped.get(keeper, Drop(keeper, 1.0))
                how[i] = "near" if keeper in how else "exact"
    return dropped, how
