"""Personal data: found, replaced by placeholders that keep a sentence readable, and put back from a private audit.

``redact(conversation)`` gives the record and its findings, ``restore(record, findings)`` the original.
"""

from __future__ import annotations

from functools import cache

from pixel_synth.curate.redact.findings import Audit, Finding, audit_file, audit_lines, restore
from pixel_synth.curate.redact.redactor import KINDS, Redactor
from pixel_synth.records import Conversation

__all__ = ["KINDS", "Audit", "Finding", "Redactor", "audit_file", "audit_lines", "redact", "restore"]


@cache
def _plain() -> Redactor:
    return Redactor()


def redact(conversation: Conversation, people: tuple[str, ...] = ()) -> tuple[Conversation, tuple[Finding, ...]]:
    """Return the record without personal data, and what was taken out; ``people`` are names that its source gives."""
    return _plain().redact(conversation, people)
