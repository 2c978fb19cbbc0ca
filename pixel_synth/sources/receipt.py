"""What a fetch leaves behind for each set: which commit, which files with which bytes, and what was counted in them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from pydantic import Field, ValidationError

from pixel_synth.errors import SourceError
from pixel_synth.jsonl import whole
from pixel_synth.records import Record, Unit
from pixel_synth.sources.pins import FilePin, pin_of


class Measured(Record):
    """What was counted in the rows of a set, and what a sample of them became.

    Shares are of 0-1; ``None`` where nothing was there to measure, and then ``reason`` says why.
    """

    rows: int = Field(ge=0, description="rows, the unreadable ones among them")
    unreadable: int = Field(ge=0)
    nulls: dict[str, Unit] = Field(default_factory=dict, description="share of rows in which a column is missing, null or blank")
    sampled: int = Field(default=0, ge=0, description="rows that were converted to see what becomes of them")
    rejects: Unit | None = Field(default=None, description="share of the sampled rows that could not become a record")
    quality: Unit | None = Field(default=None, description="mean language quality of the records in the sample")
    scored: int = Field(default=0, ge=0, description="records that the mean is of")
    reason: str = ""


class Receipt(Record):
    """The state of one set in the cache."""

    id: str
    repo: str = ""
    revision: str = Field(description="commit, or the SHA-256 over the files of a set that has none")
    folder: str = Field(description="where its files lie; relative to the cache where they lie inside it")
    files: Mapping[str, FilePin] = Field(description="path inside the folder -> size and hash")
    read_as: str = Field(description="hash of how its rows were read when they were counted")
    measured: Measured | None = None

    def base(self, cache: Path) -> Path:
        """Return the folder of its files."""
        return cache / self.folder

    @property
    def bytes(self) -> int:
        """Size of all files."""
        return sum(f.size for f in self.files.values())

    @property
    def sha256(self) -> str:
        """One hash over all files with their paths."""
        return content_hash(self.files)


def content_hash(files: Mapping[str, FilePin]) -> str:
    """Return one SHA-256 over paths and hashes, in the order of the paths."""
    return hashlib.sha256("\n".join(f"{name} {pin.sha256}" for name, pin in sorted(files.items())).encode()).hexdigest()


def _path(cache: Path, id: str) -> Path:
    return cache / "receipts" / f"{id}.json"


def has_receipt(cache: Path, id: str) -> bool:
    """Tell whether a set was fetched, readable as its receipt may be or not."""
    return _path(cache, id).is_file()


def read_receipt(cache: Path, id: str) -> Receipt | None:
    """Return the receipt of a set, or ``None`` when it was never fetched.

    Raises:
        SourceError: When the receipt cannot be read.
    """
    path = _path(cache, id)
    if not path.is_file():
        return None
    try:
        return Receipt.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise SourceError(
            f"{path}: no receipt of this version: {'.'.join(map(str, error.errors()[0]['loc']))}: {error.errors()[0]['msg']}",
            hint=f"pixel-synth sources fetch {id}",
        ) from error


def write_receipt(cache: Path, receipt: Receipt) -> None:
    """Write a receipt whole."""
    with whole(_path(cache, receipt.id)) as file:
        file.write(receipt.model_dump_json(indent=2) + "\n")


def differences(receipt: Receipt, cache: Path) -> list[str]:
    """Compare the files with the receipt and return what differs, one sentence a file."""
    found = []
    for name, pin in receipt.files.items():
        path = receipt.base(cache) / name
        if not path.is_file():
            found.append(f"{name}: missing")
            continue
        now = pin_of(path)
        if now.size != pin.size:
            found.append(f"{name}: {now.size:,} bytes, {pin.size:,} when it was fetched")
        elif now != pin:
            found.append(f"{name}: SHA-256 {now.sha256[:12]}…, {pin.sha256[:12]}… when it was fetched")
    return found
