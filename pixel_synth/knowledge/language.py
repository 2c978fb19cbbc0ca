"""Checks of the packs' language: near-copies, reading level, words that hurt, text that is somebody else's.

Talk must be plain (`MAX_GRADE`), varied (no two lines that are nearly the same), free of stereotypes and deficit words
(the ``language`` lists of the packs themselves, and `BLANKET`), and all of it in our own words (`overlaps`).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel

from pixel_synth.grammar import variants
from pixel_synth.knowledge.load import Knowledge, Pack
from pixel_synth.knowledge.models import Culture, Instrument, Population
from pixel_synth.knowledge.pieces import Entry
from pixel_synth.lexical import grade_level

MAX_GRADE = 12.0  # Flesch-Kincaid; talk of a client or therapist reads far below it
MIN_WORDS = 12  # shorter lines have no grade worth the name
READ = {".txt", ".md", ".csv", ".json", ".jsonl", ".yaml", ".tsv"}
RUN = 12  # words in a row that may not be anybody else's
NEAR = 0.7  # Jaccard similarity of word 4-grams from which two talk lines count as near-copies
SHINGLE = 4
FEWEST = 6  # runs a line must have to be compared: shorter questions are alike by nature
_WORD = re.compile(r"[a-z]+(?:'[a-z]+)*")
_GROUPS = "|".join(
    r"men|women|boys|girls|gay men|lesbians|trans people|immigrants|refugees|asians|africans|muslims|jews|christians|old people|"
    r"older people|young people|teenagers|veterans|farmers|autistic people|disabled people|addicts|patients with \w+".split("|")
)
# What is said of everyone in a group is said of no one in it.
BLANKET = re.compile(
    rf"\b(?:all|every|most) (?:{_GROUPS}) (?:are|is|have|will|do|can't|cannot|never|always)\b"
    rf"|\b(?:{_GROUPS}) (?:always|never|all|naturally)\b",
    re.IGNORECASE,
)
DEFICIT = re.compile(
    r"\b(?:committ?(?:ed)? suicide|failed suicide|wheelchair[- ]bound|suffers? from (?:autism|adhd|deafness|dyslexia)"
    r"|mentally retarded|confined to a wheelchair|deaf[- ]mute|sex change|drug abuser|substance abuser|junkies?|schizophrenics"
    r"|the mentally ill|illegal immigrants?|normal people|(?:high|low)[- ]functioning autis\w+)\b",
    re.IGNORECASE,
)


class Slip(NamedTuple):
    """One finding: pack, key path within the file, and what is wrong."""

    pack: Pack
    key: tuple[str | int, ...]
    where: str
    message: str


def words(text: str) -> list[str]:
    """Return the words of a text, folded."""
    return _WORD.findall(text.lower().replace("’", "'"))


def texts(value: object, at: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Yield (key path, text) of every string below a model."""
    if isinstance(value, str):
        yield at, value
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from texts(getattr(value, name), (*at, name))
    elif isinstance(value, tuple | list):
        for i, item in enumerate(value):
            yield from texts(item, (*at, i))
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from texts(item, (*at, key))


def every_text(knowledge: Knowledge) -> Iterator[tuple[Pack, int, Entry, tuple[str | int, ...], str]]:
    """Yield (pack, entry number, entry, key path, text) of the whole base."""
    for pack in knowledge.packs:
        for i, entry in enumerate(pack.entries):
            for key, text in texts(entry):
                yield pack, i, entry, key, text


def _slip(pack: Pack, i: int, entry: Entry, key: tuple[str | int, ...], message: str) -> Slip:
    return Slip(pack, ("entries", i, *key), ".".join(map(str, (entry.id, *key))), message)


def hard_to_say(knowledge: Knowledge, fields: Iterable[str]) -> list[Slip]:
    """Return talk lines that read above `MAX_GRADE`."""
    found = []
    for pack, i, entry, key, text in every_text(knowledge):
        if _field(key) in fields and len(tokens := words(spoken := _plain(text))) >= MIN_WORDS:
            grade = grade_level(tokens, max(1, len(re.findall(r"[.!?…]+", spoken))))
            if grade > MAX_GRADE:
                found.append(_slip(pack, i, entry, key, f"reads at grade {grade:.0f}, talk stays below {MAX_GRADE:.0f}: {spoken!r}"))
    return found


def words_that_hurt(knowledge: Knowledge) -> list[Slip]:
    """Return blanket statements about groups, deficit wording, and words that an entry itself says to avoid.

    Clients say what they say, and lists that name such words to warn of them may do so: both are left out.
    """
    found = []
    for pack, i, entry, key, text in every_text(knowledge):
        if {"stereotypes", "language", "avoid", "harms", "cues", "source"} & set(key) or key[-1] in CLIENT:
            continue
        for pattern in (BLANKET, DEFICIT, _own_list(entry)):
            if pattern and (hit := pattern.search(text)):
                found.append(_slip(pack, i, entry, key, f"wording to avoid: {hit[0]!r}"))
                break
    return found


def _own_list(entry: Entry) -> re.Pattern[str] | None:
    """Return what an entry with a list of wordings asks to avoid in its own texts."""
    return _any_of(tuple(w.avoid for w in entry.language)) if isinstance(entry, Population | Culture) and entry.language else None


@cache
def _any_of(phrases: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{'|'.join(map(re.escape, phrases))})\b", re.IGNORECASE)


def near_copies(knowledge: Knowledge, fields: Iterable[str]) -> list[Slip]:
    """Return talk lines that share most of their 4-word runs with an earlier one."""
    holders: dict[tuple[str, ...], list[int]] = defaultdict(list)
    lines: list[tuple[str, frozenset[tuple[str, ...]]]] = []
    found = []
    for pack, i, entry, key, text in every_text(knowledge):
        if _field(key) not in fields:
            continue
        tokens = words(_plain(text))
        mine = frozenset(tuple(tokens[k : k + SHINGLE]) for k in range(len(tokens) - SHINGLE + 1))
        if len(mine) < FEWEST:
            continue
        shared: dict[int, int] = defaultdict(int)
        for run in mine:
            for n in holders[run]:
                shared[n] += 1
        best = max(shared, key=lambda n: shared[n] / len(mine | lines[n][1]), default=None)
        if best is not None and (alike := shared[best] / len(mine | lines[best][1])) >= NEAR:
            found.append(_slip(pack, i, entry, key, f"nearly the same as {lines[best][0]} ({alike:.0%} of its word runs)"))
        for run in mine:
            if len(holders[run]) < 20:
                holders[run].append(len(lines))
        lines.append((".".join(map(str, (entry.id, *key))), mine))
    return found


def overlaps(knowledge: Knowledge, folder: Path) -> list[Slip]:
    """Return texts of the base that share a run of `RUN` words with any text file below ``folder``.

    Public-domain inventory items are the one exception: their pack says whose they are.
    """
    theirs: dict[tuple[str, ...], str] = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and p.suffix in READ):
        tokens = words(path.read_text(encoding="utf-8", errors="replace"))
        for k in range(len(tokens) - RUN + 1):
            theirs.setdefault(tuple(tokens[k : k + RUN]), path.name)
    found = []
    for pack, i, entry, key, text in every_text(knowledge):
        if isinstance(entry, Instrument) and "public domain" in entry.rights.text.lower() and key[0] == "items":
            continue
        for spoken in variants(text, 4) if "[" in text and _field(key) in TALKED else [text]:
            tokens = words(spoken)
            hit = next((r for k in range(len(tokens) - RUN + 1) if (r := tuple(tokens[k : k + RUN])) in theirs), None)
            if hit:
                found.append(_slip(pack, i, entry, key, f"{RUN} words in a row are those of {theirs[hit]}: {' '.join(hit)!r}"))
                break
    return found


CLIENT = {"say", "think", "think_you", "pro", "con"}  # a lead's `say` is a list, so its lines are not among these
TALKED = ("say", "hear", "ask", "asides", "openers", "says", "repairs", "intro")


def _field(key: tuple[Any, ...]) -> str:
    return next((k for k in reversed(key) if isinstance(k, str)), "")


def _plain(text: str) -> str:
    """Return a talk line with its first alternatives and its slots as words."""
    return re.sub(r"\{(\w+)\}", r"\1", next(iter(variants(text, 1))))
