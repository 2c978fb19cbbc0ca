"""What a push would send: which files, what is in them, and every reason why it may not go.

A run gives away its data, card, report, mix and splits.  What was rejected, the reversible audit of redactions, the stages and all
logs stay where they are.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from pixel_synth.errors import SourceError, UsageError
from pixel_synth.sources.licence import OURS, OWN, UNKNOWN, terms
from pixel_synth.sources.pins import FilePin, check_path

# Of a run, what is meant for others ...
GIVEN = ("README.md", "LICENSE*", "data/*", "figures/*", "report.md", "report.html", "report.json", "report.csv", "report.txt", "mix.json",
        "splits.json")  # fmt: skip
# ... and what never leaves, of a run or of any other folder: by a folder's name, or by a file's.
KEPT_FOLDERS = frozenset({"private", "stages", "shards", "audit"})
KEPT_FILES = (
    "audit*",
    "reject*",
    "failed.jsonl",
    "review.jsonl",
    "*.sqlite*",
    "ledger*",
    "*.log",
    "log.jsonl",
    "run.json",
    "manifest.json",
    ".*",
)
# Shapes of secrets: Hugging Face user tokens; GitHub's (https://github.blog/engineering/behind-githubs-new-authentication-token-formats/);
# keys of OpenAI and those who copied its "sk-"; AWS access key ids (docs.aws.amazon.com, "IAM identifiers", unique identifiers).
SECRETS = tuple(  # each begins with fixed letters, which `re` finds three to four times faster than alternatives
    re.compile(p)
    for p in (
        rb"hf_[A-Za-z0-9]{30,}",
        rb"gh[pousr]_[A-Za-z0-9]{36}",
        rb"sk-(?<!\wsk-)[A-Za-z0-9_-]{32,}",
        rb"AKIA[0-9A-Z]{16}",
        rb"ASIA[0-9A-Z]{16}",
    )
)
BLOCK = 2**20
LONGEST_LINE = 64 * 2**20  # a longer one is no record of ours
# https://git-scm.com/docs/git-check-ref-format, and no slash
_TAG = re.compile(r"\w(?:[\w.+-]{0,98}\w)?", re.ASCII)
OVERLAP = 256  # longer than any secret above, so that none is missed between two blocks


class Contents(NamedTuple):
    """What the records of the files say about themselves, each value with its number of records."""

    records: int
    licences: Mapping[str, int]
    sources: Mapping[str, int]
    engines: Mapping[str, int]
    pairs: tuple[tuple[str, str], ...]  # of source and licence
    secrets: tuple[str, ...]


class PushPlan(NamedTuple):
    """Everything that a push would do; ``refusals`` must be empty for it to happen."""

    folder: Path
    files: Mapping[str, FilePin]
    stays: tuple[str, ...]
    contents: Contents
    tag: str
    message: str
    refusals: tuple[str, ...]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(f.size for f in self.files.values())


def plan(
    folder: Path,
    *,
    tag: str = "",
    public: bool = False,
    allow_unreviewed: bool = False,
    allow_composer: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> PushPlan:
    """Read a run or a folder once, from end to end, and say what a push of it would send.

    Args:
        folder: A run directory, or a folder of dataset files.
        tag: Name of the version; default: ``version`` of run.json, else ``v-`` and the first 12 digits of the files' common hash.
        public: Whether everybody may read it, so that licences count.
        allow_unreviewed: Whether data of which no record was reviewed may go.
        allow_composer: Whether data that only the composer wrote may go.
        progress: Called with the bytes read and all bytes.

    Raises:
        SourceError: When there is no such folder, or the run has not ended.
        UsageError: When ``tag`` cannot name a version.
    """
    if not folder.is_dir():
        raise SourceError(f"no folder {folder}", hint="a run directory, or a folder of dataset files")
    run = _json(folder / "run.json") if (folder / "run.json").is_file() else None
    manifest = _manifest(folder, run is not None)
    there = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
    named = [n for n in (manifest or there) if goes(n, run is not None)]
    reading = _Reading(sum((folder / n).stat().st_size for n in named if (folder / n).is_file()), progress)
    refusals, files = [], {}
    for name in named:
        found = reading.file(folder, check_path(str(folder), name))
        if found is None or (manifest and found != manifest[name]):
            refusals.append(f"{name} is missing, or differs from manifest.json")
        else:
            files[name] = found
    reading.tables(folder, [n for n in files if n.endswith(".parquet")])
    contents = reading.contents()
    refusals += _refusals(contents, files, _reviewed(run or {}), public, allow_unreviewed, allow_composer)
    tag = _checked(tag or str((run or {}).get("version") or "") or f"v-{_common(files)[:12]}")
    message = f"{tag}: {contents.records:,} records in {len(files):,} files"
    return PushPlan(folder, files, tuple(n for n in there if n not in named), contents, tag, message, tuple(refusals))


def _reviewed(run: Mapping[str, Any]) -> int:
    told = run.get("reviewed")
    number = told.get("records") if isinstance(told, dict) else 0
    return number if isinstance(number, int) else 0


def _checked(tag: str) -> str:
    if not _TAG.fullmatch(tag) or ".." in tag or tag.endswith(".lock"):
        raise UsageError(f"{tag!r} is no name of a version", hint="letters, digits, dots and dashes, such as v1.2.0")
    return tag


def goes(name: str, run: bool) -> bool:
    """Whether a file is for others."""
    path = PurePosixPath(name)
    if KEPT_FOLDERS & set(path.parts[:-1]) or any(fnmatchcase(part, pattern) for part in path.parts for pattern in KEPT_FILES):
        return False
    return not run or any(fnmatchcase(name, pattern) for pattern in GIVEN)


def _refusals(
    contents: Contents, files: Mapping[str, FilePin], reviewed: int, public: bool, allow_unreviewed: bool, allow_composer: bool
) -> Iterator[str]:
    if not files:
        yield "nothing in it is for others"
        return
    yield from contents.secrets
    if not contents.records:
        yield "no JSONL or Parquet file with records of pixel_synth: neither their licences nor who wrote them can be told"
    if not reviewed and not allow_unreviewed:
        yield "no record was reviewed by a person (run.json has no reviewed.records); --allow-unreviewed sends it all the same"
    if contents.engines and set(contents.engines) == {"composer"} and not allow_composer:
        yield "only the composer wrote it, which is for trying things out; --allow-composer sends it all the same"
    if public:
        for problem in terms(contents.pairs).problems:
            yield f"{problem}; leave it out, or push without --public"


class _Reading:
    """Reads each file once: its hash, secrets in it, and what its records say."""

    def __init__(self, total: int, progress: Callable[[int, int], None] | None) -> None:
        self._total, self._progress, self._read = total, progress, 0
        self._records = 0
        self._secrets: list[str] = []
        self._pairs: Counter[tuple[str, str]] = Counter()
        self._engines: Counter[str] = Counter()
        self._token = os.environ.get("HF_TOKEN", "").encode()

    def file(self, folder: Path, name: str) -> FilePin | None:
        """Return the pin of a file, or nothing when it is not there or lies outside the folder."""
        path = folder / name
        if not path.is_file() or not path.resolve().is_relative_to(folder.resolve()):
            return None
        digest, size, tail = hashlib.sha256(), 0, b""
        lines = name.endswith(".jsonl")
        with path.open("rb") as file:
            while block := file.readline(LONGEST_LINE) if lines else file.read(BLOCK):
                digest.update(block)
                size += len(block)
                self._look(tail + block, name)
                tail = b"" if block.endswith(b"\n") else block[-OVERLAP:]
                if lines:
                    self._record(block)
                self._tell(len(block))
        return FilePin(size=size, sha256=digest.hexdigest())

    def _tell(self, n: int) -> None:
        self._read += n
        if self._progress:
            self._progress(self._read, self._total)

    def _look(self, text: bytes, name: str) -> None:
        hit = any(s.search(text) for s in SECRETS) or (self._token and self._token in text)
        if hit and not any(s.startswith(f"{name} holds") for s in self._secrets):
            self._secrets.append(f"{name} holds what looks like an access token; take it out, and revoke it")

    def _record(self, line: bytes) -> None:
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):  # no record of ours; `pixel-synth check` tells of such lines
            return
        self._origin(row.get("provenance") if isinstance(row, dict) else None)

    def tables(self, folder: Path, names: Iterable[str]) -> None:
        """Take the provenance from Parquet files, where no JSONL file had any."""
        import pyarrow.parquet as pq

        for name in names if not self._records else ():
            try:
                file = pq.ParquetFile(folder / name)
            except ValueError as error:  # Arrow's own errors are ValueErrors
                raise SourceError(f"{folder / name} is no Parquet file: {error}", hint="make the dataset again") from error
            if "provenance" in file.schema_arrow.names:
                for batch in file.iter_batches(columns=["provenance"]):
                    for row in batch.to_pylist():
                        self._origin(row["provenance"])

    def _origin(self, origin: object) -> None:
        if not isinstance(origin, dict):
            return
        self._records += 1
        self._pairs[str(origin.get("source", "")), str(origin.get("license", ""))] += 1
        self._engines[str(origin.get("engine", ""))] += 1

    def contents(self) -> Contents:
        """Return what was found."""
        licences: Counter[str] = Counter()
        sources: Counter[str] = Counter()
        for (source, licence), n in self._pairs.items():
            licences[licence or (OWN if source == OURS else UNKNOWN)] += n
            sources[source] += n
        return Contents(
            records=self._records,
            licences=dict(licences.most_common()),
            sources=dict(sources.most_common()),
            engines=dict(self._engines.most_common()),
            pairs=tuple(sorted(self._pairs)),
            secrets=tuple(self._secrets),
        )


def _manifest(folder: Path, run: bool) -> dict[str, FilePin] | None:
    path = folder / "manifest.json"
    if not path.is_file():
        if run:
            raise SourceError(f"{folder} has no manifest.json: the run has not ended", hint=f"--resume {folder}")
        return None
    try:
        return {name: FilePin(size=entry["bytes"], sha256=entry["sha256"]) for name, entry in sorted(_json(path)["files"].items())}
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise SourceError(f"{path} is no manifest of files with sha256 and bytes", hint="make the dataset again") from error


def _json(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise SourceError(f"{path} is damaged: {error}", hint="restore it from a copy, or make the dataset again") from error
    if not isinstance(data, dict):
        raise SourceError(f"{path} holds no JSON object", hint="restore it from a copy, or make the dataset again")
    return data


def _common(files: Mapping[str, FilePin]) -> str:
    return hashlib.sha256("\n".join(f"{name} {pin.sha256}" for name, pin in sorted(files.items())).encode()).hexdigest()
