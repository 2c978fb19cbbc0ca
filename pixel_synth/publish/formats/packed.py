"""Packed sequences: which records, and which of their tokens, fill each sequence of a trainer's length.

Only ids and counts are written, not tokens: the text is the column ``text`` of the format chat.  Packing takes records out of their order.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from pixel_synth.errors import RecordError, UsageError
from pixel_synth.jsonl import whole
from pixel_synth.publish.entries import Entry, Part
from pixel_synth.publish.packing import pack


class Fill(NamedTuple):
    """How well the sequences of a part are filled.

    ``fill`` is ``None`` when there is none, ``cut`` counts the records that are longer than one.
    """

    records: int
    tokens: int
    longest: int
    sequences: int
    fill: float | None
    cut: int


def place(out: Path, name: str) -> Path:
    """Return the file of a part."""
    part = Part(name, Path())
    return out / "packed" / part.config / f"{part.split}.jsonl"


def lengths(out: Path, name: str) -> Path:
    """Return the file of the token counts of a part's records."""
    return place(out, name).with_suffix(".lengths.jsonl")


@contextmanager
def writing(out: Path, part: Part, most: int, told: dict[str, Any]) -> Iterator[Callable[[Entry], object]]:
    """Take the entries of a part; ids and counts of all are kept until its end, when ``told`` gets its `Fill`."""
    ids: list[str] = []
    counts: list[int] = []
    with whole(lengths(out, part.name)) as file:

        def add(entry: Entry) -> None:
            if not entry.tokens:
                raise UsageError(f"record {entry.record.id} has no tokens to pack", hint="--tokenizer FOLDER")
            ids.append(entry.record.id)
            counts.append(entry.tokens)
            file.write(json.dumps({"id": entry.record.id, "tokens": entry.tokens}) + "\n")

        yield add
    sequences = pack(counts, most)
    with whole(place(out, part.name)) as file:
        for sequence in sequences:
            pieces = [{"id": ids[p.place], "start": p.start, "tokens": p.tokens} for p in sequence]
            file.write(json.dumps({"tokens": sum(p.tokens for p in sequence), "pieces": pieces}) + "\n")
    total = sum(counts)
    share = round(total / (len(sequences) * most), 4) if sequences else None
    told[part.name] = Fill(len(ids), total, max(counts, default=0), len(sequences), share, sum(n > most for n in counts))._asdict()


def fault(out: Path, name: str, expected: dict[str, int], most: int) -> str:
    """Return what is wrong with the sequences of a part, "" when they hold every token of every record once.

    Args:
        out: Folder of the export.
        name: The part.
        expected: Tokens of each record, by id.
        most: Tokens of a sequence.
    """
    ends: dict[str, list[tuple[int, int]]] = {}
    for number, sequence in enumerate(_rows(place(out, name)), 1):
        pieces = sequence["pieces"]
        if sequence["tokens"] != sum(p["tokens"] for p in pieces) or sequence["tokens"] > most:
            return f"sequence {number} does not add up, or is longer than {most} tokens"
        for p in pieces:
            ends.setdefault(p["id"], []).append((p["start"], p["tokens"]))
    if {row["id"]: row["tokens"] for row in _rows(lengths(out, name))} != expected:
        return "the lengths are not those of the records"
    for id, tokens in expected.items():
        at = 0
        for start, count in sorted(ends.pop(id, [])):
            at = at + count if start == at else -1
        if at != tokens:
            return f"record {id} is not packed whole and once"
    return f"{len(ends)} records too many" if ends else ""


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the objects of a JSON Lines file.

    Raises:
        RecordError: At the first line that is none.
    """
    with path.open(encoding="utf-8", newline="\n") as file:
        for number, line in enumerate(file, 1):
            try:
                found = json.loads(line)
            except ValueError as error:
                raise RecordError(f"{path}:{number}: {error}", hint="export it again") from error
            if not isinstance(found, dict):
                raise RecordError(f"{path}:{number}: no JSON object", hint="export it again")
            yield found
