"""Rebuild the dataset of a run from its plan and its ledger alone, without any engine, and compare it byte for byte."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from functools import lru_cache
from pathlib import Path
from typing import IO, NamedTuple

from pixel_synth.errors import RunError
from pixel_synth.knowledge import load
from pixel_synth.plan import Plan, make_plan
from pixel_synth.records import Outcome
from pixel_synth.runs import anchoring
from pixel_synth.runs.chain import fill_slot
from pixel_synth.runs.directory import Position, Run, content_hash
from pixel_synth.runs.finish import finish
from pixel_synth.runs.recall import recalling, stored

Progress = Callable[[int, int], None]
CHUNK = 64  # most slots that a worker takes at once


class Slot(NamedTuple):
    """A slot to be filled again; ``left`` when the run left it before it was filled."""

    number: int
    at: Position
    left: bool


class Filled(NamedTuple):
    """What came of a slot: whether it is as the run has it, and the call that the ledger does not have, or ""."""

    slot: int
    accepted: bool
    same: bool
    missing: str


class Replayed(NamedTuple):
    """What a replay found: files of both manifests, those that differ, slots that came out otherwise, and slots with calls missing."""

    files: int
    differing: tuple[str, ...]
    changed: tuple[int, ...]
    missing: tuple[int, ...]


def replay(run: Run, target: Path, progress: Progress, slots: Sequence[Slot], workers: int = 0) -> Replayed:
    """Fill every slot of a run again in a new run directory, finish it, and compare the manifests.

    Args:
        run: A run that has ended; nothing in it is written.
        target: Folder of the rebuilt run: empty, or not there.
        progress: Called with (slots done, slots accepted).
        slots: What `slots_of` found in the run.
        workers: Processes; 0 = one per core.

    Raises:
        RunError: When the run has not ended, its ledger or links are not there, or packs, prompts or toolkit have changed.
    """
    before = _manifest(run)
    _check(run)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise RunError(f"{target} is not empty", hint="give a folder that is not there yet")
    target.mkdir(parents=True, exist_ok=True)
    rebuilt, plan = Run(target), make_plan(run.settings, load())
    rebuilt.save(run.info)
    rebuilt.keep_links(run.links)
    rebuilt.write_plan(plan)
    filled = _fill(run, target, progress, slots, workers or os.cpu_count() or 1)
    with closing(stored(run.path)) as ledger:
        anchoring.again(run, rebuilt, recalling(run.links, ledger))
    finish(rebuilt, plan)
    after = _manifest(rebuilt)
    names = sorted(before.keys() | after.keys())
    return Replayed(
        len(names),
        tuple(name for name in names if before.get(name) != after.get(name)),
        tuple(f.slot for f in filled if not f.same),
        tuple(f.slot for f in filled if f.missing),
    )


def slots_of(run: Run) -> list[Slot]:
    """Return every slot that has an outcome, in order.

    Raises:
        RunError: When there is none.
    """
    finished = run.positions()
    begun = run.positions(stopped=True)
    if not begun:
        raise RunError(f"{run.path} has no outcome of any slot", hint=f"--resume {run.path}")
    return [Slot(number, at, number not in finished) for number, at in sorted(begun.items())]


def _manifest(run: Run) -> dict[str, object]:
    path = run.path / "manifest.json"
    if not path.is_file():
        raise RunError(f"{run.path} has no manifest.json: the run has not ended", hint=f"--resume {run.path}")
    files: dict[str, object] = json.loads(path.read_text(encoding="utf-8"))["files"]
    return files


def _check(run: Run) -> None:
    """See that the run can be replayed here."""
    if run.info["content"] != content_hash():
        raise RunError(
            f"{run.path}: packs, prompts or the toolkit changed since this run began; they would make other calls",
            hint="go back to that version",
        )
    if any((run.path / "branches").glob("*.sqlite")):
        raise RunError(f"{run.path}: answers of its workers are not gathered yet", hint=f"--resume {run.path}")
    _ = run.links
    stored(run.path).close()


def _fill(run: Run, target: Path, progress: Progress, slots: Sequence[Slot], workers: int) -> list[Filled]:
    size = max(1, min(CHUNK, len(slots) // (workers * 4)))
    chunks = [slots[i : i + size] for i in range(0, len(slots), size)]
    filled: list[Filled] = []
    progress(0, 0)
    try:
        for some in _filled(run.path, target, chunks, min(workers, len(chunks))):
            filled += some
            progress(len(filled), sum(f.accepted for f in filled))
    except sqlite3.Error as error:
        raise RunError(f"{run.path / 'ledger.sqlite'} cannot be read: {error}", hint="copy it from where the run was made") from error
    return sorted(filled)


def _filled(source: Path, target: Path, chunks: Sequence[Sequence[Slot]], workers: int) -> Iterator[list[Filled]]:
    """Yield what became of each chunk, in any order; one worker is this process itself."""
    if workers == 1:
        with closing(Filler(source, target)) as filler:
            yield from map(filler.fill, chunks)
        return
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        waiting = [pool.submit(_fill_chunk, source, target, chunk) for chunk in chunks]
        try:
            for done in as_completed(waiting):
                yield done.result()
        except BrokenProcessPool as error:
            raise RunError("a process of the replay died", hint="is there enough memory and disk?") from error
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


class Filler:
    """Fills slots in one process, and appends their outcomes to a shard of its own."""

    def __init__(self, source: Path, target: Path) -> None:
        run = Run.open(source)
        self._settings, self._gate = run.settings, run.gate
        self._plan: Plan = make_plan(run.settings, load())
        self._ledger = stored(source)
        self._asker = recalling(run.links, self._ledger)
        self._shard: IO[bytes] = Run(target).new_shard()

    def fill(self, slots: Sequence[Slot]) -> list[Filled]:
        """Fill some slots from the ledger."""
        return [self._one(slot) for slot in slots]

    def close(self) -> None:
        """Close ledger and shard."""
        self._ledger.close()
        self._shard.close()

    def _one(self, slot: Slot) -> Filled:
        with slot.at.path.open("rb") as file:
            file.seek(slot.at.start)
            line = file.read(slot.at.size)
        outcome = asyncio.run(fill_slot(self._plan, slot.number, self._asker, self._settings, self._gate))
        if slot.left:
            return self._left(Outcome.model_validate_json(line), outcome)
        same = outcome.line().encode() + b"\n" == line
        self._keep(outcome)
        return Filled(slot.number, outcome.accepted, same, outcome.stopped)

    def _left(self, was: Outcome, outcome: Outcome) -> Filled:
        """Keep as many attempts of a slot as the run has: its ledger may know more of them, from a start that was killed."""
        n = len(was.attempts)
        again = Outcome(slot=was.slot, accepted=False, stopped=was.stopped, attempts=outcome.attempts[:n])
        self._keep(again)
        return Filled(was.slot, False, again.attempts == was.attempts, outcome.stopped if len(again.attempts) < n else "")

    def _keep(self, outcome: Outcome) -> None:
        if outcome.attempts:  # as in a run, a slot that was left in its first attempt is in no book
            self._shard.write(outcome.line().encode() + b"\n")
            self._shard.flush()


@lru_cache(maxsize=1)
def _filler(source: Path, target: Path) -> Filler:
    return Filler(source, target)  # open as long as its process


def _fill_chunk(source: Path, target: Path, slots: Sequence[Slot]) -> list[Filled]:
    return _filler(source, target).fill(slots)


def gone_on(run: Run) -> bool:
    """Return whether a run seems to have been gone on with since its dataset was written, and not to have ended."""
    shards = (run.path / "shards").glob("*.jsonl")
    return max(p.stat().st_mtime_ns for p in shards) > (run.path / "manifest.json").stat().st_mtime_ns


def named(slots: Sequence[int], most: int = 5) -> str:
    """Return a count of slots with the first few of them."""
    return f"{len(slots)} slot{'s' if len(slots) != 1 else ''} ({', '.join(map(str, slots[:most]))}{', …' if len(slots) > most else ''})"
