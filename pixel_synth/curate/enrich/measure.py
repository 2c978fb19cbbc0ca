"""How many records have a label, and how often a found one is right, held against labels that records bring along.

Sources: Wilson, E. B. (1927), Probable inference, the law of succession, and statistical inference, JASA 22, 209-212 (intervals).
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from pydantic import Field

from pixel_synth.calibrate.fit import wilson
from pixel_synth.curate.enrich.find import said
from pixel_synth.curate.enrich.label import enriched
from pixel_synth.curate.enrich.vocabulary import Vocabulary, vocabulary
from pixel_synth.records import Conversation, Labels, Record

FILLED = ("kind", "topic", "modality", "technique", "risk", "population", "traits", "complexity", "difficulty")
MEASURED = ("topic", "modality", "population", "risk")
Half = Literal["", "tune", "held"]


class Coverage:
    """Counts, by source, how many records have each label, and how many of those labels the record brought along."""

    def __init__(self) -> None:
        self.records: Counter[str] = Counter()
        self._have: Counter[tuple[str, str]] = Counter()
        self._brought: Counter[tuple[str, str]] = Counter()

    def add(self, before: Conversation, after: Conversation) -> None:
        """Count a record as it came and as it is now."""
        source = after.provenance.source
        self.records[source] += 1
        for name in FILLED:
            self._have[source, name] += bool(getattr(after.labels, name))
            self._brought[source, name] += bool(getattr(before.labels, name))

    def rows(self) -> list[tuple[str, str, int, int, int]]:
        """Return (source, label, records, brought along, found) in order."""
        return [
            (source, name, n, self._brought[source, name], self._have[source, name] - self._brought[source, name])
            for source, n in sorted(self.records.items())
            for name in FILLED
        ]


class Rate(Record):
    """Hits of how many, with the 95% Wilson interval; no value where there is none to count."""

    hits: int = Field(ge=0)
    of: int = Field(ge=0)

    def __str__(self) -> str:
        """Return the share with its interval and the counts."""
        if not self.of:
            return "– (0 of 0)"
        low, high = wilson(self.hits, self.of)
        return f"{self.hits / self.of:.3f} [{low:.3f}, {high:.3f}] ({self.hits} of {self.of})"


class Quality(Record):
    """How found labels of one kind fare against the labels that the records bring along.

    ``agreement`` counts right ones among all that have a label, ``coverage`` found ones among them, ``precision`` right ones among the
    found.  ``majority`` is the agreement of always saying the commonest value, ``keyword`` that of the first value whose own name stands
    in the words (as many words as the name has), the baselines that a finder must beat.
    """

    label: str
    agreement: Rate
    coverage: Rate
    precision: Rate
    majority: Rate
    keyword: Rate


def half_of(conversation: Conversation) -> Half:
    """Return the half that a record belongs to, by a hash of its question, conversation or id: what one tunes on, or what is held out."""
    key = next((g for g in conversation.groups if g.startswith(("question:", "conversation:"))), conversation.id)
    return "held" if hashlib.sha256(key.encode()).digest()[-1] % 2 else "tune"


def _same(name: str, found: str, wanted: str, words: Vocabulary) -> bool:
    if name != "topic":
        return found == wanted
    return found == wanted or bool(set(words.theme_of.get(found, (found,))[:1]) & set(words.theme_of.get(wanted, (wanted,))))


def _named(conversation: Conversation, name: str, values: Iterable[str]) -> str:
    """Return the value that is named first and most in the words of the one whose label it is."""
    role: Literal["user", "assistant"] = "assistant" if name == "modality" else "user"
    text = " " + " ".join(w for one in said(conversation, role) for w in one.words.words) + " "
    counts = {v: text.count(f" {v.replace('_', ' ').replace('-', ' ')} ") for v in values}
    best = max(counts, key=lambda v: (counts[v], v), default="")
    return best if best and counts[best] else ""


def measure(conversations: Iterable[Conversation], half: Half = "", folder: Path | None = None) -> tuple[Quality, ...]:
    """Strip the labels of records, find them anew and compare, one entry per label of `MEASURED` that some record brings along.

    A topic counts as right when it falls under one of the themes that the record's own topic means (``aliases`` in topics.yaml).

    Args:
        conversations: Records; with several of one question only the first counts.
        half: Only the records of one half, see `half_of`.
        folder: Knowledge base, the shipped one by default.
    """
    words = vocabulary(folder)
    pairs: dict[str, list[tuple[str, str]]] = {name: [] for name in MEASURED}
    plain: dict[str, list[str]] = {name: [] for name in MEASURED}
    values: dict[str, set[str]] = {name: set() for name in MEASURED}
    kept, seen = [], set[str]()
    for c in conversations:
        question = next((g for g in c.groups if g.startswith("question:")), c.id)
        if question in seen or (half and half_of(c) != half):
            continue
        seen.add(question)
        kept.append(c)
        for name in MEASURED:
            if getattr(c.labels, name):
                values[name].add(getattr(c.labels, name))
    for c in kept:
        found = enriched(c.model_copy(update={"labels": Labels()}), folder)
        for name in MEASURED:
            if wanted := getattr(c.labels, name):
                pairs[name].append((wanted, getattr(found.labels, name)))
                plain[name].append(_named(c, name, sorted(values[name])))
    return tuple(_quality(name, pairs[name], plain[name], words) for name in MEASURED if pairs[name])


def _quality(name: str, pairs: list[tuple[str, str]], plain: list[str], words: Vocabulary) -> Quality:
    right = sum(bool(got) and _same(name, got, wanted, words) for wanted, got in pairs)
    found, n = sum(bool(got) for _, got in pairs), len(pairs)
    most = max(sum(_same(name, v, wanted, words) for wanted, _ in pairs) for v in {wanted for wanted, _ in pairs})
    keyword = sum(bool(p) and _same(name, p, wanted, words) for (wanted, _), p in zip(pairs, plain, strict=True))
    return Quality(
        label=name, agreement=Rate(hits=right, of=n), coverage=Rate(hits=found, of=n), precision=Rate(hits=right, of=found),
        majority=Rate(hits=most, of=n), keyword=Rate(hits=keyword, of=n),
    )  # fmt: skip
