"""Text tools that the scorers share: folding, words, stems, sentences, questions, negation.

Everything works on *folded* text (`fold`), which is lower case with straight apostrophes and has the same length as
the original, so that an offset found in it is an offset of the original.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Literal, NamedTuple

from pixel_synth.scorers.lexicon import word_set
from pixel_synth.scorers.phrases import phrases

WORD = re.compile(r"[a-z]+(?:'[a-z]+)*|\d+(?:[.,:]\d+)*")
QuestionKind = Literal["open", "closed", ""]

STOP = word_set("stop")
NEGATION = word_set("negation")
_CLAUSE = re.compile(r"[.;:!?…]|,? \bbut\b|\n|—|–| - ")
_END = re.compile(  # also a full stop without a space after it ("problem.First"), but not within addresses
    r"[.!?…\n](?:(?<=\n)\n*|(?<!\n)[.!?…]*[\"'”’)\]]*(?=\s|$)"
    r"|(?<=[a-z]{3}[.!?])(?=(?!com\b|org\b|net\b|edu\b|gov\b|html?\b|php\b)[a-z']+[ ,])(?<!www\.))"
)
_ABBREVIATION = re.compile(r"(?:\b(?:dr|mr|mrs|ms|prof|st|vs|etc|e\.g|i\.e|a\.m|p\.m|u\.s)\.)$")


@lru_cache(maxsize=4096)
def fold(text: str) -> str:
    """Return the text in lower case with straight apostrophes and quotes, character for character."""
    low = text.lower()
    if len(low) != len(text):
        low = "".join(c.lower() if len(c.lower()) == 1 else c for c in text)
    return low.replace("’", "'").replace("‘", "'").replace("“", '"').replace("”", '"')


def words(folded: str) -> list[str]:
    """Return the words and numbers of folded text in order."""
    return WORD.findall(folded)


@lru_cache(maxsize=50_000)
def stem(word: str) -> str:
    """Return a light stem: plural, possessive, -ing, -ed, -ly, -ness and -er endings off (after Harman, 1991).

    ``sleeping``, ``sleeps`` and ``sleepless`` become ``sleep``; ``worried`` and ``worries`` become ``worri``.
    """
    word = word.split("'")[0]
    if len(word) > 4:
        for ending in ("lessness", "fulness", "ingly", "edly", "less", "ness", "ment", "fully", "ful"):
            if word.endswith(ending) and len(word) - len(ending) >= 3:
                word = word[: -len(ending)]
                break
    if (word.endswith("ies") and len(word) > 4) or (word.endswith("ied") and len(word) > 4):
        word = word[:-2]
    elif word.endswith("s") and not word.endswith(("ss", "us", "is")) and len(word) > 3:
        word = word[:-2] if word.endswith(("sses", "shes", "ches", "xes", "zes")) else word[:-1]
    for ending in ("ing", "ed", "ly"):
        if word.endswith(ending) and len(word) - len(ending) >= 3 and re.search("[aeiouy]", word[: -len(ending)]):
            word = word[: -len(ending)]
            if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "lsz":
                word = word[:-1]
            break
    if word.endswith("y") and len(word) > 3 and word[-2] not in "aeiou":
        word = word[:-1] + "i"
    return word[:-1] if word.endswith("e") and len(word) > 3 else word


@lru_cache(maxsize=50_000)
def _content_stem(word: str) -> str:
    return "" if word in STOP or word.split("'")[0] in STOP or len(word) == 1 else stem(word)


def content(tokens: Iterable[str]) -> list[str]:
    """Return the stems of the content words among words (no stop words, no single letters), in order."""
    return list(filter(None, map(_content_stem, tokens)))


class Span(NamedTuple):
    """A sentence and where it lies in its message."""

    start: int
    end: int
    text: str


@lru_cache(maxsize=4096)
def sentences(folded: str) -> tuple[Span, ...]:
    """Split folded text into sentences with their offsets; abbreviations and decimals do not end one."""
    out: list[Span] = []
    start = 0

    def close(end: int) -> None:
        raw = folded[start:end]
        lead = len(raw) - len(raw.lstrip())
        if text := raw.strip():
            out.append(Span(start + lead, start + lead + len(text), text))

    for match in _END.finditer(folded):
        if match[0].startswith(".") and _ABBREVIATION.search(folded[max(0, match.start() - 6) : match.start() + 1]):
            continue
        close(match.end())
        start = match.end()
    close(len(folded))
    return tuple(out)


_LEAD = r"(?:^|[,;:—–]\s*|\s-\s|\b(?:and|but|so|then|or)\s+|\"\s*)"
_WH_OPEN = re.compile(_LEAD + r"(?:[a-z]+,\s+)?(?:in what|what's|what|how's|how|why|in which|from what|of what)\b")
_WH_CLOSED = re.compile(
    _LEAD + r"(?:how (?:many|often|long|old|soon|far|recently|late|early)|what (?:time|day|year|age|is your name|medication)"
    r"|since when|when did|when was|where (?:do|did|are|is)|who (?:is|was|else|lives)|which (?:day|one))\b"
)
_AUX = re.compile(
    _LEAD + r"(?:[a-z]+,\s+)?(?:is|are|was|were|do|does|did|have|has|had|can|could|would|will|should|shall|may|might"
    r"|isn't|aren't|don't|doesn't|didn't|haven't|wouldn't|couldn't|any)\b"
)
_INVITE = phrases("question.invite")


@lru_cache(maxsize=8192)
def question_kind(sentence: str) -> QuestionKind:
    """Tell an open from a closed question, as MITI 4.2.1 does (Moyers et al., 2014); "" when it is no question.

    An invitation to say more counts as open whether or not it ends in a question mark; a question that asks for a
    number, a date or a yes/no counts as closed.
    """
    asks = sentence.rstrip("\"'”)").endswith("?")
    invite = _INVITE.search(sentence)
    if invite and (asks or invite.start() <= 30):
        return "open"
    if not asks:
        return ""
    closed, opened, aux = _WH_CLOSED.search(sentence), _WH_OPEN.search(sentence), _AUX.search(sentence)
    if closed and (not opened or closed.start() <= opened.start()):
        return "closed"
    if opened and (not aux or opened.start() <= aux.start() or (opened.start() > aux.start() + 12 and "or " not in sentence)):
        return "open"
    if not aux and re.search(r"\b(?:what|how|why)\b", sentence):
        return "open"
    return "closed"


def negated(folded: str, start: int, window: int = 4) -> bool:
    """Tell whether one of the ``window`` words before ``start``, in the same clause, negates what follows."""
    before = _CLAUSE.split(folded[max(0, start - 60) : start])[-1]
    return any(w in NEGATION or w.endswith("n't") for w in words(before)[-window:])


def jaccard(a: frozenset[str], b: frozenset[str]) -> float:
    """Return the share of common elements, 0 for two empty sets."""
    return len(a & b) / len(a | b) if a or b else 0.0


def ramp(x: float, zero: float, one: float) -> float:
    """Map linearly so that ``zero`` gives 0 and ``one`` gives 1, clipped (``zero`` may be the larger)."""
    return min(1.0, max(0.0, (x - zero) / (one - zero)))
