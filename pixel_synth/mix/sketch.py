"""A small fingerprint of a text's wording: the 32 word pairs with the lowest hashes.

Which pairs are kept depends on their hash alone, so that two texts with much wording in common keep the same ones: a bottom-k sketch
(Broder, 1997, On the resemblance and containment of documents).  128 bytes a record, however long it is.
"""

from __future__ import annotations

import re
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

PAIRS = 32
PLACES = (1 << 31) - 1  # so many hashes are told apart
NONE = 0  # fills up the sketches of short texts; counts as nothing
# Letters, digits and apostrophes; every byte beyond ASCII counts as a letter, so that a dash or quotation mark of print sticks to its word.
_WORD = re.compile(rb"[0-9a-z_'\x80-\xff]+")


def sketch(text: str) -> NDArray[np.int32]:
    """Return `PAIRS` hashes of word pairs, ascending and different, then `NONE` for what a short text has not."""
    words = np.fromiter(map(crc32, _WORD.findall(text.lower().encode())), np.uint64)
    found = np.full(PAIRS, NONE, np.int32)
    lowest = np.unique(_mixed((words[:-1] << np.uint64(32)) ^ words[1:]) % np.uint64(PLACES))[:PAIRS]
    found[: len(lowest)] = lowest + np.uint64(1)
    return found


def numbered(sketches: NDArray[np.int32]) -> NDArray[np.int32]:
    """Return sketches (N × `PAIRS`) whose hashes are numbered from 1 without gaps, so that counts of them take little room."""
    _, numbers = np.unique(np.append(np.int32(NONE), sketches), return_inverse=True)
    return numbers[1:].astype(np.int32).reshape(sketches.shape)


def _mixed(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Scramble the bits, so that low hashes are a fair sample (finaliser of SplitMix64; Steele, Lea & Flood, 2014)."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
