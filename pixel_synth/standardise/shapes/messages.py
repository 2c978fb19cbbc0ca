"""Lists of messages with role and content, as chat APIs have them."""

from __future__ import annotations

from pixel_synth.standardise.draft import Draft, Row, Turn, text, turns

RANK = 30
NEEDS = "a list (messages, conversation ...) of objects with role and content"
COLUMNS = {
    "messages": ("messages", "conversation", "conversations", "dialogue", "dialog", "turns", "chat"),
    "system": ("system", "systemprompt"),
}


def read(row: Row) -> Draft:
    """Return the messages."""
    found = turns(row.get("messages"), "role", "content")
    system = text(row, "system", "")
    if system.strip() and found[0].who != "system":
        found.insert(0, Turn("system", system))
    return Draft(found)
