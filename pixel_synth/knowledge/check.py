"""Checks over the whole base that a schema cannot express: talk notation, cues, cross-references, duplicates.

Each check is a function from the loaded `Knowledge` to findings; `check` runs them all.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel

from pixel_synth.errors import GrammarError
from pixel_synth.grammar import SLOTS, find_cue, slots, variants
from pixel_synth.knowledge import language
from pixel_synth.knowledge.assess import gaps
from pixel_synth.knowledge.claims import statements
from pixel_synth.knowledge.load import Knowledge, Pack, line_of
from pixel_synth.knowledge.models import (
    CrisisProtocol,
    Disorder,
    EdgeCase,
    Experience,
    Facet,
    Instrument,
    LifeEvent,
    Modality,
    Occupation,
    Organization,
    Person,
    Population,
    Syndrome,
)
from pixel_synth.knowledge.pieces import Beat, Entry, Feature, Reply
from pixel_synth.knowledge.spelling import WORDS, unknown_words


class Finding(NamedTuple):
    """One fault: where it is and what is wrong."""

    path: Path
    line: int
    key: str
    message: str

    def __str__(self) -> str:
        """Return ``file:line: key: message``."""
        return f"{self.path}:{self.line}: {self.key}: {self.message}"


Key = tuple[str | int, ...]
TALK = {"say", "hear", "ask", "asides", "openers", "says", "think", "think_you", "pro", "con", "fairer", "np", "place",
        "avoids", "wants", "steps", "copes", "strengths", "bodies", "repairs", "intro", "close"}  # fmt: skip


def walk(value: object, at: Key = ()) -> Iterator[tuple[Key, object]]:
    """Yield every (key path, value) below a model, tuples and dicts included."""
    yield at, value
    if isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from walk(getattr(value, name), (*at, name))
    elif isinstance(value, tuple):
        for i, item in enumerate(value):
            yield from walk(item, (*at, i))


def talk_lines(entry: Entry) -> Iterator[tuple[Key, str, str]]:
    """Yield (key path, field name, line) of every talk line of an entry."""
    for key, value in walk(entry):
        if isinstance(value, str):
            field = next((k for k in reversed(key) if isinstance(k, str)), "")
            if field in TALK:
                yield key, field, value


def check(knowledge: Knowledge, against: Path | None = None) -> list[Finding]:
    """Run every check and return the findings, in file order; ``against`` is a folder of texts that nothing may be copied from."""
    findings: list[Finding] = []
    readable = True
    for pack in knowledge.packs:
        text = ""
        for i, entry in enumerate(pack.entries):
            slips = list(notation(entry, knowledge))
            rest = ENTRY_CHECKS if not any("in:" in message for _, message in slips) else ()  # unreadable talk: mend that first
            readable = readable and bool(rest)
            for found in (slips, *(rule(entry, knowledge) for rule in rest)):
                for key, message in found:
                    text = text or pack.path.read_text(encoding="utf-8")
                    full = ("entries", i, *key)
                    dotted = ".".join(str(k) for k in (entry.id, *key))
                    findings.append(Finding(pack.path, line_of(text, full), dotted, message))
    findings += repeated_lines(knowledge)
    for claim in statements(knowledge):
        if claim.unsourced:
            findings.append(
                _finding(claim.pack, claim.key, claim.where, "no source carries this claim, or a statistic does not say which does")
            )
    return sorted({*findings, *(_wording(knowledge, against) if readable else ())}, key=lambda f: (str(f.path), f.line, f.key))


def _wording(knowledge: Knowledge, against: Path | None) -> list[Finding]:
    spoken = {"say", "ask", "hear", "says", "asides"}
    worded = [
        *language.hard_to_say(knowledge, spoken),
        *language.words_that_hurt(knowledge),
        *language.near_copies(knowledge, spoken - {"ask"}),
    ]
    worded += language.overlaps(knowledge, against) if against else []
    return [_finding(slip.pack, slip.key, slip.where, slip.message) for slip in worded]


def spelling(knowledge: Knowledge, folder: Path) -> list[Finding]:
    """Return words that neither the dictionary nor ``words.txt`` of the folder knows.

    Raises:
        KnowledgeError: When the dictionary is not installed.
    """
    text = f"is in no dictionary: mend it, or add it to {WORDS}"
    return [_finding(pack, key, where, f"{word!r} {text}") for pack, key, where, word in unknown_words(knowledge, folder)]


def notation(entry: Entry, knowledge: Knowledge) -> Iterator[tuple[Key, str]]:
    """Brackets balance, slots exist, questions end in "?", sayings are whole sentences, hearings are clauses."""
    for key, field, line in talk_lines(entry):
        try:
            unknown = slots(line) - set(SLOTS)
        except GrammarError as error:
            yield key, error.message
            continue
        if unknown:
            yield key, f"unknown slot {', '.join(sorted(unknown))} (known: {', '.join(SLOTS)})"
        if re.search(r"\{I\}['’]?\s*(?:am|was|'m|m)\b", line):
            yield key, f"{{I}} before am/was is wrong for one speaker: {line!r}"
        for text in variants(line, 24):
            if field in {"ask", "repairs"} and not text.rstrip("\"'”").endswith("?"):
                yield key, f"a question must end in '?': {text!r}"
            elif field in {"say", "says"} and not re.search(r"[.!?…—\-]['\"”]?$", text):
                yield key, f"not a whole sentence: {text!r}"
            elif field == "hear" and (re.search(r"[.!?]$", text) or re.match(r"(?!I\b|I['’])[A-Z]", text)):
                yield key, f"hear is a clause without capital or full stop: {text!r}"
            elif re.search(r"  | [,.;?!]|\b(\w+) \1\b(?<!that that)(?<!had had)|\ba [aeio]\w|\ban [^aeiouhAEIOUHFLMNRSX{8\W]", text):
                yield key, f"slip (double word or space, a/an): {text!r}"
            else:
                continue
            break


def cues_match(entry: Entry, knowledge: Knowledge) -> Iterator[tuple[Key, str]]:
    """Whatever a criterion, event, job, person or risk cue says can be found by its own cues."""

    def test(cues: tuple[str, ...], lines: list[tuple[Key, str]]) -> Iterator[tuple[Key, str]]:
        for key, line in lines:
            for text in variants(line, 64):
                if not find_cue(cues, re.sub(r"\{\w+\}", "…", text)):  # what a slot holds is another's word
                    yield key, f"no cue of {list(cues)[:6]}… matches {text!r}"
                    break

    def says(beats: tuple[Beat, ...], at: Key) -> list[tuple[Key, str]]:
        return [((*at, i, "say"), beat.say) for i, beat in enumerate(beats)]

    if isinstance(entry, Disorder):
        for i, criterion in enumerate(entry.criteria):
            yield from test(criterion.cues, says(criterion.beats, ("criteria", i, "beats")))
    elif isinstance(entry, LifeEvent | Person | Feature):
        yield from test(entry.cues, says(entry.beats, ("beats",)))
    elif isinstance(entry, Occupation):
        yield from test(entry.cues, [(("says", i), line) for i, line in enumerate(entry.says)])
    elif isinstance(entry, CrisisProtocol):
        for i, cue in enumerate(entry.show):
            yield from test(cue.cues, says(cue.beats, ("show", i, "beats")))
        for i, step in enumerate(entry.steps):
            for j, lead in enumerate(step.leads):
                yield from test(step.cues, [(("steps", i, "leads", j, "say", k), line) for k, line in enumerate(lead.say)])


def references(entry: Entry, knowledge: Knowledge) -> Iterator[tuple[Key, str]]:
    """Ids that point to other entries exist."""
    known = {id for entries in knowledge.by_kind.values() for id in entries}
    pointers: list[tuple[Key, str]] = []
    if isinstance(entry, Disorder):
        pointers += [(("differentials", i, "condition"), d.condition) for i, d in enumerate(entry.differentials)]
        pointers += [(("comorbid", i), id) for i, id in enumerate(entry.comorbid)]
        pointers += [(("criteria", i, "unless", j), id) for i, c in enumerate(entry.criteria) for j, id in enumerate(c.unless)]
        pointers += [(("duration_waived_by", i), id) for i, id in enumerate(entry.duration_waived_by)]
        pointers += [(("protocols", i), id) for i, id in enumerate(entry.protocols)]
    elif isinstance(entry, Syndrome | Organization):
        pointers += [(("defenses", i), id) for i, id in enumerate(entry.defenses)]
    elif isinstance(entry, Experience | Instrument):
        pointers += [(("disorders", i), id) for i, id in enumerate(entry.disorders)]
    elif isinstance(entry, Facet):
        pointers += [(("domain",), entry.domain)]
    elif isinstance(entry, EdgeCase):
        pointers += [(("rules", i), id) for i, id in enumerate(entry.rules)]
    elif isinstance(entry, Modality):
        pointers += [(("only", i), id) for i, id in enumerate(entry.only)]
        pointers += [(("indications", i), item.disorder) for i, item in enumerate(entry.indications)]
        for i, item in enumerate(entry.contraindications):
            pointers += [(("contraindications", i), id) for id in (*item.disorders, *item.populations)]
    elif isinstance(entry, Population):
        pointers += [(("excludes",), id) for id in entry.excludes]
        pointers += [(("occupations",), id) for id in entry.occupations] + [(("events",), id) for id in entry.events]
    elif isinstance(entry, LifeEvent):
        pointers += [(("disorders",), id) for id in (*entry.disorders, *entry.exposure_for, *entry.not_for)]
        pointers += [(("excludes",), id) for id in entry.excludes]
    for key, id in pointers:
        if id not in known:
            yield key, f"points to {id!r}, which is in no pack"


def ways_of_telling(entry: Entry, knowledge: Knowledge) -> Iterator[tuple[Key, str]]:
    """A disorder shows itself in at least three ways: guarded beside any or open, mild or severe, young or adult."""
    if isinstance(entry, Disorder):
        ways = {(b.tone, b.severity, b.age) for c in entry.criteria for b in c.beats}
        if len(ways) < 3 or "guarded" not in {tone for tone, _, _ in ways}:
            yield ("criteria",), f"tells itself in {len(ways)} ways; three are needed, one of them guarded"
        for i, c in enumerate(entry.criteria):
            if entry.client in ("self", "reference") and any(re.search(r"\{w(?:ard|the)", b.model_dump_json()) for b in c.beats):
                yield ("criteria", i, "beats"), "{ward} is only for packs with client: parent or family"


def short_sentences(entry: Entry, knowledge: Knowledge) -> Iterator[tuple[Key, str]]:
    """No stock sentence of one or two words: such sentences end up in every conversation."""
    for key, field, line in talk_lines(entry):
        if field in {"say", "asides", "says"}:
            for text in variants(line, 24):
                for sentence in re.split(r"(?<=[.!?…])\s+", text):
                    if len(re.findall(r"[\w'’{}]+", sentence)) < 3:
                        yield key, f"stock sentence {sentence!r}: join it to its neighbour with a comma or dash"
                        break
                else:
                    continue
                break


def bands_cover(entry: Entry, knowledge: Knowledge) -> Iterator[tuple[Key, str]]:
    """Every value of a scale lies in exactly one of its bands."""
    if isinstance(entry, Instrument):
        yield from ((("bands",), message) for message in gaps(entry))


SHORT_QUESTION = 8  # words


def repeated_lines(knowledge: Knowledge) -> list[Finding]:
    """The same talk line twice in the base."""
    first: dict[str, str] = {}
    found: list[Finding] = []
    for pack in knowledge.packs:
        for i, entry in enumerate(pack.entries):
            for key, field, line in talk_lines(entry):
                if field not in {"say", "ask", "hear", "says", "asides"}:
                    continue
                where = f"{entry.id}.{'.'.join(map(str, key))}"
                if field == "ask" and len(line.split()) <= SHORT_QUESTION:
                    line = f"{entry.id}: {line}"  # short questions are anybody's; twice in one entry is once too often
                if line in first and first[line] != where:
                    found.append(_finding(pack, ("entries", i, *key), where, f"same line as {first[line]}: {line!r}"))
                first.setdefault(line, where)
    return found


def _finding(pack: Pack, key: Key, where: str, message: str) -> Finding:
    return Finding(pack.path, line_of(pack.path.read_text(encoding="utf-8"), key), where, message)


ENTRY_CHECKS: tuple[Callable[[Entry, Knowledge], Iterator[tuple[Key, str]]], ...] = (
    cues_match,
    references,
    ways_of_telling,
    short_sentences,
    bands_cover,
)

__all__ = ["Finding", "Reply", "check", "spelling", "talk_lines", "walk"]
