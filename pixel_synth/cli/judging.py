"""``pixel-synth judge``: rubrics asked about the conversations of a file, and what rubrics there are; ``prefer``: two files compared."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pixel_synth.curate.preferring import Matched
    from pixel_synth.judges.rubric import Rubric
    from pixel_synth.settings import Settings

TOKEN = 4  # characters, about, of English text


def add_command(commands: Any) -> None:
    """Add the command to a parser's subparsers; imports nothing heavy."""
    told = "ask rubrics about the conversations of a JSONL file; the same call goes on where it was interrupted"
    p: argparse.ArgumentParser = commands.add_parser("judge", help=told, description=told)
    p.set_defaults(run=judge)
    p.add_argument("path", type=Path, nargs="?", metavar="FILE", help="conversations, generated or ingested (pixel-synth schema)")
    p.add_argument("--rubric", action="append", metavar="NAME", help="a rubric of prompts/judges; may be repeated")
    p.add_argument("-o", "--output", type=Path, metavar="OUT", help="records with the judges' scores, in the order of FILE")
    p.add_argument("--list", action="store_true", help="list the rubrics with version, criteria, and whether they are calibrated")
    p.add_argument("--dry-run", action="store_true", help="say how many calls and about how many tokens it takes; ask nothing")
    p.add_argument("--samples", type=int, metavar="K", help="answers of each model to each rubric (default 1); several make a panel")
    _add_who(p, "who judges; repeated, the models make a panel (default: judge_model or model of the settings)")
    _add_prefer(commands)


def _add_prefer(commands: Any) -> None:
    told = "compare the conversations of two files pair by pair, each in both orders; the same call goes on where it was interrupted"
    p: argparse.ArgumentParser = commands.add_parser("prefer", help=told, description=told)
    p.set_defaults(run=prefer)
    p.add_argument("a", type=Path, metavar="FILE_A", help="conversations of one side")
    p.add_argument(
        "b",
        type=Path,
        metavar="FILE_B",
        help="conversations of the other; what has the same id, plan or client words is a pair",
    )
    p.add_argument("--rubric", default="preference", metavar="NAME", help="a rubric that asks about pairs (default preference)")
    p.add_argument("-o", "--output", type=Path, metavar="OUT", help="a line per pair: what won by each criterion, and both answers")
    p.add_argument("--dry-run", action="store_true", help="say how many pairs and calls it takes; ask nothing")
    _add_who(p, "who judges (default: judge_model or model of the settings)")


def _add_who(p: argparse.ArgumentParser, told: str) -> None:
    p.add_argument("--model", action="append", metavar="NAME", help=told)
    p.add_argument("--base-url", action="append", metavar="URL", help="servers of the judge, MODEL=URL of one of several (default: "
                   "judge_base_url or base_url of the settings); a key goes into PIXEL_JUDGE_API_KEY")  # fmt: skip
    p.add_argument("--window", type=int, metavar="W", help="conversations in flight (default 512 where servers are asked, else 64)")


def judge(args: argparse.Namespace) -> int:
    """List the rubrics, tell the cost, or judge a file."""
    from pixel_synth.errors import UsageError
    from pixel_synth.judges.rubric import rubrics, session_rubric

    if args.list:
        for found in rubrics():
            print(listed(found))
        return 0
    if not args.path or not args.rubric:
        raise UsageError("judge needs a FILE and at least one --rubric NAME", hint="pixel-synth judge --list")
    asked = tuple(session_rubric(name) for name in dict.fromkeys(args.rubric))
    if args.dry_run:
        return tell_cost(args, asked)
    _check(args, args.path)
    return judge_all(args.path, args.output, asked, judging_settings(args, tuple(args.rubric)))


def prefer(args: argparse.Namespace) -> int:
    """Tell what comparing two files takes, or compare them."""
    from pixel_synth.curate.preferring import matched
    from pixel_synth.errors import UsageError
    from pixel_synth.judges.rubric import pair_rubric

    asked = pair_rubric(args.rubric)
    if not args.dry_run:
        _check(args, args.a, args.b)
        settings = judging_settings(args, (args.rubric,))
        if len(settings.judge_model) > 1:
            raise UsageError(f"one model compares pairs, but {len(settings.judge_model)} are named", hint="--model NAME says which")
    found = matched(args.a, args.b)
    for line in found.errors:
        print(line, file=sys.stderr)
    print(found.told(args.a, args.b))
    if not found.pairs:
        raise UsageError("there is nothing to compare", hint="two runs of one --seed share their plans; two files, ids or client words")
    if args.dry_run:
        print(f"{2 * len(found.pairs)} calls, each pair in both orders; repairs come on top")
    else:
        prefer_all(args.output, asked, found, settings)
    return 1 if found.errors else 0


def _check(args: argparse.Namespace, *sources: Path) -> None:
    from pixel_synth.errors import UsageError

    for flag, value in (("--window", args.window), ("--samples", getattr(args, "samples", None))):
        if value is not None and value < 1:
            raise UsageError(f"{flag} must be at least 1, not {value}")
    if not args.output:
        raise UsageError("-o OUT is needed, a file for what the judge says", hint="or --dry-run")
    if args.output.resolve() in {path.resolve() for path in sources} or args.output.suffix == ".gz":
        raise UsageError(f"-o {args.output} must be another file than what is read, and no .gz", hint="name another one")


def listed(found: Rubric) -> str:
    """Return what the list says of a rubric."""
    about = f", informs {found.speaks_to}" if found.speaks_to else ""
    return (
        f"{found.name} {found.version} · {found.title} · one {found.asks}{about} · {calibrated(found)}\n"
        f"    {', '.join(found.criteria)}\n    {'; '.join(found.sources)}"
    )


def calibrated(found: Rubric) -> str:
    """Say which calibration cards hold a rubric, in this version, against people."""
    from pixel_synth.calibrate.card import load_cards

    cards = [card for card in load_cards() if card.metric.partition(".")[2].split(".")[0] == found.name and card.kind == "judge"]
    here = [card for card in cards if card.fingerprint == found.sha256]
    if not here:
        return "not calibrated" + (", its cards are of another version" if cards else "")
    told = ", ".join(f"{card.metric} with {card.model} ({'may gate' if card.gates else 'may not gate'})" for card in here)
    return f"{'calibrated' if any(card.gates for card in here) else 'not calibrated'}: {told}"


def tell_cost(args: argparse.Namespace, asked: tuple[Rubric, ...]) -> int:
    """Print what judging a file takes."""
    from pixel_synth.curate.judging import cost
    from pixel_synth.knowledge import load
    from pixel_synth.settings import load_settings

    given = load_settings()
    members = max(1, len(args.model or given.judge_model)) * (args.samples or given.judge_samples)
    found = cost(args.path, asked, load(), members)
    print(f"{found.conversations} conversations, {found.rejected} lines that are none; {len(asked)} rubrics")
    print(f"{found.calls} calls (twice where an instruction stands in a session), repairs come on top")
    print(f"about {found.characters // TOKEN:,} tokens of requests, at {TOKEN} characters a token")
    return 1 if found.rejected else 0


def judging_settings(args: argparse.Namespace, rubrics: tuple[str, ...]) -> Settings:
    """Return settings under which the judges are connected: as those of a run where they are on servers, else as the only model.

    Raises:
        UsageError: When nobody is named who could judge, or several are and no server is.
    """
    from pixel_synth.errors import UsageError
    from pixel_synth.settings import exact_settings, judge_address, load_settings

    given = load_settings()
    named = tuple(args.model or given.judge_model)
    urls = tuple(args.base_url or (u for u in given.judge_base_url if judge_address(u)[0] in ("", *named)))
    models = named or (() if urls or not given.model else (given.model,))
    if not (urls or given.base_url or models):
        raise UsageError("nobody is named who could judge", hint="--base-url URL of a server, or --model NAME on a machine with a GPU")
    samples = getattr(args, "samples", None) or given.judge_samples
    values = {**given.model_dump(), "judges": rubrics, "window": args.window or given.window, "judge_samples": samples}
    owners = {judge_address(url)[0] for url in urls}
    elsewhere = [model for model in models or ("",) if not owners & {"", model}]
    if not elsewhere or (urls and not given.base_url):
        return exact_settings({**values, "engine": "composer", "model": "", "base_url": (), "judge_model": models, "judge_base_url": urls})
    if given.base_url:
        return exact_settings({**values, "engine": "server", "model": elsewhere[0], "judge_model": models, "judge_base_url": urls})
    if len(models) > 1:
        raise UsageError(f"{len(models)} models need servers", hint="--base-url URL that offers them, or MODEL=URL for each")
    engine = given.engine if given.engine in ("vllm", "transformers") else "vllm"
    return exact_settings({**values, "engine": engine, "model": models[0], "judge_model": (), "judge_base_url": ()})


def judge_all(path: Path, output: Path, asked: tuple[Rubric, ...], settings: Settings) -> int:
    """Judge a file and print the books."""
    import asyncio

    from pixel_synth.curate.judging import Counts, Judging, judge_file, keys
    from pixel_synth.judges.panel import members
    from pixel_synth.knowledge import load
    from pixel_synth.runs import screen
    from pixel_synth.runs.preview import opened

    base, order = load(), keys(path)
    with opened(settings) as asker:
        job = Judging(path, output, asked, members(asker.judges, settings.judge_samples), settings.repairs)

        async def run() -> Counts:
            try:
                with screen.progress(max(1, len(order)), "conversations", "scores") as show:
                    return await judge_file(job, order, asker, base, _window(settings), show, lambda line: print(line, file=sys.stderr))
            finally:
                await asker.close()

        counts = asyncio.run(run())
    print(
        f"{counts.lines} lines = {counts.judged} judged + {counts.already} judged before + {counts.repeated} repeated "
        f"+ {counts.rejected} rejected; {counts.scores} scores, {counts.unscored} of them unscored; in {output}"
    )
    if counts.silent:
        print(f"the first without a value: {counts.silent}", file=sys.stderr)
    return 1 if counts.rejected else 0


def prefer_all(output: Path, asked: Rubric, found: Matched, settings: Settings) -> None:
    """Compare the pairs and print who won how often, and how often the place decided."""
    import asyncio

    from pixel_synth.curate.preferring import Preferring, prefer_pairs, summary
    from pixel_synth.runs import screen
    from pixel_synth.runs.preview import opened

    with opened(settings) as asker:
        job = Preferring(output, asked, asker.judges[0], settings.repairs)

        async def run() -> tuple[int, int]:
            try:
                with screen.progress(max(1, len(found.pairs)), "pairs", "told apart") as show:
                    return await prefer_pairs(job, found.pairs, asker, _window(settings), show)
            finally:
                await asker.close()

        compared, before = asyncio.run(run())
    print(f"{compared} pairs compared, {before} compared before; in {output}")
    for line in summary(output):
        print(line)


def _window(settings: Settings) -> int:
    from pixel_synth.llms.connect import CHAINS, WINDOW

    return settings.window or (WINDOW if settings.judge_base_url or settings.base_url else CHAINS)
