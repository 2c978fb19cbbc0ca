"""The interface every engine implements.

A `Call` carries two descriptions of the same wish: rendered chat ``messages`` with a JSON ``schema`` (what a model
needs) and the typed ``brief`` they were rendered from (what the composer needs).  Its `key` covers model, messages,
schema and sampling, and nothing that is decided at run time.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any, Literal, NamedTuple, Protocol

from pixel_synth.records import Blueprint, Message, Record, TurnTag

Part = Literal["scenario", "client", "therapist", "reasoning", "judge"]


class Brief(NamedTuple):
    """What is to be written: the plan and what has been said so far."""

    part: Part
    blueprint: Blueprint
    history: tuple[Message, ...] = ()
    tags: tuple[TurnTag, ...] = ()


class Call(NamedTuple):
    """One request to an engine; only the composer, which needs it, cannot do without a brief.

    ``booked`` is the part under which the ledger books it where the brief's is too coarse: "judge.alliance".  ``to`` names the judge
    model that is to answer where there are several; it is not part of the key, which has the model anyway.
    """

    brief: Brief | None
    messages: list[dict[str, str]]
    schema: dict[str, Any]
    sampling: dict[str, Any]
    booked: str = ""
    to: str = ""

    @property
    def part(self) -> str:
        """What is asked for: a `Part`, more closely named where it is booked so; "chat" for plain messages."""
        return self.booked or (self.brief.part if self.brief else "chat")

    def key(self, model: str) -> str:
        """Return the ledger key: a hash over model, messages, schema and sampling."""
        data = json.dumps([model, self.messages, self.schema, self.sampling], sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(data.encode()).hexdigest()


class Completion(Record):
    """The raw answer of an engine.  Token counts are ``None`` where the engine has none."""

    text: str
    finish: Literal["stop", "length", "refused"] = "stop"
    tokens_in: int | None = None
    tokens_out: int | None = None
    cached: int | None = None  # of tokens_in: how many the server took from its prefix cache


class Engine(Protocol):
    """Puts briefs into words."""

    name: str
    model: str

    async def complete(self, call: Call) -> Completion:
        """Answer one call.

        Raises:
            EngineError: When no usable answer can be had; ``retryable`` says whether trying again may help.
        """
        ...

    async def close(self) -> None:
        """Release what the engine holds."""
        ...
