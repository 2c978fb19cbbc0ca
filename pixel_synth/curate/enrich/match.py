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
    return Words(folded, tuple(w for w, _ in found), tuple(s for _, s in found))


class _Phrase(NamedTuple):
    words: tuple[str, ...]
    stem: tuple[bool, ...]
    cue: str
    meanings: tuple[Meaning, ...]


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
        self._seen: dict[str, tuple[_Phrase, ...]] = {}

    def _starting(self, word: str) -> tuple[_Phrase, ...]:
        found = [*self._whole.get(word, ())]
        for length in self._lengths:
            if length > len(word):
                break
            found += self._stems.get(word[:length], ())
        result = tuple(sorted(found, key=lambda p: (-len(p.words), p.cue)))
        if len(self._seen) < KNOWN:
            self._seen[word] = result
        return result

    def find(self, text: Words) -> Iterator[Hit]:
        """Yield every phrase found, in order of place; of phrases that start at the same word the longest comes first."""
        seen, words = self._seen, text.words
        for at, word in enumerate(words):
            phrases = seen.get(word)
            if phrases is None:
                phrases = self._starting(word)
            for phrase in phrases:
                if len(phrase.words) == 1 or _goes_on(phrase, words, at):
                    last = at + len(phrase.words) - 1
                    yield Hit(text.starts[at], text.starts[last] + len(words[last]), phrase.meanings, phrase.cue, at)


def _goes_on(phrase: _Phrase, words: tuple[str, ...], at: int) -> bool:
    if at + len(phrase.words) > len(words):
        return False
    for i in range(1, len(phrase.words)):
        word, wanted = words[at + i], phrase.words[i]
        if not (word.startswith(wanted) if phrase.stem[i] else word == wanted):
            return False
    return True
