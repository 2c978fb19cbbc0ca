"""Following a run in motion: new windows in its ``metrics.jsonl``, new alerts in its ``alerts.jsonl``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from pixel_synth.prove.monitor.alert import ALERTS, Alert, keep
from pixel_synth.prove.monitor.look import Watches
from pixel_synth.prove.monitor.points import Point, Shares
from pixel_synth.prove.monitor.store import METRICS, Window, parse, windows


class Tail:
    """Yields the whole lines that a growing file got since the last time; a file that became shorter is read anew."""

    def __init__(self, path: Path) -> None:
        self._path, self._offset = path, 0

    def lines(self) -> Iterator[bytes]:
        """Yield the new lines; nothing while the file is not there."""
        if not self._path.is_file():
            return
        if self._path.stat().st_size < self._offset:
            self._offset = 0
        with self._path.open("rb") as file:
            file.seek(self._offset)
            for line in file:
                if not line.endswith(b"\n"):
                    return
                self._offset += len(line)
                yield line


class News(NamedTuple):
    """What one look at a run brought: windows, alerts (its own, and those that others wrote), and those of them that are news to all."""

    windows: tuple[Window, ...]
    alerts: tuple[Alert, ...]
    new: tuple[Alert, ...]


class Follow:
    """Looks at a run directory again and again.

    Args:
        run_dir: The run directory; it need not be there yet.
        watches: What compares its windows; without it only the alerts that others write are told.
        write: Whether alerts that are raised here go to ``alerts.jsonl``.
    """

    def __init__(self, run_dir: Path, watches: Watches | None = None, *, write: bool = True) -> None:
        self._dir, self._watches, self._write = run_dir, watches, write
        self._metrics, self._alerts = Tail(run_dir / METRICS), Tail(run_dir / ALERTS)
        self._held: list[Point | Shares] = []
        self._first = True
        self._told: set[str] = set()

    def look(self, *, last: bool = False) -> News:
        """Return the news.

        The newest window is held back while the file grows, as its lines may still come, unless this look is the ``last``.
        """
        new = [found for line in self._metrics.lines() if (found := _point(line)) is not None]
        waiting = windows([*self._held, *new])
        done, growing = (waiting, []) if last or not new else (waiting[:-1], waiting[-1:])
        self._held = []
        for window in growing:
            self._held += [*window.points, *window.shares]
        news = self._news(done)
        self._first = False
        return news

    def _news(self, done: Sequence[Window]) -> News:
        raised = [alert for w in done for alert in self._watches.see(w).alerts] if self._watches else []
        mine = {a.id for a in (keep(self._dir, raised) if self._write else raised)}
        raised += [alert for line in self._alerts.lines() if (alert := _alert(line)) is not None]
        fresh = [a for a in {a.id: a for a in raised}.values() if a.id not in self._told]
        self._told |= {a.id for a in fresh}
        return News(tuple(done), tuple(fresh), tuple(a for a in fresh if a.id in mine or not self._first))


def _point(line: bytes) -> Point | Shares | None:
    try:
        return parse(line)
    except ValidationError:
        return None


def _alert(line: bytes) -> Alert | None:
    if b'"quality_alert"' not in line:
        return None
    try:
        return Alert.model_validate_json(line)
    except ValidationError:
        return None
