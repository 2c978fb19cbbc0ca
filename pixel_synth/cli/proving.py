"""``pixel-synth validate``: is the dataset what it was meant to be, and whole?"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pixel_synth.cli.progress import counting

if TYPE_CHECKING:
    from pixel_synth.prove.validate import Validation

EPILOG = """\
examples:
  pixel-synth validate runs/dataset-001
  pixel-synth validate runs/dataset-001 --distribution      target, actual and gap of every category
  pixel-synth validate kept.jsonl --no-speed --json
  pixel-synth validate runs/dataset-001 --limits limits.toml    with e.g.  records_s = 500

A run is held against the settings and the recipe that it was made with; anything else against pixel.toml.  Rules that do not apply say
why; a threshold that no calibration card lets gate is not judged.  See docs/validation.md.
Exit status: 0 no rule is broken, 1 a rule is broken, 2 a wrong flag, 3 only shortfalls that mix.json names.
"""


def add_commands(commands: Any) -> None:
    """Add the commands to a parser's subparsers; imports nothing heavy."""
    help = "hold a dataset against ratios, thresholds, splits, integrity and speed; names every broken rule"
    p: argparse.ArgumentParser = commands.add_parser(
        "validate", help=help, description=help, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.set_defaults(run=validate)
    p.add_argument("path", type=Path, metavar="DIR|FILE", help="a run directory, a folder of splits, or a JSONL file of records")
    p.add_argument(
        "--distribution", action="store_true", help="show the distribution; judges the shares also where no recipe asks for them"
    )
    p.add_argument("--total", type=int, metavar="N", help="records that there should be, where no run says so")
    p.add_argument("--limits", type=Path, metavar="FILE", help="limits as TOML (default: [validation] of pixel.toml)")
    p.add_argument("--no-speed", action="store_true", help="do not measure load time and memory, which reads everything again")
    p.add_argument("--all", action="store_true", help="also name the rules that hold or do not apply")
    p.add_argument("--json", action="store_true", help="print all answers as JSON")


def validate(args: argparse.Namespace) -> int:
    """Validate, and print what is broken."""
    from pixel_synth.prove.validate import load_limits
    from pixel_synth.prove.validate import validate as hold
    from pixel_synth.recipe import load_recipe
    from pixel_synth.settings import load_settings

    recipe = load_recipe(total=args.total) if args.total else None
    with counting() as show:
        found = hold(args.path, load_settings(), recipe, load_limits(args.limits), distribution=args.distribution,
                     speed=not args.no_speed, progress=show)  # fmt: skip
    if args.json:
        print(found.model_dump_json(indent=1))
    else:
        _print(found, distribution=args.distribution, everything=args.all)
    return found.status


def is_dataset(path: Path) -> bool:
    """Tell whether a path is reported from its records: a file, or a folder that holds some and is no generating run."""
    if path.is_dir():
        from pixel_synth.prove.target import target

        found = target(path)
        return found.kind != "run" and bool(found.splits or found.aside)
    return path.is_file()


def report_dataset(path: Path, format: str) -> int:
    """Print the report of a dataset."""
    from pixel_synth.prove.report import render, report

    with counting() as show:
        facts = report(path, progress=show)
    sys.stdout.write(render(facts, format))
    return 0


def _print(found: Validation, *, distribution: bool, everything: bool) -> None:
    if distribution:
        print(f"{'category':<16} {'target':<18}  actual")
        for rule in (r for r in found.rules if r.id.startswith("share.")):
            print(f"{rule.id[6:]:<16} {rule.expected:<18}  {rule.found}{'' if rule.passed else ', too far'}")
        print()
    for rule in found.rules:
        if rule.passed is False:
            kind = "SHORT" if rule.shortfall else "BROKEN"
            print(f"{kind:<7} {rule.id}: {rule.why}; expected {rule.expected}, found {rule.found}; {rule.todo}")
            for where in rule.where:
                print(f"          {where}")
        elif everything or (rule.passed is None and rule.id.startswith("quality.") and rule.found):
            word = "ok" if rule.passed else "not judged"
            told = (rule.found, rule.expected if rule.passed else "", rule.why.removeprefix("not judged: "))
            print(f"{word:<10} {rule.id}: {'; '.join(filter(None, told))}")
    held, open_ = sum(r.passed is True for r in found.rules), sum(r.passed is None for r in found.rules)
    more = "" if everything else " (--all names them)"
    rules = f"{len(found.rules)} rules = {held} hold + {len(found.failing)} broken + {open_} not judged"
    print(f"{found.path}: {found.records:,} records; {rules}{more}")
