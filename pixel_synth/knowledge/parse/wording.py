"""Wording to numbers: counts, durations and ages as diagnostic manuals phrase them.  No function here guesses: no phrase, no value."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

WORDS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen "
    "nineteen twenty"
).split()
DAYS = {"hour": 0, "day": 1, "week": 7, "month": 30, "year": 365}
LEGAL_AGE = 18  # where a text says "children" or "adolescents" without an age
N = r"(?:\d{1,3}|" + "|".join(WORDS[:0:-1]) + r")"
UNIT = r"(?:day|week|month|year)s?"
SPAN = rf"(?P<n>{N})[ -](?:consecutive |full |whole )?(?P<unit>{UNIT})"


class Count(NamedTuple):
    """A count rule's numbers: how many, 1-based positions of which one must be among them, and the other count below an age."""

    at_least: int
    among: tuple[int, ...] = ()
    child: tuple[int, int] | None = None  # (under, at_least)


class Duration(NamedTuple):
    """Days: minimum, maximum, and (under, minimum) below an age; None where the text sets none."""

    least: int | None = None
    most: int | None = None
    child: tuple[int, int] | None = None


def number(word: str) -> int:
    """Return a number written in figures or as a word up to twenty."""
    return int(word) if word.isdigit() else WORDS.index(word.lower())


def _search(pattern: str, text: str) -> re.Match[str] | None:
    return re.search(pattern, text, re.IGNORECASE)


# ------------------------------------------------------------------------------------------------- counts

_AMONG = (
    r"(?:at least one|one)(?: or more)?(?: of (?:the|these|which|them)\b)?(?: \w+){0,2} (?:must|should|has to|needs to|is|being)\b"
    r"(?: be| include)?(?: either| any of| one of)?(?: items?| symptoms?| signs?| criteri(?:on|a)| numbers?)? (?P<list>\(?\d{1,2}\)?[^.;]*)"
)
_FORMS: tuple[tuple[str, int | None], ...] = (  # a fixed count, or None for the one in group n; 0 stands for "all"
    (rf"\b(?:at least|a minimum of|no fewer than) (?P<n>{N})(?= (?:\(?or more\)? )?(?:of|from|such|symptoms?|signs?|items?)\b)", None),
    (rf"\b(?P<n>{N}) (?:\(or (?:more|both)\)|or (?:more|both)\b)(?!\s+{UNIT}\b)", None),
    (rf"\b(?P<n>{N})(?: of| from)(?: the| these)? (?:following|below|symptoms|signs|items|{N})\b", None),
    (r"\b(?:either (?:or both )?of|any of|either \(?1\)? or \(?2\)?|\(?1\)? and/or \(?2\)?|one of)\b", 1),
    (r"\bboth\b(?: of (?:the following|these)| \(?1\)? and \(?2\)?|:)", 2),
    (r"\b(?:all|each)(?: of)?(?: the| these)? (?:following|below|symptoms|signs)\b", 0),
)  # fmt: skip
_OLDER = (
    r"\b(?:aged?|ages) (?P<age>\d+)(?: years)?(?: of age)? (?:and|or) (?:older|over|above)\b"
    rf"[^.;\d]*?(?:at least )?(?P<n>{N})\b(?!\s+{UNIT}\b)"
)
_CHILD = (
    rf"\b(?:only |at least )?(?P<n>{N})(?: \w+){{0,2}}? (?:is|are)? ?(?:required|needed|enough|sufficient) (?:in|for) (?P<who>[^.;]*)",
    rf"\b(?:in|for) (?P<who>children[^.;,]*?),? (?:only |at least )(?P<n>{N})\b(?!\s+{UNIT}\b)",
)


def count(text: str, listed: int) -> Count | None:
    """Return how many of ``listed`` sub-items a lead asks for, or None where it does not say.

    >>> count("Five (or more) of the following; at least one is either (1) or (2).", 9)
    Count(at_least=5, among=(1, 2), child=None)
    """
    among: tuple[int, ...] = ()
    if found := _search(_AMONG, text):
        among = tuple(dict.fromkeys(int(n) for n in re.findall(r"\d{1,2}", found["list"])))
        text = text.replace(found[0], " ")
    child: tuple[int, int] | None = None
    older = _search(_OLDER, text)
    if older:
        text = text.replace(older[0], " ")
    for form in _CHILD:
        if (found := _search(form, text)) and "child" in found["who"].lower():
            child = (below(found["who"]), number(found["n"]))
            text = text.replace(found[0], " ")
            break
    best: tuple[int, int] | None = None
    for form, fixed in _FORMS:
        if found := _search(form, text):
            n = number(found["n"]) if fixed is None else fixed or listed
            best = min(best, (found.start(), n)) if best else (found.start(), n)
    if best is None:
        return None
    if older:
        return Count(number(older["n"]), among, (int(older["age"]), best[1]))
    return Count(best[1], among, child)


def below(who: str) -> int:
    """Return the age below which a phrase on the young holds: "children under 7" 7, "6 years and younger" 7, else the legal age."""
    if found := _search(r"(?:under|younger than|below)(?: (?:the )?age(?: of)?)? (\d+)", who):
        return int(found[1])
    if found := _search(r"(\d+)(?: years)?(?: of age)? (?:and|or) (?:younger|under|below)", who):
        return int(found[1]) + 1
    return LEGAL_AGE


# ------------------------------------------------------------------------------------------------- ages

_ONSET = rf"\b(?:before|prior to|by)(?: the)?(?: age)?(?: of)? (?P<n>{N})\b(?: years)?(?P<old> of age| old)?"
_YOUNGEST = (
    rf"\bat least (?:age )?(?P<n>{N}) years (?:of age|old)\b",
    rf"\bat least age (?P<n>{N})\b",
    rf"\bage[ds]?(?: is)?(?: of)? (?:at least )?(?P<n>{N})(?: years)? (?:or|and) (?:older|over|above)\b",
    rf"\bage (?:is |of )?at least (?P<n>{N})\b(?: years)?",
    rf"\b(?P<n>{N}) years(?: of age)? (?:or|and) older\b",
    rf"\bat least (?P<n>{N}) years\b(?=[^.;]*\bage\b)",
)


def onset_age(text: str) -> int | None:
    """Return the age before which symptoms must have been there ("before age 12 years"), or None."""
    found = _search(_ONSET, text)
    return number(found["n"]) if found and ("age" in found[0].lower() or found["old"]) else None


def youngest_age(text: str) -> int | None:
    """Return the youngest age at which the diagnosis is given ("is at least 18 years old"), or None."""
    text = re.sub(_OLDER, " ", text, flags=re.IGNORECASE)
    found = next((m for form in _YOUNGEST if (m := _search(form, text))), None)
    return number(found["n"]) if found else None


# ------------------------------------------------------------------------------------------------- durations

_IDLE = (  # phrases with a span of time that set no duration
    rf"\b(?:without|never|not|no)\b[^.;]{{0,120}}?\bmore than {N} {UNIT}[^.;]*",
    rf"\bwithin (?:a |an |the )?(?:first )?{N}[ -]{UNIT}(?: period)?",
    rf"\b(?:in|during|over|for) the (?:last|past|preceding|previous) {N} {UNIT}",
    rf"\b(?:every|each|per) (?:{N} )?{UNIT}",
    rf"\b{N} {UNIT} (?:of age|old|after|before|earlier|ago|or younger|and younger|or older|and older)\b",
    rf"\bage[ds]? (?:of |at least |is )*{N} {UNIT}",
    rf"\b(?:before|prior to) (?:age )?{N} {UNIT}",
)
_WHO = (
    r"(?P<who>(?:children|adolescents)(?:(?:,| and| or) (?:children|adolescents))*"
    r"(?:,? (?:aged? )?(?:under|younger than|below)(?: the age of)? \d+|,? (?:aged? )?\d+(?: years)?(?: of age)? (?:and|or) younger)?)"
)
_YOUNG = (
    rf"{SPAN}(?: or (?:more|longer))?,? (?:in|for) {_WHO}",
    rf"\b(?:in|for|as for) {_WHO}[,:]?[^.;)\d]{{0,40}}?\b{SPAN}",
)
_RANGE = rf"\b(?P<low>{N})(?: (?P<low_unit>{UNIT}))? ?(?:to|and|-|–) ?(?P<high>{N}) (?P<unit>{UNIT})"
_LEAST: tuple[tuple[str, int], ...] = (  # with the days to add
    (rf"\b(?:more|longer) than (?:a period of )?{SPAN}", 1),
    (rf"\b(?:at least|a minimum of|no less than|not less than)(?: the last| the past)? {SPAN}", 0),
    (rf"\b{SPAN} (?:\(or (?:more|longer)\)|or (?:more|longer))", 0),
    (rf"\bsame {SPAN}", 0),
    (rf"\b(?:for|lasting|lasts|lasted|duration of)(?: a period of)? {SPAN}", 0),
)  # fmt: skip
_MOST: tuple[tuple[str, int], ...] = (
    (rf"\b(?:less|shorter|fewer) than {SPAN}", -1),
    (rf"\b(?:at most|up to|no more than|not more than|no longer than|not longer than|a maximum of) {SPAN}", 0),
)


def days(n: str, unit: str) -> int:
    """Return days as the packs count them: a week 7, a month 30, a year 365."""
    return number(n) * DAYS[unit.lower().rstrip("s")]


def duration(text: str) -> Duration:
    """Return the durations that a passage sets, in days.

    >>> duration("It lasts at least 2 years (at least 1 year in children or adolescents).")
    Duration(least=730, most=None, child=(18, 365))
    >>> duration("never without it for more than 2 months")
    Duration(least=None, most=None, child=None)
    """
    child = None
    for form in _YOUNG:
        if found := _search(form, text):
            child = (below(found["who"]), days(found["n"], found["unit"]))
            text = text.replace(found[0], " ")
            break
    for form in _IDLE:
        text = re.sub(form, " ", text, flags=re.IGNORECASE)
    if found := _search(_RANGE, text):
        low = days(found["low"], found["low_unit"] or found["unit"])
        high = days(found["high"], found["unit"])
        if low < high:
            return Duration(low, high, child)
    return Duration(_first(_LEAST, text), _first(_MOST, text), child)


def names_time(text: str) -> bool:
    """Whether a passage names any span of time that is no age."""
    return bool(re.search(rf"\b{N}[ -]{UNIT}\b", re.sub(rf"{N} years (?:old|of age)|age[ds]? {N} years", " ", text), re.IGNORECASE))


def _first(forms: Sequence[tuple[str, int]], text: str) -> int | None:
    found = [(m.start(), -rank, days(m["n"], m["unit"]) + add) for rank, (form, add) in enumerate(forms) if (m := _search(form, text))]
    return min(found)[2] if found else None
