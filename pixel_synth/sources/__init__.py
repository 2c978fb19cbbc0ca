"""Where records come from that we did not generate: one file per set, local files, the Hub, licences.

A module of this room that has a ``SOURCE`` is a set, and its file stem is the set's id; dropping a file in adds a set.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from functools import lru_cache
from importlib import import_module
from pkgutil import iter_modules
from types import MappingProxyType
from typing import TYPE_CHECKING

from pixel_synth.errors import UsageError

if TYPE_CHECKING:
    from pixel_synth.sources.source import Source

GROUPS = ("mental_health", "reasoning", "personality", "auxiliary", "local")


@lru_cache(maxsize=1)
def sources() -> Mapping[str, Source]:
    """Return every set by id, group by group."""
    modules = (import_module(f"{__name__}.{info.name}") for info in iter_modules(__path__))
    found: list[Source] = [m.SOURCE for m in modules if hasattr(m, "SOURCE")]
    return MappingProxyType({s.id: s for s in sorted(found, key=lambda s: (GROUPS.index(s.group), s.id))})


def chosen(ids: Iterable[str]) -> list[Source]:
    """Return the named sets, each after those that it was derived from and otherwise in the given order.

    Args:
        ids: Ids, or names on the Hub (OWNER/NAME, an owner's former name too).

    Raises:
        UsageError: When there is no such set, with what it may have meant.
    """
    known = sources()
    names = {name.lower(): s.id for s in known.values() for name in (s.id, s.repo, *s.former) if name}
    wanted: list[str] = []
    for given in ids:
        id = names.get(given.lower())
        if id is None:
            near = get_close_matches(given, sorted(known), n=2)
            raise UsageError(f"no set {given}", hint=f"did you mean {' or '.join(near)}?" if near else "pixel-synth sources list")
        if id not in wanted:
            wanted.append(id)
    ordered: list[Source] = []

    def add(source: Source) -> None:
        for id in (i for i in source.after if i in wanted):
            add(known[id])
        if source not in ordered:
            ordered.append(source)

    for id in wanted:
        add(known[id])
    return ordered


__all__ = ["GROUPS", "chosen", "sources"]
