"""Commands that compare versions, follow a record, back up and restore."""

from __future__ import annotations

from typing import Any

from pixel_synth.cli import auditing, backups, versioning


def add_commands(commands: Any) -> None:
    """Add the commands to a parser's subparsers; imports nothing heavy."""
    versioning.add_commands(commands)
    auditing.add_commands(commands)
    backups.add_commands(commands)
