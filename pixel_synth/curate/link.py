"""Links between records of one dataset: whom a record is related to, why, and how alike their words are.

Kinds, in the order in which they are given out: ``preference`` (the same words of the client, in a preference and elsewhere),
``same_question``, ``edge_case`` (the same edge case was planned), ``compare`` (a generated and a real one of the same theme),
``condition`` (the same theme and similar words), ``similar`` (similar words).  Every link goes both ways; a record has at most `MOST`, of
each kind at most `EACH`.  The similarity is the TF-IDF cosine of what the clients say (`pixel_synth.curate.neighbours`).
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from pixel_synth.curate.enrich.vocabulary import vocabulary
from pixel_synth.curate.neighbours import Near, Texts, nearest
from pixel_synth.errors import RecordError
from pixel_synth.jsonl import conversations, whole
from pixel_synth.records import Conversation, Link, Record, stable_id

KINDS = ("preference", "same_question", "edge_case", "compare", "condition", "similar")
MOST, EACH = 5, 2
# Least cosine of a link.  Of random pairs of Counsel Chat questions 95% are below 0.08 and 99% below 0.15; the nearest neighbour of the
# middle question has 0.24 (docs/enrichment.md).
LEAST = {"compare": 0.08, "condition": 0.15, "similar": 0.2}


class Linked(Record):
    """What linking did: records read, records with a link, links (each counted once) by kind."""

    records: int
    linked: int
    links: Mapping[str, int]


class _Card(NamedTuple):
    """What linking knows of a record besides its words."""

    id: str
    theme: str
    generated: bool
    questions: tuple[str, ...]
    cases: tuple[str, ...]
    opening: str
    preference: bool


class _Edge(NamedTuple):
    kind: str
    a: int
    b: int
    similarity: float | None


def _card(c: Conversation, theme_of: Mapping[str, tuple[str, ...]]) -> _Card:
    features = c.blueprint.features if c.blueprint else ()
    first = next((m.content for m in c.messages if m.role == "user"), "")
    return _Card(
        c.id, theme_of.get(c.labels.topic, (c.labels.topic,))[0], c.provenance.source == "generated",
        tuple(g for g in c.groups if g.startswith("question:")), tuple(f for f in features if f.startswith("edge_case:")),
        stable_id(re.sub(r"\W+", " ", first.lower()).strip()), bool(c.dispreferred),
    )  # fmt: skip


def _rings(groups: Mapping[str, Sequence[int]], kind: str) -> Iterator[_Edge]:
    """Yield the edges that join each group to a chain: as many as members, at most two of each."""
    for key in sorted(groups):
        members = groups[key]
        yield from (_Edge(kind, min(a, b), max(a, b), None) for a, b in pairwise(members))


def _told(cards: Sequence[_Card]) -> Iterator[_Edge]:
    """Yield the relations that records state themselves."""
    openings: dict[str, list[int]] = defaultdict(list)
    questions: dict[str, list[int]] = defaultdict(list)
    cases: dict[str, list[int]] = defaultdict(list)
    for i in sorted(range(len(cards)), key=lambda i: cards[i].id):
        openings[cards[i].opening].append(i)
        for q in cards[i].questions:
            questions[q].append(i)
        for case in cards[i].cases:
            cases[case].append(i)
    shared = {k: v for k, v in openings.items() if any(cards[i].preference for i in v)}
    yield from _rings(shared, "preference")
    yield from _rings(questions, "same_question")
    yield from _rings(cases, "edge_case")


def _measured(cards: Sequence[_Card], vectors: Any) -> Iterator[_Edge]:
    """Yield the relations that the words show."""

    def edges(kind: str, near: Iterable[Near]) -> Iterator[_Edge]:
        return (_Edge(kind, n.a, n.b, n.similarity) for n in near if n.similarity >= LEAST[kind])

    first: dict[str, int] = {}  # answers to one question are no neighbours: they are same_question already
    sides = [first.setdefault(card.questions[0], i) if card.questions else i for i, card in enumerate(cards)]
    themes: dict[str, list[int]] = defaultdict(list)
    for i, card in enumerate(cards):
        if card.theme:
            themes[card.theme].append(i)
    for theme in sorted(themes):
        places = themes[theme]
        yield from edges("compare", nearest(vectors, places, EACH, [cards[i].generated for i in places]))
        yield from edges("condition", nearest(vectors, places, EACH + 1, [sides[i] for i in places]))
    yield from edges("similar", nearest(vectors, range(len(cards)), EACH + 1, sides))


def _chosen(edges: Iterable[_Edge], cards: Sequence[_Card]) -> dict[int, list[tuple[int, _Edge]]]:
    """Return the edges of each record after the bounds: kinds in order, the likest first, ties by id."""
    rank = {kind: i for i, kind in enumerate(KINDS)}
    ordered = sorted(edges, key=lambda e: (rank[e.kind], -(e.similarity or 0.0), *sorted((cards[e.a].id, cards[e.b].id))))
    kept: dict[int, list[tuple[int, _Edge]]] = defaultdict(list)
    of_kind: Counter[tuple[int, str]] = Counter()
    joined: set[tuple[int, int]] = set()
    for e in ordered:
        full = len(kept[e.a]) >= MOST or len(kept[e.b]) >= MOST
        if full or (e.a, e.b) in joined or of_kind[e.a, e.kind] >= EACH or of_kind[e.b, e.kind] >= EACH:
            continue
        joined.add((e.a, e.b))
        for one, far in ((e.a, e.b), (e.b, e.a)):
            kept[one].append((far, e))
            of_kind[one, e.kind] += 1
    return kept


def _similarity(vectors: Any, e: _Edge) -> float:
    return min(1.0, round(float((vectors[e.a] @ vectors[e.b].T).sum()), 4)) if e.similarity is None else e.similarity


def link(paths: Sequence[Path], out: Path, folder: Path | None = None, tick: Callable[[int], None] | None = None) -> Linked:
    """Write the records of files, in order, with their links; links that they had before of these kinds are made anew.

    Links that lead to a record that is not in the files are dropped, whoever made them.  Read twice, in bounded memory: a record's id,
    groups and stem counts are kept, some 500 bytes.

    Args:
        paths: JSONL files of records; ids must be distinct.
        out: JSONL file to write, as a whole.
        folder: Knowledge base, the shipped one by default.
        tick: Called with the number of records read, in both passes.

    Raises:
        RecordError: At a bad line, or when an id occurs twice.
    """
    theme_of = vocabulary(folder).theme_of
    texts, cards = Texts(), list[_Card]()
    tick = tick or (lambda _: None)
    for c in _all(paths):
        cards.append(_card(c, theme_of))
        texts.add(c.said("user") or c.said("assistant"))
        tick(len(cards))
    ids = {card.id for card in cards}
    if len(ids) != len(cards):
        twice = next(id for id, n in Counter(card.id for card in cards).items() if n > 1)
        raise RecordError(f"id {twice} occurs more than once in {', '.join(map(str, paths))}", hint="pixel-synth dedup first")
    vectors = texts.vectors()
    kept = _chosen((*_told(cards), *_measured(cards, vectors)), cards)
    counts: Counter[str] = Counter()
    linked = 0
    with whole(out) as file:
        for i, c in enumerate(_all(paths)):
            mine = [Link(id=cards[far].id, kind=e.kind, similarity=_similarity(vectors, e)) for far, e in kept.get(i, ())]
            counts.update(e.kind for far, e in kept.get(i, ()) if i < far)
            found = (*(old for old in prune(c.links, ids) if old.kind not in KINDS), *mine)
            linked += bool(found)
            file.write(c.model_copy(update={"links": found}).line() + "\n")
            tick(len(cards) + i + 1)
    return Linked(records=len(cards), linked=linked, links={kind: counts[kind] for kind in KINDS if counts[kind]})


def _all(paths: Sequence[Path]) -> Iterator[Conversation]:
    for path in paths:
        yield from conversations(path)


def prune(links: Iterable[Link], ids: Collection[str]) -> tuple[Link, ...]:
    """Return the links that lead to one of the ids; what a final set calls after records were left out."""
    return tuple(one for one in links if one.id in ids)
