"""Two speakers who expand talk lines: slots take the client's or the therapist's point of view.

`Voice.say` never repeats a production within a conversation as long as another one is left, and what comes out is
tidied: sentence capitals, spaces, a/an before filled slots.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

import yaml

from pixel_synth.draw import Draw
from pixel_synth.errors import EngineError, GrammarError
from pixel_synth.grammar import expand
from pixel_synth.knowledge import Knowledge
from pixel_synth.knowledge.models import Disorder, LifeEvent, Occupation, Person, Thought
from pixel_synth.records import Blueprint

T = TypeVar("T")
# Subject, object, possessive.
PRONOUNS = {"she": ("she", "her", "her"), "he": ("he", "him", "his"), "they": ("they", "them", "their")}
_KEEP_CAPITAL = re.compile(
    r"(I\b|I['’]|Mon|Tues|Wednes|Thurs|Fri|Satur|Sun(?=day)|Janu|Febr|March\b|April\b|May\b|June\b|July\b|August|Sept|Octo|"
    r"Nove|Dece|Christmas|Easter|Mum\b|Dad\b|Mom\b|A&E|TV\b|[A-Z]{2})"
)
_AN = re.compile(r"\b([Aa]) (?=(?!(?:one|once|uni|use|usu|eu|ur[aei])\w*)[aeiou]\w)")


@lru_cache(maxsize=1)
def grammar() -> dict[str, list[str]]:
    """Return the composer's own symbols, each with its productions."""
    data: dict[str, list[str]] = yaml.safe_load((Path(__file__).parent / "grammar.yaml").read_text(encoding="utf-8"))
    return data


def lower_first(text: str) -> str:
    """Lower the first letter so that a sentence can follow a phrase, except "I" and names of days and months."""
    return text if _KEEP_CAPITAL.match(text) else text[:1].lower() + text[1:]


def upper_first(text: str) -> str:
    """Raise the first letter, also behind an opening quotation mark."""
    at = 1 if text[:1] in "'\"‘“" else 0
    return text[:at] + text[at : at + 1].upper() + text[at + 1 :]


def tidy(text: str) -> str:
    """Mend spacing, capitals at sentence starts, a/an, and doubled stops left by optional parts."""
    text = re.sub(r"\s+", " ", text).strip()
    text = re.sub(r" +([,.;:?!])", r"\1", text)
    text = re.sub(r",(?=[,.;:?!])", "", text)
    text = re.sub(r"([.?!]) ([a-z])(?![a-z]?\.)", lambda m: f"{m[1]} {m[2].upper()}", text)
    text = re.sub(r"\b([Tt])hese (past )?(?:one|a) (week|month|year)\b", r"\1his \2\3", text)
    text = re.sub(r"\b(if|and|so|but|in|on) \1\b", r"\1", text, flags=re.IGNORECASE)
    text = _AN.sub(lambda m: f"{m[1]}n ", text)
    return upper_first(text)


def material(bp: Blueprint, knowledge: Knowledge) -> tuple[dict[str, str], Thought]:
    """Return the slot values of a client and the thought they are caught in; talk and clinical prose are made of the same.

    Possessives stay slots ("{my} sister"): whoever speaks, or is written about, fills them.
    """
    form, draw = knowledge.get(Disorder, bp.topic).formulation, Draw(bp.seed, "slots")
    if form is None:
        raise EngineError(f"{bp.topic} is for reference: no session can be made of it")
    job, person = knowledge.get(Occupation, bp.persona.occupation), knowledge.get(Person, bp.persona.person)
    event = knowledge.get(LifeEvent, bp.event)
    thought = draw.pick(form.thoughts)
    they, them, their = PRONOUNS[person.pronoun]
    values = {
        "name": bp.persona.name,
        "event": event.np,
        "since": f"since {event.np}",
        "duration": bp.duration_text,
        "job": job.np,
        "work": job.place,
        "person": f"{{my}} {person.np}",
        "they": they,
        "them": them,
        "their": their,
        "avoid": draw.pick(form.avoids),
        "want": draw.pick(form.wants),
        "step": draw.pick(form.steps),
        "cope": draw.pick(form.copes),
        "strength": draw.pick(form.strengths),
        "body": draw.pick(form.bodies),
    }
    if bp.ward:
        wthey, wthem, wtheir = PRONOUNS["she" if bp.ward in ("daughter", "mother", "sister") else "he"]
        values |= {"ward": f"{{my}} {bp.ward}", "wthey": wthey, "wthem": wthem, "wtheir": wtheir}
    return values, thought


class Voice:
    """What one conversation's two speakers have at hand; all draws are addressed by the blueprint's seed."""

    def __init__(self, bp: Blueprint, knowledge: Knowledge) -> None:
        self.bp = bp
        self.used: set[str] = set()
        self._draw = Draw(bp.seed, "voice")
        both, thought = material(bp, knowledge)
        self._client = {**both, "thought": thought.think, "I": "I", "me": "me", "my": "my", "myself": "myself"}
        self._therapist = {**both, "thought": thought.think_you, "I": "you", "me": "you", "my": "your", "myself": "yourself"}

    def fresh(self, items: Sequence[T], key: Callable[[T], str]) -> T:
        """Pick an item whose text was not used in this conversation, as long as there is one."""
        left = [i for i in items if key(i) not in self.used] or list(items)
        choice = self._draw.pick(left)
        self.used.add(key(choice))
        return choice

    def client(self, line: str, **extra: str) -> str:
        """Expand a line as the client says it."""
        return self._expand(line, {**self._client, **extra})

    def therapist(self, line: str, **extra: str) -> str:
        """Expand a line as the therapist says it."""
        return self._expand(line, {**self._therapist, **extra})

    def symbol(self, name: str) -> str:
        """Pick a production of a grammar symbol, unused in this conversation if possible."""
        return self.fresh(grammar()[name], str)

    def _expand(self, line: str, values: dict[str, str]) -> str:
        def value(name: str) -> str:
            if name not in values:
                raise GrammarError(f"slot {{{name}}} has no value in: {line!r}")
            text = values[name]
            return self._expand(text, values) if "{" in text or "[" in text else text

        return expand(line, self._draw.below, value)
