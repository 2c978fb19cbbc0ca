"""Commands that balance records to shares: ``mix`` and ``balance``."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pixel_synth.mix.files import Lines
    from pixel_synth.mix.item import Item
    from pixel_synth.mix.mixture import Mixture
    from pixel_synth.recipe import Profile, Want

STRATEGIES = ("proportional", "quality", "diversity", "iterative", "hybrid")
MIX = """example: a mix of 1,000, three tenths of it CBT, with even Big Five bins; seen before anything is written
  pixel-synth mix runs/dataset-001/stages/04-score/kept.jsonl -o mixed --total 1000 --want modality=cbt:0.3 --traits even --dry-run

strategies
  proportional  a seeded uniform draw; every source gives by what it has
  quality       the better a record is, the likelier it is taken
  diversity     the records whose wording the others have not
  iterative     a proportional draw, improved by swaps
  hybrid        good and new in wording at once, improved by swaps (default)

written to DIR: mix.jsonl, auxiliary.jsonl, client_lines.jsonl, left.jsonl (who was left, and why), mix.json
exit status: 0 fine; 1 error, or --check found a gap; 2 a wrong flag; 3 a category or a wanted share is short of records"""
BALANCE = """example: drop as few records as can be so that low, mid and high of every Big Five domain are alike
  pixel-synth balance runs/psychology-001/data/conversations.jsonl --traits -o even.jsonl

exit status: 0 fine; 1 error; 2 a wrong flag; 3 the bins cannot be evened to the tolerance (nothing is written)"""


def add_commands(commands: Any) -> None:
    """Add the commands to a parser's subparsers; imports nothing heavy."""
    _add_mix(commands)
    _add_balance(commands)


def _add(commands: Any, name: str, told: str, examples: str, run: Callable[[argparse.Namespace], int]) -> argparse.ArgumentParser:
    p: argparse.ArgumentParser = commands.add_parser(
        name, help=told, description=told, epilog=examples, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.set_defaults(run=run)
    return p


def _add_mix(commands: Any) -> None:
    p = _add(
        commands, "mix", "choose the records of a dataset: ratios exact to one record, shares inside them, floors never broken", MIX, mix
    )
    p.add_argument("paths", type=Path, nargs="+", metavar="FILE", help="JSONL of records (pixel-synth check FILE)")
    p.add_argument("-o", "--output", type=Path, required=True, metavar="DIR", help="folder of what is written")
    p.add_argument("--total", type=int, metavar="N", help="records of the mix (default: the recipe's 100,000)")
    p.add_argument("--ratio", action="append", metavar="CATEGORY=SHARE", help="of a category; those not named share the rest; repeatable")
    p.add_argument("--strategy", choices=STRATEGIES, help="how to choose where there are more records than wanted (default hybrid)")
    p.add_argument("--want", action="append", metavar="DIM=VALUE:SHARE", help="share of kind, modality, population or traits; repeatable")
    p.add_argument("--traits", choices=("even",), help="want low, mid and high of each Big Five domain alike")
    p.add_argument("--least-quality", type=float, metavar="Q", help="floor of the overall score, 0-1; nothing below it enters")
    p.add_argument("--unscored", action="store_true", default=None, help="let records in that have no overall score")
    short = "a category has too few: leave the others at their counts (report, the default), or take less of all (shrink)"
    p.add_argument("--when-short", choices=("report", "shrink"), help=short)
    p.add_argument("--tolerance", type=float, metavar="T", help="distance from a wanted share that is good enough (default 0.02)")
    p.add_argument("--profile", choices=("research", "commercial"), help="use the dataset is for; licences that forbid it are refused")
    p.add_argument("--seed", type=int, metavar="S", help="of every draw (default 7)")
    p.add_argument("--check", action="store_true", help="exit 1 when a category's share is further from its ratio than the tolerance")
    p.add_argument("--dry-run", action="store_true", help="print everything, write nothing")


def _add_balance(commands: Any) -> None:
    p = _add(commands, "balance", "even the Big Five bins of a file, with as few records lost as can be", BALANCE, balance)
    p.add_argument("path", type=Path, metavar="FILE", help="JSONL of records whose labels hold traits")
    p.add_argument("--traits", action="store_true", required=True, help="low, mid and high of every domain alike")
    p.add_argument("-o", "--output", type=Path, required=True, metavar="OUT", help="JSONL of what is kept; OUT.left.jsonl has the others")
    p.add_argument("--tolerance", type=float, metavar="T", help="largest distance of a bin from a third, 0-1 (default 0.02)")
    p.add_argument("--seed", type=int, metavar="S", help="of the draw among equals (default 7)")
    p.add_argument("--dry-run", action="store_true", help="print the histograms, write nothing")


def mix(args: argparse.Namespace) -> int:
    """Choose, print, write."""
    import sys

    from pixel_synth.mix.choosing import mix as choose
    from pixel_synth.mix.files import Lines
    from pixel_synth.mix.quota import asked
    from pixel_synth.mix.table import mixture_text, problems
    from pixel_synth.recipe import load_recipe
    from pixel_synth.settings import load_settings

    wanted = tuple(want(text) for text in args.want) if args.want else None
    recipe = load_recipe(
        total=args.total, mixing=args.strategy, wanted=wanted, least_quality=args.least_quality, unscored=args.unscored,
        tolerance=args.tolerance, profile=args.profile, seed=args.seed, when_short=args.when_short,
    )  # fmt: skip
    with Lines(args.paths) as lines:
        items = read(lines)
        ratios = asked(args.ratio or (), load_settings().ratios)
        with progress("comparing the wording", len(items)) as step:

            def text(item: Item) -> str:
                step(1)
                return lines.text(item)

            made = choose(
                items, recipe, ratios, text, when_short=recipe.when_short, even=args.traits == "even", refuse=refusing(recipe.profile)
            )
        print(mixture_text(made))
        if not args.dry_run:
            write(made, lines, args.output)
            print(f"\nwritten to {args.output}: mix.jsonl auxiliary.jsonl client_lines.jsonl left.jsonl mix.json")
    for problem in problems(made):
        print(problem, file=sys.stderr)
    return status(made, recipe.tolerance, args.check)


def want(text: str) -> Want:
    """Read a wanted share, ``modality=cbt:0.3`` or ``traits=neuroticism:high:0.2``.

    Raises:
        UsageError: When it is none.
    """
    from pydantic import ValidationError

    from pixel_synth.errors import UsageError
    from pixel_synth.recipe import DIMENSIONS, Want

    dimension, _, rest = text.partition("=")
    value, _, share = rest.rpartition(":")
    try:
        return Want.model_validate({"dimension": dimension, "value": value, "share": share})
    except ValidationError as error:
        raise UsageError(f"--want {text}: not DIM=VALUE:SHARE", hint=f"DIM is one of {', '.join(DIMENSIONS)}: modality=cbt:0.3") from error


def refusing(profile: Profile) -> Callable[[Any], Sequence[str]]:
    """Return what says which licences a profile forbids; research forbids none."""
    from functools import partial

    from pixel_synth.sources.licence import forbidden

    return partial(forbidden, profile=profile)


def status(made: Mixture, tolerance: float, check: bool) -> int:
    """Return the exit status: 1 when a gap is looked for and found, 3 when records are missing."""
    n, ratios = len(made.chosen), sum(q.ratio for q in made.quotas)
    if check and (not n or any(abs(q.chosen / n - q.ratio / ratios) > tolerance for q in made.quotas)):
        return 1
    return 3 if made.short else 0


def write(made: Mixture, lines: Lines, folder: Path) -> None:
    """Write the chosen records, those outside the ratios, the others' reasons, and the account."""
    import json

    from pixel_synth.books import Reject
    from pixel_synth.jsonl import whole
    from pixel_synth.mix.eligible import AUXILIARY, CLIENT_LINES

    lines.copy(made.chosen, folder / "mix.jsonl")
    for name, kind in (("auxiliary", AUXILIARY), ("client_lines", CLIENT_LINES)):
        lines.copy((item for item, reason in made.left if reason == kind), folder / f"{name}.jsonl")
    with whole(folder / "left.jsonl") as file:
        for item, reason in made.left:
            if reason not in (AUXILIARY, CLIENT_LINES):
                file.write(Reject(stage="mix", reason=reason, file=str(lines.file(item)), id=item.id).line() + "\n")
    with whole(folder / "mix.json") as file:
        file.write(json.dumps(made.as_dict(), indent=2, ensure_ascii=False) + "\n")


def balance(args: argparse.Namespace) -> int:
    """Even the bins of a file."""
    import sys

    from pixel_synth.books import Reject
    from pixel_synth.jsonl import whole
    from pixel_synth.mix.even import even_traits, loosened
    from pixel_synth.mix.files import Lines
    from pixel_synth.mix.table import bins_text
    from pixel_synth.recipe import load_recipe

    recipe = load_recipe(tolerance=args.tolerance, seed=args.seed)
    with Lines([args.path]) as lines:
        items = read(lines)
        made = even_traits(items, recipe.tolerance, recipe.seed)
        print(bins_text(made.bins))
        print(f"\n{len(items):,} records = {len(made.kept):,} kept + {len(made.left):,} left")
        if items and not made.kept:
            print(f"error: the bins cannot be evened to within {recipe.tolerance}: levels of one domain go together with those of another\n"
                  f"  hint: {loosened(items, recipe.seed)}", file=sys.stderr)  # fmt: skip
            return 3
        if not args.dry_run:
            left = args.output.with_name(f"{args.output.stem}.left.jsonl")
            lines.copy(made.kept, args.output)
            with whole(left) as file:
                for item in made.left:
                    file.write(
                        Reject(stage="balance", reason="not needed: its bins are full", file=str(args.path), id=item.id).line() + "\n"
                    )
            print(f"written: {args.output} and {left}")
    return 0


def read(lines: Lines) -> list[Item]:
    """Read the items of files with progress."""
    with progress("reading", lines.size) as step:
        return lines.items(step)


@contextmanager
def progress(told: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show a bar on a terminal, nothing elsewhere; the function that is given takes steps done."""
    import sys

    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task(told, total=total)
        yield lambda n: bar.advance(task, n)
