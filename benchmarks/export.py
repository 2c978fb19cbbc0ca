"""Cost of an export, format by format: records a CPU-second, MB and the most memory, and whether memory stays as it is when records grow.

    python benchmarks/export.py FILE.jsonl                   400 and 1,600 records, the file's own repeated
    python benchmarks/export.py FILE.jsonl --sizes 10000 100000 --tokenizer DIR

Each format is written, and read back where it holds whole records, in a process of its own; figures are of this machine and this run.
CPU time is of all threads of the process.
Peak memory is that of the process, less what it had after its imports.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from itertools import cycle, islice
from pathlib import Path

SHOWN = "{:<8} {:>11} {:>11} {:>9} {:>9}"


def corpus(source: Path, path: Path, size: int) -> None:
    """Write ``size`` lines, those of the source again and again."""
    lines = source.read_text(encoding="utf-8").splitlines(keepends=True)
    with path.open("w", encoding="utf-8") as file:
        file.writelines(islice(cycle(lines), size))


def one(format: str, path: Path, out: Path, tokenizer: str) -> dict[str, float | None]:
    """Export a file in one format and read it back, in this process."""
    from pixel_synth.publish.dataset_files import LOSSLESS, export, read_back

    if format == "arrow":
        import datasets  # noqa: F401  # its import takes seconds, which are not the export's
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.process_time()
    facts = export(path, [format], out, tokenizer=tokenizer if format == "packed" else "")
    wrote = time.process_time() - start
    size = sum((out / name).stat().st_size for name in facts["files"])
    start, read = time.process_time(), None
    if format in LOSSLESS:
        n = sum(1 for _ in read_back(out, format))
        read = n / (time.process_time() - start)
    peak = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    return {"write": facts["records"]["train"] / wrote, "read": read, "mb": size / 1e6, "peak_mb": peak}


def main() -> int:
    """Measure every format at every size."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("source", type=Path, metavar="FILE", help="records as JSONL")
    parser.add_argument("--sizes", type=int, nargs="+", default=[400, 1600])
    parser.add_argument("--tokenizer", default="", metavar="DIR", help="for packed; without it packed is left out")
    parser.add_argument("--one", nargs=2, metavar=("FORMAT", "OUT"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        print(json.dumps(one(args.one[0], args.source, Path(args.one[1]), args.tokenizer)))
        return 0
    from pixel_synth.publish.dataset_files import FORMATS

    with tempfile.TemporaryDirectory() as folder:
        for size in args.sizes:
            path = Path(folder) / f"{size}.jsonl"
            corpus(args.source, path, size)
            print(
                f"{size:,} records, {path.stat().st_size / 1e6:.0f} MB\n"
                + SHOWN.format("format", "write/CPU-s", "read/CPU-s", "MB", "peak MB")
            )
            for format in (f for f in FORMATS if f != "packed" or args.tokenizer):
                command = [sys.executable, __file__, str(path), "--tokenizer", args.tokenizer, "--one", format, f"{folder}/{format}-{size}"]
                found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])
                read = "–" if found["read"] is None else f"{found['read']:,.0f}"
                print(SHOWN.format(format, f"{found['write']:,.0f}", read, f"{found['mb']:.1f}", f"{found['peak_mb']:.0f}"), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
