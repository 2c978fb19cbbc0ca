"""``pixel-synth split``: train, validation and test without leakage, and the certificate that shows it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pixel_synth.cli.progress import counting

if TYPE_CHECKING:
    from pixel_synth.mix.certificate import Certificate
    from pixel_synth.mix.split_files import Report

EPILOG = """\
examples:
  pixel-synth split runs/psychology-001/data/conversations.jsonl --dry-run
  pixel-synth split kept.jsonl -o splits --strategy stratified --shares 0.9,0.05,0.05 --similar dedup/similar.jsonl
  pixel-synth split kept.jsonl -o splits --strategy temporal --undated refuse --spanning purge
  pixel-synth split --verify splits        certify files that are there, whatever made them

What may not cross: near-duplicates, clients (persona), plans, questions, speakers, source rows.  See docs/splits.md.
Exit status: 0 fine, 1 something crosses or is out of balance, 2 a wrong flag, 3 a split holds less than half its share.
"""


def add_commands(commands: Any) -> None:
    """Add the commands to a parser's subparsers; imports nothing heavy."""
    help = "split records into train, validation and test so that nothing crosses, and certify it"
    p: argparse.ArgumentParser = commands.add_parser(
        "split", help=help, description=help, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.set_defaults(run=split)
    p.add_argument("path", type=Path, nargs="?", metavar="FILE", help="records as JSONL")
    p.add_argument("-o", "--output", type=Path, metavar="DIR", help="folder for train.jsonl, validation.jsonl, test.jsonl, splits.json")
    p.add_argument("--verify", type=Path, metavar="DIR", help="certify the split files of this folder instead; writes nothing")
    p.add_argument("--strategy", choices=("random", "stratified", "temporal"), help="how components are dealt (default: stratified)")
    p.add_argument("--shares", type=_shares, metavar="T,V,T", help="shares of train, validation, test (default 0.9,0.05,0.05)")
    p.add_argument(
        "--tolerance", type=_unit, metavar="SHARE", help="largest distance of a category's share or the mean quality (default 0.05)"
    )
    p.add_argument("--similar", type=Path, metavar="FILE", help="near-duplicates to keep together: similar.jsonl of pixel-synth dedup")
    p.add_argument("--seed", type=int, metavar="N", help="seed of the draws (default 7)")
    p.add_argument(
        "--limit", type=_unit, metavar="SHARE", default=0.1, help="share of the records that --release joins at most (default 0.1)"
    )
    p.add_argument(
        "--release", choices=("speaker",), action="append", default=[], help="groups of this kind may cross where they would join too much"
    )
    p.add_argument("--undated", choices=("train", "refuse"), default="train", help="temporal: what becomes of records without a date")
    p.add_argument(
        "--spanning", choices=("earlier", "purge"), default="earlier", help="temporal: newer records of a component that began earlier"
    )
    p.add_argument("--dry-run", action="store_true", help="print the table, write nothing")
    p.add_argument("--json", action="store_true", help="print the report as JSON")


def _unit(text: str) -> float:
    value = float(text)
    if not 0.0 <= value <= 1.0:
        raise argparse.ArgumentTypeError(f"{text} is not a share of 0-1")
    return value


def _shares(text: str) -> dict[str, float]:
    values = [_unit(part) for part in text.split(",")]
    if len(values) != 3 or abs(sum(values) - 1.0) > 1e-6:
        raise argparse.ArgumentTypeError(f"{text}: three shares that sum to 1, of train, validation, test")
    return dict(zip(("train", "validation", "test"), values, strict=True))


def split(args: argparse.Namespace) -> int:
    """Split a file, or verify a folder."""
    from pixel_synth.errors import UsageError

    if args.verify:
        if args.path or args.output:
            raise UsageError("--verify takes no FILE and no -o: it reads the folder that it names")
        return _verify(args)
    if not args.path or not (args.output or args.dry_run):
        raise UsageError("split takes a FILE, and -o DIR or --dry-run", hint="pixel-synth split --help")
    from pixel_synth.mix.split_files import Way, split_file
    from pixel_synth.recipe import load_recipe

    recipe = load_recipe(splitting=args.strategy, split_shares=args.shares, split_tolerance=args.tolerance, seed=args.seed)
    way = Way(
        {str(name): share for name, share in recipe.split_shares.items()}, recipe.splitting, recipe.split_tolerance, recipe.seed,
        args.limit, args.release, args.undated, args.spanning,
    )  # fmt: skip
    with counting() as show:
        report = split_file(args.path, None if args.dry_run else args.output, way, args.similar, show)
    if args.json:
        print(report.model_dump_json(indent=1))
    else:
        _print(report, args.output if not args.dry_run else None)
    crosses = report.certificate is not None and not report.certificate.passed
    return 1 if report.failing or crosses else 3 if report.short else 0


def _verify(args: argparse.Namespace) -> int:
    from pixel_synth.mix.split_files import verify

    with counting() as show:
        certificate, changed = verify(args.verify, args.similar, show)
    if args.json:
        print(certificate.model_dump_json(indent=1))
    else:
        for name, file in certificate.files.items():
            print(f"{name:<11} {file.records:>9,} records  {file.name}  sha256 {file.sha256[:16]}")
        _print_certificate(certificate)
    for line in changed:
        print(line, file=sys.stderr)
    return 0 if certificate.passed and not changed else 1


def _print(report: Report, out: Path | None) -> None:
    print(f"{report.books}\n{report.strategy}, seed {report.seed}: {report.components:,} components, none is cut")
    shared = ", ".join(f"{kind} {n:,}" for kind, n in report.groups.items()) or "none"
    own = f", {report.found_pairs:,} of them found here" if report.found_pairs else ""
    unknown = f", {report.unknown_pairs:,} name a record that is not here" if report.unknown_pairs else ""
    print(f"groups of two and more records: {shared}; near-duplicate pairs {report.pairs:,}{own}{unknown}\n")
    categories = sorted({c for s in report.splits for c in s.categories})
    head = ("split", "records", "wanted", "words", "tokens", "quality", *categories)
    bad = {(c.split, c.name) for c in report.failing}
    rows = [
        (
            s.name, f"{s.records:,}", f"{s.wanted:,}", f"{s.words:,}", "–" if s.tokens is None else f"{s.tokens:,}",
            ("–" if s.quality is None else f"{s.quality:.3f}") + "!" * ((s.name, "quality") in bad),
            *((f"{s.categories.get(c, 0) / s.records:.1%}" if s.records else "–") + "!" * ((s.name, c) in bad) for c in categories),
        ) for s in report.splits
    ]  # fmt: skip
    _table((head, *rows))
    for cell in report.failing:
        print(f"out of tolerance: {cell.split} {cell.name} {cell.here:.3f}, the whole {cell.whole:.3f}, tolerance {report.tolerance}")
    for cell in (c for c in report.cells if c.kept is None):
        print(f"not told: {cell.split} {cell.name}: {cell.reason}")
    for note in report.notes:
        print(f"note: {note}")
    for large in report.largest:
        joins = ", ".join(f"{n:,} {kind}" for kind, n in large.joined_by.items()) or "near-duplicate pairs or links"
        print(f"large component: {large.records:,} records, joined by {joins}")
    if report.short:
        hint = "; --release speaker lets the busiest speakers go" if any("speaker" in c.joined_by for c in report.largest) else ""
        print(f"shortfall: {', '.join(report.short)} less than half full, see the notes and the large components{hint}")
    if report.released:
        print(f"let go: {len(report.released):,} groups of speakers, whose records may be in several splits")
    for giant in report.giants:
        what = "let go" if giant.released else "kept together"
        print(f"giant group: {giant.group} has {giant.records:,} records ({giant.share:.1%}), {what}")
    if report.certificate:
        print()
        _print_certificate(report.certificate)
    print(f"written to {out}" if out else "dry run: nothing is written, and nothing is certified")


def _print_certificate(certificate: Certificate) -> None:
    print(f"leakage certificate: {'passed' if certificate.passed else 'FAILED'}")
    for check in certificate.checks:
        let_go = f" ({check.let_go:,} let go)" if check.let_go else ""
        print(f"  {'ok ' if check.passed else 'BAD'} {check.name:<20} {check.found:>7,} of {check.of:,} cross{let_go}")
        for named in check.named[: 0 if check.passed else 5]:
            print(f"        {named}")
    h = certificate.highest
    told = f"{h.similarity:.3f}, {h.a} ({h.a_split}) and {h.b} ({h.b_split})" if h else "none: no two share five words in a row"
    print(f"  highest similarity across splits (limit {certificate.limit:.2f}): {told}")
    for c in certificate.contamination:
        print(f"  {c.split}: {c.records:,} of {c.of_records:,} records and {c.runs:,} of {c.of_runs:,} runs of 13 words are in train too")


def _table(rows: Sequence[Sequence[str]]) -> None:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        print("  ".join(f"{v:<{w}}" if i == 0 else f"{v:>{w}}" for i, (v, w) in enumerate(zip(row, widths, strict=True))))
