"""Where entries begin: headings in several layouts, labels that are no entry's name, and what kind a section is."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pixel_synth.knowledge.parse.layout import Piece, clean, marked, ruled
from pixel_synth.knowledge.parse.meaning import codes
from pixel_synth.knowledge.parse.result import Kind
from pixel_synth.knowledge.parse.source import Line

# What a label fills, by kind; labels are compared in lower case without punctuation.
_TABLE: dict[Kind, dict[str, str]] = {
    "disorder": {
        "criteria": "diagnostic criteria; criteria",
        "specifiers": "specify if; specify whether; specify; specifiers; specify type; specify whether or if",
        "severity": "specify current severity; specify severity; current severity; severity; severity levels",
        "note": "note; notes; coding note",
        "code": "icd-10-cm; icd-10-cm code; icd-10; code; codes",
        "summary": "summary; in short",
        "chapter": "chapter",
        "onset": "development and course; onset; onset and course",
        "prevalence": "prevalence",
        "culture": "culture-related diagnostic issues; culture",
        "gender": "sex- and gender-related diagnostic issues; gender-related diagnostic issues; gender",
        "risk_note": "association with suicidal thoughts or behavior; suicide risk; risk",
        "prose": "diagnostic features; associated features; associated features supporting diagnosis; differential diagnosis; "
        "comorbidity; risk and prognostic factors; diagnostic markers; recording procedures; functional consequences; "
        "subtypes; specifier descriptions; coding and recording procedures",
    },
    "syndrome": {
        "tension": "central tension; tension; central preoccupation; preoccupation; central tension/preoccupation; "
        "central tension or preoccupation",
        "affects": "central affects; affects; central affect",
        "belief_self": "pathogenic belief about self; belief about self; pathogenic beliefs about self; beliefs about self; "
        "pathogenic belief about the self",
        "belief_others": "pathogenic belief about others; belief about others; pathogenic beliefs about others; beliefs about others",
        "defenses": "central ways of defending; ways of defending; defenses; defences; central defenses; central defences",
        "countertransference": "countertransference; typical countertransference; common countertransference",
        "summary": "summary; description",
        "talk": "how it sounds; talk",
        "help": "what helps; help; treatment implications",
        "cues": "cues",
    },
    "capacity": {
        "number": "number",
        "domain": "domain",
        "intact": "intact; level 5; healthy functioning",
        "impaired": "impaired; level 1; severely impaired",
        "summary": "summary; description; definition",
        "help": "what helps; help",
        "cues": "cues",
    },
    "instrument": {
        "intro": "instructions; instruction; directions",
        "options": "answer scale; response options; answers; response scale; rating scale; options; answer options",
        "items": "items; questions; statements",
        "scales": "scales; subscales",
        "scoring": "scoring; score; scoring instructions",
        "bands": "cut-offs; cutoffs; cut-off scores; interpretation; bands; score ranges; cut offs",
        "reverse": "reverse-scored; reverse-scored items; reverse scored; reverse items; reversed items; reverse-keyed items; "
        "reverse; reverse scored items",
        "abbr": "abbreviation",
        "summary": "summary; description; purpose",
        "kind": "kind; type",
        "period": "period; time frame; timeframe",
        "ages": "ages; age range",
        "rights": "rights; copyright",
        "limits": "limits; limitations",
    },
}  # fmt: skip
LABELS: dict[Kind, dict[str, tuple[str, ...]]] = {
    kind: {field: tuple(labels.split("; ")) for field, labels in fields.items()} for kind, fields in _TABLE.items()
}
FILLERS = ("characteristic ", "the ")
TITLES: dict[str, Kind] = {
    "disorder": "disorder", "syndrome": "syndrome", "personality syndrome": "syndrome", "capacity": "capacity", "instrument": "instrument",
    "questionnaire": "instrument", "inventory": "instrument",
}  # fmt: skip
_TITLE = re.compile(rf"^(?P<what>{'|'.join(TITLES)})(?: (?P<number>\d{{1,2}}))?\s*[:—–]\s*(?P<name>\S.*)$", re.IGNORECASE)
_CRITERIA = re.compile(r"^diagnostic criteria(?:\s+for\s+(?P<name>[^0-9(]+))?(?P<rest>[\s:]*[\d(A-Z].*)?$", re.IGNORECASE)
_CAPITALS = re.compile(r"^(?=(?:.*[A-Z]){5})[^a-z]{5,90}$")
_NAMES = {label: field for fields in LABELS.values() for field, labels in fields.items() for label in labels}
_WORDS = sorted(_NAMES, key=len, reverse=True)
LABELLED = re.compile(
    r"^(?:(?:characteristic|the) )?(?:"
    + "|".join(re.escape(w).replace(r"\ ", r"\s") for w in _WORDS)
    + r")(?: \([^)]*\))?\s*:(?:\s|$)|^reverse[- ]",
    re.IGNORECASE,
)


def field_of(text: str, kind: Kind | None = None) -> str:
    """Return the field that a label fills, for a kind or any; "" for a text that is no label."""
    text = re.sub(r"\s*\([^)]*\)$", "", re.sub(r"\s+", " ", text.strip().rstrip(":").strip().lower()))
    for word in FILLERS:
        text = text.removeprefix(word)
    kinds = (kind,) if kind else tuple(LABELS)
    return next((field for k in kinds for field, labels in LABELS[k].items() if text in labels), "")


def title(text: str) -> tuple[Kind | None, str, int | None]:
    """Read "Capacity 3: Name" and the like into kind, name and number; a bare name gives no kind."""
    if found := _TITLE.match(text):
        return TITLES[found["what"].lower()], found["name"], int(found["number"]) if found["number"] else None
    return None, text, None


def criteria_heading(text: str) -> re.Match[str] | None:
    """Match "Diagnostic Criteria", with "for Name" and codes or without."""
    return _CRITERIA.match(text)


def levels(lines: Sequence[Line]) -> dict[int, int]:
    """Return heading levels by line number: 1 and up, negative for a label or "Diagnostic Criteria", which open no entry."""
    texts = [(line, clean(line.text)) for line in lines if line.text.strip()]
    found: dict[int, int] = {}
    for i, (line, text) in enumerate(texts):
        level = _level(line, text, [t for _, t in texts[i + 1 : i + 3]])
        if level:
            bare = re.sub(r"^#+\s*|\s*#+$", "", text).strip()
            found[line.number] = -level if field_of(bare) or criteria_heading(bare) else level
    return found


def _level(line: Line, text: str, after: list[str]) -> int:
    bare = re.sub(r"^#+\s*|\s*#+$", "", text).strip()
    if not bare or ruled(text):
        return 0
    if found := re.match(r"^(#{1,6})\s+\S", text):
        return len(found[1])
    if _TITLE.match(text):
        return 2
    if after and re.fullmatch(r"={3,}|-{3,}", after[0]) and not marked(text)[0]:
        return 1 if after[0][0] == "=" else 2
    if criteria_heading(text):
        return 3
    if re.fullmatch(r"(\*\*|__).{3,90}\1", line.text.strip()) and not re.search(r"[.:]$", text) and not marked(text)[0]:
        return 2
    if marked(text)[0] or len(text) > 90:
        return 0
    if field_of(text) and not text.endswith(":"):
        return 3
    if _CAPITALS.match(text) and not re.search(r"[.:=?!]$", text):
        return 2
    return 2 if _plain_name(text, after) else 0


def _plain_name(text: str, after: list[str]) -> bool:
    """A short line in title case that a criteria heading, a first criterion or a label follows."""
    if not text[0].isupper() or len(text.split()) > 9 or re.search(r"[:=]|[.;,?!]$", text) or not after:
        return False
    if codes(text) or re.search(r"\([A-Z][A-Za-z0-9-]*[A-Z0-9]\)$", text):
        return True
    mark, _ = marked(after[0])
    starts = criteria_heading(after[0]) or (mark and mark.text in ("A",)) or (LABELLED.match(after[0]) and not LABELLED.match(text))
    return bool(starts) and not re.match(r"(?:with|without|in|note|specify)\b", text, re.IGNORECASE)


def kind_of(body: Sequence[Piece]) -> Kind | None:
    """Return the kind of a section by what stands in it, or None."""
    text = " ".join(p.text for p in body)
    labels = [p.text if p.heading else p.text.split(":", 1)[0] for p in body if p.heading or ":" in p.text]
    score: dict[Kind, int] = {
        kind: len({f for x in labels if (f := field_of(x, kind)) and f not in ("summary", "help", "cues", "severity", "note", "number")})
        for kind in LABELS
    }
    score["disorder"] += 3 * any(p.mark and p.mark.text == "A" for p in body) + 3 * any(criteria_heading(p.text) for p in body if p.heading)
    score["disorder"] += 2 * bool(re.search(r"\bof the following\b", text) and any(p.mark for p in body))
    score["instrument"] += 2 * (len(re.findall(r"(?<![\w.])\d{1,2}\s*=\s*[A-Za-z]", text)) > 1)
    best = max(score, key=lambda k: score[k])
    return best if score[best] > 1 else None
