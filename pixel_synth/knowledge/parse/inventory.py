"""A section with numbered items to the pieces of an `Instrument`: items, reverse marks, answers, scales, scoring, bands."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from pixel_synth.knowledge.parse import scores
from pixel_synth.knowledge.parse.headings import field_of
from pixel_synth.knowledge.parse.layout import Mark, Piece
from pixel_synth.knowledge.parse.result import Reading, slug

_ABBR = re.compile(r"\s*\((?P<abbr>[A-Z][A-Za-z0-9-]{1,14})\)\s*$")
_OPTION = re.compile(
    r"\(?(?P<n>-?\d{1,2}(?:\.\d)?)\)?\s*[=:–—]\s*(?P<label>[^=]*?)(?=\s*(?:[;,|/]|\s)\s*\(?-?\d{1,2}(?:\.\d)?\)?\s*[=:–—]|[;|]?\s*$)"
)
_BRACKETED = re.compile(r"(?<![\w.])(?P<n>-?\d{1,2})\s*\((?P<label>[^()\d][^()]*)\)|(?P<label_>[^\W\d][^,;()]*?)\s*\((?P<n_>-?\d{1,2})\)")
_LONE_OPTION = re.compile(r"^\(?(?P<n>-?\d{1,2})\)?[.)]?\s+(?P<label>[^\d\W].*)$")
_PERIOD = re.compile(
    r"\b(?:over|during|in|for|within) "
    r"(?P<period>(?:the|your) (?:last|past|previous) (?:\w+ )?(?:day|week|month|year)s?|(?:this|the present) (?:week|month))\b",
    re.IGNORECASE,
)
_GRID = re.compile(r"(?:\s+(?:\(?-?\d\)?|[□☐○_]+)){3,}\s*$")
_REVERSED = re.compile(
    r"\s*(?:\((?:r|reversed?|reverse[- ](?:scored|keyed|coded)|[-–−])\)|\[(?:r|reversed?|[-–−])\]|\*)\s*$", re.IGNORECASE
)
_PLUS = re.compile(r"\s*(?:\(\+\)|\[\+\])\s*$")
_REVERSE_LIST = re.compile(
    r"^(?:the )?(?:items )?revers(?:e|ed)(?:[- ](?:scored|keyed|coded|score|key))?(?: items?)?\s*[:=]\s*(?P<list>.*)$", re.IGNORECASE
)
_FOOTNOTE = re.compile(r"^\(?(?:\*|r)\)?\s*[=:]?\s*(?:means |= )?(?:reverse|scored in reverse)", re.IGNORECASE)
_KINDS = {
    "screen": r"\bscreen", "severity": r"\bseverity\b", "risk": r"\bsuicid|\brisk\b", "personality": r"\bpersonality\b",
    "function": r"\bfunctioning\b|\bdisability\b", "outcome": r"\boutcome",
}  # fmt: skip
_TEXTS = ("summary", "period", "abbr")
RIGHTS = "user's own licensed copy; not for redistribution"


def read_instrument(reading: Reading, body: Sequence[Piece], source: str) -> None:
    """Fill an instrument from a section's pieces.

    Args:
        reading: What is filled; faults and lines are booked there.
        body: The section's pieces.
        source: Key of the source that bands and rights cite.
    """
    if found := _ABBR.search(reading.name):
        reading.entry["abbr"] = found["abbr"]
        reading.entry["name"] = reading.name[: found.start()]
    parts = scores.Parts()
    block = "summary"
    for piece in body:
        block, rest = _block(reading, piece, block)
        if rest is not None and not _special(reading, rest, parts):
            _place(reading, rest, block, parts)
            block = "items" if parts.items and block in ("intro", "summary", "options") else block
    _items(reading, parts)
    scores.fill(reading, parts, source)
    entry = reading.entry
    entry.setdefault("rights", {"text": RIGHTS, "source": [source]})
    if "kind" not in entry:
        told = f"{reading.name} {entry.get('summary', '')}"
        kinds = [kind for kind, pattern in _KINDS.items() if re.search(pattern, told, re.IGNORECASE)]
        if len(kinds) == 1:
            entry["kind"] = kinds[0]
            reading.note(reading.line, f"read as kind {kinds[0]} from the name or summary")


def _block(reading: Reading, piece: Piece, block: str) -> tuple[str, Piece | None]:
    """Return the block that a piece belongs to, and what is left of it behind its label."""
    head, colon, rest = piece.text.partition(":")
    named = field_of(piece.text if piece.heading else head, "instrument") if piece.heading or colon else ""
    if piece.mark and piece.mark.text:
        named = ""
    if named == "reverse" and rest.strip():
        return block, piece
    if named:
        reading.took(piece.lines, named)
        return named, piece._replace(text=rest.strip(), heading=0, mark=None) if rest.strip() else None
    if piece.heading:
        reading.passed(piece.lines, "a heading that is no label of an instrument")
        return "", None
    return block, piece


def _special(reading: Reading, piece: Piece, parts: scores.Parts) -> bool:
    """Read what can stand anywhere: lists of reversed items and footnotes on the reverse mark."""
    if found := _REVERSE_LIST.match(piece.text):
        numbers = scores.numbers(found["list"])
        if numbers is None:
            reading.fault(piece.line, f"reversed items {found['list']!r} are no list of numbers", "write 'Reverse-scored: 2, 4, 6'")
        else:
            parts.reversed.update((n, piece.line) for n, _ in numbers)
            reading.took(piece.lines, "items.reverse")
        return True
    if _FOOTNOTE.match(piece.text) or (piece.mark and piece.mark.bullet == "*" and re.match(r"=?\s*reverse", piece.text, re.IGNORECASE)):
        reading.took(piece.lines, "items.reverse")
        return True
    return False


def _place(reading: Reading, piece: Piece, block: str, parts: scores.Parts) -> None:
    number = int(piece.mark.text) if piece.mark and piece.mark.text.isdigit() else None
    options = _options(piece.text, block)
    if block == "reverse" and (listed := scores.numbers(piece.text)) is not None:
        parts.reversed.update((n, piece.line) for n, _ in listed)
        return reading.took(piece.lines, "items.reverse")
    if number is not None and not _is_option(number, block, parts):
        parts.items.append((number, piece))
        return reading.took(piece.lines, f"items.i{number}")
    if block in ("options", "intro", "summary", "items") and len(options) > (block != "options" and not _next(options, parts)):
        parts.options += [(n, label, piece.line) for n, label in options]
        return reading.took(piece.lines, "options")
    if block == "options":
        if number is not None:
            parts.options.append((float(number), piece.text.strip(" ,;."), piece.line))
            return reading.took(piece.lines, "options")
        if found := _LONE_OPTION.match(piece.text):
            parts.options.append((float(found["n"]), found["label"].strip(" ,;."), piece.line))
            return reading.took(piece.lines, "options")
    if scores.read(reading, piece, block, parts):
        return None
    return _text(reading, piece, block)


def _options(text: str, block: str) -> list[tuple[float, str]]:
    """Read "0 = never; 1 = often"; below a label for answers also "0 (never), 1 (often)" and "never (0), often (1)"."""
    found = [(m["n"], m["label"]) for m in _OPTION.finditer(text)]
    if not found and block == "options":
        found = [(m["n"] or m["n_"], m["label"] or m["label_"]) for m in _BRACKETED.finditer(text)]
    return [(float(n), label.strip(" ,;.")) for n, label in found]


def _next(options: list[tuple[float, str]], parts: scores.Parts) -> bool:
    return bool(options and parts.options) and options[0][0] == parts.options[-1][0] + 1


def _is_option(number: int, block: str, parts: scores.Parts) -> bool:
    """In a block of answers a number goes on with the answers until it falls back to 1."""
    return block == "options" and not parts.items and (not parts.options or number == parts.options[-1][0] + 1)


def _text(reading: Reading, piece: Piece, block: str) -> None:
    entry = reading.entry
    if found := _PERIOD.search(piece.text) if block in ("intro", "summary") else None:
        entry.setdefault("period", found["period"])
        reading.where.setdefault(("period",), piece.line)
    if block in _TEXTS:
        entry[block] = f"{entry.get(block, '')} {piece.text}".strip() if block == "summary" else piece.text.strip()
    elif block == "intro":
        entry.setdefault("intro", []).append(piece.text)
    elif block == "limits":
        entry.setdefault("limits", []).append(piece.text)
    elif block == "kind":
        entry["kind"] = slug(piece.text)
    elif block == "rights":
        entry["rights"] = {"text": piece.text, "source": list(entry["source"])}
    elif block == "ages" and (ages := re.search(r"(\d+)\s*(?:-|–|to)\s*(\d+)", piece.text)):
        entry["ages"] = [int(ages[1]), int(ages[2])]
    else:
        return reading.passed(piece.lines, f"no {block.rstrip('s') or 'labelled passage'} in a form that is read")
    return reading.took(piece.lines, block, (block,))


def _items(reading: Reading, parts: scores.Parts) -> None:
    keys = {piece.mark.bullet for _, piece in parts.items if piece.mark}
    keyed = "+" in keys and bool(keys & {"-", "–", "−"})
    found: list[dict[str, Any]] = []
    for n, piece in parts.items:
        if n != len(found) + 1:
            what = "a second time" if n <= len(found) else f"after {len(found)}"
            reading.fault(piece.line, f"item {n} {what}", "number items from 1 without gaps; a second list needs a heading of its own")
            break
        text, reverse = _item(piece.text, piece.mark or Mark(""), keyed)
        reading.where["items", len(found)] = piece.line
        found.append({"id": f"i{n}", "asks": text} | ({"reverse": True} if reverse or n in parts.reversed else {}))
    for n, line in parts.reversed.items():
        if n > len(parts.items):
            reading.fault(line, f"reversed item {n}, but the text has {len(parts.items)} items", "mend the number, or add the item")
    if found:
        reading.entry["items"] = found
    else:
        reading.fault(reading.line, "no numbered items under this heading", "number them 1., 2., … each on a line of its own")


def _item(text: str, mark: Mark, keyed: bool) -> tuple[str, bool]:
    text = _GRID.sub("", text)
    reverse = mark.reverse or (keyed and mark.bullet in ("-", "–", "−"))
    if _REVERSED.search(text):
        return _REVERSED.sub("", text).strip(), True
    return _PLUS.sub("", text).strip(), reverse
