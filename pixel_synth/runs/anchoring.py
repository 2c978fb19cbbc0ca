"""The anchors in a run: judged once through its ledger, kept in ``anchors.json``, compared with the baseline beside the run.

The baseline of a rubric version and model lies in ``anchors/`` of the folder in which run directories are made.  The first run makes it;
who wants a new one deletes the file.  A run keeps the baseline it was compared with, so that its report is a function of its own files.
"""

from __future__ import annotations

import asyncio
from contextlib import closing

from pydantic import ValidationError

from pixel_synth.calibrate.anchors import Judged, Shift, digest, judge_anchor, judge_shift, judged, key, scorer_shifts, sessions
from pixel_synth.errors import RunError
from pixel_synth.judges.rubric import rubric
from pixel_synth.knowledge import Knowledge, load
from pixel_synth.llms.ask import Asker, Budget, Stopped
from pixel_synth.llms.connect import CHAINS, WINDOW, make_asker
from pixel_synth.llms.ledger import Ledger
from pixel_synth.records import Record
from pixel_synth.runs.directory import Run, write_atomic

FILE = "anchors.json"


class Compared(Record):
    """What a judge says of the anchors in this run, and what it is held against; ``None`` where this run is the baseline."""

    now: Judged
    baseline: Judged | None


class Anchored(Record):
    """All judges of a run."""

    judges: tuple[Compared, ...]


def missing(run: Run) -> bool:
    """Tell whether the anchors of a run have still to be judged."""
    return bool(run.settings.judges) and not (run.path / FILE).is_file()


def ensure(run: Run) -> None:
    """Judge the anchors of a run, unless that is done or the budget is used up."""
    if not missing(run) or run.stopped:
        return
    settings = run.settings
    with closing(Ledger(run.path / "ledger.sqlite")) as ledger:
        asker = make_asker(run.links, settings, ledger, Budget(ledger, settings.budget_tokens, run.until))
        try:
            found = asyncio.run(_closing(run, asker))
        except Stopped as stop:
            run.log("anchors", f"not judged: {stop.message}")
            return
    keep(run, found)
    run.log("anchors", "judged", anchors=len(sessions()), judges=len(found.judges))


async def _closing(run: Run, asker: Asker) -> Anchored:
    try:
        return await judge(run, asker, {})
    finally:
        await asker.close()


async def judge(run: Run, asker: Asker, known: dict[str, Judged | None]) -> Anchored:
    """Ask every judge model every rubric about every anchor.

    A judge without a baseline is asked ``anchor_samples`` times, which makes one, the others as often as about a session.

    Args:
        run: Whose judges.
        asker: Answers calls.
        known: Baselines by key (`Judged.key`) to be used instead of those beside the run.

    Raises:
        EngineDown: When no engine is left.
        Stopped: When nothing more may be asked.
    """
    settings, knowledge, found = run.settings, load(), []
    window = asyncio.Semaphore(settings.window or (WINDOW if run.links.judges[0].urls else CHAINS))
    for name in settings.judges:
        for link in run.links.judges:
            file = key(rubric(name).ref, link.model, digest())
            baseline = known[file] if file in known else _baseline(run, file)
            samples = settings.judge_samples if baseline else max(settings.judge_samples, settings.anchor_samples)

            async def one(at: int, name: str = name, model: str = link.model, samples: int = samples) -> tuple[float | None, ...]:
                async with window:
                    return await judge_anchor(name, model, sessions()[at], samples, asker, settings.repairs, knowledge)

            values = await asyncio.gather(*(one(at) for at in range(len(sessions()))))
            found.append(Compared(now=judged(name, link.model, values), baseline=baseline))
    return Anchored(judges=tuple(found))


def keep(run: Run, found: Anchored) -> None:
    """Write what was found, and after it the baselines that are new: a run is never held against itself, nor one against silence."""
    write_atomic(run.path / FILE, found.model_dump_json(indent=1) + "\n")
    for compared in found.judges:
        if compared.baseline is None and any(v is not None for v in compared.now.means(compared.now.samples).values()):
            write_atomic(run.path.parent / "anchors" / f"{compared.now.key}.json", compared.now.model_dump_json(indent=1) + "\n")


def _baseline(run: Run, name: str) -> Judged | None:
    path = run.path.parent / "anchors" / f"{name}.json"
    try:
        return Judged.model_validate_json(path.read_text(encoding="utf-8")) if path.is_file() else None
    except ValidationError as error:
        raise RunError(f"{path} is no baseline: {error.errors()[0]['msg']}", hint="delete it; this run then makes a new one") from error


def again(run: Run, rebuilt: Run, asker: Asker) -> None:
    """Rebuild the file in a replay: answers from the ledger, baselines as the run had them."""
    if not (run.path / FILE).is_file():
        return
    known = {compared.now.key: compared.baseline for compared in _stored(run).judges}
    write_atomic(rebuilt.path / FILE, asyncio.run(judge(rebuilt, asker, known)).model_dump_json(indent=1) + "\n")


def _stored(run: Run) -> Anchored:
    return Anchored.model_validate_json((run.path / FILE).read_text(encoding="utf-8"))


def shifts(run: Run, knowledge: Knowledge) -> tuple[Shift, ...]:
    """Return how far every scorer and every judge of the run has moved on the anchors."""
    found = scorer_shifts(knowledge)
    if (run.path / FILE).is_file():
        return found + tuple(judge_shift(compared.now, compared.baseline) for compared in _stored(run).judges)
    return found + tuple(Shift(metric=f"judge.{name}", note="the anchors were not judged") for name in run.settings.judges)
