"""The five instruments of this suite, read alone, and ways to answer them and to read a conversation back."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

from pixel_synth.grammar import Choice, Seq, Slot, parse
from pixel_synth.knowledge import read_pack
from pixel_synth.knowledge.assess import Answers, Result, members, options, score
from pixel_synth.knowledge.load import knowledge_dir, read_sources
from pixel_synth.knowledge.models import Instrument
from pixel_synth.knowledge.screening import Screening

ROOT = knowledge_dir()
IDS = ("phq9", "gad7", "phq2", "gad2", "ipip_neo_120")
SOURCES = read_sources(ROOT)
PACKS = {id: read_pack(ROOT / "assessment" / f"{id}.yaml", SOURCES) for id in IDS}
ALL: dict[str, Instrument] = {id: pack.entries[0] for id, pack in PACKS.items()}  # type: ignore[misc]
PHQ9, GAD7, IPIP = ALL["phq9"], ALL["gad7"], ALL["ipip_neo_120"]
SCREENS = [ALL[id] for id in IDS[:4]]
NINE = [item.id for item in PHQ9.items if not item.optional]


def phq9(*points: float | None) -> Result:
    return score(PHQ9, dict(zip(NINE, points, strict=True)))


def raised(result: Result) -> dict[str, bool | None]:
    return {f.flag: f.raised for f in result.flags}


def changed(instrument: Instrument, **update: Any) -> Instrument:
    return Instrument.model_validate(instrument.model_dump() | update)


def total_of(instrument: Instrument, value: int) -> Result:
    """Score answers whose sum is ``value``, filled up from the first item."""
    left, answers = value, {}
    for item in members(instrument, instrument.scales[0]):
        answers[item.id] = min(3, left)
        left -= min(3, left)
    assert left == 0
    return score(instrument, answers)


def patterns(instrument: Instrument, blanks: bool = False) -> st.SearchStrategy[dict[str, float | None]]:
    def points(item: Any) -> st.SearchStrategy[float | None]:
        given = [o.points for o in options(instrument, item)]
        return st.sampled_from([*given, None] if blanks else given)

    return st.fixed_dictionaries({item.id: points(item) for item in instrument.items})


def same(points: float) -> Answers:
    return {item.id: points for item in IPIP.items}


def leaning(high: set[str], low: set[str]) -> Answers:
    """Answer as far as possible towards the high or the low end of the named domains, in the middle elsewhere."""
    answers = {item.id: 3.0 for item in IPIP.items}
    for scale in IPIP.scales[:5]:
        for item in members(IPIP, scale) if scale.id in high | low else ():
            answers[item.id] = 5.0 if (scale.id in high) != item.reverse else 1.0
    return answers


def pattern(line: str) -> re.Pattern[str]:
    """Return a pattern of all that a talk line can say."""

    def walk(seq: Seq) -> Iterator[str]:
        for node in seq:
            if isinstance(node, Choice):
                yield "(?:" + "|".join("".join(walk(option)) for option in node.options) + ")"
            else:
                yield ".+" if isinstance(node, Slot) else re.escape(node)

    return re.compile("".join(walk(parse(line))), re.IGNORECASE)


def heard(done: Screening, instrument: Instrument) -> dict[str, float | None]:
    """Read the answers back from nothing but the words of the client."""
    items = {item.id: item for item in instrument.items}
    found: dict[str, float | None] = {}
    for message, turn in zip(done.messages, done.turns, strict=True):
        if turn.act == "decline":
            found[turn.move] = None
        elif turn.act == "answer":
            assert message.role == "user"
            points = {o.points for o in options(instrument, items[turn.move]) for s in o.says if pattern(s).fullmatch(message.content)}
            (found[turn.move],) = points
    return found
