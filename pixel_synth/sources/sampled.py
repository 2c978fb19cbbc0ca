"""Sets that are too large to take whole: a fixed number of rows is drawn by hash while they stream by.

Each row is hashed with the set's id, and the rows with the smallest hashes are kept.  That is a uniform sample without replacement
(priority sampling with equal weights; Cohen & Kaplan, 2007, Summarizing data using bottom-k sketches, PODC), needs memory for the
kept rows only, and gives the same rows whatever the order in which they come.
"""

from __future__ import annotations

import heapq
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import tee
from typing import Any, get_args

from pydantic import Field

from pixel_synth.books import Reject
from pixel_synth.draw import seed_of
from pixel_synth.records import BigFive, Conversation, Level
from pixel_synth.sources.source import Source
from pixel_synth.standardise.rows import Raw


class Sampled(Source):
    """A set of which a sample is fetched."""

    traits: str = Field(default="", description="column with trait tags, in the rows that have it")
    keep: int = Field(ge=1, description="rows of the sample")
    scan: int = Field(ge=1, description="rows that are read at most; those behind them have no chance")

    @property
    def streamed(self) -> bool:
        """Only a sample of it is fetched."""
        return True

    def convert(self, raws: Iterable[Raw], revision: str) -> Iterator[Conversation | Reject]:
        """Yield what rows become, with the trait tags of those that have them."""
        rows, same = tee(raws)
        for raw, result in zip(rows, super().convert(same, revision), strict=True):
            found = tags(raw.value.get(self.traits)) if raw.value and self.traits else ()
            if isinstance(result, Conversation) and found:
                yield result.model_copy(update={"labels": result.labels.model_copy(update={"traits": found})})
            else:
                yield result


def tags(value: Any) -> tuple[str, ...]:
    """Return the Big Five levels that a row names, as "domain:level"; anything else in the column is no trait tag.

    Taken are a list or a comma-separated text of "neuroticism:high", and an object ``{"neuroticism": "high"}``.
    """
    if isinstance(value, Mapping):
        value = [f"{domain}:{level}" for domain, level in value.items()]
    elif isinstance(value, str):
        value = value.split(",")
    named = {str(tag).strip().lower() for tag in value} if isinstance(value, list | tuple) else set()
    return tuple(tag for domain in BigFive.model_fields for tag in (f"{domain}:{level}" for level in get_args(Level)) if tag in named)


def draw(rows: Iterable[dict[str, Any]], source: Sampled, step: Callable[[int], None] = lambda _: None) -> Iterator[str]:
    """Yield the sampled rows as JSON lines, in the order in which they came; ``step`` is told the rows read, now and then.

    Two rows with the same content have the same hash; the later one does not count.
    """
    kept: list[tuple[int, int, str]] = []  # the largest hash in front
    inside: set[int] = set()
    for number, row in enumerate(rows, 1):
        if number > source.scan:
            break
        if number % 1000 == 0:
            step(number)
        line = json.dumps(row, ensure_ascii=False, sort_keys=True, default=str)
        key = seed_of(source.id, line)
        if key in inside or (len(kept) == source.keep and key >= -kept[0][0]):
            continue
        inside.add(key)
        if len(kept) < source.keep:
            heapq.heappush(kept, (-key, number, line))
        else:
            inside.discard(-heapq.heappushpop(kept, (-key, number, line))[0])
    yield from (line for _, _, line in sorted(kept, key=lambda k: k[1]))
