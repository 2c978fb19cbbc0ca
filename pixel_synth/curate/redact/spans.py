"""What a detector finds in a text, and which of two finds stands where they overlap."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml


class Hit(NamedTuple):
    """One item of personal data in a text: ``text[start:end]``.

    ``same`` is what makes two items equal (an address in lower case, the digits of a number); ``fixed`` is what stands in its place
    where that is no numbered placeholder.
    """

    start: int
    end: int
    kind: str
    same: str
    fixed: str = ""


def apart(found: Iterable[Hit]) -> list[Hit]:
    """Return hits in the order of the text, without those that overlap one that was named before them."""
    kept: list[Hit] = []
    for hit in found:
        at = bisect(kept, hit)
        free = (not at or kept[at - 1].end <= hit.start) and (at == len(kept) or hit.end <= kept[at].start)
        if hit.start < hit.end and free:
            kept.insert(at, hit)
    return kept


@cache
def known(name: str) -> Any:
    """Return one list of ``known.yaml``; a line of words as a frozen set."""
    value = yaml.safe_load(Path(__file__).with_name("known.yaml").read_text(encoding="utf-8"))[name]
    return frozenset(value.split()) if isinstance(value, str) else tuple(value)
