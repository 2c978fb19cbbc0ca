"""How a schema constraint travels: which request field a server understands, and in which dialect of JSON Schema.

Ways (the field), in the order in which they are tried; the server's version decides where to begin and the canary
(`llms.canary`) what is true:

* ``response_format``: ``{"type": "json_schema", …}``, the OpenAI form; vLLM, SGLang, llama.cpp, TGI and hosted services take it;
* ``structured_outputs``: vLLM 0.11 and later;
* ``guided_json``: vLLM before 0.12; later versions ignore it without an error.

Dialects (the schema):

* ``length``: strings bounded by ``minLength``/``maxLength``, as pydantic writes them.  Right for llguidance;
* ``pattern``: the same bounds as a regular expression that also keeps control characters, quotes and backslashes out.
  Right for xgrammar, which lets raw control characters into strings that are bounded by length only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from copy import deepcopy
from typing import Any, NamedTuple

from pixel_synth.settings import Dialect, Way

WAYS: tuple[Way, ...] = ("response_format", "structured_outputs", "guided_json")
DIALECTS: tuple[Dialect, ...] = ("length", "pattern")
# One character of text inside a JSON string that needs no escape: printable, no quote, no backslash.  Written with the characters
# themselves and with a single range beyond ASCII, because that is what xgrammar compiles and enforces without error.
TEXT = "[ !#-\\[\\]-~\u00a0-\ud7ff]"


class Wire(NamedTuple):
    """A way and a dialect, and whether a canary has proven that answers are constrained by them."""

    way: Way
    dialect: Dialect
    proven: bool = False


def ways(version: str) -> tuple[Way, ...]:
    """Return the ways to try, likeliest first, for a vLLM version ("" = unknown or another server)."""
    match = re.match(r"(\d+)\.(\d+)", version)
    if match and (int(match[1]), int(match[2])) < (0, 11):
        return ("guided_json", "response_format")
    if match and (int(match[1]), int(match[2])) >= (0, 12):
        return ("response_format", "structured_outputs")
    return WAYS


def request_fields(schema: dict[str, Any], wire: Wire) -> dict[str, Any]:
    """Return the request fields that ask for answers of a schema; nothing for the empty schema (free text)."""
    if not schema:
        return {}
    spoken = schema if wire.dialect == "length" else patterned(schema)
    if wire.way == "response_format":
        named = {"name": re.sub(r"\W", "_", str(schema.get("title", "answer"))), "schema": spoken, "strict": True}
        return {"response_format": {"type": "json_schema", "json_schema": named}}
    return {"structured_outputs": {"json": spoken}} if wire.way == "structured_outputs" else {"guided_json": spoken}


def patterned(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a copy in which every string that is bounded by length is bounded by a pattern."""
    copy = deepcopy(schema)
    for node in nodes(copy):
        if node.get("type") == "string" and "maxLength" in node and "pattern" not in node:
            node["pattern"] = f"^{TEXT}{{{node.pop('minLength', 0)},{node.pop('maxLength')}}}$"
    return copy


def nodes(schema: Any) -> Iterator[dict[str, Any]]:
    """Yield every object of a schema, itself included."""
    if isinstance(schema, dict):
        yield schema
        for value in schema.values():
            yield from nodes(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from nodes(value)


def unbounded(schema: dict[str, Any]) -> list[str]:
    """Return what in a schema could grow without limit: open objects; strings, lists and numbers without bounds."""
    found = []
    for node in nodes(schema):
        name = str(node.get("title", node.get("type")))
        if node.get("type") == "object" and "properties" in node and node.get("additionalProperties") is not False:
            found.append(f"{name}: open to unknown keys")
        if node.get("type") == "string" and not {"maxLength", "enum", "const", "pattern"} & node.keys():
            found.append(f"{name}: a string without maxLength")
        if node.get("type") in ("integer", "number") and not {"enum", "const"} & node.keys() and not {"minimum", "maximum"} <= node.keys():
            found.append(f"{name}: a number without minimum and maximum")
        if node.get("type") == "array" and "maxItems" not in node:
            found.append(f"{name}: a list without maxItems")
    return found
