"""Records for the tests of groups, splits and certificates."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pixel_synth.draw import Draw
from pixel_synth.mix.groups import groups
from pixel_synth.mix.item import Item, item
from pixel_synth.records import Category, Conversation, Labels, Link, Message, Provenance, Score

# Syllables whose random words share no run of five by chance.
_SYLLABLES = "ba ce di fo gu ha je ki lo mu na pe qui ro su ta ve wi xo yu za".split()


def text(*seed: object, n: int = 30) -> str:
    """Return ``n`` made-up words, other ones for each seed."""
    draw = Draw(*seed)
    return " ".join("".join(draw.pick(_SYLLABLES) for _ in range(3)) for _ in range(n))


def record(
    id: str, *, category: Category = "psychology", said: str = "", answer: str = "", groups: tuple[str, ...] = (), created: str = "",
    quality: float | None = None, row: str = "", links: tuple[Link, ...] = (), labels: Labels | None = None,
) -> Conversation:  # fmt: skip
    """Return a question and its answer, of words of its own where none are given."""
    return Conversation(
        id=id, category=category, labels=labels or Labels(), groups=groups, links=links,
        messages=(Message(role="user", content=said or text(id, "q")), Message(role="assistant", content=answer or text(id, "a"))),
        scores=() if quality is None else (Score(metric="overall", value=quality),),
        provenance=Provenance(engine="", model="", toolkit="", seed=0, source="test", created=created, row=row),
    )  # fmt: skip


def items(conversations: Iterable[Conversation]) -> list[Item]:
    """Return the items with all their groups."""
    return [item(c)._replace(groups=groups(c)) for c in conversations]


def jsonl(path: Path, conversations: Iterable[Conversation]) -> Path:
    """Write records to a file and return it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(c.line() + "\n" for c in conversations), encoding="utf-8")
    return path
