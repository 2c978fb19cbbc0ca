"""Phrase patterns of the scorers (``phrases.yaml``, ``risk.yaml``), compiled once.

An entry is a list of regular expressions over folded text, any of which may match between word borders; or a mapping with
``head`` and ``tail`` where other borders are needed.  ``<<name>>`` inserts an entry of ``define``.  In ``risk.yaml`` an
apostrophe between two letters may be missing from the text, as people leave it out when they type.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cache, lru_cache
from itertools import chain, pairwise
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
def present(*names: str) -> re.Pattern[str]:
    """Return a pattern that matches wherever one of `phrases` for these names does, three times as fast, for yes/no tests.

    Alternatives are laid out as a prefix tree, so that a first letter rules most of them out; many entries in one tree cost little
    more than one.  Which of two alternatives at one place wins may differ, and with it where the match ends.  Of a single name, an
    entry that is no plain list stays as it is.

    Raises:
        TypeError: When one of several entries is no plain list.
    """
    data = _file("phrases.yaml")
    entries = [data["phrases"][name] for name in names]
    if len(names) == 1 and not isinstance(entries[0], list):
        return phrases(names[0])
    if odd := [name for name, entry in zip(names, entries, strict=True) if not isinstance(entry, list)]:
        raise TypeError(f"phrases.yaml: {', '.join(odd)}: only plain lists can be joined in one pattern")
    return re.compile(rf"\b(?:{tree(_items(chain.from_iterable(entries), data))})\b")


@cache
def danger() -> re.Pattern[str]:
    """Return a pattern that matches wherever one of the graded entries (`risk_entries`) does, laid out as in `present`."""
    data = _file("risk.yaml")
    entries = [data["phrases"][name] for name in risk_entries()]
    (head, tail), *others = dict.fromkeys((entry["head"], entry["tail"]) for entry in entries)
    if others:
        raise ValueError("risk.yaml: the graded entries (risk.<kind>.<grade>) need the same head and tail")
    items = _items(chain.from_iterable(entry["any"] for entry in entries), data)
    return re.compile(head + tree([_INSIDE.sub("'?", x) for x in items]) + tail)


def _items(lines: Iterable[str], data: dict[str, Any]) -> list[str]:
    return list(dict.fromkeys(x for line in lines for y in _alternatives(_filled(line, data)) for x in _unfolded(y)))


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
