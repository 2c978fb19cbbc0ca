"""Find a shape's columns among the keys of a row, whatever their spelling."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic_core import from_json

from pixel_synth.errors import UsageError
from pixel_synth.standardise.shapes import SHAPES

Path = tuple[str, ...]


class Columns:
    """The columns of one shape; the spec's own names go first."""

    def __init__(self, shape: str, given: Mapping[str, str]) -> None:
        if shape not in SHAPES:
            raise UsageError(f"no shape {shape!r}", hint=f"one of {', '.join(SHAPES)}")
        self._wanted = SHAPES[shape].COLUMNS
        if unknown := sorted(set(given) - set(self._wanted)):
            names = ", ".join(n for n in self._wanted if n != "*")
            raise UsageError(f"the shape {shape} has no column {unknown[0]!r}", hint=f"its columns are {names}")
        self._given = given
        self._found: dict[Path, dict[str, Path]] = {}

    def of(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return the row under our names; a column that it lacks is left out."""
        keys = tuple(row)
        if keys not in self._found:
            if len(self._found) > 1000:  # keys that never repeat must not fill the memory
                self._found.clear()
            self._found[keys] = self._paths(keys)
        found = {}
        for ours, path in self._found[keys].items():
            value = reach(row, path)
            if value is not None:
                found[ours] = value
        if "*" in self._wanted:
            found["*"] = row
        return found

    def _paths(self, keys: Path) -> dict[str, Path]:
        plain: dict[str, str] = {}
        for key in keys:
            plain.setdefault(_plain(key), key)
        found: dict[str, Path] = {}
        for ours, names in self._wanted.items():
            if ours in self._given:
                found[ours] = (self._given[ours],) if self._given[ours] in keys else tuple(self._given[ours].split("."))
                continue
            for name in names:
                first, *rest = name.split(".")
                if first in plain:
                    found[ours] = (plain[first], *rest)
                    break
        return found


def _plain(key: str) -> str:
    return "".join(filter(str.isalnum, key.lower()))


def reach(row: Mapping[str, Any], path: Path) -> Any:
    """Return what a path of keys leads to, ``None`` where it leads nowhere; an object that is kept as JSON text is read."""
    value: Any = row
    for key in path:
        if isinstance(value, str) and value[:1] == "{":
            try:
                value = from_json(value)
            except ValueError:
                return None
        if not isinstance(value, Mapping):
            return None
        value = value.get(key)
    return value


def column(row: Mapping[str, Any], name: str) -> Any:
    """Return the value of a column by its name, in which dots may reach into objects."""
    return row[name] if name in row else reach(row, tuple(name.split(".")))
