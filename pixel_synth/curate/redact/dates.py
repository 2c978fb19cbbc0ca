"""Dates of birth, and ages over 89, which Safe Harbor puts into one class, "90 or older" (45 CFR 164.514(b)(2)(i)(C))."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pixel_synth.curate.redact.spans import Hit

OLDEST = "90+"
_MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?"
    r"|dec(?:ember)?)"
)
_DAY = r"(?:the )?\d{1,2}(?:st|nd|rd|th)?"
_DATE = (
    rf"(?:{_MONTH}\.? {_DAY}(?:,? \d{{4}})?|{_DAY} (?:of )?{_MONTH}(?:\.?,? \d{{4}})?"
    r"|\d{1,2}[./-]\d{1,2}[./-]\d{2,4}|\d{4}-\d{2}-\d{2})"
)
_BORN = re.compile(r"[Bb]orn|BORN|[Bb]irth|BIRTH|[Bb]-?day|[Dd]\.?[Oo]\.?[Bb]")
_BIRTH = re.compile(
    r"\b(?:born(?: on)?|d\.?o\.?b\.?|date of birth|birth ?date|b-?day|birthday(?: is| was|'s)?(?: on)?)[\s:,]{1,3}(?:is |was |on )?"
    rf"(?P<date>{_DATE})(?!\w)",
    re.IGNORECASE,
)
_AGE = r"(?:9\d|1[01]\d)"
_UNIT = r"(?![\w%+]|[.,]\d| ?(?:percent|degrees|miles|dollars|days|weeks|months|pounds|lbs))"
_WHO = r"(?:he|she|who|i|mother|father|mom|mum|dad|grandmother|grandfather|grandma|grandpa|gran|nana)"
_NINETY = re.compile(r"(?<!\d)(?:9\d|1[01]\d)(?!\d)")
_OLD = re.compile(
    rf"(?<![\w.,$£€-])(?P<age>{_AGE})(?=[ -]?(?:years?|yrs?)[ -]old\b|[ -]?y/?o\b|[ -]years? of age)"
    rf"|(?:\bage[ds]?(?: of| is| was)? |\bturn(?:ed|ing|s)? |\bage: ?)(?P<told>{_AGE}){_UNIT}"
    rf"|\b{_WHO}(?:'s|’s|'m|’m| is| was| am| are|,) (?P<is>{_AGE})(?=[;!?]|[.,](?!\d)|$| (?:and|now|but|with|who|years))",
    re.IGNORECASE,
)


def births(text: str) -> Iterator[Hit]:
    """Yield the date where a text tells when somebody was born; a year alone may stay."""
    for m in _BIRTH.finditer(text) if _BORN.search(text) else ():
        yield Hit(m.start("date"), m.end("date"), "birth_date", " ".join(m["date"].lower().split()))


def old_ages(text: str) -> Iterator[Hit]:
    """Yield ages over 89."""
    for m in _OLD.finditer(text) if _NINETY.search(text) else ():
        group = next(name for name in ("age", "told", "is") if m[name])
        yield Hit(m.start(group), m.end(group), "age", m[group], OLDEST)
