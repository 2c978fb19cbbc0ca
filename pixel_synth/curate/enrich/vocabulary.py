"""What phrases speak for: everyday words of this folder's YAML files, names and markers of the knowledge base."""

from __future__ import annotations

from collections import defaultdict
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from pixel_synth.curate.enrich.match import Meaning, Phrases
from pixel_synth.errors import KnowledgeError
from pixel_synth.knowledge import load
from pixel_synth.knowledge.load import Knowledge
from pixel_synth.knowledge.models import Disorder, Modality, Population

HERE = Path(__file__).parent
WEIGHTS = {"strong": 3.0, "who": 2.5, "plain": 1.0}


class Vocabulary(NamedTuple):
    """Everything that labels are found by; ``theme_of`` maps conditions and other sets' names to themes (one or more)."""

    topics: Phrases
    therapy: Phrases
    people: Phrases
    theme_of: dict[str, tuple[str, ...]]
    techniques: dict[str, str]


def read_yaml(name: str) -> dict[str, Any]:
    """Return the content of a YAML file of this folder.

    Raises:
        KnowledgeError: When it is not valid YAML or not a mapping.
    """
    path = HERE / name
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise KnowledgeError(f"{path}: not valid YAML: {error}") from error
    if not isinstance(data, dict):
        raise KnowledgeError(f"{path}: a mapping is wanted")
    return data


def _topics(data: dict[str, Any], base: Knowledge) -> tuple[Phrases, dict[str, tuple[str, ...]]]:
    cues: dict[str, dict[str, float]] = defaultdict(dict)
    themes: dict[str, list[str]] = defaultdict(list)
    chapters = {}
    for theme, entry in data["themes"].items():
        themes[theme].insert(0, theme)
        for alias in entry.get("aliases", ()):
            themes[alias].append(theme)
        for chapter in entry.get("chapters", ()):
            chapters[chapter] = theme
        for disorder in entry.get("disorders", ()):
            themes[disorder].append(theme)
        _add(cues, theme, entry)
    for id, disorder in base.all(Disorder).items():
        cues[disorder.name.partition("(")[0].strip().lower()][id] = WEIGHTS["strong"]
        if id not in themes and id not in data["disorders"] and disorder.chapter in chapters:
            themes[id].append(chapters[disorder.chapter])
    for id, entry in data["disorders"].items():
        base.get(Disorder, id)
        _add(cues, id, entry)
        themes[id] = [entry["theme"]]
    return _phrases(cues), {name: tuple(dict.fromkeys(found)) for name, found in themes.items()}


def _add(cues: dict[str, dict[str, float]], label: str, entry: dict[str, Any]) -> None:
    for key, weight in WEIGHTS.items():
        for cue in entry.get(key, ()):
            cues[str(cue).lower()].setdefault(label, weight)


def _phrases(cues: dict[str, dict[str, float]]) -> Phrases:
    return Phrases({cue: [Meaning(label, weight) for label, weight in means.items()] for cue, means in cues.items()})


def _therapy(data: dict[str, Any], base: Knowledge) -> tuple[Phrases, dict[str, str]]:
    cues: dict[str, dict[str, float]] = defaultdict(dict)
    moves = {move.id: id for id, modality in base.all(Modality).items() for move in modality.moves}
    for move, entry in data["techniques"].items():
        if move not in moves:
            raise KnowledgeError(f"therapy.yaml: no modality has the move {move!r}", hint="pixel-synth knowledge show MODALITY")
        _add(cues, move, entry)
    common = set(data["common"])
    owners: dict[str, list[str]] = defaultdict(list)
    for id, modality in base.all(Modality).items():
        for marker in modality.markers:
            owners[marker].append(id)
    for marker, ids in owners.items():
        if len(ids) == 1 and ".." not in marker and marker not in common and (" " in marker or len(marker) > 9):
            cues[marker].setdefault(ids[0], WEIGHTS["plain"])
    return _phrases(cues), moves


def _people(data: dict[str, Any], base: Knowledge) -> Phrases:
    cues: dict[str, dict[str, float]] = defaultdict(dict)
    for id, entry in data["populations"].items():
        base.get(Population, id)
        _add(cues, f"population:{id}", entry)
    for trait, entry in data["traits"].items():
        _add(cues, f"trait:{trait}", entry)
    return _phrases(cues)


@lru_cache(maxsize=4)
def vocabulary(folder: Path | None = None) -> Vocabulary:
    """Return the vocabulary over the knowledge base of a folder (the shipped one by default), built once per process.

    Raises:
        KnowledgeError: When a file of words names what the knowledge base does not have.
    """
    base = load(folder)
    topics, theme_of = _topics(read_yaml("topics.yaml"), base)
    therapy, moves = _therapy(read_yaml("therapy.yaml"), base)
    return Vocabulary(topics, therapy, _people(read_yaml("people.yaml"), base), theme_of, moves)
