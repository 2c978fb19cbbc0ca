"""The lines of files, read by batches and worked on by several processes; results come back in the order of the lines."""

from __future__ import annotations

import gzip
import multiprocessing
import os
import threading
import zlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import IO, NamedTuple, TypeVar

from pixel_synth.errors import RecordError, RunError
from pixel_synth.jsonl import MAX_LINE_BYTES

T = TypeVar("T")
BATCH_LINES, BATCH_BYTES = 1000, 4 * 2**20
WORTH_BYTES = 64 * 2**20  # below this much text further processes cost more than they save


class Batch(NamedTuple):
    """Lines of one file: each with its 1-based number; the text ends with a newline but for the last one of a file."""

    file: int
    numbers: list[int]
    lines: list[bytes]


def _open(path: Path) -> IO[bytes]:
    return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")  # type: ignore[return-value]


def lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield the number and the bytes of every line that is not empty; of one that is too long only the first `MAX_LINE_BYTES` + 1.

    Raises:
        RecordError: When the file is not there, cannot be read, or is a damaged gzip.
    """
    number = 0
    try:
        with _open(path) as file:
            while line := file.readline(MAX_LINE_BYTES + 1):
                number += 1
                rest = line
                while len(line) > MAX_LINE_BYTES and rest and not rest.endswith(b"\n"):
                    rest = file.readline(MAX_LINE_BYTES)
                if line.strip():
                    yield number, line
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise RecordError(f"{path}: damaged gzip after line {number}: {error}") from error
    except OSError as error:
        raise RecordError(f"cannot read {path}: {error.strerror or error}") from error


def batches(paths: Sequence[Path]) -> Iterator[Batch]:
    """Yield the lines of all files in order, bounded in number and bytes."""
    for file, path in enumerate(paths):
        numbers, held, size = list[int](), list[bytes](), 0
        for number, line in lines(path):
            numbers.append(number)
            held.append(line)
            size += len(line)
            if len(held) == BATCH_LINES or size >= BATCH_BYTES:
                yield Batch(file, numbers, held)
                numbers, held, size = [], [], 0
        if held:
            yield Batch(file, numbers, held)


def processes(paths: Sequence[Path], workers: int) -> int:
    """Return how many processes to use: as many as asked for, 0 = one per core (at most 8), one where there is little to do."""
    size = sum(p.stat().st_size for p in paths if p.is_file())
    return workers or (min(os.cpu_count() or 1, 8) if size >= WORTH_BYTES else 1)


def _end_with_parent() -> None:
    """End this process when the one that started it is gone, however it went."""
    parent = multiprocessing.parent_process()
    if parent is not None:

        def wait() -> None:
            parent.join()
            os._exit(1)

        threading.Thread(target=wait, daemon=True).start()


def each(work: Callable[[Sequence[bytes], int], T], paths: Sequence[Path], seed: int, workers: int) -> Iterator[tuple[Batch, T]]:
    """Yield every batch with what ``work`` makes of its lines; a few batches per process are under way at a time.

    Raises:
        RecordError: When a file cannot be read.
        RunError: When a process dies.
    """
    if workers == 1:
        yield from ((batch, work(batch.lines, seed)) for batch in batches(paths))
        return
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), initializer=_end_with_parent) as pool:
        waiting = deque[tuple[Batch, "Future[T]"]]()
        try:
            for batch in batches(paths):
                waiting.append((batch, pool.submit(work, batch.lines, seed)))
                if len(waiting) > 2 * workers:
                    first, done = waiting.popleft()
                    yield first, done.result()
            while waiting:
                first, done = waiting.popleft()
                yield first, done.result()
        except BrokenProcessPool as error:
            raise RunError("a process of the de-duplication died", hint="is there enough memory? --workers 1 takes the least") from error
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
