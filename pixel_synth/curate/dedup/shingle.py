"""Texts as sets of hashed shingles: five words in a row, as 64-bit numbers, made by whole arrays at a time.

Words are runs of letters and digits after Unicode NFKC and case folding; all other signs part words, apostrophes too, because some
published sets hold "i'm" as "i ' m".
Each word, each run of five words and each whole text becomes a sum of table values multiplied by odd constants (multilinear hashing:
Lemire & Kaser, "Strongly universal string hashing is fast", 2014, https://arxiv.org/abs/1202.4961), finished with SplitMix64's mixer
(Steele, Lea & Flood, 2014, https://doi.org/10.1145/2714064.2660195).  The tables are fixed, so the numbers are equal on every machine.
Two different shingles of a pair of texts get the same number with a chance of about 1 in 10^14 (a few hundred each, 64 bits).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Hashes = npt.NDArray[np.uint64]
Offsets = npt.NDArray[np.int64]

WIDTH = 5  # words of a shingle; the width that Lee et al. (2022), "Deduplicating training data makes language models better", use
_PLACES = 256  # letters of a word whose place counts
_SIGNS = re.compile(r"[\W_]+")


def mix(x: Hashes) -> Hashes:
    """Return SplitMix64's finisher of each number."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def _table(n: int, salt: int) -> Hashes:
    """Return ``n`` odd numbers without a pattern."""
    return mix((np.arange(1, n + 1, dtype=np.uint64) + np.uint64(salt << 32)) * np.uint64(0x9E3779B97F4A7C15)) | np.uint64(1)


_LETTER, _PLACE, _TURN = _table(256, 1), _table(_PLACES, 2), _table(WIDTH, 3)
_IS_WORD = np.array([b >= 0x80 or chr(b).isalnum() for b in range(256)])


class Shingled(NamedTuple):
    """Texts as numbers; text ``t`` has ``hashes[offsets[t]:offsets[t + 1]]``, sorted, each once.

    ``words`` counts the words of each text and ``keys`` (texts × 2) tells texts apart that differ in any word.  ``part_words`` and
    ``part_keys`` (parts × 1) are the same of each part of each text, one after the other.
    """

    hashes: Hashes
    offsets: Offsets
    words: Offsets
    keys: Hashes
    part_words: Offsets
    part_keys: Hashes


def plain(text: str) -> bytes:
    """Return a text with its words in one spelling, as UTF-8 in which signs beyond ASCII are blanks."""
    return text.lower().encode() if text.isascii() else _SIGNS.sub(" ", unicodedata.normalize("NFKC", text).casefold()).encode()


def _word_hashes(parts: Sequence[bytes]) -> tuple[Hashes, Offsets]:
    """Return the hashes of all words, and how many lie before each part and after the last."""
    buffer = np.frombuffer(b" ".join(parts) + b" ", dtype=np.uint8)
    letter = _IS_WORD[buffer]
    edges = np.diff(letter.view(np.int8), prepend=np.int8(0))
    starts = np.flatnonzero(edges == 1)
    lengths = np.flatnonzero(edges == -1) - starts
    bounds = np.cumsum([0, *(len(p) + 1 for p in parts)])
    before = np.searchsorted(starts, bounds).astype(np.int64)
    if not starts.size:
        return np.empty(0, dtype=np.uint64), before
    first = np.cumsum(lengths) - lengths
    place = np.arange(int(lengths.sum())) - np.repeat(first, lengths)
    values = _LETTER[buffer[letter]] * _PLACE[np.minimum(place, _PLACES - 1)]
    sums: Hashes = np.add.reduceat(values, first)
    return mix(sums + lengths.astype(np.uint64)), before


def _sums(values: Hashes, bounds: Offsets) -> Hashes:
    """Return the sum, modulo 2^64, of each stretch between two bounds; 0 for an empty one."""
    running = np.concatenate([np.zeros(1, dtype=np.uint64), np.cumsum(values, dtype=np.uint64)])
    sums: Hashes = running[bounds[1:]] - running[bounds[:-1]]
    return sums


def _orders(words: Hashes, bounds: Offsets, salt: int) -> Hashes:
    """Return a hash of the words and their order of each stretch between two bounds."""
    place = np.arange(words.size, dtype=np.int64) - np.repeat(bounds[:-1], np.diff(bounds))
    odd = mix(place.astype(np.uint64) + np.uint64(salt << 40)) | np.uint64(1)
    return mix(_sums(words * odd, bounds) + np.diff(bounds).astype(np.uint64))


def shingled(texts: Sequence[Sequence[str]], width: int = WIDTH) -> Shingled:
    """Return the shingles of texts, each given in parts (messages) that are read on as one.

    A text of fewer words than ``width`` has one shingle, all of it; a text without words has none.
    """
    words, before = _word_hashes([plain(part) for text in texts for part in text])
    bounds = before[np.cumsum([0, *(len(text) for text in texts)])]
    counts = np.diff(bounds)
    runs = np.zeros(words.size, dtype=np.uint64)
    room = max(words.size - width + 1, 0)
    for k in range(width):
        runs[:room] += words[k : k + room] * _TURN[k % WIDTH]
    runs = mix(runs)
    short = _orders(words, bounds, 7)
    keep = np.zeros(words.size, dtype=bool)
    for start, end, whole in zip(bounds[:-1].tolist(), bounds[1:].tolist(), short, strict=True):
        if end - start < width:
            if end > start:
                runs[start], keep[start] = whole, True
            continue
        of_text = runs[start : end - width + 1]
        of_text.sort()
        keep[start] = True
        np.not_equal(of_text[1:], of_text[:-1], out=keep[start + 1 : end - width + 1])
    kept = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(keep, dtype=np.int64)])
    keys = np.stack([_orders(words, bounds, 8), _orders(words, bounds, 9)], axis=1)
    return Shingled(runs[keep], kept[bounds], counts, keys, np.diff(before), _orders(words, before, 8))


def shared(a: Hashes, b: Hashes) -> int:
    """Return how many shingles two sorted sets have in common."""
    both = np.concatenate([a, b])
    both.sort(kind="stable")  # two sorted runs: merged in one go
    return int(np.count_nonzero(both[1:] == both[:-1]))


def jaccard(a: Hashes, b: Hashes) -> float:
    """Return the Jaccard similarity of two sorted sets, 0-1: what they share of what either has; 0 when one is empty."""
    common = shared(a, b)
    return common / (len(a) + len(b) - common) if common else 0.0
