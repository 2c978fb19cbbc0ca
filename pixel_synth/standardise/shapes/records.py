"""Our own records, which stay as they are."""

from __future__ import annotations

from pydantic import ValidationError

from pixel_synth.records import Conversation
from pixel_synth.standardise.draft import Row, Unfit

RANK = 0
NEEDS = "a record of this toolkit: id, category, messages, provenance"
COLUMNS = {"id": ("id",), "category": ("category",), "messages": ("messages",), "provenance": ("provenance",), "*": ("*",)}


def read(row: Row) -> Conversation:
    """Return the record."""
    if not all(key in row for key in ("id", "category", "messages", "provenance")):
        raise Unfit("no record: id, category, messages or provenance is missing")
    try:
        return Conversation.model_validate(row["*"])
    except ValidationError as error:
        first = error.errors()[0]
        raise Unfit(f"no valid record: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
