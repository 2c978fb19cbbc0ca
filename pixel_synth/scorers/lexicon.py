"""Word lists of the scorers (``lexicon.yaml``, ``background.txt``), read once: what a word counts for and how rare it is.

A list entry is a whole word or a prefix ending in ``*``.  Tags are list names; semantic fields are ``field.<name>``.
"""

from __future__ import annotations

import math
from functools import lru_cache
from pathlib import Path

import yaml

_NONE: frozenset[str] = frozenset()


@lru_cache(maxsize=1)
def _file() -> dict[str, dict[str, str]]:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    text = Path(__file__).with_name("lexicon.yaml").read_text(encoding="utf-8")
    data: dict[str, dict[str, str]] = yaml.load(text, Loader=loader)  # noqa: S506  (a SafeLoader)
    return data


def word_set(name: str) -> frozenset[str]:
    """Return a plain word set (``sets`` in the file)."""
    return frozenset(_file()["sets"][name].split())


@lru_cache(maxsize=1)
def _tables() -> tuple[dict[str, frozenset[str]], dict[str, frozenset[str]]]:
    data = _file()
    whole: dict[str, set[str]] = {}
    prefix: dict[str, set[str]] = {}
    for name, entries in [*data["lists"].items(), *((f"field.{k}", v) for k, v in data["fields"].items())]:
        for word in entries.split():
            table, key = (prefix, word[:-1]) if word.endswith("*") else (whole, word)
            table.setdefault(key, set()).add(name)
    return {k: frozenset(v) for k, v in whole.items()}, {k: frozenset(v) for k, v in prefix.items()}


@lru_cache(maxsize=50_000)
def tags(word: str) -> frozenset[str]:
    """Return the lists that a folded word belongs to."""
    whole, prefix = _tables()
    found = whole.get(word, _NONE)
    for n in range(3, len(word) + 1):
        found |= prefix.get(word[:n], _NONE)
    return found


@lru_cache(maxsize=1)
def _rarities() -> tuple[dict[str, float], float]:
    lines = Path(__file__).with_name("background.txt").read_text(encoding="utf-8").splitlines()
    shares = {stem: float(share) for stem, share in (line.split() for line in lines if not line.startswith("#"))}
    rarest = math.log(min(shares.values()) / 2)
    return {stem: math.log(share) / rarest for stem, share in shares.items()}, 1.0


def rarity(stem: str) -> float:
    """Return how much a stem tells apart: inverse document frequency, 1 for stems outside ``background.txt``."""
    known, unknown = _rarities()
    return known.get(stem, unknown)
