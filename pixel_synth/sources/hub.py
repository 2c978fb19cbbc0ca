"""Sets of the Hugging Face Hub, fetched once into a cache and pinned: the same commit and the same bytes ever after, or an error.

`fetch` brings whole files, `stream` reads rows of sets that are too big for that.  Both read a folder ``OWNER/NAME/…`` in place of
the Hub when a mirror is given.
"""

from __future__ import annotations

import hashlib
import logging
import re
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pixel_synth.errors import SourceError
from pixel_synth.sources.hub_client import bars, check_name, client, endpoint_of, offline, trying
from pixel_synth.sources.hub_stream import stream as stream
from pixel_synth.sources.pins import FilePin, Pin, check_path, keep_pin, matching, pin_of, read_pins

if TYPE_CHECKING:
    from huggingface_hub import HfApi

log = logging.getLogger(__name__)
_COMMIT = re.compile("[0-9a-f]{40}")


class Progress(NamedTuple):
    """How far a fetch is: the file that is done now, how many are, and how many bytes of how many."""

    file: str
    done: int
    files: int
    bytes_done: int
    bytes: int


class Fetched(NamedTuple):
    """A set as it lies on the disk.

    ``files`` maps each path below ``folder`` to its size and hash; ``revision`` is the Hub's commit, or for a mirror folder that was
    never pinned to one the SHA-256 of its content; ``renamed`` is the set's name today when it is another.
    """

    folder: Path
    revision: str
    files: Mapping[str, FilePin]
    downloaded: int
    reused: int
    renamed: str = ""

    @property
    def paths(self) -> list[Path]:
        """The files, sorted by name."""
        return [self.folder / name for name in sorted(self.files)]


class _Remote(NamedTuple):
    """One file as the Hub lists it; its SHA-256 is only known of large files."""

    size: int
    sha256: str


def fetch(
    repo: str,
    revision: str,
    patterns: Sequence[str],
    cache: Path,
    *,
    mirror: Path | None = None,
    endpoint: str = "",
    update: bool = False,
    workers: int = 4,
    progress: Callable[[Progress], None] | None = None,
) -> Fetched:
    """Bring the files of a set that match the patterns, and pin them; what is there already is only hashed.

    Args:
        repo: OWNER/NAME.
        revision: Branch, tag or 40-digit commit; empty = the pinned commit, or ``main`` the first time.  Offline, where a branch or tag
            cannot be looked up, it means the pinned commit.
        patterns: Which files, such as ``data/*.jsonl``; ``*`` crosses slashes.
        cache: Folder that holds the files and ``pins.json``.
        mirror: Folder with ``OWNER/NAME/…`` to read in place of the Hub.
        endpoint: Address of the Hub; default ``HF_ENDPOINT``, else https://huggingface.co.
        update: Whether another commit than the pinned one, or other bytes, may be taken and pinned anew.
        workers: Files that are downloaded at once.
        progress: Called after each file; without it the client shows its bars on a terminal.

    Raises:
        SourceError: No such set or revision, no access, gated, not reachable, disk full, changed since it was pinned.
        UsageError: When ``repo`` is no name of a set.
    """
    wanted = tuple(sorted(set(patterns)))
    if mirror is not None:
        return _from_mirror(check_name(repo), wanted, cache, mirror, update)
    pin = read_pins(cache).get(check_name(repo))
    named = pin is not None and (revision in ("", pin.commit) or (offline() and not _COMMIT.fullmatch(revision)))
    if pin and not update and named and set(wanted) <= set(pin.patterns):
        found = _cached(cache, pin, wanted, repo)
        if found is not None:
            return found
    if offline():
        raise SourceError(f"{repo} is not complete in {cache} and HF_HUB_OFFLINE is set", hint="unset it and fetch once")
    job = _Fetch(repo, cache, client(endpoint_of(endpoint)), None if update else pin)
    return job.run(revision or (pin.commit if pin and not update else "main"), wanted, workers, progress)


def _cached(cache: Path, pin: Pin, patterns: tuple[str, ...], repo: str) -> Fetched | None:
    """Return the pinned files when all lie in the cache with their pinned bytes."""
    folder = snapshot(cache, pin.name, pin.commit)
    files = {name: pin.files[check_path(repo, name)] for name in matching(list(pin.files), patterns)}
    if not files or any(not (folder / name).is_file() or pin_of(folder / name) != known for name, known in files.items()):
        return None
    return Fetched(folder, pin.commit, files, 0, len(files), pin.name if pin.name != repo else "")


def snapshot(cache: Path, name: str, commit: str) -> Path:
    """Return the folder in which the client keeps the files of a commit."""
    return cache / f"datasets--{name.replace('/', '--')}" / "snapshots" / commit


class _Fetch:
    """One fetch from the Hub."""

    def __init__(self, repo: str, cache: Path, api: HfApi, pin: Pin | None) -> None:
        self._repo, self._cache, self._api, self._pin = repo, cache, api, pin

    def run(self, revision: str, patterns: tuple[str, ...], workers: int, progress: Callable[[Progress], None] | None) -> Fetched:
        """Resolve, list, download, hash and pin."""
        info = trying(lambda: self._api.dataset_info(self._repo, revision=revision), self._repo, self._api, revision)
        name, commit = str(info.id), str(info.sha)
        if name != self._repo:
            log.warning("%s is called %s on the Hub now; its files were found there", self._repo, name)
        if not _COMMIT.fullmatch(commit):
            raise SourceError(f"{self._repo}: the Hub names no commit for {revision}", hint="look at HF_ENDPOINT")
        if self._pin and self._pin.commit != commit:
            raise SourceError(
                f"{self._repo} is pinned to {self._pin.commit}, and {revision} is {commit} now",
                hint="leave the revision out to use the pinned one, or fetch with update to take and pin the other",
            )
        remote = self._list(check_name(name), commit, patterns)
        self._check_room(remote, name, commit)
        files, downloaded = self._download(remote, name, commit, workers, progress)
        self._keep(Pin(commit=commit, name=name, patterns=patterns, files=files))
        renamed = name if name != self._repo else ""
        return Fetched(snapshot(self._cache, name, commit), commit, files, downloaded, len(files) - downloaded, renamed)

    def _list(self, name: str, commit: str, patterns: tuple[str, ...]) -> dict[str, _Remote]:
        from huggingface_hub.hf_api import RepoFile

        tree = trying(
            lambda: list(self._api.list_repo_tree(name, recursive=True, revision=commit, repo_type="dataset")),
            self._repo,
            self._api,
            commit,
        )
        sizes = {f.path: _Remote(f.size, f.lfs.sha256 if f.lfs else "") for f in tree if isinstance(f, RepoFile)}
        wanted = matching([check_path(self._repo, path) for path in sizes], patterns)
        if not wanted:
            raise SourceError(
                f"{self._repo} has no file like {' or '.join(patterns)} at {commit}",
                hint=f"it has {', '.join(sorted(sizes)[:8]) or 'none'}",
            )
        for path in wanted:
            known = self._pin.files.get(path) if self._pin else None
            if known and sizes[path].sha256 not in ("", known.sha256):
                raise self._changed(path, commit)
        return {path: sizes[path] for path in wanted}

    def _check_room(self, remote: Mapping[str, _Remote], name: str, commit: str) -> None:
        trying(lambda: self._cache.mkdir(parents=True, exist_ok=True), self._repo, self._api)
        folder = snapshot(self._cache, name, commit)
        need = sum(r.size for path, r in remote.items() if not (folder / path).is_file())
        free = shutil.disk_usage(self._cache).free
        if need > free:
            raise SourceError(
                f"{self._repo} needs {need:,} bytes more and {self._cache} has {free:,}", hint="make room, or narrow the patterns"
            )

    def _download(
        self, remote: Mapping[str, _Remote], name: str, commit: str, workers: int, progress: Callable[[Progress], None] | None
    ) -> tuple[dict[str, FilePin], int]:
        files: dict[str, FilePin] = {}
        downloaded = bytes_done = 0
        pool = ThreadPoolExecutor(max(1, workers))
        with bars(progress is None and sys.stderr.isatty()):
            try:
                tasks = {pool.submit(self._one, path, r, name, commit): path for path, r in remote.items()}
                for task in as_completed(tasks):
                    path = tasks[task]
                    files[path], new = task.result()
                    downloaded, bytes_done = downloaded + new, bytes_done + files[path].size
                    if progress:
                        progress(Progress(path, len(files), len(remote), bytes_done, sum(r.size for r in remote.values())))
            finally:
                pool.shutdown(cancel_futures=True)
        return dict(sorted(files.items())), downloaded

    def _one(self, path: str, remote: _Remote, name: str, commit: str) -> tuple[FilePin, bool]:
        """Return a file's pin and whether it was downloaded; a cached copy that is damaged is downloaded anew."""
        local, wanted = snapshot(self._cache, name, commit) / path, self._wanted(path, remote)
        if local.is_file():
            found = pin_of(local)
            if wanted in ("", found.sha256) and found.size == remote.size:
                return found, False
            _drop(local, self._cache)
        trying(
            lambda: self._api.hf_hub_download(name, path, repo_type="dataset", revision=commit, cache_dir=self._cache),
            self._repo,
            self._api,
            commit,
        )
        found = pin_of(local)
        if wanted not in ("", found.sha256):
            _drop(local, self._cache)
            raise self._changed(path, commit)
        return found, True

    def _wanted(self, path: str, remote: _Remote) -> str:
        known = self._pin.files.get(path) if self._pin else None
        return known.sha256 if known else remote.sha256

    def _changed(self, path: str, commit: str) -> SourceError:
        return SourceError(
            f"{self._repo}: {path} has other bytes than its pin says, at the same commit {commit}",
            hint="somebody changed it or the way to it; compare it with the set's page before you fetch with update",
        )

    def _keep(self, new: Pin) -> None:
        def merge(old: Pin | None) -> Pin:
            if old is None or old.commit != new.commit:
                return new
            patterns = tuple(sorted({*old.patterns, *new.patterns}))
            return new.model_copy(update={"patterns": patterns, "files": {**old.files, **new.files}})

        keep_pin(self._cache, self._repo, merge)


def _drop(local: Path, cache: Path) -> None:
    """Take a file out of the cache, with the blob that it points to."""
    blob = local.resolve()
    local.unlink(missing_ok=True)
    if blob.is_relative_to(cache.resolve()):
        blob.unlink(missing_ok=True)


def _from_mirror(repo: str, patterns: tuple[str, ...], cache: Path, mirror: Path, update: bool) -> Fetched:
    """Hash and pin the files of a mirror folder; those the Hub's pin knows must be the same."""
    folder = mirror / repo
    if not folder.is_dir():
        raise SourceError(f"no folder {folder} in the mirror", hint="it holds each set as OWNER/NAME/…")
    root = folder.resolve()
    inside = [p for p in folder.rglob("*") if p.is_file() and p.resolve().is_relative_to(root)]
    names = matching([p.relative_to(folder).as_posix() for p in inside], patterns)
    if not names:
        raise SourceError(f"{folder} has no file like {' or '.join(patterns)}", hint="copy the set's files there")
    files = {name: pin_of(folder / name) for name in names}
    pins, key = read_pins(cache), f"mirror:{repo}"
    for known in (pins.get(key), pins.get(repo)):
        changed = [n for n in files if known and n in known.files and files[n] != known.files[n]]
        if changed and not update:
            raise SourceError(f"{folder / changed[0]} has other bytes than its pin says", hint="fetch with update to pin it anew")
    hub = pins.get(repo)
    if hub and all(hub.files.get(name) == pin for name, pin in files.items()):
        return Fetched(folder, hub.commit, files, 0, len(files))
    content = hashlib.sha256("\n".join(f"{n} {p.sha256}" for n, p in files.items()).encode()).hexdigest()
    keep_pin(cache, key, lambda _: Pin(commit=content, name=repo, patterns=patterns, files=files))
    return Fetched(folder, content, files, 0, len(files))
