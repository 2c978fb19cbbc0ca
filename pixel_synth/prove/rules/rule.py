"""What every rule of the validator is made of: what it looks at, what it remembers, what it answers."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import Field

from pixel_synth.curate.gate import Gate
from pixel_synth.recipe import Recipe
from pixel_synth.records import Conversation, Record, Unit
from pixel_synth.settings import Settings

NAMED = 5  # places that a broken rule names; all are counted
ASIDE = ("auxiliary", "client_lines")  # files beside the mix: outside the ratios, the splits and the scores
OUTSIDE = frozenset({"client_lines", "preference"})  # kinds that no scorer reads: no session of client and therapist


class Rule(Record):
    """The answer of one rule; ``passed`` is ``None`` where it could not be judged or does not apply, ``why`` then says why."""

    id: str
    passed: bool | None
    expected: str
    found: str
    why: str = Field(default="", description="what is wrong, or why it was not judged")
    todo: str = Field(default="", description="the next thing to do about it")
    where: tuple[str, ...] = Field(default=(), description="the first places, as file:line id")
    shortfall: bool = Field(default=False, description="broken, because there were too few records, and mix.json says so")


class Limits(Record):
    """What a dataset must keep besides ratios and thresholds: ``[validation]`` of ``pixel.toml``, or a TOML file.

    The defaults are choices of ours.  Half a share is what ``pixel-synth split`` calls a shortfall; the limits of reading are low, so
    that they tell a broken file or reader, not a slow machine.
    """

    share_gap: Unit = Field(default=0.02, description="largest distance of a category's share from its ratio")
    split_records: int = Field(default=1, ge=1, description="records that a split with a share must have")
    split_share: Unit = Field(default=0.5, description="part of its share that a split must have")
    load_s: float | None = Field(default=None, gt=0, description="most seconds that a reader may take for all files")
    records_s: float = Field(default=100.0, gt=0, description="records that a reader must read in a second")
    memory_mb: float = Field(default=4096.0, gt=0, description="most memory of a reading process, in MB")


class Target(NamedTuple):
    """What is validated: the files of records by split (``""`` where there are none), those aside, and what lies beside them.

    ``home`` is the folder that manifest, stages and private files are looked for in; ``info`` is ``run.json``, ``mix`` is ``mix.json``,
    ``split`` is ``splits.json``; each ``None`` where it is not there.
    """

    path: Path
    home: Path
    kind: Literal["dataset", "run", "folder", "file"]
    splits: dict[str, Path]
    aside: dict[str, Path]
    info: dict[str, Any] | None
    mix: dict[str, Any] | None
    split: dict[str, Any] | None

    def shown(self, path: Path) -> str:
        """Return a path as it is named in answers: below the folder where it lies there."""
        return path.relative_to(self.home).as_posix() if path.is_relative_to(self.home) else str(path)


class About(NamedTuple):
    """What a rule may know; ``recipe`` is ``None`` where there is none, ``mixed`` tells whether ratios are to be judged."""

    target: Target
    settings: Settings
    recipe: Recipe | None
    limits: Limits
    gate: Gate
    mixed: bool


class Place(NamedTuple):
    """Where a record stands: its split (or the name of its file aside), file and line."""

    split: str
    file: str
    line: int

    def of(self, id: str) -> str:
        """Return the place with the record's id."""
        return f"{self.file}:{self.line} {id}"


class Faults:
    """Counts what is wrong and keeps the first places."""

    def __init__(self) -> None:
        self.count = 0
        self.where: list[str] = []

    def add(self, where: str) -> None:
        """Count one."""
        self.count += 1
        if len(self.where) < NAMED:
            self.where.append(where)

    def rule(self, id: str, expected: str, what: str, todo: str) -> Rule:
        """Return a rule that is broken when anything was counted."""
        found = f"{self.count:,}" if self.count else "none wrong"
        return answer(id, not self.count, expected, found, f"{self.count:,} {what}", todo, self.where)


class Check:
    """One or more rules that look at every record once; a check without `see` looks at the files beside them."""

    def __init__(self, about: About) -> None:
        self.about = about

    def see(self, c: Conversation, at: Place) -> None:
        """Look at a record."""

    def bad(self, at: Place, error: str) -> None:
        """Look at a line that is no record."""

    def rules(self) -> Iterable[Rule]:
        """Answer, after the last record."""
        return ()


def answer(
    id: str, passed: bool, expected: str, found: str, why: str, todo: str, where: Iterable[str] = (), shortfall: bool = False
) -> Rule:
    """Return a rule that holds, or one that is broken with why, what to do and where."""
    if passed:
        return Rule(id=id, passed=True, expected=expected, found=found)
    return Rule(id=id, passed=False, expected=expected, found=found, why=why, todo=todo, where=tuple(where), shortfall=shortfall)


def unjudged(id: str, why: str, expected: str = "") -> Rule:
    """Return a rule that does not apply, or could not be judged."""
    return Rule(id=id, passed=None, expected=expected, found="", why=why)
