"""Commands that push a dataset to the Hub."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pixel_synth.publish.hub_plan import PushPlan

SHOWN = 40  # files that a dry run lists one by one


def add_commands(commands: Any) -> None:
    """Add the commands to a parser's subparsers; imports nothing heavy."""
    p: argparse.ArgumentParser = commands.add_parser(
        "push",
        help="send a dataset to the Hugging Face Hub; without --yes only say what would go",
        description="Send a run's dataset, or a folder, to the Hugging Face Hub as one tagged version.  Without --yes nothing is sent:\n"
        "the files, their licences and every reason against it are shown.  What was rejected, stages/, private/, audits and\n"
        "logs never go.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="examples:\n"
        "  pixel-synth push runs/dataset-001 my-org/therapy-mix                    what would go, and may it?\n"
        "  pixel-synth push runs/dataset-001 my-org/therapy-mix --yes              send it, private\n"
        "  pixel-synth push runs/dataset-001 my-org/therapy-mix --yes --tag v1.2.0\n"
        "A push that broke off goes on when the same command is called again. HF_TOKEN holds the token, HF_ENDPOINT another Hub.\n"
        "Exit status: 0 done, or fit to go; 1 refused or failed; 2 a wrong flag.",
    )
    p.add_argument("path", type=Path, metavar="RUN|FOLDER", help="a run directory with manifest.json, or a folder of dataset files")
    p.add_argument("repo", metavar="ORG/NAME", help="the set on the Hub; made when it is not there")
    p.add_argument("--yes", action="store_true", help="do it")
    p.add_argument("--public", action="store_true", help="everybody may read it (default: private); licences must allow that")
    p.add_argument("--tag", default="", help="name of the version (default: that of run.json, else from the files' hash)")
    p.add_argument("--allow-unreviewed", action="store_true", help="although no record was reviewed by a person")
    p.add_argument("--allow-composer", action="store_true", help="although only the composer wrote it")
    p.set_defaults(run=push_folder)


def push_folder(args: argparse.Namespace) -> int:
    """Show what a push would send; send it with ``--yes``."""
    from pixel_synth.publish.hub import push
    from pixel_synth.sources.hub_client import check_name

    check_name(args.repo)
    found = _plan(args)
    _show(found, args.repo, args.public)
    for refusal in found.refusals:
        print(f"refused: {refusal}", file=sys.stderr)
    if found.refusals:
        return 1
    if not args.yes:
        print("dry run: nothing was sent; --yes sends it")
        return 0
    done = push(found, args.repo, public=args.public)
    print(f"{'pushed' if done.new else 'was there already'}: {done.files:,} files, {done.bytes:,} bytes, each compared with what arrived")
    print(f"{done.url}  (commit {done.commit})")
    return 0


def _plan(args: argparse.Namespace) -> PushPlan:
    from rich.console import Console
    from rich.progress import Progress

    from pixel_synth.publish.hub_plan import plan

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("reading", total=None)
        return plan(
            args.path,
            tag=args.tag,
            public=args.public,
            allow_unreviewed=args.allow_unreviewed,
            allow_composer=args.allow_composer,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )


def _show(found: PushPlan, repo: str, public: bool) -> None:
    print(f"{found.folder} -> {repo} ({'public' if public else 'private'}), version {found.tag}")
    for name, file in list(found.files.items())[:SHOWN]:
        print(f"  {file.size:>15,}  {name}")
    if len(found.files) > SHOWN:
        print(f"  {'':>15}  and {len(found.files) - SHOWN:,} more")
    print(f"  {found.size:>15,}  bytes in {len(found.files):,} files, {found.contents.records:,} records")
    for title, counts in (("licences", found.contents.licences), ("sources", found.contents.sources), ("engines", found.contents.engines)):
        told = [f"{name or 'none named'} {n:,}" for name, n in counts.items()]
        print(f"{title}: {', '.join(told) or 'none'}")
    print(f"stays here: {', '.join(_short(found)) or 'nothing'}")
    print(f"commit message: {found.message}")


def _short(found: PushPlan) -> list[str]:
    """Name what stays: a folder of which nothing goes by its name alone."""
    going = {name.split("/")[0] for name in found.files}
    return sorted({name if "/" not in name or name.split("/")[0] in going else name.split("/")[0] + "/" for name in found.stays})
