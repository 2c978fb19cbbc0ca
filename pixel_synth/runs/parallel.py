"""One piece of work for every record of a file, by several processes, in chunks that stay on disk: what is killed goes on at its chunk.

::

    FOLDER/.chunks/00012/{kept.jsonl, rejects.jsonl, …, books.json}     a finished chunk; books.json is written last
    FOLDER/kept.jsonl, rejects.jsonl, …                                 all chunks in order, when every one is there
    FOLDER/.spent/                                                      chunks on their way out, of no more use

The result does not depend on the number of processes or on what was interrupted: chunks are cut by the file, not by who works.
A process ends with its parent, however that ends, and one that dies ends the stage.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from pixel_synth.books import Books, Counting, Dropped, Reject
from pixel_synth.errors import RunError
from pixel_synth.jsonl import parsed, whole
from pixel_synth.records import Conversation

CHUNK = 500  # records
SPENT = ".spent"


class Worked(NamedTuple):
    """What became of one record, and lines for further files by name (``{"redactions": [...]}``)."""

    result: Conversation | Dropped
    beside: dict[str, list[str]]


Work = Callable[[Conversation], Worked]


class Task(NamedTuple):
    """What a process needs to know; ``make`` is called once in each, with ``options``, and gives the work."""

    stage: str
    make: Callable[..., Work]
    options: dict[str, object]
    beside: tuple[str, ...] = ()


_mine: list[tuple[Task, Work]] = []  # what `_begin` gave this process


def each(
    source: Path, folder: Path, task: Task, workers: int, progress: Callable[[int, int], None] | None = None, chunk: int = CHUNK
) -> Books:
    """Do the task's work for every record of ``source`` and return the books.

    Raises:
        RunError: When a process died; what it had finished stays, and the same call goes on.
    """
    parts = folder / ".chunks"
    shutil.rmtree(folder / SPENT, ignore_errors=True)
    parts.mkdir(parents=True, exist_ok=True)
    done = kept = 0
    books: dict[int, Books] = {}

    def finished(number: int, found: Books) -> None:
        nonlocal done, kept
        books[number] = found
        done, kept = done + found.taken, kept + found.kept
        if progress:
            progress(done, kept)

    todo = _chunks(source, chunk)
    if workers == 1:
        _begin(task, False)
        for number, lines in todo:
            finished(number, _kept(parts, number) or _chunk(parts, number, lines, str(source), number * chunk))
    else:
        _in_processes(todo, parts, task, workers, str(source), chunk, finished)
    total = sum((books[number] for number in sorted(books)), Books())
    _gather(parts, folder, len(books), ("kept", "rejects", *task.beside))
    return total


def _chunks(source: Path, size: int) -> Iterator[tuple[int, list[bytes]]]:
    with source.open("rb") as file:
        number = 0
        while lines := list(islice(file, size)):
            yield number, lines
            number += 1


def _in_processes(
    todo: Iterator[tuple[int, list[bytes]]], parts: Path, task: Task, workers: int, source: str, size: int,
    finished: Callable[[int, Books], None],
) -> None:  # fmt: skip
    waiting: dict[Future[Books], int] = {}
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), initializer=_begin, initargs=(task, True)) as pool:
        for number, lines in todo:
            if there := _kept(parts, number):
                finished(number, there)
                continue
            waiting[pool.submit(_chunk, parts, number, lines, source, number * size)] = number
            while len(waiting) >= 2 * workers:
                _collect(waiting, finished)
        while waiting:
            _collect(waiting, finished)


def _collect(waiting: dict[Future[Books], int], finished: Callable[[int, Books], None]) -> None:
    for future in wait(waiting, return_when=FIRST_COMPLETED).done:
        try:
            finished(waiting.pop(future), future.result())
        except BrokenProcessPool as error:
            raise RunError(
                "a process of this stage died (killed, or out of memory?)",
                hint="run the same again; finished chunks are kept; --workers 1 takes less",
            ) from error


def _begin(task: Task, child: bool) -> None:
    if child:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
        threading.Thread(target=_follow, daemon=True, name="die-with-parent").start()
    _mine[:] = [(task, task.make(**task.options))]


def _follow() -> None:
    parent = multiprocessing.parent_process()
    if parent:
        parent.join()
        os.kill(os.getpid(), signal.SIGKILL)


def _kept(parts: Path, number: int) -> Books | None:
    path = parts / f"{number:05d}" / "books.json"
    return Books.model_validate_json(path.read_text(encoding="utf-8")) if path.is_file() else None


def _chunk(parts: Path, number: int, lines: Sequence[bytes], source: str, first: int) -> Books:
    """Do one chunk in this process and write its folder."""
    ((task, work),) = _mine
    folder, counting = parts / f"{number:05d}", Counting()
    folder.mkdir(exist_ok=True)
    out: dict[str, list[str]] = {"kept": [], "rejects": [], **{name: [] for name in task.beside}}
    for at, line in enumerate(lines, first + 1):
        if not line.strip():
            continue
        row = parsed(at, line)
        if row.record is None:
            counting.fail("unreadable")
            out["rejects"].append(Reject(stage=task.stage, reason=row.error, file=source, row=at, text=row.text[:2000]).line())
            continue
        result, beside = work(row.record)
        for name, more in beside.items():
            out[name] += more
        if isinstance(result, Dropped):
            counting.reject(result.reason)
            out["rejects"].append(
                Reject(stage=task.stage, reason=result.reason, file=source, row=at, id=row.record.id, record=row.record).line()
            )
        else:
            counting.keep()
            out["kept"].append(result.line())
    for name, texts in out.items():
        with whole(folder / f"{name}.jsonl") as file:
            file.writelines(text + "\n" for text in texts)
    with whole(folder / "books.json") as file:
        file.write(counting.books.model_dump_json())
    return counting.books


def _gather(parts: Path, folder: Path, chunks: int, names: Sequence[str]) -> None:
    for name in names:
        with whole(folder / f"{name}.jsonl") as out:
            for number in range(chunks):
                with (parts / f"{number:05d}" / f"{name}.jsonl").open(encoding="utf-8") as part:
                    shutil.copyfileobj(part, out)
    os.replace(parts, folder / SPENT)  # at once, so that a kill leaves no chunk that says it is whole and has lost a file
    shutil.rmtree(folder / SPENT)
