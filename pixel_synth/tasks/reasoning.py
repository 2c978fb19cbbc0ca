"""Task ``reasoning``: the therapist's chain of thought over a finished session (`records.Reasoning`).

It is asked for after the dialogue and kept in a field of its own, never in a reply.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from pixel_synth.llms.engine import Brief, Call
from pixel_synth.prompts import load_prompt
from pixel_synth.records import Message, Reasoning, TurnTag
from pixel_synth.tasks.context import Ask, Context, parse

PROMPTS = ("reasoning",)
TEMPERATURE = 0.3


@lru_cache(maxsize=1)
def schema() -> dict[str, Any]:
    """Return the JSON schema of the answer."""
    return Reasoning.model_json_schema()


def transcript(messages: tuple[Message, ...]) -> str:
    """Return the session as numbered lines."""
    return "\n".join(f"[{i}] {'client' if m.role == 'user' else 'therapist'}: {m.content}" for i, m in enumerate(messages))


def call(context: Context, messages: tuple[Message, ...], tags: tuple[TurnTag, ...]) -> Call:
    """Render the request; what all sessions of a topic share comes first."""
    prompt = load_prompt("reasoning")
    values = context.pick(*(prompt.variables - {"transcript"}))
    rendered = prompt.render(transcript=transcript(messages), **values)
    return Call(
        Brief("reasoning", context.bp, messages, tags), rendered, schema(), {"temperature": TEMPERATURE, "seed": context.bp.seed % 2**31}
    )


async def write_reasoning(context: Context, messages: tuple[Message, ...], tags: tuple[TurnTag, ...], ask: Ask) -> Reasoning:
    """Ask for the reasoning.

    Raises:
        EngineError: When no valid answer is had.
    """
    return parse(Reasoning, await ask(call(context, messages, tags)), "reasoning")
