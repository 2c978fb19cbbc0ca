"""A section of labelled passages to the pieces of a `Syndrome` (P axis) or a `Capacity` (M axis)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from pixel_synth.knowledge.parse.headings import field_of
from pixel_synth.knowledge.parse.layout import Piece
from pixel_synth.knowledge.parse.result import Reading, slug

LISTS = {"affects", "defenses", "talk", "help", "cues", "intact", "impaired"}
PHRASES = {"affects", "defenses", "cues"}  # commas part these as well; sentences are parted by semicolons and bullets only


def read_labelled(reading: Reading, body: Sequence[Piece], number: int | None = None) -> None:
    """Fill a syndrome or capacity from "Label: passage", a label above a passage, or bullets below it.

    Args:
        reading: What is filled; faults and lines are booked there.
        body: The section's pieces.
        number: The capacity's number where the heading gives it.
    """
    entry: dict[str, Any] = reading.entry
    label = "summary"
    if number is not None and reading.kind == "capacity":
        entry["number"] = number
    seen: set[str] = set()
    for piece in body:
        head, colon, rest = piece.text.partition(":")
        named = field_of(piece.text if piece.heading else head, reading.kind) if piece.heading or colon else ""
        if named:
            if named in seen:
                reading.fault(piece.line, f"the label {head.strip()!r} a second time", "join the two passages below one label")
            seen.add(named)
            label = named
            reading.took(piece.lines, label, (label,))
            if piece.heading or not rest.strip():
                continue
            piece = piece._replace(text=rest.strip(), mark=None)
        elif piece.heading or (colon and not piece.mark and len(head.split()) <= 6 and head[:1].isupper()):
            label = ""
        if not label:
            reading.passed(piece.lines, f"the label {head.strip()[:40]!r} fills no field of a {reading.kind}")
            continue
        reading.took(piece.lines, label)
        reading.where.setdefault((label,), piece.line)
        _put(reading, label, piece)
    if not set(entry) - {"id", "name", "source", "number", "summary"}:
        reading.fault(
            reading.line,
            "no labelled passage under this heading",
            "write 'Central tension: …' and the like; docs/knowledge.md lists the labels",
        )


def _put(reading: Reading, label: str, piece: Piece) -> None:
    entry = reading.entry
    if label in LISTS:
        parts = [piece.text] if piece.mark else _parts(piece.text, label)
        parts = [p for p in (slug(p) if label == "defenses" else p.lower() if label == "cues" else p for p in parts) if p]
        entry.setdefault(label, []).extend(parts)
    elif label == "number":
        if not piece.text.isdigit():
            return reading.fault(piece.line, f"the number {piece.text!r} is no whole number", "1 to 12")
        entry[label] = int(piece.text)
    elif label == "domain":
        entry[label] = slug(piece.text)
    else:
        entry[label] = f"{entry.get(label, '')} {piece.text}".strip()
    return None


def _parts(text: str, label: str) -> list[str]:
    by = r"\s*;\s*" if ";" in text or label not in PHRASES else r"\s*,\s*(?:and\s+)?"
    return [part.rstrip(".") if label in PHRASES else part for part in re.split(by, text) if part.strip(" .")]
