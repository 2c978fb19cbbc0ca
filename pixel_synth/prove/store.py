"""Where backups lie: content-addressed objects and snapshots at any fsspec URL.

``objects/ab/abcd…`` is up to 16 MiB of a file, packed with zstd and named by the SHA-256 of what it unpacks to, so that equal content is
sent and kept once, and damage shows.  ``snapshots/NAME.json`` lists the files of one backup and is written last.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import secrets
from collections.abc import Iterator
from typing import Annotated, Any, NamedTuple

from pydantic import Field, ValidationError

from pixel_synth.errors import RunError, UsageError
from pixel_synth.prove.chain import canonical
from pixel_synth.records import Record

CHUNK = 16 * 2**20  # bytes of a file in one object; also the most that a kill can lose, and about what memory is needed
LEVEL = 6  # of zstd
# Where a put is whole or not there; elsewhere a file is written beside its place and moved.
ATOMIC = frozenset({"memory", "s3", "s3a", "gs", "gcs", "az", "abfs", "abfss"})
EXTRAS = ("s3", "sftp")  # of pyproject.toml
NAMED = re.compile(r"[0-9]{8}T[0-9]{9}Z-[0-9a-f]{8}")
_SHA = r"^[0-9a-f]{64}$"


class Kept(Record):
    """One file of a snapshot; ``chunks`` are the objects that it is made of, in order, none for an empty file."""

    sha256: str = Field(pattern=_SHA)
    bytes: int = Field(ge=0)
    mode: int = Field(ge=0, le=0o777)
    chunks: tuple[Annotated[str, Field(pattern=_SHA)], ...] = ()


class Snapshot(Record):
    """One backup: what lay where in the run, and what was left out.

    ``check`` is the SHA-256 of the canonical JSON of all the rest.  ``differs`` names files that were not as the run's manifest says.
    """

    format: int = Field(default=1, ge=1, le=1)
    run: str
    at: str
    toolkit: str
    private: bool
    files: dict[str, Kept]
    folders: dict[str, int]
    left_out: tuple[str, ...] = ()
    differs: tuple[str, ...] = ()
    check: str = Field(default="", pattern=r"^([0-9a-f]{64})?$")

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(f.bytes for f in self.files.values())

    def checked(self) -> str:
        """Return what ``check`` must be."""
        return hashlib.sha256(canonical(self.model_dump(mode="json", exclude={"check"}))).hexdigest()


class Damage(NamedTuple):
    """What cannot be read any more, and why; ``name`` is a path in the store."""

    name: str
    why: str


class Damaged(Exception):
    """An object that is not there or does not hold what its name says."""


class Store:
    """The store at a URL.

    Args:
        url: Anything fsspec takes: a folder, ``file://``, ``s3://bucket/folder``, ``sftp://host/folder``.

    Raises:
        UsageError: When there is no such protocol, or its package is missing.
    """

    def __init__(self, url: str) -> None:
        import fsspec  # type: ignore[import-untyped]

        self.url = shown(url)
        try:
            self.fs, self.root = fsspec.core.url_to_fs(url)
        except ImportError as error:
            scheme = url.partition(":")[0]
            hint = f"pip install 'pixel-synth[{scheme}]'" if scheme in EXTRAS else "install that package"
            raise UsageError(f"{self.url}: {error}", hint=hint) from error
        except ValueError as error:
            raise UsageError(f"{self.url}: {error}", hint="file:///folder, s3://bucket/folder, sftp://host/folder") from error
        self.root = self.root.rstrip("/")
        protocols = {self.fs.protocol} if isinstance(self.fs.protocol, str) else set(self.fs.protocol)
        self._atomic = bool(protocols & ATOMIC)

    # ------------------------------------------------------------------------------------------ objects

    def objects(self) -> dict[str, int]:
        """Return the name and packed size of every object."""
        found = ((path.rsplit("/", 1)[-1], int(info["size"] or 0)) for path, info in self._find("objects"))
        return {name: size for name, size in found if re.fullmatch(_SHA, name)}

    def sweep(self) -> None:
        """Take away what killed backups left half written."""
        for path, _ in list(self._find("")):
            if path.endswith(".part"):
                self.fs.rm_file(path)

    def put(self, digest: str, data: bytes) -> int:
        """Send one object; return its packed size."""
        import zstandard

        packed = zstandard.ZstdCompressor(level=LEVEL, write_checksum=True).compress(data)
        self._write(self.place(digest), packed)
        return len(packed)

    def get(self, digest: str) -> bytes:
        """Return what an object holds.

        Raises:
            Damaged: When it is not there, cannot be unpacked, or holds something else.
        """
        import zstandard

        try:
            packed = self.fs.cat_file(f"{self.root}/{self.place(digest)}")
            if zstandard.get_frame_parameters(packed).content_size > CHUNK:
                raise Damaged(f"it says it unpacks to more than {CHUNK >> 20} MiB")
            data: bytes = zstandard.ZstdDecompressor().decompress(packed, max_output_size=CHUNK)
        except FileNotFoundError:
            raise Damaged("it is not there") from None
        except zstandard.ZstdError as error:
            raise Damaged(f"it cannot be unpacked: {error}") from error
        except OSError as error:
            raise Damaged(f"it cannot be read: {error}") from error
        if hashlib.sha256(data).hexdigest() != digest:
            raise Damaged("it holds something else than its name says")
        return data

    @staticmethod
    def place(digest: str) -> str:
        """Return where an object lies, below the store's root."""
        return f"objects/{digest[:2]}/{digest}"

    # ---------------------------------------------------------------------------------------- snapshots

    def names(self) -> list[str]:
        """Return the names of all snapshots, oldest first."""
        found = (p.rsplit("/", 1)[-1].removesuffix(".json") for p, _ in self._find("snapshots") if p.endswith(".json"))
        return sorted(name for name in found if NAMED.fullmatch(name))

    def keep(self, snapshot: Snapshot) -> str:
        """Write a snapshot and return its name: when it was made, and the beginning of its hash."""
        whole = snapshot.model_copy(update={"check": snapshot.checked()})
        name = f"{re.sub('[^0-9TZ]', '', snapshot.at)}-{whole.check[:8]}"
        self._write(f"snapshots/{name}.json", json.dumps(whole.model_dump(mode="json"), indent=1).encode() + b"\n")
        return name

    def snapshot(self, name: str) -> Snapshot:
        """Read a snapshot.

        Raises:
            RunError: When it is not there or is damaged.
        """
        where = f"{self.url}: snapshots/{name}.json"
        if not NAMED.fullmatch(name):
            raise UsageError(f"{name!r} names no snapshot", hint=f"pixel-synth backup --list {self.url}")
        try:
            found = Snapshot.model_validate_json(self.fs.cat_file(f"{self.root}/snapshots/{name}.json"))
        except FileNotFoundError as error:
            raise RunError(f"{where} is not there", hint=f"pixel-synth backup --list {self.url}") from error
        except ValidationError as error:
            raise RunError(f"{where} is damaged: {error.errors()[0]['msg']}", hint="take another snapshot: --snapshot NAME") from error
        if found.check != found.checked():
            raise RunError(f"{where} is damaged: it was changed after it was written", hint="take another snapshot: --snapshot NAME")
        return found

    def snapshots(self) -> tuple[dict[str, Snapshot], list[Damage]]:
        """Return all snapshots by name, oldest first, and those that are damaged."""
        found, damaged = dict[str, Snapshot](), list[Damage]()
        for name in self.names():
            try:
                found[name] = self.snapshot(name)
            except RunError as error:
                damaged.append(Damage(f"snapshots/{name}.json", error.message.rpartition(": ")[2]))
        return found, damaged

    def remove(self, name: str) -> None:
        """Take away a file of the store."""
        self.fs.rm_file(f"{self.root}/{name}")

    # --------------------------------------------------------------------------------------------- files

    def _find(self, folder: str) -> Iterator[tuple[str, dict[str, Any]]]:
        self.fs.invalidate_cache()
        try:
            yield from self.fs.find(f"{self.root}/{folder}".rstrip("/"), detail=True).items()
        except FileNotFoundError:
            return

    def _write(self, name: str, data: bytes) -> None:
        path = f"{self.root}/{name}"
        try:
            if self._atomic:  # no folders are made there: that could make a bucket
                self.fs.pipe_file(path, data)
                return
            self.fs.makedirs(path.rpartition("/")[0], exist_ok=True)
            beside = f"{path.rpartition('/')[0]}/.{secrets.token_hex(6)}.part"
            with self.fs.open(beside, "wb") as file:
                file.write(data)
                file.flush()
                with contextlib.suppress(AttributeError, OSError):  # far away there is nothing to sync
                    os.fsync(file.fileno())
            self.fs.mv(beside, path)
        except (OSError, NotImplementedError) as error:
            raise RunError(f"{self.url}: {name} cannot be written: {error}", hint="the same command goes on where it stopped") from error


def shown(url: str) -> str:
    """Return a URL without user, password and query, for messages and the audit trail."""
    return re.sub(r"(?<=://)[^/@]*@", "", url).split("?")[0]
