"""Commands that back a run up, restore it, and look after the backups."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SHOWN = 20  # findings that are listed one by one


def add_commands(commands: Any) -> None:
    """Add the commands to a parser's subparsers; imports nothing heavy."""
    p: argparse.ArgumentParser = commands.add_parser(
        "backup",
        help="send a run to a folder, a bucket or a server; only what is new is sent",
        description="Send a run to any fsspec URL.  Equal content is kept once, and only what is new is sent.  What was interrupted\n"
        "goes on when the same command is called again.  private/ and stages/ hold text with personal data and stay here without\n"
        "--include-private.  Nothing is encrypted: choose a place that only you can read.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="examples:\n"
        "  pixel-synth backup runs/dataset-001 /mnt/backups --dry-run     what would be sent\n"
        "  pixel-synth backup runs/dataset-001 /mnt/backups --keep 5      and only the newest five stay\n"
        "  pixel-synth backup runs/dataset-001 s3://bucket/backups        needs pip install 'pixel-synth[s3]'\n"
        "  pixel-synth backup --list /mnt/backups\n"
        "  pixel-synth backup --verify /mnt/backups                       every object is read and compared with its hash\n"
        "Exit status: 0 done; 1 damage was found, or it failed; 2 a wrong flag.",
    )
    p.add_argument("path", type=Path, nargs="?", metavar="RUN", help="the run directory")
    p.add_argument("url", nargs="?", metavar="URL", help="a folder, file:///…, s3://…, sftp://…")
    p.add_argument("--include-private", action="store_true", help="take private/ and stages/ along, with the personal data in them")
    p.add_argument("--dry-run", action="store_true", help="only say what would be sent")
    p.add_argument("--keep", type=int, metavar="N", help="then keep the newest N backups of this run; what no backup needs is deleted")
    p.add_argument("--list", metavar="URL", dest="listed", help="list the backups at URL")
    p.add_argument("--verify", metavar="URL", help="read all that the backups at URL consist of, and compare the hashes")
    p.set_defaults(run=backup_run)

    p = commands.add_parser(
        "restore",
        help="restore a run from a backup, byte for byte",
        description="Restore a run from a backup into a folder that is not there yet.  Every hash is checked; what is damaged is named\n"
        "and left out, and the rest is restored.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="examples:\n"
        "  pixel-synth restore /mnt/backups runs/dataset-001                        the newest backup there\n"
        "  pixel-synth restore s3://bucket/backups here --run dataset-001           the newest of this run\n"
        "  pixel-synth restore /mnt/backups here --snapshot 20261123T041500123Z-0f3a9c11\n"
        "Exit status: 0 all of it is restored; 1 something is damaged, or it failed; 2 a wrong flag.",
    )
    p.add_argument("url", metavar="URL")
    p.add_argument("path", type=Path, metavar="DIR", help="a folder that is not there yet, or is empty")
    p.add_argument("--snapshot", default="", metavar="NAME", help="which backup (default: the newest; see pixel-synth backup --list)")
    p.add_argument("--run", default="", dest="of", metavar="NAME", help="the newest backup of this run")
    p.set_defaults(run=restore_run)


def backup_run(args: argparse.Namespace) -> int:
    """Back up, list or verify."""
    from pixel_synth.errors import UsageError

    if [bool(args.path), bool(args.listed), bool(args.verify)].count(True) != 1 or bool(args.path) != bool(args.url):
        raise UsageError("give RUN and URL, or --list URL, or --verify URL", hint="pixel-synth backup --help")
    if args.keep is not None and args.keep < 1:
        raise UsageError(f"--keep must be at least 1, not {args.keep}")
    return _list(args.listed) if args.listed else _verify(args.verify) if args.verify else _backup(args)


def _backup(args: argparse.Namespace) -> int:
    from pixel_synth.prove.backup import backup, prune

    with reading("sending", "bytes") as show:
        done = backup(args.path, args.url, private=args.include_private, dry_run=args.dry_run, progress=show)
    for line in done.left_out:
        print(f"left out: {line}")
    for name in done.differs:
        print(f"{args.path / name}: missing, or not as manifest.json says", file=sys.stderr)
    if args.dry_run:
        print(f"dry run: would send {done.sent_bytes:,} of {done.bytes:,} bytes ({done.sent:,} objects) of {done.files:,} files")
        return 1 if done.differs else 0
    packed = f"{done.sent_bytes:,} bytes ({done.packed_bytes:,} packed)"
    print(f"{done.files:,} files, {done.bytes:,} bytes; sent {done.sent:,} new objects, {packed}")
    print(f"snapshot {done.name}")
    if args.keep:
        gone = prune(args.url, args.path.resolve().name, args.keep)
        print(f"pruned: {len(gone.snapshots):,} snapshots, {gone.objects:,} objects, {gone.bytes:,} bytes")
    return 1 if done.differs else 0


def _list(url: str) -> int:
    from pixel_synth.prove.store import Store

    snapshots, damaged = Store(url).snapshots()
    for name, s in snapshots.items():
        told = "with private/ and stages/" if s.private else ""
        print(f"{name}  {s.run:<24} {len(s.files):>6,} files {s.size:>15,} bytes  {told}".rstrip())
    for damage in damaged:
        print(f"{damage.name}: {damage.why}", file=sys.stderr)
    if not snapshots and not damaged:
        print("no backup here")
    return 1 if damaged else 0


def _verify(url: str) -> int:
    from pixel_synth.prove.backup import check

    with reading("verifying", "objects") as show:
        found = check(url, show)
    for damage in found.damage:
        print(f"{damage.name}: {damage.why}", file=sys.stderr)
    for name in found.files[:SHOWN]:
        print(f"cannot be restored: {name}", file=sys.stderr)
    if len(found.files) > SHOWN:
        print(f"  and {len(found.files) - SHOWN:,} more", file=sys.stderr)
    print(f"{found.snapshots:,} snapshots, {found.objects:,} objects, {found.bytes:,} bytes: {'DAMAGED' if found.damage else 'all whole'}")
    if found.damage:
        print("  hint: delete the damaged objects, and back the runs up again", file=sys.stderr)
    return 1 if found.damage else 0


def restore_run(args: argparse.Namespace) -> int:
    """Restore a run."""
    from pixel_synth.prove.restore import restore

    with reading("restoring", "bytes") as show:
        done = restore(args.url, args.path, name=args.snapshot, run=args.of, progress=show)
    for line in done.left_out:
        print(f"was left out: {line.partition(';')[0]}")
    for line in done.damaged:
        print(f"damaged, not restored: {line}", file=sys.stderr)
    print(f"{done.run} of {done.name} in {args.path}: {done.files:,} files, {done.bytes:,} bytes, each compared with its hash")
    return 1 if done.damaged else 0


@contextmanager
def reading(what: str, unit: str) -> Iterator[Callable[[int, int], None]]:
    """Show a bar on a terminal, and nothing elsewhere; what is given takes how much is done and how much there is."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(f"{what} ({unit})", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
