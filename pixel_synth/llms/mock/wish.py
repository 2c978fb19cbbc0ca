"""What a request to ``/v1/chat/completions`` asks for, read from its body."""

from __future__ import annotations

import hashlib
import json
from typing import Any, NamedTuple

from pixel_synth.llms.mock.answers import Schema

WAYS = ("response_format", "structured_outputs", "guided_json")
# Neither what is asked nor how it is drawn.
ASIDE = {"model", "messages", "user", "stream", "metadata", *WAYS}
# "Some JSON object", as ``response_format`` may ask for without a schema.
ANY_OBJECT: Schema = {"type": "object", "properties": {"text": {"type": "string", "maxLength": 600}}, "required": ["text"]}


class Wish(NamedTuple):
    """One request, read."""

    key: bytes  # hash of messages, schema and sampling (seed included): equal wishes get equal answers
    model: str
    prompt: str
    schema: Schema | None
    max_tokens: int | None


def read_wish(body: Any, ways: frozenset[str]) -> Wish:
    """Read a request body.

    Args:
        body: The parsed JSON.
        ways: Those of `WAYS` that the server honours; a schema given in another way is passed over silently.

    Raises:
        ValueError: When the body is no chat completion request; the message says why.
    """
    if not isinstance(body, dict) or not isinstance(body.get("messages"), list) or not body["messages"]:
        raise ValueError("messages: a list of at least one message is required")
    if not all(isinstance(m, dict) and isinstance(m.get("role"), str) for m in body["messages"]):
        raise ValueError("messages: every message needs a role")
    if body.get("stream"):
        raise ValueError("stream: this server does not stream")
    limit = body.get("max_completion_tokens", body.get("max_tokens"))
    if limit is not None and (not isinstance(limit, int) or limit < 1):
        raise ValueError(f"max_tokens must be at least 1, got {limit!r}")
    schema = wanted_schema(body, ways)
    sampling = {k: v for k, v in body.items() if k not in ASIDE}
    data = json.dumps([body["messages"], schema, sampling], sort_keys=True)
    prompt = "".join(f"{m['role']}\n{m.get('content')}\n" for m in body["messages"])
    return Wish(hashlib.blake2b(data.encode(), digest_size=16).digest(), str(body.get("model", "")), prompt, schema, limit)


def wanted_schema(body: dict[str, Any], ways: frozenset[str]) -> Schema | None:
    """Return the JSON schema that a body asks for in one of the honoured ways.

    Raises:
        ValueError: When what stands in the place of a schema is none.
    """
    found: Any = None
    shape = body.get("response_format")
    if "response_format" in ways and isinstance(shape, dict):
        if shape.get("type") == "json_schema":
            found = (shape.get("json_schema") or {}).get("schema")
        elif shape.get("type") == "json_object":
            found = ANY_OBJECT
    if found is None and "structured_outputs" in ways:
        found = (body.get("structured_outputs") or {}).get("json")
    if found is None and "guided_json" in ways:
        found = body.get("guided_json")
    if isinstance(found, str):
        found = json.loads(found)
    if found is not None and not isinstance(found, dict):
        raise ValueError("the JSON schema has to be an object")
    return found
