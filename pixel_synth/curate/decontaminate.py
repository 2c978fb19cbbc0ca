"""Keep the text of evaluation sets out of the dataset.

A record is contaminated when one of its texts shares 13 words in a row with an evaluation set (Brown et al., 2020, "Language Models
are Few-Shot Learners", appendix C: 13-grams of lower-case words without punctuation).  An evaluation text of 8 to 12 words counts
when it stands in the record whole; shorter ones say too little and are not looked for (8 is the lowest N there, too).  What more than
ten different texts of the data hold is taken for a common phrase and does not count, as there; see `common`.

The index is a sorted array of 64-bit hashes, 12 bytes for each n-gram.  A lookup is wrong with odds of (n-grams indexed) : 2^64; every
hit is quoted, so that a reader can judge it.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from pixel_synth.books import Dropped
from pixel_synth.errors import SourceError, UsageError
from pixel_synth.records import Conversation

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Hashes = NDArray[np.uint64]

N = 13
LEAST = 8
COMMON = 10
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)?")
_BASE = 0x9E3779B97F4A7C15  # odd, so that powers of it never vanish modulo 2**64
_MASK = 2**64 - 1


class Text(NamedTuple):
    """One text of an evaluation file, and where it stands there: file name and 1-based row."""

    file: str
    row: int
    text: str


class Index(NamedTuple):
    """The n-grams of the evaluation sets: sorted hashes, the row of each, and the lengths that occur."""

    hashes: Hashes
    rows: NDArray[np.uint32]
    places: tuple[str, ...]
    lengths: tuple[int, ...]
    skipped: int


class Overlap(NamedTuple):
    """A shared run of words: its hash, the file and row of the evaluation set, and the words."""

    hash: int
    place: str
    quote: str


def texts_of(path: Path) -> Iterator[Text]:
    """Yield every text of a file: strings at any depth of JSONL and JSON, cells of CSV and TSV, paragraphs of anything else; gzip as well.

    Raises:
        SourceError: When the file is not there or cannot be read as what its name says, with the line.
    """
    suffix = path.with_suffix("").suffix.lower() if path.suffix == ".gz" else path.suffix.lower()
    row = 0
    try:
        with _open(path) as file:
            for row, value in _rows(file, suffix):
                for text in _strings(value):
                    yield Text(path.name, row, text)
    except (OSError, EOFError, ValueError, csv.Error, RecursionError) as error:
        raise SourceError(
            f"{path}:{row + 1}: not readable as {suffix or 'text'}: {error}", hint="UTF-8; .jsonl, .json, .csv, .tsv or text"
        ) from error


def _open(path: Path) -> IO[str]:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")


def _rows(file: IO[str], suffix: str) -> Iterator[tuple[int, Any]]:
    if suffix in (".jsonl", ".ndjson"):
        yield from ((n, json.loads(line)) for n, line in enumerate(file, 1) if line.strip())
    elif suffix == ".json":
        data = json.load(file)
        yield from enumerate(data if isinstance(data, list) else [data], 1)
    elif suffix in (".csv", ".tsv"):
        yield from enumerate(csv.DictReader(file, delimiter="\t" if suffix == ".tsv" else ","), 1)
    else:
        yield from enumerate(re.split(r"\n\s*\n", file.read().replace("\r\n", "\n")), 1)


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _strings(inner)


@lru_cache(maxsize=500_000)
def _hash(word: str) -> int:
    return int.from_bytes(hashlib.blake2b(word.encode(), digest_size=8).digest(), "little")


def grams(words: list[str], n: int) -> Hashes:
    """Return the hashes of all runs of ``n`` words, in order: shape (len(words) - n + 1,), empty where there are fewer words."""
    import numpy as np

    if len(words) < n:
        return np.empty(0, np.uint64)
    hashed = np.fromiter((_hash(w) for w in words), np.uint64, len(words))
    total = np.full(len(words) - n + 1, n, np.uint64)
    for i in range(n):
        total += hashed[i : i + len(total)] * np.uint64(pow(_BASE, i + 1, 2**64) & _MASK)
    return total


def words_of(text: str) -> list[str]:
    """Return the lower-case words of a text, without punctuation."""
    return _WORD.findall(text.lower())


def index(texts: Iterable[Text], n: int = N) -> Index:
    """Index the texts of evaluation sets; the first text that holds an n-gram is the one that is named."""
    import numpy as np

    hashes, rows = [np.empty(0, np.uint64)], [np.empty(0, np.uint32)]
    places: dict[str, int] = {}
    lengths, skipped = set(), 0
    for t in texts:
        words = words_of(t.text)
        length = min(n, len(words))
        if length < min(LEAST, n):
            skipped += 1
            continue
        lengths.add(length)
        hashes.append(grams(words, length))
        rows.append(np.full(len(hashes[-1]), places.setdefault(f"{t.file}:{t.row}", len(places)), np.uint32))
    unique, first = np.unique(np.concatenate(hashes), return_index=True)
    return Index(unique, np.concatenate(rows)[first], tuple(places), tuple(sorted(lengths, reverse=True)), skipped)


@lru_cache(maxsize=2)
def _index_of(paths: tuple[Path, ...], n: int) -> Index:
    return index((t for path in paths for t in texts_of(path)), n)


class Decontaminate:
    """Drop records that hold text of evaluation sets; the index is made at first use, once in each process.

    Args:
        evaluation: Files whose texts must not occur.
        n: Words in a row that make an overlap.
        ignored: Hashes of common phrases, from `common`.

    Raises:
        UsageError: When a file is not there, or ``n`` is below 1.
    """

    def __init__(self, evaluation: tuple[Path, ...], n: int = N, ignored: frozenset[int] = frozenset()) -> None:
        missing = [str(path) for path in evaluation if not path.is_file()]
        if missing:
            raise UsageError(f"no evaluation file {', '.join(missing)}", hint="--evaluation FILE")
        if n < 1:
            raise UsageError(f"an overlap is at least 1 word long, not {n}")
        self.evaluation, self.n, self.ignored = tuple(evaluation), n, ignored

    @property
    def index(self) -> Index:
        """The n-grams of the evaluation files."""
        return _index_of(self.evaluation, self.n)

    def __call__(self, conversation: Conversation) -> Conversation | Dropped:
        """Return the record as it is, or which evaluation text it holds."""
        for overlap in self.overlaps(conversation):
            if overlap.hash not in self.ignored:
                return Dropped(f"evaluation text: {overlap.place} “{overlap.quote}”")
        return conversation

    def overlaps(self, conversation: Conversation) -> Iterator[Overlap]:
        """Yield the runs of words that the record shares with an evaluation set."""
        for text in _texts(conversation):
            yield from self.overlaps_of(text)

    def overlaps_of(self, text: str) -> Iterator[Overlap]:
        """Yield the runs of words that a text shares with an evaluation set."""
        import numpy as np

        found, words = self.index, words_of(text)
        for n in found.lengths if len(found.hashes) else ():
            mine = grams(words, n)
            at = np.minimum(np.searchsorted(found.hashes, mine), len(found.hashes) - 1)
            for i in np.flatnonzero(found.hashes[at] == mine).tolist():
                yield Overlap(int(mine[i]), found.places[found.rows[at[i]]], " ".join(words[i : i + n]))


def common(conversations: Iterable[Conversation], step: Decontaminate, most: int = COMMON) -> frozenset[int]:
    """Return the n-grams of the evaluation sets that more than ``most`` different texts of the data hold.

    Equal texts count once: a question with twenty answers is one text twenty times, and contaminated if it is an evaluation set's.
    """
    holders: dict[int, set[int]] = {}
    for conversation in conversations:
        for text in _texts(conversation):
            for overlap in step.overlaps_of(text):
                seen = holders.setdefault(overlap.hash, set())
                if len(seen) <= most:
                    seen.add(_hash(text))
    return frozenset(h for h, seen in holders.items() if len(seen) > most)


def _texts(c: Conversation) -> Iterator[str]:
    yield from (m.content for m in (*c.messages, *c.dispreferred))
    if c.thought:
        yield c.thought
