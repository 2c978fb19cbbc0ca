"""The first reading: what is kept in memory of all records while they are compared."""

from __future__ import annotations

import sys
from array import array
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pixel_synth.curate.dedup.keep import Standing, standing
from pixel_synth.curate.dedup.lines import each, lines
from pixel_synth.curate.dedup.pairs import Spool, groups
from pixel_synth.curate.dedup.shingle import Hashes, Offsets
from pixel_synth.curate.dedup.sketch import Facts, sketch
from pixel_synth.records import Conversation

Progress = Callable[[int], None]  # called with the bytes read of a reading


class BadLine(NamedTuple):
    """A line that is no record."""

    error: str
    text: str


class Index(NamedTuple):
    """All records of the files, by their number in the order of reading; arrays have one row per record.

    The first ``compared_files`` files, with the first ``compared`` records, are only compared with.  ``file`` and ``number`` say where a
    record stands, ``bad`` holds the lines that are none, by file and line.  ``said`` and ``said_by`` are of long messages (`sketch.LONG`).
    """

    paths: Sequence[Path]
    compared_files: int
    compared: int
    facts: list[Facts]
    words: Offsets
    file: Offsets
    number: Offsets
    line: Hashes
    keys: Hashes
    bands: Hashes
    said: Hashes
    said_by: Offsets
    bad: dict[tuple[int, int], BadLine]
    spool: Spool

    def place(self, i: int, quality: float | None = None) -> Standing:
        """Return a record's place among its duplicates, with ``quality`` where it has no overall score of its own."""
        facts = self.facts[i]
        if facts.overall is None and quality is not None:
            facts = facts._replace(overall=quality)
        return standing(facts, int(self.words[i]), int(self.line[i]), i < self.compared)

    def exact(self) -> list[list[int]]:
        """Return the groups of two or more records with the same words and roles."""
        found = []
        for group in groups(self.keys[:, 0]):
            same: defaultdict[int, list[int]] = defaultdict(list)
            for i in group.tolist():
                same[int(self.keys[i, 1])].append(i)
            found += [members for members in same.values() if len(members) > 1]
        return found

    def reread(self, wanted: set[int]) -> Iterator[tuple[int, Conversation]]:
        """Yield the wanted records, read again from their files."""
        for i, _, _, raw in self.again():
            if i in wanted:
                yield i, Conversation.model_validate_json(raw)

    def again(self) -> Iterator[tuple[int | None, int, int, bytes]]:
        """Yield every line once more: number of its record (``None`` for a bad line), file, line, bytes."""
        i = 0
        for file, path in enumerate(self.paths):
            for number, raw in lines(path):
                bad = (file, number) in self.bad
                yield None if bad else i, file, number, raw
                i += not bad


def index(paths: Sequence[Path], compared: int, folder: Path | None, seed: int, workers: int, progress: Progress) -> Index:
    """Read files and return what is kept of their records; the first ``compared`` files are only compared with.

    Raises:
        RecordError: When a file is not there or damaged.
        RunError: When a process dies.
    """
    same, spool = sys.intern, Spool(folder)
    facts, bad, n_compared = list[Facts](), dict[tuple[int, int], BadLine](), 0
    words, file, number = array("q"), array("q"), array("q")
    said_by, columns = array("q"), {name: bytearray() for name in ("line", "keys", "bands", "said")}
    for batch, s in each(sketch, paths, seed, workers):
        said_by.extend((s.said_by + len(facts)).tolist())
        facts += [f._replace(source=same(f.source), license=same(f.license)) for f in s.facts]
        words.extend(s.words.tolist())
        file.extend([batch.file] * len(s.good))
        number.extend(batch.numbers[at] for at in s.good.tolist())
        bad |= {(batch.file, batch.numbers[b.at]): BadLine(b.error, b.text) for b in s.bad}
        for name, column in columns.items():
            column += getattr(s, name).tobytes()
        spool.add(s.hashes, s.offsets)
        n_compared += len(s.good) if batch.file < compared else 0
        progress(sum(map(len, batch.lines)))
    spool.flush()
    whole = {name: np.frombuffer(column, dtype=np.uint64) for name, column in columns.items()}
    return Index(
        paths, compared, n_compared, facts, np.frombuffer(words, dtype=np.int64), np.frombuffer(file, dtype=np.int64),
        np.frombuffer(number, dtype=np.int64), whole["line"],
        whole["keys"].reshape(-1, 2), whole["bands"].reshape(len(facts), -1) if facts else np.empty((0, 1), dtype=np.uint64),
        whole["said"], np.frombuffer(said_by, dtype=np.int64), bad, spool,
    )  # fmt: skip
