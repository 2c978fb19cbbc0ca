"""How a client's talk shows danger: graded phrases with context checks, and a level of urgency from them and a small model.

Grades of a mention (`mentions`), suicide after the Columbia scale (Posner et al., 2011): 1 wish to be dead or burden
(passive), 2 active thoughts, 3 method, plan, intent, preparation or act.  The other kinds are graded by how soon a human must
act, after mental-health triage (Sands, Elsom & Colgate, 2016): 1 this week, 2 the same day or within three days, 3 now or
within hours.  A mention is dropped when it is an idiom, denied, invented, about someone else who is in no danger now, or asked
about; a past one is kept as ``history``.

`urgency` puts a text or a client's turns at one of four levels (0 routine, 1 elevated, 2 urgent, 3 emergency): the
higher of what the phrases and what the model (`urgency_model`) say, see `combined`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Literal, NamedTuple, get_args

from pixel_synth.records import Evidence
from pixel_synth.scorers import urgency_model
from pixel_synth.scorers.phrases import danger, phrases, risk_entries
from pixel_synth.scorers.talk import Talk, Turn, of_text, span
from pixel_synth.scorers.text import NEGATION, STOP, words

Kind = Literal[
    "suicide", "self_harm", "harm_to_others", "violence", "child_safeguarding", "psychosis",
    "mania", "intoxication", "medical", "eating", "perinatal", "despair",
]  # fmt: skip
KINDS: tuple[Kind, ...] = get_args(Kind)
# Kinds in which it is mostly somebody else who is hurt, hurts or lies there: "he" before them says nothing against danger.
_OF_OTHERS = frozenset({"harm_to_others", "violence", "child_safeguarding", "intoxication", "medical", "perinatal", "psychosis", "eating"})
Status = Literal["current", "past", "denied", "other", "idiom", "story", "asked"]
_ENTRIES: tuple[tuple[int, Kind, re.Pattern[str]], ...] = tuple(
    (int(name.rpartition(".")[2]), kind, phrases(name)) for name in risk_entries() for kind in KINDS if name.split(".")[1] == kind
)
_DANGER = danger()
_IDIOM, _OTHER, _PAST, _STORY, _NOW = (phrases(f"risk.{name}") for name in ("idiom", "other", "past", "story", "now"))
_OWN_NEGATION = re.compile(
    r"(?:don'?t|didn'?t|do not|not|never|wouldn'?t|shouldn'?t|can'?t|cannot|nothing|no|nobody|won'?t|isn'?t|haven'?t)\b"
)
_DENIAL = re.compile(
    r"(?:\bnot|\bnever|\bno|\bn't|don'?t|didn'?t|wouldn'?t|won'?t|isn'?t|aren'?t|wasn'?t|haven'?t|hasn'?t|\bwithout|\bnor"
    r"|rather than|instead of)"
    r"(?:\W+[\w']+){0,7}?\W*$"
)
_LOST = re.compile(r"\b(?:lost|losing|died|dead|death|passed)\b[^,.;]{0,50}\b(?:to|by|from|of|after)\W+(?:\w+\W+){0,2}$")
_ASKED = ("is it normal", "how do people", "why do people")
_CLAUSE = re.compile(r"[;:—–]| - |,? but |, (?=i |so |and i )")


class Mention(NamedTuple):
    """One place where the client's words show danger, with what speaks against it."""

    turn: Turn
    start: int
    end: int
    grade: int
    kind: Kind
    status: Status

    @property
    def history(self) -> bool:
        """Tell whether it is about the past."""
        return self.status == "past"

    @property
    def label(self) -> str:
        """Return the evidence label, ``risk.<kind>.<grade>``."""
        return f"risk.{self.kind}.{self.grade}"


def _denied(sentence: str, at: int, passive: bool) -> bool:
    clause = _CLAUSE.split(sentence[:at])[-1]
    if passive:
        return False
    if "until" in sentence[at:] or "before now" in sentence[at:]:
        return False
    if match := _DENIAL.search(clause):
        inner = words(clause[match.start() :])
        return not {"stop", "help", "anything", "know", "why", "sure"} & set(inner)
    return bool(set(words(clause)[-3:]) & (NEGATION - {"hardly", "barely"}))


def _status(sentence: str, m: re.Match[str], grade: int, kind: Kind) -> Status:
    before = sentence[: m.start()]
    if _IDIOM.search(sentence, max(0, m.start() - 30), min(len(sentence), m.end() + 30)):
        return "idiom"
    if _STORY.search(sentence) and not (grade == 3 and _NOW.search(sentence)):
        return "story"
    if _LOST.search(before):
        return "other"
    if _denied(sentence, m.start(), grade == 1 and bool(_OWN_NEGATION.match(m[0]))):
        return "denied"
    own = kind in _OF_OTHERS or (kind, grade) == ("despair", 2) or "myself" in m[0] or " my " in f" {m[0]} "
    own = own or (grade == 3 and bool(_NOW.search(sentence)))
    if not own and _OTHER.search(before) and not re.search(r"\bi(?:'?m|'?ve|'?d)?\W+(?:[\w']+\W+){0,3}$", before):
        return "other"
    if sentence.startswith(_ASKED):
        return "asked"
    return "past" if _PAST.search(sentence) and not (grade == 3 and (kind == "suicide" or _NOW.search(sentence))) else "current"


@lru_cache(maxsize=256)
def all_mentions(turn: Turn) -> tuple[Mention, ...]:
    """Return every graded phrase in a turn with its status, in order."""
    found = [
        Mention(turn, sentence.start + m.start(), sentence.start + m.end(), grade, kind, _status(sentence.text, m, grade, kind))
        for sentence in turn.sentences
        if _DANGER.search(sentence.text)  # most hold nothing
        for grade, kind, pattern in _ENTRIES
        for m in pattern.finditer(sentence.text)
    ]
    return tuple(sorted(found, key=lambda x: (x.start, -x.grade)))


@lru_cache(maxsize=64)
def mentions(talk: Talk) -> tuple[Mention, ...]:
    """Return the risk mentions of the client in order, current and past, without what is denied, invented or others'."""
    return tuple(m for turn in talk.client for m in all_mentions(turn) if m.status in ("current", "past"))


def grade(talk: Talk) -> int:
    """Return the highest grade of a current mention, 0 when there is none."""
    return max((m.grade for m in mentions(talk) if not m.history), default=0)


def marks(found: Iterable[Mention]) -> set[str]:
    """Return the names under which the model knows the mentions: ``suicide.2``, ``denied:suicide.2`` ..."""
    return {f"{'' if m.status == 'current' else m.status + ':'}{m.kind}.{m.grade}" for m in found}


Level = Literal[0, 1, 2, 3]
NAMES = ("routine", "elevated", "urgent", "emergency")
# Words read at once: an utterance as the model was trained on is at most this long, and danger may stand in half a sentence of a page.
_WINDOW = 60
_SHOWN = 4  # words named for a window that the model alone found urgent
_WORD_CLASS: dict[str, Kind] = {
    "die_word": "suicide", "farewell": "suicide", "passive": "suicide", "selfharm": "self_harm", "blood": "self_harm",
    "weapon": "harm_to_others",
    "assault": "violence", "threat": "violence", "hide": "violence", "controlling": "violence", "sexual": "violence",
    "voice": "psychosis", "delusion": "psychosis", "hallucinate": "psychosis", "mania": "mania", "drink": "intoxication",
    "drug": "intoxication",
    "withdrawal": "intoxication", "body_danger": "medical", "food": "eating", "birth": "perinatal", "hopeless": "despair",
    "home": "despair",
}  # fmt: skip


class Urgency(NamedTuple):
    """How soon a human must act on somebody's words.

    ``expected`` is the model's expected level (0-3), for ranking; ``kinds`` come from the phrases found, or from the word classes
    where the model alone speaks; ``phrases`` is the level of the phrases alone, ``urgent`` whether the model's P(level >= 2) passes
    its cut of high precision.
    """

    level: Level
    name: str
    kinds: tuple[Kind, ...]
    evidence: tuple[Evidence, ...]
    expected: float
    phrases: Level
    urgent: bool


def windows(turn: Turn) -> list[tuple[int, int]]:
    """Return (start, end) of the stretches of a turn that are read at once: all of it, or overlapping runs of sentences."""
    if len(turn.words) <= _WINDOW * 1.5 or len(turn.sentences) < 2:
        return [(0, len(turn.text))]
    sizes = [len(words(s.text)) for s in turn.sentences]
    found: list[tuple[int, int]] = []
    for i in range(len(sizes)):
        j, total = i, 0
        while j < len(sizes) and (total + sizes[j] <= _WINDOW or j == i):
            total += sizes[j]
            j += 1
        end = turn.sentences[j - 1].end
        if not found or end > found[-1][1]:
            found.append((turn.sentences[i].start, end))
    return found


def combined(by_phrases: Level, q: tuple[float, float, float], session: bool = False) -> Level:
    """Return the higher of the two levels; a phrase alone lifts to one level less where the model gives its level under a tenth.

    Phrases below an emergency do not lift a text that the model holds to be routine with P(level >= 1) under 0.1.

    Args:
        by_phrases: Highest grade of a current phrase.
        q: The model's P(level >= 1, 2, 3).
        session: Whether the text is one of several turns, see `urgency_model.in_session`.
    """
    by_model = urgency_model.decide(urgency_model.in_session(q) if session else q)
    if by_phrases <= by_model:
        return by_model
    if by_phrases < 3 and q[0] < 0.1:
        return by_model
    return by_phrases if q[by_phrases - 1] >= 0.1 else _LEVELS[by_phrases - 1]


_LEVELS: tuple[Level, ...] = (0, 1, 2, 3)


def _telling(turn: Turn, start: int, end: int) -> list[Evidence]:
    said = turn.text[start:end]
    weighed = [(urgency_model.push(t.word), t) for t in urgency_model.tokens(said) if said[t.start : t.end] not in STOP]
    best = sorted((w for w in weighed if w[0] > 0), key=lambda w: -w[0])[:_SHOWN]
    return [span(turn, start + t.start, start + t.end, "urgency.model") for _, t in best]


def _of_window(turn: Turn, start: int, end: int, session: bool) -> Urgency:
    found = [m for m in all_mentions(turn) if start <= m.start < end]
    current = [m for m in found if m.status == "current"]
    heard = [urgency_model.hear(s.text) for s in turn.sentences if start <= s.start < end]
    q = urgency_model.at_least(urgency_model.features(heard, marks(found)))
    surely = urgency_model.in_session(q)[1] >= urgency_model.SESSION_CUT if session else q[1] >= urgency_model.model().urgent_cut
    by_phrases = _LEVELS[max((m.grade for m in current), default=0)]
    level = combined(by_phrases, q, session)
    kinds = list(dict.fromkeys(m.kind for m in sorted(current, key=lambda m: -m.grade)))
    if level and not kinds:
        named = [name for _, name in urgency_model.classes([w for s in heard for w in s.stems])]
        tally = {kind: sum(_WORD_CLASS.get(name) == kind for name in named) for kind in KINDS}
        kinds = [kind for kind in KINDS if tally[kind] and tally[kind] == max(tally.values())]
    evidence = [span(turn, m.start, m.end, m.label) for m in current] or (_telling(turn, start, end) if level else [])
    return Urgency(level, NAMES[level], tuple(kinds), tuple(evidence), sum(q), by_phrases, surely)


@lru_cache(maxsize=256)
def of_turn(turn: Turn, session: bool) -> Urgency:
    """Return the urgency of one turn: its most urgent window, with what all windows of that level rest on.

    ``session`` tells whether it is one of several turns, which changes how often the levels are to be expected: the highest of many is
    high by chance.  The same holds for a text of several windows.
    """
    places = windows(turn)
    return _highest([_of_window(turn, start, end, session or len(places) > 1) for start, end in places])


def _highest(found: list[Urgency]) -> Urgency:
    top = max(found, key=lambda u: (u.level, u.expected))
    alike = [u for u in found if u.level == top.level] if top.level else [top]
    return top._replace(
        kinds=tuple(dict.fromkeys(k for u in alike for k in u.kinds)),
        evidence=tuple(sorted({e for u in alike for e in u.evidence}, key=lambda e: (e.turn, e.start, e.end))),
        expected=max(u.expected for u in found),
        phrases=max(u.phrases for u in found),
        urgent=any(u.urgent for u in found),
    )


def urgency(text_or_talk: str | Talk) -> Urgency:
    """Return how soon a human must act on a text, or on what the client says in a talk (its most urgent turn).

    Args:
        text_or_talk: One utterance, or a talk from `talk.read`.

    Raises:
        ValueError: When the client says nothing.
    """
    talk = of_text(text_or_talk) if isinstance(text_or_talk, str) else text_or_talk
    if not any(turn.text.strip() for turn in talk.client):
        raise ValueError("urgency needs words of a client")
    return _highest([of_turn(turn, len(talk.client) > 1) for turn in talk.client])
