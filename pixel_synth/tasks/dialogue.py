"""Task ``dialogue``: two roles over one neutral history, one call a turn.

Each role sees its own view: a system prompt that never changes, then the history with itself as assistant, its own turns
exactly as they were answered.  Views only ever grow at the end, so that a server's prefix cache is hit at every turn.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Literal, get_args

from pydantic import Field

from pixel_synth.llms.engine import Brief, Call
from pixel_synth.prompts import load_prompt
from pixel_synth.records import Message, Record, Scenario, TurnTag
from pixel_synth.tasks.context import Ask, Context, answer, quoted, spelled

PROMPTS = ("client", "therapist")
TEMPERATURE = {"client": 1.0, "therapist": 0.7}
MAX_TOKENS = {"client": 700, "therapist": 450}
Phase = Literal["opening", "explore", "safety", "work", "close"]
Role = Literal["client", "therapist"]
ClientAct = Literal["disclose", "answer", "defend", "hold_back", "engage", "hesitate", "resist", "mend", "reply"]
TherapistAct = Literal["explore", "reflect", "make_room", "intervene", "safety", "repair", "close"]


class ClientTurn(Record):
    """What the client says and what kind of turn it is."""

    say: str = Field(min_length=2, max_length=1600, description="what the client says aloud, nothing else")
    act: ClientAct
    phase: Phase


class TherapistTurn(Record):
    """What the therapist says, its kind, and the id of the move made ("" for none)."""

    say: str = Field(min_length=2, max_length=900, description="what the therapist says aloud, nothing else")
    act: TherapistAct
    phase: Phase
    move: str = Field(max_length=80, description="id of the move made, or empty")


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
        extra = {"scenario": quoted(scenario.presenting_problem), "turns": str(self.turns)}
        models: dict[str, type[Record]] = {"client": ClientTurn, "therapist": TherapistTurn}
        self._views: dict[str, list[dict[str, str]]] = {}
        for role in PROMPTS:
            prompt = load_prompt(role)
            own = {k: v for k, v in {**extra, "answer": spelled(models[role])}.items() if k in prompt.variables}
            self._views[role] = prompt.render(**context.pick(*(prompt.variables - own.keys())), **own)
        self._views["client"].append({"role": "user", "content": f"The session begins. [turn 1 of {self.turns}]"})

    def of(self, role: str) -> list[dict[str, str]]:
        """Return a role's messages so far."""
        return list(self._views[role])

    def add(self, index: int, speaker: str, text: str, answered: str) -> None:
        """Append a turn to both views: its speaker sees the answer as it was given, the other one what was said."""
        other = f"{text} [turn {index + 2} of {self.turns}]"
        for role, view in self._views.items():
            view.append({"role": "assistant", "content": answered} if role == speaker else {"role": "user", "content": other})


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
        role: Role = "client" if index % 2 == 0 else "therapist"
        brief = Brief(role, bp, tuple(history), tuple(tags))
        sampling = {"temperature": TEMPERATURE[role], "seed": (bp.seed + index) % 2**31, "max_tokens": MAX_TOKENS[role]}
        call = Call(brief, views.of(role), schema(role, moves if role == "therapist" else ()), sampling)
        turn, answered = await _turn(role, call, ask, moves, context.repairs)
        tags.append(TurnTag(phase=turn.phase, act=turn.act, move=getattr(turn, "move", "")))
        history.append(Message(role="user" if role == "client" else "assistant", content=turn.say.strip()))
        views.add(index, role, turn.say.strip(), answered)
    return tuple(history), tuple(tags)


async def _turn(role: Role, call: Call, ask: Ask, moves: tuple[str, ...], repairs: int) -> tuple[ClientTurn | TherapistTurn, str]:
    """Ask for one turn; return it with its text as it was answered."""
    part = f"turn {len(call.brief.history) if call.brief else 0}"

    def usable(turn: ClientTurn | TherapistTurn) -> None:
        if not turn.say.strip():
            raise ValueError("say: nothing is said")
        if isinstance(turn, TherapistTurn) and turn.move and turn.move not in moves:
            raise ValueError(f"move {turn.move!r} is not planned")

    if role == "client":
        return await answer(ClientTurn, call, ask, part, repairs, usable)
    return await answer(TherapistTurn, call, ask, part, repairs, usable)


CLIENT_ACTS: tuple[str, ...] = get_args(ClientAct)
THERAPIST_ACTS: tuple[str, ...] = get_args(TherapistAct)
