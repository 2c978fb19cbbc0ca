"""How the entries of the base point to each other, as a list of typed edges, and the base in numbers.

Everything here is read off the packs; pages and pictures of it are made in `pixel_synth.publish.atlas`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from pixel_synth.knowledge.claims import statements
from pixel_synth.knowledge.language import texts
from pixel_synth.knowledge.load import Knowledge
from pixel_synth.knowledge.models import (
    Disorder,
    EdgeCase,
    Experience,
    Facet,
    Instrument,
    Modality,
    Organization,
    Population,
    Syndrome,
)
from pixel_synth.knowledge.pieces import Beat, Entry, Lead


class Edge(NamedTuple):
    """One entry points to another: ``source`` and ``target`` are "kind:id"."""

    source: str
    target: str
    relation: str


def _pointers(entry: Entry) -> Iterator[tuple[str, str]]:
    if isinstance(entry, Disorder):
        yield from (("differential", d.condition) for d in entry.differentials)
        yield from (("comorbid", id) for id in entry.comorbid)
        yield from (("excluded by", id) for c in entry.criteria for id in c.unless)
        yield from (("protocol", id) for id in entry.protocols)
    elif isinstance(entry, Modality):
        yield from (("indicated for", i.disorder) for i in entry.indications)
        yield from (("contraindicated", id) for c in entry.contraindications for id in (*c.disorders, *c.populations))
    elif isinstance(entry, Syndrome | Organization):
        yield from (("defends by", id) for id in entry.defenses)
    elif isinstance(entry, Experience | Instrument):
        yield from (("about", id) for id in entry.disorders)
    elif isinstance(entry, Facet):
        yield "part of", entry.domain
    elif isinstance(entry, EdgeCase):
        yield from (("turns on", id) for id in entry.rules)
    elif isinstance(entry, Population):
        yield from (("typical event", id) for id in entry.events)


def edges(knowledge: Knowledge) -> list[Edge]:
    """Return every pointer between entries once, in file order."""
    kind_of = {id: kind for kind, entries in knowledge.by_kind.items() for id in entries}
    found = []
    for kind, entries in knowledge.by_kind.items():
        for entry in entries.values():
            for relation, id in _pointers(entry):
                if id in kind_of:
                    found.append(Edge(f"{kind}:{entry.id}", f"{kind_of[id]}:{id}", relation))
    return list(dict.fromkeys(found))


def dot(found: Sequence[Edge]) -> str:
    """Return the edges in Graphviz' DOT language."""
    lines = [f'  "{e.source}" -> "{e.target}" [label="{e.relation}"];' for e in found]
    return "\n".join(["digraph knowledge {", "  rankdir=LR; node [shape=box, fontname=sans-serif];", *lines, "}"]) + "\n"


def mermaid(found: Sequence[Edge]) -> str:
    """Return the edges as a Mermaid flowchart."""
    name = {node: f"n{i}" for i, node in enumerate(dict.fromkeys(n for e in found for n in e[:2]))}
    nodes = [f'  {id}["{node.partition(":")[2].replace("_", " ")}"]' for node, id in name.items()]
    return "\n".join(["flowchart LR", *nodes, *(f"  {name[e.source]} -->|{e.relation}| {name[e.target]}" for e in found)]) + "\n"


def as_json(found: Sequence[Edge]) -> str:
    """Return the edges as a JSON list."""
    return json.dumps([e._asdict() for e in found], indent=1) + "\n"


class Count(NamedTuple):
    """One kind of entry in numbers; ``threads`` are beats and leads, ``lines`` talk lines."""

    kind: str
    entries: int
    threads: int
    lines: int
    claims: int
    pointed_to: int


TALK = frozenset("say hear ask asides openers says repairs".split())


def counts(knowledge: Knowledge) -> list[Count]:
    """Return the base in numbers, a row per kind that has entries."""
    claims = Counter(s.pack.kind for s in statements(knowledge))
    targets = {e.target for e in edges(knowledge)}
    rows = []
    for kind, entries in knowledge.by_kind.items():
        if entries:
            lines = sum(bool(TALK & set(key)) for entry in entries.values() for key, _ in texts(entry))
            threads = sum(_threads(entry) for entry in entries.values())
            rows.append(Count(kind, len(entries), threads, lines, claims[kind], sum(f"{kind}:{id}" in targets for id in entries)))
    return rows


def _threads(value: Any) -> int:
    if isinstance(value, Beat | Lead):
        return 1
    if isinstance(value, tuple):
        return sum(map(_threads, value))
    if hasattr(type(value), "model_fields"):
        return sum(_threads(getattr(value, name)) for name in type(value).model_fields)
    return 0


class Chapter(NamedTuple):
    """One chapter of the manual in numbers; ``treated`` counts disorders that some modality is indicated for."""

    chapter: str
    disorders: int
    criteria: int
    beats: int
    treated: int
    measured: int


def chapters(knowledge: Knowledge) -> list[Chapter]:
    """Return the manual's chapters in numbers, in the manual's order of the packs' literal."""
    from typing import get_args

    from pixel_synth.knowledge.models import Chapter as Names

    treated = {i.disorder for m in knowledge.all(Modality).values() for i in m.indications}
    measured = {id for i in knowledge.all(Instrument).values() for id in i.disorders}
    rows = []
    for name in get_args(Names):
        mine = [d for d in knowledge.all(Disorder).values() if d.chapter == name]
        rows.append(
            Chapter(
                name,
                len(mine),
                sum(len(d.criteria) for d in mine),
                sum(len(c.beats) for d in mine for c in d.criteria),
                sum(d.id in treated for d in mine),
                sum(d.id in measured for d in mine),
            )
        )
    return rows
