"""Task ``reasoning``: the therapist's chain of thought over a finished session (`records.Reasoning`).

It is asked for after the dialogue and kept in a field of its own, never in a reply.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from pixel_synth.llms.engine import Brief, Call
from pixel_synth.prompts import load_prompt
from pixel_synth.records import Message, Reasoning, TurnTag
from pixel_synth.tasks.context import Ask, Context, answer, quoted, spelled

PROMPTS = ("reasoning",)
TEMPERATURE, MAX_TOKENS = 0.3, 3000


@lru_cache(maxsize=32)
def schema(turns: int = 24) -> dict[str, Any]:
    """Return the JSON schema of the answer; moves can only point at the therapist's turns of a session of so many."""
    data = Reasoning.model_json_schema()
    data["$defs"]["MoveChoice"]["properties"]["turn"] = {"type": "integer", "enum": list(range(1, turns, 2))}
    return data


def transcript(messages: tuple[Message, ...]) -> str:
    """Return the session as numbered lines, one a turn, whatever stands in it."""
    return "\n".join(f"[{i}] {'client' if m.role == 'user' else 'therapist'}: {quoted(m.content)}" for i, m in enumerate(messages))


def call(context: Context, messages: tuple[Message, ...], tags: tuple[TurnTag, ...]) -> Call:
    """Render the request; what all sessions of a topic share comes first."""
    prompt = load_prompt("reasoning")
    values = context.pick(*(prompt.variables - {"transcript", "answer"}))
    rendered = prompt.render(transcript=transcript(messages), answer=spelled(Reasoning), **values)
    sampling = {"temperature": TEMPERATURE, "seed": context.bp.seed % 2**31, "max_tokens": MAX_TOKENS}
    return Call(Brief("reasoning", context.bp, messages, tags), rendered, schema(len(messages)), sampling)


async def write_reasoning(context: Context, messages: tuple[Message, ...], tags: tuple[TurnTag, ...], ask: Ask) -> Reasoning:
    """Ask for the reasoning.

    Raises:
        EngineError: When no valid answer is had.
    """

    def points_at_replies(thought: Reasoning) -> None:
        for move in thought.moves:
            if move.turn >= len(messages) or messages[move.turn].role != "assistant":
                raise ValueError(f"moves: turn {move.turn} is no turn of the therapist")

    asked = call(context, messages, tags)
    return (await answer(Reasoning, asked, ask, "reasoning", context.repairs, points_at_replies))[0]
