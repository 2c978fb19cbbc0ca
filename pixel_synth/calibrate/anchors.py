"""Anchors: a fixed set of sessions that is scored and judged again in every run, so that a yardstick that moved is seen.

``calibration/anchors/sessions.jsonl`` holds twelve short sessions written for this purpose, from poor to excellent, one with risk met
and one with risk missed.  What is compared is the mean over the anchors that have a value both times:

* scorers: exact.  ``calibration/anchors/METRIC.json`` holds their values; they are deterministic, so any difference on any
  anchor is a change of code.
* judges: the user's own baseline, made by the first run with this rubric version and model, of several samples an anchor.  Their
  variance s² within an anchor gives the interval of a shift that sampling alone explains: with n anchors and m samples each time,
  0 ± Z·√(2s²/(mn)), the normal interval of a difference of two means (e.g. Altman, 1991, "Practical statistics for medical
  research", ch. 9).  Anchors are the same both times, so how much they differ from each other does not enter.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from math import sqrt
from pathlib import Path
from statistics import fmean, variance

from pixel_synth.calibrate.card import calibration_dir
from pixel_synth.errors import RecordError
from pixel_synth.jsonl import conversations
from pixel_synth.judges.panel import addressed
from pixel_synth.judges.rubric import rubric
from pixel_synth.judges.session import judge_session
from pixel_synth.knowledge import Knowledge
from pixel_synth.records import Conversation, PromptRef, Record, stable_id
from pixel_synth.scorers import METRICS, score_all
from pixel_synth.tasks.context import Ask

# Two-sided 99%: every run looks at each rubric and model, and at 95% one look in twenty would cry wolf.
Z = 2.576
EXACT = 1e-6  # values of scorers that differ by less are the same


class Judged(Record):
    """What one model answered to one rubric about the anchors: per anchor a value for each sample."""

    rubric: PromptRef
    model: str
    anchors: str
    values: dict[str, tuple[float | None, ...]]

    @property
    def key(self) -> str:
        """Name of a baseline: other rubric versions, models and anchors have another one."""
        return key(self.rubric, self.model, self.anchors)

    def means(self, most: int) -> dict[str, float | None]:
        """Return the mean value of each anchor over its first samples, at most ``most``."""
        scored = {id: [v for v in values[:most] if v is not None] for id, values in self.values.items()}
        return {id: fmean(values) if values else None for id, values in scored.items()}

    @property
    def samples(self) -> int:
        """How often each anchor was judged."""
        return max((len(values) for values in self.values.values()), default=0)

    @property
    def within(self) -> float | None:
        """Variance of the samples of an anchor, averaged over the anchors; ``None`` where no anchor has two values."""
        several = [[v for v in values if v is not None] for values in self.values.values()]
        found = [variance(values) for values in several if len(values) > 1]
        return fmean(found) if found else None


def key(rubric: PromptRef, model: str, anchors: str) -> str:
    """Return the name of a baseline (see `Judged.key`)."""
    return f"{rubric.name.rpartition('/')[2]}-{stable_id(rubric.sha256, model, anchors)[:8]}"


class Shift(Record):
    """How far a metric has moved on the anchors.

    ``shift`` is the mean of now minus then over the ``n`` anchors that have a value both times, ``limit`` the largest shift either way
    that is no alert; both are ``None`` where they cannot be had, and ``note`` says why.  ``lost`` anchors have no value any more.
    """

    metric: str
    model: str = ""
    n: int = 0
    lost: int = 0
    then: float | None = None
    now: float | None = None
    shift: float | None = None
    limit: float | None = None
    alert: str = ""
    note: str = ""


@lru_cache(maxsize=4)
def _sessions(path: Path) -> tuple[Conversation, ...]:
    return tuple(conversations(path))


def sessions() -> tuple[Conversation, ...]:
    """Return the anchors.

    Raises:
        RecordError: When the file is missing or damaged.
    """
    return _sessions(calibration_dir() / "anchors" / "sessions.jsonl")


def digest() -> str:
    """Return a hash of the anchors' text."""
    return stable_id(*(m.content for c in sessions() for m in c.messages))


# ---------------------------------------------------------------------------------------------- scorers


def scored(knowledge: Knowledge) -> dict[str, dict[str, float | None]]:
    """Return the value of each scorer (metric → anchor → value)."""
    found: dict[str, dict[str, float | None]] = {metric: {} for metric in METRICS}
    for conversation in sessions():
        for score in score_all(conversation, knowledge):
            found[score.metric][conversation.id] = score.value
    return found


def write_expected(knowledge: Knowledge, folder: Path) -> list[Path]:
    """Write what the scorers say today as what they are expected to say; return the files."""
    written = []
    for metric, values in scored(knowledge).items():
        known = [v for v in values.values() if v is not None]
        data = {"metric": metric, "anchors": digest(), "mean": fmean(known) if known else None, "values": values}
        path = folder / f"{metric}.json"
        path.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
        written.append(path)
    return written


def scorer_shifts(knowledge: Knowledge) -> tuple[Shift, ...]:
    """Hold every scorer against its expected values."""
    return tuple(_scorer_shift(metric, values) for metric, values in scored(knowledge).items())


def _scorer_shift(metric: str, now: Mapping[str, float | None]) -> Shift:
    path = calibration_dir() / "anchors" / f"{metric}.json"
    if not path.is_file():
        return Shift(metric=metric, note=f"no expected values in {path.name}: pixel-synth anchors --write")
    try:
        then: dict[str, float | None] = json.loads(path.read_text(encoding="utf-8"))["values"]
    except (ValueError, KeyError, TypeError) as error:
        raise RecordError(f"{path} is damaged: {error!r}", hint="restore it, or pixel-synth anchors --write") from error
    moved = [id for id in {**then, **now} if not _same(then.get(id), now.get(id))]
    found = _compared(metric, "", then, now)
    alert = f"{metric} changed on {len(moved)} of {len(now)} anchors ({', '.join(moved[:3])}{', …' if len(moved) > 3 else ''})"
    return found.model_copy(update={"limit": 0.0, "alert": alert if moved else ""})


def _same(one: float | None, other: float | None) -> bool:
    return one is other if one is None or other is None else abs(one - other) < EXACT


def _compared(metric: str, model: str, then: Mapping[str, float | None], now: Mapping[str, float | None]) -> Shift:
    pairs = [(a, b) for id, a in then.items() if a is not None and (b := now.get(id)) is not None]
    lost = sum(a is not None and now.get(id) is None for id, a in then.items())
    if not pairs:
        return Shift(metric=metric, model=model, lost=lost, note="no anchor has a value both times")
    before, after = fmean(a for a, _ in pairs), fmean(b for _, b in pairs)
    return Shift(metric=metric, model=model, n=len(pairs), lost=lost, then=before, now=after, shift=fmean(b - a for a, b in pairs))


# ----------------------------------------------------------------------------------------------- judges


async def judge_anchor(
    name: str, model: str, session: Conversation, samples: int, ask: Ask, repairs: int, knowledge: Knowledge
) -> tuple[float | None, ...]:
    """Return what each sample of a judge model says of one anchor (``None`` = unscored); its calls are booked as "anchors"."""
    theirs = addressed(ask, model, booked="anchors")
    scores = [await judge_session(name, session, theirs, repairs, knowledge=knowledge, sample=n) for n in range(samples)]
    return tuple(score.value for score in scores)


def judged(name: str, model: str, values: Sequence[tuple[float | None, ...]]) -> Judged:
    """Put the values of all anchors, in their order, together with what they belong to."""
    by_id = {session.id: found for session, found in zip(sessions(), values, strict=True)}
    return Judged(rubric=rubric(name).ref, model=model, anchors=digest(), values=by_id)


def judge_shift(now: Judged, baseline: Judged | None) -> Shift:
    """Hold a judge against its baseline; ``None`` where this run makes one."""
    name = f"judge.{now.rubric.name.rpartition('/')[2]}"
    if baseline is None:
        means = [v for v in now.means(now.samples).values() if v is not None]
        mean = fmean(means) if means else None
        note = "this run is the baseline" if means else "no anchor was scored, so there is no baseline"
        return Shift(metric=name, model=now.model, n=len(means), now=mean, note=note)
    m = min(now.samples, baseline.samples)
    found = _compared(name, now.model, baseline.means(m), now.means(m))
    if found.shift is None:
        silent = "no anchor was scored this time" if found.lost else ""
        return found.model_copy(update={"alert": f"{name} ({now.model}): {silent}" if silent else ""})
    if baseline.within is None:
        return found.model_copy(update={"note": "the baseline has one sample an anchor, so no interval"})
    limit = Z * sqrt(2 * baseline.within / (m * found.n))
    moved = abs(found.shift) > limit + EXACT
    alert = f"{name} ({now.model}) moved by {found.shift:+.3f} on {found.n} anchors; sampling explains ±{limit:.3f}"
    return found.model_copy(update={"limit": limit, "alert": alert if moved else ""})
