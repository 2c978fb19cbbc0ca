"""What texts of different splits have in common: the most alike pair, identical texts, and word runs that training has seen.

The search is exact.  The texts of all splits but the base (train) stand in an inverted index of their five-word shingles, which is small;
every text then counts, over its own shingles, how many it shares with each of them (ScanCount: Li, Lu & Lu, 2008, "Efficient merging and
filtering algorithms for approximate string searches", doi:10.1109/ICDE.2008.4497434).  A text of n shingles of which m are known cannot be
more alike to any other than m/n, so it is passed over when that is below what was found and m too small to hold a part of another.  Nothing
is sampled and no MinHash is involved: no pair can be missed, but by a chance of about 1 in 10^14 that two shingles hash alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pixel_synth.curate.dedup.shingle import Hashes, Offsets, shingled

RUN = 13  # words: the run by which Brown et al. (2020), "Language models are few-shot learners", appendix C, tell contamination
NAMED = 20  # pairs that a certificate names
# A record whose shingles stand nearly all in another one is a part of it, however long that is.  Ours: 0.8 as for near-duplicates, and
# only from 20 shingles (24 words) on, since a short answer may well be said within a longer one.
CONTAINED, LEAST = 0.8, 20
MANY = 100_000  # postings of one text from which its rarest shingles are looked at first


class Pair(NamedTuple):
    """Two records of different splits (places in the index's order and the query's), and how alike they are (Jaccard, 0-1)."""

    similarity: float
    a: str
    a_split: str
    b: str
    b_split: str


class Runs(NamedTuple):
    """Of one split: how many records hold a run of `RUN` words that train has too, of how many, and the same of its distinct runs."""

    records: int
    of: int
    runs: int
    of_runs: int


class Index:
    """The texts of the splits that are not the base; ``add`` them all, then ``close``, then ask with ``meet``.

    Args:
        limit: Jaccard similarity from which every pair is counted.
    """

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self.ids: list[str] = []
        self.splits: list[str] = []
        self.over: list[Pair] = []
        self.contained: list[Pair] = []
        self.highest: Pair | None = None
        self.same = 0
        self.same_named: list[Pair] = []
        self._shingles: list[Hashes] = []
        self._runs: list[Hashes] = []
        self._keys: dict[tuple[int, int], list[int]] = {}

    def add(self, ids: Sequence[str], split: str, texts: Sequence[Sequence[str]]) -> None:
        """Take records in: ids, their split, and the parts of their texts."""
        s, runs = shingled(texts), shingled(texts, RUN)
        for i, (id, key) in enumerate(zip(ids, s.keys.tolist(), strict=True)):
            if s.words[i]:
                self._keys.setdefault((key[0], key[1]), []).append(len(self.ids))
            self.ids.append(id)
            self.splits.append(split)
        if ids:
            self._shingles += np.split(s.hashes, s.offsets[1:-1])
            # A text of fewer words than a run has one that is all of it, which is not what a run means.
            each = np.split(runs.hashes, runs.offsets[1:-1])
            self._runs += [found if n >= RUN else found[:0] for found, n in zip(each, s.words, strict=True)]

    def close(self) -> None:
        """Build the index; nothing can be added any more."""
        self.size = np.array([len(s) for s in self._shingles], dtype=np.int64)
        flat = np.concatenate(self._shingles) if self._shingles else np.empty(0, dtype=np.uint64)
        owner = np.repeat(np.arange(len(self.size), dtype=np.int32), self.size)
        order = np.argsort(flat, kind="stable")
        self.known, self.start, self.count = np.unique(flat[order], return_index=True, return_counts=True)
        self.owner: npt.NDArray[np.int32] = owner[order]
        self.split_code = {name: code for code, name in enumerate(dict.fromkeys(self.splits))}
        self.code = np.array([self.split_code[s] for s in self.splits], dtype=np.int64)
        self.run_known = np.unique(np.concatenate(self._runs)) if self._runs else np.empty(0, dtype=np.uint64)
        self.run_seen = np.zeros(self.run_known.size, dtype=bool)

    def meet(self, ids: Sequence[str], split: str, texts: Sequence[Sequence[str]], base: bool) -> None:
        """Compare records with all of the index that are of another split; of the base also note the runs of words."""
        s = shingled(texts)
        for i, (id, key) in enumerate(zip(ids, s.keys.tolist(), strict=True)):
            self._same(id, split, self._keys.get((key[0], key[1]), []) if s.words[i] else [])
        at = _places(self.known, s.hashes)
        for id, start, end in zip(ids, s.offsets[:-1].tolist(), s.offsets[1:].tolist(), strict=True):
            found = at[start:end]
            found = found[found >= 0]
            bound = found.size / max(end - start, 1)
            highest = self.highest.similarity if self.highest else 0.0
            if found.size and (bound >= self.limit or bound > highest or found.size >= CONTAINED * LEAST):
                self._count(id, split, s.hashes[start:end], found)
        if base:
            at = _places(self.run_known, shingled(texts, RUN).hashes)
            self.run_seen[at[at >= 0]] = True

    def _same(self, id: str, split: str, places: Sequence[int]) -> None:
        for place in places:
            if self._once(split, self.splits[place]):
                self.same += 1
                if len(self.same_named) < NAMED:
                    self.same_named.append(Pair(1.0, id, split, self.ids[place], self.splits[place]))

    def _once(self, mine: str, other: str) -> bool:
        """Tell whether a pair of splits counts; of two that are both in the index it does one way only."""
        return self.split_code.get(mine, -1) < self.split_code[other]

    def _count(self, id: str, split: str, mine: Hashes, found: Offsets) -> None:
        others, shared = self._shared(mine, found)
        other_split = self.code[others] > self.split_code.get(split, -1)
        others, shared = others[other_split], shared[other_split]
        if not others.size:
            return
        alike = shared / (len(mine) + self.size[others] - shared)
        for i in np.flatnonzero(alike >= self.limit):
            self.over.append(self._pair(float(alike[i]), id, split, int(others[i])))
        smaller = np.minimum(len(mine), self.size[others])
        for i in np.flatnonzero((shared >= CONTAINED * smaller) & (smaller >= LEAST) & (alike < self.limit)):
            self.contained.append(self._pair(float(shared[i] / smaller[i]), id, split, int(others[i])))
        top = int(np.argmax(alike))
        if self.highest is None or alike[top] > self.highest.similarity:
            self.highest = self._pair(float(alike[top]), id, split, int(others[top]))

    def _shared(self, mine: Hashes, found: Offsets) -> tuple[Offsets, Offsets]:
        """Return the places of texts that may matter, and how many shingles each shares; where there are many postings, rare ones first.

        To reach a similarity t with a text of n shingles another must share t·n of them, and to contain a part or be one it must share
        `CONTAINED` of `LEAST`; so it shares at least one of all known ones but the most frequent, one less than that (prefix filter:
        Chaudhuri, Ganti & Kaushik, 2006, doi:10.1109/ICDE.2006.9).
        """
        if self.count[found].sum() <= MANY:
            return np.unique(self._owners(found), return_counts=True)
        floor = min(self.limit, self.highest.similarity if self.highest else 0.0)
        needed = min(floor * len(mine), CONTAINED * LEAST)
        rarest = found[np.argsort(self.count[found], kind="stable")][: found.size - max(int(np.ceil(needed - 1e-9)), 1) + 1]
        some = np.unique(self._owners(rarest))
        common = np.array([np.intersect1d(mine, self._shingles[i], assume_unique=True).size for i in some.tolist()], dtype=np.int64)
        return some.astype(np.int64), common

    def _owners(self, found: Offsets) -> npt.NDArray[np.int32]:
        counts = self.count[found]
        ends = np.cumsum(counts)
        owners: npt.NDArray[np.int32] = self.owner[np.arange(ends[-1]) - np.repeat(ends - counts - self.start[found], counts)]
        return owners

    def _pair(self, similarity: float, id: str, split: str, other: int) -> Pair:
        return Pair(similarity, id, split, self.ids[other], self.splits[other])

    def runs(self, split: str) -> Runs:
        """Return what one split shares with the base, in runs of `RUN` words."""
        mine = [r for r, s in zip(self._runs, self.splits, strict=True) if s == split]
        touched = sum(bool(self.run_seen[_places(self.run_known, r)].any()) for r in mine)
        distinct = np.unique(np.concatenate(mine)) if mine else np.empty(0, dtype=np.uint64)
        return Runs(touched, len(mine), int(self.run_seen[_places(self.run_known, distinct)].sum()), distinct.size)


def _places(known: Hashes, wanted: Hashes) -> Offsets:
    """Return where each number stands in a sorted array, -1 where it does not."""
    if not known.size:
        return np.full(wanted.size, -1, dtype=np.int64)
    at = np.minimum(np.searchsorted(known, wanted), known.size - 1)
    return np.where(known[at] == wanted, at, -1)
