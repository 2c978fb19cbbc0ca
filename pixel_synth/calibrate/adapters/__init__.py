"""Rated conversations of other people's formats, one file per source; each reader gives `Labelled`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from pixel_synth.calibrate.labels import Rating, Scale
from pixel_synth.errors import UsageError
from pixel_synth.records import Conversation


class Labelled(NamedTuple):
    """Rated conversations: what was said, what people and models thought of it, and what their numbers mean.

    ``conversations`` may miss items whose text is not given; ``left_out`` counts what was in the source and is not here, by reason.
    """

    name: str
    license: str
    conversations: tuple[Conversation, ...]
    ratings: tuple[Rating, ...]
    scales: Mapping[str, Scale]
    left_out: Mapping[str, int]


def of_source(labelled: Labelled, *sources: str) -> Labelled:
    """Keep the conversations of some sources, and their ratings.

    Raises:
        UsageError: When there is none of a source.
    """
    if missing := set(sources) - {c.provenance.source for c in labelled.conversations}:
        known = ", ".join(sorted({c.provenance.source for c in labelled.conversations})) or "none"
        raise UsageError(f"{labelled.name}: no conversation of source {sorted(missing)[0]!r}", hint=f"sources: {known}")
    kept = tuple(c for c in labelled.conversations if c.provenance.source in sources)
    ids = {c.id for c in kept}
    licenses = dict.fromkeys(c.provenance.license for c in kept if c.provenance.license)
    return labelled._replace(
        name="+".join(sources), license=", ".join(licenses) or labelled.license, conversations=kept,
        ratings=tuple(r for r in labelled.ratings if r.item in ids),
    )  # fmt: skip
