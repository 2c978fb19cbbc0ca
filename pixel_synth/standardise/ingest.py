"""Read files of any known shape into one JSONL of records, with exact books, a rejects file and figures batch by batch.

Files are read in one process and batches of rows converted in several; results are written in the order of the rows, so that the output is
the same whatever the number of workers.
"""

from __future__ import annotations

import json
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from itertools import chain, islice
from multiprocessing import get_context
from pathlib import Path
from typing import IO, NamedTuple

from pixel_synth.books import Books, Counting, Dropped, Reject
from pixel_synth.errors import RecordError, UsageError
from pixel_synth.jsonl import sha256_of, whole
from pixel_synth.records import Conversation
from pixel_synth.standardise import Seen, reject, repeat
from pixel_synth.standardise.convert import Converter, category
from pixel_synth.standardise.detect import Detection, detect, head_of, reject_reason, weight
from pixel_synth.standardise.figures import FileBooks, Ingested, Limits, Metrics
from pixel_synth.standardise.rows import Raw, Unparsed, contents, files, parsed, unparsed
from pixel_synth.standardise.spec import Spec

BATCH_ROWS = 1000
BATCH_CHARS = 2**23  # a batch ends here as well, so that long rows do not fill the memory
SAMPLED = 10  # kept records of a batch whose language quality is measured
OUTPUTS = ("kept.jsonl", "rejects.jsonl", "metrics.jsonl", "alerts.jsonl", "ingest.json")


class Done(NamedTuple):
    """One row of a converted batch: a record's id and line with the repairs it took, or a reject."""

    row: int
    id: str
    line: str
    reject: Reject | None
    repairs: tuple[str, ...] = ()


class Converted(NamedTuple):
    """One converted batch."""

    rows: list[Done]
    qualities: list[float]


Work = tuple[Spec, str, str, list[Raw | Unparsed]]
Show = Callable[[Metrics, Books], None]


def ingest(
    paths: Sequence[Path],
    out: Path | None,
    spec: Spec,
    *,
    workers: int = 1,
    batch_size: int = BATCH_ROWS,
    limit: int | None = None,
    limits: Limits = Limits(),  # noqa: B008
    show: Show | None = None,
) -> Ingested:
    """Convert files and folders into ``out``: kept.jsonl, rejects.jsonl, metrics.jsonl, alerts.jsonl, ingest.json.

    The first two are whole, the old ones, or not there; the metrics grow while it runs.  Without ``out`` nothing is written.

    Args:
        paths: Files and folders.
        out: Folder to write to.
        spec: What is known of the rows; an empty ``revision`` becomes each file's SHA-256.
        workers: Processes that convert.
        batch_size: Rows of a batch.
        limit: Rows to read in all, ``None`` for all.
        limits: When to raise an alert.
        show: Called after every batch with its figures and the books so far.

    Raises:
        SourceError: When there is nothing to read.
        UsageError: When the spec does not fit, or ``out`` lies in a folder that is read.
    """
    if workers < 1 or batch_size < 1 or (limit is not None and limit < 1):
        raise UsageError("workers, batch size and limit must be at least 1")
    found = [(file, _name(file, path)) for path in paths for file in files(path)]
    for path in paths:
        if out and path.is_dir() and out.resolve().is_relative_to(path.resolve()):
            raise UsageError(f"the output {out} lies in the input {path}", hint="write to a folder outside it")
    skipped = [_name(p, path) for path in paths if path.is_dir() for p in contents(path) if p not in {f for f, _ in found}]
    with ExitStack() as stack:
        pool = stack.enter_context(_pool(workers))
        sink = stack.enter_context(_sink(out))
        run = _Run(sink, limits, show, workers, batch_size, pool)
        left = limit
        for file, name in found:
            if left is None or left > 0:
                books = run.file(file, name, spec, left)
                left = None if left is None else left - books.books.taken
        done = Ingested(books=run.counting.books, files=tuple(run.files), skipped=tuple(skipped), alerts=tuple(run.alerts))
    if out:
        with whole(out / "ingest.json") as report:
            report.write(done.model_dump_json(indent=2) + "\n")
    return done


def _name(file: Path, given: Path) -> str:
    return file.name if file == given else f"{given.name}/{file.relative_to(given).as_posix()}".lstrip("/")


def batches(rows: Iterator[Raw | Unparsed], size: int) -> Iterator[list[Raw | Unparsed]]:
    """Cut a stream into batches of at most ``size`` rows and roughly 8 MiB."""
    batch: list[Raw | Unparsed] = []
    held = 0
    for row in rows:
        batch.append(row)
        held += weight(row)
        if len(batch) >= size or held >= BATCH_CHARS:
            yield batch
            batch, held = [], 0
    if batch:
        yield batch


def convert(work: Work) -> Converted:
    """Convert one batch, in whatever process."""
    spec, shape, why, rows = work
    converter = Converter(spec, shape) if shape else None
    done: list[Done] = []
    kept: list[Conversation] = []
    for row in rows:
        raw = parsed(row)
        result = converter(raw) if converter else Dropped(raw.error or why)
        if isinstance(result, Conversation):
            done.append(Done(raw.row, result.id, result.line(), None, converter.repaired if converter else ()))
            kept.append(result)
        else:
            done.append(Done(raw.row, "", "", reject(raw, result)))
    step = max(1, -(-len(kept) // SAMPLED))
    return Converted(done, _qualities(kept[::step]))


def _qualities(records: Sequence[Conversation]) -> list[float]:
    from pixel_synth.scorers import language_quality

    return [value for record in records if (value := language_quality.score(record).value) is not None]


class _Sink(NamedTuple):
    kept: IO[str] | None = None
    rejects: IO[str] | None = None
    metrics: IO[str] | None = None
    alerts: IO[str] | None = None


@contextmanager
def _sink(out: Path | None) -> Iterator[_Sink]:
    if out is None:
        yield _Sink()
        return
    with ExitStack() as stack:
        kept, rejects = (stack.enter_context(whole(out / name)) for name in OUTPUTS[:2])
        try:
            metrics, alerts = (stack.enter_context((out / name).open("w", encoding="utf-8", buffering=1)) for name in OUTPUTS[2:4])
        except OSError as error:
            raise RecordError(f"cannot write {out}: {error.strerror}") from error
        yield _Sink(kept, rejects, metrics, alerts)


@contextmanager
def _pool(workers: int) -> Iterator[ProcessPoolExecutor | None]:
    if workers == 1:
        yield None
        return
    pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"))
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


class _Run:
    """One run over all files."""

    def __init__(
        self, sink: _Sink, limits: Limits, show: Show | None, workers: int, batch_size: int, pool: ProcessPoolExecutor | None
    ) -> None:
        self._sink, self._limits, self._show, self._pool = sink, limits, show, pool
        self._waiting, self._batch_size = 2 * workers, batch_size
        self._seen = Seen()
        self.counting = Counting()
        self.files: list[FileBooks] = []
        self.alerts: list[str] = []

    def file(self, path: Path, name: str, spec: Spec, limit: int | None) -> FileBooks:
        """Convert one file."""
        digest = sha256_of(path)
        spec = spec.model_copy(update={"revision": spec.revision or digest})
        rows = islice(unparsed(path, name), limit)
        head = head_of(rows)
        found = detect([parsed(row) for row in head], spec)
        if found.shape:
            category(spec, found.shape)  # ask before the work begins
        mine, repairs, alerted = Counting(), Counter[str](), set[str]()
        why = reject_reason(found).reason
        work = ((spec, found.shape, why, batch) for batch in batches(chain(head, rows), self._batch_size))
        for number, batch in enumerate(self._converted(work), 1):
            self._book(name, number, batch, mine, repairs, alerted)
        self.files.append(_file_books(name, digest, found, mine.books, repairs))
        return self.files[-1]

    def _converted(self, work: Iterator[Work]) -> Iterator[Converted]:
        """Yield the converted batches in order; no more than two per worker are under way."""
        if self._pool is None:
            yield from map(convert, work)
            return
        waiting: deque[Future[Converted]] = deque()
        for batch in work:
            waiting.append(self._pool.submit(convert, batch))
            if len(waiting) >= self._waiting:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()

    def _book(self, name: str, number: int, batch: Converted, mine: Counting, repairs: Counter[str], alerted: set[str]) -> None:
        kept = repeats = 0
        for done in batch.rows:
            rejected = done.reject
            if rejected is None and self._seen.again(done.id):
                rejected = repeat(done.id, name, done.row)
                repeats += 1
            if rejected is None:
                kept += 1
                repairs.update(done.repairs)
                _write(self._sink.kept, done.line)
                continue
            mine.reject(rejected.reason)
            self.counting.reject(rejected.reason)
            _write(self._sink.rejects, rejected.line())
        mine.keep(kept)
        self.counting.keep(kept)
        taken, so_far = len(batch.rows), self.counting.books
        quality = round(sum(batch.qualities) / len(batch.qualities), 4) if batch.qualities else None
        metrics = Metrics(
            file=name, batch=number, taken=taken, kept=kept, rejected=taken - kept, repeats=repeats,
            reject_rate=round((taken - kept - repeats) / taken, 4),
            running_reject_rate=round((so_far.rejected - so_far.reasons.get("repeat", 0)) / so_far.taken, 4),
            language_quality=quality, sampled=len(batch.qualities),
        )  # fmt: skip
        _write(self._sink.metrics, metrics.line())
        self._alert(metrics, alerted)
        if self._show:
            self._show(metrics, so_far)

    def _alert(self, metrics: Metrics, alerted: set[str]) -> None:
        """Write the first breach of each limit in a file."""
        high, low = self._limits
        breaches: list[tuple[str, float, float, str]] = []
        if high is not None and metrics.reject_rate > high:
            breaches.append(("reject_rate", metrics.reject_rate, high, "above"))
        if low is not None and metrics.language_quality is not None and metrics.language_quality < low:
            breaches.append(("language_quality", metrics.language_quality, low, "below"))
        for measure, value, bound, side in breaches:
            if measure not in alerted:
                alerted.add(measure)
                self.alerts.append(f"{metrics.file}, batch {metrics.batch}: {measure} {value:.3f} is {side} {bound:g}")
                event = {"file": metrics.file, "batch": metrics.batch, "measure": measure, "value": value, "limit": bound}
                _write(self._sink.alerts, json.dumps(event))


def _file_books(name: str, digest: str, found: Detection, books: Books, repairs: Counter[str]) -> FileBooks:
    return FileBooks(
        file=name, sha256=digest, shape=found.shape, detection=str(found), books=books, repairs=dict(sorted(repairs.items()))
    )  # fmt: skip


def _write(file: IO[str] | None, line: str) -> None:
    if file:
        file.write(line + "\n")
