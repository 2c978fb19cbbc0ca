"""What every reader yields: one row of one file."""

from __future__ import annotations

from typing import Any, NamedTuple


class Cell(NamedTuple):
    """A row: its 1-based place and its value, or what is wrong with it and the beginning of its text."""

    row: int
    value: dict[str, Any] | None
    error: str = ""
    text: str = ""
