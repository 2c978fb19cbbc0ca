"""``pixel-synth redact``: personal data out of a file; ``screen``: language, unsafe content and evaluation text in one pass."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

EXAMPLES = 5


def add_commands(commands: Any) -> None:
    """Add the commands to a parser's subparsers; imports nothing heavy."""
    told = "replace personal data in the records of a JSONL file by placeholders such as [email_1]"
    p: argparse.ArgumentParser = commands.add_parser(
        "redact", help=told, description=told, formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example:\n  pixel-synth redact kept.jsonl --dry-run\n"
        "  pixel-synth redact kept.jsonl -o clean.jsonl --audit private/audit.jsonl\n\n"
        "Contacts of crisis services stay. Names are found by pattern; --names with a spaCy pipeline finds more.",
    )  # fmt: skip
    p.set_defaults(run=redact)
    p.add_argument("path", type=Path, metavar="FILE", help="records, as pixel-synth schema prints")
    p.add_argument("-o", "--output", type=Path, metavar="OUT", help="where the redacted records go")
    p.add_argument("--audit", type=Path, metavar="PRIVATE", help="where the originals go, mode 0600; without it they are not kept")
    p.add_argument("--names", default="", metavar="MODEL", help="a spaCy pipeline of yours, by name or folder (extra: names)")
    p.add_argument("--dry-run", action="store_true", help="count, and show examples of each kind; write nothing")

    told = "drop records in other languages, with unsafe content, or with text of evaluation sets"
    s: argparse.ArgumentParser = commands.add_parser(
        "screen", help=told, description=told, formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example:\n  pixel-synth screen clean.jsonl --dry-run\n"
        "  pixel-synth screen clean.jsonl -o screened --language en --evaluation benchmark.jsonl",
    )  # fmt: skip
    s.set_defaults(run=screen)
    s.add_argument("path", type=Path, metavar="FILE", help="records, as pixel-synth schema prints")
    s.add_argument("-o", "--output", type=Path, metavar="DIR", help="folder for kept.jsonl and rejects.jsonl")
    s.add_argument("--language", action="append", metavar="CODE", help="ISO 639-1 code to keep; may be repeated (default en)")
    s.add_argument("--evaluation", action="append", type=Path, default=[], metavar="FILE", help="text that must not occur; may be repeated")
    s.add_argument("--dry-run", action="store_true", help="count, and show an example of each reason; write nothing")


def redact(args: argparse.Namespace) -> int:
    """Redact a file, or show what would be taken out."""
    from pixel_synth.curate.redact import Redactor
    from pixel_synth.curate.screening import redact_jsonl, rejects_of
    from pixel_synth.errors import UsageError

    _checked(args, args.output, args.audit)
    if args.audit and args.output and args.audit.resolve() in (args.output.resolve(), rejects_of(args.output).resolve()):
        raise UsageError("the audit holds the originals and needs a file of its own", hint="--audit private/audit.jsonl")
    redactor = Redactor(args.names)
    out, audit = (None, None) if args.dry_run else (args.output, args.audit)
    with _progress(args.path) as show:
        done = redact_jsonl(args.path, out, redactor, audit, EXAMPLES if args.dry_run else 0, show)
    for e in sorted(done.examples, key=lambda e: (e.kind, e.id)):
        print(f"{e.kind:<10} {e.id}  …{e.before} «{e.text}» → {e.replacement} {e.after}…")
    print(done.books)
    print("taken out: " + (", ".join(f"{kind} {n:,}" for kind, n in done.items.most_common()) or "nothing"))
    print(redactor.note)
    if out and not audit:
        print("the originals were not kept (--audit PRIVATE keeps them)", file=sys.stderr)
    if out and done.books.rejected:
        print(f"rejects are in {rejects_of(out)}", file=sys.stderr)
    return 1 if done.books.rejected else 0


def screen(args: argparse.Namespace) -> int:
    """Screen a file, or show what would be dropped."""
    from pixel_synth.curate.screening import ignored_of, screen_jsonl, steps

    _checked(args, args.output, *((args.output / "kept.jsonl", args.output / "rejects.jsonl") if args.output else ()))
    evaluation = tuple(args.evaluation)
    languages = tuple(args.language or ("en",))
    steps(languages, evaluation)
    ignored = ignored_of(args.path, evaluation)
    with _progress(args.path) as show:
        books, first = screen_jsonl(args.path, None if args.dry_run else args.output, steps(languages, evaluation, ignored), show)
    print(books)
    for reason, n in books.reasons.items():
        example = next((r for r in first if r.reason.partition(":")[0] == reason), None)
        print(
            f"  {n:>7,}  {reason:<28} for example {example.id or f'line {example.row}'}: {example.reason}"
            if example
            else f"  {n:>7,}  {reason}"
        )
    if evaluation:
        print(f"{len(ignored):,} common phrases of the evaluation sets did not count")
    return 1 if any(reason == "unreadable" for reason in books.reasons) else 0


def _checked(args: argparse.Namespace, output: Path | None, *others: Path | None) -> None:
    from pixel_synth.errors import UsageError

    if not output and not args.dry_run:
        raise UsageError("-o is needed, where the records go", hint="or --dry-run")
    for path in (output, *others):
        if path and (path.resolve() == args.path.resolve() or path.suffix == ".gz"):
            raise UsageError(f"{path} must be another file than what is read, and no .gz", hint="name another one")


@contextmanager
def _progress(path: Path) -> Iterator[Callable[[int, int], None]]:
    """Show a bar on a terminal, nothing elsewhere."""
    from pixel_synth.curate.screening import quiet

    if not sys.stderr.isatty() or not path.is_file() or path.suffix == ".gz":
        yield quiet
        return
    from pixel_synth.runs.screen import progress

    with path.open("rb") as file:
        total = sum(1 for line in file if line.strip())
    with progress(total, "records", "kept") as show:
        yield show
