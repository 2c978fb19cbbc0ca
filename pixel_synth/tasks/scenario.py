"""Task ``scenario``: from a blueprint to the client's situation in clinical prose (`records.Scenario`)."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from pixel_synth.llms.engine import Brief, Call
from pixel_synth.prompts import load_prompt
from pixel_synth.records import Scenario
from pixel_synth.tasks.context import Ask, Context, answer, spelled

PROMPTS = ("scenario",)
TEMPERATURE, MAX_TOKENS = 0.9, 1600


@lru_cache(maxsize=1)
def schema() -> dict[str, Any]:
    """Return the JSON schema of the answer."""
    return Scenario.model_json_schema()


def call(context: Context) -> Call:
    """Render the request."""
    prompt = load_prompt("scenario")
    messages = prompt.render(**context.pick(*(prompt.variables - {"answer"})), answer=spelled(Scenario))
    sampling = {"temperature": TEMPERATURE, "seed": context.bp.seed % 2**31, "max_tokens": MAX_TOKENS}
    return Call(Brief("scenario", context.bp), messages, schema(), sampling)


async def write_scenario(context: Context, ask: Ask) -> Scenario:
    """Ask for the scenario.

    Raises:
        EngineError: When no valid answer is had.
    """
    return (await answer(Scenario, call(context), ask, "scenario", context.repairs))[0]
