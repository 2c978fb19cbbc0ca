"""Commands that label, categorise, link and order records."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pixel_synth.cli.progress import counting

if TYPE_CHECKING:
    from pixel_synth.curate.enrich import Quality
    from pixel_synth.records import Category, Conversation

ENRICH = """\
examples:
  pixel-synth enrich data/kept.jsonl -o data/enriched.jsonl --report
  pixel-synth enrich data/kept.jsonl --measure --half held     how often found labels are right, against those that the file has

A label that a record has is never changed.  A found one rests on spans of the record, which stand in its marks; without enough
evidence a label stays empty.  See docs/enrichment.md.
"""
CATEGORISE = """\
example:
  pixel-synth categorise data/kept.jsonl --source counsel_chat=mental_health -o data/categorised.jsonl

Prints how many records fall into each category by which rule, and lists those that no rule was sure of.
"""
LINK = """\
example:
  pixel-synth link runs/psychology-001/data/conversations.jsonl data/kept.jsonl -o data/linked.jsonl

Links go both ways, at most 5 a record: preference, same_question, edge_case, compare (generated and real of one theme), condition, similar.
"""
ORDER = """\
examples:
  pixel-synth order data/train.jsonl --by curriculum --dry-run        how complexity rises over the file as it would be
  pixel-synth order data/train.jsonl -o data/ordered.jsonl --by curriculum --seed 7

Complexity is a record's complexity score (pixel-synth score); records without one come last.
"""


def add_commands(commands: Any) -> None:
    """Add the commands to a parser's subparsers; imports nothing heavy."""

    def add(name: str, run: Callable[[argparse.Namespace], int], told: str, epilog: str) -> argparse.ArgumentParser:
        p: argparse.ArgumentParser = commands.add_parser(
            name, help=told, description=told, epilog=epilog, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        p.set_defaults(run=run)
        return p

    p = add("enrich", enrich, "fill empty labels of a JSONL file, each with the words that it rests on", ENRICH)
    p.add_argument("path", type=Path, metavar="FILE", help="records (pixel-synth schema)")
    p.add_argument("-o", "--output", type=Path, metavar="OUT", help="the records with their labels, in order")
    p.add_argument("--report", action="store_true", help="print what share of the records has each label, by source")
    p.add_argument("--measure", action="store_true", help="strip the labels that records have, find them anew, and compare")
    p.add_argument("--half", choices=("tune", "held"), default="", help="measure only on this half of the questions or records")
    p.add_argument("--dry-run", action="store_true", help="write nothing; with --report to see what would be found")

    p = add("categorise", categorise, "put every record into one of the five categories, or outside of them", CATEGORISE)
    p.add_argument("path", type=Path, metavar="FILE", help="records")
    p.add_argument("--source", action="append", default=[], metavar="ID=CATEGORY", help="the category of a source; may be repeated")
    p.add_argument("-o", "--output", type=Path, metavar="OUT", help="the records with the decided category")
    p.add_argument("-k", type=int, default=20, help="how many unsure ones are listed (default 20)")

    p = add("link", link, "link related records of one or more JSONL files", LINK)
    p.add_argument("paths", type=Path, nargs="+", metavar="FILE", help="records; ids must be distinct")
    p.add_argument("-o", "--output", type=Path, required=True, metavar="OUT", help="all records with their links, in order")

    p = add("order", order, "order a JSONL file from simple to complex, or shuffled", ORDER)
    p.add_argument("path", type=Path, metavar="FILE", help="records")
    p.add_argument("-o", "--output", type=Path, metavar="OUT", help="the records in order")
    p.add_argument("--by", choices=("curriculum", "shuffled"), default="curriculum", help="default: curriculum")
    p.add_argument("--seed", type=int, default=7, help="seed of the draw (default 7)")
    p.add_argument("--dry-run", action="store_true", help="print how complexity would rise, write nothing")


def _apart(path: Path, output: Path | None) -> None:
    """Refuse to write over what is read.

    Raises:
        UsageError: When both are the same file.
    """
    from pixel_synth.errors import UsageError

    if output and output.exists() and path.exists() and output.samefile(path):
        raise UsageError(f"{output} is the file that is read", hint="write to another file with -o")


def enrich(args: argparse.Namespace) -> int:
    """Fill empty labels, or measure how often found ones are right."""
    from pixel_synth.curate.enrich import Coverage, enriched, measure
    from pixel_synth.errors import UsageError
    from pixel_synth.jsonl import conversations, whole

    if args.measure:
        print("\n".join(_measured(measure(conversations(args.path), args.half))))
        return 0
    if not (args.output or args.dry_run):
        raise UsageError("nowhere to write to", hint="-o OUT, or --dry-run --report to look only")
    _apart(args.path, args.output)
    coverage = Coverage()

    def label(record: Conversation) -> Conversation:
        after = enriched(record)
        coverage.add(record, after)
        return after

    with whole(args.output) if args.output and not args.dry_run else nullcontext() as out, counting("labelling") as tick:
        status = _each(args.path, label, out, tick)
    if args.report or args.dry_run:
        print("\n".join(_covered(coverage)))
    return status


def _each(path: Path, change: Callable[[Conversation], Conversation], out: Any, tick: Callable[[int], None]) -> int:
    """Change every record of a file, write it where there is somewhere to, print the books; status 1 when a line was bad."""
    from pixel_synth.books import Counting
    from pixel_synth.jsonl import read

    counting = Counting()
    for done, row in enumerate(read(path), 1):
        tick(done)
        if row.record is None:
            counting.reject(row.error)
            print(f"{path}:{row.line}: {row.error}", file=sys.stderr)
            continue
        after = change(row.record)
        if out:
            out.write(after.line() + "\n")
        counting.keep()
    print(counting.books, file=sys.stderr)
    return 1 if counting.books.rejected else 0


def _covered(coverage: Any) -> Iterator[str]:
    yield f"{'source':<24} {'label':<12} {'records':>9} {'brought':>9} {'found':>9} {'have it':>8}"
    for source, name, n, brought, found in coverage.rows():
        yield f"{source[:24]:<24} {name:<12} {n:>9,} {brought:>9,} {found:>9,} {(brought + found) / n:>8.1%}"


def _measured(found: tuple[Quality, ...]) -> Iterator[str]:
    if not found:
        yield "no record has a label to compare with"
    for q in found:
        yield f"{q.label}  (95% Wilson intervals)"
        yield f"  agreement  {q.agreement}   right ones of all that have the label"
        yield f"  coverage   {q.coverage}   found ones of them"
        yield f"  precision  {q.precision}   right ones of the found"
        yield f"  baselines  commonest value {q.majority}; its own name in the words {q.keyword}"


def categorise(args: argparse.Namespace) -> int:
    """Decide categories, print the table and the unsure ones."""
    from collections import Counter

    from pixel_synth.curate.categorise import SURE
    from pixel_synth.curate.categorise import categorise as decide
    from pixel_synth.jsonl import whole

    _apart(args.path, args.output)
    known = dict(map(_known, args.source))
    counts: Counter[tuple[str, str, float]] = Counter()
    unsure: list[tuple[float, str, str, str]] = []
    doubtful = 0

    def put(record: Conversation) -> Conversation:
        nonlocal doubtful
        made = decide(record, known)
        counts[made.category, made.rule, made.confidence] += 1
        if made.confidence < SURE:
            doubtful += 1
            if len(unsure) < args.k:
                unsure.append((made.confidence, record.id, made.category, record.messages[0].content[:70].replace("\n", " ")))
        return record.model_copy(update={"category": made.category})

    with whole(args.output) if args.output else nullcontext() as out, counting("categorising") as tick:
        status = _each(args.path, put, out, tick)
    by_rule: Counter[tuple[str, str]] = Counter()
    for (category, rule, _), n in counts.items():
        by_rule[category, rule] += n
    for (category, rule), n in sorted(by_rule.items(), key=lambda item: (-item[1], item[0])):
        print(f"{n:>9,}  {category:<14} {rule}")
    print(f"{doubtful:,} below a confidence of {SURE}" + (f"; the first {len(unsure)}:" if unsure else ""))
    for confidence, id, category, text in unsure:
        print(f"  {confidence:.2f} {category:<14} {id}  {text}")
    return status


def _known(text: str) -> tuple[str, Category]:
    """Read ``ID=CATEGORY``."""
    from typing import get_args

    from pixel_synth.errors import UsageError
    from pixel_synth.records import Category

    source, _, category = text.partition("=")
    for one in get_args(Category):
        if one == category and source:
            return source, one
    raise UsageError(f"--source {text}: want ID=CATEGORY", hint=f"categories: {', '.join(get_args(Category))}")


def link(args: argparse.Namespace) -> int:
    """Link records and print how many links of which kind."""
    from pixel_synth.curate.link import link as join

    for path in args.paths:
        _apart(path, args.output)
    with counting("linking") as tick:
        found = join(args.paths, args.output, tick=tick)
    for kind, n in found.links.items():
        print(f"{n:>9,}  {kind}")
    print(f"{found.linked:,} of {found.records:,} records have links; in {args.output}")
    return 0


def order(args: argparse.Namespace) -> int:
    """Order a file and show how complexity rises over it."""
    from pixel_synth.curate.order import order_file
    from pixel_synth.errors import UsageError

    if not (args.output or args.dry_run):
        raise UsageError("nowhere to write to", hint="-o OUT, or --dry-run to look only")
    if args.seed < 0:
        raise UsageError(f"--seed must be 0 or more, not {args.seed}")
    _apart(args.path, args.output)
    found = order_file(args.path, None if args.dry_run else args.output, args.by, args.seed)
    print(f"{found.scored:,} scored, {found.unscored:,} without a complexity score" + (" (at the end)" if args.by == "curriculum" else ""))
    print(f"Spearman of position and complexity: {'– (' + found.reason + ')' if found.spearman is None else f'{found.spearman:.3f}'}")
    for i, mean in enumerate(found.tenths, 1):
        print(f"  tenth {i:>2}  {mean:.3f}  {'█' * round(40 * mean)}")
    return 0
