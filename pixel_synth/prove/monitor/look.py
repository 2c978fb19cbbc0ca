"""What `pixel-synth monitor` looks at: windows of runs and files, each compared with the baseline's window of the same stage."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from pixel_synth.errors import UsageError
from pixel_synth.prove.monitor.drift import Limits
from pixel_synth.prove.monitor.store import Window, load
from pixel_synth.prove.monitor.watch import Seen, Watch

ONCE, LASTING = (1, 1), (2, 3)  # windows that have to differ: of whole stages, and of sequences


class Options(NamedTuple):
    """How windows are compared; ``persist`` is by kind of window when ``None``."""

    limits: Limits
    metrics: tuple[str, ...] = ()
    persist: tuple[int, int] | None = None


class Watches:
    """One `Watch` for each stage; a stage that the baseline does not have is compared with the baseline's last one."""

    def __init__(self, baseline: Sequence[Window], options: Options) -> None:
        if not baseline:
            raise UsageError("the baseline has no points", hint="name a run directory that was measured, or a JSONL file of records")
        self._baseline, self._options = baseline, options
        self._watches: dict[str, Watch] = {}

    def see(self, window: Window) -> Seen:
        """Compare a window."""
        if window.stage not in self._watches:
            base = next((w for w in self._baseline if w.stage == window.stage), self._baseline[-1])
            need, of = self._options.persist or (LASTING if window.window else ONCE)
            self._watches[window.stage] = Watch(base, self._options.limits, need, of, self._options.metrics)
        return self._watches[window.stage].see(window)


class Look(NamedTuple):
    """The windows of one path, and what was found in those that were compared."""

    path: Path
    windows: tuple[Window, ...]
    seen: tuple[Seen, ...]


def look(paths: Iterable[Path], baseline: Path | None, size: int, options: Options) -> list[Look]:
    """Read runs and files, and compare their windows in order.

    Args:
        paths: Run directories, or JSONL files of records, oldest first.
        baseline: What they are compared with.  Without one nothing is compared, unless there is a ``size``: then with each path's
            first window.
        size: Records per window; 0 takes each stage as one window.
        options: How windows are compared.

    Raises:
        RecordError: When a path has nothing to measure.
        UsageError: When the baseline has nothing, or none of the scores asked for is there.
    """
    base = load(baseline) if baseline else None
    watches = Watches(base, options) if base is not None else None
    found = []
    for path in paths:
        windows = load(path, size)
        _checked(windows, options.metrics, path)
        mine = watches or (Watches(windows[:1], options) if size and len(windows) > 1 else None)
        compared = windows if watches else windows[1:]
        found.append(Look(path, tuple(windows), tuple(mine.see(w) for w in compared) if mine else ()))
    return found


def _checked(windows: Sequence[Window], metrics: Sequence[str], path: Path) -> None:
    there = {p.metric for w in windows for p in w.points}
    if not there:
        raise UsageError(f"{path}: no record has a score", hint="pixel-synth score FILE -o SCORED")
    if unknown := sorted(set(metrics) - there):
        raise UsageError(f"{path}: no score {', '.join(unknown)}", hint=f"one of {', '.join(sorted(there))}")
