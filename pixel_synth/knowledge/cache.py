"""Validated packs kept as one JSON file, addressed by the content of every pack and of the code that reads them.

Reading YAML is what takes time; JSON of the same entries is validated about twenty times as fast.  A change to any
pack or model gives another address, so a stale cache is never read.  A cache that cannot be written or read
is no error: the packs are then read from YAML.  ``PIXEL_CACHE_DIR`` moves it, ``PIXEL_CACHE_DIR=off`` turns it off.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from pixel_synth.knowledge.models import KINDS
from pixel_synth.knowledge.pieces import Entry, Source

KEPT = 4  # older caches that stay on disk


class Cached(BaseModel):
    """One pack as it was read; ``entries`` is the JSON text of its validated entries."""

    model_config = ConfigDict(frozen=True)

    path: str
    kind: str
    sources: dict[str, Source]
    entries: str


_FILE = TypeAdapter(list[Cached])
_ENTRIES: dict[str, TypeAdapter[Any]] = {}


def cache_dir() -> Path | None:
    """Return the folder of the cache, or ``None`` when it is turned off."""
    if (own := os.environ.get("PIXEL_CACHE_DIR")) is not None:
        return Path(own) if own not in ("", "off") else None
    home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(home) / "pixel_synth"


def address(folder: Path, paths: Sequence[Path]) -> str:
    """Return the hash of all packs (path below the folder, content) and of the code of this room and the records."""
    room = Path(__file__).resolve().parent
    digest = hashlib.sha256()
    for path in (*paths, *sorted(room.rglob("*.py")), room.parent / "records.py"):
        name = path.relative_to(folder) if folder in path.parents else path.name
        digest.update(f"{name}\x1f".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:24]


def recall(key: str) -> list[tuple[Cached, tuple[Entry, ...]]] | None:
    """Return the packs kept at an address, or ``None`` when there are none that can be read."""
    folder = cache_dir()
    if folder is None:
        return None
    try:
        packs = _FILE.validate_json((folder / f"knowledge-{key}.json").read_bytes())
        return [(pack, _entries(pack.kind).validate_json(pack.entries)) for pack in packs]
    except (OSError, ValidationError, KeyError):
        return None


def keep(key: str, packs: Sequence[Cached]) -> None:
    """Write packs to an address and drop the oldest caches; what cannot be written is left alone."""
    folder = cache_dir()
    if folder is None:
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        part = folder / f"knowledge-{key}.{os.getpid()}.part"
        part.write_bytes(_FILE.dump_json(list(packs)))
        part.replace(folder / f"knowledge-{key}.json")
        old = sorted(folder.glob("knowledge-*.json"), key=lambda p: p.stat().st_mtime, reverse=True)[KEPT:]
        for path in old:
            path.unlink(missing_ok=True)
    except OSError:
        return


def pack(path: str, kind: str, sources: dict[str, Source], entries: Sequence[Entry]) -> Cached:
    """Return one pack as it is kept: entries as JSON, without values that are the default."""
    text: bytes = _entries(kind).dump_json(tuple(entries), exclude_defaults=True)
    return Cached(path=path, kind=kind, sources=sources, entries=text.decode())


def _entries(kind: str) -> TypeAdapter[Any]:
    if kind not in _ENTRIES:
        _ENTRIES[kind] = TypeAdapter(tuple[KINDS[kind], ...])  # type: ignore[valid-type]
    return _ENTRIES[kind]
