"""Phrase patterns of the scorers (``phrases.yaml``), compiled once.

An entry is a list of regular expressions over folded text, any of which may match between word borders; or a mapping with
``head`` and ``tail`` where other borders are needed.  ``<<name>>`` inserts an entry of ``define``.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import yaml


@lru_cache(maxsize=1)
def _file() -> dict[str, Any]:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    text = Path(__file__).with_name("phrases.yaml").read_text(encoding="utf-8")
    data: dict[str, Any] = yaml.load(text, Loader=loader)  # noqa: S506  (a SafeLoader)
    return data


@cache
def phrases(name: str) -> re.Pattern[str]:
    """Return the compiled pattern of an entry of ``phrases.yaml`` (KeyError when there is none)."""
    entry = _file()["phrases"][name]
    if isinstance(entry, list):
        entry = {"head": r"\b(?:", "any": entry, "tail": r")\b"}
    text: str = entry["head"] + "|".join(entry["any"]) + entry["tail"]
    for key, value in _file()["define"].items():
        text = text.replace(f"<<{key}>>", value)
    return re.compile(text)
