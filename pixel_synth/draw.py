"""Seeded draws that give the same answer on every machine and Python version.

Only `random.Random.random` is used: it is the one method whose sequence Python guarantees for a seed.  A draw is
addressed by a path ("seed", slot, attempt, "persona"), so that adding a draw in one place shifts nothing elsewhere.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from random import Random
from typing import TypeVar

T = TypeVar("T")


def seed_of(*path: object) -> int:
    """Return a 63-bit seed for a path of values, equal on every machine."""
    digest = hashlib.sha256("\x1f".join(str(p) for p in path).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


class Draw:
    """A stream of seeded decisions for one path."""

    def __init__(self, *path: object) -> None:
        self._random = Random(seed_of(*path)).random

    def below(self, n: int) -> int:
        """Return an integer in ``range(n)``."""
        return min(int(self._random() * n), n - 1)

    def chance(self, p: float) -> bool:
        """Return true with probability ``p``."""
        return self._random() < p

    def between(self, low: int, high: int) -> int:
        """Return an integer in ``low..high``, both included."""
        return low + self.below(high - low + 1)

    def pick(self, items: Sequence[T]) -> T:
        """Return one item of a non-empty sequence."""
        return items[self.below(len(items))]

    def shuffled(self, items: Sequence[T]) -> list[T]:
        """Return the items in a drawn order (Fisher–Yates)."""
        result = list(items)
        for i in range(len(result) - 1, 0, -1):
            j = int(self._random() * (i + 1))  # `below`, without its call; it is never i + 1 for a list that fits in memory
            result[i], result[j] = result[j], result[i]
        return result

    def weighted(self, items: Sequence[T], weights: Sequence[float]) -> T:
        """Return one item with probability proportional to its weight (all weights >= 0, one > 0)."""
        mark = self._random() * sum(weights)
        for item, weight in zip(items, weights, strict=True):
            mark -= weight
            if mark < 0:
                return item
        return next(i for i, w in zip(reversed(items), reversed(weights), strict=True) if w > 0)
