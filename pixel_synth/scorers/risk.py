"""How a client's talk shows risk of suicide, self-harm or harm to others, by graded patterns with context checks.

Grades follow the Columbia scale (Posner et al., 2011): 1 wish to be dead or burden (passive), 2 active thoughts of
suicide, of self-harm or of harming another, 3 method, plan, intent or preparation.  A mention is dropped when it is an
idiom, denied, about someone else, or asked about; a past attempt is kept as ``history``.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Literal, NamedTuple

from pixel_synth.scorers.phrases import phrases
from pixel_synth.scorers.talk import Talk, Turn
from pixel_synth.scorers.text import NEGATION, words

Kind = Literal["suicide", "self_harm", "harm_other"]
_GRADED: tuple[tuple[int, Kind], ...] = ((1, "suicide"), (2, "suicide"), (2, "self_harm"), (2, "harm_other"), (3, "suicide"))
_COMPILED = tuple((grade, kind, phrases(f"risk.{kind}.{grade}")) for grade, kind in _GRADED)
_IDIOM = phrases("risk.idiom")
_OWN_NEGATION = ("don't", "didn't", "do not", "not", "never", "wouldn't", "shouldn't", "can't", "nothing", "no ", "nobody")
_DENIAL = re.compile(
    r"(?:\bnot|\bnever|\bno|\bn't|don't|didn't|wouldn't|won't|isn't|aren't|wasn't|haven't|hasn't|\bwithout|\bnor|rather than|instead of)"
    r"(?:\W+[\w']+){0,7}?\W*$"
)
_OTHER = phrases("risk.other")
_LOST = re.compile(r"\b(?:lost|losing|died|dead|death|passed)\b[^,.;]{0,50}\b(?:to|by|from|of|after)\W+(?:\w+\W+){0,2}$")
_PAST = phrases("risk.past")


class Mention(NamedTuple):
    """One place where the client's words show risk; grade 1 passive, 2 active, 3 plan or intent."""

    turn: Turn
    start: int
    end: int
    grade: int
    kind: Kind
    history: bool


def _denied(sentence: str, at: int, passive: bool) -> bool:
    clause = re.split(r"[;:—–]| - |,? but |, (?=i |so |and i )", sentence[:at])[-1]
    if passive:
        return False
    if "until" in sentence[at:] or "before now" in sentence[at:]:
        return False
    if match := _DENIAL.search(clause):
        inner = words(clause[match.start() :])
        return not ("stop" in inner or "help" in inner or "anything" in inner or "know" in inner or "why" in inner)
    return bool(words(clause)[-3:] and set(words(clause)[-3:]) & (NEGATION - {"hardly", "barely"}))


@lru_cache(maxsize=64)
def mentions(talk: Talk) -> tuple[Mention, ...]:
    """Return the risk mentions of the client in order, without idioms, denials and mentions of other people."""
    found: list[Mention] = []
    for turn in talk.client:
        for sentence in turn.sentences:
            for grade, kind, pattern in _COMPILED:
                for m in pattern.finditer(sentence.text):
                    if _IDIOM.search(sentence.text, max(0, m.start() - 12), min(len(sentence.text), m.end() + 30)):
                        continue
                    before = sentence.text[: m.start()]
                    if _LOST.search(before):
                        continue
                    own = "myself" in m[0] or " my " in f" {m[0]} " or kind == "harm_other"
                    if _denied(sentence.text, m.start(), grade == 1 and m[0].startswith(_OWN_NEGATION)):
                        continue
                    if not own and _OTHER.search(before) and not re.search(r"\bi(?:'m|'ve|'d)?\W+(?:[\w']+\W+){0,3}$", before):
                        continue
                    if sentence.text.startswith(("is it normal", "how do people", "why do people")):
                        continue
                    history = bool(_PAST.search(sentence.text)) and grade < 3
                    found.append(Mention(turn, sentence.start + m.start(), sentence.start + m.end(), grade, kind, history))
    return tuple(sorted(found, key=lambda x: (x.turn.place, x.start, -x.grade)))


def grade(talk: Talk) -> int:
    """Return the highest grade of a current mention, 0 when there is none."""
    return max((m.grade for m in mentions(talk) if not m.history), default=0)
