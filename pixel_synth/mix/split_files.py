"""From one file of records to the files of a split, its certificate, and what is told of it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from pydantic import Field, ValidationError

from pixel_synth.books import Books, Counting, Reject
from pixel_synth.errors import RecordError, UsageError
from pixel_synth.jsonl import whole
from pixel_synth.mix.certificate import Certificate, certify, examine
from pixel_synth.mix.groups import GIANT, Components, components, groups, joined_by, similar
from pixel_synth.mix.item import Item, item, records
from pixel_synth.mix.split import LARGEST, Cell, Figures, Spanning, Split, Undated, balance, figures, moved, split
from pixel_synth.records import Conversation, Record

REPORT = "splits.json"
REDEALS = 1  # times that everything is dealt again after the search found pairs across splits; then what it finds goes to train
SHORT = 0.5  # of its share: below it a split is no longer what was asked for
PURGED = "purged: newer than a later split"
# What tools call the three splits; in a folder that is verified each may stand under any of its names.
ALIASES = {"train": ("train", "training"), "validation": ("validation", "valid", "val", "dev"), "test": ("test", "eval", "evaluation")}
SUFFIXES = (".jsonl", ".jsonl.gz")
Progress = Callable[[int], None]


def _silent(read: int) -> None:
    """Show nothing."""


class Grouped(Record):
    """A group that holds more than the limit share of the records."""

    group: str
    records: int
    share: float
    released: bool


class Large(Record):
    """A component of two and more records, and how many groups of each kind join it; what near-duplicate pairs join is not among them."""

    records: int
    joined_by: dict[str, int]


class Report(Record):
    """Everything about a split, written beside its files as ``splits.json``; the certificate is missing in a dry run."""

    strategy: str
    seed: int
    shares: dict[str, float]
    tolerance: float
    books: Books
    splits: tuple[Figures, ...]
    cells: tuple[Cell, ...]
    components: int
    largest: tuple[Large, ...]
    groups: dict[str, int]
    pairs: int
    found_pairs: int = Field(description="of the pairs: those that the search of the certificate found and de-duplication had not listed")
    unknown_pairs: int
    giants: tuple[Grouped, ...]
    released: tuple[str, ...]
    notes: tuple[str, ...]
    certificate: Certificate | None = None

    @property
    def failing(self) -> tuple[Cell, ...]:
        """The cells that are out of tolerance."""
        return tuple(c for c in self.cells if c.kept is False)

    @property
    def short(self) -> tuple[str, ...]:
        """The splits that hold less than half of what they should."""
        return tuple(s.name for s in self.splits if s.records < SHORT * s.wanted)


class Way(NamedTuple):
    """How to split: what `split` and `components` take."""

    shares: Mapping[str, float]
    strategy: str = "stratified"
    tolerance: float = 0.05
    seed: int = 7
    limit: float = GIANT
    release: Collection[str] = ()
    undated: Undated = "train"
    spanning: Spanning = "earlier"


def split_file(path: Path, out: Path | None, way: Way, near: Path | None = None, progress: Progress = _silent) -> Report:
    """Split a JSONL file; the lines are written as they are, in their order.

    De-duplication finds its pairs with MinHash, which misses some of those that are only half alike.  So what the certificate's exact
    search still finds across the splits is joined and all dealt again; what it finds after that goes to train, until it finds nothing.

    Args:
        path: Records, one a line, with ids that are unique.
        out: Folder for ``train.jsonl``, ``validation.jsonl``, ``test.jsonl``, ``splits.json``, and ``rejects.jsonl`` when records were
            purged; ``None`` = write nothing.  A report that lies there is taken away first and written last, so that none ever stands
            beside files it does not tell of.
        way: How to split.
        near: Near-duplicate pairs, see `pixel_synth.mix.groups.similar`.
        progress: Told how many records were read.

    Raises:
        RecordError: When a line is no record, an id is there twice, or nothing can be written.
        UsageError: When the way is unusable, or the file is empty.
    """
    items = read_items(path, progress)
    pairs, found, rounds = list(similar(near)) if near else [], set[tuple[str, str]](), 0
    if out is not None:
        (out / REPORT).unlink(missing_ok=True)
    while True:
        parts = components(items, [*pairs, *sorted(found)], limit=way.limit, release=way.release)
        if rounds <= REDEALS:
            done = split(items, parts, way.shares, way.strategy, way.seed, undated=way.undated, spanning=way.spanning)
        else:
            done = moved(done, parts, purge=way.strategy == "temporal" and way.spanning == "purge")
        report = _report(items, parts, done, way, len(found))
        if out is None:
            return report
        files = write(path, out, items, done)
        if len(files) < 2:
            break
        certificate, alike = examine(files, pairs=pairs, let_go=parts.released, progress=progress)
        report = report.model_copy(update={"certificate": certificate})
        if found.issuperset(alike):
            break
        found |= set(alike)
        rounds += 1
    with whole(out / REPORT) as file:
        file.write(report.model_dump_json(indent=1) + "\n")
    return report


def read_items(path: Path, progress: Progress = _silent) -> list[Item]:
    """Return what is known of each record of a file, with all its groups.

    Raises:
        RecordError: At the first bad line.
        UsageError: When there is no file, it is packed, or holds no record.
    """
    if not path.is_file():
        raise UsageError(f"no file {path}")
    if path.suffix == ".gz":
        raise UsageError(f"{path} is packed, and lines are copied by their place", hint=f"gunzip -k {path}")
    found: list[Item] = []
    for c, start, size in records(path):
        found.append(item(c, start, size)._replace(groups=groups(c)))
        if len(found) % 1000 == 0:
            progress(len(found))
    if not found:
        raise UsageError(f"{path} holds no record")
    return found


def write(path: Path, out: Path, items: Sequence[Item], done: Split) -> dict[str, Path]:
    """Write each record's line to the file of its split, purged ones to ``rejects.jsonl``; returns the files of the splits."""
    files = {name: out / f"{name}.jsonl" for name in done.wanted}
    with ExitStack() as stack:
        outs = {name: stack.enter_context(whole(to)) for name, to in files.items()}
        if "" in done.of:
            outs[""] = stack.enter_context(whole(out / "rejects.jsonl"))
        source = stack.enter_context(path.open("rb"))
        for number, (one, name) in enumerate(zip(items, done.of, strict=True), 1):
            source.seek(one.start)
            line = source.read(one.size).decode("utf-8").rstrip("\r\n")
            if not name:
                record = Conversation.model_validate_json(line)
                line = Reject(stage="split", reason=PURGED, file=path.name, row=number, id=one.id, record=record).line()
            outs[name].write(line + "\n")
    return files


def _report(items: Sequence[Item], parts: Components, done: Split, way: Way, found: int) -> Report:
    books = Counting()
    for name in done.of:
        if name:
            books.keep()
        else:
            books.reject(PURGED)
    members = sorted(parts.members, key=lambda m: (-len(m), min(items[i].id for i in m)))
    large = [Large(records=len(m), joined_by=joined_by(items, m, parts.released)) for m in members[:LARGEST] if len(m) > 1]
    return Report(
        strategy=way.strategy, seed=way.seed, shares=dict(way.shares), tolerance=way.tolerance, books=books.books,
        splits=figures(items, done), cells=balance(items, done, way.tolerance), components=len(members), largest=tuple(large),
        groups=dict(parts.kinds), pairs=parts.pairs, found_pairs=found, unknown_pairs=parts.unknown,
        giants=tuple(Grouped(**g._asdict()) for g in parts.giants), released=tuple(sorted(parts.released)), notes=done.notes,
    )  # fmt: skip


def found_files(folder: Path) -> dict[str, Path]:
    """Return the split files of a folder, whichever of the usual names they have.

    Raises:
        UsageError: When there are fewer than two, or two for one split.
    """
    found: dict[str, Path] = {}
    for name, aliases in ALIASES.items():
        here = [folder / f"{alias}{suffix}" for alias in aliases for suffix in SUFFIXES if (folder / f"{alias}{suffix}").is_file()]
        if len(here) > 1:
            raise UsageError(f"{folder}: {here[0].name} and {here[1].name} are both {name}", hint="leave one of them")
        if here:
            found[name] = here[0]
    if len(found) < 2:
        raise UsageError(f"{folder} holds no two splits", hint="train.jsonl, validation.jsonl (valid, val, dev) and test.jsonl (eval)")
    return found


def verify(folder: Path, near: Path | None = None, progress: Progress = _silent) -> tuple[Certificate, tuple[str, ...]]:
    """Certify the split files of a folder anew; answers the certificate and in what it differs from the report that lies there.

    Groups that the report says were let go are taken as let go; everything else is found anew.

    Raises:
        RecordError: When a line is no record or the report cannot be read.
    """
    files, report = found_files(folder), _read_report(folder / REPORT)
    certificate = certify(files, pairs=similar(near) if near else (), let_go=report.released if report else (), progress=progress)
    old = report.certificate if report else None
    changed = [name for name, file in certificate.files.items() if old and (name not in old.files or old.files[name].sha256 != file.sha256)]
    return certificate, tuple(f"{certificate.files[name].name} is not the file that {REPORT} tells of" for name in changed)


def _read_report(path: Path) -> Report | None:
    if not path.is_file():
        return None
    try:
        return Report.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise RecordError(f"{path}: {error.errors()[0]['msg']}", hint="remove it to verify the files alone") from error
