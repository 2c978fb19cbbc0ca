"""The command that follows a record through a run, and verifies the run's audit trail."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any


def add_commands(commands: Any) -> None:
    """Add the command to a parser's subparsers; imports nothing heavy."""
    p: argparse.ArgumentParser = commands.add_parser(
        "audit",
        help="where a record comes from and what became of it; verify a run's audit trail",
        description="Tell where a record comes from, what every stage did to it, how it was scored, in which split it is, and whether the\n"
        "files that say so are still as they were chained.  The first call in a run reads its files once.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="examples:\n"
        "  pixel-synth audit bd1ce82f59d35c4f --run runs/dataset-001\n"
        "  pixel-synth audit --verify runs/dataset-001                     every line of audit.jsonl; prints its head\n"
        "  pixel-synth audit --verify runs/dataset-001 --head 9:3f0c…      and against a head that you kept elsewhere\n"
        "  pixel-synth audit --verify runs/dataset-001 --files             and every chained file is read and compared\n"
        "Exit status: 0 nothing was changed; 1 something was, or it failed; 2 a wrong flag.",
    )
    p.add_argument("id", nargs="?", metavar="ID", help="a record's id, or at least 4 characters of its beginning")
    p.add_argument("--run", type=Path, dest="path", metavar="RUN", help="the run directory that has it")
    p.add_argument("--json", action="store_true", help="everything as JSON, with the record")
    p.add_argument("--verify", type=Path, metavar="RUN", help="verify the audit trail of this run")
    p.add_argument("--head", metavar="N:HASH", help="with --verify: a head that was printed before, and kept elsewhere")
    p.add_argument("--files", action="store_true", help="with --verify: also compare every file that the trail names")
    p.set_defaults(run=audit)


def audit(args: argparse.Namespace) -> int:
    """Follow a record, or verify a trail."""
    from pixel_synth.errors import UsageError

    if bool(args.verify) == bool(args.id) or bool(args.id) != bool(args.path):
        raise UsageError("give ID and --run RUN, or --verify RUN", hint="pixel-synth audit --help")
    if not args.verify and (args.head or args.files):
        raise UsageError("--head and --files go with --verify")
    return _verify(args) if args.verify else _trace(args)


def _verify(args: argparse.Namespace) -> int:
    from pixel_synth.prove.audit import NAME, changed_files, verify_run
    from pixel_synth.prove.chain import Head

    found = verify_run(args.verify, [Head.read(args.head)] if args.head else [])
    for fault in found.faults:
        print(f"{args.verify / NAME}:{fault.line}: {fault.what}", file=sys.stderr)
    changed = changed_files(args.verify) if args.files and not found.faults else []
    for name in changed:
        print(f"{args.verify / name}: missing, or changed since it was chained", file=sys.stderr)
    if args.files and found.faults:
        print("the files were not compared: the trail itself is broken", file=sys.stderr)
    for note in found.notes:
        print(f"note: {note}")
    if not found.faults:
        print(f"head {found.head or 'none'}  (keep it elsewhere: --head finds a cut end and a trail that was written anew)")
    print("BROKEN" if found.faults else "CHANGED" if changed else "every line follows on the one before it")
    return 1 if found.faults or changed else 0


def _trace(args: argparse.Namespace) -> int:
    from pixel_synth.cli.backups import reading
    from pixel_synth.prove.trace import lines, trace

    with reading("reading", "bytes") as show:
        found = trace(args.id, args.path, show)
    if args.json:
        told = {
            **found._asdict(),
            "run": str(found.run),
            "events": [e._asdict() for e in found.events],
            "files": [f._asdict() for f in found.files],
            "faults": [f._asdict() for f in found.faults],
            "entries": [e.model_dump() for e in found.entries],
        }
        print(json.dumps(told, indent=2, ensure_ascii=False))
    else:
        print("\n".join(lines(found)))
    return 1 if found.changed or found.faults else 0
