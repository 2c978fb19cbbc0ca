"""Numbers that stand for a person: accounts, cards, national ids, licences and records; checked by `stdnum` where they have check digits.

Kinds after the HIPAA Safe Harbor list, 45 CFR 164.514(b)(2)(i): social security, medical record, health plan, account,
certificate and licence, vehicle numbers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cache
from importlib import import_module
from typing import NamedTuple

from pixel_synth.curate.redact.spans import Hit

_DIGIT = re.compile(r"\d{2}")
_LONG = re.compile(r"\d(?:[ -]?\d){6}|\d{2} ?\d{2} ?\d{2}|[A-Z]{6}\d")  # what every national number has
_BANKING = re.compile(r"[A-Z]{2}\d{2}|\d(?:[ -]?\d){11}")
_IBAN = re.compile(r"(?<!\w)[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?!\w)")
_CARD = re.compile(r"(?<![\w-])[3-6]\d(?:[ -]?\d){11,17}(?![\w-])")


class National(NamedTuple):
    """A national number: its shape, the stdnum module that knows its check, and the words without which a bare one does not count."""

    shape: re.Pattern[str]
    module: str
    words: str = ""


NATIONAL = (
    National(re.compile(r"(?<![\w-])\d{3}-\d{2}-\d{4}(?![\w-])"), "us.ssn"),
    National(re.compile(r"(?<![\w-])\d{3}[ ]?\d{2}[ ]?\d{4}(?![\w-])"), "us.ssn", r"\bssn\b|social security"),
    National(re.compile(r"(?<!\w)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d{2} ?\d{2} ?\d{2} ?[A-D](?!\w)"), ""),  # UK National Insurance
    National(re.compile(r"(?<![\w-])\d{3}[ -]\d{3}[ -]\d{4}(?![\w-])"), "gb.nhs", r"\bnhs\b"),
    National(re.compile(r"(?<![\w-])\d{3}[ -]?\d{3}[ -]?\d{3}(?![\w-])"), "ca.sin", r"\bsin\b|social insurance"),
    National(re.compile(r"(?<![\w-])\d{3} ?\d{3} ?\d{3}(?![\w-])"), "au.tfn", r"\btfn\b|tax file"),
    National(re.compile(r"(?<!\w)\d{8}[ -]?[A-HJ-NP-TV-Z](?!\w)"), "es.dni"),
    National(re.compile(r"(?<!\w)[12] ?\d{2} ?\d{2} ?\d[0-9AB] ?\d{3} ?\d{3} ?\d{2}(?!\w)"), "fr.nir"),
    National(re.compile(r"(?<!\w)[A-Z]{6}\d{2}[A-EHLMPRST]\d{2}[A-Z]\d{3}[A-Z](?!\w)"), "it.codicefiscale"),
    National(re.compile(r"(?<!\w)\d{7}[A-W][A-IW]?(?!\w)"), "ie.pps"),
    National(re.compile(r"(?<![\w-])\d{9}(?![\w-])"), "nl.bsn", r"\bbsn\b|burgerservice"),
    National(re.compile(r"(?<![\w-])\d{2} ?\d{3} ?\d{3} ?\d{3}(?![\w-])"), "de.idnr", r"steuer|tax id"),
    National(re.compile(r"(?<![\w-])\d{4} ?\d{4} ?\d{4}(?![\w-])"), "in_.aadhaar", r"aadha+r"),
)
_TAG = (
    r"(?P<what>licen[cs]e(?: plate)?|lic|number plate|plate|mrn|medical record|patient|chart|case|docket|claim|policy|account|acct"
    r"|member(?:ship)?|passport|npi|health plan|insurance|certificate|reference|file|student|employee|badge)"
)
_RECORD = re.compile(
    rf"\b{_TAG}\b(?:\s*(?P<mark>numbers?|nos?\.|num|id|#)\s*)?(?P<is>\s*(?:is|was|:|#|=)\s*)?(?P<of>\s*)(?P<id>(?=[A-Z0-9-]*\d{{2}})"
    rf"[A-Z0-9](?:[A-Z0-9]|[-/](?=[A-Z0-9])| (?=\d)){{3,18}}[A-Z0-9])(?!\w|[.,]\d|%)",
    re.IGNORECASE,
)


def accounts(text: str) -> Iterator[Hit]:
    """Yield IBANs and card numbers whose check digits are right."""
    if not _BANKING.search(text):
        return
    for m in _IBAN.finditer(text):
        if (whole := _longest(m[0], "iban")) is not None:
            yield Hit(m.start(), m.start() + len(whole), "iban", whole.replace(" ", ""))
    for m in _CARD.finditer(text):
        number = re.sub(r"\D", "", m[0])
        if 13 <= len(number) <= 19 and _check("luhn")(number):
            yield Hit(m.start(), m.end(), "card", number)


def _longest(text: str, module: str) -> str | None:
    """Return the longest beginning, cut at blanks, that the check takes."""
    while not _check(module)(text):
        text, blank, _ = text.rpartition(" ")
        if not blank:
            return None
    return text


def ids(text: str) -> Iterator[Hit]:
    """Yield national numbers: in their sure shape with the right check, or beside a word that names them."""
    if not _LONG.search(text):
        return
    for shape, module, words in NATIONAL:
        for m in shape.finditer(text):
            near = text[max(0, m.start() - 40) : m.end() + 15]
            told = re.search(words, near, re.IGNORECASE) if words else None
            if told or (not words and (not module or _check(module)(m[0]))):
                yield Hit(m.start(), m.end(), "id", re.sub(r"\W", "", m[0]))


def records(text: str) -> Iterator[Hit]:
    """Yield numbers of licences, medical records, cases, policies, accounts, passports and number plates that are named as such."""
    for m in _RECORD.finditer(text) if _DIGIT.search(text) else ():
        marked = m["mark"] or re.search(r"[:#=]", m["is"] or "")
        sure = marked or m["what"].lower() in ("mrn", "license plate", "number plate", "passport")
        if sure and not re.fullmatch(r"(?:19|20)\d\d", m["id"]):
            yield Hit(m.start("id"), m.end("id"), "record", re.sub(r"\W", "", m["id"]).lower())


@cache
def _check(module: str) -> Callable[[str], bool]:
    found: Callable[[str], bool] = import_module(f"stdnum.{module}").is_valid
    return found
