"""Plain facts that a client says about themselves, held against the persona and against each other."""

from __future__ import annotations

import re
from typing import NamedTuple

from pixel_synth.knowledge.load import Knowledge
from pixel_synth.knowledge.models import Occupation
from pixel_synth.records import Evidence, Persona
from pixel_synth.scorers.durations import NUMBERS, durations
from pixel_synth.scorers.lexicon import word_set
from pixel_synth.scorers.phrases import phrases
from pixel_synth.scorers.talk import Talk, Turn, span
from pixel_synth.scorers.text import WORD, negated, stem

_ONES = {w: i for i, w in enumerate(NUMBERS[:10])}
_TEENS = {w: i for i, w in enumerate(NUMBERS) if 10 <= i < 20}
_TENS = {w: 10 * i for i, w in enumerate(["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"], 2)}
_NUMBER = rf"(?:\d{{1,3}}|(?:{'|'.join(_TENS)})(?:[- ](?:{'|'.join(list(_ONES)[1:])}))?|{'|'.join(_TEENS)}|{'|'.join(_ONES)})"
_AGE = phrases("fact.age")
_SELF_NOUN = phrases("fact.self_noun")
_SINGLE = phrases("fact.single")
_PARTNERED = phrases("fact.partnered")
_NO_CHILDREN = phrases("fact.no_children")
_CHILD = re.compile(r"\bmy (?:(?:little|older|younger|oldest|youngest|\w+) )?(?:son|daughter|sons|daughters|kids|children|toddler|baby)\b")
_CHILDREN = re.compile(rf"\b(?:my|our|have|with|got) ({_NUMBER}) (?:\w+ )?(?:kids|children)\b")
_SINCE = re.compile(
    r"\b(?:(?:it|this|all this) (?:all )?(?:started|began)|like this|this way|been going on for|been feeling|felt like this)\b"
)
_NAME = re.compile(r"\b(?:[Mm]y name is|[Mm]y name's|[Cc]all me) ([A-Z][a-z]+)")
_JOB = re.compile(
    r"\b(?:i'm|i am|i work as) (?:(?:just|only|still|currently|also) )?an? ((?:[a-z]+[- ]){0,2}?)([a-z]+)\b"
    r"(?! (?:by training|once|before|back then|of|at (?:it|that)))"
)
_JOBS = word_set("job")


class FactCheck(NamedTuple):
    """One fact that the client states: whether it agrees, and where."""

    name: str
    agrees: bool
    evidence: Evidence


def number(text: str) -> int:
    """Return the value of a number in digits or words below a hundred."""
    if text.isdigit():
        return int(text)
    return sum(_TENS.get(w, 0) + _TEENS.get(w, 0) + _ONES.get(w, 0) for w in WORD.findall(text.replace("-", " ")))


def _job_words(persona: Persona, knowledge: Knowledge | None) -> frozenset[str]:
    entry = knowledge.all(Occupation).get(persona.occupation) if knowledge else None
    text = persona.occupation.replace("_", " ") + (f" {entry.np} {' '.join(entry.cues)}".lower() if entry else "")
    return frozenset(stem(w) for w in WORD.findall(text))


def _about_self(turn: Turn, persona: Persona, jobs: frozenset[str]) -> list[FactCheck]:
    found: list[FactCheck] = []

    def add(name: str, agrees: bool, match: re.Match[str]) -> None:
        found.append(FactCheck(name, agrees, span(turn, match.start(), match.end(), f"{name}.{'agrees' if agrees else 'contradicts'}")))

    for m in _AGE.finditer(turn.text):
        age = number(next(g for g in m.groups() if g))
        if 12 <= age <= 100:
            add("age", abs(age - persona.age) <= 1, m)
    for m in _SELF_NOUN.finditer(turn.text):
        if persona.pronouns != "they" and not negated(turn.text, m.start() + 4) and " not " not in m[0]:
            add("gender", bool(m["m"]) == (persona.pronouns == "he"), m)
    for m in _NAME.finditer(turn.raw):
        add("name", m[1].lower() == persona.name.split()[0].lower(), m)
    for m in _JOB.finditer(turn.text):
        if m[2] in _JOBS and "not" not in m[1]:
            add("occupation", stem(m[2]) in jobs or bool(set(map(stem, WORD.findall(m[1]))) & jobs), m)
    return found


def _against_each_other(talk: Talk) -> list[FactCheck]:
    """Find pairs of statements that exclude each other: partner, children, their number, and since when."""
    found: list[FactCheck] = []

    def first(pattern: re.Pattern[str]) -> Evidence | None:
        for t in talk.client:
            for m in pattern.finditer(t.text):
                if not re.search(r"\b(?:ex|late|former|not)\b", m[0]):
                    return span(t, m.start(), m.end(), "contradicts")
        return None

    for name, no, yes in (("partner", _SINGLE, _PARTNERED), ("children", _NO_CHILDREN, _CHILD)):
        if (a := first(no)) and (b := first(yes)):
            found += [FactCheck(name, False, e.model_copy(update={"label": f"{name}.contradicts"})) for e in (a, b)]
    counts = [(number(m[1]), span(t, m.start(), m.end(), "children.contradicts")) for t in talk.client for m in _CHILDREN.finditer(t.text)]
    if len({c for c, _ in counts}) > 1:
        found += [FactCheck("children", False, e) for _, e in counts]
    onset = [
        (d.days, span(t, d.start, d.end, "since.contradicts"))
        for t in talk.client
        for d in durations(t.text)
        if _SINCE.search(t.text, max(0, d.start - 40), d.end + 20)
    ]
    if onset and max(d for d, _ in onset) > 2 * min(d for d, _ in onset):
        found += [FactCheck("since", False, e) for _, e in onset]
    return found


def checks(talk: Talk, persona: Persona, knowledge: Knowledge | None) -> list[FactCheck]:
    """Return every fact about themselves that the client states, with whether it fits the persona and the rest."""
    jobs = _job_words(persona, knowledge)
    return [c for turn in talk.client for c in _about_self(turn, persona, jobs)] + _against_each_other(talk)
