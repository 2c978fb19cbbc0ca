"""What a licence lets one do with a set, and whether sets fit together and fit a use.

This is a table of facts about licence texts, not legal advice.  Each line names the text that it was read in (``url``).  What
a set says about itself stands in its own file of this room; a licence that is not in the table permits nothing in the commercial
profile, and neither does one that could not be found.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from pydantic import Field

from pixel_synth.recipe import Profile
from pixel_synth.records import Record

UNKNOWN = "unknown"  # no licence could be found
OWN = "own"  # made by this toolkit for its user
OURS = "generated"  # `Provenance.source` of what was made so; its licence is empty


class Licence(Record):
    """What one licence permits; ``None`` where that cannot be said in general."""

    id: str = Field(description="SPDX identifier where there is one")
    commercial: bool | None = Field(description="may be used to earn money with")
    adapted: bool | None = Field(description="changed copies may be given to others, and every record here is a changed copy")
    shared: bool | None = Field(description="copies may be given to others")
    attribution: bool = Field(default=True, description="the makers have to be named")
    alike: bool = Field(default=False, description="what is made of it has to stand under the same licence")
    restricted: bool = Field(default=False, description="names uses that are forbidden, which has to be passed on")
    clause: str = Field(default="", description="the clause that forbids or binds, where to find it in the text")
    url: str = Field(default="", description="the text, or what says how the tag is meant")


_CC = "https://creativecommons.org/licenses/{}/4.0/legalcode"


def _creative_commons(kind: str, *, commercial: bool = True, adapted: bool = True, alike: bool = False, clause: str = "") -> Licence:
    url = _CC.format(kind)
    return Licence(id=f"CC-{kind.upper()}-4.0", commercial=commercial, adapted=adapted, shared=True, alike=alike, clause=clause, url=url)


_NC = "section 2(a)(1): for NonCommercial purposes only"
_SA = "section 3(b): adapted material under the same licence"
_ND = "section 2(a)(1): adapted material may be made, not shared"

LICENCES: Mapping[str, Licence] = {
    licence.id: licence
    for licence in (
        Licence(id="MIT", commercial=True, adapted=True, shared=True, url="https://spdx.org/licenses/MIT.html"),
        Licence(id="BSD-3-Clause", commercial=True, adapted=True, shared=True, url="https://spdx.org/licenses/BSD-3-Clause.html"),
        Licence(id="Apache-2.0", commercial=True, adapted=True, shared=True, url="https://www.apache.org/licenses/LICENSE-2.0"),
        Licence(
            id="CC0-1.0", commercial=True, adapted=True, shared=True, attribution=False,
            url="https://creativecommons.org/publicdomain/zero/1.0/legalcode",
        ),
        _creative_commons("by"),
        _creative_commons("by-sa", alike=True, clause=_SA),
        _creative_commons("by-nc", commercial=False, clause=_NC),
        _creative_commons("by-nc-sa", commercial=False, alike=True, clause=f"{_NC}; {_SA}"),
        _creative_commons("by-nd", adapted=False, clause=_ND),
        _creative_commons("by-nc-nd", commercial=False, adapted=False, clause=f"{_NC}; {_ND}"),
        Licence(id="ODC-By-1.0", commercial=True, adapted=True, shared=True, url="https://opendatacommons.org/licenses/by/1-0/"),
        Licence(
            id="ODbL-1.0", commercial=True, adapted=True, shared=True, alike=True, clause="section 4.4: share alike",
            url="https://opendatacommons.org/licenses/odbl/1-0/",
        ),
        Licence(
            id="CDLA-Permissive-2.0", commercial=True, adapted=True, shared=True, url="https://cdla.dev/permissive-2-0/"
        ),
        Licence(
            id="GPL-3.0-only", commercial=True, adapted=True, shared=True, alike=True,
            clause="section 5(c): the whole work under this licence", url="https://www.gnu.org/licenses/gpl-3.0.html",
        ),
        Licence(
            id="AGPL-3.0-only", commercial=True, adapted=True, shared=True, alike=True,
            clause="sections 5(c) and 13: the whole work under this licence, also for those who use it over a network",
            url="https://www.gnu.org/licenses/agpl-3.0.html",
        ),
        Licence(
            id="OpenRAIL", commercial=True, adapted=True, shared=True, restricted=True,
            clause="restrictions of use have to be passed on; which ones depends on the text, and the tag names none",
            url="https://www.licenses.ai/blog/2022/8/18/naming-convention-of-responsible-ai-licenses",
        ),
        Licence(
            id="other", commercial=None, adapted=None, shared=None,
            clause="terms of its own, which a person has to read", url="https://huggingface.co/docs/hub/repositories-licenses",
        ),
        Licence(
            id=UNKNOWN, commercial=None, adapted=None, shared=None,
            clause="no licence could be found, and without one all rights are reserved",
            url="https://choosealicense.com/no-permission/",
        ),
        Licence(
            id=OWN, commercial=True, adapted=True, shared=True, attribution=False,
            clause="made here; the terms of the model that wrote it apply as well",
        ),
    )
}  # fmt: skip

_SPELLED = {
    "apache2.0": "Apache-2.0", "apachelicense2.0": "Apache-2.0", "cc0": "CC0-1.0", "odcby": "ODC-By-1.0", "odbl": "ODbL-1.0",
    "gpl3.0": "GPL-3.0-only", "gplv3": "GPL-3.0-only", "agpl3.0": "AGPL-3.0-only", "agplv3": "AGPL-3.0-only",
    "bsd3clause": "BSD-3-Clause", "mitlicense": "MIT", "": UNKNOWN, "none": UNKNOWN,
}  # fmt: skip
_KNOWN = {re.sub(r"[^a-z0-9.]", "", key.lower()): key for key in LICENCES} | _SPELLED


def licence(text: str) -> Licence:
    """Return what is known of a licence, however it is spelled: ``"cc by-nc-sa 4.0"`` and ``"CC-BY-NC-SA-4.0"`` are the same.

    A licence that the table does not have comes back as "other", with its words in the clause.
    """
    found = _KNOWN.get(re.sub(r"[^a-z0-9.]", "", text.lower()))
    return LICENCES[found] if found else LICENCES["other"].model_copy(update={"clause": f"{text[:80]!r} is not in the table of licences"})


def _of(name: str, text: str) -> Licence:
    return LICENCES[OWN] if name == OURS and not text else licence(text)


def forbidden(sources: Iterable[tuple[str, str]], profile: Profile) -> list[str]:
    """Say which sets a use profile forbids.

    The research profile takes every set, and `terms` says what may not be published; whether the law where one lives lets
    researchers work with text without a licence is theirs to know.  The commercial profile takes only what is known to allow it.

    Args:
        sources: Pairs of a set and its licence.
        profile: What the dataset is for.

    Returns:
        One sentence for each set that is not allowed, in alphabetical order, naming set, licence and clause.
    """
    if profile == "research":
        return []
    found = []
    for name, text in sorted(set(sources)):
        known = _of(name, text)
        if not known.commercial:
            found.append(f"{name}: {text or UNKNOWN} does not allow commercial use ({known.clause}; {known.url})")
    return found


class Terms(Record):
    """Under what a dataset of these sets may be given to others."""

    licences: tuple[str, ...] = Field(description="all licences inside")
    under: str = Field(default="", description='the licence that the whole has to stand under; "" where the maker may choose')
    commercial: bool = Field(description="whether all of it may be used commercially")
    attribution: tuple[str, ...] = Field(default=(), description="sets that have to be named")
    problems: tuple[str, ...] = Field(default=(), description="why it may not be given to others as it is")


# What may be taken into a work under another share-alike licence: https://creativecommons.org/compatiblelicenses (BY-SA 4.0 into GPL 3),
# and section 13 of GPL 3.0 and AGPL 3.0 (each with the other).
_INTO = {("CC-BY-SA-4.0", "GPL-3.0-only"), ("GPL-3.0-only", "AGPL-3.0-only"), ("CC-BY-SA-4.0", "AGPL-3.0-only")}


def terms(sources: Iterable[tuple[str, str]], gated: Iterable[str] = ()) -> Terms:
    """Work out under what a mixture of sets may be published.

    Records are cleaned, redacted and cut, so that each counts as adapted material.

    Args:
        sources: Pairs of a set and its licence.
        gated: Sets whose terms every reader has to accept for themselves.
    """
    pairs = sorted(set(sources))
    known = {name: _of(name, text) for name, text in pairs}
    problems = [_not_shared(name, text or UNKNOWN, known[name]) for name, text in pairs if not (known[name].shared and known[name].adapted)]
    problems += [f"{name}: gated; whoever wants it has to accept its terms at its own page" for name in sorted(set(gated) & known.keys())]
    alike = {one.id: name for name, one in sorted(known.items(), reverse=True) if one.alike}
    under = _strictest(alike)
    if alike and not under:
        problems.append(
            "share-alike licences that exclude each other: " + ", ".join(f"{alike[id]} ({id})" for id in sorted(alike)) + "; leave one out"
        )
    limited = sorted(name for name, one in known.items() if under and one.commercial is False and one.id != under)
    if limited and licence(under).commercial:
        problems.append(f"{under} has to allow commercial use, and {', '.join(limited)} forbids it")
    return Terms(
        licences=tuple(sorted({text or UNKNOWN for _, text in pairs})),
        under=under,
        commercial=all(bool(one.commercial) for one in known.values()),
        attribution=tuple(name for name, one in sorted(known.items()) if one.attribution),
        problems=tuple(problems),
    )


def _not_shared(name: str, text: str, known: Licence) -> str:
    return f"{name}: {text} does not allow changed copies to be given to others ({known.clause}; {known.url})"


def _strictest(alike: Mapping[str, str]) -> str:
    """Return the one licence that all share-alike ones may be taken into, or ""."""
    return next((last for last in sorted(alike) if all(id == last or (id, last) in _INTO for id in alike)), "")
