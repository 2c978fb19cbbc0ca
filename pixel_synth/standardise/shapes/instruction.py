"""Instruction, input, output: the form of the Alpaca sets (https://github.com/tatsu-lab/stanford_alpaca)."""

from __future__ import annotations

from pixel_synth.standardise.draft import Draft, Row, Turn, text

RANK = 40
NEEDS = "instruction and output, and mostly input"
COLUMNS = {"instruction": ("instruction",), "input": ("input", "context"), "output": ("output", "response", "completion", "answer")}


def read(row: Row) -> Draft:
    """Return instruction and input as two turns of their own; what becomes of them depends on the category (`convert.strategy`)."""
    instruction, given, output = text(row, "instruction"), text(row, "input", ""), text(row, "output")
    turns = [Turn("instruction", instruction), Turn("user", given)] if given.strip() else [Turn("user", instruction)]
    return Draft([*turns, Turn("assistant", output)], questions=(given if given.strip() else instruction,))
