"""Nearest texts by TF-IDF cosine, at a cost that grows with the number of texts and not with its square.

Every text is a vector of (1 + log tf) * log(n / df) over its word stems (Salton & Buckley, 1988, Term-weighting approaches in automatic
text retrieval, Information Processing & Management 24, 513-523), of length one.  Candidates share one of a text's weightiest stems that is
in at most `POSTINGS` texts of the group: an inverted index with capped postings, so each text meets at most `STEMS` * `POSTINGS` others.
The similarity of a candidate is the cosine of the whole vectors.
"""

from __future__ import annotations

import re
import zlib
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pixel_synth.scorers.text import STOP, fold, stem

STEMS, POSTINGS = 24, 100
BITS = 20  # stems are told apart by this many bits of a CRC-32
BLOCK = 2_000  # rows that are multiplied at once
MOST = 400  # different stems of one text that are kept, the first ones
_WORD = re.compile(r"[^\W\d_]{3,}")


class Near(NamedTuple):
    """Two texts by their places, the first the smaller, and the cosine of their vectors (0-1)."""

    a: int
    b: int
    similarity: float


class Texts:
    """Collects texts as counts of hashed stems: 5 bytes for each different stem."""

    def __init__(self) -> None:
        self._stems, self._counts, self._ends = array("I"), array("B"), array("Q", [0])

    def __len__(self) -> int:
        return len(self._ends) - 1

    def add(self, text: str) -> None:
        """Take in a text."""
        found = Counter(zlib.crc32(stem(w).encode()) >> (32 - BITS) for w in _WORD.findall(fold(text)) if w not in STOP)
        for hashed, times in list(found.items())[:MOST]:
            self._stems.append(hashed)
            self._counts.append(min(times, 255))
        self._ends.append(len(self._stems))

    def vectors(self) -> Any:
        """Return the vectors as rows of a scipy CSR matrix, each of length one (or empty)."""
        from scipy import sparse

        stems = np.frombuffer(self._stems, dtype=np.uint32).astype(np.int32) if self._stems else np.empty(0, np.int32)
        counts = np.frombuffer(self._counts, dtype=np.uint8).astype(np.float32) if self._counts else np.empty(0, np.float32)
        df = np.bincount(stems, minlength=1 << BITS)
        weights = (1 + np.log(counts)) * np.log((1 + len(self)) / np.maximum(df[stems], 1)).astype(np.float32)
        ends = np.frombuffer(self._ends, dtype=np.uint64).astype(np.int64)
        rows = sparse.csr_matrix((weights.astype(np.float32), stems, ends), shape=(len(self), 1 << BITS))
        rows.sort_indices()
        norms = np.sqrt(np.asarray(rows.multiply(rows).sum(axis=1)).ravel())
        scale = np.divide(1.0, norms, out=np.zeros_like(norms), where=norms > 0)
        return sparse.diags(scale.astype(np.float32)) @ rows


def _pointed(rows: Any) -> Any:
    """Return the rows with only the weightiest stems that are in 2 to `POSTINGS` of them, over the columns in use."""
    from scipy import sparse

    used, columns = np.unique(rows.indices, return_inverse=True)
    df = np.bincount(columns, minlength=len(used))[columns]
    fit = np.flatnonzero((df >= 2) & (df <= POSTINGS))
    row = np.repeat(np.arange(rows.shape[0]), np.diff(rows.indptr))[fit]
    ranked = np.lexsort((rows.indices[fit], -rows.data[fit], row))
    starts = np.searchsorted(row, np.arange(rows.shape[0]))  # of each row among the fit ones, which stay in order of rows
    best = ranked[np.arange(len(fit)) - starts[row] < STEMS]
    kept = fit[best]
    return sparse.csr_matrix((rows.data[kept], (row[best], columns[kept])), shape=(rows.shape[0], len(used)))


def nearest(vectors: Any, places: Sequence[int], wanted: int, sides: Sequence[int]) -> Iterator[Near]:
    """Yield the nearest texts of each text of a group, up to ``wanted`` each, every pair once.

    Args:
        vectors: What `Texts.vectors` returned.
        places: Rows that belong to the group; fewer than two give nothing.
        wanted: How many neighbours of each text, 1 or more.
        sides: Of each place the side it is on; texts of the same side are no neighbours.
    """
    if len(places) < 2:
        return
    at, side = np.asarray(places), np.asarray(sides)
    group = vectors[at]
    points = _pointed(group)
    across = points.T.tocsr()
    seen: set[tuple[int, int]] = set()
    for start in range(0, len(at), BLOCK):
        a, b = _candidates((points[start : start + BLOCK] @ across).tocsr(), start, side, 2 * wanted)
        whole = np.asarray(group[a].multiply(group[b]).sum(axis=1)).ravel().round(4)
        order = np.lexsort((b, -whole, a))
        rank = np.arange(len(a)) - np.searchsorted(a[order], a[order])
        for i in order[rank < wanted]:
            pair = (int(min(a[i], b[i])), int(max(a[i], b[i])))
            if pair not in seen:
                seen.add(pair)
                low, high = sorted((int(at[pair[0]]), int(at[pair[1]])))
                yield Near(low, high, min(1.0, round(float(whole[i]), 4)))


def _candidates(shared: Any, start: int, side: NDArray[Any], most: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return (row, other) of the likeliest pairs of a block: those with the highest partial products, at most so many a row."""
    a = np.repeat(np.arange(start, start + shared.shape[0]), np.diff(shared.indptr))
    b = shared.indices
    fit = np.flatnonzero(side[a] != side[b])
    a, b, partial = a[fit], b[fit], shared.data[fit].round(6)
    order = np.lexsort((b, -partial, a))
    rank = np.arange(len(a)) - np.searchsorted(a[order], a[order])
    chosen = order[rank < most]
    return a[chosen], b[chosen]
