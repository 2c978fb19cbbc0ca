"""A run directory: everything about one run, safe against being killed at any moment.

::

    run.json          settings, fingerprint, versions, clock times (no other result file holds a clock)
    plan.jsonl        the blueprints of the first attempt of every slot
    shards/*.jsonl    outcomes, one line a slot, appended as slots end; a torn last line is ignored
    ledger.sqlite     every engine call
    links.json        the engines as they were found at the last start: addresses, versions, how schemas travel
    metrics.jsonl     samples of the run in motion, see `runs.gauge`
    server.log        what a server of our own said
    log.jsonl         what happened when
    anchors.json      what the judges say of the anchors, and the baseline they are held against
    data/             the dataset: conversations.jsonl, conversations.parquet, rejected.jsonl, failed.jsonl, review.jsonl
    README.md report.md report.html report.json figures/   card and report, pure functions of the data
    manifest.json     SHA-256 of every file above that is a function of settings and answers

A lock on ``.lock`` is held by the supervising process; workers watch it and end themselves when it is gone.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, NamedTuple

from pixel_synth import __version__
from pixel_synth.calibrate.card import calibration_dir
from pixel_synth.curate.gate import Gate, settle
from pixel_synth.errors import RunError
from pixel_synth.jsonl import sha256_of
from pixel_synth.knowledge.load import knowledge_dir
from pixel_synth.llms.connect import Links
from pixel_synth.plan import Plan
from pixel_synth.prompts import prompts_dir
from pixel_synth.records import Outcome
from pixel_synth.settings import Settings, exact_settings


def write_atomic(path: Path, data: str | bytes) -> None:
    """Write a file so that it is either the old or the new one, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.part")
    with partial.open("wb") as file:
        file.write(data.encode() if isinstance(data, str) else data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)


def _json(path: Path) -> dict[str, Any]:
    try:
        data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise RunError(f"{path} is damaged: {error}", hint="restore it from a copy, or start a new run") from error
    return data


def content_hash() -> str:
    """Return a hash over everything that decides what a plan is put into: packs, prompts, anchors and the package itself."""
    digest = hashlib.sha256()
    package = Path(__file__).resolve().parent.parent
    for folder in (knowledge_dir(), prompts_dir(), calibration_dir() / "anchors", package):
        for path in sorted(folder.rglob("*")):
            if path.suffix in {".py", ".yaml", ".md", ".txt", ".j2", ".json", ".jsonl"} and "_data" not in path.relative_to(folder).parts:
                digest.update(str(path.relative_to(folder)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


_HEAD = re.compile(rb'\{"slot":(\d+),"accepted":(true|false),"stopped":"([^"]?)')


class Position(NamedTuple):
    """Where a slot's outcome lies."""

    path: Path
    start: int
    size: int
    accepted: bool


class Run:
    """One run directory."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: IO[str] | None = None

    # ------------------------------------------------------------------------------ making, opening

    @classmethod
    def create(cls, settings: Settings, job: str, **more: Any) -> Run:
        """Make a new run directory below ``settings.out``, numbered after those that are there; ``more`` goes into ``run.json``."""
        settings.out.mkdir(parents=True, exist_ok=True)
        taken = [p.name.rsplit("-", 1)[-1] for p in settings.out.glob(f"{job}-*")]
        number = max([int(n) for n in taken if n.isdigit()], default=0) + 1
        while True:
            path = settings.out / f"{job}-{number:03d}"
            if not path.exists():
                break
            number += 1
        run = cls(path.with_name(f".{path.name}.{secrets.token_hex(4)}"))
        run.path.mkdir()
        run.save(
            {
                "job": job,
                "settings": settings.model_dump(mode="json"),
                "fingerprint": settings.fingerprint(),
                "content": content_hash(),
                "gate": settle(settings).model_dump(mode="json"),
                "toolkit": __version__,
                "started": datetime.now(UTC).isoformat(timespec="seconds"),
                "status": "started",
                **more,
            }
        )
        os.rename(run.path, path)  # whole, or not there
        return cls(path)

    @classmethod
    def open(cls, path: Path) -> Run:
        """Open an existing run directory.

        Raises:
            RunError: When it is not one.
        """
        if not (path / "run.json").is_file():
            raise RunError(f"{path} is not a run directory (no run.json)", hint="run directories are made below --out, default runs/")
        return cls(path)

    @property
    def info(self) -> dict[str, Any]:
        """Return what ``run.json`` says."""
        return _json(self.path / "run.json")

    @property
    def settings(self) -> Settings:
        """Return the settings the run was made with."""
        return exact_settings(self.info["settings"])

    @property
    def gate(self) -> Gate:
        """Return what each threshold may do, as it was settled when the run was made."""
        return Gate.model_validate(self.info["gate"])

    @property
    def links(self) -> Links:
        """Return the engines as they were found at the last start."""
        path = self.path / "links.json"
        if not path.is_file():
            raise RunError(f"{path} is not there: the run was never started", hint=f"--resume {self.path}")
        return Links.model_validate_json(path.read_text(encoding="utf-8"))

    def keep_links(self, links: Links) -> None:
        """Store the engines as they were found."""
        write_atomic(self.path / "links.json", links.model_dump_json(indent=2) + "\n")

    @property
    def until(self) -> float:
        """Wall-clock time at which this start stops asking; 0 = never."""
        return float(self.info.get("until", 0.0))

    @property
    def stopped(self) -> str:
        """Why the last start ended before every slot was filled: "" when it did not, or the budget that was used up."""
        path = self.path / ".stopped"
        return path.read_text(encoding="utf-8") if path.exists() else ""

    def stop(self, why: str) -> None:
        """Say that this start ends before every slot is filled."""
        write_atomic(self.path / ".stopped", why)

    def save(self, info: dict[str, Any]) -> None:
        """Replace ``run.json``."""
        write_atomic(self.path / "run.json", json.dumps(info, indent=2, ensure_ascii=False) + "\n")

    def change(self, settings: Settings) -> None:
        """Store changed run-time settings.

        Raises:
            RunError: When they would make other content (the model was not the one that the run was made with).
        """
        if settings.fingerprint() != self.info["fingerprint"]:
            raise RunError(f"{self.path}: this would be another run", hint="start a new one")
        self.update(settings=settings.model_dump(mode="json"))

    def update(self, **values: Any) -> None:
        """Change single keys of ``run.json``."""
        self.save({**self.info, **values})

    def lock(self) -> None:
        """Take the run for this process.

        Raises:
            RunError: When another process holds it.
        """
        self._lock = (self.path / ".lock").open("a+")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self.unlock()
            raise RunError(f"{self.path} is in use by another process", hint="wait for it to end") from error

        self._lock.truncate(0)
        self._lock.write(secrets.token_hex(8))  # tells the processes of this holder from those of one that was killed
        self._lock.flush()

    @property
    def holder(self) -> str:
        """The token of whoever locked the run last."""
        return (self.path / ".lock").read_text()

    def unlock(self) -> None:
        """Give the run back."""
        if self._lock:
            self._lock.close()
            self._lock = None

    def log(self, stage: str, message: str, **values: Any) -> None:
        """Append one event to ``log.jsonl``."""
        event = {"at": datetime.now(UTC).isoformat(timespec="milliseconds"), "run": self.path.name, "stage": stage, "message": message}
        with (self.path / "log.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps({**event, **values}, ensure_ascii=False) + "\n")

    # ----------------------------------------------------------------------------------------- plan

    def write_plan(self, plan: Plan) -> None:
        """Write ``plan.jsonl``, or check that it is the same plan when it is there.

        Raises:
            RunError: When the knowledge or toolkit has changed since the run began, so that the plan is another one.
        """
        path = self.path / "plan.jsonl"
        digest = hashlib.sha256()
        partial = path.with_name(".plan.jsonl.part")
        with partial.open("wb") as file:
            for slot in range(len(plan.cells)):
                line = (plan.blueprint(slot).line() + "\n").encode()
                digest.update(line)
                file.write(line)
        if path.exists() and sha256_of(path) != digest.hexdigest():
            partial.unlink()
            raise RunError(f"{path}: knowledge or toolkit changed since this run began, its plan would be another one",
                           hint="start a new run, or go back to the version in run.json")  # fmt: skip
        os.replace(partial, path)

    # -------------------------------------------------------------------------------------- outcomes

    def new_shard(self) -> IO[bytes]:
        """Open a fresh shard file for appending outcomes."""
        folder = self.path / "shards"
        folder.mkdir(exist_ok=True)
        number = len(list(folder.glob("*.jsonl")))
        while True:
            try:
                return (folder / f"{number:05d}.jsonl").open("xb")
            except FileExistsError:
                number += 1

    def positions(self, *, stopped: bool = False) -> dict[int, Position]:
        """Return where the outcome of every finished slot lies; torn lines are skipped, the first whole one counts.

        Args:
            stopped: Also return slots that were left before they were finished, the last time each.
        """
        found: dict[int, Position] = {}
        left: dict[int, Position] = {}
        for path in sorted((self.path / "shards").glob("*.jsonl")):
            start = 0
            with path.open("rb") as file:
                for line in file:
                    head = _HEAD.match(line)
                    if head and line.count(b'{"slot":') == 1 and line.endswith(b"]}\n"):
                        slot, accepted, open_ = head.groups()
                        at = Position(path, start, len(line), accepted == b"true")
                        if open_:
                            left[int(slot)] = at
                        else:
                            found.setdefault(int(slot), at)
                    start += len(line)
        return {**left, **found} if stopped else found

    def outcomes(self) -> Iterator[Outcome]:
        """Yield the outcome of every slot that was begun in slot order, one at a time."""
        files: dict[Path, IO[bytes]] = {}
        try:
            for _, at in sorted(self.positions(stopped=True).items()):
                if at.path not in files:
                    files[at.path] = at.path.open("rb")
                file = files[at.path]
                file.seek(at.start)
                yield Outcome.model_validate_json(file.read(at.size))
        finally:
            for file in files.values():
                file.close()

    # -------------------------------------------------------------------------------------- manifest

    def write_manifest(self, files: list[Path]) -> None:
        """Write ``manifest.json`` with the hash and size of each file."""
        entries = {str(p.relative_to(self.path)): {"sha256": sha256_of(p), "bytes": p.stat().st_size} for p in sorted(files)}
        data = {"fingerprint": self.info["fingerprint"], "toolkit": self.info["toolkit"], "files": entries}
        write_atomic(self.path / "manifest.json", json.dumps(data, indent=2) + "\n")

    def damaged(self) -> list[str]:
        """Return the files that are missing or differ from the manifest.

        Raises:
            RunError: When there is no manifest, because the run has not ended.
        """
        path = self.path / "manifest.json"
        if not path.is_file():
            raise RunError(f"{self.path} has no manifest.json: the run has not ended", hint=f"--resume {self.path}")
        files = _json(path)["files"]
        return [n for n, e in files.items() if not (self.path / n).is_file() or sha256_of(self.path / n) != e["sha256"]]
