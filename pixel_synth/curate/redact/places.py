"""Street and postal addresses, and postcodes.

Safe Harbor, 45 CFR 164.514(b)(2)(i)(B), names every part of an address below the state; towns alone are not looked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from pixel_synth.curate.redact.spans import Hit

_STATES = (
    "AL AK AZ AR CA CO CT DE FL GA HI ID IL IN IA KS KY LA ME MD MA MI MN MS MO MT NE NV NH NJ NM NY NC ND OH OK OR PA RI SC SD TN TX UT VT"
    " VA WA WV WI WY DC PR"
).split()
_WAYS = (
    r"(?:Street|St|Avenue|Ave|Road|Rd|Boulevard|Blvd|Lane|Ln|Drive|Dr|Court|Ct|Way|Place|Pl|Terrace|Square|Sq|Highway|Hwy|Parkway|Pkwy|Circle"
    r"|Cir|Crescent|Close|Row|Trail|Gardens|Grove|Mews)"
)
_WORD = r"(?:[A-Z][\w'’.-]*|\d{1,3}(?:st|nd|rd|th))"
_ZIP = rf"(?:{'|'.join(_STATES)})\.?,? \d{{5}}(?:-\d{{4}})?"
_STREET = re.compile(
    rf"(?<![\w.,:$£€-])\d{{1,5}}[A-Za-z]?,? (?:[NSEW]\.? |North |South |East |West )?(?:{_WORD} ){{1,3}}{_WAYS}\b\.?"
    rf"(?:,? (?:Apt|Apartment|Suite|Ste|Unit|Flat|#)\.? ?#?\w{{1,5}})?(?:,? (?:[A-Z][\w'’.-]+ ?){{1,3}},? {_ZIP}(?!\w))?"
    r"|(?<!\w)[A-ZÄÖÜ][a-zäöüß-]+(?:straße|strasse|weg|gasse|platz|allee) \d{1,3}[a-z]?(?!\w)"
    r"|(?<!\w)P\.? ?O\.? Box \d{1,6}(?!\w)"
)
_DIGIT = re.compile(r"\d")
_CODE = re.compile(
    rf"(?<!\w){_ZIP}(?!\w)|(?<![\w-])\d{{5}}-\d{{4}}(?![\w-])"
    r"|(?<=zip code )\d{5}(?!\w)|(?<=zip code is )\d{5}(?!\w)|(?<=zip: )\d{5}(?!\w)|(?<=zip is )\d{5}(?!\w)|(?<=zip )\d{5}(?!\w)"
    r"|(?<=ZIP code )\d{5}(?!\w)|(?<=ZIP )\d{5}(?!\w)"
    r"|(?<!\w)(?:[A-PR-UWYZ]\d[\dA-HJKSTUW]?|[A-PR-UWYZ][A-HK-Y]\d[\dABEHMNPRVWXY]?) ?\d[ABD-HJLNP-UW-Z]{2}(?!\w)"  # Britain, BS 7666
    r"|(?<!\w)[ABCEGHJ-NPRSTVXY]\d[ABCEGHJ-NPRSTV-Z] \d[ABCEGHJ-NPRSTV-Z]\d(?!\w)"  # Canada
)


def addresses(text: str) -> Iterator[Hit]:
    """Yield street addresses and post boxes, with unit, town and code where they follow."""
    for m in _STREET.finditer(text) if _DIGIT.search(text) else ():
        street = m[0].rstrip(".")
        yield Hit(m.start(), m.start() + len(street), "address", " ".join(street.lower().split()))


def postcodes(text: str) -> Iterator[Hit]:
    """Yield ZIP codes that a state or a word marks as such, ZIP+4, and British and Canadian postcodes."""
    for m in _CODE.finditer(text) if _DIGIT.search(text) else ():
        yield Hit(m.start(), m.end(), "postcode", m[0].replace(" ", "").lower())
