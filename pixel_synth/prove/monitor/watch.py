"""Windows one after the other against a baseline: when several in a row say the same, or a score creeps down, that is an alert.

One window that differs may be a streak of alike records, so that ``need`` of the last ``of`` windows have to.  A drop too gradual for that
is found by a cumulative sum (Page, 1954, Biometrika 41, 100-115) of the window means below the baseline.  Its reference value is half the
smallest shift that counts (`Limits.shift`), so that a smaller one never adds up; its limit is set by Siegmund's approximation of the
average run length (Siegmund, 1985, Sequential Analysis, eq. 2.57) so that over all scores and slices together one false alarm is due in
``1 / alpha`` windows.  The baseline's mean is taken at the lower end of its 95 % interval: what is not known of it is no drop.  One window
adds at most a part ``1 / of`` of the limit, so that a single bad one does not pass it (winsorising: Hawkins & Olwell, 1998, Cumulative Sum
Charts, ch. 3).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from math import log, sqrt
from typing import Literal, NamedTuple

from pixel_synth.errors import UsageError
from pixel_synth.prove.monitor.alert import Alert
from pixel_synth.prove.monitor.drift import DESCRIPTIVE, SHARE, Finding, Limits, compare
from pixel_synth.prove.monitor.points import DIMENSIONS, Point
from pixel_synth.prove.monitor.store import Window, now
from pixel_synth.records import stable_id

Key = tuple[str, str, str]
Kind = Literal["drop", "drift", "gradual drop"]
RANK = {dimension: rank for rank, dimension in enumerate(("all", *DIMENSIONS))}  # in which alerts name slices
LEAST_LIMIT = 5.0  # so that it takes several windows, or one that is far off (the same, where 4 or 5 are advised)
LEAST_REFERENCE = 0.5  # of the cumulative sum, in standard errors (Montgomery, Introduction to Statistical Quality Control, ch. 9)


class Seen(NamedTuple):
    """What became of one window: its findings, worst first, and the alerts that it raised."""

    window: Window
    findings: tuple[Finding, ...]
    alerts: tuple[Alert, ...]


class Watch:
    """Compares windows with a baseline, and remembers the last ones.

    Args:
        baseline: What is compared with.
        limits: When a window differs.
        need: Windows that have to differ …
        of: … among so many.
        metrics: Scores to look at; all by default.

    Raises:
        UsageError: When ``need`` is not in 1..``of``.
    """

    def __init__(self, baseline: Window, limits: Limits | None = None, need: int = 2, of: int = 3, metrics: Sequence[str] = ()) -> None:
        if not 1 <= need <= of:
            raise UsageError(f"{need} of {of} windows: the first must be in 1..{of}", hint="--persist 2/3")
        self._limits, self._need, self._metrics = limits or Limits(), need, frozenset(metrics)
        self._baseline = self._chosen(baseline)
        self._known = {(p.dimension, p.value, p.metric): p for p in self._baseline.points}
        self._last: dict[Key, deque[bool]] = {}
        self._of = of
        self._raised: set[Key] = set()
        self._sums: dict[Key, float] = {}

    def see(self, window: Window) -> Seen:
        """Compare the next window."""
        window = self._chosen(window)
        findings = compare(self._baseline, window, self._limits)
        raised: dict[tuple[str, Kind], list[Finding]] = {}
        for finding in findings:
            if kind := self._lasting(finding):
                raised.setdefault((finding.metric, kind), []).append(finding)
        falling = self._falling(window.points)
        for finding in findings:
            if (finding.dimension, finding.value, finding.metric) in falling and (finding.metric, "drop") not in raised:
                raised.setdefault((finding.metric, "gradual drop"), []).append(finding)
        return Seen(window, findings, tuple(self._alert(window, metric, kind, found) for (metric, kind), found in raised.items()))

    def _chosen(self, window: Window) -> Window:
        if not self._metrics:
            return window
        return window._replace(points=tuple(p for p in window.points if p.metric in self._metrics))

    def _lasting(self, finding: Finding) -> Kind | None:
        """Return what the finding is when it has lasted for long enough and was not told before."""
        key = (finding.dimension, finding.value, finding.metric)
        kind: Kind | None = "drop" if finding.standing == "drop" else "drift" if finding.standing == "drift" else None
        last = self._last.setdefault(key, deque(maxlen=self._of))
        last.append(kind is not None)
        if sum(last) < self._need:
            self._raised.discard(key)
            return None
        if kind is None or key in self._raised:
            return None
        self._raised.add(key)
        return kind

    def _falling(self, points: Iterable[Point]) -> set[Key]:
        """Add a window's means to the cumulative sums, and return those that pass the limit; they begin anew."""
        due = [(p, b) for p in points if (b := self._known.get((p.dimension, p.value, p.metric))) and self._summed(p, b)]
        passed: set[Key] = set()
        for point, base in due:
            key = (point.dimension, point.value, point.metric)
            reference = max(LEAST_REFERENCE, self._limits.shift * sqrt(point.n) / 2)
            most = limit(reference, len(due) / self._limits.alpha)
            step = min(below(base, point) - reference, most / self._of)
            self._sums[key] = max(0.0, self._sums.get(key, 0.0) + step)
            if self._sums[key] > most:
                passed.add(key)
                self._sums[key] = 0.0
        return passed - self._raised

    def _summed(self, point: Point, base: Point) -> bool:
        enough = min(point.n, base.n) >= self._limits.least
        return enough and bool(base.sd) and point.metric not in (*DESCRIPTIVE, SHARE)

    def _alert(self, window: Window, metric: str, kind: Kind, found: Sequence[Finding]) -> Alert:
        ranked = sorted(found, key=lambda f: RANK[f.dimension])
        worst = ranked[0] if ranked[0].dimension == "all" else found[0]
        slices = tuple(f.slice for f in ranked)
        return Alert(
            id=stable_id(self._baseline.name, window.name, metric, kind), at=now(),
            run=window.run, stage=window.stage, window=window.window, kind=kind, metric=metric, slices=slices,
            text=told(window, metric, kind, slices, worst), baseline=self._baseline.name, worst=worst,
        )  # fmt: skip


def below(base: Point, point: Point) -> float:
    """Return by how many standard errors a window's mean lies below the lower end of the baseline mean's 95 % interval."""
    if base.mean is None or not base.sd or point.mean is None:
        return 0.0
    return (base.mean - 1.96 * base.sd / sqrt(base.n) - point.mean) / (base.sd / sqrt(point.n))


def limit(reference: float, run_length: float) -> float:
    """Return the limit of a cumulative sum under which a false alarm is due every ``run_length`` windows.

    Siegmund's approximation ``(exp(2 k b) - 2 k b - 1) / (2 k^2)`` with ``b = h + 1.166`` solved for h with its largest term alone,
    which errs towards a higher limit by less than 0.1 for run lengths above 100.
    """
    return max(LEAST_LIMIT, log(2 * reference**2 * run_length + 1) / (2 * reference) - 1.166)


def told(window: Window, metric: str, kind: Kind, slices: Sequence[str], f: Finding) -> str:
    """Return an alert as one sentence with its figures."""
    where = ", ".join(slices[:4]) + (f" and {len(slices) - 4} more" if len(slices) > 4 else "")
    if metric == SHARE:
        return f"{window.name}: shares by {f.dimension} drift: PSI {f.psi or 0:.2f}, q {f.q or 0:.1g}; n {f.n:,} against {f.base_n:,}"
    figures = [f"mean {f.base_mean:.3f} → {f.mean:.3f}" if f.mean is not None and f.base_mean is not None else ""]
    figures += [f"{f.shift:+.2f} sd" if f.shift is not None else "", f"PSI {f.psi:.2f}" if f.psi is not None else ""]
    figures += [f"KS {f.distance:.2f}" if f.distance is not None else "", f"q {f.q:.1g}" if f.q is not None else ""]
    return f"{window.name}: {kind} of {metric} in {where}: {', '.join(x for x in figures if x)}; n {f.n:,} against {f.base_n:,}"
