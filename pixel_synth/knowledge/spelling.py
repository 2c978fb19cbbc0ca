"""Words of the packs that no dictionary knows: a typing slip, or a term that belongs into ``knowledge/words.txt``.

The dictionary is that of `pyspellchecker` (extra ``check``).  British forms are known through their American ones, contractions
and possessives through the word before them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from unicodedata import normalize

from pixel_synth.errors import KnowledgeError
from pixel_synth.knowledge.claims import Key
from pixel_synth.knowledge.language import every_text
from pixel_synth.knowledge.load import Knowledge, Pack

WORDS = "words.txt"
_SKIP = {"id", "source", "cues", "markers", "url", "doi", "icd10cm", "icd10cm_by", "rights", "cite"}
_WORD = re.compile(r"[a-zà-ÿ]+(?:'[a-z]+)?")
_BRITISH = (
    (re.compile(r"is(e|ed|es|er|ers|ing|ation|ations)$"), r"iz\1"),
    (re.compile(r"ys(e|ed|es|ing)$"), r"yz\1"),
    (re.compile(r"our"), "or"),
    (re.compile(r"([aeiou])ll(ed|ing|er)$"), r"\1l\2"),
    (re.compile(r"tre(s?)$"), r"ter\1"),
    (re.compile(r"ae|oe"), "e"),
    (re.compile(r"ogue(s?)$"), r"og\1"),
    (re.compile(r"ence(s?)$"), r"ense\1"),
    (re.compile(r"mme(s?)$"), r"m\1"),
)


def own_words(folder: Path) -> frozenset[str]:
    """Return the words that a folder of packs declares right, one a line; ``#`` begins a comment."""
    path = folder / WORDS
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return frozenset(line.strip().lower() for line in lines if line.strip() and not line.startswith("#"))


def unknown_words(knowledge: Knowledge, folder: Path) -> Iterator[tuple[Pack, Key, str, str]]:
    """Yield (pack, key path, dotted place, word) of every word that neither the dictionary nor the folder's list knows.

    Raises:
        KnowledgeError: When the dictionary is not installed.
    """
    try:
        from spellchecker import SpellChecker
    except ImportError as error:
        raise KnowledgeError("spelling needs a dictionary", hint="pip install 'pixel-synth[check]'") from error
    speller, own, seen = SpellChecker(), own_words(folder), dict[str, bool]()

    def known(word: str) -> bool:
        if word not in seen:
            plain = normalize("NFD", word).encode("ascii", "ignore").decode()
            stem = plain.split("'")[0]
            forms = {word, plain, stem, *(pattern.sub(by, stem) for pattern, by in _BRITISH)}
            seen[word] = len(stem) < 3 or bool(forms & own) or any(f in speller for f in forms)
        return seen[word]

    for pack, i, entry, key, text in every_text(knowledge):
        if not _SKIP & set(key):
            plain = re.sub(r"\{\w+\}|https?:\S+|\S*[@_/]\S*", " ", text.lower().replace("’", "'"))
            for word in _WORD.findall(re.sub(r"[\[\]|]", " ", plain)):
                if not known(word):
                    yield pack, ("entries", i, *key), ".".join(map(str, (entry.id, *key))), word
