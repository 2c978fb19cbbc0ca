"""Tables of a report: typed columns and rows of plain values, and the one place where values become text."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from pixel_synth.records import Record

Kind = Literal["text", "count", "share", "points", "number"]
WIDTH = 24
MISSING = "–"


class Column(Record):
    """A column: its name, and how its values are shown."""

    name: str
    kind: Kind = "text"


class Table(Record):
    """Rows under a title; ``bar`` names the column that is drawn as bars, ``""`` = none."""

    id: str
    title: str
    note: str = ""
    columns: tuple[Column, ...]
    rows: tuple[tuple[Any, ...], ...]
    bar: str = ""

    @property
    def bars(self) -> tuple[float, ...]:
        """The lengths of the bars, 0-1: a share as it is, anything else against the largest."""
        if not self.bar:
            return ()
        at = next(i for i, c in enumerate(self.columns) if c.name == self.bar)
        values = [float(row[at] or 0) for row in self.rows]
        most = 1.0 if self.columns[at].kind == "share" else max(values, default=0.0) or 1.0
        return tuple(min(1.0, max(0.0, v / most)) for v in values)


def table(id: str, title: str, columns: str, rows: Iterable[Iterable[Any]], *, note: str = "", bar: str = "") -> Table:
    """Make a table; ``columns`` are names with their kind, as ``"source, records:count"``.  Floats are rounded to 4 digits."""
    named = [c.strip().rpartition(":") if ":" in c else (c.strip(), "", "text") for c in columns.split(",")]
    data = tuple(tuple(round(v, 4) if isinstance(v, float) else v for v in row) for row in rows)
    return Table(id=id, title=title, note=note, bar=bar, rows=data, columns=tuple(Column(name=n, kind=k) for n, _, k in named))


def shown(value: Any, kind: str) -> str:
    """Return a value as people read it."""
    if value is None:
        return MISSING
    if kind == "count":
        return f"{value:,}"
    if kind == "share":
        return f"{value:.1%}"
    if kind == "points":
        return f"{100 * value:+.1f} points"
    return f"{value:.3f}" if kind == "number" else str(value)


def drawn(length: float) -> str:
    """Return a bar of text."""
    full = round(length * WIDTH)
    return "█" * full + "·" * (WIDTH - full)
