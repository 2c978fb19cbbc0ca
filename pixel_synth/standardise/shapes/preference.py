"""A preferred and a dispreferred answer to the same prompt: prompt, chosen, rejected, as strings or as lists of messages."""

from __future__ import annotations

from typing import Any

from pixel_synth.standardise.draft import Draft, Row, Turn, Unfit, text, turns
from pixel_synth.standardise.roles import role_of
from pixel_synth.standardise.shapes import markers

RANK = 10
NEEDS = "chosen and rejected, strings or lists of role/content, and prompt where they do not hold it"
COLUMNS = {
    "prompt": ("prompt", "question", "input", "instruction", "query"),
    "chosen": ("chosen", "chosenresponse", "preferred", "accepted"),
    "rejected": ("rejected", "rejectedresponse", "dispreferred"),
    "system": ("system", "systemprompt"),
}


def read(row: Row) -> Draft:
    """Return the talk with the chosen end, and the rejected end beside it."""
    system = text(row, "system", "")
    opening = [Turn("system", system)] if system.strip() else []
    opening += _turns(row.get("prompt"), "user")
    chosen, rejected = _whole(opening, row.get("chosen"), "chosen"), _whole(opening, row.get("rejected"), "rejected")
    shared = next((i for i, (a, b) in enumerate(zip(chosen, rejected, strict=False)) if a != b), min(len(chosen), len(rejected)))
    if chosen == rejected:
        raise Unfit("no preference: chosen and rejected are the same")
    if shared == len(rejected) or any(role_of(turn.who) == "user" for turn in rejected[shared:]):
        raise Unfit("no preference: chosen and rejected part before the last answer")
    return Draft(chosen, dispreferred=rejected[shared:], kind="preference", questions=("\n".join(t.text for t in chosen[:shared]),))


def _turns(value: Any, who: str) -> list[Turn]:
    if value is None:
        return []
    if isinstance(value, str):
        return markers.split(value) or [Turn(who, value)]
    if isinstance(value, list) and value and isinstance(value[0], dict) and "from" in value[0]:
        return turns(value, "from", "value")
    if isinstance(value, dict):
        value = [value]
    return turns(value, "role", "content")


def _whole(opening: list[Turn], value: Any, name: str) -> list[Turn]:
    if value is None:
        raise Unfit(f"no {name}: the row has no such column, or it is null")
    found = _turns(value, "assistant")
    if any(role_of(turn.who) == "user" for turn in found):  # it holds the prompt as well
        system = [turn for turn in opening if role_of(turn.who) == "system"]
        return found if not system or role_of(found[0].who) == "system" else system + found
    if not any(role_of(turn.who) == "user" for turn in opening):
        raise Unfit("no prompt: neither a column nor chosen and rejected hold it")
    return opening + found
