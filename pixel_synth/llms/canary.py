"""The canary: before a run begins, prove that the server really constrains its answers.

A server that does not know a constraint often answers 200 and ignores it.  So the canary asks for something that only a
constrained answer can hold: the one word of an enum that was drawn a moment ago and is nowhere in the prompt.  Then it asks
for a short string with a prompt that invites a long one of several lines, so that a dialect is found out which the server accepts
and does not enforce, or by which raw line breaks get into JSON.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from pixel_synth.errors import EngineDown, EngineError
from pixel_synth.llms import client
from pixel_synth.llms.engine import Completion
from pixel_synth.llms.tries import pause
from pixel_synth.llms.wire import DIALECTS, Wire, request_fields, ways
from pixel_synth.settings import Dialect, Way

if TYPE_CHECKING:
    import aiohttp

LONGEST = 100  # characters of the bounded string
PROMPTS = ("Write a poem of eight lines, one below the other.", "Draw a table of ten rows with tabs between the columns.")
MAX_TOKENS = 1024  # room for a model that thinks before it answers
TIMEOUT_S = 600.0  # a first constrained request may compile its grammar
TRIES = 4  # of a request that has no answer: what passes by is no proof of anything


class Found(NamedTuple):
    """What is known of a server before the run begins."""

    url: str
    version: str
    models: tuple[str, ...]
    max_model_len: int | None


class Probe(NamedTuple):
    """Which way and dialect were tried, why they were not good ("" = they are), and whether the way had any effect."""

    wire: Wire
    fault: str
    heeded: bool


async def look(session: aiohttp.ClientSession, url: str) -> Found:
    """Ask a server what it is.

    Raises:
        EngineDown: When it does not answer, or not with a list of models.
    """
    status, text = await client.get(session, f"{url}/models", timeout_s=30.0)
    if status in (401, 403):
        raise EngineDown(f"{url}: HTTP {status}: the key is missing or wrong", hint="set PIXEL_API_KEY")
    try:
        listed = json.loads(text)["data"]
        models = tuple(str(m["id"]) for m in listed)
        longest = next((int(m["max_model_len"]) for m in listed if m.get("max_model_len")), None)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        said = f"HTTP {status}" if status else text
        raise EngineDown(f"{url}/models: {said}, no list of models", hint="is this the address of an OpenAI-compatible server?") from error
    status, text = await client.get(session, f"{client.root(url)}/version")
    version = ""
    if status == 200:
        try:
            version = str(json.loads(text).get("version", ""))
        except (ValueError, AttributeError):
            version = ""
    return Found(url, version, models, longest)


def choose_model(found: list[Found], wanted: str) -> str:
    """Return the model that all servers offer: the wanted one, or the only one.

    Raises:
        EngineDown: When there is no such model, naming those that there are.
    """
    common = sorted(set.intersection(*(set(f.models) for f in found)))
    if wanted in common or (not wanted and len(common) == 1):
        return wanted or common[0]
    offered = "; ".join(f"{f.url}: {', '.join(f.models) or 'none'}" for f in found)
    what = f"do not all offer {wanted!r}" if wanted else "do not offer exactly one common model"
    raise EngineDown(f"the servers {what} ({offered})", hint="name one with --model")


async def prove(
    session: aiohttp.ClientSession, found: Found, model: str, way: Way | None, dialect: Dialect | None, extra: Mapping[str, Any]
) -> tuple[Wire, list[Probe]]:
    """Return the first way and dialect by which a server's answers are constrained, with all that was tried.

    Args:
        session: To ask with.
        found: The server.
        model: Its model.
        way: The only way to try; ``None`` for all that its version suggests.
        dialect: The only dialect to try; ``None`` for all.
        extra: Further request fields, as every call will carry them.

    Raises:
        EngineDown: When there is none, with what each was answered.
    """
    probes: list[Probe] = []
    for one in (way,) if way else ways(found.version):
        for spoken in (dialect,) if dialect else DIALECTS:
            probe = await _probe(session, found, {**extra, "model": model}, Wire(one, spoken))
            probes.append(probe)
            if not probe.fault:
                return probe.wire._replace(proven=True), probes
            if not probe.heeded:
                break  # another dialect cannot help
    tried = "\n".join(f"  {p.wire.way}, {p.wire.dialect}: {p.fault}" for p in probes)
    raise EngineDown(
        f"{found.url} does not constrain its answers to a JSON schema (version {found.version or 'unknown'}); tried\n{tried}",
        hint="start the server with structured outputs (vLLM: --structured-outputs-config), or use another one",
    )


async def _probe(session: aiohttp.ClientSession, found: Found, fields: dict[str, Any], wire: Wire) -> Probe:
    word, heeded = secrets.token_hex(4), False
    enum = {"type": "string", "enum": [word]}
    text = {"type": "string", "minLength": 2, "maxLength": LONGEST}
    try:
        said = await _ask(session, found, fields, wire, enum, "Greet me in French. Do not use JSON.")
        if said != word:
            return Probe(wire, f"ignored: an enum of one word was answered with {said[:40]!r}", heeded)
        heeded = True
        for prompt in PROMPTS:
            said = await _ask(session, found, fields, wire, text, prompt)
            if not 2 <= len(said) <= LONGEST:
                return Probe(wire, f"a string of at most {LONGEST} characters came with {len(said)}", heeded)
    except EngineDown:
        raise
    except EngineError as error:
        return Probe(wire, error.message.removeprefix(f"{found.url}: "), heeded)
    except ValueError as error:
        return Probe(wire, str(error), heeded)
    return Probe(wire, "", heeded)


async def _ask(session: aiohttp.ClientSession, found: Found, fields: dict[str, Any], wire: Wire, value: dict[str, Any], prompt: str) -> str:
    """Ask for an object with one value of a schema and return the value.

    Raises:
        ValueError: When the answer is not the object that the schema wants.
    """
    schema = {"title": "canary", "type": "object", "properties": {"v": value}, "required": ["v"], "additionalProperties": False}
    messages = [{"role": "user", "content": prompt}]
    body = {"max_tokens": MAX_TOKENS, "temperature": 0.7, **fields, "messages": messages, **request_fields(schema, wire)}
    said = (await _chat(session, found.url, body)).text
    try:
        data = json.loads(said)
    except ValueError:
        raise ValueError(f"asked for an object, what came is no JSON: {said[:60]!r}") from None
    if not isinstance(data, dict) or set(data) != {"v"} or not isinstance(data["v"], str):
        raise ValueError(f"asked for one key, what came has others: {said[:60]!r}")
    return data["v"]


async def _chat(session: aiohttp.ClientSession, url: str, body: dict[str, Any]) -> Completion:
    """Send one request, again when it has no answer."""
    for number in range(1, TRIES):
        try:
            return await client.chat(session, url, body, TIMEOUT_S)
        except EngineError as error:
            if error.kind not in ("rate_limited", "server_error", "unreachable"):
                raise
            await asyncio.sleep(pause(number, error))
    return await client.chat(session, url, body, TIMEOUT_S)
