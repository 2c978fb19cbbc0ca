"""Time of ``pixel-synth explain`` in a run of 100,000 records.

    python benchmarks/explain.py                    100,000 records, 2 million calls and more, 4 GB in a temporary folder
    python benchmarks/explain.py --records 2000     a quick look

A few slots are composed for real; their records and calls are multiplied under other ids.  Records keep their full size, answers in
the ledger are cut to 200 characters.  Each time is that of a whole process, start-up included, for another record; the file system's
cache is warm.  All figures are of this machine and this run.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import random
import resource
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from pixel_synth.knowledge import load
from pixel_synth.llms.ask import Asker, Voice
from pixel_synth.llms.composer import Composer
from pixel_synth.llms.connect import Link, Links
from pixel_synth.llms.ledger import Ledger
from pixel_synth.plan import make_plan
from pixel_synth.publish.index import FILES, NAME, rebuild
from pixel_synth.runs.chain import fill_slot
from pixel_synth.runs.directory import Run
from pixel_synth.settings import load_settings

SLOTS, CUT, TIMES = 40, 200, 5
CACHE_KB = 2_000_000  # for building only


class Model(NamedTuple):
    """A record to be multiplied: its line, what in it is renamed, and the rows of its calls without key and blueprint."""

    status: str
    line: str
    id: str
    blueprint: str
    slot: int
    calls: Sequence[tuple[object, ...]]


def models(run: Run) -> list[Model]:
    """Compose `SLOTS` slots for real."""
    settings = run.settings
    plan, ledger, found = make_plan(settings, load()), Ledger(run.path / "ledger.sqlite"), []
    asker = Asker(Voice(Composer(), "composer"), ledger=ledger)
    for slot in range(SLOTS):
        for a in asyncio.run(fill_slot(plan, slot, asker, settings)).attempts:
            c, calls = a.conversation, list(ledger.of(a.blueprint.id))
            rows = [(k.part, k.turn, k.completion.text[:CUT], "stop", None, None, None, k.seconds) for k in calls]
            found.append(Model(a.status, (c or a).line() + "\n", c.id if c else "", a.blueprint.id, slot, rows))
    ledger.close()
    return found


def renamed(id: str, copy: int) -> str:
    """Return an id of the same form for a copy."""
    return hashlib.sha256(f"{id}:{copy}".encode()).hexdigest()[: len(id)]


def build(run: Run, records: int) -> list[str]:
    """Write data, ledger and index of a run of so many records; return their ids."""
    base = models(run)
    (run.path / "data").mkdir()
    ids = []
    files = {status: (run.path / "data" / name).open("w", encoding="utf-8") for status, name in FILES.items()}
    for n in range(records):
        copy, m = n // len(base), base[n % len(base)]
        line = m.line.replace(m.blueprint, renamed(m.blueprint, copy)).replace(f'"slot":{m.slot},', f'"slot":{m.slot + copy * SLOTS},', 1)
        files[m.status].write(line.replace(m.id, renamed(m.id, copy)) if m.id else line)
        ids.append(renamed(m.id or m.blueprint, copy))
    for file in files.values():
        file.close()

    def rows() -> Iterator[tuple[object, ...]]:
        for n in range(records):
            copy, m = n // len(base), base[n % len(base)]
            blueprint = renamed(m.blueprint, copy)
            for number, (part, turn, *rest) in enumerate(m.calls):
                yield (hashlib.sha256(f"{blueprint}:{number}".encode()).hexdigest(), blueprint, part, turn, *rest)

    with sqlite3.connect(run.path / "ledger.sqlite") as db:
        db.execute(f"PRAGMA cache_size=-{CACHE_KB}")
        db.execute("DELETE FROM calls")
        db.execute("DROP INDEX calls_of")
        db.executemany("INSERT INTO calls VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows())
    Ledger(run.path / "ledger.sqlite").close()  # makes the index again
    return ids


def timed(run: Run, id: str) -> tuple[float, float]:
    """Return wall-clock and CPU seconds of one process."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    command = [sys.executable, "-m", "pixel_synth.cli", "explain", id, "--run", str(run.path)]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    if id not in told or "reasoning" not in told:
        raise SystemExit(f"this is no account of {id}:\n{told}")
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Build the run and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=100_000)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run = Run.create(load_settings(engine="composer", accept=SLOTS, out=Path(folder)), "psychology")
        run.keep_links(Links(generator=Link(engine="composer", model="composer")))
        began = time.perf_counter()
        ids = build(run, args.records)
        built = time.perf_counter()
        rebuild(run.path)
        indexed = time.perf_counter()
        ledger = Ledger(run.path / "ledger.sqlite", read_only=True)
        sizes = {name: (run.path / name).stat().st_size / 1e6 for name in ("ledger.sqlite", NAME)}
        data = sum((run.path / "data" / name).stat().st_size for name in FILES.values()) / 1e6
        print(f"{len(ids):,} records, {data:,.0f} MB of JSONL; {ledger.count():,} calls, {sizes['ledger.sqlite']:,.0f} MB of ledger; "
              f"built in {built - began:.0f} s")  # fmt: skip
        ledger.close()
        print(f"index: {sizes[NAME]:,.0f} MB, made again from the data in {indexed - built:.1f} s")
        times = [timed(run, id) for id in random.Random(0).sample(ids, TIMES)]
        wall, cpu = zip(*times, strict=True)
        print(f"explain, whole process, {TIMES} records: wall {statistics.median(wall):.2f} s (median; {min(wall):.2f}–{max(wall):.2f}), "
              f"CPU {statistics.median(cpu):.2f} s ({min(cpu):.2f}–{max(cpu):.2f})")  # fmt: skip


if __name__ == "__main__":
    main()
