"""The command that finds and drops duplicates."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pixel_synth.curate.dedup.write import Cluster

TEXT = """\
Drop exact and near duplicates from files of conversations, within and across them.

Near means: the sets of five-word runs of two conversations have a Jaccard similarity of --jaccard or more. Candidates come from MinHash
LSH, and every pair is checked. Of duplicates one is kept, by fixed rules (docs/deduplication.md): not rejected, ingested before
generated, accepted, the less worn copy, overall score, licence, length.

  pixel-synth dedup counsel.jsonl generated.jsonl -o deduplicated
  pixel-synth dedup new.jsonl --against published.jsonl -o fresh       what the published set has already goes
  pixel-synth dedup *.jsonl --dry-run --clusters 5                     only look: the five largest clusters, with their text

DIR gets kept.jsonl, rejects.jsonl (each with its reason), clusters.jsonl and similar.jsonl (kept records that must not be split apart).
"""

SPEAKERS = {"user": "Client", "assistant": "Therapist", "system": "System"}


def add_commands(commands: Any) -> None:
    """Add the commands to a parser's subparsers; imports nothing heavy."""
    dedup = commands.add_parser(
        "dedup", help="drop exact and near duplicates across files", description=TEXT, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    dedup.add_argument("paths", type=Path, nargs="+", metavar="FILE", help="JSONL of conversations, plain or .gz")
    dedup.add_argument("-o", "--output", type=Path, metavar="DIR", help="folder for the four files; needed but for --dry-run")
    dedup.add_argument("--jaccard", type=float, default=0.8, metavar="J", help="least similarity of near duplicates, 0.5-1 (default 0.8)")
    dedup.add_argument("--against", type=Path, nargs="+", default=[], metavar="FILE", help="drop what repeats these; they are not written")
    dedup.add_argument("--semantic", action="store_true", help="also drop duplicates in meaning (pip install 'pixel-synth[semantic]')")
    dedup.add_argument("--model", type=Path, metavar="DIR", help="sentence-transformers folder for --semantic, in place of MiniLM")
    dedup.add_argument("--clusters", type=int, default=0, metavar="N", help="show the N largest clusters, text beside text")
    dedup.add_argument("--seed", type=int, default=7, help="of the MinHash functions (default 7)")
    dedup.add_argument("--workers", type=int, default=0, metavar="N", help="processes; 0 = one per core where it pays (default)")
    dedup.add_argument("--dry-run", action="store_true", help="write nothing, only tell")
    dedup.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Find and drop duplicates; status 1 when lines could not be read."""
    from pixel_synth.curate.dedup import deduplicate
    from pixel_synth.errors import UsageError

    if args.output is None and not args.dry_run:
        raise UsageError("-o DIR is missing", hint="or --dry-run, which writes nothing")
    if args.workers < 0 or args.clusters < 0 or args.seed < 0:
        raise UsageError("--workers, --clusters and --seed must be 0 or more")
    if args.model and not args.semantic:
        raise UsageError("--model is only used with --semantic")
    out = None if args.dry_run else args.output
    if out is not None:
        _guard(out, [*args.paths, *args.against])
    embed = None
    if args.semantic:
        from pixel_synth.curate.dedup.semantic import bundled

        embed = bundled(args.model)
    with _bar([*args.against, *args.paths]) as progress:
        done = deduplicate(
            args.paths, out, jaccard=args.jaccard, semantic=args.semantic, seed=args.seed, workers=args.workers, against=args.against,
            embed=embed, progress=progress, largest=args.clusters,
        )  # fmt: skip
    print(done.books)
    print(f"duplicates: {done.exact:,} exact, {done.near:,} near (jaccard {done.jaccard:g} or more), {done.meaning:,} in meaning")
    print(f"{done.clusters:,} clusters; {done.families:,} pairs of kept records that belong in one split")
    if done.largest:
        wanted = {m.id for cluster in done.largest for m in cluster.members}
        texts = _texts([*args.against, *args.paths], wanted)
        for cluster in done.largest:
            _show(cluster, texts)
    if out is not None:
        print(f"in {out}: kept.jsonl, rejects.jsonl, clusters.jsonl, similar.jsonl")
    return 1 if done.books.failed else 0


def _guard(out: Path, paths: list[Path]) -> None:
    """Refuse to write over what is read."""
    from pixel_synth.errors import UsageError

    for path in paths:
        if path.resolve().parent == out.resolve() and path.name in ("kept.jsonl", "rejects.jsonl", "clusters.jsonl", "similar.jsonl"):
            raise UsageError(f"{path} is read and would be written over", hint="give another folder with -o")


@contextmanager
def _bar(paths: list[Path]) -> Iterator[Callable[[int], None]]:
    """Show how much has been read, on a terminal."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    plain = all(p.is_file() and p.suffix != ".gz" for p in paths)
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("reading", total=sum(p.stat().st_size for p in paths) if plain else None)
        yield lambda size: bar.advance(task, size)


def _texts(paths: list[Path], wanted: set[str]) -> dict[str, str]:
    from pixel_synth.jsonl import read

    found = (row.record for path in paths for row in read(path) if row.record and row.record.id in wanted)
    return {c.id: "\n".join(f"{SPEAKERS[m.role]}: {m.content}" for m in c.messages) for c in found}


def _show(cluster: Cluster, texts: dict[str, str]) -> None:
    """Print a cluster: every member, and the text of the best beside that of the least similar."""
    from rich.console import Console
    from rich.table import Table

    print(f"\ncluster {cluster.id}: {len(cluster.members)} members")
    for m in cluster.members:
        fate = f"kept: {m.why}" if m.kept else f"dropped: {m.how} of {m.keeper}, {m.similarity:.3f}"
        print(f"  {m.id}  {m.source}  {m.license or 'no licence given'}  {m.file}:{m.row}  {fate}")
    first, *others = cluster.members
    other = min(others, key=lambda m: 1.0 if m.similarity is None else m.similarity)
    table = Table(first.id, other.id, expand=True)
    table.add_row(*(texts.get(m.id, "")[:1200].replace("[", "\\[") for m in (first, other)))
    Console().print(table)
