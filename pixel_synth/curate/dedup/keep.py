"""Which record of several alike is kept.

Best first, by these rules in this order; the first that tells two records apart decides:

1. a record of a file that is only compared with (``--against``) stays where it is;
2. one that the gate did not reject before one that it rejected;
3. an ingested record before a generated one: a generated copy of somebody's text is still their text, and keeping the copy would hide
   its source and licence;
4. one that the gate accepted before one that was not gated;
5. the less worn copy: with capitals, without blanks before its signs, not cut off at the end (`sketch.faults`); sets that were prepared
   for other models are often lower-cased, split into tokens and truncated;
6. the higher overall score, unscored last;
7. the more open licence (`openness`);
8. the longer one, in words;
9. the smaller id, then the smaller hash of the line, so that the order of the input decides nothing.

Then, from the best record down, a record is dropped when it is a duplicate of one **that is kept**.  Chains do not pull in what is not
alike: of A~B~C with A and C different, B is dropped when it is not the best, and A and C both stay.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from pixel_synth.curate.dedup.pairs import Pair
from pixel_synth.curate.dedup.sketch import Facts

OPENNESS = ("public domain", "permissive", "share-alike", "restricted", "unknown")
_OPEN = (
    (r"\bnc\b|non.?commercial|\bnd\b|no.?deriv|research|academic|proprietary|all rights", 3),
    (r"\bsa\b|share.?alike|gpl|odbl|mpl", 2),
    (r"cc0|public domain|pddl|unlicense|0bsd", 0),
    (r"mit\b|apache|bsd|isc\b|cc.?by|odc.?by|attribution|cdla.permissive|openrail", 1),
)


class Standing(NamedTuple):
    """A record's place among its duplicates; the smaller tuple is the better record."""

    compared: bool
    rejected: bool
    generated: bool
    ungated: bool
    faults: int
    unscored: bool
    below: float
    closed: int
    shorter: int
    id: str
    line: int


def openness(license: str) -> int:
    """Return the place of a licence in `OPENNESS`, told by its words; 0 is the most open.

    No legal advice: it only orders duplicates, and every member's licence is in the clusters file.
    """
    words = license.lower().replace("_", "-")
    return next((rank for pattern, rank in _OPEN if re.search(pattern, words)), 4)


def standing(facts: Facts, words: int, line: int, compared: bool) -> Standing:
    """Return a record's place among its duplicates."""
    value = facts.overall
    return Standing(
        not compared, facts.accepted is False, not facts.ingested, facts.accepted is not True, facts.faults, value is None, -(value or 0.0),
        openness(facts.license), -words, facts.id, line,
    )  # fmt: skip


def why(best: Standing, next_best: Standing) -> str:
    """Return which rule put one record before the other."""
    told = {
        "compared": "it stands in a file that is compared with", "rejected": "the gate did not reject it",
        "generated": "ingested, not generated",
        "ungated": "the gate accepted it", "unscored": "it has an overall score",
        "faults": f"less worn ({best.faults} marks of a worn copy against {next_best.faults})",
        "below": f"overall score {-best.below:.3f} against {-next_best.below:.3f}",
        "closed": f"licence more open ({OPENNESS[best.closed]} against {OPENNESS[next_best.closed]})",
        "shorter": f"longer ({-best.shorter} words against {-next_best.shorter})", "id": "smaller id", "line": "smaller hash of the line",
    }  # fmt: skip
    return next((told[name] for name, a, b in zip(Standing._fields, best, next_best, strict=True) if a != b), "the same line")


class Drop(NamedTuple):
    """Why a record goes: its keeper, and how alike they are."""

    keeper: int
    similarity: float


def settle(pairs: Iterable[Pair], places: Mapping[int, Standing], fixed: Sequence[bool] | bytearray) -> dict[int, Drop]:
    """Return the records to drop: each is as alike as its pair says to a record that stays, the most alike of them.

    Records of which ``fixed`` is true are never dropped.
    """
    near: defaultdict[int, dict[int, float]] = defaultdict(dict)
    for a, b, similarity in pairs:
        near[a][b] = near[b][a] = similarity
    dropped: dict[int, Drop] = {}
    for i in sorted(near, key=places.__getitem__):
        ahead = [(-s, places[j], j) for j, s in near[i].items() if j not in dropped and places[j] < places[i]]
        if ahead and not fixed[i]:
            similarity, _, keeper = min(ahead)
            dropped[i] = Drop(keeper, -similarity)
    return dropped


def components(pairs: Iterable[tuple[int, int]]) -> list[list[int]]:
    """Return the connected groups of two or more (union-find), members ascending, groups by their first member."""
    parent: dict[int, int] = {}

    def root(i: int) -> int:
        parent.setdefault(i, i)
        while parent[i] != i:
            parent[i] = i = parent[parent[i]]
        return i

    for a, b in pairs:
        low, high = sorted((root(a), root(b)))
        parent[high] = low
    found: defaultdict[int, list[int]] = defaultdict(list)
    for i in sorted(parent):
        found[root(i)].append(i)
    return [found[key] for key in sorted(found)]
