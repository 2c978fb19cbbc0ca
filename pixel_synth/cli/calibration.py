"""``pixel-synth calibrate`` and ``pixel-synth cards``: hold scores against people, and look at what came of it."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

Command = Callable[[argparse.Namespace], int]
EPILOG = """\
examples:
  pixel-synth calibrate --scorer coherence --labels ratings.csv --conversations talks.jsonl --criterion coherence
  pixel-synth calibrate --scorer coherence --conversations talks.jsonl --shuffled 5      own order against shuffled copies
  pixel-synth calibrate --scorer emotional_authenticity --labels EMPATHY_JUDGES_FOLDER --source lend_an_ear \\
      --criterion validating_emotions --criterion demonstrating_understanding --precision 0.9
  pixel-synth judge talks.jsonl --rubric epitome -o judged.jsonl --base-url http://127.0.0.1:8000/v1
  pixel-synth calibrate --judge epitome.explorations --labels ratings.csv --conversations judged.jsonl --criterion explorations

Labels are rows of item, criterion, rater, group and rating as CSV (with a header) or JSON lines; what the numbers mean stands in
FILE.scales.yaml beside them or in --scale.  See docs/calibration.md.
"""


def add_commands(commands: Any) -> None:
    """Add ``calibrate`` and ``cards`` to a parser's subparsers; imports nothing heavy."""
    help = "hold a scorer or judge against human labels: agreement, a map to the human scale, thresholds, a card"
    p: argparse.ArgumentParser = commands.add_parser(
        "calibrate", help=help, description=help, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.set_defaults(run=calibrate)
    what = p.add_mutually_exclusive_group(required=True)
    what.add_argument("--scorer", metavar="NAME[.PART]", help="a deterministic scorer, overall, or a part of one")
    what.add_argument("--judge", metavar="RUBRIC[.CRITERION]", help="a rubric whose scores the conversations carry (see pixel-synth judge)")
    what.add_argument("--rater", metavar="NAME", help="replay the recorded ratings of this rater (a model) as if it were the judge")
    p.add_argument("--labels", type=Path, metavar="PATH", help="labels: CSV or JSONL, an Argilla export, or the empathy-judges folder")
    p.add_argument(
        "--source",
        action="append",
        metavar="NAME",
        help="only conversations of this source (provenance.source), e.g. lend_an_ear; may be repeated",
    )
    p.add_argument(
        "--conversations", type=Path, metavar="FILE", help="the conversations as JSONL, where the labels do not bring them along"
    )
    p.add_argument(
        "--criterion", action="append", metavar="NAME", help="criterion of the labels; several are averaged; default: the only one"
    )
    p.add_argument(
        "--scale", action="append", metavar="C=LOW,HIGH,GOOD[,bad]", help="scale of a criterion: bounds, least good, bad if high is bad"
    )
    p.add_argument("--group", default="expert", help="whose ratings count as the people's (default expert)")
    p.add_argument("--shuffled", type=_count, metavar="K", help="instead of ratings: the conversations against K shuffled copies of each")
    p.add_argument("--swapped", action="store_true", help="instead of ratings: generated conversations against copies with another persona")
    p.add_argument("--planned", action="store_true", help="instead of ratings: the planned difficulty of generated conversations")
    p.add_argument("--name", metavar="NAME", help="name of the label set on the card; default: from the file")
    p.add_argument("--all-turns", action="store_true", help="shuffle all turns; default: each speaker's among that speaker's places")
    p.add_argument("--license", default="", metavar="TEXT", help="licence of the labels, where they do not bring it along")
    p.add_argument(
        "--origin", choices=("people", "constructed"), default="people", help="constructed: labels written to order; such cards never gate"
    )
    p.add_argument(
        "--precision", type=_share, action="append", metavar="P", help="also find the threshold for this precision; may be repeated"
    )
    p.add_argument("--held-out", action="store_true", help="only the three fifths of the items that nothing is tuned on")
    p.add_argument(
        "--trained-on", default="not stated", metavar="TEXT", help="what the measure was developed on, in words; goes onto the card"
    )
    p.add_argument("--model", default="", metavar="NAME", help="model of the judge; default: as the conversations say")
    p.add_argument("-o", "--output", type=Path, default=Path("cards"), metavar="DIR", help="folder of the card (default ./cards)")
    p.add_argument("--figure", type=Path, metavar="FILE.svg", help="also draw raw scores against ratings, with the map")
    p.add_argument("--dry-run", action="store_true", help="show the card, write nothing")
    listing = commands.add_parser(
        "cards", help="the calibration cards: what may gate and why", description="List or show calibration cards."
    )
    listing.set_defaults(run=cards)
    listing.add_argument("name", nargs="?", help="show this card (its name or beginning) in full")
    listing.add_argument("--json", action="store_true", help="as JSON")


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of copies, 1 or more")
    return int(text)


def _share(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no share above 0 and up to 1, such as 0.9")
    return value


def calibrate(args: argparse.Namespace) -> int:
    """Make a card."""
    from pixel_synth.calibrate.commands import calibrate as make

    return make(args)


def cards(args: argparse.Namespace) -> int:
    """List or show cards."""
    from pixel_synth.calibrate.commands import cards as look

    return look(args.name, args.json)
