"""Files through the steps of curation: redact a file, screen a file, each line of it booked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from pixel_synth.books import Books, Counting, Dropped, Reject, Step
from pixel_synth.curate.decontaminate import Decontaminate, common
from pixel_synth.curate.language import Language
from pixel_synth.curate.redact import Finding, Redactor, audit_file, audit_lines
from pixel_synth.curate.redact.findings import FOLLOWING, counted
from pixel_synth.curate.unsafe import Unsafe
from pixel_synth.errors import RecordError
from pixel_synth.jsonl import Row, read, whole
from pixel_synth.records import Conversation

CONTEXT = 40  # characters shown on each side of an example
Show = Callable[[int, int], None]


class Example(NamedTuple):
    """One find in its sentence, to be looked at by a person."""

    id: str
    kind: str
    before: str
    text: str
    replacement: str
    after: str


class Redacted(NamedTuple):
    """What redacting a file came to: its books, how many items of each kind, and examples where they were asked for."""

    books: Books
    items: Counter[str]
    examples: tuple[Example, ...]


def quiet(done: int, kept: int) -> None:
    """Show nothing."""


def redact_jsonl(
    path: Path, out: Path | None, redactor: Redactor, audit: Path | None = None, examples: int = 0, show: Show = quiet
) -> Redacted:
    """Redact the records of a file; lines that are none go to ``<out stem>.rejects.jsonl`` where there are such.

    Args:
        path: JSONL of records, plain or gzip.
        out: Where the redacted records go; ``None`` writes nothing.
        redactor: What finds.
        audit: Where the originals go, one finding a line, readable by its owner only; ``None`` keeps none.
        examples: How many finds of each kind are given back.
        show: Told of each line: how many are done and kept.

    Raises:
        RecordError: When the file is not there or cannot be written.
    """
    books, items, shown = Counting(), Counter[str](), list[Example]()
    with ExitStack() as stack:
        kept = stack.enter_context(whole(out)) if out else None
        originals = stack.enter_context(audit_file(audit)) if audit else None
        rejects = stack.enter_context(whole(rejects_of(out))) if out else None
        for row in read(path):
            try:
                record, found = redactor.redact(row.record) if row.record else (None, ())
                reason = f"unreadable: {row.error}"
            except RecordError as error:
                record, found, reason = None, (), f"redact: {error.message}"
            if record is None or row.record is None:
                books.reject(reason)
                if rejects:
                    rejects.write(_reject(path, row, "redact", reason))
            else:
                books.keep()
                shown += [e for e in _examples(row.record, found) if _fresh(shown, e, examples)]
                items.update(counted(found))
                if kept:
                    kept.write(record.line() + "\n")
                if originals:
                    originals.write(audit_lines(record.id, found))
            show(books.books.taken, books.books.kept)
    if out and not books.books.rejected:
        rejects_of(out).unlink(missing_ok=True)
    return Redacted(books.books, items, tuple(shown))


def rejects_of(out: Path) -> Path:
    """Return where the rejects of an output file go."""
    return out.with_name(f"{out.name.partition('.')[0]}.rejects.jsonl")


def _examples(record: Conversation, found: Sequence[Finding]) -> Iterator[Example]:
    for f in found:
        if f.kind not in FOLLOWING and f.field == "messages.content" and f.turn is not None:
            text = record.messages[f.turn].content
            before, after = text[max(0, f.start - CONTEXT) : f.start], text[f.end : f.end + CONTEXT]
            yield Example(record.id, f.kind, " ".join(before.split()), f.text, f.replacement, " ".join(after.split()))


def _fresh(shown: Sequence[Example], example: Example, most: int) -> bool:
    """Tell whether an example shows something new: not the same words again, and no more than ``most`` of a kind."""
    alike = [e for e in shown if e.kind == example.kind]
    return len(alike) < most and all(e.text != example.text for e in alike)


def _reject(path: Path, row: Row, stage: str, reason: str) -> str:
    id = row.record.id if row.record else ""
    return Reject(stage=stage, reason=reason, file=str(path), row=row.line, id=id, text=row.text, record=row.record).line() + "\n"


def steps(languages: tuple[str, ...], evaluation: tuple[Path, ...] = (), ignored: frozenset[int] = frozenset()) -> dict[str, Step]:
    """Return the steps of screening by name, in their order; each can be pickled."""
    found: dict[str, Step] = {"language": Language(languages), "unsafe": Unsafe()}
    if evaluation:
        found["decontaminate"] = Decontaminate(evaluation, ignored=ignored)
    return found


def ignored_of(path: Path, evaluation: tuple[Path, ...]) -> frozenset[int]:
    """Return the common phrases of a file, see `decontaminate.common`; lines that are no records are passed over."""
    if not evaluation:
        return frozenset()
    return common((row.record for row in read(path) if row.record), Decontaminate(evaluation))


def screen_jsonl(path: Path, folder: Path | None, through: dict[str, Step], show: Show = quiet) -> tuple[Books, tuple[Reject, ...]]:
    """Put each record through the steps; write ``kept.jsonl`` and ``rejects.jsonl``, each reject with stage and reason.

    Args:
        path: JSONL of records, plain or gzip.
        folder: Where the two files go; ``None`` writes nothing.
        through: Steps by name.
        show: Told of each line: how many are done and kept.

    Returns:
        The books, and one reject of each kind of reason as an example.

    Raises:
        RecordError: When the file is not there or cannot be written.
    """
    books, first = Counting(), dict[str, Reject]()
    with ExitStack() as stack:
        kept, rejects = (stack.enter_context(whole(folder / f"{n}.jsonl")) if folder else None for n in ("kept", "rejects"))
        for row in read(path):
            stage, answer = screened(row, through)
            if isinstance(answer, Dropped):
                books.reject(answer.reason)
                line = _reject(path, row, stage, answer.reason)
                first.setdefault(answer.reason.partition(":")[0], Reject.model_validate_json(line))
                if rejects:
                    rejects.write(line)
            else:
                books.keep()
                if kept:
                    kept.write(answer.line() + "\n")
            show(books.books.taken, books.books.kept)
    return books.books, tuple(first.values())


def screened(row: Row, through: dict[str, Step]) -> tuple[str, Conversation | Dropped]:
    """Return what comes of a line, and the stage at which it ended."""
    if row.record is None:
        return "read", Dropped(f"unreadable: {row.error}")
    record = row.record
    for name, step in through.items():
        answer = step(record)
        if isinstance(answer, Dropped):
            return name, answer
        record = answer
    return "", record
