"""Stages of a dataset's run directory: each has a folder, is skipped when it is proven done, and says what it took.

A stage is done when its ``stage.json`` is there (written last) and its key is that of today: a hash of the stage's name, of what
decides its result, and of the files of the stages before it.  So a changed recipe, source or earlier stage makes exactly what rests
on it anew.  Its files are held against their hashes first: one that is gone or was changed since makes the stage anew as well.
"""

from __future__ import annotations

import hashlib
import json
import os
import resource
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import Field

from pixel_synth.books import Books
from pixel_synth.jsonl import sha256_of
from pixel_synth.records import Record
from pixel_synth.runs.directory import Run, write_atomic

STAGE = "stage.json"


class Took(NamedTuple):
    """What a stage took: seconds of wall clock and of CPU (with its processes), and the most memory of the process tree in MB."""

    wall_s: float
    cpu_s: float
    peak_mb: float


class Stage(Record):
    """What a finished stage says of itself."""

    name: str
    key: str
    books: Books
    outputs: dict[str, str]
    wall_s: float
    cpu_s: float
    peak_mb: float
    facts: dict[str, Any] = Field(default_factory=dict)


class Stages:
    """The stages of one run, in the order in which they are run."""

    def __init__(self, run: Run, say: Callable[[str], None]) -> None:
        self._run, self._say = run, say
        self.done: list[Stage] = []
        # Hash of all that the stages so far rest on and wrote.
        self.chain = hashlib.sha256(run.info["content"].encode()).hexdigest()

    def folder(self, name: str) -> Path:
        """Return the folder of a stage."""
        return self._run.path / "stages" / name

    def run(
        self, name: str, decides: Mapping[str, Any], work: Callable[[Path], tuple[Books, dict[str, Any]]], into: Path | None = None
    ) -> Stage:
        """Run a stage, or take it as it is when it is done.

        Args:
            name: Its folder below ``stages/``, with its number.
            decides: Whatever decides its result besides the stages before it, as JSON values.
            work: Writes the stage's files into a folder and returns its books and what else the report should know.
            into: The folder of its files, when that is not its own below ``stages/``.
        """
        text = json.dumps([name, self.chain, decides], sort_keys=True, default=str)
        key = hashlib.sha256(text.encode()).hexdigest()[:16]
        folder = self.folder(name)
        place, found = into or folder, kept(folder)
        changed = differing(place, found) if found and found.key == key else []
        if changed:
            self._say(f"{name:<16} made anew: changed or gone since it was done: {', '.join(changed)}")
        if found is None or found.key != key or changed:
            found = self._work(name, key, folder, place, work, resuming=_begun(folder) == key and not changed)
        else:
            self._say(f"{name:<16} done before: {found.books}")
        self.done.append(found)
        self.chain = hashlib.sha256(f"{self.chain}{key}{sorted(found.outputs.items())}".encode()).hexdigest()
        return found

    def _work(
        self, name: str, key: str, folder: Path, place: Path, work: Callable[[Path], tuple[Books, dict[str, Any]]], *, resuming: bool
    ) -> Stage:
        if not resuming:
            shutil.rmtree(folder, ignore_errors=True)
            shutil.rmtree(place, ignore_errors=True)
        for path in (folder, place):
            path.mkdir(parents=True, exist_ok=True)
        (folder / STAGE).unlink(missing_ok=True)
        write_atomic(folder / ".begun", key)
        self._run.log(name, "begins", resuming=resuming)
        with measured() as took:
            books, facts = work(place)
        files = [p for p in sorted(place.rglob("*")) if p.is_file() and not p.name.startswith(".")]
        outputs = {str(p.relative_to(place)): sha256_of(p) for p in files}
        stage = Stage(name=name, key=key, books=books, outputs=outputs, facts=facts, **took()._asdict())
        write_atomic(folder / STAGE, stage.model_dump_json(indent=2) + "\n")
        self._run.log(name, "done", **{"books": str(books), **took()._asdict()})
        self._say(f"{name:<16} {books}; {stage.wall_s:.1f} s, {stage.peak_mb:.0f} MB")
        return stage


def kept(folder: Path) -> Stage | None:
    """Return what a finished stage says of itself; ``None`` where it has not ended."""
    path = folder / STAGE
    return Stage.model_validate_json(path.read_text(encoding="utf-8")) if path.is_file() else None


def differing(place: Path, stage: Stage) -> list[str]:
    """Return the files of a finished stage that are gone or are not what it wrote."""
    return [file for file, digest in stage.outputs.items() if not (place / file).is_file() or sha256_of(place / file) != digest]


def _begun(folder: Path) -> str:
    path = folder / ".begun"
    return path.read_text(encoding="utf-8") if path.is_file() else ""


@contextmanager
def measured() -> Iterator[Callable[[], Took]]:
    """Measure what the body takes; the function given answers after it."""
    wall, cpu = time.monotonic(), _cpu_s()
    stop, peak = threading.Event(), [_memory_mb()]

    def watch() -> None:
        while not stop.wait(0.2):
            peak.append(max(peak.pop(), _memory_mb()))

    watching = threading.Thread(target=watch, daemon=True, name="memory")
    watching.start()
    end: list[Took] = []
    try:
        yield lambda: end[0]
    finally:
        stop.set()
        watching.join()
        end.append(Took(round(time.monotonic() - wall, 2), round(_cpu_s() - cpu, 2), round(peak[0], 1)))


def _cpu_s() -> float:
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(u.ru_utime + u.ru_stime for u in both)


def _memory_mb() -> float:
    """Return the resident memory of this process and its descendants, as far as the system tells."""
    total, waiting = 0.0, [os.getpid()]
    while waiting:
        pid = waiting.pop()
        try:
            status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
            tasks = list(Path(f"/proc/{pid}/task").iterdir())
            waiting += [int(child) for task in tasks for child in (task / "children").read_text(encoding="utf-8").split()]
        except OSError:
            continue
        total += next((float(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:")), 0.0)
    return total / 1024
