"""JSON documents that a JSON schema admits, drawn from a random generator.

Understood: ``$ref``/``$defs``, ``allOf``, ``anyOf``/``oneOf``, ``enum``, ``const``, objects, arrays (``prefixItems``,
``minItems``, ``maxItems``), strings (``minLength``, ``maxLength``), numbers with bounds, booleans, null.  Of patterns only
``^[…]{m,n}$`` and ``^.{m,n}$`` are, as bounds of the length.  Everything else is passed over.
"""

from __future__ import annotations

import math
import re
from random import Random
from typing import Any

from pixel_synth.llms.mock.words import prose

Schema = dict[str, Any]
DEEP = 8  # from here on a recursive schema takes its shortest way out
UNBOUNDED = 400  # characters of a string that names no maxLength
BOUNDED_TEXT = re.compile(r"\^(?:\[.*\]|\.)\{(\d+),(\d+)\}\$")


class Writer:
    """Writes one document.

    Args:
        root: The schema; ``$ref`` points into it.
        rng: Where every choice comes from.
        stretch: Factor on the length of texts, within the bounds of the schema.
    """

    def __init__(self, root: Schema, rng: Random, stretch: float = 1.0) -> None:
        self.root, self.rng, self.stretch = root, rng, stretch

    def document(self) -> Any:
        """Return a document of the whole schema.

        Raises:
            ValueError: When the schema is none that can be followed.
        """
        try:
            return self.value(self.root)
        except (LookupError, TypeError, AttributeError, RecursionError) as error:
            raise ValueError(f"the JSON schema cannot be followed: {error!r}") from error

    def flat(self, node: Schema) -> Schema:
        """Return a node with ``$ref`` and ``allOf`` put in place."""
        while "$ref" in node or "allOf" in node:
            rest = {k: v for k, v in node.items() if k not in ("$ref", "allOf")}
            merged: Schema = self._at(node["$ref"]) if "$ref" in node else {}
            for part in node.get("allOf", ()):
                merged = {**merged, **self.flat(part)}
            node = {**merged, **rest}
        return node

    def _at(self, pointer: str) -> Schema:
        found: Any = self.root
        for name in pointer.removeprefix("#").strip("/").split("/"):
            found = found[name.replace("~1", "/").replace("~0", "~")] if name else found
        return dict(found)

    def value(self, node: Schema, depth: int = 0) -> Any:
        """Return one value that the node admits."""
        node = self.flat(node)
        if "const" in node:
            return node["const"]
        if "enum" in node:
            return self.rng.choice(node["enum"])
        options = node.get("anyOf") or node.get("oneOf")
        if options:
            plain = [o for o in options if o.get("type") == "null"] if depth > DEEP else []
            return self.value(self.rng.choice(plain or options), depth + 1)
        match kind(node):
            case "object":
                return self._object(node, depth)
            case "array":
                return self._array(node, depth)
            case "string":
                return self._string(node)
            case "integer":
                return self._integer(node)
            case "number":
                return self._number(node)
            case "boolean":
                return self.rng.random() < 0.5
        return None

    def _object(self, node: Schema, depth: int) -> dict[str, Any]:
        required = set(node.get("required", ()))
        optional = 0.5 if depth <= DEEP else 0.0
        return {
            name: self.value(inner, depth + 1)
            for name, inner in node.get("properties", {}).items()
            if name in required or self.rng.random() < optional
        }

    def _array(self, node: Schema, depth: int) -> list[Any]:
        first: list[Schema] = node.get("prefixItems", [])
        low = max(node.get("minItems", 0), len(first))
        high = max(low, min(node.get("maxItems", low + 3), low + 3)) if depth <= DEEP and node.get("items") else low
        item = node.get("items") or {}
        return [self.value(first[i] if i < len(first) else item, depth + 1) for i in range(self.rng.randint(low, high))]

    def _string(self, node: Schema) -> str:
        low, high = lengths(node)
        want = self.rng.uniform(0.2, 0.4) * (high if high is not None else UNBOUNDED) * self.stretch
        return prose(self.rng, int(min(want, 1e6)), low, 1_000_000 if high is None else high)

    def _integer(self, node: Schema) -> int:
        low, high = limits(node)
        least = math.floor(low) + 1 if "exclusiveMinimum" in node else math.ceil(low)
        most = math.ceil(high) - 1 if "exclusiveMaximum" in node else math.floor(high)
        return self.rng.randint(least, max(least, most))

    def _number(self, node: Schema) -> float:
        low, high = limits(node)
        exact = low + (high - low) * self.rng.uniform(0.05, 0.95)
        short = round(exact, 3)
        return short if low < short < high else exact


def kind(node: Schema) -> str:
    """Return the JSON type a node asks for; of several the first, of none what its keywords tell."""
    named = node.get("type")
    if isinstance(named, list):
        return str(named[0])
    if named:
        return str(named)
    return "object" if "properties" in node else "array" if "items" in node or "prefixItems" in node else "string"


def lengths(node: Schema) -> tuple[int, int | None]:
    """Return the least and the greatest length of a string (``None`` = no bound), of a bounding pattern as well."""
    low, high = int(node.get("minLength", 0)), node.get("maxLength")
    if found := BOUNDED_TEXT.fullmatch(node.get("pattern", "")):
        low, most = max(low, int(found[1])), int(found[2])
        high = most if high is None else min(high, most)
    return low, high


def limits(node: Schema) -> tuple[float, float]:
    """Return the least and the greatest value of a number; 100 apart where the schema leaves a side open."""
    low = node.get("minimum", node.get("exclusiveMinimum"))
    high = node.get("maximum", node.get("exclusiveMaximum"))
    if low is None:
        low = 0 if high is None or high > 0 else high - 100
    return low, low + 100 if high is None else high
