"""Rows of any known shape become `Conversation` records: read, detect, convert; what cannot be is told with file, line and reason."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pixel_synth.books import Reject
from pixel_synth.records import Conversation
from pixel_synth.standardise.rows import Raw
from pixel_synth.standardise.spec import Spec


def standardise(raws: Iterable[Raw], spec: Spec) -> Iterator[Conversation | Reject]:
    """Yield a record or a reject for every row, in order; the shape of each file is detected from its first rows unless the spec names it."""
    raise NotImplementedError
    yield
