"""Finds labels in what is said: what the client's letter is about, what the therapist does, who the client is.

A finding names the label and the spans it rests on; `None` when the evidence is thin or speaks for two things alike.  The weights and
cuts were chosen on one half of Counsel Chat's questions and measured on the other (docs/enrichment.md).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from pixel_synth.curate.enrich.match import Hit, Words, split
from pixel_synth.curate.enrich.vocabulary import Vocabulary
from pixel_synth.records import Conversation, Evidence, Role

TITLE = 2.0  # what a first line or a question weighs against other sentences
NAMED = 6.0  # points that a condition needs within its theme: named in the title or a question, or three times
PER_WORDS = 100  # words of the client for which LEAST is enough; who talks longer names more things in passing
REPEATS = 3  # times that the same phrase counts
LEAST, MARGIN = 3.0, 2.0  # points that a topic needs, and how many times those of the next
THERAPY_LEAST, THERAPY_MARGIN = 4.0, 1.5
PLACES = 2  # places in what the therapist says that a modality needs, where a technique is named
MARKERS = 3  # different markers of a modality that are needed where none is
SHOWN = 6  # spans kept for a label
_NOT = frozenset("not no never without don't doesn't didn't isn't wasn't aren't haven't hasn't".split())


class Found(NamedTuple):
    """A label's value with its points, those of the next best, and the spans it rests on."""

    value: str
    points: float
    next: float
    spans: tuple[Evidence, ...]


class Said(NamedTuple):
    """A message of one speaker with its place among the messages."""

    turn: int
    text: str
    words: Words


def said(conversation: Conversation, role: Role) -> tuple[Said, ...]:
    """Return what one role says, read once."""
    return tuple(Said(i, m.content, split(m.content)) for i, m in enumerate(conversation.messages) if m.role == role)


def _denied(hit: Hit, words: Sequence[str]) -> bool:
    return any(w in _NOT for w in words[max(0, hit.at - 2) : hit.at])


def _span(one: Said, hit: Hit, label: str) -> Evidence:
    return Evidence(turn=one.turn, start=hit.start, end=hit.end, quote=one.text[hit.start : hit.end], label=label)


def _asked(one: Said, hit: Hit, title: int) -> bool:
    """Tell whether a phrase stands in the first line or sentence, or in a sentence that ends in a question mark."""
    if hit.start < title:
        return True
    ends = [p for p in (one.text.find(mark, hit.end) for mark in ".!?\n") if p >= 0]
    return bool(ends) and one.text[min(ends)] == "?"


def _title(text: str) -> int:
    """Return where the first line or sentence ends."""
    ends = [p for p in (text.find(mark, 8) for mark in ".!?\n") if p >= 0]
    return min(ends, default=len(text)) + 1


class _Tally:
    """Points and spans per label."""

    def __init__(self) -> None:
        self.points: dict[str, float] = defaultdict(float)
        self.spans: dict[str, list[tuple[float, Said, Hit]]] = defaultdict(list)
        self._times: dict[tuple[str, str], int] = defaultdict(int)

    def add(self, label: str, weight: float, one: Said, hit: Hit) -> None:
        """Count a phrase; the second and third time it is said count half."""
        times = self._times[label, hit.cue]
        self._times[label, hit.cue] += 1
        if times < REPEATS:
            self.points[label] += weight / (2 if times else 1)
            self.spans[label].append((weight, one, hit))

    def best(self, points: Mapping[str, float], kind: str, least: float, margin: float, of: Iterable[str] = ()) -> Found | None:
        """Return the label that leads clearly, with the spans of it (and of ``of``, the labels that speak for it)."""
        ranked = sorted(points.items(), key=lambda p: (-p[1], p[0]))
        if not ranked:
            return None
        value, top = ranked[0]
        second = ranked[1][1] if len(ranked) > 1 else 0.0
        if top < least or top < margin * second:
            return None
        hits = [h for label in dict.fromkeys((value, *of)) for h in self.spans.get(label, ())]
        loudest = sorted(hits, key=lambda h: (-h[0], h[1].turn, h[2].start))[:SHOWN]
        shown = {(one.turn, hit.start, hit.end): _span(one, hit, f"{kind}:{value}") for _, one, hit in loudest}
        return Found(value, top, second, tuple(shown[place] for place in sorted(shown)))


def topic(client: Sequence[Said], vocabulary: Vocabulary) -> Found | None:
    """Return what the client's words are about: the knowledge id of a condition that they name, or a theme."""
    labels, themes = _Tally(), _Tally()
    for n, one in enumerate(client):
        title = _title(one.text) if n == 0 else 0
        reach: dict[str, int] = {}
        for hit in vocabulary.topics.find(one.words):
            if _denied(hit, one.words.words):
                continue
            factor = TITLE if _asked(one, hit, title) else 1.0
            for label, weight in hit.meanings:
                theme = vocabulary.theme_of.get(label, (label,))[0]
                labels.add(label, weight * factor, one, hit)
                if hit.start >= reach.get(theme, 0):  # words count once for a theme, however many of its phrases they are
                    reach[theme] = hit.end
                    themes.add(theme, weight * factor, one, hit)
    least = LEAST * max(1.0, sum(len(one.words.words) for one in client) / PER_WORDS)
    theme_found = themes.best(themes.points, "topic", least, MARGIN)
    if theme_found is None:
        return None
    lead = theme_found.value
    named = {label: p for label, p in labels.points.items() if label != lead and vocabulary.theme_of.get(label, (label,))[0] == lead}
    return labels.best(named, "topic", NAMED, MARGIN) or theme_found


def therapy(therapist: Sequence[Said], vocabulary: Vocabulary) -> tuple[Found | None, Found | None]:
    """Return the modality that the therapist's words show, and the technique (a move of that modality)."""
    tally = _Tally()
    places: dict[str, list[int]] = defaultdict(list)
    markers: dict[str, set[str]] = defaultdict(set)
    for one in therapist:
        reach: dict[str, int] = {}
        for hit in vocabulary.therapy.find(one.words):
            for label, weight in hit.meanings:
                modality = vocabulary.techniques.get(label, label)
                if hit.start < reach.get(modality, 0):
                    continue
                reach[modality] = hit.end
                places[modality].append(hit.start)
                tally.add(label, weight, one, hit)
                if label == modality:
                    markers[label].add(hit.cue)
    modalities: dict[str, float] = defaultdict(float)
    moves = {label: p for label, p in tally.points.items() if label in vocabulary.techniques}
    for label, points in tally.points.items():
        modalities[vocabulary.techniques.get(label, label)] += points
    named = {vocabulary.techniques[m] for m, p in moves.items() if p >= THERAPY_LEAST}
    possible = {m: p for m, p in modalities.items() if (m in named and len(places[m]) >= PLACES) or len(markers[m]) >= MARKERS}
    if not possible:
        return None, None
    lead = max(possible, key=lambda m: (possible[m], m))
    own = [m for m in moves if vocabulary.techniques[m] == lead]
    found = tally.best(modalities, "modality", THERAPY_LEAST if lead in named else MARKERS, THERAPY_MARGIN, own)
    if found is None or found.value != lead:
        return None, None
    return found, tally.best({m: moves[m] for m in own}, "technique", THERAPY_LEAST - 1, 1.01)


def person(client: Sequence[Said], vocabulary: Vocabulary) -> tuple[Found | None, tuple[Found, ...]]:
    """Return the group that the client says to belong to, and the Big Five levels that the client states."""
    tally = _Tally()
    for one in client:
        for hit in vocabulary.people.find(one.words):
            for label, weight in hit.meanings:
                tally.add(label, weight, one, hit)
    groups = {label.partition(":")[2]: p for label, p in tally.points.items() if label.startswith("population:")}
    for name in list(groups):
        tally.spans[name] = tally.spans.pop(f"population:{name}")
    population = tally.best(groups, "population", 3.0, 1.01)
    traits = []
    levels = {label.partition(":")[2]: p for label, p in tally.points.items() if label.startswith("trait:")}
    for trait in sorted({level.partition(":")[0] for level in levels}):
        both = {level: p for level, p in levels.items() if level.startswith(f"{trait}:")}
        for level in both:
            tally.spans[level] = tally.spans.pop(f"trait:{level}")
        if found := tally.best(both, "traits", 3.0, 1.01):
            traits.append(found)
    return population, tuple(traits)
