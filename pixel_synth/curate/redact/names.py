"""Names of people, as far as they can be told without a model; with one (a spaCy pipeline of the user's), also the others.

Without a model a name is known when somebody introduces themselves ("my name is ..."), signs (a name before letters such as LCSW, after
closing words, or "Dr. ..." at the end), is greeted by it ("Hi Marcus,"), bears a title (Mr, Mrs, Ms; Dr in the client's words), or is
given by the record itself.
A name that is known is then found wherever the conversation says it.  Other names are not found: say so where it matters.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cache, lru_cache
from typing import Any

from pixel_synth.curate.redact.spans import Hit, known
from pixel_synth.errors import UsageError

NOT_LOOKED_FOR = (
    "names were looked for by pattern only (introductions, signatures, titles, names the records give): others stay; "
    "a spaCy model finds more"
)
END = 120  # characters at the end of a message in which its writer may sign
_PART = r"[A-ZÀ-Þ][a-zà-ÿ]+(?:['’-][A-Z][a-zà-ÿ]+)*"
_FULL = rf"{_PART}(?: [A-Z]\.)?(?: (?:(?:de|van|von|la|del) )?{_PART}){{0,2}}"
_TWO = rf"{_PART}(?: [A-Z]\.?)?(?: (?:(?:de|van|von|la|del) )?{_PART}){{1,2}}"
_NAMED = re.compile(
    rf"\b(?i:my (?:real |full |first )?name(?:'s|’s| is)|i am called|i'm called|me llamo|mi nombre es)[ :]+(?P<name>{_FULL})"
    rf"|\b(?i:my name(?:'s|’s| is)) (?P<low>[a-z]{{3,12}})(?=[.,!?]| and i\b)"
)
_CALLED = re.compile(
    rf"\b[Cc]all me (?P<called>{_PART})(?=[.,!?\n]|$)"
    rf"|\b(?:[Cc]all me|[Tt]his is|[Ii]'m|[Ii]’m|[Ii] am) (?P<aged>{_FULL})(?=,? (?:and )?(?i:i'm |i am |a |aged? )?\d{{2}}\b)"
    rf"|\b(?:[Ii]'m|[Ii]’m|[Ii] am) (?P<known>{_PART}),(?= (?i:a|an|your|the) )"
    rf"|\b(?:[Ii]'m|[Ii]’m|[Ii] am) (?P<role>{_TWO})(?=,? (?:and )?(?i:i'm a|i am a|a|an|from|your) )"
)
_GREETED = re.compile(rf"\W*(?i:hi|hello|hey|dear)(?: there)?,? (?:it's |this is )?(?P<greeted>{_PART})(?=[,!.]| here\b)")
_TITLED = re.compile(rf"\b(?P<title>Mr|Mrs|Ms|Miss|Mx)\.? (?P<name>{_PART}(?: {_PART})?)")
_DOCTOR = re.compile(rf"\b(?:Dr|Prof)\.? (?P<name>{_PART}(?: [A-Z]\.)?(?: {_PART})?)")
_DOCTOR_LAST = re.compile(
    rf"(?:^|[.!?…)\n”\"] *|[a-z,])(?:~|-|—)? *Dr\.? (?P<name>{_PART}(?: [A-Z]\.)?(?: {_PART})?)(?=[\s.,!]*$|, [A-Z]|www)"
)
_BY = re.compile(
    r"\b(?:books?|author|research|according)\b[^.!?]*$|\b(?:by|author|authors|book|expert|from|of|called|de) (?:[Dd]r\.? )?$"
    r"|\b(?:by|and) (?:[A-Z][\w.]+ ){1,3}(?:and|&) (?:Dr\.? )?$"
)
_TOKENS = re.compile(r"[A-Z][A-Za-z.]*[A-Za-z](?:-[A-Z]+)?\.?")
_NEEDED = (
    (("name", "Name", "NAME", "called", "llamo", "nombre"), _NAMED),
    (("'m ", "’m ", " am ", "all me", "his is"), _CALLED),
    (("Mr", "Ms", "Miss", "Mx"), _TITLED),
)


def _any_of(words: Iterable[str]) -> str:
    return "|".join(sorted(map(re.escape, words), key=lambda w: (-len(w), w)))


@cache
def _signed() -> re.Pattern[str]:
    letters = _any_of(known("credentials"))
    strong = _any_of(known("credentials") - known("weak"))
    return re.compile(
        rf"(?<![A-Z])(?P<name>{_TWO})(?=(?:,? ?(?:{letters})(?![\w]))*,? ?(?:{strong})(?![\w])|,? (?:{letters})(?![\w])[\s.,]*$)"
    )


@cache
def _closed() -> re.Pattern[str]:
    closings = "|".join(known("closings"))
    return re.compile(
        rf"(?:(?i:{closings})(?: (?:to you|you|always))?[\s,.!~—-]*|[.!?)]\s*[-–—~]\s*|\n\s*[-–—~]?\s*)(?P<name>{_FULL})[\s.!~]*$"
    )


def trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    """Return a run of capitalised words without words at its ends that belong to no name; empty when none is left."""
    parts = list(re.finditer(r"\S+", text[start:end]))
    while parts and parts[0][0].strip(".,") in known("no_names"):
        parts.pop(0)
    for i, part in enumerate(parts):
        if part[0].strip(".,") in known("no_names"):
            parts = parts[:i]
            break
    return (start + parts[0].start(), start + parts[-1].end()) if parts else (start, start)


def told_names(text: str, role: str) -> Iterator[tuple[int, int]]:
    """Yield where a message tells a name in a form that is sure (see the module)."""
    for pattern, m in _forms_of_telling(text, role):
        group = next(name for name, value in m.groupdict().items() if value is not None and name != "title")
        start, end = trimmed(text, m.start(group), m.end(group))
        if start == end or m[group].lower() in known("not_called") or (group == "greeted" and m[group] in known("states")):
            continue
        if pattern in (_NAMED, _CALLED, _GREETED) or not _BY.search(re.sub(r"Dr\.? $", "", text[max(0, start - 60) : start])):
            yield start, end


def _forms_of_telling(text: str, role: str) -> Iterator[tuple[re.Pattern[str], re.Match[str]]]:
    """Yield the matches of the patterns; a word that each needs rules most texts out before it is searched."""
    patterns = [(p, 0) for words, p in _NEEDED if any(word in text for word in words)]
    if greeted := _GREETED.match(text):
        yield _GREETED, greeted
    if role != "assistant":
        patterns += [(_DOCTOR, 0)] if "Dr" in text or "Prof" in text else []
    else:
        patterns += [(_signed(), 0)] if not known("credentials").isdisjoint(_TOKENS.findall(text)) else []
        patterns += [(_closed(), max(0, len(text) - END))]
        patterns += [(_DOCTOR_LAST, 0)] if "Dr" in text else []
    for pattern, begin in patterns:
        for m in pattern.finditer(text, begin):
            yield pattern, m


def mentions(text: str, names: Iterable[str]) -> Iterator[tuple[int, int, str]]:
    """Yield where a text says one of the names, whole or by its first or last part, with the name that is meant."""
    for name in sorted(names, key=lambda n: (-len(n), n)):
        for form in forms(name):
            if form.partition(" ")[0] not in text:
                continue
            for m in _word(form).finditer(text):
                if not (form in known("also_words") and _opens(text, m)) and not (form != name and _of_another(text, m)):
                    yield m.start(), m.end(), name


def forms(name: str) -> tuple[str, ...]:
    """Return the ways in which a name is said: whole, without the middle initial, first name, last name (three letters or more each)."""
    parts = name.split()
    bare = [p for p in parts if len(p.strip(".")) > 1]
    single = [p for p in (bare[0], bare[-1]) if len(p) > 2 and p not in known("no_names")] if bare else []
    return tuple(dict.fromkeys((name, " ".join(bare), *single)))


_NEXT = re.compile(r"\s+(?:[A-Z]\.\s+)?([A-Z][a-z]+)")
_BEFORE = re.compile(r"\b([A-Z][a-z]+)\s+(?:[A-Z]\.\s+)?$")


@lru_cache(maxsize=4096)
def _word(form: str) -> re.Pattern[str]:
    spaced = r"\s+".join(map(re.escape, form.split()))
    return re.compile(rf"(?<![\w'’]){spaced}(?=['’]s\b|www|(?![\w'’]))")


def _of_another(text: str, m: re.Match[str]) -> bool:
    """Tell whether a first or last name goes on with another capitalised word: John of John Frampton in "John Gottman"."""
    follows = _NEXT.match(text, m.end())
    before = _BEFORE.search(text, max(0, m.start() - 30), m.start())
    words = [w[1] for w in (follows, before) if w]
    return any(w not in known("no_names") for w in words)


def _opens(text: str, m: re.Match[str]) -> bool:
    """Tell whether a word stands at the beginning of a sentence and goes on in lower case, as the verb or noun it may be would."""
    before = text[: m.start()].rstrip()
    return (not before or before[-1] in '.!?…"“') and text[m.end() : m.end() + 2].strip()[:1].islower()


@lru_cache(maxsize=2)
def model(name: str) -> Any:
    """Return the spaCy pipeline of a name or folder.

    Raises:
        UsageError: When spaCy or the pipeline is not there.
    """
    try:
        import spacy
    except ModuleNotFoundError as error:
        raise UsageError("finding names needs spaCy, which is not installed", hint="pip install 'pixel-synth[names]'") from error
    try:
        return spacy.load(name)
    except OSError as error:
        raise UsageError(f"no spaCy pipeline {name!r} here", hint=f"python -m spacy download {name}, or give a folder") from error


def model_names(text: str, pipeline: str) -> Iterator[Hit]:
    """Yield the people whom a spaCy pipeline names (entities PERSON or PER)."""
    for entity in model(pipeline)(text).ents:
        if entity.label_ in ("PERSON", "PER"):
            yield Hit(entity.start_char, entity.end_char, "name", entity.text)
