"""Commands that validate and report on a dataset."""

from __future__ import annotations

from typing import Any


def add_commands(commands: Any) -> None:
    """Add the commands to a parser's subparsers; imports nothing heavy."""
