"""What a therapist turn does, sentence by sentence.

The codes follow MITI 4.2.1 (Moyers, Manuel & Ernst, 2014: questions, simple and complex reflections, affirm, seek
collaboration, emphasise autonomy, persuade with and without permission, confront), EPITOME (Sharma et al., 2020:
emotional reactions, interpretations, explorations at level 0-2) and the empathy blockers of the Lend-an-Ear rubric
(Kumar et al., 2025: dismissing emotions, self-orientation, unsolicited advice).  All patterns are of general English
and run on folded text.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Literal, NamedTuple

from pixel_synth.scorers.lexicon import tags
from pixel_synth.scorers.phrases import phrases
from pixel_synth.scorers.talk import Talk, Turn
from pixel_synth.scorers.text import QuestionKind, Span, content, jaccard, question_kind

Code = Literal[
    "open", "closed", "simple", "complex", "affirm", "collaborate", "permission", "persuade", "confront",
    "minimise", "self", "reaction", "weak_reaction", "stock", "inform",
]  # fmt: skip

REACTION = phrases("act.reaction")
WEAK_REACTION = phrases("act.weak_reaction")
_MEANING = phrases("act.meaning")
AFFIRM = phrases("act.affirm")
COLLABORATE = phrases("act.collaborate")
PERMISSION = phrases("act.permission")
PERSUADE = phrases("act.persuade")
_IMPERATIVE = phrases("act.imperative")
CONFRONT = phrases("act.confront")
MINIMISE = phrases("act.minimise")
SELF = phrases("act.self")
STOCK = phrases("act.stock")
_REPORTED = re.compile(  # "you tell yourself you should cope": the client's advice to themselves, heard and given back
    r"\b(?:you (?:say|said|tell|told|feel|felt|think)|as if|as though|like you|(?:part of|telling|tells|told) you"
    r"|that you (?:have|need|must|should))\b"
)
_GENERIC = phrases("act.generic")
_YOU = re.compile(r"\b(?:you|your|you're|you've|you'd|yourself)\b")
_I = re.compile(r"^(?:i|i'm|i'd|i've|i'll|we|let's|my)\b")
_FEELING = frozenset({"sad", "fear", "anger", "shame", "state"})


class Act(NamedTuple):
    """What one sentence of a therapist does."""

    turn: Turn
    span: Span
    codes: frozenset[Code]
    question: QuestionKind
    overlap: int


def _codes(span: Span, heard: frozenset[str], heard_feelings: frozenset[str], permitted: bool) -> tuple[frozenset[Code], QuestionKind, int]:
    text, codes = span.text, set[Code]()
    kind = question_kind(text)
    stems = frozenset(content(text))
    overlap = len(stems & heard)
    if kind == "open" or kind == "closed":
        codes.add(kind)
    for code, pattern in (("affirm", AFFIRM), ("collaborate", COLLABORATE), ("permission", PERMISSION), ("confront", CONFRONT),
                          ("minimise", MINIMISE), ("reaction", REACTION), ("weak_reaction", WEAK_REACTION), ("stock", STOCK)):  # fmt: skip
        if pattern.search(text):
            codes.add(code)  # type: ignore[arg-type]
    if kind == "" and SELF.search(text):
        codes.add("self")
    advice = bool(PERSUADE.search(text) or (not kind and _IMPERATIVE.match(text)))
    reported = advice and not kind and (overlap >= 2 or '"' in text) and bool(_REPORTED.search(text))
    if advice and not reported and not codes & {"permission", "collaborate"} and not permitted:
        codes.add("persuade")
    plain = not kind and not codes & {"persuade", "confront", "minimise", "self"}
    if plain and not (advice and not reported) and not _I.match(text):
        own = re.findall(r"[a-z']+", text)
        generic = bool(_GENERIC.search(text)) or len(own) > 45
        if generic:
            pass
        elif _YOU.search(text) or (overlap and overlap * 2 >= len(stems) and len(own) <= 25):
            feelings = {t for w in own for t in tags(w) if t in _FEELING}
            named = {w for w in own if tags(w) & _FEELING}
            adds = bool(_MEANING.search(text)) or bool(feelings and not named <= heard_feelings)
            if overlap or feelings or adds:
                codes.add("complex" if adds and (overlap or feelings or len(own) >= 6) else "simple")
    if plain and not codes - {"weak_reaction"}:
        codes.add("inform")
    return frozenset(codes), kind, overlap


@lru_cache(maxsize=64)
def read_acts(talk: Talk) -> tuple[Act, ...]:
    """Return the acts of every therapist sentence, in order.

    A sentence is a reflection when it states something about the client ("you", or at least half of its content words
    taken from the client's last turns) that is not advice; it is complex when it adds meaning (a feeling that was not
    named, two sides, an underlying reason, an image).  Advice counts as persuasion unless permission was asked in this
    or the previous therapist turn, or it is offered as a question of collaboration.
    """
    acts: list[Act] = []
    asked_before = False
    for turn in talk.therapist:
        recent = [t for t in talk.client if t.place < turn.place][-3:]
        heard = frozenset().union(*(t.stems for t in recent))
        heard_words = frozenset(w for t in recent for w in t.words)
        permission = asked_before
        asked_before = False
        for span in turn.sentences:
            codes, kind, overlap = _codes(span, heard, heard_words, permission)
            acts.append(Act(turn, span, codes, kind, overlap))
            if "permission" in codes:
                permission = asked_before = True
    return tuple(acts)


def by_turn(acts: tuple[Act, ...]) -> list[tuple[Turn, list[Act]]]:
    """Group acts by their turn."""
    grouped: dict[int, tuple[Turn, list[Act]]] = {}
    for act in acts:
        grouped.setdefault(act.turn.place, (act.turn, []))[1].append(act)
    return list(grouped.values())


def repeats(turns: tuple[Turn, ...], minimum: int = 3) -> list[tuple[Turn, Span]]:
    """Return every sentence that nearly repeats an earlier one of the same speaker (stem Jaccard of 0.75 or more)."""
    seen: list[tuple[frozenset[str], str]] = []
    having: dict[str, list[int]] = {}  # word → earlier sentences with it
    found = []
    for turn in turns:
        for sentence in turn.sentences:
            own = frozenset(re.findall(r"[a-z']+", sentence.text))
            if len(own) < minimum:
                continue
            # What is that alike shares three quarters of the words, so at least one of any quarter of them and one more.
            some = sorted(own, key=len, reverse=True)[: len(own) // 4 + 1]
            alike = (seen[i] for i in {i for word in some for i in having.get(word, ())})
            if any(text == sentence.text or jaccard(own, other) >= 0.75 for other, text in alike):
                found.append((turn, sentence))
            for word in own:
                having.setdefault(word, []).append(len(seen))
            seen.append((own, sentence.text))
    return found
