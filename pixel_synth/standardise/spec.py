"""What is known of a source before its rows are read: whose it is, which shape it has, and which of its columns means what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from pixel_synth.records import Category, Kind, Record, Role

Writer = Literal["human", "model", "mixed", "unknown"]


class Spec(Record):
    """How the rows of one source are to be read.

    Mappings of columns go from our name to theirs (``{"prompt": "Frage"}``); a dot reaches into an object (``"metadata.reasoning"``).
    """

    source: str = Field(min_length=1, description="id of the source; part of every record's id")
    revision: str = Field(default="", description="pinned revision, or the SHA-256 of the file")
    license: str = Field(default="", description="SPDX identifier, or the words of the source")
    wrote: Writer = Field(default="unknown", description="who wrote the replies")
    category: Category | None = Field(default=None, description="None: what the rows say, or what their shape means, see convert.category")
    kind: Kind = Field(default="", description="empty: by shape and number of turns")
    shape: str = Field(default="", description="stem of a file in pixel_synth/standardise/shapes; empty: detected from the rows")
    columns: Mapping[str, str] = Field(default_factory=dict, description="our column of the shape -> theirs")
    roles: Mapping[str, Role] = Field(default_factory=dict, description="their name of a speaker -> our role")
    client_only: bool = Field(default=False, description="take the human side only; the set's replies never become assistant turns")
    groups: Mapping[str, str] = Field(default_factory=dict, description="kind of group -> column with its key")
    created: str = Field(default="", description="column with the date or time at which the row was made")
    labels: Mapping[str, str] = Field(default_factory=dict, description="label of a record -> column")
    keep_reasoning: bool = Field(default=True, description="keep a chain of thought in `thought`; it is never part of a reply")
