"""Hold a fetched set against its receipt and its rows against what they should become."""

from __future__ import annotations

from typing import NamedTuple

from pixel_synth.books import Books, Counting, Reject
from pixel_synth.sources.receipt import differences
from pixel_synth.sources.source import Place, Source, Step

EVERY = 2000  # rows between two steps


class Checked(NamedTuple):
    """What a check found.

    ``damage`` is what differs from the receipt, file by file.  ``findings`` are rows that become no
    record, with file, line and reason, the first ones; ``more`` counts the rest.  They were so when the set was published.
    """

    damage: tuple[str, ...]
    findings: tuple[str, ...]
    more: int
    books: Books


def check(source: Source, place: Place, most: int, step: Step = lambda *_: None) -> Checked:
    """Check one set.

    Args:
        source: The set.
        place: Where sets lie.
        most: Findings that are told one by one.
        step: Told the rows so far, now and then.

    Raises:
        SourceError: When it was not fetched.
    """
    receipt = source.receipt(place)
    damage = differences(receipt, place.cache)
    if damage:
        return Checked(tuple(damage), (), 0, Books())
    counting, more = Counting(), 0
    findings: list[str] = []
    for number, result in enumerate(source.records(place), 1):
        if number % EVERY == 0:
            step(source.id, number, 0)
        if not isinstance(result, Reject):
            counting.keep()
            continue
        counting.reject(result.reason)
        if len(findings) < most:
            findings.append(f"{result.file}:{result.row}: {result.reason}")
        else:
            more += 1
    return Checked((), tuple(findings), more, counting.books)
