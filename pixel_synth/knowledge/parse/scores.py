"""Scoring of an inventory: scales over items, methods, and the bands of a score."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from pixel_synth.knowledge.parse.layout import Piece
from pixel_synth.knowledge.parse.result import Reading, slug

_DASH = r"(?:-|–|—|to)"
_LIST = re.compile(rf"(?:items?\s+)?\d{{1,3}}R?(?:\s*(?:,|;|\band\b|{_DASH})\s*\d{{1,3}}R?)*\s*\.?", re.IGNORECASE)
_SCALE = re.compile(
    r"^(?P<name>[^\d\W][^:=]{1,80}?)\s*(?:\((?P<method>sum|mean|average|max|highest)[^)]*\))?\s*[:=]\s*(?P<list>.+)$", re.IGNORECASE
)
_NUM = r"-?\d+(?:\.\d+)?"
_TO, _LABEL = r"(?: points?)?\s*[:=,–—-]?\s*", r"(?P<label>[^\d\W].*)"
_WHOSE, _WORD = r"(?:(?P<scale>[^\d\W][^:\d≥>]*?)[:,]?\s+)??", r"(?P<scale>)(?P<label>[^\d\W][^:\d(]*?)\s*[:(=]\s*"
_BANDS: tuple[re.Pattern[str], ...] = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"^{_WHOSE}(?P<low>{_NUM})\s*{_DASH}\s*(?P<high>{_NUM}){_TO}{_LABEL}$",
        rf"^{_WHOSE}(?:≥|>=|at least)\s*(?P<low>{_NUM})(?P<high>){_TO}{_LABEL}$",
        rf"^{_WHOSE}(?P<low>{_NUM})(?P<high>)\s*(?:\+|(?:points? )?(?:or|and) (?:more|above|over|higher)){_TO}{_LABEL}$",
        rf"^{_WORD}(?P<low>{_NUM})\s*{_DASH}\s*(?P<high>{_NUM})\)?$",
        rf"^{_WORD}(?:≥|>=|at least)?\s*(?P<low>{_NUM})(?P<high>)\s*(?:\+|or more|and above|or above|or higher)?\)?$",
    )
)
_SUM, _MEAN, _MAX = r"\b(?:sum|summed|add(?:ed|ing)?|total)\b", r"\b(?:mean|average[sd]?)\b", r"\b(?:maximum|highest)\b"
_COUNT = re.compile(r"\b(?:number|count)\b[^.]*\bitems?\b[^.\d]*(?P<n>\d+) or (?:more|higher|above)", re.IGNORECASE)


@dataclass
class Parts:
    """What was read of an instrument, before it is put together; numbers are 1-based item numbers, lines 1-based."""

    items: list[tuple[int, Piece]] = field(default_factory=list)
    options: list[tuple[float, str, int]] = field(default_factory=list)
    reversed: dict[int, int] = field(default_factory=dict)
    scales: list[tuple[str, list[int], str, int]] = field(default_factory=list)
    bands: list[tuple[str, float, float | None, str, int]] = field(default_factory=list)
    scoring: list[tuple[str, int]] = field(default_factory=list)


def numbers(text: str) -> list[tuple[int, bool]] | None:
    """Return item numbers with their reverse marks ("1, 3-5, 7R"), or None where the text is no such list."""
    if not _LIST.fullmatch(text.strip()):
        return None
    found: list[tuple[int, bool]] = []
    for low, high, mark in re.findall(rf"(\d+)(?:\s*{_DASH}\s*(\d+))?(R?)", text, re.IGNORECASE):
        if int(high or low) - int(low) > 500:
            return None
        found += [(n, bool(mark)) for n in range(int(low), int(high or low) + 1)]
    return found


def read(reading: Reading, piece: Piece, block: str, parts: Parts) -> bool:
    """Read a piece as a scale, a band or a scoring rule; whether it was one."""
    if block in ("bands", "scoring") and (band := _band(piece.text)) and (block == "bands" or not band[0]):
        parts.bands += [(*band, piece.line)]
        reading.took(piece.lines, "bands")
    elif (
        block not in ("summary", "intro", "bands")
        and (found := _SCALE.match(piece.text))
        and (listed := numbers(found["list"]) or (found["list"].strip().lower().rstrip(".") == "all items" and [(0, False)]))
    ):
        name = found["name"].strip()
        parts.scales.append((name, [n for n, _ in listed], (found["method"] or "").lower(), piece.line))
        parts.reversed.update((n, piece.line) for n, mark in listed if mark)
        reading.took(piece.lines, f"scales.{slug(name)}")
    elif block == "scoring" and (_COUNT.search(piece.text) or re.search(f"{_SUM}|{_MEAN}|{_MAX}", piece.text, re.IGNORECASE)):
        parts.scoring.append((piece.text, piece.line))
        reading.took(piece.lines, "scales.method")
    elif block == "scales":
        reading.fault(piece.line, f"no scale in {piece.text[:50]!r}", "write 'Name: 1, 3, 5R', with numbers of items")
    elif block == "bands":
        reading.fault(piece.line, f"no range in {piece.text[:50]!r}", "write '10-14 moderate' or '15 or more: severe'")
    else:
        return False
    return True


def _band(text: str) -> tuple[str, float, float | None, str] | None:
    found = next((m for form in _BANDS if (m := form.match(text.strip().rstrip(".;,")))), None)
    if not found:
        return None
    return (found["scale"] or "").strip(), float(found["low"]), float(found["high"]) if found["high"] else None, found["label"].strip()


def _method(text: str) -> dict[str, Any]:
    if found := _COUNT.search(text):
        return {"method": "count", "threshold": float(found["n"])}
    for method, pattern in (("mean", _MEAN), ("sum", _SUM), ("max", _MAX)):
        if re.search(pattern, text, re.IGNORECASE):
            return {"method": method}
    return {"method": "max"} if text == "max" else {}


def fill(reading: Reading, parts: Parts, source: str) -> None:
    """Put options, scales and bands into the entry; contradictions are faults, an unsaid method is missing."""
    entry = reading.entry
    if parts.options:
        entry["options"] = [{"points": points, "label": label} for points, label, _ in parts.options]
        reading.where.update({("options", i): line for i, (_, _, line) in enumerate(parts.options)})
        if len({points for points, _, _ in parts.options}) != len(parts.options):
            reading.fault(parts.options[0][2], "two answers with the same points", "give each answer points of its own")
    else:
        reading.missing.append("options")
    common = _method(" ".join(text for text, _ in parts.scoring))
    scales: list[dict[str, Any]] = []
    for name, listed, method, line in parts.scales:
        if outside := [n for n in listed if n > len(parts.items)]:
            reading.fault(
                line,
                f"scale {name!r} names item {outside[0]}, but the text has {len(parts.items)} items",
                "mend the number, or add the item",
            )
        how = _method(method) if method else common
        if not how:
            reading.missing.append(f"scales ({slug(name)}).method: line {line} does not say sum or mean")
        reading.where["scales", len(scales)] = line
        scales.append({"id": slug(name), "name": name, **({"items": [f"i{n}" for n in listed]} if listed != [0] else {}), **how})
    total = any("total" in text.lower() for text, _ in parts.scoring) or any(not band[0] for band in parts.bands)
    if common and (not scales or (total and len(scales) > 1 and "total" not in {s["id"] for s in scales})):
        scales.append({"id": "total", "name": "Total", **common})
    if scales:
        entry["scales"] = scales
    _bands(reading, parts, scales, source)


def _bands(reading: Reading, parts: Parts, scales: list[dict[str, Any]], source: str) -> None:
    found: list[dict[str, Any]] = []
    points = [p for p, _, _ in parts.options]
    for name, low, high, label, line in parts.bands:
        scale = next((s for s in scales if s["id"] == slug(name)), None) if name else _whole(scales)
        if scale is None:
            known = ", ".join(s["name"] for s in scales) or "none"
            reading.fault(line, f"a range of {name or 'a total'!r}, which is no scale (scales: {known})", "name the scale as under Scales")
            continue
        top = _highest(scale, len(parts.items), points)
        if high is None and top is None:
            reading.fault(line, f"'{label}' is open upwards and the highest score is unknown", "give the answer scale, or the range's end")
            continue
        high = top if high is None else high
        if high is None or low > high or (top is not None and high > top):
            reading.fault(
                line, f"'{label}' goes from {low:g} to {high:g}; the highest score of {scale['name']!r} is {top}", "mend the range"
            )
            continue
        if any(b["scale"] == scale["id"] and b["low"] <= high and low <= b["high"] for b in found):
            reading.fault(line, f"'{label}' ({low:g}-{high:g}) overlaps another range of {scale['name']!r}", "mend the range")
            continue
        reading.where["bands", len(found)] = line
        found.append({"scale": scale["id"], "low": low, "high": high, "label": label, "source": [source]})
    if found:
        reading.entry["bands"] = found


def _whole(scales: list[dict[str, Any]]) -> dict[str, Any] | None:
    return scales[0] if len(scales) == 1 else next((s for s in scales if s["id"] == "total"), None)


def _highest(scale: dict[str, Any], items: int, points: list[float]) -> float | None:
    if not points or "method" not in scale:
        return None
    n = len(scale.get("items", ())) or items
    return {"sum": n * max(points), "count": float(n)}.get(scale["method"], max(points))
