"""Even Big Five bins in a file: the most records among which low, mid and high of every domain are alike.

An integer programme over groups of records with the same levels: as many records as possible, with every level at a third of the
records in which its domain is known, within the tolerance.  Solved by HiGHS (Huangfu & Hall, 2018) through SciPy.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pixel_synth.errors import RunError
from pixel_synth.mix.cells import DOMAINS, LEVELS, UNKNOWN, Cell, cells
from pixel_synth.mix.item import Item
from pixel_synth.mix.pool import drawn

# The answer holds at most this share of records fewer than the best there is; proving the last one can take minutes.
GAP = 1e-3


class Bin(NamedTuple):
    """One level of one domain, before and after; ``share`` of those in which the domain is known, ``None`` where it never is."""

    domain: str
    level: str
    before: int
    after: int
    share_before: float | None
    share_after: float | None


class Evened(NamedTuple):
    """What was kept and what was left, each in the order it came in."""

    kept: tuple[Item, ...]
    left: tuple[Item, ...]
    bins: tuple[Bin, ...]


def loosened(items: Sequence[Item], seed: int) -> str:
    """Return how many records each of three wider tolerances would keep, for the user who asked for more than the records allow."""
    kept = ", ".join(f"--tolerance {t} keeps {len(even_traits(items, t, seed).kept):,}" for t in (0.05, 0.1, 0.15))
    return f"{kept} of {len(items):,}; or make sessions with the profiles that are rare"


def even_traits(items: Sequence[Item], tolerance: float, seed: int) -> Evened:
    """Return the most records whose bins are even; of records with the same levels the better ones stay, then by draw.

    Args:
        items: Records of any category.
        tolerance: Largest distance of a level's share from a third, 0-1.
        seed: Seed of the draw.

    Returns:
        An empty choice when no records meet the tolerance: where levels go together, evening one domain upsets another.

    Raises:
        RunError: When the solver fails.
    """
    groups: dict[tuple[Cell, ...], list[Item]] = defaultdict(list)
    for _, item in drawn(items, seed):
        groups[cells(item)[3:]].append(item)
    keys = sorted(groups)
    kept: set[str] = set()
    for key, amount in zip(keys, _amounts(keys, [len(groups[key]) for key in keys], tolerance), strict=True):
        best = sorted(groups[key], key=lambda item: -1.0 if item.quality is None else item.quality, reverse=True)
        kept.update(item.id for item in best[:amount])
    after = tuple(item for item in items if item.id in kept)
    return Evened(after, tuple(item for item in items if item.id not in kept), tuple(bins(items, after)))


def _amounts(keys: Sequence[tuple[Cell, ...]], available: Sequence[int], tolerance: float) -> list[int]:
    from scipy.optimize import Bounds, LinearConstraint, milp

    rows, third = [], 1 / len(LEVELS)
    for d in range(len(DOMAINS)):
        known = np.array([float(key[d].value != UNKNOWN) for key in keys])
        for level in LEVELS:
            at = np.array([float(key[d].value == level) for key in keys])
            # A level may hold between a third less the tolerance and a third plus it, of what is known.
            rows += [at - (third + tolerance) * known, (third - tolerance) * known - at]
    found = milp(
        -np.ones(len(keys)),
        integrality=np.ones(len(keys)),
        bounds=Bounds(0, np.array(available, float)),
        constraints=LinearConstraint(np.array(rows), -np.inf, 0.0),
        options={"mip_rel_gap": GAP, "node_limit": 5000},
    )
    if found.x is None:
        raise RunError(f"the bins could not be evened: {found.message}", hint="allow more: --tolerance 0.05")
    return [round(float(x)) for x in found.x]


def bins(before: Sequence[Item], after: Sequence[Item]) -> list[Bin]:
    """Return every level of every domain with its counts and shares; records in which a domain is not known are told apart."""
    result = []
    for domain in DOMAINS:
        one, two = (_levels(items, domain) for items in (before, after))
        for level in (*LEVELS, UNKNOWN):
            known = level != UNKNOWN
            shares = [n[level] / sum(n[v] for v in LEVELS) if known and any(n[v] for v in LEVELS) else None for n in (one, two)]
            result.append(Bin(domain, level, one[level], two[level], *shares))
    return result


def _levels(items: Sequence[Item], domain: str) -> dict[str, int]:
    counts = dict.fromkeys((*LEVELS, UNKNOWN), 0)
    for item in items:
        levels = [t.partition(":")[2] for t in item.traits if t.startswith(f"{domain}:")]
        counts[levels[0] if levels else UNKNOWN] += 1
    return counts
