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

_EMAIL = re.compile(
    r"(?<![\w.+-])[\w+-][\w.+-]{0,63}@(?:[a-z0-9-]{1,63}\.)+[a-z]{2,24}(?![\w@])"
    r"|(?<![\w.+-])[\w.+-]{2,64}\s?[\[(]\s?at\s?[\])]\s?(?:[a-z0-9-]+\s?(?:\.|[\[(]\s?dot\s?[\])])\s?)+[a-z]{2,24}\b",
    re.IGNORECASE,
)
_ENDINGS = "com|org|net|info|edu|gov|mil|int|io|co|me|us|uk|ca|au|nz|ie|de|fr|es|it|nl|eu|in|health|care|life|blog|online|site|app|tv|ly"
_URL = re.compile(
    rf"(?:https?://|www\.)[^\s¿¡<>\"'()\[\]{{}}|]+|(?<![\w@.-])(?!\S{{0,60}}www\.)(?:[a-z0-9][a-z0-9-]*\.)+(?:{_ENDINGS})\b(?:/[^\s¿¡<>\"'()\[\]{{}}|]*)?(?![\w@])",
    re.IGNORECASE,
)
_SURE = frozenset("com org net info edu gov mil co.uk uk ca au nz ie de fr nl eu io app tv online site blog".split())
_GLUE = re.compile(
    r"(?:(?<=\.html)|(?<=\.htm)|(?<=\.pdf)|(?<=\.php)|(?<=\.com/)|(?<=\.org/)|(?<=\.net/))[A-Z][a-z]*$|(?:(?<=\.com)|(?<=\.org)|(?<=\.net))\.[A-Z][a-z]*$"
)
_HANDLE = re.compile(
    r"(?<![\w@/.])@[A-Za-z_][\w.]{1,28}\w(?![\w@])|(?<![\w/])/?u/[\w-]{3,20}(?!\w)"
    r"|(?:(?<=instagram: )|(?<=snapchat: )|(?<=discord: )|(?<=tiktok: )|(?<=twitter: )|(?<=skype: )|(?<=ig: )|(?<=insta: )"
    r"|(?<=instagram is )|(?<=snapchat is )|(?<=discord is )|(?<=tiktok is )|(?<=twitter is )|(?<=skype is ))@?[\w.#-]*[\d_#][\w.#-]*\w"
    r"|(?<!\w)[A-Za-z]\w{2,30}#\d{4}(?!\w)",
    re.IGNORECASE,
)
_IP = re.compile(r"(?<![\w.:])(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9a-f]{0,4}(?::[0-9a-f]{0,4}){3,7})(?![\w:]|\.\d)", re.IGNORECASE)
_VERSION = re.compile(r"(?:version|release|\bv)\s?$", re.IGNORECASE)


def emails(text: str) -> Iterator[Hit]:
    """Yield e-mail addresses, also those written with (at) and (dot), but not those of crisis services."""
    if "@" in text or "at" in text:
        for m in _EMAIL.finditer(text):
            address = _unglued(m[0])
            if address.lower() not in service_sites():
                yield Hit(m.start(), m.start() + len(address), "email", address.lower())


def urls(text: str) -> Iterator[Hit]:
    """Yield addresses of pages that are not public ones."""
    if "." in text:
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
    for m in _HANDLE.finditer(text) if any(sign in text for sign in "@/#:_") else ():
        yield Hit(m.start(), m.end(), "handle", m[0].lower().lstrip("@/"))


def ips(text: str) -> Iterator[Hit]:
    """Yield IP addresses that `ipaddress` takes, not numbers of versions and not the loopback."""
    for m in _IP.finditer(text) if text.count(".") > 2 or text.count(":") > 2 else ():
        try:
            address = ipaddress.ip_address(m[0])
        except ValueError:
            continue
        if not address.is_loopback and not address.is_unspecified and not _VERSION.search(text[: m.start()]):
            yield Hit(m.start(), m.end(), "ip", str(address))
