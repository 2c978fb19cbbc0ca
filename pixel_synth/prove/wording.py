"""Showing a diff: the summary of two versions, and single records word by word."""

from __future__ import annotations

import difflib
import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from pixel_synth.prove.diff import Change, Diff, Reader, flat
from pixel_synth.prove.shift import Shift

CONTEXT = 8  # words around a change
LONGEST = 20_000  # words of a text that are still compared word by word
ROWS = 12  # fields, or values of a dimension, that the summary lists


def summary(found: Diff) -> Iterator[str]:
    """Yield the lines of the summary."""
    yield f"{found.a}  {found.a_records:,} records"
    yield f"{found.b}  {found.b_records:,} records"
    if found.equal:
        yield "equal: the same records in the same splits"
        return
    counts = {"added": found.added, "removed": found.removed, "changed": found.changed, "moved": found.moved}
    yield ", ".join([f"{found.same:,} the same", *(f"{len(ids):,} {name}" for name, ids in counts.items())])
    rows = list(found.fields.items())
    for name, n in rows[:ROWS]:
        yield f"  changed {name:<36} {n:>9,}"
    if len(rows) > ROWS:
        yield f"  and {len(rows) - ROWS} more fields"
    for (before, after), n in sorted(Counter((b, a) for _, b, a in found.moved).items()):
        warning = "  was tested on, is trained on now" if (before, after) == ("test", "train") else ""
        yield f"  moved {before} -> {after} {n:,}{warning}"
    yield from _shifts(found)
    yield from _shares(found)


def _shifts(found: Diff) -> Iterator[str]:
    rows = [s for s in found.shifts if s.difference != 0 or s.a_n != s.b_n]
    if rows:
        yield ""
        yield f"{'mean per record':<34} {'before':>9} {'after':>9}   difference [95% interval]"
    for s in rows:
        before, after = (f"{v:9.3f}" if v is not None else f"{'–':>9}" for v in (s.a, s.b))
        yield f"{s.metric:<34} {before} {after}   {_told(s)}"


def _told(s: Shift) -> str:
    if s.difference is None or s.low is None or s.high is None:
        return s.reason
    return f"{s.difference:+.3f} [{s.low:+.3f}, {s.high:+.3f}]{'  shifted' if s.moved else ''}"


def _shares(found: Diff) -> Iterator[str]:
    rows = [s for s in found.shares if s.a != s.b]
    if rows:
        yield ""
        yield f"{'records':<44} {'before':>9} {'after':>9}"
    for dimension in dict.fromkeys(s.dimension for s in rows):
        group = [s for s in rows if s.dimension == dimension]
        for s in group[:ROWS]:
            yield f"{dimension:<10} {s.value or '(none)':<33} {s.a:>9,} {s.b:>9,}"
        if len(group) > ROWS:
            yield f"{dimension:<10} and {len(group) - ROWS} more values"


def as_dict(found: Diff) -> dict[str, Any]:
    """Return the diff as JSON values."""
    return {
        "a": {"path": str(found.a), "records": found.a_records},
        "b": {"path": str(found.b), "records": found.b_records},
        "equal": found.equal,
        "same": found.same,
        "added": list(found.added),
        "removed": list(found.removed),
        "changed": [{"id": c.id, "fields": list(c.fields)} for c in found.changed],
        "moved": [{"id": id, "from": before, "to": after} for id, before, after in found.moved],
        "fields": found.fields,
        "shifts": [{**s.model_dump(), "moved": s.moved} for s in found.shifts],
        "shares": [s._asdict() for s in found.shares],
        "tokens": None,
        "tokens_reason": "records hold no token counts; words are counted",
    }


def record_lines(change: Change, read: Reader) -> Iterator[str]:
    """Yield what changed in one record, field by field, texts word by word."""
    a, b = (flat(read(spot)) for spot in (change.a, change.b))
    yield f"── {change.id} · {change.a[0].stem} -> {change.b[0].stem}"
    for field in change.fields:
        yield f"{field}:"
        yield from (f"   {line}" for line in words(_text(a.get(field)), _text(b.get(field))).splitlines())


def words(a: str, b: str) -> str:
    """Return both texts in one: ``[-what went-]{+what came+}``, as in git's plain word diff; long equal stretches become ``…``."""
    one, two = (re.findall(r"\s+|\S+", text) for text in (a, b))
    if len(one) + len(two) > 2 * LONGEST:
        return f"[-{len(one):,} words and spaces-]{{+{len(two):,}+}}: too long to compare word by word"
    parts: list[str] = []
    for what, i, j, k, m in difflib.SequenceMatcher(None, one, two, autojunk=False).get_opcodes():
        if what == "equal":
            parts.append(_short(one[i:j], first=not i, last=j == len(one)))
            continue
        parts += [f"[-{''.join(one[i:j])}-]"] if j > i else []
        parts += [f"{{+{''.join(two[k:m])}+}}"] if m > k else []
    return "".join(parts)


def _short(tokens: list[str], first: bool, last: bool) -> str:
    head, tail = ([] if first else tokens[: 2 * CONTEXT]), ([] if last else tokens[-2 * CONTEXT :])
    if len(head) + len(tail) >= len(tokens):
        return "".join(tokens)
    return "".join([*head, "…", *tail])


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and value and all(isinstance(v, dict) and v.keys() == {"role", "content"} for v in value):
        return "\n".join(f"{v['role']}: {v['content']}" for v in value)
    return json.dumps(value, ensure_ascii=False, sort_keys=True)
