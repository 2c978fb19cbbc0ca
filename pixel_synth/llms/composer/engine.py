"""The composer as an engine: answers scenario, client, therapist and reasoning calls of a blueprint."""

from __future__ import annotations

import json
from collections import OrderedDict

from pixel_synth.errors import EngineError
from pixel_synth.knowledge import Knowledge, load
from pixel_synth.llms.composer.prose import Prose
from pixel_synth.llms.composer.session import Session, Turn
from pixel_synth.llms.engine import Call, Completion
from pixel_synth.records import Blueprint

_KEEP = 512


class Composer:
    """Embedded engine; the same blueprint and packs give the same words on any machine."""

    name = "composer"
    model = "composer"

    def __init__(self, knowledge: Knowledge | None = None) -> None:
        self._knowledge = knowledge or load()
        self._sessions: OrderedDict[str, list[Turn]] = OrderedDict()

    def turns(self, bp: Blueprint) -> list[Turn]:
        """Return the whole session of a blueprint (kept for the calls of its single turns)."""
        if bp.id not in self._sessions:
            self._sessions[bp.id] = Session(bp, self._knowledge).compose()
            if len(self._sessions) > _KEEP:
                self._sessions.popitem(last=False)
        return self._sessions[bp.id]

    async def complete(self, call: Call) -> Completion:
        """Write one part.

        Raises:
            EngineError: When there is no brief, or not one that it can put into words.
        """
        brief = call.brief
        if brief is None or brief.part == "judge":
            raise EngineError("the composer works from a typed brief of a session and judges nothing")
        if brief.part == "scenario":
            return Completion(text=Prose(brief.blueprint, self._knowledge).scenario().line())
        turns = self.turns(brief.blueprint)
        if brief.part == "reasoning":
            return Completion(text=Prose(brief.blueprint, self._knowledge).reasoning(turns).line())
        if len(brief.history) >= len(turns):
            raise EngineError(f"turn {len(brief.history)} is beyond the end of the session ({len(turns)} turns)")
        turn = turns[len(brief.history)]
        answer = {"say": turn.text, "act": turn.tag.act, "phase": turn.tag.phase}
        if turn.role == "assistant":
            answer["move"] = turn.tag.move
        return Completion(text=json.dumps(answer, ensure_ascii=False))

    async def close(self) -> None:
        """Drop the kept sessions."""
        self._sessions.clear()
