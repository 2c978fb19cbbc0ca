"""Lists of turns with from and value, the form of the ShareGPT collections."""

from __future__ import annotations

from pixel_synth.standardise.draft import Draft, Row, Turn, text, turns

RANK = 31
NEEDS = "a list (conversations ...) of objects with from and value"
COLUMNS = {
    "conversations": ("conversations", "conversation", "messages", "dialogue", "items"),
    "system": ("system", "systemprompt"),
}


def read(row: Row) -> Draft:
    """Return the turns."""
    found = turns(row.get("conversations"), "from", "value")
    system = text(row, "system", "")
    if system.strip() and found[0].who != "system":
        found.insert(0, Turn("system", system))
    return Draft(found)
