"""A file of chained lines: every line carries the hash of the line before it.

Whoever changes, deletes, adds or moves a line breaks the chain from there on, and `verify` names the line.  The idea is that of
hash-chained logs (Schneier & Kelsey 1999, Secure Audit Logs to Support Computer Forensics, ACM TISSEC 2(2),
https://doi.org/10.1145/317087.317089) and of transparency logs, whose signed head commits to all that was appended (RFC 6962,
https://www.rfc-editor.org/rfc/rfc6962).  A chain alone cannot show that its end was cut off, or that all of it was written anew: the head
(number and hash of the last line) has to be kept elsewhere too.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import pwd
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import Field, ValidationError

from pixel_synth import __version__
from pixel_synth.errors import RunError, UsageError
from pixel_synth.records import Record

NOTHING = "0" * 64  # what the first line gives as the hash of the line before it
_HEAD = re.compile(r"(\d+):([0-9a-f]{64})")


class Entry(Record):
    """One line: who did what to what, and when; ``hash`` is the SHA-256 of `canonical` of all the rest."""

    n: int = Field(ge=1)
    at: str
    actor: str
    action: str
    subject: str
    details: dict[str, Any] = Field(default_factory=dict)
    previous: str = Field(pattern=r"^[0-9a-f]{64}$")
    hash: str = Field(pattern=r"^[0-9a-f]{64}$")


class Head(NamedTuple):
    """Number and hash of a line; as text ``12:9f86d0…``."""

    n: int
    hash: str

    def __str__(self) -> str:
        return f"{self.n}:{self.hash}"

    @classmethod
    def read(cls, text: str) -> Head:
        """Read a head as `str` writes it.

        Raises:
            UsageError: When it is none.
        """
        if not (found := _HEAD.fullmatch(text.strip())):
            raise UsageError(
                f"{text!r} is no head of an audit trail", hint="a head is NUMBER:64 hex digits, as pixel-synth audit prints it"
            )
        return cls(int(found[1]), found[2])


class Fault(NamedTuple):
    """What is wrong, and in which line (1-based)."""

    line: int
    what: str


class Verified(NamedTuple):
    """What a trail was found to be: its last whole line, every fault, and what is no fault but worth knowing."""

    head: Head | None
    faults: tuple[Fault, ...]
    notes: tuple[str, ...]


def canonical(data: dict[str, Any]) -> bytes:
    """Return the one way to write a JSON object down: keys in order, no spaces, UTF-8, no NaN (compare RFC 8785)."""
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def hash_of(data: dict[str, Any]) -> str:
    """Return the hash of a line's data, its own hash left out."""
    return hashlib.sha256(canonical({k: v for k, v in data.items() if k != "hash"})).hexdigest()


class Chain:
    """A file of chained lines.  Threads and processes may append at the same time; a line is on the disk when `append` returns.

    Args:
        path: The file; made with the first line.
        actor: Who acts; default: the toolkit with its version, and the name of the user.
    """

    def __init__(self, path: Path, actor: str = "") -> None:
        self.path, self._actor = path, actor or f"pixel-synth {__version__}, {_user()}"

    def append(self, action: str, subject: str, /, **details: Any) -> Entry:
        """Add a line.

        A last line that was never finished, because its writer was killed, is taken away first, and a line of its own says so.

        Raises:
            RunError: When it cannot be written, or the last line is damaged.
        """
        with self._locked() as file:
            before, torn = self._end(file)
            if torn:
                file.truncate(file.seek(0, os.SEEK_END) - len(torn))
                lost = {"bytes": len(torn), "sha256": hashlib.sha256(torn).hexdigest()}
                before = self._add(file, before, "recovered", f"line {before.n + 1 if before else 1}", lost)
            return self._add(file, before, action, subject, details)

    def head(self) -> Head | None:
        """Return the last whole line's number and hash; ``None`` when there is none.

        Raises:
            RunError: When that line is damaged.
        """
        if not self.path.is_file():
            return None
        with self.path.open("rb") as file:
            last = self._end(file)[0]
        return Head(last.n, last.hash) if last else None

    def entries(self) -> Iterator[Entry]:
        """Yield the whole lines as they stand there, unverified.

        Raises:
            RunError: For a line that is none, with its number.
        """
        for number, line in self._lines():
            if line.endswith(b"\n"):
                yield self._parsed(number, line)

    def _lines(self) -> Iterator[tuple[int, bytes]]:
        if self.path.is_file():
            with self.path.open("rb") as file:
                yield from enumerate(file, 1)

    @contextmanager
    def _locked(self) -> Iterator[Any]:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            file = self.path.open("a+b", buffering=0)
        except OSError as error:
            raise RunError(f"cannot write {self.path}: {error.strerror}") from error
        with file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield file

    def _end(self, file: Any) -> tuple[Entry | None, bytes]:
        """Return the last whole line, and what stands after it."""
        end, tail = file.seek(0, os.SEEK_END), b""
        while end and tail.count(b"\n") < 2:
            start = max(0, end - 65_536)
            file.seek(start)
            tail, end = file.read(end - start) + tail, start
        last, torn = (b"", *tail.split(b"\n"))[-2:]
        if not last:
            return None, torn
        entry = self._parsed(0, last + b"\n")
        if hash_of(entry.model_dump()) != entry.hash:
            raise RunError(f"{self.path}: its last line was changed: nothing is added to a broken chain", hint="pixel-synth audit --verify")
        return entry, torn

    def _parsed(self, number: int, line: bytes) -> Entry:
        try:
            return Entry.model_validate_json(line)
        except ValidationError as error:
            where = f"{self.path}:{number}" if number else f"{self.path}, last line"
            raise RunError(f"{where}: no line of an audit trail: {error.errors()[0]['msg']}", hint="pixel-synth audit --verify") from error

    def _add(self, file: Any, before: Entry | None, action: str, subject: str, details: dict[str, Any]) -> Entry:
        data = {
            "n": before.n + 1 if before else 1,
            "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "actor": self._actor,
            "action": action,
            "subject": subject,
            "details": json.loads(json.dumps(details, allow_nan=False)),  # as it will be read again
            "previous": before.hash if before else NOTHING,
        }
        data["hash"] = hash_of(data)
        rest = memoryview(canonical(data) + b"\n")
        while rest:
            rest = rest[file.write(rest) :]
        os.fsync(file.fileno())
        if before is None:
            _sync_folder(self.path.parent)
        return Entry.model_validate(data)


def verify(path: Path, kept: Iterable[Head] = ()) -> Verified:
    """Check every line of a chain, and that the given heads are in it.

    Args:
        path: The file.
        kept: Heads that were kept elsewhere.
    """
    faults, notes, hashes = list[Fault](), list[str](), list[str]()
    previous, torn = NOTHING, 0
    for number, line in Chain(path)._lines():
        if not line.endswith(b"\n"):
            notes.append(f"line {number} was never finished (its writer was killed); the next event takes it away")
            torn = number
            break
        what, previous = _fault(number, line, previous)
        hashes.append(previous)
        if what:
            faults.append(Fault(number, what))
    for head in kept:
        if head.n > len(hashes):
            faults.append(Fault(torn or len(hashes) + 1, f"cut off: a head that was kept says there are at least {head.n} lines"))
        elif head.n < 1 or hashes[head.n - 1] != head.hash:
            faults.append(Fault(head.n, f"another line than the kept head {str(head)[:20]}… says: written anew"))
    return Verified(Head(len(hashes), hashes[-1]) if hashes else None, tuple(faults), tuple(notes))


def _fault(number: int, line: bytes, previous: str) -> tuple[str, str]:
    """Return what is wrong with a line ("" = nothing), and the hash that the next one must name."""
    try:
        entry = Entry.model_validate_json(line)
        data = json.loads(line)
        fits = canonical(data) + b"\n" == line and hash_of(data) == entry.hash
    except ValueError:
        return "no line of an audit trail", NOTHING
    wrong = []
    if not fits:
        wrong.append("its text does not fit its hash: changed")
    if entry.n != number:
        wrong.append(f"its number is {entry.n}: lines were taken out, added or moved before it")
    elif entry.previous != previous:
        wrong.append("it does not follow on the line before it: that one was changed, taken out or put in")
    return "; ".join(wrong), entry.hash


def _user() -> str:
    try:
        return f"user {pwd.getpwuid(os.getuid()).pw_name}"
    except KeyError:
        return f"user {os.getuid()}"


def _sync_folder(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
