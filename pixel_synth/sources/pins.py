"""``pins.json`` of a cache: which commit and which bytes every fetched set had, so that a later fetch gives the same or says why not."""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from pydantic import Field, ValidationError

from pixel_synth.errors import SourceError
from pixel_synth.jsonl import sha256_of, whole
from pixel_synth.records import Record

NAME = "pins.json"


class FilePin(Record):
    """Size and hash of one file."""

    size: int = Field(ge=0, description="bytes")
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


class Pin(Record):
    """What a set was when it was fetched first."""

    commit: str = Field(description="40 hex digits of the Hub's commit, or 64 of the content of a mirror folder")
    name: str = Field(description="OWNER/NAME that the set goes by on the Hub, which may have been renamed")
    patterns: tuple[str, ...] = Field(description="patterns that were fetched completely")
    files: Mapping[str, FilePin]


class _Book(Record):
    sets: Mapping[str, Pin] = Field(default_factory=dict)


def read_pins(cache: Path) -> dict[str, Pin]:
    """Return the pins of a cache folder, by set; none when it has no file of pins.

    Raises:
        SourceError: When the file is damaged.
    """
    path = cache / NAME
    if not path.is_file():
        return {}
    try:
        return dict(_Book.model_validate_json(path.read_bytes()).sets)
    except ValidationError as error:
        first = error.errors()[0]
        raise SourceError(
            f"{path}: {'.'.join(map(str, first['loc']))}: {first['msg']}", hint="restore it from a copy; deleting it unpins every set"
        ) from error


def keep_pin(cache: Path, key: str, merge: Callable[[Pin | None], Pin]) -> Pin:
    """Change one set's pin to what ``merge`` makes of the present one; safe beside other processes and a kill."""
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / f".{NAME}.lock").open("a+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        pins = read_pins(cache)
        pins[key] = merge(pins.get(key))
        with whole(cache / NAME) as file:
            file.write(_Book(sets=dict(sorted(pins.items()))).model_dump_json(indent=2) + "\n")
        return pins[key]


def pin_of(path: Path) -> FilePin:
    """Return the size and the hash of a file."""
    return FilePin(size=path.stat().st_size, sha256=sha256_of(path))


def matching(paths: list[str], patterns: tuple[str, ...]) -> list[str]:
    """Return the paths that fit one of the patterns, where ``*`` also crosses slashes, as in the Hub's own client."""
    wanted = [p + "*" if p.endswith("/") else p for p in patterns]
    return [path for path in sorted(paths) if any(fnmatchcase(path, p) for p in wanted)]


def check_path(repo: str, path: str) -> str:
    """Return a path that came from outside when it stays inside its folder.

    Raises:
        SourceError: When it is absolute, climbs, or holds a backslash or a NUL.
    """
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or ".." in parts or "\\" in path or "\0" in path:
        raise SourceError(f"{repo} lists a file outside its folder: {path!r}", hint="do not use this set")
    return path
