"""Bring sets into the cache: from the Hub, a mirror folder, or a place on this machine; count what is in them; leave a receipt."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from pixel_synth.errors import PixelError, SourceError
from pixel_synth.jsonl import whole
from pixel_synth.sources import hub
from pixel_synth.sources.measure import LIMITS, Alert, Limits, append, measure
from pixel_synth.sources.pins import FilePin, matching, pin_of
from pixel_synth.sources.receipt import Receipt, content_hash, differences, read_receipt, write_receipt
from pixel_synth.sources.sampled import Sampled, draw
from pixel_synth.sources.source import Place, Source, Step


class Outcome(NamedTuple):
    """How the fetch of one set ended: with a receipt, or with what was wrong; ``downloaded`` and ``reused`` count files."""

    source: Source
    receipt: Receipt | None
    downloaded: int = 0
    reused: int = 0
    notes: tuple[str, ...] = ()
    alerts: tuple[Alert, ...] = ()
    error: PixelError | None = None


class _Brought(NamedTuple):
    receipt: Receipt
    downloaded: int
    reused: int
    notes: tuple[str, ...] = ()


def fetch(
    source: Source,
    place: Place,
    *,
    update: bool = False,
    limits: Limits = LIMITS,
    step: Step = lambda *_: None,
    say: Callable[[Alert], None] = lambda _: None,
) -> Outcome:
    """Bring one set, count what is in it and write its receipt.

    What lies in the cache with its pinned bytes is not downloaded again, and is counted again only when it changed.

    Args:
        source: The set.
        place: Where sets lie.
        update: Whether another commit than the pinned one may be taken and pinned.
        limits: Shares above which an alert is raised.
        step: Told how far the download is (bytes), then the count (rows).
        say: Told each alert as it is raised.

    Raises:
        SourceError: Not there, no access, not reachable, changed since it was pinned.
    """
    before, notes = _before(source, place)
    brought = _bring(source, place, before, update, step)
    receipt = brought.receipt
    append(place.cache / "metrics.jsonl", {"set": source.id, "event": "fetched", "revision": receipt.revision, "files": len(receipt.files),
                                           "bytes": receipt.bytes, "downloaded": brought.downloaded, "reused": brought.reused})  # fmt: skip
    alerts: list[Alert] = []
    if before and before.measured and before.model_copy(update={"measured": None}) == receipt:
        receipt = before
    else:
        write_receipt(place.cache, receipt)
        found, alerts = measure(source, place, receipt, limits, say, step)
        receipt = receipt.model_copy(update={"measured": found})
    write_receipt(place.cache, receipt)
    return Outcome(source, receipt, brought.downloaded, brought.reused, (*notes, *brought.notes), tuple(alerts))


def _before(source: Source, place: Place) -> tuple[Receipt | None, tuple[str, ...]]:
    try:
        return read_receipt(place.cache, source.id), ()
    except SourceError as error:
        return None, (f"{error.message}; it is made anew",)


def fetch_all(
    sources: Iterable[Source],
    place: Place,
    *,
    update: bool = False,
    limits: Limits = LIMITS,
    step: Step = lambda *_: None,
    say: Callable[[Alert], None] = lambda _: None,
    ended: Callable[[Outcome], None] = lambda _: None,
) -> list[Outcome]:
    """Bring sets one after the other; one that fails is reported, and the others go on."""
    outcomes = []
    for source in sources:
        try:
            outcome = fetch(source, place, update=update, limits=limits, step=step, say=say)
        except PixelError as error:
            append(place.cache / "metrics.jsonl", {"set": source.id, "event": "failed", "why": error.message})
            outcome = Outcome(source, None, error=error)
        outcomes.append(outcome)
        ended(outcome)
    return outcomes


def fetched(source: Source, place: Place) -> bool:
    """Tell whether a set lies in the cache with the sizes of its receipt; its bytes are not hashed (see `check`)."""
    receipt = read_receipt(place.cache, source.id)
    if receipt is None or receipt.measured is None:
        return False
    base = receipt.base(place.cache)
    return all((base / name).is_file() and (base / name).stat().st_size == pin.size for name, pin in receipt.files.items())


def reachable(source: Source, place: Place) -> bool:
    """Tell whether it is known where a set lies: on the Hub, or at a place of this machine that is there."""
    return source.hub or any(path.exists() for path in _places(source, place))


def _bring(source: Source, place: Place, before: Receipt | None, update: bool, step: Step) -> _Brought:
    if isinstance(source, Sampled):
        return _bring_sample(source, place, before, update, step)
    if not source.hub:
        return _bring_local(source, place)

    def progress(done: hub.Progress) -> None:
        step(source.id, done.bytes_done, done.bytes)

    # A mirror may have been made when the owner still had the former name.
    repo = next((name for name in (source.repo, *source.former) if place.mirror and (place.mirror / name).is_dir()), source.repo)
    got = hub.fetch(repo, source.revision, source.patterns, place.cache, mirror=place.mirror, update=update,
                    workers=place.workers, progress=progress)  # fmt: skip
    notes: tuple[str, ...] = (f"called {got.renamed} on the Hub now",) if got.renamed else ()
    if place.mirror is None and source.seen and not got.revision.startswith(source.seen):
        notes += (
            f"pinned to {got.revision[:12]}, a later commit than the one whose page was read ({source.seen[:12]}): see if it changed",
        )
    receipt = _receipt(source, place, got.revision, got.folder, got.files)
    return _Brought(receipt, got.downloaded, got.reused, notes)


def _bring_sample(source: Sampled, place: Place, before: Receipt | None, update: bool, step: Step) -> _Brought:
    folder = place.cache / "samples" / source.id
    path = folder / f"sample-{source.keep}-of-{source.scan}.jsonl"
    if before and not update and path.name in before.files and not differences(before, place.cache):
        return _Brought(_receipt(source, place, before.revision, folder, before.files), 0, len(before.files))
    pattern = source.patterns[0]
    rows = hub.stream(source.repo, source.revision, pattern, cache=place.cache, mirror=place.mirror)
    with whole(path) as file:
        for line in draw(rows, source, lambda row: step(source.id, row, source.scan)):
            file.write(line + "\n")
    files = {path.name: pin_of(path)}
    revision = source.revision if place.mirror is None and source.revision else content_hash(files)
    receipt = _receipt(source, place, revision, folder, files)
    return _Brought(receipt, 1, 0, (f"a sample of at most {source.keep:,} of the first {source.scan:,} rows",))


def _bring_local(source: Source, place: Place) -> _Brought:
    folder, names = _local_files(source, place)
    files: dict[str, FilePin] = {name: pin_of(folder / name) for name in names}
    receipt = _receipt(source, place, content_hash(files), folder, files)
    return _Brought(receipt, 0, len(files))


def _places(source: Source, place: Place) -> list[Path]:
    given = place.local.get(source.id)
    return [given] if given else [base / source.repo for base in (place.mirror, place.cache) if base and source.repo]


def _local_files(source: Source, place: Place) -> tuple[Path, list[str]]:
    """Return the folder of a set that is on no Hub and its files: where ``local`` says, else OWNER/NAME of mirror or cache."""
    tried = _places(source, place)
    path = next((p for p in tried if p.exists()), None)
    if path is None:
        how = f"git clone {source.homepage} FOLDER, and " if source.repo else ""
        raise SourceError(
            f"{source.id} is not at {tried[0]}" if tried else f"{source.id}: nothing says where it lies",
            hint=f'{how}in pixel.toml: [dataset.local] {source.id} = "PATH", or --local {source.id}=PATH',
        )
    if path.is_file():
        return path.parent, [path.name]
    root = path.resolve()
    inside = [p for p in path.rglob("*") if p.is_file() and p.resolve().is_relative_to(root)]
    names = matching([p.relative_to(path).as_posix() for p in inside], source.patterns)
    if not names:
        raise SourceError(f"{source.id}: no file like {' or '.join(source.patterns)} below {path}", hint="give the folder that holds them")
    return path, names


def _receipt(source: Source, place: Place, revision: str, folder: Path, files: Mapping[str, FilePin]) -> Receipt:
    there, root = folder.absolute(), place.cache.absolute()
    return Receipt(
        id=source.id,
        repo=source.repo,
        revision=revision,
        folder=there.relative_to(root).as_posix() if there.is_relative_to(root) else str(there),
        files=dict(files),
        read_as=hashlib.sha256(source.spec("").line().encode()).hexdigest()[:16],
    )
