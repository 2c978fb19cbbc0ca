"""E-mail addresses, pages, handles and IP addresses.

Pages of public bodies, of crisis services (knowledge/crisis/helplines.yaml) and of the works of reference in ``known.yaml`` are
content and stay; any other page goes, because a private page names its owner.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from functools import cache

from pixel_synth.curate.redact.services import service_sites
from pixel_synth.curate.redact.spans import Hit, known

_EMAIL = re.compile(r"(?<![\w.+-])[\w+-][\w.+-]{0,63}@(?:[a-z0-9-]{1,63}\.)+[a-z]{2,24}(?![\w@])", re.IGNORECASE)
_SPELLED = re.compile(
    r"(?<![\w.+-])[\w.+-]{2,64}\s?[\[(]\s?at\s?[\])]\s?(?:[a-z0-9-]+\s?(?:\.|[\[(]\s?dot\s?[\])])\s?)+[a-z]{2,24}\b", re.IGNORECASE
)
_AT = re.compile(r"[\[(]\s?at\s?[\])]", re.IGNORECASE)
_DOT = re.compile(r"\.[A-Za-z]|http")  # every address has a dot with a letter behind it
_ENDINGS = "com|org|net|info|edu|gov|mil|int|io|co|me|us|uk|ca|au|nz|ie|de|fr|es|it|nl|eu|in|health|care|life|blog|online|site|app|tv|ly"
_URL = re.compile(
    rf"(?:https?://|www\.)[^\s¿¡<>\"'()\[\]{{}}|]+|(?<![\w@.-])(?!\S{{0,60}}www\.)(?:[a-z0-9][a-z0-9-]*\.)+(?:{_ENDINGS})\b(?:/[^\s¿¡<>\"'()\[\]{{}}|]*)?(?![\w@])",
    re.IGNORECASE,
)
_SURE = frozenset("com org net info edu gov mil co.uk uk ca au nz ie de fr nl eu io app tv online site blog".split())
_GLUE = re.compile(
    r"(?:(?<=\.html)|(?<=\.htm)|(?<=\.pdf)|(?<=\.php)|(?<=\.com/)|(?<=\.org/)|(?<=\.net/))[A-Z][a-z]*$|(?:(?<=\.com)|(?<=\.org)|(?<=\.net))\.[A-Z][a-z]*$"
)
_NAMED = re.compile(r"(?<![\w@/.])@(?P<id>[A-Za-z_][\w.]{1,28}\w)(?![\w@])")
_USER = re.compile(r"(?<![\w/])/?(?P<id>u/[\w-]{3,20})(?!\w)")
_TAGGED = re.compile(r"(?<!\w)(?P<id>[A-Za-z]\w{2,30}#\d{4})(?!\w)")
_PLATFORM = re.compile(
    r"\b(?:instagram|insta|ig|snapchat|snap|discord|tiktok|twitter|skype|telegram)(?: is|:) (?P<id>@?[\w.#-]*[\d_#][\w.#-]*\w)",
    re.IGNORECASE,
)
_SIGNS = (("@", _NAMED), ("u/", _USER), ("#", _TAGGED))
_IP = re.compile(r"(?<![\w.:])(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9a-f]{0,4}(?::[0-9a-f]{0,4}){3,7})(?![\w:]|\.\d)", re.IGNORECASE)
_VERSION = re.compile(r"(?:version|release|\bv)\s?$", re.IGNORECASE)


def emails(text: str) -> Iterator[Hit]:
    """Yield e-mail addresses, also those written with (at) and (dot), but not those of crisis services."""
    found = [*_EMAIL.finditer(text)] if "@" in text else []
    found += _SPELLED.finditer(text) if _AT.search(text) else ()
    for m in found:
        address = _unglued(m[0])
        if address.lower() not in service_sites():
            yield Hit(m.start(), m.start() + len(address), "email", address.lower())


def urls(text: str) -> Iterator[Hit]:
    """Yield addresses of pages that are not public ones."""
    if _DOT.search(text):
        for m in _URL.finditer(text):
            address = _unglued(m[0]).rstrip(".,;:!?*~’”")
            if _is_address(address) and not public(address):
                yield Hit(m.start(), m.start() + len(address), "url", address.lower().rstrip("/"))


def _unglued(address: str) -> str:
    """Cut off the word of the next sentence where it follows without a blank: "example.org/There", "page.htmlThis", "site.com.Be"."""
    glue = _GLUE.search(address)
    return address[: glue.start()] if glue else address


def _is_address(address: str) -> bool:
    """Tell whether a bare host is one, and not the end of a sentence and the beginning of the next: "you.It", "time.in"."""
    if re.match(r"https?://|www\.", address, re.IGNORECASE):
        return True
    ending = re.split(r"[/]", address)[0].rpartition(".")[2]
    return ending in _SURE or (ending == ending.lower() and "/" in address)


def public(address: str) -> bool:
    """Tell whether a page is of a public body, a crisis service or a work of reference, and not one person's."""
    low = address.lower()
    host = re.sub(r"^(?:https?://)?(?:www\.)?", "", low).split("/")[0].split(":")[0]
    if _profiles().search(low):
        return False
    parents = {host[i:] for i in (0, *(j + 1 for j, letter in enumerate(host) if letter == "."))}
    return bool(parents & (service_sites() | set(known("sites")) | set(known("public"))))


@cache
def _profiles() -> re.Pattern[str]:
    return re.compile("|".join(known("profiles")))


def handles(text: str) -> Iterator[Hit]:
    """Yield names on platforms: @name, u/name, name#1234, and what follows "my instagram is"."""
    found = [m for sign, pattern in _SIGNS if sign in text for m in pattern.finditer(text)]
    found += _PLATFORM.finditer(text) if " is " in text or ": " in text else ()
    for m in found:
        start = m.start() if m[0].startswith("@") else m.start("id")
        yield Hit(start, m.end("id"), "handle", m["id"].lower().lstrip("@"))


def ips(text: str) -> Iterator[Hit]:
    """Yield IP addresses that `ipaddress` takes, not numbers of versions and not the loopback."""
    for m in _IP.finditer(text) if text.count(".") > 2 or text.count(":") > 2 else ():
        try:
            address = ipaddress.ip_address(m[0])
        except ValueError:
            continue
        if not address.is_loopback and not address.is_unspecified and not _VERSION.search(text[: m.start()]):
            yield Hit(m.start(), m.end(), "ip", str(address))
