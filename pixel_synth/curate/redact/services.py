"""Contacts of crisis services: they are what a therapist should say, and are never taken out."""

from __future__ import annotations

import re
from functools import cache

from pixel_synth.curate.redact.spans import known
from pixel_synth.knowledge import load
from pixel_synth.knowledge.models.therapy import Helpline

_NUMBER = re.compile(r"\d(?:[ -]?\d){2,}")
_SITE = re.compile(r"[\w.-]+@[\w.-]+\w|(?:[a-z0-9-]+\.)+[a-z]{2,}")


def digits(text: str) -> str:
    """Return the digits of a number, without a leading 1 of eleven (the North American country code)."""
    only = re.sub(r"\D", "", text)
    return only[1:] if len(only) == 11 and only.startswith("1") else only


@cache
def service_numbers() -> frozenset[str]:
    """Return the digits of every number among the contacts of the packs and in ``known.yaml``."""
    told = [digits(m[0]) for line in load().all(Helpline).values() for m in _NUMBER.finditer(line.contact)]
    return frozenset((*told, *known("numbers")))


@cache
def service_sites() -> frozenset[str]:
    """Return every host and e-mail address of the contacts and of the pages that they are cited from."""
    packs = [pack for pack in load().packs if pack.kind == "helpline"]
    text = " ".join([line.contact for line in load().all(Helpline).values()] + [s.url or "" for p in packs for s in p.sources.values()])
    return frozenset(m[0].lower().removeprefix("www.") for m in _SITE.finditer(text.lower()))


@cache
def service_words() -> re.Pattern[str]:
    """Return the pattern of words that name a line of a service."""
    return re.compile("|".join(map(re.escape, known("service"))), re.IGNORECASE)
