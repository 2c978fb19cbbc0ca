"""Lexical diversity and syllables, the formulas behind language quality and complexity."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

FACTOR = 0.72


def _mtld_pass(tokens: Sequence[str], factor: float) -> float:
    factors, types, count = 0.0, set[str](), 0
    for token in tokens:
        count += 1
        if token not in types:  # which only raises the ratio
            types.add(token)
        elif len(types) / count <= factor:
            factors += 1
            types, count = set(), 0
    if count:
        factors += (1 - len(types) / count) / (1 - factor)
    return len(tokens) / factors if factors else float(len(tokens))


def mtld(tokens: Sequence[str], factor: float = FACTOR) -> float:
    """Return the measure of textual lexical diversity (McCarthy & Jarvis, 2010).

    Mean length of the stretches that keep a type-token ratio above ``factor``, forwards and backwards, the last
    stretch counted in part.  0 for no tokens.
    """
    if not tokens:
        return 0.0
    return (_mtld_pass(tokens, factor) + _mtld_pass(tokens[::-1], factor)) / 2


@lru_cache(maxsize=50_000)
def syllables(word: str) -> int:
    """Estimate the syllables of an English word: vowel groups, silent final -e and -ed taken off, at least one."""
    groups = len(re.findall(r"[aeiouy]+", word))
    if re.search(r"[^aeiouyl]e$|[^aeiouytd]ed$|[^aeiouysxz]es$", word) and groups > 1:
        groups -= 1
    if re.search(r"i[ao]|eo|uou", word) and not re.search(r"tion|sion|cious|tious|cial|tial|cian", word):
        groups += 1
    return max(1, groups)


def grade_level(words: Sequence[str], sentences: int) -> float:
    """Return the Flesch-Kincaid grade: 0.39 words/sentence + 11.8 syllables/word - 15.59 (Kincaid et al., 1975)."""
    if not words or not sentences:
        return 0.0
    return 0.39 * len(words) / sentences + 11.8 * sum(map(syllables, words)) / len(words) - 15.59
