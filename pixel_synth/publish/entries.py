"""The parts of a dataset and their records, read once for all the formats that they are written in."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from pixel_synth.errors import RecordError, UsageError
from pixel_synth.jsonl import MAX_LINE_BYTES, parsed
from pixel_synth.publish.chat_rows import ChatRow, row
from pixel_synth.publish.chat_template import Rendered, Template
from pixel_synth.records import Conversation

SPLITS = ("train", "validation", "test")
# What stands outside the ratios and the splits: each is a configuration of its own, with one split.
ASIDE = ("auxiliary", "client_lines")
PARTS = (*SPLITS, *ASIDE)
BATCH = 8  # rendered at a time; with more, the garbage collector looks at so many live objects that it costs more than reading
_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")


class Part(NamedTuple):
    """One file of records: a split of the dataset, or what stands beside it."""

    name: str
    source: Path

    @property
    def config(self) -> str:
        """Configuration of the dataset that it belongs to."""
        return self.name if self.name in ASIDE else "default"

    @property
    def split(self) -> str:
        """Split of its configuration that it is."""
        return "train" if self.name in ASIDE else self.name


class Entry(NamedTuple):
    """One record on its way into the formats.

    ``raw`` is its line as it stood in the file, ``line`` the one that the record makes.  ``row`` is what trainers read, ``None`` where no
    template was asked for; ``defused`` counts the marks of the template that people said.
    """

    raw: str
    line: str
    record: Conversation
    row: ChatRow | None = None
    defused: int = 0

    @property
    def tokens(self) -> int | None:
        """Tokens of its text, ``None`` when they were not counted."""
        return self.row.length if self.row else None


def parts(data: Path) -> list[Part]:
    """Return the parts of a dataset: of its folder, of a run directory, or one file as the training split.

    Raises:
        UsageError: When nothing of the kind is there.
    """
    if data.is_file():
        return [Part("train", data)]
    folder = data / "data" if (data / "data").is_dir() else data
    found = [Part(name, path) for name in PARTS for path in (folder / f"{name}.jsonl", folder / f"{name}.jsonl.gz") if path.is_file()]
    if len({part.name for part in found}) < len(found):
        twice = next(part.name for part in found if sum(other.name == part.name for other in found) > 1)
        raise UsageError(f"{folder} holds {twice}.jsonl and {twice}.jsonl.gz", hint="leave one of them")
    if not found and (folder / "conversations.jsonl").is_file():
        return [Part("train", folder / "conversations.jsonl")]
    if not found:
        raise UsageError(f"no records in {data}", hint="a JSONL file, or a folder with train.jsonl, validation.jsonl, test.jsonl")
    return found


def raw_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield every line that is not empty, with its number.

    Raises:
        RecordError: When a line is longer than `pixel_synth.jsonl` reads, or no UTF-8.
    """
    with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
        number = 0
        while line := file.readline(MAX_LINE_BYTES + 1):
            number += 1
            if len(line) > MAX_LINE_BYTES:
                raise RecordError(f"{path}:{number}: line is longer than {MAX_LINE_BYTES >> 20} MiB", hint=f"pixel-synth check {path}")
            if line.strip():
                try:
                    yield number, line.decode("utf-8").strip()
                except UnicodeDecodeError as error:
                    raise RecordError(f"{path}:{number}: no UTF-8 at byte {error.start}", hint=f"pixel-synth check {path}") from error


def entries(part: Part, template: Template | None = None, *, think: bool = False) -> Iterator[Entry]:
    """Yield the records of a part; only a batch of them is held.

    Raises:
        RecordError: At the first line that is no record, holds a NUL, or is refused by the template; with file and line.
    """
    records = _records(part.source)
    if template is None:
        yield from (entry for _, entry in records)
        return
    while batch := list(islice(records, BATCH)):
        yield from _rendered(part, batch, template, think)


def _records(path: Path) -> Iterator[tuple[int, Entry]]:
    for number, raw in raw_lines(path):
        found = parsed(number, raw.encode())
        if found.record is None:
            raise RecordError(f"{path}:{number}: {found.error}", hint=f"pixel-synth check {path}")
        line = found.record.line()
        if "\\u0000" in line and _NUL.search(line):
            raise RecordError(f"{path}:{number}: record {found.record.id} holds a NUL, which CSV cannot hold", hint="take it out")
        yield number, Entry(raw, line, found.record)


def _rendered(part: Part, batch: list[tuple[int, Entry]], template: Template, think: bool) -> Iterator[Entry]:
    made: list[tuple[Entry, ChatRow, Rendered]] = []
    for number, entry in batch:
        plain = row(entry.record, think=think, swapped=part.name == "client_lines")
        try:
            made.append((entry, plain, template.render([m.model_dump() for m in plain.messages])))
        except RecordError as error:
            raise RecordError(f"{part.source}:{number}: record {entry.record.id}: {error.message}", hint=error.hint) from error
    counts = template.tokens([rendered.text for *_, rendered in made]) if template.tokenizer else [None] * len(made)
    for (entry, plain, rendered), tokens in zip(made, counts, strict=True):
        full = plain.model_copy(update={"text": rendered.text, "length": tokens})
        yield entry._replace(row=full, defused=rendered.defused)
