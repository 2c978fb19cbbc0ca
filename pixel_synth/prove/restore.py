"""Restore a run from a backup: every hash is checked, nothing is written outside the folder, and what is damaged is named."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from pixel_synth.errors import RunError, SourceError
from pixel_synth.jsonl import sha256_of
from pixel_synth.prove.store import Damaged, Kept, Snapshot, Store
from pixel_synth.sources.pins import check_path

WORKING = 0o700  # rights that a folder needs while files are put into it


class Restored(NamedTuple):
    """What was restored; ``damaged`` are the files that could not be, each with the object and what is wrong with it."""

    name: str
    run: str
    files: int
    bytes: int
    damaged: tuple[str, ...]
    left_out: tuple[str, ...]


def _silent(done: int, total: int) -> None:
    """Show nothing."""


def choose(store: Store, name: str = "", run: str = "") -> tuple[str, Snapshot]:
    """Return a snapshot by name, or the newest one (of a run).

    Raises:
        RunError: When there is none, or it is damaged.
    """
    if name:
        return name, store.snapshot(name)
    for newest in reversed(store.names()):
        found = store.snapshot(newest)
        if run in ("", found.run):
            return newest, found
    raise RunError(f"{store.url}: no snapshot{' of ' + run if run else ''}", hint=f"pixel-synth backup --list {store.url}")


def restore(url: str, folder: Path, *, name: str = "", run: str = "", progress: Callable[[int, int], None] = _silent) -> Restored:
    """Restore a snapshot into a folder that is not there yet or is empty.

    The files are put into ``.FOLDER.restoring`` beside it, which takes the folder's name at the end; a restore that was killed goes on
    there.

    Args:
        url: The store.
        folder: Where to.
        name: The snapshot; default: the newest.
        run: Of this run only.
        progress: Told the bytes done and all bytes.

    Raises:
        RunError: When the folder holds something, or the snapshot is not there, is damaged, or names paths outside the folder.
    """
    if folder.is_symlink() or (folder.exists() and (not folder.is_dir() or any(folder.iterdir()))):
        raise RunError(f"{folder} is there and not empty: nothing is overwritten", hint="name a new folder")
    store = Store(url)
    name, snapshot = choose(store, name, run)
    _check_paths(store, name, snapshot)
    folder = folder.absolute()
    working = folder.with_name(f".{folder.name}.restoring")
    if working.is_symlink():
        raise RunError(f"{working} is a link", hint="take it away")
    try:
        _clear(working, snapshot)
    except OSError as error:
        raise RunError(f"{working} cannot be written: {error.strerror}", hint="see that there is room and that you may write") from error
    done, files, size, damaged = 0, 0, 0, list[str]()
    for path, kept in snapshot.files.items():
        try:
            _file(store, working / path, kept)
            files, size = files + 1, size + kept.bytes
        except Damaged as error:
            damaged.append(f"{path}: {error}")
        done += kept.bytes
        progress(done, snapshot.size)
    for path, mode in sorted(snapshot.folders.items(), reverse=True):
        (working / path).chmod(mode)
    os.replace(working, folder)
    return Restored(name, snapshot.run, files, size, tuple(damaged), snapshot.left_out)


def _check_paths(store: Store, name: str, snapshot: Snapshot) -> None:
    for path in (*snapshot.files, *snapshot.folders):
        try:
            check_path(name, path)
        except SourceError as error:
            raise RunError(f"{store.url}: {error.message}", hint="somebody else wrote this snapshot: do not trust this store") from error


def _clear(working: Path, snapshot: Snapshot) -> None:
    """Make the folders, and take away what an earlier start left that does not belong there."""
    working.mkdir(parents=True, exist_ok=True)
    for path in sorted(working.rglob("*"), reverse=True):
        told = path.relative_to(working).as_posix()
        if path.is_symlink() or (path.is_file() and told not in snapshot.files):
            path.unlink()
        elif path.is_dir() and told not in snapshot.folders:
            path.rmdir()
    for told in sorted(snapshot.folders):
        (working / told).mkdir(mode=WORKING, parents=True, exist_ok=True)
        (working / told).chmod(WORKING)


def _file(store: Store, path: Path, kept: Kept) -> None:
    """Write one file, unless it is there already.

    Raises:
        Damaged: With the name of the object; nothing is left of the file.
    """
    if path.is_file() and path.stat().st_size == kept.bytes and sha256_of(path) == kept.sha256:
        path.chmod(kept.mode)
        return
    whole, partial = hashlib.sha256(), path.with_name(f".{path.name[:200]}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.unlink(missing_ok=True)
        with partial.open("xb") as file:
            os.fchmod(file.fileno(), kept.mode & 0o700 | 0o600)
            for digest in kept.chunks:
                try:
                    data = store.get(digest)
                except Damaged as error:
                    raise Damaged(f"{store.place(digest)}: {error}") from error
                whole.update(data)
                file.write(data)
            os.fsync(file.fileno())
        if whole.hexdigest() != kept.sha256:
            raise Damaged("its objects are whole and do not make this file")
        partial.chmod(kept.mode)
        os.replace(partial, path)
    except OSError as error:
        raise RunError(f"{path} cannot be written: {error.strerror}", hint="the same command goes on where it stopped") from error
    finally:
        partial.unlink(missing_ok=True)
