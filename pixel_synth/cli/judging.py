"""``pixel-synth judge``: rubrics asked about the conversations of a file, and what rubrics there are."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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
    p.add_argument("--model", metavar="NAME", help="who judges (default: judge_model or model of the settings)")
    p.add_argument("--base-url", action="append", metavar="URL", help="servers of the judge (default: judge_base_url or base_url "
                   "of the settings); a key goes into PIXEL_JUDGE_API_KEY")  # fmt: skip
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
    if args.window is not None and args.window < 1:
        raise UsageError(f"--window must be at least 1, not {args.window}")
    asked = tuple(session_rubric(name) for name in dict.fromkeys(args.rubric))
    if args.dry_run:
        return tell_cost(args.path, asked)
    if not args.output:
        raise UsageError("judge needs -o OUT, a file for the judged records", hint="or --dry-run")
    if args.output.resolve() == args.path.resolve() or args.output.suffix == ".gz":
        raise UsageError(f"-o {args.output} must be another file than FILE, and no .gz", hint="name another one")
    return judge_all(args.path, args.output, asked, judging_settings(args))


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
    told = (f"{card.metric} with {card.model} ({'may gate' if card.gates else 'may not gate'})" for card in here)
    return f"calibrated: {', '.join(told)}"


def tell_cost(path: Path, asked: tuple[Rubric, ...]) -> int:
    """Print what judging a file takes."""
    from pixel_synth.curate.judging import cost
    from pixel_synth.knowledge import load

    found = cost(path, asked, load())
    print(f"{found.conversations} conversations, {found.rejected} lines that are none; {len(asked)} rubrics")
    print(f"{found.calls} calls (twice where an instruction stands in a session), repairs come on top")
    print(f"about {found.characters // TOKEN:,} tokens of requests, at {TOKEN} characters a token")
    return 1 if found.rejected else 0


def judging_settings(args: argparse.Namespace) -> Settings:
    """Return settings under which the judge is connected: as the judge of a run where it is on servers, else as the only model.

    Raises:
        UsageError: When nobody is named who could judge.
    """
    from pixel_synth.errors import UsageError
    from pixel_synth.settings import exact_settings, load_settings

    given = load_settings()
    if not args.model and len(given.judge_model) > 1:
        raise UsageError(f"one model judges a file, but judge_model names {len(given.judge_model)}", hint="--model NAME says which")
    named = args.model or "".join(given.judge_model)
    urls = tuple(args.base_url or given.judge_urls(named))
    model = named or ("" if urls else given.model)
    if not (urls or given.base_url or model):
        raise UsageError("nobody is named who could judge", hint="--base-url URL of a server, or --model NAME on a machine with a GPU")
    values = {**given.model_dump(), "judges": tuple(args.rubric), "window": args.window or given.window}
    if urls:
        return exact_settings(
            {**values, "engine": "composer", "model": "", "base_url": (), "judge_model": (model,) if model else (), "judge_base_url": urls}
        )
    if given.base_url:
        return exact_settings({**values, "engine": "server", "model": model, "judge_model": (), "judge_base_url": ()})
    engine = given.engine if given.engine in ("vllm", "transformers") else "vllm"
    return exact_settings({**values, "engine": engine, "model": model, "judge_model": (), "judge_base_url": ()})


def judge_all(path: Path, output: Path, asked: tuple[Rubric, ...], settings: Settings) -> int:
    """Judge a file and print the books."""
    import asyncio

    from pixel_synth.curate.judging import Counts, Judging, judge_file, keys
    from pixel_synth.knowledge import load
    from pixel_synth.llms.connect import CHAINS, WINDOW
    from pixel_synth.llms.engine import Call
    from pixel_synth.runs import screen
    from pixel_synth.runs.preview import opened

    base, order = load(), keys(path)
    with opened(settings) as asker:
        judge = asker.voice(Call(None, [], {}, {}, "judge"))
        job = Judging(path, output, asked, judge.model, settings.repairs)
        window = settings.window or (WINDOW if settings.judge_base_url else CHAINS)

        async def run() -> Counts:
            try:
                with screen.progress(max(1, len(order)), "conversations") as show:
                    return await judge_file(job, order, asker, base, window, show, lambda line: print(line, file=sys.stderr))
            finally:
                await asker.close()

        counts = asyncio.run(run())
    print(
        f"{counts.lines} lines = {counts.judged} judged + {counts.already} judged before + {counts.repeated} repeated "
        f"+ {counts.rejected} rejected; {counts.scores} scores, {counts.unscored} of them unscored; in {output}"
    )
    return 1 if counts.rejected else 0
