"""Talk lines: the small notation in which packs and the composer write variable sentences.

Notation::

    I lie there [till three|until three, sometimes four], and {person} [has no idea|sleeps through it].

``[a|b|c]`` picks one alternative (they nest; an empty one is allowed), ``{slot}`` takes a value from the blueprint
or another symbol.  ``[[``/``]]`` are not needed: talk has no literal brackets.  Lines are parsed once into a tree and
expanded many times; a slot without a value raises `GrammarError`, so nothing half-filled is ever written.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from functools import cache, lru_cache
from itertools import product
from typing import NamedTuple

from pixel_synth.errors import GrammarError

# Slots that packs may use.  Their values depend on who speaks ("my sister" / "your sister").
SLOTS: dict[str, str] = {
    "I": 'subject pronoun of the client: "I" / "you"',
    "me": '"me" / "you"',
    "my": '"my" / "your"',
    "myself": '"myself" / "yourself"',
    "name": "the client's first name (therapist only, sparingly)",
    "event": 'noun phrase of what happened: "the layoff"',
    "since": '"since the layoff"',
    "duration": '"four months"',
    "job": 'noun phrase: "a night-shift nurse"',
    "work": 'place of work: "the ward"',
    "person": 'close person with possessive: "my sister" / "your sister"',
    "they": 'subject pronoun of {person}; only before past tense or a modal ("{they} said")',
    "them": "object pronoun of {person}",
    "their": "possessive of {person}",
    "thought": 'automatic thought as a clause in the speaker\'s person: "I let everyone down"',
    "avoid": 'gerund phrase: "opening the mail"',
    "want": 'verb phrase without "to": "sit through dinner with my kids"',
    "step": 'verb phrase without "to", small and concrete: "walk to the corner before lunch"',
    "cope": 'gerund phrase: "scrolling until my eyes hurt"',
    "strength": 'noun phrase: "the way I still show up for the dog"',
    "body": 'noun phrase of a bodily feeling: "a weight on my chest"',
    "ward": 'whom a parent or relative comes about: "my son" / "your son"; only in packs with client: parent or family',
    "wthey": 'subject pronoun of {ward}: "he" or "she"',
    "wthem": "object pronoun of {ward}",
    "wtheir": "possessive of {ward}",
}


class Slot(NamedTuple):
    """A reference to a slot or grammar symbol."""

    name: str


class Choice(NamedTuple):
    """Alternatives, each a sequence of nodes."""

    options: tuple[Seq, ...]


Node = str | Slot | Choice
Seq = tuple[Node, ...]
_TOKEN = re.compile(r"[\[\]|]|\{[A-Za-z_][A-Za-z0-9_.]*\}|[^\[\]|{}]+|[{}]")


@cache
def parse(text: str) -> Seq:
    """Parse a talk line into a tree.

    Raises:
        GrammarError: On unbalanced brackets or a malformed slot, quoting the line.
    """
    stack: list[list[list[Node]]] = [[[]]]
    for piece in _TOKEN.findall(text):
        if piece == "[":
            stack.append([[]])
        elif piece == "]":
            if len(stack) == 1:
                raise GrammarError(f"']' without '[' in: {text!r}")
            options = stack.pop()
            stack[-1][-1].append(Choice(tuple(tuple(o) for o in options)))
        elif piece == "|" and len(stack) > 1:
            stack[-1].append([])
        elif piece in "|{}":
            raise GrammarError(f"stray {piece!r} in: {text!r}", hint="slots are {name}, choices are [a|b]")
        elif piece.startswith("{"):
            stack[-1][-1].append(Slot(piece[1:-1]))
        else:
            stack[-1][-1].append(piece)
    if len(stack) != 1:
        raise GrammarError(f"'[' is never closed in: {text!r}")
    return tuple(stack[0][0])


def slots(text: str) -> set[str]:
    """Return the names of all slots that a line refers to."""

    def walk(seq: Seq) -> Iterable[str]:
        for node in seq:
            if isinstance(node, Slot):
                yield node.name
            elif isinstance(node, Choice):
                for option in node.options:
                    yield from walk(option)

    return set(walk(parse(text)))


def expand(text: str, pick: Callable[[int], int], value: Callable[[str], str]) -> str:
    """Expand a line: ``pick(n)`` chooses an alternative in ``range(n)``, ``value(name)`` fills a slot."""
    out: list[str] = []

    def walk(seq: Seq) -> None:
        for node in seq:
            if isinstance(node, str):
                out.append(node)
            elif isinstance(node, Slot):
                out.append(value(node.name))
            else:
                walk(node.options[pick(len(node.options))])

    walk(parse(text))
    return "".join(out)


def variants(text: str, limit: int = 512) -> list[str]:
    """Return up to ``limit`` expansions of the choices of a line, slots left as ``{slot}``."""

    def walk(seq: Seq) -> list[str]:
        columns: list[list[str]] = []
        for node in seq:
            if isinstance(node, str):
                columns.append([node])
            elif isinstance(node, Slot):
                columns.append(["{" + node.name + "}"])
            else:
                columns.append([text for option in node.options for text in walk(option)][:limit])
        result: list[str] = []
        for combination in product(*columns):
            result.append("".join(combination))
            if len(result) == limit:
                break
        return result

    return walk(parse(text))


_CONTENT = re.compile(r"[a-z]{4,}")
_EMPTY = frozenset(
    "that with what they them this have your just from when then there about like were been some than into only even more".split()
)


@cache
def sure_words(text: str) -> frozenset[str]:
    """Return the content words (four letters and more) that every expansion of a line has."""
    return _words(parse(text), both=False) - _EMPTY


@cache
def open_words(text: str) -> frozenset[str]:
    """Return the content words that only some expansions of a line have."""
    tree = parse(text)
    return _words(tree, both=True) - _words(tree, both=False) - _EMPTY


def _words(seq: Seq, both: bool) -> frozenset[str]:
    """Return the words of a tree: of all alternatives together (``both``), or those that all alternatives share."""
    found: set[str] = set()
    for node in seq:
        if isinstance(node, str):
            found.update(_CONTENT.findall(node.lower()))
        elif isinstance(node, Choice):
            options = [_words(option, both) for option in node.options]
            found.update(frozenset[str]().union(*options) if both else options[0].intersection(*options[1:]))
    return frozenset(found)


def answers(line: str, template: str, said: str) -> bool:
    """Whether a line fits what was said of a template: it takes up no word of an alternative that was not chosen."""
    return not (sure_words(line) & open_words(template) - set(_CONTENT.findall(said.lower())))


def _cue(cue: str) -> str:
    parts = []
    for word in re.split(r"(\.\.|\s+)", cue.strip().lower()):
        if word == "..":
            parts.append(r"\W+(?:[\w'’]+\W+){0,4}?")
        elif word.isspace():
            parts.append(r"\s+")
        else:
            parts.append(re.escape(word).replace("'", "['’]").replace(r"\*", r"[\w'’]*"))
    return "".join(parts)


@cache
def cue_pattern(cues: tuple[str, ...], flags: int = re.IGNORECASE) -> re.Pattern[str]:
    """Compile cues to one pattern; without cues it never matches.

    Words match whole and case-blind, ``*`` ends a stem, ``..`` allows up to four words between: ``"sleep*"`` finds
    *sleeping*, ``"let..down"`` finds *let everybody down*, ``"4 months"`` is literal.
    """
    any_of = "|".join(_cue(c) for c in cues) or r"(?!)"
    return re.compile(rf"(?<!\w)(?<!\w['’])(?:{any_of})(?!\w)", flags)


_PLAIN = re.compile(r"[a-z0-9]+")
_lower = lru_cache(maxsize=64)(str.lower)


@cache
def _cores(cues: tuple[str, ...]) -> frozenset[str]:
    """Return of each cue the longest run of plain letters, which every text that it matches holds in lower case."""
    return frozenset(max(_PLAIN.findall(cue.lower()), key=len, default="") for cue in cues)


def find_cue(cues: Iterable[str], text: str) -> re.Match[str] | None:
    """Return the first match of any cue in the text, or ``None``; a look for the cores of the cues rules most texts out."""
    cues, low = tuple(cues), _lower(text)
    for core in _cores(cues):
        if core in low:
            return _pattern_for(cues, text).search(text)
    return cue_pattern(cues).search(text) if _odd(text) else None


def find_cues(cues: tuple[str, ...], text: str) -> Iterator[re.Match[str]]:
    """Find every match of any cue in the text."""
    return _pattern_for(cues, text).finditer(text)


def _odd(text: str) -> bool:
    """Tell whether a text has a letter that is an "s" or "i" case-blind but not in lower case."""
    return not text.isascii() and any(letter in text for letter in "ſıİ")


def _pattern_for(cues: tuple[str, ...], text: str) -> re.Pattern[str]:
    """Return the pattern of cues for a text: not case-blind, so twice as fast, where it is in lower case."""
    return cue_pattern(cues, re.IGNORECASE if text != _lower(text) or _odd(text) else 0)
