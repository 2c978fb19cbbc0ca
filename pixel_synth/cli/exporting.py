"""``pixel-synth export``: a dataset in the forms that trainers read."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

EPILOG = """\
examples:
  pixel-synth export runs/dataset-001 -o out --format jsonl,parquet
  pixel-synth export runs/dataset-001 -o out --format all --tokenizer models/Qwen3-8B --max-tokens 4096 --check
  pixel-synth export sessions.jsonl -o out --format chat --order curriculum --think

formats: jsonl json csv parquet arrow hold whole records; chat (messages, text, prompt/chosen/rejected) and packed (sequences of
--max-tokens) are for trainers.  Then: datasets.load_dataset("out").  See docs/export.md.
Exit status: 0 fine, 1 --check found a difference, or a record cannot be read, 2 a wrong flag.
"""


def add_commands(commands: Any) -> None:
    """Add the commands to a parser's subparsers; imports nothing heavy."""
    help = "write a dataset in the formats that trainers read, with its card"
    p: argparse.ArgumentParser = commands.add_parser(
        "export", help=help, description=help, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.set_defaults(run=export_data)
    p.add_argument("path", type=Path, metavar="DIR|FILE", help="run directory, folder with train.jsonl …, or a JSONL file of records")
    p.add_argument("-o", "--output", type=Path, metavar="DIR", help="folder for the files, README.md and export.json")
    p.add_argument("--format", default="jsonl,parquet", metavar="NAMES", help="names with commas between, or all (default jsonl,parquet)")
    p.add_argument(
        "--tokenizer", default="", metavar="DIR", help="folder with tokenizer.json: its template renders, its tokens are counted"
    )
    p.add_argument("--max-tokens", type=int, default=4096, metavar="N", help="length of packed sequences (default 4096)")
    p.add_argument("--think", action="store_true", help="chat: put chains of thought into the replies, as <think>…</think>")
    p.add_argument("--order", choices=("curriculum", "shuffled"), help="order of the training split (default: as it is)")
    p.add_argument("--seed", type=int, default=7, metavar="S", help="seed of the order (default 7)")
    p.add_argument("--check", action="store_true", help="read every file again and compare it with the records")
    p.add_argument("--dry-run", action="store_true", help="say what would be written, and stop")


def export_data(args: argparse.Namespace) -> int:
    """Export, write the card, and check what was written."""
    from pixel_synth.errors import UsageError
    from pixel_synth.publish.dataset_card import check_place, write_card
    from pixel_synth.publish.dataset_files import check, export

    formats = _formats(args)
    if args.dry_run:
        return _dry_run(args, formats)
    if args.output is None:
        raise UsageError("export takes -o DIR, or --dry-run", hint="pixel-synth export --help")
    if (args.output / "run.json").is_file():
        raise UsageError(f"{args.output} is a run directory, whose files have to stay as they are", hint="-o a folder of its own")
    check_place(args.output)
    with _progress() as show:
        facts = export(
            args.path, formats, args.output, tokenizer=args.tokenizer, max_tokens=args.max_tokens, think=args.think,
            order=args.order, seed=args.seed, progress=show,
        )  # fmt: skip
    card = write_card(args.path, args.output)
    _print(facts, args.output)
    print(f"card: {card}")
    if not args.check:
        return 0
    faults = check(args.path, facts, args.output, tokenizer=args.tokenizer, seed=args.seed)
    for name, found in faults.items():
        print(f"check {name}: {'; '.join(found) or 'reads back to the same'}")
    return 1 if any(faults.values()) else 0


def _formats(args: argparse.Namespace) -> list[str]:
    from pixel_synth.publish.dataset_files import FORMATS

    if args.format == "all":
        return [name for name in FORMATS if name != "packed" or args.tokenizer]
    return [name.strip() for name in args.format.split(",") if name.strip()]


def _dry_run(args: argparse.Namespace, formats: list[str]) -> int:
    from pixel_synth.publish.dataset_files import check_request, places
    from pixel_synth.publish.entries import parts

    check_request(formats, args.tokenizer, args.max_tokens)
    out = args.output or Path()
    for part in parts(args.path):
        print(f"{part.name}: {part.source} ({part.source.stat().st_size:,} bytes)")
        for name in formats:
            print(f"  {name:<8} {places(out, part.name, name)[0]}")
    print("dry run: nothing is written")
    return 0


def _print(facts: dict[str, Any], out: Path) -> None:
    tokens = facts["tokens"]
    print(f"{'part':<13}{'records':>9}{'preferences':>13}{'tokens':>13}")
    for name, n in facts["records"].items():
        print(f"{name:<13}{n:>9,}{facts['preferences'][name]:>13,}{'not counted' if tokens is None else format(tokens[name], ','):>13}")
    if facts["template"]:
        print(f"text: {facts['template']} (sha256 {facts['template_sha256'][:12]})" + (", with thoughts" if facts["think"] else ""))
    if facts["defused"]:
        print(f"text: {facts['defused']:,} marks of the template stood in what people say, and were defused")
    for name, fill in facts["packed"].items():
        share = "no sequence" if fill["fill"] is None else f"{fill['fill']:.1%} full"
        print(f"packed {name}: {fill['sequences']:,} sequences of {facts['max_tokens']:,}, {share}, {fill['cut']:,} records cut")
    print(f"{len(facts['files']):,} files in {out}: {', '.join(facts['formats'])}")


@contextmanager
def _progress() -> Iterator[Callable[[str, int], None]]:
    """Show on a terminal how many records were written."""
    if not sys.stderr.isatty():
        yield lambda part, records: None
        return
    from rich.console import Console
    from rich.status import Status

    with Status("reading", console=Console(stderr=True)) as status:
        yield lambda part, records: status.update(f"{part}: {records:,} records written")
