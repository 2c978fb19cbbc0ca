"""Versions of datasets: what a run's data is called by its content, and by people.

A version is the beginning of a SHA-256 over the names and hashes of a run's data files, so that equal data has an equal version wherever
it lies.  Tags are names that people gave to versions; they stand in ``versions.jsonl`` of the runs folder, a chain
(`pixel_synth.prove.chain`) to which lines are only added.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any, NamedTuple

from pixel_synth.errors import RunError, UsageError
from pixel_synth.jsonl import lines_of, sha256_of
from pixel_synth.prove.audit import NAME as TRAIL
from pixel_synth.prove.audit import Audit, read_json
from pixel_synth.prove.chain import Chain, verify
from pixel_synth.publish.hub_plan import goes

NAME = "versions.jsonl"
DIGITS = 12
SHORTEST = 6  # digits of a version that are enough to find it
# What git and the Hub take as a name of a version (https://git-scm.com/docs/git-check-ref-format), without a slash.
_TAG = re.compile(r"[A-Za-z0-9](?:[\w.+-]{0,98}\w)?", re.ASCII)


class Tag(NamedTuple):
    """A name for the version that a run had then."""

    name: str
    run: str
    version: str
    at: str
    message: str


class Version(NamedTuple):
    """A run with the version of its data; ``tags`` are those of exactly this data, ``former`` those of what it held before."""

    run: Path
    version: str
    tags: tuple[str, ...]
    former: tuple[str, ...]
    records: int
    bytes: int
    started: str
    status: str


def data_files(run: Path) -> dict[str, dict[str, Any]]:
    """Return the data files of a finished run as its manifest lists them; rejected and failed records are none.

    Raises:
        RunError: When it has no manifest.
    """
    path = run / "manifest.json"
    if not path.is_file():
        raise RunError(f"{run} has no manifest.json: it has not ended, or is no run", hint=f"--resume {run}")
    return {name: pin for name, pin in read_json(path).get("files", {}).items() if name.startswith("data/") and goes(name, True)}


def version_of(run: Path) -> str:
    """Return the version of a run's data, 12 hex digits, from its manifest.

    Raises:
        RunError: When it has not ended, or has no data.
    """
    files = data_files(run)
    if not files:
        raise RunError(f"{run} has no data files in manifest.json")
    return hashlib.sha256("\n".join(f"{name} {pin['sha256']}" for name, pin in sorted(files.items())).encode()).hexdigest()[:DIGITS]


def tags(runs: Path) -> list[Tag]:
    """Return all tags of a runs folder, oldest first.

    Raises:
        RunError: When ``versions.jsonl`` was changed by hand.
    """
    path = runs / NAME
    if faults := verify(path).faults:
        raise RunError(f"{path}:{faults[0].line}: {faults[0].what}", hint="lines are only added to it; restore it from a backup")
    return [
        Tag(e.subject, str(e.details["run"]), str(e.details["version"]), e.at, str(e.details["message"]))
        for e in Chain(path).entries()
        if e.action == "tag"
    ]


def tag(run: Path, name: str, message: str = "") -> Tag:
    """Give the data of a run a name; giving it again changes nothing.

    Raises:
        UsageError: When that cannot be a name.
        RunError: When the name is taken, or the data is not as the manifest says.
    """
    if not _TAG.fullmatch(name) or ".." in name or name.endswith(".lock"):
        raise UsageError(f"{name!r} cannot name a version", hint="letters, digits and . _ + -, for example v1.2.0")
    run = run.resolve()
    version, files = version_of(run), data_files(run)
    if wrong := [n for n, pin in files.items() if not (run / n).is_file() or sha256_of(run / n) != pin["sha256"]]:
        raise RunError(f"{run / wrong[0]}: missing, or not as manifest.json says", hint=f"pixel-synth check {run}")
    for t in tags(run.parent):
        if t.name == name and (t.run, t.version) == (run.name, version):
            return t
        if t.name == name:
            raise RunError(f"{name} is {t.run} ({t.version}) already; a tag never moves", hint="choose another name")
    entry = Chain(run.parent / NAME).append("tag", name, run=run.name, version=version, message=message)
    if (run / TRAIL).is_file():
        Audit(run).append("tag", name, version=version, message=message)
    return Tag(name, run.name, version, entry.at, message)


def versions(runs: Path) -> list[Version]:
    """Return every finished run of a folder, by name.

    Raises:
        RunError: When there is no such folder.
    """
    if not runs.is_dir():
        raise RunError(f"no folder {runs}", hint="the folder that holds the run directories, default runs")
    named, found = tags(runs), []
    for path in sorted(runs.glob("*/manifest.json")):
        run, files = path.parent, data_files(path.parent)
        if not files:
            continue
        info, version = read_json(run / "run.json") if (run / "run.json").is_file() else {}, version_of(run)
        now = tuple(t.name for t in named if (t.run, t.version) == (run.name, version))
        former = tuple(t.name for t in named if t.run == run.name and t.version != version)
        records = sum(lines_of(run / n) for n in files if n.count("/") == 1 and n.endswith(".jsonl") and (run / n).is_file())
        size = sum(int(pin["bytes"]) for pin in files.values())
        found.append(Version(run, version, now, former, records, size, str(info.get("started", "")), str(info.get("status", ""))))
    return found


def resolve(ref: str, runs: Path) -> Path:
    """Return the folder or file that a path, a tag or a version means.

    Raises:
        RunError: When there is none, or the run holds other data by now.
        UsageError: When several runs begin with that version and differ.
    """
    if (path := Path(ref)).exists():
        return path
    for t in tags(runs):
        if t.name == ref:
            run = runs / t.run
            now = version_of(run) if run.is_dir() else "gone"
            if now != t.version:
                raise RunError(f"{ref} is {t.version} of {run}, which is {now} now", hint="restore it from a backup: pixel-synth restore")
            return run
    found = [v for v in versions(runs) if v.version.startswith(ref)] if len(ref) >= SHORTEST and runs.is_dir() else []
    if len({v.version for v in found}) > 1:
        raise UsageError(f"{ref} begins several versions: {', '.join(v.version for v in found)}", hint="give more digits")
    if not found:
        raise RunError(f"{ref} is no folder, and no tag or version in {runs}", hint=f"pixel-synth version list {runs}")
    return found[0].run
