"""Which records are alike: candidates from shared bands, each checked by the true Jaccard similarity of its shingles."""

from __future__ import annotations

import os
import tempfile
from array import array
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pixel_synth.curate.dedup.shingle import Hashes, Offsets, jaccard, shared

CROWD = 64  # members of one band that are all compared with each other; of more, each with the first and with the 16 after it
NEXT = 16
SHARED = 0.2  # least such share for a family: below it a common message is a set phrase that says nothing about where the rest comes from
CONTAINED = 0.9  # share of the smaller record's shingles that the larger one has


class Spool:
    """The shingles of all records in a nameless temporary file (8 bytes each), which is gone with the process."""

    def __init__(self, folder: Path | None) -> None:
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - closed by `close`
        self._starts = array("q", [0])
        self.read = lru_cache(maxsize=4096)(self._read)

    def add(self, hashes: Hashes, offsets: Offsets) -> None:
        """Append the sets of a batch."""
        self._file.write(hashes.tobytes())
        self._starts.extend((offsets[1:] + self._starts[-1]).tolist())

    def flush(self) -> None:
        """Make what was added readable."""
        self._file.flush()

    def size(self, i: int) -> int:
        """Return how many shingles a record has."""
        return self._starts[i + 1] - self._starts[i]

    def _read(self, i: int) -> Hashes:
        return np.frombuffer(os.pread(self._file.fileno(), 8 * self.size(i), 8 * self._starts[i]), dtype=np.uint64)

    def close(self) -> None:
        """Let go of the file."""
        self.read.cache_clear()
        self._file.close()


class Pair(NamedTuple):
    """Two records (``a`` < ``b``) and their similarity, 0-1."""

    a: int
    b: int
    similarity: float


class Kin(NamedTuple):
    """Two records that share a long message: the share of the smaller one's shingles that the other one has, 0-1."""

    a: int
    b: int
    share: float


def groups(keys: Hashes) -> Iterator[Offsets]:
    """Yield the places that hold the same key, in ascending order, where there are two or more."""
    order = np.argsort(keys, kind="stable").astype(np.int64)
    ordered = keys[order]
    ends = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True)) + 1 if len(ordered) else np.empty(0, dtype=np.int64)
    starts = np.append(0, ends[:-1])
    several = np.flatnonzero(ends - starts > 1) if len(ends) else ends
    for start, end in zip(starts[several].tolist(), ends[several].tolist(), strict=True):
        yield order[start:end]


def _within(members: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield the pairs of one band that are to be checked."""
    if len(members) <= CROWD:
        yield from combinations(members, 2)
        return
    for i, a in enumerate(members):
        if i > NEXT:
            yield members[0], a
        yield from ((a, b) for b in members[i + 1 : i + 1 + NEXT])


def candidates(bands: Hashes, of: Offsets) -> Hashes:
    """Return the pairs of records that share a band, each once, as ``a << 32 | b``.

    Args:
        bands: Records × bands.
        of: Which record each row is.
    """
    found = np.empty(0, dtype=np.uint64)
    for band in range(bands.shape[1]):
        new = [a << 32 | b for group in groups(np.ascontiguousarray(bands[:, band])) for a, b in _within(group.tolist())]
        if new:
            rows = np.unique(np.array(new, dtype=np.uint64))
            low, high = of[rows >> np.uint64(32)], of[rows & np.uint64(0xFFFFFFFF)]
            found = np.union1d(found, (low << 32 | high).astype(np.uint64))
    return found


def verified(pairs: Hashes, spool: Spool, least: float) -> list[Pair]:
    """Return the candidates whose Jaccard similarity is at least ``least``; those whose sizes rule it out are not read."""
    found = []
    for a, b in zip((pairs >> np.uint64(32)).tolist(), (pairs & np.uint64(0xFFFFFFFF)).tolist(), strict=True):
        small, large = sorted((spool.size(a), spool.size(b)))
        if small and small >= least * large and (similarity := jaccard(spool.read(a), spool.read(b))) >= least:
            found.append(Pair(a, b, similarity))
    return found


def kin(said: Hashes, said_by: Offsets, spool: Spool, alive: Iterable[int]) -> list[Kin]:
    """Return the records that share a long message and, with it, `SHARED` of the smaller one's shingles.

    Each is paired with the longest record that has the message: a star per message, not every pair.
    """
    living = set(alive)
    found: dict[tuple[int, int], float] = {}
    for group in groups(said):
        members = sorted({i for i in said_by[group].tolist() if i in living}, key=lambda i: (-spool.size(i), i))
        for other in members[1:]:
            a, b = sorted((members[0], other))
            if (a, b) not in found:
                found[a, b] = shared(spool.read(a), spool.read(b)) / min(spool.size(a), spool.size(b))
    return [Kin(a, b, share) for (a, b), share in sorted(found.items()) if share >= SHARED]
