"""How many records each group gives, so that the wanted shares are met as nearly as the records allow: a linear programme.

A group is what has the same category and lies in the same wanted cells.  The programme minimises the records by which the wanted
cells are missed, with the counts of the categories as equalities; among all answers that miss equally few it takes the one nearest to
a plain proportional draw.  It is solved by HiGHS (Huangfu & Hall, 2018, Mathematical Programming Computation 10) through SciPy.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pixel_synth.errors import RunError

# Price of a record's distance from the proportional draw, against 1 for one by which a cell is missed: it only breaks ties.
TIE = 1e-3
TRIES = 32  # groups that may give a record away, looked at in one move


class Group(NamedTuple):
    """Records that are alike to the balance: ``cells`` are the places of the wanted cells in which they lie."""

    category: int
    cells: tuple[int, ...]
    available: int


def spread(groups: Sequence[Group], counts: Sequence[int], wanted: Sequence[float]) -> list[int]:
    """Return how many records each group gives.

    Args:
        groups: The groups, each with at least one record.
        counts: Records of each category, none above what its groups have together.
        wanted: Records wanted of each cell.

    Returns:
        One count per group; the sum over the groups of a category is its count, exactly.
    """
    if not groups:
        return []
    available = np.array([g.available for g in groups], float)
    of_category = np.array([[float(g.category == c) for g in groups] for c in range(len(counts))])
    plain = (np.array(counts) / np.maximum(of_category @ available, 1))[[g.category for g in groups]] * available
    amounts = _solve(groups, of_category, np.array(counts, float), np.array(wanted, float), plain) if wanted else plain
    return _rounded(groups, counts, wanted, amounts)


def _solve(
    groups: Sequence[Group],
    of_category: NDArray[np.float64],
    counts: NDArray[np.float64],
    wanted: NDArray[np.float64],
    plain: NDArray[np.float64],
) -> NDArray[np.float64]:
    from scipy import sparse
    from scipy.optimize import linprog

    n, w = len(groups), len(wanted)
    pairs = [(cell, i) for i, group in enumerate(groups) for cell in group.cells]
    in_cell = sparse.coo_array((np.ones(len(pairs)), ([p[0] for p in pairs], [p[1] for p in pairs])), shape=(w, n))
    one, each = sparse.eye_array(w), sparse.eye_array(n)
    # Columns: records of each group; missing and surplus of each cell; under and over the plain draw of each group.
    rows = sparse.block_array(
        [
            [sparse.csr_array(of_category), None, None, None, None],
            [in_cell, one, -one, None, None],
            [each, None, None, each, -each],
        ],
        format="csr",
    )
    price = np.concatenate([np.zeros(n), np.ones(2 * w), np.full(2 * n, TIE)])
    bounds = [(0.0, float(g.available)) for g in groups] + [(0.0, None)] * (2 * w + 2 * n)
    found = linprog(price, A_eq=rows, b_eq=np.concatenate([counts, wanted, plain]), bounds=bounds, method="highs")
    if found.x is None:
        raise RunError(f"the shares could not be balanced: {found.message}", hint="ask for fewer shares at once")
    return np.asarray(found.x[:n], float)


def _rounded(groups: Sequence[Group], counts: Sequence[int], wanted: Sequence[float], amounts: NDArray[np.float64]) -> list[int]:
    """Round to whole records, never above what a group has.

    Inside each category by the largest remainder; then single records move between groups of a category as long as that brings the
    wanted cells nearer.
    """
    available = np.array([g.available for g in groups])
    category = np.array([g.category for g in groups])
    exact = np.minimum(np.round(amounts, 6), available)
    given = np.floor(exact).astype(np.int64)
    members = [np.flatnonzero(category == place) for place in range(len(counts))]
    for mine, count in zip(members, counts, strict=True):
        while (left := count - int(given[mine].sum())) > 0:
            open_ = mine[given[mine] < available[mine]]
            given[open_[np.argsort(given[open_] - exact[open_], kind="stable")][:left]] += 1
    if not wanted:
        return [int(n) for n in given]
    lies = np.zeros((len(groups), len(wanted)))
    for g, group in enumerate(groups):
        lies[g, list(group.cells)] = 1.0
    off = given @ lies - np.array(wanted, float)
    while any(_moved(given, mine, available, lies, off) for mine in members):
        pass
    return [int(n) for n in given]


def _moved(
    given: NDArray[np.int64], mine: NDArray[np.int64], available: NDArray[np.int64], lies: NDArray[np.float64], off: NDArray[np.float64]
) -> bool:
    """Move one record from a group to another of its category so that the cells are missed by fewer; tell whether there was such a move."""
    some = mine[given[mine] > 0]
    out = some[np.argsort(lies[some] @ (np.abs(off - 1) - np.abs(off)), kind="stable")[:TRIES]]
    free = mine[given[mine] < available[mine]]
    for one in out:
        after = off - lies[one]
        miss = np.abs(after[None, :] + lies[free]).sum(1)
        if len(free) and miss.min() < np.abs(off).sum() - 1e-6:
            other = free[int(np.argmin(miss))]
            given[one] -= 1
            given[other] += 1
            off += lies[other] - lies[one]
            return True
    return False
