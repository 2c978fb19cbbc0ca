"""Commands that list, name and compare versions of datasets."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

RUNS = Path("runs")


def add_commands(commands: Any) -> None:
    """Add the commands to a parser's subparsers; imports nothing heavy."""
    group = commands.add_parser("version", help="versions of datasets: list, tag, diff").add_subparsers(required=True, metavar="ACTION")

    p: argparse.ArgumentParser = group.add_parser(
        "list",
        help="the runs of a folder with their versions and tags",
        description="List the finished runs of a folder.  A version is a hash of the data: equal data has an equal version.",
    )
    p.add_argument("runs", type=Path, nargs="?", default=RUNS, metavar="RUNS_FOLDER", help="default runs")
    p.add_argument("--json", action="store_true", help="as JSON")
    p.set_defaults(run=list_versions)

    p = group.add_parser(
        "tag",
        help="give the data of a run a name",
        description="Give the data of a run a name, for good: a tag never moves.  It is written into versions.jsonl beside the run.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog='example:\n  pixel-synth version tag runs/dataset-001 v1.2.0 -m "first with counsel_chat"',
    )
    p.add_argument("path", type=Path, metavar="RUN")
    p.add_argument("name", metavar="TAG")
    p.add_argument("-m", "--message", default="", help="what it is")
    p.set_defaults(run=tag_run)

    p = group.add_parser(
        "diff",
        help="what changed between two versions: records, splits, scores, sources",
        description="Compare two versions record by record.  Each is a run, a folder of JSONL files, a JSONL file, a tag, or a version.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="examples:\n"
        "  pixel-synth version diff v1.1.0 v1.2.0\n"
        "  pixel-synth version diff v1.2.0 runs/dataset-004 --show 5       five changed records, word by word\n"
        "  pixel-synth version diff v1.2.0 runs/dataset-004 --list removed > removed.txt\n"
        "A shift is marked when its 95% interval excludes no difference; of twenty such marks one is chance.\n"
        "Exit status: 0 equal; 1 different, or it failed; 2 a wrong flag.",
    )
    p.add_argument("a", metavar="A", help="before")
    p.add_argument("b", metavar="B", help="after")
    p.add_argument("--runs", type=Path, default=RUNS, metavar="DIR", help="where tags and versions are looked up (default runs)")
    p.add_argument("--list", choices=("added", "removed", "changed", "moved"), dest="listed", help="only the ids of these, one a line")
    p.add_argument("--show", type=int, default=0, metavar="N", help="also the first N changed records, word by word")
    p.add_argument("--json", action="store_true", help="everything as JSON, with all ids")
    p.set_defaults(run=diff_versions)


def list_versions(args: argparse.Namespace) -> int:
    """List the versions of a folder."""
    from pixel_synth.prove.versions import versions

    found = versions(args.runs)
    if args.json:
        print(json.dumps([{**v._asdict(), "run": str(v.run)} for v in found], indent=2))
        return 0
    for v in found:
        named = [*v.tags, *(f"was {t}" for t in v.former)]
        print(f"{v.run.name:<24} {v.version}  {v.records:>9,} records {v.bytes:>15,} bytes  {v.started[:10]}  {', '.join(named)}".rstrip())
    if not found:
        print(f"no finished run in {args.runs}")
    return 0


def tag_run(args: argparse.Namespace) -> int:
    """Tag a run."""
    from pixel_synth.prove.versions import tag

    made = tag(args.path, args.name, args.message)
    print(f"{made.name} is {made.run}, version {made.version}")
    return 0


def diff_versions(args: argparse.Namespace) -> int:
    """Compare two versions."""
    from pixel_synth.cli.backups import reading
    from pixel_synth.errors import UsageError
    from pixel_synth.prove.diff import Reader, diff
    from pixel_synth.prove.versions import resolve
    from pixel_synth.prove.wording import as_dict, record_lines, summary

    if args.show < 0:
        raise UsageError(f"--show must not be negative, and is {args.show}")
    with reading("comparing", "bytes") as show:
        found = diff(resolve(args.a, args.runs), resolve(args.b, args.runs), show)
    if args.listed:
        rows = getattr(found, args.listed)
        sys.stdout.writelines(f"{row if isinstance(row, str) else row[0]}\n" for row in rows)
    elif args.json:
        print(json.dumps(as_dict(found), indent=2, ensure_ascii=False))
    else:
        print("\n".join(summary(found)))
        with Reader() as read:
            for change in found.changed[: args.show]:
                print("\n" + "\n".join(record_lines(change, read)))
    return 0 if found.equal else 1
