"""Rows of any known shape become `Conversation` records: read, detect, convert; what cannot be is told with file, line and reason."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain, groupby

from pixel_synth.books import Dropped, Reject
from pixel_synth.records import Conversation
from pixel_synth.standardise.convert import Converter
from pixel_synth.standardise.detect import detect, head_of, reject_reason
from pixel_synth.standardise.rows import Raw
from pixel_synth.standardise.spec import Spec

STAGE = "standardise"


def standardise(raws: Iterable[Raw], spec: Spec) -> Iterator[Conversation | Reject]:
    """Yield a record or a reject for every row, in order.

    The shape of each file is detected from its first rows unless the spec names it.  A row with the same words as an earlier one of this
    call is rejected as a repeat: its id is taken.  Kept in memory: the ids.

    Raises:
        UsageError: When the spec names a shape or column that is not there, or nobody says of which category the rows are.
    """
    seen = Seen()
    for _, group in groupby(raws, key=lambda raw: raw.file):
        head = head_of(group)
        found = detect(head, spec)
        convert = Converter(spec, found.shape) if found.shape else None
        unknown = reject_reason(found)
        for raw in chain(head, group):
            result = convert(raw) if convert else Dropped(raw.error) if raw.error else unknown
            if isinstance(result, Conversation) and seen.again(result.id):
                yield repeat(result.id, raw.file, raw.row)
            else:
                yield result if isinstance(result, Conversation) else reject(raw, result)


class Seen:
    """The ids that are taken."""

    def __init__(self) -> None:
        self._ids: set[int | str] = set()

    def again(self, id: str) -> bool:
        """Take an id; tell whether it was taken before."""
        try:
            key: int | str = int(id, 16) if len(id) == 16 else id
        except ValueError:
            key = id
        before = len(self._ids)
        self._ids.add(key)
        return len(self._ids) == before


def reject(raw: Raw, dropped: Dropped) -> Reject:
    """Return the line of the rejects file for a row."""
    return Reject(stage=STAGE, reason=dropped.reason, file=raw.file, row=raw.row, text=raw.text or beginning(raw))


def beginning(raw: Raw) -> str:
    """Return the beginning of a row that could be read but not converted."""
    return "" if raw.value is None else repr(raw.value)[:500].encode(errors="replace").decode()


def repeat(id: str, file: str, row: int) -> Reject:
    """Return the line of the rejects file for a record whose id is taken."""
    return Reject(stage=STAGE, reason=f"repeat: {id} is there already, with the same words or the same id", file=file, row=row, id=id)


__all__ = ["Spec", "standardise"]
