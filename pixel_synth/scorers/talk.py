"""A conversation read once for all scorers: turns with sentences, words and stems, and evidence spans.

``user`` is the client, ``assistant`` the therapist; system messages are left out, message indices are kept.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import chain
from typing import Literal, NamedTuple

from pixel_synth.lexical import mtld
from pixel_synth.records import Conversation, Evidence, Message, Part, Score
from pixel_synth.scorers import lexicon
from pixel_synth.scorers.text import Span, content, fold, sentences, words

Who = Literal["client", "therapist"]


class Turn(NamedTuple):
    """One message with what the scorers need of it; ``text`` is folded and as long as ``raw``."""

    place: int
    who: Who
    raw: str
    text: str
    sentences: tuple[Span, ...]
    words: tuple[str, ...]
    stems: frozenset[str]
    tags: tuple[frozenset[str], ...]
    counts: Mapping[str, int]  # words per lexicon tag
    fields: frozenset[str]  # the semantic fields that the turn touches

    def __hash__(self) -> int:
        """Hash what the rest follows from: turns are looked up often, and a tuple hashes every word anew."""
        return hash((self.place, self.raw))

    def tally(self, tag: str) -> int:
        """Return how many words carry a lexicon tag."""
        return self.counts.get(tag, 0)


class Talk(NamedTuple):
    """All turns of a conversation and each speaker's."""

    turns: tuple[Turn, ...]
    client: tuple[Turn, ...]
    therapist: tuple[Turn, ...]

    def __hash__(self) -> int:
        """Hash what is said; who says it follows in all but odd cases."""
        return hash(tuple([t.raw for t in self.turns]))

    def before(self, turn: Turn, who: Who) -> Turn | None:
        """Return the nearest earlier turn of a speaker."""
        return next((t for t in reversed(self.turns) if t.place < turn.place and t.who == who), None)

    def after(self, turn: Turn, who: Who) -> tuple[Turn, ...]:
        """Return the later turns of a speaker."""
        return tuple(t for t in self.turns if t.place > turn.place and t.who == who)


@lru_cache(maxsize=64)
def _read(messages: tuple[Message, ...]) -> Talk:
    turns = []
    for i, message in enumerate(messages):
        if message.role == "system":
            continue
        text = fold(message.content)
        tokens = tuple(words(text))
        tags = tuple(map(lexicon.tags, tokens))
        counts = Counter(chain.from_iterable(tags))
        turns.append(
            Turn(
                i,
                "client" if message.role == "user" else "therapist",
                message.content,
                text,
                sentences(text),
                tokens,
                frozenset(content(tokens)),
                tags,
                counts,
                frozenset(tag for tag in counts if tag.startswith("field.")),
            )
        )
    return Talk(tuple(turns), tuple(t for t in turns if t.who == "client"), tuple(t for t in turns if t.who == "therapist"))


def read(conversation: Conversation) -> Talk:
    """Return the conversation's turns; the last few conversations are remembered."""
    return _read(conversation.messages)


def of_text(text: str) -> Talk:
    """Return the talk of a single client message."""
    return _read((Message(role="user", content=text),))


@lru_cache(maxsize=64)
def diversity(talk: Talk) -> float:
    """Return the lexical diversity of all that is said (`pixel_synth.lexical.mtld`)."""
    return mtld([w for t in talk.turns for w in t.words])


def span(turn: Turn, start: int, end: int, label: str) -> Evidence:
    """Return the evidence span of a turn."""
    return Evidence(turn=turn.place, start=start, end=end, quote=turn.raw[start:end], label=label)


def hits(pattern: re.Pattern[str], turns: Iterable[Turn], label: str) -> list[Evidence]:
    """Return every match of a pattern (written for folded text) as evidence."""
    return [span(t, m.start(), m.end(), label) for t in turns for m in pattern.finditer(t.text)]


def of_reply(text: str) -> Turn:
    """Return a therapist turn that stands alone."""
    return _read((Message(role="assistant", content=text),)).therapist[0]


def mean(values: Sequence[float | None]) -> float | None:
    """Return the mean of the values that are not ``None``, or ``None`` when there are none."""
    known = [v for v in values if v is not None]
    return sum(known) / len(known) if known else None


def weighted(parts: dict[str, float | None], weights: dict[str, float]) -> float | None:
    """Return the weighted mean of the scored parts, their weights rescaled to one."""
    known = {k: v for k, v in parts.items() if v is not None and weights.get(k, 0.0) > 0}
    total = sum(weights[k] for k in known)
    return sum(weights[k] * v for k, v in known.items()) / total if total else None


@lru_cache(maxsize=1024)
def _part(name: str, value: float | None) -> Part:
    return Part(name=name, value=value)


def result(
    metric: str,
    value: float | None,
    parts: dict[str, float | None],
    evidence: Iterable[Evidence] = (),
    reason: str = "",
) -> Score:
    """Build a score with four-digit values, evidence sorted by place and without repeats."""
    unique = {(e.turn, e.start, e.end, e.label): e for e in evidence}  # the quote follows from the place
    return Score(
        metric=metric,
        value=None if value is None else round(min(1.0, max(0.0, value)), 4),
        reason=reason,
        parts=tuple(_part(k, None if v is None else round(v, 4)) for k, v in parts.items()),
        evidence=tuple(unique[key] for key in sorted(unique)),
    )
