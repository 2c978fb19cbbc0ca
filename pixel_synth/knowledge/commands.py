"""What ``pixel-synth knowledge score``, ``administer`` and ``persona`` do: read answers, score, print.

Exit status 1 when no scale of an instrument could be scored, or an inventory gives no persona.
"""

from __future__ import annotations

import argparse
import sys
import textwrap

from pixel_synth.errors import UsageError
from pixel_synth.knowledge.answers import ask_answers, load_answers
from pixel_synth.knowledge.assess import Result, persona, score
from pixel_synth.knowledge.load import load
from pixel_synth.knowledge.models import Instrument
from pixel_synth.knowledge.screening import Screening, administer

INVENTORY = "ipip_neo_120"
WIDTH = 100


def score_command(args: argparse.Namespace) -> int:
    """Score answers from a file or from the terminal and print the result."""
    instrument = load().get(Instrument, args.instrument)
    result = score(instrument, _answers(args, instrument) or {})
    print(result.model_dump_json(indent=2) if args.json else told(instrument, result))
    return 0 if any(s.value is not None for s in result.scales) else 1


def administer_command(args: argparse.Namespace) -> int:
    """Write a screening conversation and print it."""
    instrument = load().get(Instrument, args.instrument)
    answers = _answers(args, instrument)
    if answers is not None and args.severity:
        raise UsageError("--severity draws answers; leave it out when answers are given")
    done = administer(instrument, args.seed, args.severity, answers)
    print(done.model_dump_json(indent=2) if args.json else f"{spoken(done)}\n\n{told(instrument, done.result)}")
    return 0


def persona_command(args: argparse.Namespace) -> int:
    """Print the Big Five persona of answers to the inventory."""
    knowledge = load()
    instrument = knowledge.get(Instrument, INVENTORY)
    found = persona(score(instrument, _answers(args, instrument) or {}), knowledge, args.group)
    if args.json:
        print(found.model_dump_json(indent=2))
        return 0
    for domain, level in found.big_five.model_dump().items():
        print(f"{domain:<20} {level}")
    if found.profile is None:
        print("profile              none: the knowledge has no named profiles")
    else:
        print(f"profile              {found.profile} ({found.apart} steps apart)")
    for facet in found.facets:
        print(f"  {facet.scale:<40} {facet.level:<5} {facet.distance:+.1f}")
    print(f"basis                {found.basis}")
    return 0


def told(instrument: Instrument, result: Result) -> str:
    """Return a result to read: every scale with its band and norms, flags that are raised or open, and the first limit."""
    lines = [f"{instrument.name} ({instrument.abbr}), {instrument.period}"]
    for s in result.scales:
        if s.value is None:
            lines.append(f"  {s.name:<28} unscored: {s.reason}")
            continue
        made_up = f", {s.prorated} items made up for by the mean" if s.prorated else ""
        lines.append(f"  {s.name:<28} {s.value:g} of {s.low:g}-{s.high:g}{', ' + s.band if s.band else ''}{made_up}")
        lines += [f"  {'':<28}   {n.group}: T {n.t:.0f}, percentile {n.percentile:.0f} (normal approximation)" for n in s.norms]
    for flag in sorted((f for f in result.flags if f.raised is not False), key=lambda f: not f.urgent):
        mark = "URGENT" if flag.urgent and flag.raised else "flag" if flag.raised else "open"
        text = flag.means if flag.raised else f"{flag.flag}: {flag.reason}"
        lines += textwrap.wrap(text, WIDTH, initial_indent=f"  {mark}: ", subsequent_indent="    ")
    lines += textwrap.wrap(f"note: {instrument.limits[0]}", WIDTH, initial_indent="  ", subsequent_indent="    ")
    return "\n".join(lines)


def spoken(done: Screening) -> str:
    """Return a conversation to read."""
    lines: list[str] = []
    for message in done.messages:
        who = "client    " if message.role == "user" else "clinician "
        lines += textwrap.wrap(message.content, WIDTH, initial_indent=who, subsequent_indent=" " * len(who))
    return "\n".join(lines)


def _answers(args: argparse.Namespace, instrument: Instrument) -> dict[str, float | None] | None:
    if args.ask:
        return ask_answers(instrument, input, print)
    return load_answers(args.answers, sys.stdin.read) if args.answers else None
