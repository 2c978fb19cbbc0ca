"""Telephone numbers, with the library `phonenumbers` (a port of Google's libphonenumber) as judge of what is one.

A number counts when it has the North American shape 3-3-4 with separators, when it begins with + or 00 and is possible, or when a
word of telephoning stands near and it is valid in one of `REGIONS`.  Numbers of crisis services stay, and so do numbers that are free to
call and numbers beside the word helpline: no private person has one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from pixel_synth.curate.redact.services import digits, service_numbers, service_words
from pixel_synth.curate.redact.spans import Hit

REGIONS = ("US", "GB", "AU", "NZ", "IE", "IN", "DE", "FR", "ES", "NL", "MX", "ZA")
_NUMBER = re.compile(r"(?:(?<![\w+/.=-])\+?|\()\d[\d \u00a0().\-–/]{5,20}\d(?!\w|[-/]\w)")
_NANP = re.compile(r"(?:\+?1[-. ]?)?(?:\(\d{3}\)\s?|\d{3}[-. ]{0,3})\d{3}[-. ]\d{4}")
_GROUPS = re.compile(r"\d+")
_TOLD = re.compile(
    r"\b(?:call|phone|ph|tel|telephone|cell|mobile|fax|text|txt|whatsapp|ring|dial|reach|number|contact|llam\w+|tel[ée]fono|appel\w+"
    r"|handy|t[ée]l|nummer|office|sms)\b",
    re.IGNORECASE,
)
_DATE = re.compile(r"\d{1,4}[./-]\d{1,2}[./-]\d{1,4}|(?:19|20)\d\d\s?[-–/]\s?(?:19|20)?\d\d")


def phones(text: str) -> Iterator[Hit]:
    """Yield the telephone numbers of people and practices."""
    for m in _NUMBER.finditer(text):
        number = m[0].rstrip(" -–/.(")
        if number.startswith("(") and ")" not in number:
            number = number[1:]
        start = m.start() + m[0].index(number)
        if 7 <= len(re.sub(r"\D", "", number)) <= 15 and _is_phone(text, start, number) and not _of_service(text, start, number):
            yield Hit(start, start + len(number), "phone", digits(number))


def _is_phone(text: str, start: int, number: str) -> bool:
    if _NANP.fullmatch(number):
        return digits(number)[0] not in "01"
    if _DATE.fullmatch(number):
        return False
    if number.startswith("+"):
        return _valid(number, ("ZZ",), possible=True)
    if number.startswith("00"):
        return _valid("+" + number[2:], ("ZZ",), possible=True)
    near = text[max(0, start - 40) : start + len(number) + 15]
    told = bool(_TOLD.search(near))
    if len(_GROUPS.findall(number)) > 1 and number.startswith(("0", "(0")):
        return _valid(number, REGIONS)
    return told and _valid(number, REGIONS)


def _valid(number: str, regions: tuple[str, ...], possible: bool = False) -> bool:
    import phonenumbers

    for region in regions:
        try:
            parsed = phonenumbers.parse(number, None if region == "ZZ" else region)
        except phonenumbers.NumberParseException:
            continue
        if phonenumbers.is_possible_number(parsed) if possible else phonenumbers.is_valid_number(parsed):
            return True
    return False


def _of_service(text: str, start: int, number: str) -> bool:
    if digits(number) in service_numbers() or _free(number):
        return True
    before = re.split(r"[.!?\n]\s", text[max(0, start - 60) : start])[-1]
    return bool(service_words().search(before))


def _free(number: str) -> bool:
    """Tell whether a number is free to call: only organisations have such (North America 8xx; elsewhere 0800, 0808, 1800)."""
    only = digits(number)
    return bool(re.match(r"8(?:00|33|44|55|66|77|88)\d{7}$|0(?:800|808)\d{6,7}$|1800\d{6}$", only))
