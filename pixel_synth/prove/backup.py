"""Back up a run to any fsspec URL: only what is new is sent, and the snapshot that makes it a backup is written last.

A backup that was interrupted leaves objects and no snapshot; the same command called again sends what is missing.  Nothing is encrypted
here: ``private/`` and ``stages/`` hold text with personal data and are left out unless asked for.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from pixel_synth import __version__
from pixel_synth.errors import RunError, UsageError
from pixel_synth.prove.audit import NAME, Audit, read_json
from pixel_synth.prove.store import CHUNK, Damage, Damaged, Kept, Snapshot, Store

PERSONAL = ("private", "stages")  # folders that are left out unless asked for
DERIVED = (".lock", ".audit.sqlite")  # made anew where they are wanted
Progress = Callable[[int, int], None]


def _silent(done: int, total: int) -> None:
    """Show nothing."""


class Inventory(NamedTuple):
    """What a backup would hold: files and folders (with their modes) below the run, and what is left out, each with its reason."""

    files: tuple[str, ...]
    folders: dict[str, int]
    left_out: tuple[str, ...]
    size: int


class BackedUp(NamedTuple):
    """What a backup did, or (``name`` is empty) would do.

    ``sent_bytes`` are those of new objects before packing, ``packed_bytes`` after (``None`` in a dry run).  ``differs`` names files
    that are not as ``manifest.json`` says.
    """

    name: str
    files: int
    bytes: int
    sent: int
    sent_bytes: int
    packed_bytes: int | None
    left_out: tuple[str, ...]
    differs: tuple[str, ...]


class Pruned(NamedTuple):
    """Names of the snapshots, and how many objects of how many bytes, that were taken away."""

    snapshots: tuple[str, ...]
    objects: int
    bytes: int


class Checked(NamedTuple):
    """What a store was found to hold; ``files`` names those of each snapshot that cannot be restored."""

    snapshots: int
    objects: int
    bytes: int
    damage: tuple[Damage, ...]
    files: tuple[str, ...]


def inventory(run: Path, private: bool = False) -> Inventory:
    """List what a backup of a run holds.

    Raises:
        RunError: When there is no such folder, or nothing in it.
    """
    if not run.is_dir():
        raise RunError(f"no folder {run}", hint="a run directory, as pixel-synth version list shows them")
    files, folders, left_out, size = list[str](), dict[str, int](), list[str](), 0
    for base, names, here in os.walk(run):
        below = Path(base).relative_to(run)
        for name in sorted(names):
            path, told = Path(base) / name, (below / name).as_posix()
            if path.is_symlink():
                left_out.append(f"{told}: a link")
            elif told in PERSONAL and not private:
                left_out.append(f"{told}/: may hold personal data; --include-private takes it along")
            else:
                folders[told] = path.stat().st_mode & 0o777
        names[:] = sorted(n for n in names if (below / n).as_posix() in folders)
        for name in sorted(here):
            path, told = Path(base) / name, (below / name).as_posix()
            if path.is_symlink() or not path.is_file():
                left_out.append(f"{told}: a link or no plain file")
            elif name not in DERIVED and not name.endswith(".part"):
                files.append(told)
                size += path.stat().st_size
    if not files:
        raise RunError(f"{run} holds no file to back up")
    return Inventory(tuple(files), folders, tuple(left_out), size)


def backup(run: Path, url: str, *, private: bool = False, dry_run: bool = False, progress: Progress = _silent) -> BackedUp:
    """Send a run to a store.

    Args:
        run: The run directory; nobody may be at work in it.
        url: Where to; see `pixel_synth.prove.store.Store`.
        private: Whether ``private/`` and ``stages/`` go too.
        dry_run: Only say what would be sent.
        progress: Told the bytes read and all bytes.

    Raises:
        RunError: When the run is in use or the store cannot be written; what was sent stays and is not sent again.
        UsageError: When the URL is none.
    """
    store, found = Store(url), inventory(run, private)
    there, kept, done, sent, sent_bytes, packed = set(store.objects()), dict[str, Kept](), 0, 0, 0, 0
    with _unused(run):
        for name in found.files:
            whole, chunks, size = hashlib.sha256(), list[str](), 0
            with (run / name).open("rb") as file:
                mode = os.fstat(file.fileno()).st_mode & 0o777
                while data := file.read(CHUNK):
                    whole.update(data)
                    chunks.append(digest := hashlib.sha256(data).hexdigest())
                    size += len(data)
                    if digest not in there:
                        packed += 0 if dry_run else store.put(digest, data)
                        there.add(digest)
                        sent, sent_bytes = sent + 1, sent_bytes + len(data)
                    progress(done + size, found.size)
            done += size
            kept[name] = Kept(sha256=whole.hexdigest(), bytes=size, mode=mode, chunks=tuple(chunks))
    differs, name = _differs(run, kept), ""
    if not dry_run:
        at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        name = store.keep(
            Snapshot(run=run.resolve().name, at=at, toolkit=__version__, private=private, files=kept, folders=found.folders,
                     left_out=found.left_out, differs=differs)
        )  # fmt: skip
        if (run / NAME).is_file():
            Audit(run).append("backup", name, url=store.url, files=len(kept), bytes=done, private=private)
    return BackedUp(name, len(kept), done, sent, sent_bytes, None if dry_run else packed, found.left_out, differs)


def prune(url: str, run: str, keep: int) -> Pruned:
    """Keep the newest snapshots of a run, and take away the others and every object that no snapshot (of any run) needs.

    Nobody may be backing up to the same store meanwhile: objects of a backup that is still under way belong to no snapshot yet.

    Raises:
        UsageError: When ``keep`` is less than 1.
        RunError: When a snapshot is damaged, because what it needs cannot be told then.
    """
    if keep < 1:
        raise UsageError(f"--keep must be at least 1, not {keep}")
    store = Store(url)
    snapshots, damaged = store.snapshots()
    if damaged:
        raise RunError(f"{store.url}: {damaged[0].name} is damaged: nothing is pruned", hint="restore it, or delete it by hand first")
    old = [name for name, s in snapshots.items() if s.run == run][:-keep]
    for name in old:  # first the snapshots: if this is killed, objects are left over and nothing is missing
        store.remove(f"snapshots/{name}.json")
    needed = {c for name, s in snapshots.items() if name not in old for f in s.files.values() for c in f.chunks}
    loose = {digest: size for digest, size in store.objects().items() if digest not in needed}
    for digest in loose:
        store.remove(store.place(digest))
    store.sweep()
    return Pruned(tuple(old), len(loose), sum(loose.values()))


def check(url: str, progress: Progress = _silent) -> Checked:
    """Read every snapshot and every object that one needs, and compare all hashes.

    Args:
        url: The store.
        progress: Told how many objects were read, and how many there are.

    Raises:
        RunError: When there is no backup at all.
    """
    store = Store(url)
    snapshots, damage = store.snapshots()
    if not snapshots and not damage:
        raise RunError(f"{store.url}: no snapshot: there is no backup here, or none that came to its end")
    bad, size = dict[str, str](), 0
    needed = sorted({c for s in snapshots.values() for f in s.files.values() for c in f.chunks})
    for number, digest in enumerate(needed, 1):
        try:
            size += len(store.get(digest))
        except Damaged as error:
            bad[digest] = str(error)
        progress(number, len(needed))
    files = [f"{name}: {path}" for name, s in snapshots.items() for path, f in s.files.items() if any(c in bad for c in f.chunks)]
    damage += [Damage(store.place(digest), why) for digest, why in bad.items()]
    return Checked(len(snapshots), len(needed), size, tuple(damage), tuple(files))


def _differs(run: Path, kept: dict[str, Kept]) -> tuple[str, ...]:
    """Return the files that are missing, or not as the manifest says."""
    path = run / "manifest.json"
    if not path.is_file():
        return ()
    listed = read_json(path).get("files", {})
    return tuple(name for name, pin in listed.items() if name not in kept or kept[name].sha256 != pin["sha256"])


@contextmanager
def _unused(run: Path) -> Iterator[None]:
    """Hold the lock of a run, where it has one, so that nobody writes into it meanwhile.

    Raises:
        RunError: When somebody else holds it.
    """
    path = run / ".lock"
    if not path.is_file():
        yield
        return
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RunError(f"{run} is in use by another process", hint="back it up when it has ended") from error
        yield
