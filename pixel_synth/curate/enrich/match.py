"""Finds many phrases at once: words are looked up in a table of first words, so the cost hardly grows with the number of phrases."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from pixel_synth.scorers.text import fold

WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")
KNOWN = 200_000  # different words whose answer is remembered


class Meaning(NamedTuple):
    """What a phrase speaks for, and how loudly."""

    label: str
    weight: float


class Hit(NamedTuple):
    """A phrase found: ``text[start:end]``, what it speaks for, the phrase itself, and the place of its first word among the words."""

    start: int
    end: int
    meanings: tuple[Meaning, ...]
    cue: str
    at: int


class Words(NamedTuple):
    """A text read once: folded, character for character as long as the original, with its words and where they start."""

    folded: str
    words: tuple[str, ...]
    starts: tuple[int, ...]


def split(text: str) -> Words:
    """Return the words of a text, in lower case with straight apostrophes."""
    folded = fold(text)
    found = [(m[0], m.start()) for m in WORD.finditer(folded)]
    words, starts = zip(*found, strict=True) if found else ((), ())
    return Words(folded, words, starts)


class _Phrase(NamedTuple):
    words: tuple[str, ...]
    stem: tuple[bool, ...]
    cue: str
    meanings: tuple[Meaning, ...]


class _Branch(NamedTuple):
    """The phrases that start with a word: by their second word, those whose second word is a stem, and those of one word."""

    seconds: dict[str, tuple[_Phrase, ...]]
    loose: tuple[_Phrase, ...]
    single: tuple[_Phrase, ...]


def _branch(phrases: Iterable[_Phrase]) -> _Branch | None:
    """Return the branch of phrases, the longest first, ``None`` when there are none."""
    ordered = sorted(phrases, key=lambda p: (-len(p.words), p.cue))
    if not ordered:
        return None
    seconds: dict[str, list[_Phrase]] = {}
    for p in ordered:
        if len(p.words) > 1 and not p.stem[1]:
            seconds.setdefault(p.words[1], []).append(p)
    loose = tuple(p for p in ordered if len(p.words) > 1 and p.stem[1])
    return _Branch({k: tuple(v) for k, v in seconds.items()}, loose, tuple(p for p in ordered if len(p.words) == 1))


class Phrases:
    """A table of phrases.

    Args:
        meanings: What every phrase speaks for; words in lower case, ``*`` ends a stem ("depress*"), hyphens count as blanks.
    """

    def __init__(self, meanings: Mapping[str, Iterable[Meaning]]) -> None:
        self._whole: dict[str, list[_Phrase]] = {}
        self._stems: dict[str, list[_Phrase]] = {}
        for cue, means in meanings.items():
            tokens = re.findall(r"[^\W_]+(?:'[^\W_]+)*\*?", cue.lower())
            if not tokens:
                continue
            stems = tuple(t.endswith("*") for t in tokens)
            phrase = _Phrase(tuple(t.rstrip("*") for t in tokens), stems, cue, tuple(means))
            (self._stems if stems[0] else self._whole).setdefault(phrase.words[0], []).append(phrase)
        self._lengths = sorted({len(s) for s in self._stems})
        self._seen: dict[str, _Branch | None] = {}

    def _starting(self, word: str) -> _Branch | None:
        found = [*self._whole.get(word, ())]
        for length in self._lengths:
            if length > len(word):
                break
            found += self._stems.get(word[:length], ())
        result = _branch(found)
        if len(self._seen) < KNOWN:
            self._seen[word] = result
        return result

    def find(self, text: Words) -> Iterator[Hit]:
        """Yield every phrase found, in order of place; of phrases that start at the same word the longer come first."""
        seen, words = self._seen, text.words
        last = len(words) - 1
        for at, word in enumerate(words):
            branch = seen[word] if word in seen else self._starting(word)
            if branch is None:
                continue
            if at < last:
                for phrase in (*branch.seconds.get(words[at + 1], ()), *branch.loose):
                    if _goes_on(phrase, words, at):
                        yield _hit(phrase, text, at)
            for phrase in branch.single:
                yield _hit(phrase, text, at)


def _hit(phrase: _Phrase, text: Words, at: int) -> Hit:
    last = at + len(phrase.words) - 1
    return Hit(text.starts[at], text.starts[last] + len(text.words[last]), phrase.meanings, phrase.cue, at)


def _goes_on(phrase: _Phrase, words: tuple[str, ...], at: int) -> bool:
    if at + len(phrase.words) > len(words):
        return False
    for i in range(1, len(phrase.words)):
        word, wanted = words[at + i], phrase.words[i]
        if not (word.startswith(wanted) if phrase.stem[i] else word == wanted):
            return False
    return True
