"""Rated conversations of other people's formats, one file per source; each reader gives `Labelled`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from pixel_synth.calibrate.labels import Rating, Scale
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
