"""``pixel-synth ingest``: rows of any known shape become records."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pixel_synth.standardise.figures import Ingested
    from pixel_synth.standardise.ingest import Show

CATEGORIES = ("psychology", "voice", "mental_health", "reasoning", "personality", "auxiliary")
EPILOG = """\
examples:
  pixel-synth ingest counsel_chat.csv -o ingested --category mental_health --license MIT
  pixel-synth ingest sets/ -o ingested --category psychology --workers 4
  pixel-synth ingest talks.csv --dry-run --category mental_health      look first: shape, books and a record of each file
  pixel-synth ingest fragen.csv -o ingested --category mental_health --shape prompt_response --column prompt=Frage --column response=Antwort
  pixel-synth ingest interview.jsonl -o ingested --category psychology --role Anna=user --role "Dr. Blum=assistant"

JSON lines, JSON, CSV, TSV, Parquet and Arrow are read, text also as .gz and .zst.  The shape of the rows is detected and shown; rows that
cannot be read or converted go to rejects.jsonl with file, line and reason.  Exit status 1: an alert was raised, or nothing was kept.
See docs/ingest.md for shapes, repairs and reasons.
"""


def add_commands(commands: Any) -> None:
    """Add ``ingest`` to a parser's subparsers; imports nothing heavy."""
    help = "read files of any known shape (chat, Q&A, preferences, transcripts ...) into records, with rejects and exact books"
    p: argparse.ArgumentParser = commands.add_parser(
        "ingest", help=help, description=help, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.set_defaults(run=run)
    p.add_argument("paths", type=Path, nargs="+", metavar="PATH", help="files, or folders of them")
    p.add_argument("-o", "--output", type=Path, metavar="DIR", help="folder for kept.jsonl, rejects.jsonl, metrics.jsonl, ingest.json")
    p.add_argument(
        "--wrote", choices=("human", "model", "mixed", "unknown"), default="unknown", help="who wrote the replies (default unknown)"
    )
    p.add_argument("--category", choices=CATEGORIES, help="what the rows are; needed unless they say it (our records) or are preferences")
    p.add_argument("--license", default="", metavar="TEXT", help="licence of the rows, as SPDX identifier")
    p.add_argument("--source", default="", metavar="ID", help="id of the source, part of every record's id; default: the path's name")
    p.add_argument("--revision", default="", metavar="TEXT", help="pinned revision of the source; default: each file's SHA-256")
    p.add_argument("--shape", default="", metavar="NAME", help="read the rows as this shape instead of detecting it")
    p.add_argument("--column", action="append", default=[], type=_pair, metavar="OURS=THEIRS", help="which column means what")
    p.add_argument(
        "--role", action="append", default=[], type=_pair, metavar="THEIRS=ROLE", help="whose a speaker's name is: user, assistant"
    )
    p.add_argument("--group", action="append", default=[], type=_pair, metavar="KIND=COLUMN", help="rows that may not cross a split")
    p.add_argument("--label", action="append", default=[], type=_pair, metavar="LABEL=COLUMN", help="label to take from a column")
    p.add_argument("--created", default="", metavar="COLUMN", help="column with the date of a row")
    p.add_argument("--client-only", action="store_true", help="keep the human side only, as lines of a client")
    p.add_argument("--workers", type=int, default=1, metavar="N", help="processes (default 1); the output is the same")
    p.add_argument("--batch-size", type=int, default=1000, metavar="B", help="rows of a batch (default 1000)")
    p.add_argument("--limit", type=int, metavar="N", help="read only the first N rows")
    p.add_argument("--alert-rejects", type=float, default=0.2, metavar="SHARE", help="alert when a batch loses more (default 0.2)")
    p.add_argument("--alert-quality", type=float, metavar="Q", help="alert when a batch's mean language quality is lower; default: none")
    p.add_argument("--dry-run", action="store_true", help="read and convert, show the books and a record of each file, write nothing")


def _pair(given: str) -> tuple[str, str]:
    left, sign, right = given.partition("=")
    if not (sign and left and right):
        raise argparse.ArgumentTypeError(f"{given!r} is not of the form A=B")
    return left, right


def run(args: argparse.Namespace) -> int:
    """Ingest files."""
    from pydantic import ValidationError

    from pixel_synth.errors import UsageError
    from pixel_synth.standardise.figures import Limits
    from pixel_synth.standardise.ingest import ingest
    from pixel_synth.standardise.spec import Spec

    if not args.output and not args.dry_run:
        raise UsageError("where to? -o DIR is missing", hint="or --dry-run to look only")
    try:
        spec = Spec(
            source=args.source or (args.paths[0].name.split(".")[0] or "local"), revision=args.revision, license=args.license,
            category=args.category, wrote=args.wrote, shape=args.shape, columns=dict(args.column), roles=dict(args.role),
            client_only=args.client_only,
            groups=dict(args.group), created=args.created, labels=dict(args.label),
        )  # fmt: skip
    except ValidationError as error:
        raise UsageError(f"{error.errors()[0]['loc'][0]}: {error.errors()[0]['msg']}") from error
    with _progress() as show:
        done = ingest(
            args.paths, None if args.dry_run else args.output, spec, workers=args.workers, batch_size=args.batch_size, limit=args.limit,
            limits=Limits(args.alert_rejects, args.alert_quality), show=show,
        )  # fmt: skip
    told(done)
    if args.dry_run:
        _examples(args.paths, spec)
        print("dry run: nothing was written")
    else:
        print(f"wrote {args.output}/kept.jsonl and rejects.jsonl")
    return 1 if done.alerts or not done.books.kept else 0


def told(done: Ingested) -> None:
    """Print the books of every file, and of all."""
    for file in done.files:
        print(f"{file.file}: {file.detection}\n  {file.books}")
        for reason, n in file.books.reasons.items():
            print(f"    {n:>7,} rejected: {reason}")
        for repair, n in file.repairs.items():
            print(f"    {n:>7,} repaired: {repair}")
    if done.skipped:
        more = f" and {len(done.skipped) - 5} more" if len(done.skipped) > 5 else ""
        print(f"not read, not named like data: {', '.join(done.skipped[:5])}{more}")
    print(f"in all: {done.books}")
    for alert in done.alerts:
        print(f"alert: {alert}", file=sys.stderr)


def _examples(paths: list[Path], spec: Any) -> None:
    """Print the first record of every file."""
    from itertools import islice

    from pixel_synth.records import Conversation
    from pixel_synth.standardise import standardise
    from pixel_synth.standardise.rows import files, rows

    for file in (file for path in paths for file in files(path)):
        for record in standardise(islice(rows(file), 20), spec):
            if isinstance(record, Conversation):
                print(f"\n{file.name}, {record.provenance.row} as {record.category}/{record.labels.kind}")
                for message in record.messages[:6]:
                    print(f"  {message.role:<9} {message.content[:160]!r}")
                break


@contextmanager
def _progress() -> Iterator[Show | None]:
    """Show rows, rate and rejects on a terminal; nothing elsewhere."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("reading", total=None)

        def show(metrics: Any, books: Any) -> None:
            quality = f", language quality {metrics.language_quality:.2f}" if metrics.language_quality is not None else ""
            speed = bar.tasks[task].elapsed or 0
            rate = f", {books.taken / speed:,.0f} rows/s" if speed > 1 else ""
            bar.update(task, description=f"{metrics.file}: {books.taken:,} rows, {metrics.running_reject_rate:.1%} rejected{quality}{rate}")

        yield show
