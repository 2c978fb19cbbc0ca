"""Replies: the answer to a request, or one of the ways in which a model's answer can be of no use."""

from __future__ import annotations

import json
import math
from random import Random
from typing import Any, NamedTuple

from pixel_synth.llms.mock.answers import Schema, Writer, kind, lengths
from pixel_synth.llms.mock.words import prose

PROSE = 300  # characters of an answer without a schema, before any stretch
LONGEST = 50.0  # a stretch beyond this would only fill memory


class Reply(NamedTuple):
    """What stands in ``choices[0]``."""

    text: str | None
    finish: str = "stop"
    refusal: str | None = None

    @property
    def tokens(self) -> int:
        """The length in tokens, at four characters each."""
        return tokens(self.text or self.refusal or "")


def tokens(text: str) -> int:
    """Return how many tokens a text counts as: one for every four characters begun."""
    return math.ceil(len(text) / 4)


def reply(seed: int, schema: Schema | None, fault: str | None = None, *, max_tokens: int | None = None, sigma: float = 0.0) -> Reply:
    """Write the reply to one request.

    Args:
        seed: Decides every word; the same seed gives the same reply.
        schema: What the document has to follow; ``None`` for prose.
        fault: Kind of fault that spoils the content, if any.
        max_tokens: Where the text is cut, with ``finish`` "length".
        sigma: Standard deviation of the logarithm of the length.

    Raises:
        ValueError: When the schema is none that can be followed.
    """
    rng = Random(seed)
    stretch = min(math.exp(rng.gauss(0.0, sigma)), LONGEST) if sigma else 1.0
    if fault == "empty":
        return Reply("")
    if fault == "null":
        return Reply(None)
    if fault == "refuse":
        return Reply(None, "content_filter", "I can't help with that.")
    if schema is None or fault == "prose":
        text = prose(rng, int(PROSE * stretch))
    else:
        document = Writer(schema, rng, stretch).document()
        if fault == "violate":
            document = violated(document, schema, rng)
        text = json.dumps(document, ensure_ascii=False)
    if fault in ("truncate", "cut"):
        text = text[: int(len(text) * rng.uniform(0.2, 0.8))]
        return Reply(text, "length" if fault == "truncate" else "stop")
    if max_tokens is not None and tokens(text) > max_tokens:
        return Reply(text[: 4 * max_tokens], "length")
    return Reply(text)


def violated(document: Any, schema: Schema, rng: Random) -> Any:
    """Return a document that the schema does not admit: a key missing, unknown, of another type, or a text too long.

    A schema that admits everything cannot be broken; its document is returned as it is.
    """
    writer = Writer(schema, rng)
    root = writer.flat(schema)
    if not isinstance(document, dict):
        return {"unasked": document} if kind(root) != "object" else document
    nodes = {name: writer.flat(node) for name, node in root.get("properties", {}).items() if name in document}
    broken: list[dict[str, Any]] = []
    if root.get("additionalProperties") is False:
        broken.append({**document, "unasked": prose(rng, 40)})
    for name, node in nodes.items():
        if name in root.get("required", ()):
            broken.append({k: v for k, v in document.items() if k != name})
        if node.keys() & {"type", "enum", "const"}:
            broken.append({**document, name: [[document[name]]]})
        longest = lengths(node)[1] if kind(node) == "string" and "enum" not in node and "const" not in node else None
        if longest is not None:
            broken.append({**document, name: prose(rng, longest + 20, longest + 1)})
    return rng.choice(broken) if broken else document
