"""A section with criteria to the pieces of a `Disorder`: criteria, count rules, durations, ages, specifiers, severity, codes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from pixel_synth.knowledge.parse import meaning, wording
from pixel_synth.knowledge.parse.headings import criteria_heading, field_of
from pixel_synth.knowledge.parse.layout import Piece
from pixel_synth.knowledge.parse.outline import Node, Outline
from pixel_synth.knowledge.parse.result import SOURCE_KEY, Reading, slug

_TALK = ("criteria.*.cues and criteria.*.beats: three ways of telling, one guarded", "formulation, or client: reference with why_reference")
_NAMED = re.compile(r"^(?P<name>[^:]{2,120}?)\s*(?::|\s[–—-]\s)\s*(?P<text>\S.*)$")
_SEVERITY = re.compile(r"^\W*(?P<level>mild|moderate|severe|extreme|profound)\b\s*(?:[:,–—-]|\(|$)\s*(?P<text>.*)$", re.IGNORECASE)
_SPAN = re.compile(rf"\b({wording.N})(?:\s*(?:-|–|to|or)\s*({wording.N}|more))? (?:or more )?(?:symptoms|criteria|signs)\b", re.IGNORECASE)
_CLAIMS = ("onset", "prevalence", "culture", "gender", "risk_note")
_BEFORE = ("summary", "chapter", "code")  # labels that can stand above the first criterion
_LIMIT = 900


def read_disorder(reading: Reading, body: Sequence[Piece]) -> None:
    """Fill a reading from a section's pieces; what the text does not say stays out of the entry."""
    outline, block = Outline(reading), "criteria"
    extra: dict[str, list[Piece]] = {"specifiers": [], "severity": []}
    for i, piece in enumerate(body):
        label, rest = _label(piece)
        if label == "note":
            _note(reading, outline, piece._replace(text=f"Note: {rest}"))
            continue
        if label == "prose":
            reading.passed(piece.lines, "prose: no field of the model")
            block = label
            continue
        if label:
            reading.took(piece.lines, label)
            block = label
            if label == "criteria":
                _codes(reading, piece)
            if not rest:
                continue
            piece = piece._replace(text=rest, mark=None)
        begins = piece.mark is not None and block in _BEFORE and not outline.top
        if begins or (block in extra and _lettered(piece)):
            block = "criteria"
        if block == "criteria":
            _criterion(reading, outline, piece, body[i + 1 : i + 2])
        elif block in extra:
            extra[block].append(piece)
        elif block == "code":
            _codes(reading, piece)
        else:
            _prose(reading, block, piece)
    if not outline.top:
        reading.fault(
            reading.line, "no criteria under this heading", "mark them A., B., … or number them below a sentence that says how many"
        )
    _fill(reading, outline)
    _specifiers(reading, extra["specifiers"])
    _severity(reading, extra["severity"])
    reading.missing += _TALK


def _lettered(piece: Piece) -> bool:
    return bool(piece.mark and re.fullmatch("[A-Z]", piece.mark.text))


def _label(piece: Piece) -> tuple[str, str]:
    if piece.heading:
        return ("criteria", "") if criteria_heading(piece.text) else (field_of(piece.text, "disorder") or "prose", "")
    head, colon, rest = piece.text.partition(":")
    return (field_of(head, "disorder"), rest.strip()) if colon and not (piece.mark and piece.mark.text) else ("", piece.text)


def _codes(reading: Reading, piece: Piece) -> None:
    found = meaning.codes(piece.text)
    reading.took(piece.lines, "icd10cm", ("icd10cm",))
    if found:
        reading.entry.setdefault("icd10cm", found[0])
    if len(found) > 1:
        reading.note(piece.line, f"several codes; {found[0]} taken, not {', '.join(found[1:])}")


def _criterion(reading: Reading, outline: Outline, piece: Piece, after: Sequence[Piece]) -> None:
    if piece.mark:
        if not piece.mark.text and not outline.top:
            return reading.passed(piece.lines, "a bullet before the first criterion")
        return outline.add(piece)
    listed = after and after[0].mark and after[0].mark.text.lower() in ("1", "a", "")
    if not outline.top and listed and not (after[0].mark and after[0].mark.text == "A"):
        return outline.lead_in(piece)
    last = outline.last
    if last and not re.search(r"[.!?]$", last.text) and re.fullmatch(r"(?:and|or|and/or)[.:]?", piece.text, re.IGNORECASE):
        return reading.took(piece.lines, f"criteria.{last.id}")
    return reading.passed(piece.lines, "a paragraph without a mark" if outline.top else "text before the first criterion")


def _note(reading: Reading, outline: Outline, piece: Piece) -> None:
    about_count = re.search(r"\b(?:required|needed|enough|sufficient)\b", piece.text)
    node = outline.last
    if node and about_count and outline.lead and wording.count(node.text, 1) is None:
        node = outline.lead
    if node is None:
        return reading.passed(piece.lines, "a note before the first criterion")
    node.text = f"{node.text} {piece.text}".strip()
    node.lines = (*node.lines, *piece.lines)
    return reading.took(piece.lines, f"criteria.{node.id}")


def _prose(reading: Reading, block: str, piece: Piece) -> None:
    if block in ("summary", "chapter"):
        reading.took(piece.lines, block, (block,))
        reading.entry[block] = f"{reading.entry.get(block, '')} {piece.text}".strip()
        if block == "chapter":
            reading.entry[block] = slug(reading.entry[block])
    elif block in _CLAIMS:
        if len(piece.text) > _LIMIT:
            return reading.passed(piece.lines, f"a paragraph of more than {_LIMIT} characters for {block}")
        reading.took(piece.lines, block, (block,))
        claim = {"text": piece.text, "source": [SOURCE_KEY]}
        if block not in ("onset", "risk_note"):
            reading.entry.setdefault(block, []).append(claim)
        elif block in reading.entry:
            reading.entry[block]["text"] += f" {piece.text}"
        else:
            reading.entry[block] = claim
    else:
        reading.passed(piece.lines, "prose: no field of the model")
    return None


# ------------------------------------------------------------------------------------------------- criteria and rules


def _fill(reading: Reading, outline: Outline) -> None:
    entry = reading.entry
    criteria: list[dict[str, Any]] = []
    rules: list[dict[str, Any]] = []
    alone: list[str] = []
    for top in outline.top:
        for node in top.walk():
            if node.children:
                rules += _rule(reading, node)
                continue
            reading.where["criteria", len(criteria)] = node.lines[0]
            criteria.append(_piece(reading, node, outline))
            if len(node.path) == 1:
                alone.append(node.id)
    if alone:
        rules.append({"id": "conditions", "of": alone, "at_least": len(alone)})
    if criteria:
        entry["criteria"] = criteria
        entry |= {"rules": rules} if rules else {}
        _times(reading, [n for top in outline.top for n in top.walk()])


def _piece(reading: Reading, node: Node, outline: Outline) -> dict[str, Any]:
    kind = meaning.kind(node.text)
    if kind == "symptom" and len(node.path) > 1:
        above = meaning.kind(outline.top[node.path[0] - 1].text)
        kind = above if above in ("exposure", "exclusion") else kind
    found: dict[str, Any] = {"id": node.id, "kind": kind, "text": node.text}
    if kind == "exclusion":
        if ids := meaning.unless(node.text):
            found["unless"] = list(ids)
        else:
            reading.note(node.lines[0], f"the exclusion {node.id} names no circumstance that is known")
    return found


def _rule(reading: Reading, node: Node) -> list[dict[str, Any]]:
    count = wording.count(node.text, len(node.children))
    ids = [child.id for child in node.children]
    if count is None:
        reading.missing.append(f"rules ({node.id}).at_least: line {node.lines[0]} does not say how many of {ids[0]} to {ids[-1]}")
        return []
    rule: dict[str, Any] = {"id": node.id, "of": ids, "at_least": count.at_least, "note": node.text}
    if outside := [n for n in count.among if not 1 <= n <= len(ids)]:
        reading.fault(node.lines[0], f"criterion {node.id} names item {outside[0]} of {len(ids)}", "mend the number, or add the item")
    elif count.among:
        rule["any_of"] = [ids[n - 1] for n in count.among]
    if not 1 <= count.at_least <= len(ids):
        reading.fault(
            node.lines[0], f"criterion {node.id} asks for {count.at_least} of {len(ids)} items", "mend the number, or add the items"
        )
        return []
    if count.child:
        rule["child"] = {"under": count.child[0], "at_least": count.child[1]}
        if str(count.child[0]) not in node.text and str(count.child[0] - 1) not in node.text:
            reading.note(node.lines[0], f"the young without an age: read as under {count.child[0]}")
    return [rule]


def _times(reading: Reading, nodes: list[Node]) -> None:
    """Durations and ages of the whole disorder, from the first passage that sets them, duration criteria before others."""
    entry = reading.entry
    told = [n for n in nodes if meaning.kind(n.text) != "exclusion"]
    sets = [(n, d) for n in told if (d := wording.duration(n.text)) != wording.Duration()]
    sets.sort(key=lambda pair: meaning.kind(pair[0].text) != "duration")
    if sets:
        node, chosen = sets[0]
        entry["min_duration_days"] = chosen.least or 0
        if chosen.most is not None:
            entry["max_duration_days"] = chosen.most
        if chosen.child:
            entry["child_duration"] = {"under": chosen.child[0], "days": chosen.child[1]}
        for other, d in sets[1:]:
            if d != chosen:
                reading.note(other.lines[0], f"another duration in {other.id}; that of {node.id} (line {node.lines[0]}) is taken")
    elif any(wording.names_time(n.text) for n in told):
        reading.missing.append("min_duration_days: the text names spans of time, but none as a duration")
    else:
        entry["min_duration_days"] = 0
    for key, read in (("max_onset_age", wording.onset_age), ("min_age", wording.youngest_age)):
        age = next((a for n in told if (a := read(n.text)) is not None), None)
        if age is not None:
            entry[key] = age


# ------------------------------------------------------------------------------------------------- specifiers and severity


def _specifiers(reading: Reading, pieces: Sequence[Piece]) -> None:
    found: list[dict[str, Any]] = []
    for piece in pieces:
        listed = meaning.codes(piece.text)
        text = meaning.without_codes(piece.text) if listed else piece.text
        named = _NAMED.match(text)
        name, told = (named["name"].strip(), named["text"]) if named else (text.rstrip("."), text)
        id = slug(name)
        if len(name) > 120 or not id:
            reading.passed(piece.lines, "no specifier's name before a colon")
            continue
        if id in {s["id"] for s in found}:
            reading.fault(piece.line, f"specifier {name!r} a second time", "name each specifier once")
            continue
        reading.took(piece.lines, f"specifiers.{id}", ("specifiers", len(found)))
        found.append({"id": id, "name": name, "text": told})
        if listed:
            reading.entry.setdefault("icd10cm_by", {})[id] = listed[0]
    if found:
        reading.entry["specifiers"] = found


def _severity(reading: Reading, pieces: Sequence[Piece]) -> None:
    ranges: dict[str, tuple[int, int]] = {}
    rule = max((r for r in reading.entry.get("rules", ()) if r["id"] != "conditions"), key=lambda r: len(r["of"]), default=None)
    for piece in pieces:
        listed = meaning.codes(piece.text)
        found = _SEVERITY.match(meaning.without_codes(piece.text) if listed else piece.text)
        level = found["level"].lower() if found else ""
        if not found or level not in ("mild", "moderate", "severe"):
            reading.passed(
                piece.lines, f"severity {level!r} is not one of mild, moderate, severe" if level else "no severity before a colon"
            )
            continue
        text = found["text"].strip().rstrip(")") if found["text"].count(")") > found["text"].count("(") else found["text"].strip()
        reading.took(piece.lines, f"severity.{level}", ("severity", level))
        if listed:
            reading.entry.setdefault("icd10cm_by", {})[level] = listed[0]
        if text:
            reading.entry.setdefault("severity", {})[level] = text
        if span := _SPAN.search(text):
            high = span[2] or ("more" if "or more" in span[0] else span[1])
            top = len(rule["of"]) if rule and high == "more" else wording.number(high) if high != "more" else 0
            ranges[level] = (wording.number(span[1]), top)
    if rule and len(ranges) == 3:
        reading.entry["severity_by_count"] = {"rule": rule["id"], **{level: list(span) for level, span in ranges.items()}}
