"""A prompt with its response, under one of the usual pairs of names."""

from __future__ import annotations

from pixel_synth.standardise.draft import Draft, Row, exchange, text

RANK = 51
NEEDS = "prompt (input, query ...) and response (output, completion ...)"
COLUMNS = {
    "prompt": ("prompt", "input", "inputs", "query", "user", "human", "client", "patient", "statement", "source"),
    "response": ("response", "output", "outputs", "completion", "assistant", "therapist", "counselor", "reply", "target", "targets"),
    "system": ("system", "systemprompt"),
}


def read(row: Row) -> Draft:
    """Return the exchange."""
    prompt = text(row, "prompt")
    return Draft(exchange(prompt, text(row, "response"), text(row, "system", "")), questions=(prompt,))
