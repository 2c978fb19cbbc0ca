"""Read files of records in a process of its own, and say how long it took and how much memory.

``python -m pixel_synth.prove.reading READER FILE...`` prints a `Reading` as JSON.  The time is from the opened reader to the last record,
the start of Python and the import of libraries left out; the memory is the peak of the whole process.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from pixel_synth.jsonl import read

MOST_S = 1800  # after which a reader is given up


class Reading(NamedTuple):
    """What one reader took for all files; ``reason`` says why it was not measured."""

    reader: str
    records: int = 0
    wall_s: float = 0.0
    peak_mb: float = 0.0
    reason: str = ""


def _jsonl(paths: Sequence[Path]) -> Callable[[], int]:
    return lambda: sum(row.record is not None for path in paths for row in read(path))


def _datasets(paths: Sequence[Path]) -> Callable[[], int]:
    import datasets

    datasets.disable_progress_bars()

    def load() -> int:
        with tempfile.TemporaryDirectory(prefix="pixel-reading-") as cache:
            found = datasets.load_dataset("json", data_files=[str(p) for p in paths], split="train", cache_dir=cache)
            return sum(1 for _ in found)

    return load


def _pyarrow(paths: Sequence[Path]) -> Callable[[], int]:
    import pyarrow.parquet as parquet

    def load() -> int:
        return sum(batch.num_rows for path in paths for batch in parquet.ParquetFile(path).iter_batches(1024))

    return load


READERS: Mapping[str, Callable[[Sequence[Path]], Callable[[], int]]] = {"jsonl": _jsonl, "datasets": _datasets, "pyarrow": _pyarrow}


def readings(paths: Sequence[Path]) -> Iterator[Reading]:
    """Yield what every reader takes; pyarrow reads the Parquet files that lie beside the JSONL, if there are any."""
    columnar = [p for path in paths if (p := path.with_name(path.name.partition(".")[0] + ".parquet")).is_file()]
    full = [p for p in paths if p.stat().st_size]
    for reader in READERS:
        files = columnar if reader == "pyarrow" else full
        if files:
            yield measured(reader, files)
        else:
            yield Reading(reader, reason="there are no Parquet files" if reader == "pyarrow" else "the files are empty")


def measured(reader: str, paths: Sequence[Path]) -> Reading:
    """Read files in a process of its own."""
    command = [sys.executable, "-m", "pixel_synth.prove.reading", reader, *map(str, paths)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=MOST_S, check=False)  # noqa: S603 - our own module
    except subprocess.TimeoutExpired:
        return Reading(reader, reason=f"it did not end within {MOST_S} s")
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        return Reading(reader, reason=f"it failed: {last[:200]}")
    return Reading(**json.loads(done.stdout.splitlines()[-1]))


def main(reader: str, *files: str) -> None:
    """Read, and print a `Reading` as JSON."""
    load = READERS[reader]([Path(f) for f in files])
    start = time.perf_counter()
    records = load()
    wall = time.perf_counter() - start
    scale = 1024 if sys.platform != "darwin" else 1024 * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / scale
    print(json.dumps(Reading(reader, records, round(wall, 4), round(peak, 1))._asdict()))


if __name__ == "__main__":
    main(*sys.argv[1:])
