"""Every error the toolkit raises on purpose, in one flat hierarchy.

A message names the file, line, key or flag that is wrong; ``hint`` says what to do next.  ``retryable``
tells callers whether trying the same thing again can help.  ``exit_status`` is what a command returns.
"""

from __future__ import annotations

from typing import Literal

# How a call fails: no answer (timeout … bad_request), an answer that is no use (empty … invalid), or a fault of our own (error).
Failure = Literal[
    "timeout", "unreachable", "rate_limited", "server_error", "bad_request", "empty", "refused", "truncated", "invalid", "error"
]


class PixelError(Exception):
    """Base of all expected errors.

    Args:
        message: What is wrong, and where.
        hint: The next thing the user can do about it.
    """

    retryable = False
    exit_status = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        """Return the message, with the hint on a line of its own when there is one."""
        return f"{self.message}\n  hint: {self.hint}" if self.hint else self.message


class UsageError(PixelError):
    """A flag, setting or argument has an unusable value."""

    exit_status = 2


class ShortfallError(PixelError):
    """There are fewer records than wanted, and nothing can be made of them."""

    exit_status = 3


class KnowledgeError(PixelError):
    """A knowledge pack is malformed; the message carries file, line and key."""


class GrammarError(PixelError):
    """A talk line or grammar production is malformed, or names a slot that has no value."""


class PromptError(PixelError):
    """A prompt file is malformed or was rendered with missing or unknown variables."""


class RecordError(PixelError):
    """A record does not fit the schema; the message carries file and line where known."""


class EngineError(PixelError):
    """A model engine cannot start or answered something unusable.

    Args:
        message: What is wrong, and where.
        hint: The next thing the user can do about it.
        kind: Which sort of failure the books count it as, one of `Failure`.
    """

    def __init__(self, message: str, *, hint: str = "", kind: Failure = "error") -> None:
        super().__init__(message, hint=hint)
        self.kind = kind


class EngineDown(EngineError):
    """No engine can be reached or used any more: the run stops, nothing is booked as failed, and it can be resumed."""


class SourceError(PixelError):
    """A source cannot be had or used: it is not there, asks for access, has changed, or its licence forbids the use.

    Args:
        message: Which source, and what is wrong.
        hint: The next thing the user can do about it.
        retryable: Whether trying the same thing again can help (the network), or not (no such set, no access).
    """

    def __init__(self, message: str, *, hint: str = "", retryable: bool = False) -> None:
        super().__init__(message, hint=hint)
        self.retryable = retryable


class RunError(PixelError):
    """A run directory is unusable: locked, from other settings, or damaged."""
