"""Parquet and Arrow files, batch by batch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pixel_synth.standardise.cell import Cell
from pixel_synth.standardise.opening import Damage, packing

BATCH_ROWS = 256


def read(path: Path) -> Iterator[Cell]:
    """Yield the rows of a Parquet or Arrow file (file or stream format); ``row`` counts from 1.

    Raises:
        Damage: When it cannot be read, or breaks off; the rows before that stay.
    """
    import pyarrow as pa

    if packing(path):
        raise Damage("packed Parquet or Arrow: unpack it first, it needs random access")
    row = 0
    try:
        for batch in _batches(path):
            yield from _cells(batch, row)
            row += batch.num_rows
    except (pa.ArrowException, OSError) as error:
        raise Damage(f"damaged {path.suffix.lstrip('.') or 'file'} after row {row}: {error}") from error


def _batches(path: Path) -> Iterator[Any]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with path.open("rb") as file:
        magic = file.read(6)
    if magic.startswith(b"PAR1"):
        with pq.ParquetFile(path, pre_buffer=False) as whole:
            yield from whole.iter_batches(batch_size=BATCH_ROWS)
        return
    with pa.OSFile(str(path)) as source:
        if magic == b"ARROW1":
            reader = pa.ipc.open_file(source)
            batches: Iterator[Any] = (reader.get_batch(i) for i in range(reader.num_record_batches))
        else:
            batches = iter(pa.ipc.open_stream(source))
        for batch in batches:
            for start in range(0, batch.num_rows, BATCH_ROWS):
                yield batch.slice(start, BATCH_ROWS)


def _cells(batch: Any, before: int) -> Iterator[Cell]:
    try:
        for number, value in enumerate(batch.to_pylist(), before + 1):
            yield Cell(number, value)
    except UnicodeDecodeError:
        for i in range(batch.num_rows):
            try:
                yield Cell(before + i + 1, batch.slice(i, 1).to_pylist()[0])
            except UnicodeDecodeError as error:
                yield Cell(before + i + 1, None, f"encoding: {error.reason} at byte {error.start + 1} of a value")
