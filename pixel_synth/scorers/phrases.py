"""Phrase patterns of the scorers (``phrases.yaml``, ``risk.yaml``), compiled once.

An entry is a list of regular expressions over folded text, any of which may match between word borders; or a mapping with
``head`` and ``tail`` where other borders are needed.  ``<<name>>`` inserts an entry of ``define``.  In ``risk.yaml`` an
apostrophe between two letters may be missing from the text, as people leave it out when they type.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache, lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

_INSIDE = re.compile(r"(?<=[a-z])'(?=[a-z])")


@cache
def _file(name: str = "phrases.yaml") -> dict[str, Any]:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    data: dict[str, Any] = yaml.load(Path(__file__).with_name(name).read_text(encoding="utf-8"), Loader=loader)  # noqa: S506  (a SafeLoader)
    return data


def _filled(text: str, data: dict[str, Any]) -> str:
    for key, value in data["define"].items():
        text = text.replace(f"<<{key}>>", value)
    return text


@cache
def phrases(name: str) -> re.Pattern[str]:
    """Return the compiled pattern of an entry (KeyError when there is none); ``risk.*`` stand in ``risk.yaml``."""
    data = _file("risk.yaml" if name.startswith("risk.") else "phrases.yaml")
    entry = data["phrases"][name]
    if isinstance(entry, list):
        entry = {"head": r"\b(?:", "any": entry, "tail": r")\b"}
    text: str = entry["head"] + "|".join(entry["any"]) + entry["tail"]
    text = _filled(text, data)
    return re.compile(_INSIDE.sub("'?", text) if name.startswith("risk.") else text)


@cache
def present(name: str) -> re.Pattern[str]:
    """Return a pattern that matches wherever the one of `phrases` does, three times as fast, for yes/no tests.

    Alternatives are laid out as a prefix tree, so that a first letter rules most of them out.  Which of two alternatives at one
    place wins may differ, and with it where the match ends.  Entries that are no plain lists stay as they are.
    """
    data = _file("phrases.yaml")
    if not isinstance(data["phrases"][name], list):
        return phrases(name)
    items = [x for entry in data["phrases"][name] for y in _alternatives(_filled(entry, data)) for x in _unfolded(y)]
    return re.compile(rf"\b(?:{tree(list(dict.fromkeys(items)))})\b")


@lru_cache(maxsize=4096)
def says(name: str, folded: str) -> bool:
    """Tell whether a phrase of an entry of ``phrases.yaml`` occurs in folded text."""
    return bool(present(name).search(folded))


def _scan(text: str) -> Iterator[tuple[int, str, int]]:
    """Yield place, character and depth of brackets after it, for the characters that are neither escaped nor in a class."""
    depth, inside, skip = 0, False, False
    for i, ch in enumerate(text):
        if skip or ch == "\\":
            skip = not skip
            continue
        inside = ch == "[" or (inside and ch != "]")
        if not inside:
            depth += (ch == "(") - (ch == ")")
            yield i, ch, depth


def _alternatives(text: str) -> list[str]:
    bars = [i for i, ch, depth in _scan(text) if ch == "|" and depth == 0]
    return [text[a + 1 : b] for a, b in pairwise([-1, *bars, len(text)])]


def _unfolded(text: str) -> list[str]:
    """Return ``(?:a|b)c`` as ``ac`` and ``bc``, however deep the leading group is nested."""
    if not text.startswith("(?:"):
        return [text]
    end = next(i for i, ch, depth in _scan(text) if ch == ")" and depth == 0)
    rest = text[end + 1 :]
    if rest[:1] in ("*", "+", "{"):
        return [text]
    without = _unfolded(rest[1:]) if rest.startswith("?") else []
    return [x for head in _alternatives(text[3:end]) for x in _unfolded(head + rest.removeprefix("?"))] + without


def tree(items: list[str]) -> str:
    """Lay out regular expressions as alternatives by their first letters, so that one letter rules most of them out."""
    by_letter: dict[str, list[str]] = {}
    others = []
    for item in items:
        if item[:1].isalpha() and item[1:2] not in ("?", "*", "+", "{"):
            by_letter.setdefault(item[0], []).append(item[1:])
        else:
            others.append(item)
    return "|".join([k + (v[0] if len(v) == 1 else f"(?:{tree(v)})") for k, v in by_letter.items()] + others)


def concepts() -> dict[str, str]:
    """Return the word classes of ``risk.yaml``: phrases of a class separated by blanks, their words joined by ``_``."""
    found: dict[str, str] = _file("risk.yaml")["concepts"]
    return found


def risk_entries() -> tuple[str, ...]:
    """Return the graded entries of ``risk.yaml`` (``risk.<kind>.<grade>``) in the file's order."""
    return tuple(name for name in _file("risk.yaml")["phrases"] if name.count(".") == 2)
