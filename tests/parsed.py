"""What the tests of `knowledge parse` share."""

from __future__ import annotations

from pixel_synth.knowledge.parse import Document


def adds_up(document: Document) -> bool:
    """Whether every line of a document is counted once: blank, furniture, read or not read."""
    told = set(document.read) | {u.line for u in document.unread}
    return (
        document.lines == document.blank + len(document.furniture) + len(document.read) + len(document.unread)
        and len(told) == len(document.read) + len(document.unread)
        and all(1 <= line <= document.lines for line in told)
    )
