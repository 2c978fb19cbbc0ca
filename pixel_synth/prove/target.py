"""Find out what a path is, and which of its files hold the records: a dataset's run, a generating run, a folder, or one file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pixel_synth.errors import RecordError
from pixel_synth.mix.split_files import ALIASES, SUFFIXES
from pixel_synth.prove.rules.rule import ASIDE, Target

# Where the records of a folder stand, the first that is there; a folder that has none of them is taken whole.
MAIN = ("conversations", "mix", "kept")
# JSONL files that are written beside records and hold something else.
OTHERS = frozenset(
    "rejects rejected failed left dropped review clusters similar audit metrics alerts log plan replans scores preferences".split()
)


def target(path: Path) -> Target:
    """Return what is to be looked at.

    Raises:
        RecordError: When nothing is there, or one of the JSON files beside the records is damaged.
    """
    if path.is_file():
        return Target(path, path.parent, "file", {"": path}, {}, None, None, None)
    if not path.is_dir():
        raise RecordError(f"no file or folder {path}", hint="pixel-synth validate runs/dataset-001")
    data = path / "data" if (path / "data").is_dir() else path
    info = _json(path / "run.json")
    splits = _splits(data)
    aside = {name: found for name in ASIDE if (found := _file(data, name))}
    kind = "dataset" if info and "recipe" in info else "run" if info else "folder"
    split = _json(path / "splits.json") or _json(data / "splits.json")
    return Target(path, path, kind, splits, aside, info, _json(path / "mix.json") or _json(data / "mix.json"), split)  # type: ignore[arg-type]


def _splits(data: Path) -> dict[str, Path]:
    found = {name: path for name, aliases in ALIASES.items() for path in [_file(data, *aliases)] if path}
    if found:
        return found
    if main := _file(data, *MAIN):
        return {"": main}
    every = [p for suffix in SUFFIXES for p in sorted(data.glob(f"*{suffix}"))]
    rest = [p for p in every if (stem := p.name.partition(".")[0]) and stem not in OTHERS and stem not in ASIDE]
    if len(rest) > 1:
        return {p.name.partition(".")[0]: p for p in rest}
    return {"": rest[0]} if rest else {}


def _file(folder: Path, *names: str) -> Path | None:
    return next((p for name in names for suffix in SUFFIXES if (p := folder / f"{name}{suffix}").is_file()), None)


def _json(path: Path) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise RecordError(f"{path} is damaged: {error}", hint="restore it from a copy, or make the dataset again") from error
    if not isinstance(value, dict):
        raise RecordError(f"{path} is damaged: no JSON object", hint="restore it from a copy, or make the dataset again")
    return value
