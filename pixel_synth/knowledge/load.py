"""Read packs from YAML into typed entries; every error names file, line and key.

`load` reads all packs below the knowledge folder into one `Knowledge`, the only object other rooms see.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from pixel_synth.errors import KnowledgeError
from pixel_synth.knowledge import cache
from pixel_synth.knowledge.models import KINDS
from pixel_synth.knowledge.pieces import Entry, Source
from pixel_synth.shipped import shipped

E = TypeVar("E", bound=Entry)
SHARED = "sources.yaml"
_Loader: type = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Pack(NamedTuple):
    """One file: what kind it holds, its sources and its entries."""

    path: Path
    kind: str
    sources: dict[str, Source]
    entries: tuple[Entry, ...]


class Knowledge(NamedTuple):
    """All packs, with entries by kind and id."""

    packs: tuple[Pack, ...]
    by_kind: dict[str, dict[str, Entry]]

    def all(self, model: type[E]) -> dict[str, E]:
        """Return the entries of a model by id, in id order."""
        kind = next(k for k, m in KINDS.items() if m is model)
        return self.by_kind.get(kind, {})  # type: ignore[return-value]

    def get(self, model: type[E], id: str) -> E:
        """Return one entry.

        Raises:
            KnowledgeError: When there is none, naming the nearest ids.
        """
        entries = self.all(model)
        if id in entries:
            return entries[id]
        from difflib import get_close_matches

        near = get_close_matches(id, entries, n=3)
        raise KnowledgeError(f"no {model.__name__.lower()} with id {id!r}", hint=f"did you mean: {', '.join(near or list(entries)[:8])}")


def knowledge_dir() -> Path:
    """Return the folder of the packs: ``PIXEL_KNOWLEDGE_DIR``, the checkout's ``knowledge/``, or the installed copy."""
    return shipped("knowledge")


def read_sources(folder: Path) -> dict[str, Source]:
    """Read the sources that all packs of a folder share (``sources.yaml``), or none.

    Raises:
        KnowledgeError: With the key of the source that is malformed.
    """
    path = folder / SHARED
    if not path.is_file():
        return {}
    try:
        data = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader) or {}  # noqa: S506  (a SafeLoader)
        return {key: Source.model_validate(value) for key, value in data.items()}
    except (yaml.YAMLError, ValidationError, AttributeError) as error:
        raise KnowledgeError(f"{path}: {error}", hint="a mapping of source keys to cite, doi, url") from error


def read_pack(path: Path, shared: Mapping[str, Source] = MappingProxyType({})) -> Pack:
    """Read and validate one pack; its entries cite its own sources or the ``shared`` ones.

    Raises:
        KnowledgeError: With ``file:line: key: what is wrong`` for every fault found.
    """
    text = path.read_text(encoding="utf-8")
    try:
        data = yaml.load(text, Loader=_Loader)  # noqa: S506  (a SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else 1
        raise KnowledgeError(f"{path}:{line}: not valid YAML: {getattr(error, 'problem', error)}") from error
    if not isinstance(data, dict) or set(data) != {"kind", "sources", "entries"}:
        raise KnowledgeError(f"{path}:1: a pack has exactly the keys kind, sources, entries", hint=f"kinds: {', '.join(KINDS)}")
    kind = data["kind"]
    if not (data["sources"] is None or isinstance(data["sources"], dict)) or not (
        data["entries"] is None or isinstance(data["entries"], list)
    ):
        raise KnowledgeError(f"{path}:1: sources must be a mapping and entries a list", hint="docs/knowledge.md describes every key")
    if not isinstance(kind, str) or kind not in KINDS:
        raise KnowledgeError(f"{path}:{line_of(text, ('kind',))}: kind: unknown kind {kind!r}", hint=f"kinds: {', '.join(KINDS)}")
    faults: list[str] = []

    def check(model: type[Any], value: Any, at: tuple[str | int, ...]) -> Any:
        try:
            return model.model_validate(value)
        except ValidationError as error:
            for item in error.errors():
                key = (*at, *item["loc"])
                dotted = ".".join(str(k) for k in key)
                faults.append(f"{path}:{line_of(text, key)}: {dotted}: {item['msg']}")

    sources = {key: check(Source, value, ("sources", key)) for key, value in (data["sources"] or {}).items()}
    entries = [check(KINDS[kind], value, ("entries", i)) for i, value in enumerate(data["entries"] or [])]
    for i, entry in enumerate(entries):
        for at, key in cited(entry) if entry else ():
            if key in shared:
                sources.setdefault(key, shared[key])
            if key not in sources:
                where = ("entries", i, *at)
                faults.append(f"{path}:{line_of(text, where)}: {'.'.join(map(str, where))}: no source {key!r} in this file or in {SHARED}")
    if faults:
        raise KnowledgeError("\n".join(faults), hint="docs/knowledge.md describes every key")
    return Pack(path, kind, sources, tuple(entries))


def cited(part: BaseModel, at: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Yield (key path, source key) of every citation within an entry."""
    for name in type(part).model_fields:
        value = getattr(part, name)
        if name == "source":
            yield from (((*at, name), key) for key in value)
        elif isinstance(value, BaseModel):
            yield from cited(value, (*at, name))
        elif isinstance(value, tuple):
            for i, item in enumerate(value):
                if isinstance(item, BaseModel):
                    yield from cited(item, (*at, name, i))


@lru_cache(maxsize=4)
def _tree(text: str) -> yaml.Node | None:
    node: yaml.Node | None = yaml.compose(text, Loader=_Loader)
    return node


def line_of(text: str, key: tuple[str | int, ...]) -> int:
    """Return the 1-based line of the deepest part of ``key`` that exists in the YAML text."""
    node = _tree(text)
    line = node.start_mark.line + 1 if node else 1
    for step in key:
        if isinstance(node, yaml.MappingNode):
            pair = next(((k, v) for k, v in node.value if k.value == str(step)), None)
            if pair is None:
                break
            line, node = pair[0].start_mark.line + 1, pair[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
            node = node.value[step]
            line = node.start_mark.line + 1
        else:
            break
    return line


def load_dir(folder: Path) -> Knowledge:
    """Load every ``*.yaml`` below ``folder``; what was read before with the same content comes from the cache.

    Raises:
        KnowledgeError: For malformed packs, and for ids that occur twice within a kind.
    """
    if not folder.is_dir():
        raise KnowledgeError(f"no knowledge folder at {folder}", hint="set PIXEL_KNOWLEDGE_DIR or run from a checkout")
    paths = sorted(folder.rglob("*.yaml"))
    key = cache.address(folder, paths)
    kept = cache.recall(key)
    if kept is not None:
        packs = tuple(Pack(folder / pack.path, pack.kind, pack.sources, entries) for pack, entries in kept)
    else:
        shared = read_sources(folder)
        packs = tuple(read_pack(path, shared) for path in paths if path != folder / SHARED)
    by_kind: dict[str, dict[str, Entry]] = {kind: {} for kind in KINDS}
    origin: dict[tuple[str, str], Path] = {}
    for pack in packs:
        for entry in pack.entries:
            if (pack.kind, entry.id) in origin:
                raise KnowledgeError(f"{pack.path}: {pack.kind} {entry.id!r} is already in {origin[pack.kind, entry.id]}")
            origin[pack.kind, entry.id] = pack.path
            by_kind[pack.kind][entry.id] = entry
    if kept is None:
        cache.keep(key, [cache.pack(str(p.path.relative_to(folder)), p.kind, p.sources, p.entries) for p in packs])
    return Knowledge(packs, {kind: dict(sorted(entries.items())) for kind, entries in by_kind.items()})


@lru_cache(maxsize=4)
def load(folder: Path | None = None) -> Knowledge:
    """Load the knowledge base once per process (from `knowledge_dir` unless a folder is given)."""
    return load_dir(folder or knowledge_dir())
