"""Every record gets exactly one category, with a confidence and the rule that decided.

The rules are tried in order; the first that applies decides.  A confidence is the rule's own, set by hand and not measured: 1 where the
record's origin says it, less where words and shape do.  Records below `SURE` are meant to be looked at.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from pydantic import Field

from pixel_synth.curate.enrich.find import said
from pixel_synth.curate.enrich.match import Meaning, Phrases
from pixel_synth.curate.enrich.vocabulary import WEIGHTS, vocabulary
from pixel_synth.records import Category, Conversation, Record, Unit

SURE = 0.7
ABOUT = 3.0  # points of the topics' vocabulary from which a record is about mental health or life with others
SHORT = 12  # words below which nothing is said about what a record is about
_PERSONA = re.compile(r"\b(?:you are|you're|act as|play(?:ing)? the (?:role|part) of|role-?play|persona|in character)\b", re.IGNORECASE)
_OTHER = re.compile(
    r"```|\bdef \w+\(|\bimport \w+|</\w+>|\bselect\b.{1,80}\bfrom\b|[0-9]\s*[+*/=^×÷]\s*[0-9]|\b[a-z]\s*=\s*[0-9a-z]"
    r"|\b(?:equation|integer|calculate|solve for|translate|python|javascript|sql|theorem|polynomial|multiple choice"
    r"|premise|summari[sz]e|kilometers?|per hour|paragraph|algorithm|synonyms?|capital of)\b",
    re.IGNORECASE,
)
# Feelings and helping: in talk about oneself, seldom in exercises.
_FEELING = Phrases(
    {
        cue: (Meaning("about", 1.0),)
        for cue in (
            "feelings", "i feel", "feeling", "upset", "hurt", "hurting", "cope", "coping", "struggling", "emotional*", "emotion*", "lonely",
            "alone", "mental health", "therapist", "counsel*", "therapy", "illness", "my life", "happy", "unhappy", "self-doubt", "support",
            "i'm dealing with", "suffer*", "my mind", "imposter syndrome", "helpless", "guilt*", "heartbr*", "breakdown*", "diagnos*",
        )
    }
)  # fmt: skip


class Decision(Record):
    """What a record was put down as, how sure that is, and by which rule."""

    category: Category
    confidence: Unit
    rule: str = Field(description='name of the rule: "source", "generated", "preference", "thought" ...')


class Look(Record):
    """What the rules go by: the points of what it is about, signs of another matter, and its length in words."""

    points: float
    other: int
    words: int

    @property
    def about(self) -> bool:
        """Whether it is about mental health or life with others."""
        return self.points >= ABOUT


def look(conversation: Conversation, folder: Path | None = None) -> Look:
    """Return what a record is about; each phrase of the vocabulary counts once, words for people alone do not count."""
    table = vocabulary(folder).topics
    spoken = (*said(conversation, "user"), *said(conversation, "assistant"))
    cues: dict[str, float] = {}
    for one in spoken:
        for hit in (*table.find(one.words), *_FEELING.find(one.words)):
            cues.setdefault(hit.cue, max(m.weight for m in hit.meanings))
    return Look(
        points=sum(w for w in cues.values() if w != WEIGHTS["who"]),
        other=sum(len(_OTHER.findall(one.text)) for one in spoken),
        words=sum(len(one.words.words) for one in spoken),
    )


def _origin(c: Conversation, at: Look, known: Mapping[str, Category]) -> Decision | None:
    source = c.provenance.source
    if c.blueprint is not None or source == "generated":
        return Decision(category="psychology", confidence=1.0, rule="generated")
    if source not in known:
        return None
    if known[source] == "mental_health" and not at.about and at.words >= SHORT:
        if at.other > 1 and not at.points:
            return Decision(category="auxiliary", confidence=0.8, rule="about another matter than its source")
        return Decision(category="mental_health", confidence=0.6, rule="source, hardly a word of mental health")
    return Decision(category=known[source], confidence=1.0, rule="source")


def _preference(c: Conversation, at: Look, known: Mapping[str, Category]) -> Decision | None:
    return Decision(category="auxiliary", confidence=0.95, rule="preference") if c.dispreferred else None


def _voice(c: Conversation, at: Look, known: Mapping[str, Category]) -> Decision | None:
    spoken = c.provenance.source.startswith("voice") or c.provenance.converter.startswith("voice")
    return Decision(category="voice", confidence=0.95, rule="recorded speech") if spoken else None


def _thought(c: Conversation, at: Look, known: Mapping[str, Category]) -> Decision | None:
    if not c.thought and c.reasoning is None:
        return None
    if at.about:
        return Decision(category="reasoning", confidence=0.9, rule="thought")
    return Decision(category="auxiliary", confidence=0.75 if at.other > 1 else 0.5, rule="thought about another matter")


def _persona(c: Conversation, at: Look, known: Mapping[str, Category]) -> Decision | None:
    if c.labels.kind in ("role_play", "client_lines") or not any(m.role == "assistant" for m in c.messages):
        return Decision(category="personality", confidence=0.9, rule="role-play")
    if _PERSONA.search(c.said("system")) and at.other < 3:
        return Decision(category="personality", confidence=0.75, rule="persona in the system prompt")
    return Decision(category="personality", confidence=0.75, rule="traits") if c.labels.traits else None


def _matter(c: Conversation, at: Look, known: Mapping[str, Category]) -> Decision | None:
    shape = "session" if sum(m.role == "user" for m in c.messages) > 1 else "question"
    if at.about and at.points > 3 * at.other:
        sure = min(0.95, 0.65 + 0.05 * at.points)
        category: Category = "psychology" if c.provenance.knowledge else "mental_health"
        return Decision(category=category, confidence=round(sure, 2), rule=f"{shape} about mental health")
    if at.other and at.points <= at.other:
        return Decision(category="auxiliary", confidence=0.9 if at.other > 1 else 0.7, rule="about another matter")
    return Decision(category="auxiliary", confidence=0.6, rule="no word of mental health") if not at.points and at.words >= SHORT else None


RULES: tuple[Callable[[Conversation, Look, Mapping[str, Category]], Decision | None], ...] = (
    _origin, _preference, _voice, _thought, _persona, _matter,
)  # fmt: skip


def categorise(conversation: Conversation, known: Mapping[str, Category] | None = None, folder: Path | None = None) -> Decision:
    """Return the one category of a record.

    Args:
        conversation: The record; its present category plays no part.
        known: Category of each source that has one, by the source's id.
        folder: Knowledge base, the shipped one by default.
    """
    at = look(conversation, folder)
    for rule in RULES:
        if decision := rule(conversation, at, known or {}):
            return decision
    return Decision(category="auxiliary", confidence=0.3, rule="undecided")
