"""Where the answers to an instrument come from: a file, a person at the terminal, or a seeded draw of a given severity."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Literal, get_args

from pixel_synth.draw import Draw
from pixel_synth.errors import UsageError
from pixel_synth.knowledge.assess import keyed, members, options, score, span
from pixel_synth.knowledge.models import Instrument, Item, Scale

Severity = Literal["none", "mild", "moderate", "severe"]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)
# How readily an item about safety is raised, relative to the other items.
URGENT_WEIGHT = {"none": 0.0, "mild": 0.0, "moderate": 0.3, "severe": 0.6}
BLANK = {"", "-", "na", "n/a", "none", "null"}


class _Pairs(list[tuple[str, object]]):
    """The pairs of a JSON object, repeated keys included."""


def read_answers(text: str, where: str) -> dict[str, float | None]:
    """Read answers: a JSON object of points by item, or CSV rows ``item,points`` (a head row is allowed, blank points: unanswered).

    Raises:
        UsageError: With the place of what cannot be read.
    """
    found: dict[str, float | None] = {}
    if text.lstrip().startswith(("{", "[")):
        try:
            data = json.loads(text, object_pairs_hook=_Pairs)
        except ValueError as error:
            raise UsageError(f"{where}: not valid JSON: {error}") from error
        if not isinstance(data, _Pairs):
            raise UsageError(f"{where}: must be an object of points by item id")
        rows: list[tuple[str, object, str]] = [(item, points, where) for item, points in data]
    else:
        rows = []
        for n, row in enumerate(csv.reader(text.splitlines()), 1):
            if not row or (n == 1 and row[0].strip().lower() in ("item", "id")):
                continue
            if len(row) != 2:
                raise UsageError(f"{where}:{n}: a row is item,points, not {','.join(row)!r}")
            rows.append((row[0].strip(), row[1], f"{where}:{n}"))
    for item, points, place in rows:
        if item in found:
            raise UsageError(f"{place}: item {item} is answered twice")
        found[item] = _points(item, points, place)
    if not found:
        raise UsageError(f"{where}: no answers")
    return found


def _points(item: str, value: object, place: str) -> float | None:
    if value is None or (isinstance(value, str) and value.strip().lower() in BLANK):
        return None
    try:
        if isinstance(value, bool):
            raise ValueError
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError) as error:
        raise UsageError(f"{place}: item {item}: {value!r} is no number") from error


def load_answers(path: str, stdin: Callable[[], str]) -> dict[str, float | None]:
    """Read answers from a file, or from standard input when the path is ``-``.

    Raises:
        UsageError: When the file cannot be read.
    """
    if path == "-":
        return read_answers(stdin(), "standard input")
    try:
        return read_answers(Path(path).read_text(encoding="utf-8-sig"), path)
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read: {error}") from error


def ask_answers(instrument: Instrument, read: Callable[[str], str], show: Callable[[str], None]) -> dict[str, float | None]:
    """Ask a person one item at a time; what is no answer of the item is refused and asked again, an empty line leaves it out.

    Raises:
        UsageError: When the input ends before the last item.
    """
    given: dict[str, float | None] = {}
    show(f"{instrument.name}, about {instrument.period}. Empty line: no answer.")
    for n, item in enumerate(instrument.items, 1):
        choices = options(instrument, item)
        show(f"\n{n}/{len(instrument.items)} {item.asks}")
        show("   " + "  ".join(f"{o.points:g} {o.label}" for o in choices))
        while True:
            try:
                line = read("> ").strip()
            except EOFError as error:
                raise UsageError(f"the input ended at item {item.id}") from error
            if not line or line in {f"{o.points:g}" for o in choices}:
                break
            show(f"   {line!r} is no answer here: {', '.join(f'{o.points:g}' for o in choices)}")
        given[item.id] = float(line) if line else None
    return given


def draw_answers(instrument: Instrument, severity: Severity | None, draw: Draw) -> dict[str, float]:
    """Draw answers whose main scale ends in the band of a severity (without one, and for inventories: anywhere).

    The main scale is the first that has bands, or the first.  Starting from the untroubled end, items are made one step worse
    in a drawn order until a target inside the band is met; items about safety only by chance, and never in a mild picture.

    Raises:
        UsageError: When an inventory of personality is given a severity.
    """
    if instrument.kind == "personality":
        if severity:
            raise UsageError(f"{instrument.id} is an inventory of personality and has no severity")
        return _inventory(instrument, draw)
    main = main_scale(instrument)
    wanted: Severity = draw.pick(SEVERITIES) if severity is None else severity
    low, high = target(instrument, main, wanted)
    steps = {item.id: _steps(instrument, item, main.worse) for item in instrument.items}
    at = dict.fromkeys(steps, 0)
    safety = {id for flag in instrument.flags if flag.urgent for id in flag.of}
    weight = URGENT_WEIGHT[wanted]
    bound = draw.between(int(low), int(high)) if high - low >= 2 else low

    def value() -> float:
        found = score(instrument, {id: steps[id][n] for id, n in at.items()}).of(main.id).value
        return (found if found is not None else 0.0) * (1 if main.worse == "high" else -1)

    counted = {item.id for item in members(instrument, main)}
    last = {id: len(s) - 1 for id, s in steps.items()}
    shut: set[str] = set()
    while value() < bound:
        free = [id for id in counted if at[id] < last[id] and id not in shut]
        free = sorted(id for id in free if id not in safety or weight) or sorted(free)
        if not free:
            break
        id = draw.weighted(free, [weight or 1.0 if i in safety else 1.0 for i in free])
        at[id] += 1
        if value() > high:
            at[id] -= 1
            shut.add(id)
    share = sum(at[id] for id in counted) / max(1, sum(last[id] for id in counted))
    for id in sorted(set(at) - counted - safety):
        at[id] = round(share * last[id])
    found: dict[str, float] = {}
    for item in instrument.items:
        # Once safety has come up, what is optional is left for another day.
        if not (item.optional and any(at[id] for id in safety & set(found))):
            found[item.id] = steps[item.id][at[item.id]]
    return found


def main_scale(instrument: Instrument) -> Scale:
    """Return the scale a severity is about: the first that has bands, or the first of all."""
    banded = {band.scale for band in instrument.bands}
    return next((s for s in instrument.scales if s.id in banded), instrument.scales[0])


def target(instrument: Instrument, scale: Scale, severity: Severity) -> tuple[float, float]:
    """Return the range of scale values that stands for a severity, negated where low is worse.

    The band whose label begins with the word of the severity; else bands, or quarters of the range, by their order from
    untroubled to worst.
    """
    low, high = span(instrument, scale)
    bands = [(b.low, b.high, b.label.lower()) for b in instrument.bands if b.scale == scale.id]
    named = [b for b in bands if b[2].split()[0].strip(",;:") == severity]
    ordered = sorted(bands, reverse=scale.worse == "low")
    at = SEVERITIES.index(severity)
    if named:
        low, high = named[0][:2]
    elif ordered:
        low, high = ordered[round(at * (len(ordered) - 1) / 3)][:2]
    else:
        width = (high - low) / 4
        edge = at if scale.worse == "high" else 3 - at
        low, high = low + edge * width, low + (edge + 1) * width
    return (low, high) if scale.worse == "high" else (-high, -low)


def _steps(instrument: Instrument, item: Item, worse: str) -> list[float]:
    """Return the points of an item from the untroubled answer to the worst."""
    points = sorted({o.points for o in options(instrument, item)}, key=lambda p: keyed(instrument, item, p))
    return points if worse == "high" else points[::-1]


def _inventory(instrument: Instrument, draw: Draw) -> dict[str, float]:
    """Draw a person: a place on each scale, and answers around the places of the item's scales (two draws averaged)."""
    place = {scale.id: (draw.below(1000) + draw.below(1000)) / 2000 for scale in instrument.scales}
    of = {scale.id: {item.id for item in members(instrument, scale)} for scale in instrument.scales}
    found: dict[str, float] = {}
    for item in instrument.items:
        mine = [place[id] for id, ids in of.items() if item.id in ids]
        steps = _steps(instrument, item, "high")
        middle = sum(mine) / len(mine) if mine else 0.5
        around = middle + (draw.below(1000) / 1000 - 0.5) * 0.5
        found[item.id] = steps[min(len(steps) - 1, max(0, int(around * len(steps))))]
    return found
