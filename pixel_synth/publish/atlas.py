"""The knowledge base as static pages: numbers and pictures first, then one page an entry, linked wherever one points to another.

`write` needs no server and no network: open ``index.html``.  The circle shows every disorder in the manual's order with its
differentials as arcs; the map shows which modality is indicated for which disorder and how well that is supported.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from math import cos, pi, sin
from pathlib import Path
from typing import Any, NamedTuple, get_args

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from pixel_synth import __version__
from pixel_synth.knowledge import Knowledge
from pixel_synth.knowledge.graph import chapters, counts, edges
from pixel_synth.knowledge.load import Pack
from pixel_synth.knowledge.models import Chapter, Disorder, Modality
from pixel_synth.knowledge.pieces import Entry

SIZE, RADIUS = 1180, 360  # the circle's picture, in user units
ANY = {"tone", "stance", "level", "severity", "age"}
TALK = set("beats leads cues markers asides openers says reluctance formulation repairs mends intro ask".split())
STRENGTH = {"strong": 1.0, "moderate": 0.7, "emerging": 0.45, "adjunct": 0.3}


class Node(NamedTuple):
    """One disorder on the circle."""

    id: str
    name: str
    x: float
    y: float
    turn: float
    left: bool
    colour: str


def slug(kind: str, id: str) -> str:
    """Return the file name of an entry's page."""
    return f"{kind}.{id}.html"


def write(knowledge: Knowledge, folder: Path) -> int:
    """Write all pages below ``folder`` and return how many."""
    folder.mkdir(parents=True, exist_ok=True)
    found = edges(knowledge)
    back: dict[str, list[tuple[str, str]]] = {}
    for e in found:
        back.setdefault(e.target, []).append((e.relation, e.source))
    kind_of = {id: kind for kind, entries in knowledge.by_kind.items() for id in entries}
    pages = 0
    for pack in knowledge.packs:
        for entry in pack.entries:
            text = _templates().get_template("atlas_entry.html.j2").render(
                kind=pack.kind, entry=entry, rows=list(rows(entry, talk=False)),
                talk=list(rows(entry, talk=True)), sources=_sources(pack, entry), pack=pack.path.name,
                back=sorted(back.get(f"{pack.kind}:{entry.id}", [])), page=slug, kinds=kind_of, names=_names(knowledge),
            )  # fmt: skip
            (folder / slug(pack.kind, entry.id)).write_text(text, encoding="utf-8")
            pages += 1
    index = _templates().get_template("atlas_index.html.j2").render(
        version=__version__, counts=counts(knowledge), chapters=chapters(knowledge), page=slug, by_kind=knowledge.by_kind,
        circle=circle(knowledge), evidence=evidence(knowledge), size=SIZE,
    )  # fmt: skip
    (folder / "index.html").write_text(index, encoding="utf-8")
    return pages + 1


def rows(value: Any, talk: bool, depth: int = 0) -> Iterator[tuple[int, str, Any]]:
    """Yield (depth, field, value) of an entry for its page, either what it states or its ``talk``; empty fields are left out."""
    for name in type(value).model_fields:
        item = getattr(value, name)
        if name in ("id", "source") or item in ((), "", None, {}) or (name in ANY and item == "any") or (name in TALK and not talk):
            continue
        parts = item if isinstance(item, tuple) and hasattr(type(item[0]), "model_fields") else (item,)
        for part in parts:
            if hasattr(type(part), "model_fields"):
                inner = list(_all(part, depth + 1) if name in TALK else rows(part, talk, depth + 1))
                if inner:
                    yield depth, f"{name} · {getattr(part, 'id', '')}".rstrip(" ·"), None
                    yield from inner
            elif (name in TALK) == talk:
                yield depth, name, part


def _all(value: Any, depth: int) -> Iterator[tuple[int, str, Any]]:
    """Yield everything of a piece of talk."""
    for name in type(value).model_fields:
        item = getattr(value, name)
        if item in ((), "", None) or (name in ANY and item == "any"):
            continue
        if isinstance(item, tuple) and hasattr(type(item[0]), "model_fields"):
            for part in item:
                yield depth, name, None
                yield from _all(part, depth + 1)
        else:
            yield depth, name, item


def _names(knowledge: Knowledge) -> dict[str, str]:
    return {id: entry.name for entries in knowledge.by_kind.values() for id, entry in entries.items()}


def _sources(pack: Pack, entry: Entry) -> list[tuple[str, Any]]:
    from pixel_synth.knowledge.load import cited

    return [(key, pack.sources[key]) for key in dict.fromkeys(key for _, key in cited(entry)) if key in pack.sources]


def circle(knowledge: Knowledge) -> dict[str, Any]:
    """Return nodes and arcs of the picture of differentials."""
    order = {name: i for i, name in enumerate(get_args(Chapter))}
    disorders = sorted(knowledge.all(Disorder).values(), key=lambda d: (order[d.chapter], d.id))
    nodes = {}
    for i, d in enumerate(disorders):
        angle = 2 * pi * i / max(1, len(disorders))
        left = pi / 2 < angle < 3 * pi / 2
        turn = angle * 180 / pi + (180 if left else 0)
        x, y = SIZE / 2 + RADIUS * cos(angle), SIZE / 2 + RADIUS * sin(angle)
        nodes[d.id] = Node(d.id, d.name, round(x, 1), round(y, 1), round(turn, 1), left, _colour(order[d.chapter]))
    arcs = [(nodes[d.id], nodes[x.condition]) for d in disorders for x in d.differentials if x.condition in nodes]
    return {"nodes": list(nodes.values()), "arcs": arcs}


def evidence(knowledge: Knowledge) -> dict[str, Any]:
    """Return the map of indications: per disorder the modalities and how well the pair is supported (0–1)."""
    modalities = sorted(knowledge.all(Modality).values(), key=lambda m: m.id)
    levels = {(i.disorder, m.id): i.evidence for m in modalities for i in m.indications}
    grid = []
    for d in knowledge.all(Disorder).values():
        row = [(m, levels.get((d.id, m.id), "")) for m in modalities]
        if any(level for _, level in row):
            grid.append((d, [(m, level, STRENGTH.get(level, 0.0)) for m, level in row]))
    return {"modalities": modalities, "grid": grid}


def _colour(i: int) -> str:
    return f"hsl({(i * 137) % 360} 45% 42%)"


@lru_cache(maxsize=1)
def _templates() -> Environment:
    loader = FileSystemLoader(Path(__file__).parent / "templates")
    return Environment(loader=loader, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=True)
