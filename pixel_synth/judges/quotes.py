"""Quotations: where the words that a judge copied stand in the session.

A judge's copy may differ from the session in what carries no meaning: white space, the shape of quotation marks, dashes and dots, and
characters that constrained decoding cannot write (see `pixel_synth.llms.wire`).  Everything else has to be the same, letter for letter.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Literal, NamedTuple

from pixel_synth.records import Message, Role

Speaker = Literal["client", "therapist", "either"]
ROLES: dict[str, tuple[Role, ...]] = {"client": ("user",), "therapist": ("assistant",), "either": ("user", "assistant")}
NAMES: dict[str, str] = {"user": "client", "assistant": "therapist"}
LEAST = 8  # characters; a shorter quote fits too many places to be evidence

_SAME = {**dict.fromkeys("\"'`´‘’‚‛“”„‟«»‹›", "'"), **dict.fromkeys("‐‑‒–—―−", "-"), "…": "..."}
_UNWRITTEN = "\\\u00ad\u200b\u200c\u200d\u2060\ufeff"  # no judge sees or writes them as they are
_LAST = "\ud7ff"  # the last character of the dialect `pattern`
_LABEL = re.compile(r"^\s*\[\d+\]\s*(?:(?:client|therapist)\s*:)?")


class Place(NamedTuple):
    """A span of a message: ``messages[turn].content[start:end]``."""

    turn: int
    start: int
    end: int


class Folded(NamedTuple):
    """Text without what does not count, and for each of its characters where it came from."""

    text: str
    at: tuple[int, ...]


@lru_cache(maxsize=4096)
def fold(text: str) -> Folded:
    """Return text with single spaces, one shape of quotation marks and dashes, and nothing that a judge could not write."""
    out: list[str] = []
    at: list[int] = []
    for i, char in enumerate(text):
        if char in _UNWRITTEN or char > _LAST:
            continue
        if char.isspace():
            # Nothing after "<" and "[": the transcript opens a gap there, see `injection.harmless`.
            if not out or out[-1] in (" ", "<", "["):
                continue
            char = " "
        for piece in _SAME.get(char, char):
            out.append(piece)
            at.append(i)
    if out and out[-1] == " ":
        del out[-1], at[-1]
    return Folded("".join(out), tuple(at))


def cleaned(quote: str) -> str:
    """Return the folded words of a quote without the label of its turn and marks around it."""
    return fold(_LABEL.sub("", quote)).text.strip("' ")


def find(quote: str, messages: Sequence[Message], speaker: Speaker, refused: Sequence[Place] = ()) -> Place:
    """Return where a quote stands in the turns of a speaker: its first place outside the refused ones.

    Raises:
        ValueError: When it stands nowhere, only in refused places, or has fewer than `LEAST` characters where the turn has more.
    """
    wanted = cleaned(quote)
    found = list(_places(wanted, messages, speaker)) if wanted else []
    if not found:
        who = "the session" if speaker == "either" else f"what the {speaker} says"
        raise ValueError(f"the quote {quote[:60]!r} does not stand in {who}")
    free = [place for place in found if not _overlaps(place, refused)]
    if not free:
        raise ValueError(f"the quote {quote[:60]!r} is an instruction to a model and no evidence")
    for place in free:
        if len(wanted) >= LEAST or len(cleaned(messages[place.turn].content)) < LEAST:
            return place
    raise ValueError(f"the quote {quote!r} is too short to rest an answer on (at least {LEAST} characters)")


def _places(wanted: str, messages: Sequence[Message], speaker: Speaker) -> Iterator[Place]:
    for turn, message in enumerate(messages):
        if message.role in ROLES[speaker]:
            text, at = fold(message.content)
            start = text.find(wanted)
            while start >= 0:
                yield Place(turn, at[start], at[start + len(wanted) - 1] + 1)
                start = text.find(wanted, start + 1)


def _overlaps(one: Place, others: Sequence[Place]) -> bool:
    return any(one.turn == o.turn and one.start < o.end and o.start < one.end for o in others)
