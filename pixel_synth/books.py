"""The books that every stage keeps: ``taken in = kept + rejected + failed``, with a reason for whatever was not kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import NamedTuple, Self

from pydantic import Field, model_validator

from pixel_synth.records import Conversation, Record

REASONS = 200  # kinds of reasons that are told apart; what comes after them is counted together


class Dropped(NamedTuple):
    """What a step answers in place of a record that may not go on.

    ``reason`` begins with its kind, up to a colon, which is what is counted: ``"language: fr 0.98, wanted en"``.
    """

    reason: str


# One stage of the data side for one record.  It takes what it knows from its factory, so that it can be made anew in every process.
Step = Callable[[Conversation], Conversation | Dropped]


class Reject(Record):
    """One line of a rejects file: what could not be taken, why, and where it stood."""

    stage: str
    reason: str
    file: str = ""
    row: int = Field(default=0, ge=0, description="1-based line, or row where the file has no lines; 0 when it has none")
    id: str = ""
    text: str = Field(default="", description="beginning of what was there, where it was no record")
    record: Conversation | None = None


class Books(Record):
    """How many came in, and what became of them."""

    kept: int = Field(default=0, ge=0)
    rejected: int = Field(default=0, ge=0)
    failed: int = Field(default=0, ge=0)
    reasons: Mapping[str, int] = Field(default_factory=dict, description="kind of reason and how many, of rejected and failed")

    @model_validator(mode="after")
    def _every_reason_is_counted(self) -> Self:
        if sum(self.reasons.values()) != self.rejected + self.failed:
            raise ValueError(f"{sum(self.reasons.values())} reasons for {self.rejected} rejected and {self.failed} failed")
        return self

    @property
    def taken(self) -> int:
        """How many came in."""
        return self.kept + self.rejected + self.failed

    def __add__(self, other: Books) -> Books:
        """Return the books of both."""
        reasons = Counter(dict(self.reasons)) + Counter(dict(other.reasons))
        kept, rejected, failed = self.kept + other.kept, self.rejected + other.rejected, self.failed + other.failed
        return Books(kept=kept, rejected=rejected, failed=failed, reasons=reasons)

    def __str__(self) -> str:
        """Return the line that every command prints."""
        return f"{self.taken:,} taken in = {self.kept:,} kept + {self.rejected:,} rejected + {self.failed:,} failed"


class Counting:
    """Keeps books while a stage goes on."""

    def __init__(self) -> None:
        self._kept = self._rejected = self._failed = 0
        self._reasons: Counter[str] = Counter()

    def keep(self, n: int = 1) -> None:
        """Count kept ones."""
        self._kept += n

    def reject(self, reason: str) -> None:
        """Count one that was rejected."""
        self._rejected += 1
        self._add(reason)

    def fail(self, reason: str) -> None:
        """Count one that could not be worked on."""
        self._failed += 1
        self._add(reason)

    def _add(self, reason: str) -> None:
        kind = reason.partition(":")[0]
        self._reasons[kind if kind in self._reasons or len(self._reasons) < REASONS else "other"] += 1

    @property
    def books(self) -> Books:
        """The books so far."""
        return Books(kept=self._kept, rejected=self._rejected, failed=self._failed, reasons=dict(self._reasons.most_common()))
