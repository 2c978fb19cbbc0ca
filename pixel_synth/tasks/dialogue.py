"""Task ``dialogue``: two roles over one neutral history, one call a turn.

Each role sees its own view: a system prompt that never changes, then the history with itself as assistant.  Views only
ever grow at the end, so that a server's prefix cache is hit at every turn.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Literal, get_args

from pydantic import Field

from pixel_synth.llms.engine import Brief, Call
from pixel_synth.prompts import load_prompt
from pixel_synth.records import Message, Record, Scenario, TurnTag
from pixel_synth.tasks.context import AnswerError, Ask, Context, parse

PROMPTS = ("client", "therapist")
TEMPERATURE = {"client": 1.0, "therapist": 0.7}
Phase = Literal["opening", "explore", "safety", "work", "close"]
ClientAct = Literal["disclose", "answer", "defend", "hold_back", "engage", "hesitate", "resist", "mend", "reply"]
TherapistAct = Literal["explore", "reflect", "make_room", "intervene", "safety", "repair", "close"]


class ClientTurn(Record):
    """What the client says and what kind of turn it is."""

    say: str = Field(min_length=2, max_length=1600)
    act: ClientAct
    phase: Phase


class TherapistTurn(Record):
    """What the therapist says, its kind, and the id of the move made ("" for none)."""

    say: str = Field(min_length=2, max_length=900)
    act: TherapistAct
    phase: Phase
    move: str = Field(max_length=80)


@lru_cache(maxsize=256)
def schema(role: str, moves: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return the JSON schema of one turn; the therapist's ``move`` is limited to the planned ids."""
    if role == "client":
        return ClientTurn.model_json_schema()
    data = TherapistTurn.model_json_schema()
    data["properties"]["move"] = {"type": "string", "enum": ["", *moves]}
    return data


class Views:
    """The two roles' views of a growing history."""

    def __init__(self, context: Context, scenario: Scenario) -> None:
        self.turns = context.bp.turns
        extra = {"scenario": scenario.presenting_problem, "turns": str(self.turns)}
        self._views: dict[str, list[dict[str, str]]] = {}
        for role in PROMPTS:
            prompt = load_prompt(role)
            own = {k: v for k, v in extra.items() if k in prompt.variables}
            self._views[role] = prompt.render(**context.pick(*(prompt.variables - own.keys())), **own)
        self._views["client"].append({"role": "user", "content": f"The session begins. [turn 1 of {self.turns}]"})

    def of(self, role: str) -> list[dict[str, str]]:
        """Return a role's messages so far."""
        return list(self._views[role])

    def add(self, index: int, speaker: str, text: str) -> None:
        """Append what was said at a message index to both views."""
        for role, view in self._views.items():
            mine = role == speaker
            view.append(
                {"role": "assistant" if mine else "user", "content": text if mine else f"{text} [turn {index + 2} of {self.turns}]"}
            )


async def write_dialogue(context: Context, scenario: Scenario, ask: Ask) -> tuple[tuple[Message, ...], tuple[TurnTag, ...]]:
    """Ask for all turns, one after the other.

    Raises:
        EngineError: When a turn has no valid answer; nothing of the dialogue is kept then.
    """
    bp = context.bp
    moves = tuple(p.move for p in bp.moves) + tuple(f.id.split(".", 1)[1] for f in bp.must_appear if f.kind == "safety")
    views = Views(context, scenario)
    history: list[Message] = []
    tags: list[TurnTag] = []
    for index in range(bp.turns):
        role = "client" if index % 2 == 0 else "therapist"
        brief = Brief("client" if role == "client" else "therapist", bp, tuple(history), tuple(tags))
        sampling = {"temperature": TEMPERATURE[role], "seed": (bp.seed + index) % 2**31}
        call = Call(brief, views.of(role), schema(role, moves if role == "therapist" else ()), sampling)
        completion = await ask(call)
        if role == "client":
            said = parse(ClientTurn, completion, f"turn {index}")
            tags.append(TurnTag(phase=said.phase, act=said.act))
            text = said.say
        else:
            reply = parse(TherapistTurn, completion, f"turn {index}")
            if reply.move and reply.move not in moves:
                raise AnswerError(f"turn {index}: move {reply.move!r} is not planned", completion.text)
            tags.append(TurnTag(phase=reply.phase, act=reply.act, move=reply.move))
            text = reply.say
        history.append(Message(role="user" if role == "client" else "assistant", content=text))
        views.add(index, role, text)
    return tuple(history), tuple(tags)


CLIENT_ACTS: tuple[str, ...] = get_args(ClientAct)
THERAPIST_ACTS: tuple[str, ...] = get_args(TherapistAct)
