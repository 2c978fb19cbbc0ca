"""Typed pieces back to text, in each of the layouts that the parser reads: to see what was read, and to prove the reading.

`render` takes what `parse_text` gives (or a model's ``model_dump``): a lead sentence is a rule whose id is the place of its list
("a" over a1, a2 …) with the sentence as ``note``.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from pixel_synth.errors import KnowledgeError
from pixel_synth.knowledge.parse.headings import LABELS
from pixel_synth.knowledge.parse.result import Kind


class Layout(NamedTuple):
    """How a text is set: heading, marks per depth (``{}`` takes the letter or number), label, wrapping and pages."""

    name: str
    heading: str
    marks: tuple[str, str, str]
    label: str = "{}:"
    bullet: str = "- "
    width: int = 0  # 0: one line per paragraph
    page: int = 0  # lines per page, 0: no pages
    capitals: bool = False


LAYOUTS: dict[str, Layout] = {
    layout.name: layout
    for layout in (
        Layout("manual", "{}", ("{}. ", "{}. ", "{}. "), width=76),
        Layout("markdown", "## {}", ("**{}.** ", "{}. ", "- "), label="**{}:**"),
        Layout("paged", "{}", ("({}) ", "({}) ", "({}) "), bullet="• ", width=58, page=24, capitals=True),
        Layout("labelled", "{kind}: {}", ("Criterion {}: ", "• ", "{}) "), bullet="• ", width=90),
    )
}
_RUNNING = "A private copy"


def render(kind: Kind, entry: Mapping[str, Any], layout: Layout | str = "manual") -> str:
    """Return an entry as text in a layout.

    Raises:
        KnowledgeError: For a layout that does not exist, or a rule that stands for no list ("a" over a1, a2 …).
    """
    if isinstance(layout, str):
        if layout not in LAYOUTS:
            raise KnowledgeError(f"no layout {layout!r}", hint=f"layouts: {', '.join(LAYOUTS)}")
        layout = LAYOUTS[layout]
    name = str(entry["name"])
    abbr = f" ({entry['abbr']})" if entry.get("abbr") else ""
    number = f" {entry['number']}" if kind == "capacity" else ""
    title = kind.capitalize() + number
    named = f"{name.upper() if layout.capitals else name}{abbr}"
    bodies = {"disorder": _disorder, "instrument": _instrument, "syndrome": _labelled, "capacity": _labelled}
    if kind == "capacity":
        named = f"{title}: {named}"
    head = layout.heading.format(named, kind=title) if kind != "capacity" else layout.heading.removeprefix("{kind}: ").format(named)
    blocks = [head, *bodies[kind](entry, layout, kind)]
    return _paged([line for block in blocks for line in (*_wrapped(block, layout.width), "")], layout)


def _disorder(entry: Mapping[str, Any], layout: Layout, kind: Kind) -> Iterator[str]:
    if entry.get("chapter"):
        yield f"{layout.label.format('Chapter')} {entry['chapter']}"
    if entry.get("summary"):
        yield f"{layout.label.format('Summary')} {entry['summary']}"
    yield f"Diagnostic Criteria {entry.get('icd10cm', '')}".strip()
    leads = {rule["id"]: rule for rule in entry["rules"] if rule["id"] != "conditions"}
    told = {c["id"]: c["text"] for c in entry["criteria"]} | {id: rule["note"] for id, rule in leads.items()}
    for id in sorted(told, key=lambda id: [int(p) if p.isdigit() else p for p in _path(id)]):
        path = _path(id)
        mark = path[-1].upper() if len(path) == 1 else path[-1]
        yield layout.marks[len(path) - 1].format(mark) + told[id]
    by_code = entry.get("icd10cm_by", {})
    if entry.get("specifiers"):
        yield layout.label.format("Specify if")
        for s in entry["specifiers"]:
            yield f"{layout.bullet}{_coded(by_code, s['id'])}" + (s["text"] if s["text"] == s["name"] else f"{s['name']}: {s['text']}")
    if entry.get("severity"):
        yield layout.label.format("Specify current severity")
        for level, text in entry["severity"].items():
            yield f"{layout.bullet}{_coded(by_code, level)}{level.capitalize()}: {text}"


def _path(id: str) -> list[str]:
    found = re.fullmatch(r"([a-z])(?:(\d+)([a-z])?)?", id)
    if not found:
        raise KnowledgeError(f"{id!r} is no place in a list of criteria", hint="ids such as a, a1, a1a")
    return [part for part in found.groups() if part]


def _coded(codes: Mapping[str, str], id: str) -> str:
    return f"{codes[id]} " if id in codes else ""


def _instrument(entry: Mapping[str, Any], layout: Layout, kind: Kind) -> Iterator[str]:
    label = layout.label.format
    for name, key in (("Summary", "summary"), ("Kind", "kind"), ("Period", "period"), ("Rights", "rights")):
        if key in entry:
            yield f"{label(name)} {entry[key]['text'] if key == 'rights' else entry[key]}"
    for text in entry.get("limits", ()):
        yield f"{label('Limits')} {text}"
    if "ages" in entry:
        yield f"{label('Ages')} {entry['ages'][0]}-{entry['ages'][1]}"
    yield f"{label('Answer scale')} " + "; ".join(f"{o['points']:g} = {o['label']}" for o in entry["options"])
    yield label("Items")
    for item in entry["items"]:
        yield f"{item['id'].removeprefix('i')}. {item['asks']}" + (" (R)" if item.get("reverse") else "")
    yield label("Scales")
    for scale in entry["scales"]:
        items = ", ".join(id.removeprefix("i") for id in scale.get("items", ())) or "all items"
        yield f"{scale['name']}: {items}" if scale.get("method") == "count" else f"{scale['name']} ({scale['method']}): {items}"
    for threshold in {s["threshold"] for s in entry["scales"] if s.get("method") == "count"}:
        yield f"{label('Scoring')} The number of items answered {threshold:g} or more."
    if entry.get("bands"):
        yield label("Cut-offs")
        names = {s["id"]: s["name"] for s in entry["scales"]}
        for band in entry["bands"]:
            yield f"{names[band['scale']]}: {band['low']:g}-{band['high']:g} {band['label']}"


def _labelled(entry: Mapping[str, Any], layout: Layout, kind: Kind) -> Iterator[str]:
    for field, labels in LABELS[kind].items():
        value = entry.get(field)
        if value is None or field == "number":
            continue
        name = labels[0].capitalize()
        if isinstance(value, str):
            yield f"{layout.label.format(name)} {value.replace('_', ' ') if field == 'domain' else value}"
        else:
            yield layout.label.format(name)
            for item in value:
                yield layout.bullet + (item.replace("_", " ") if field == "defenses" else item)


def _wrapped(block: str, width: int) -> Sequence[str]:
    if not width or len(block) <= width:
        return [block]
    lines = textwrap.wrap(block, width, break_on_hyphens=False, break_long_words=False)
    return _hyphenated(lines) if width < 60 else lines


def _hyphenated(lines: list[str]) -> list[str]:
    """Break the first long word of every second line at its end, as narrow columns do."""
    for i in range(1, len(lines), 2):
        word, _, rest = lines[i].partition(" ")
        if rest and re.fullmatch(r"[a-z]{12,}", word):
            lines[i - 1] += f" {word[:7]}-"
            lines[i] = f"{word[7:]} {rest}"
    return lines


def _paged(lines: list[str], layout: Layout) -> str:
    if not layout.page:
        return "\n".join(lines)
    if len(lines) <= layout.page:
        return "\n".join(lines)
    pages = [lines[i : i + layout.page] for i in range(0, len(lines), layout.page)]
    return "\f".join("\n".join([_RUNNING, "", *page, "", f"{_RUNNING} | {n}"]) + "\n" for n, page in enumerate(pages, 1))
