"""What a client wrote (Context) with a counsellor's Response."""

from __future__ import annotations

from pixel_synth.standardise.draft import Draft, Row, exchange, text

RANK = 52
NEEDS = "Context and Response"
COLUMNS = {"context": ("context",), "response": ("response",)}


def read(row: Row) -> Draft:
    """Return the exchange."""
    context = text(row, "context")
    return Draft(exchange(context, text(row, "response")), questions=(context,))
