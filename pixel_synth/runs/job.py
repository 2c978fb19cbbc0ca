"""The command line that every generating pipeline script shares: plan, preview, run, resume, and what is shown after.

Exit status: 0 all wanted conversations accepted; 1 an error; 2 a wrong flag or setting; 3 ended with a shortfall;
130 interrupted (``--resume`` goes on).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pixel_synth.runs.supervise import Build

SHORTFALL, INTERRUPTED = 3, 130


def parser(doc: str) -> argparse.ArgumentParser:
    """Return the argument parser; imports nothing heavy, so that ``--help`` answers at once."""
    p = argparse.ArgumentParser(
        description=doc,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="Settings also come from pixel.toml and PIXEL_* variables; flags win. "
        "Exit status: 0 done, 1 error, 2 wrong flag, 3 shortfall, 130 interrupted.",
    )
    run = p.add_argument_group("what to make")
    run.add_argument("-n", "--accept", type=int, metavar="N", help="accepted conversations wanted (default 20)")
    run.add_argument("--seed", type=int, metavar="S", help="seed of the plan; the same seed gives the same plan (default 7)")
    run.add_argument("--topic", action="append", metavar="ID", help="only this disorder, e.g. panic_disorder; may be repeated")
    run.add_argument("--modality", action="append", metavar="ID", help="only this modality, e.g. cbt; may be repeated")
    run.add_argument("--population", action="append", metavar="ID", help="only this population, e.g. veteran; may be repeated")
    run.add_argument("--risk", action="append", choices=("none", "low", "moderate", "high"), help="only this risk level; may be repeated")
    engine = p.add_argument_group("who puts it into words")
    engine.add_argument(
        "--engine",
        choices=("auto", "composer"),
        help="composer: embedded grammar and session machine, needs nothing; auto: the best this machine has (today: composer)",
    )
    engine.add_argument("--model", metavar="NAME", help="model name, for engines that run a model (the composer runs none)")
    engine.add_argument("--base-url", metavar="URL", help="address of an OpenAI-compatible server (the composer needs none)")
    where = p.add_argument_group("where and how")
    where.add_argument("--out", type=Path, metavar="DIR", help="folder for run directories (default runs/)")
    where.add_argument("--resume", type=Path, metavar="RUN", help="finish this run directory; the other flags come from it")
    where.add_argument("--workers", type=int, metavar="W", help="processes of the generating step (default: one per core, at most 8)")
    where.add_argument("--max-attempts", type=int, metavar="K", help="plans tried per slot before it is a shortfall (default 20)")
    look = p.add_argument_group("look before you run")
    look.add_argument("--dry-run", action="store_true", help="show the plan's coverage, exclusions and cost; write nothing")
    look.add_argument("--preview", type=int, metavar="K", help="write K conversations to the screen and nothing to disk")
    return p


def main(job: str, doc: str, build: Build, argv: Sequence[str] | None = None) -> int:
    """Run a pipeline script's command line and return its exit status."""
    args = parser(doc).parse_args(argv)
    from pixel_synth.errors import PixelError

    try:
        return _run(job, args, build)
    except PixelError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_status
    except OSError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ninterrupted; what was finished is kept (see --resume)", file=sys.stderr)
        return INTERRUPTED


def settings_of(args: argparse.Namespace) -> Any:
    """Build the settings from the flags.

    Raises:
        UsageError: For unusable values.
    """
    from pixel_synth.settings import load_settings

    return load_settings(
        accept=args.accept,
        seed=args.seed,
        engine=None if args.engine in (None, "auto") else args.engine,
        model=args.model,
        base_url=args.base_url,
        out=args.out,
        workers=args.workers,
        max_attempts=args.max_attempts,
        topics=tuple(args.topic) if args.topic else None,
        modalities=tuple(args.modality) if args.modality else None,
        populations=tuple(args.population) if args.population else None,
        risks=tuple(args.risk) if args.risk else None,
    )


def _run(job: str, args: argparse.Namespace, build: Build) -> int:
    from pixel_synth.errors import UsageError
    from pixel_synth.knowledge import load
    from pixel_synth.plan import make_plan
    from pixel_synth.runs import screen
    from pixel_synth.runs.directory import Run, content_hash

    for flag, value in (("--preview", args.preview), ("--workers", args.workers)):
        if value is not None and value < 1:
            raise UsageError(f"{flag} must be at least 1, not {value}")
    if args.resume:
        fixed = ("accept", "seed", "topic", "modality", "population", "risk", "engine", "model", "base_url", "out", "max_attempts")
        given = [f"--{name.replace('_', '-')}" for name in fixed if getattr(args, name) is not None]
        if given:
            raise UsageError(f"{', '.join(given)} cannot go with --resume: a run keeps the settings it was made with", hint="leave it out")
    run = Run.open(args.resume) if args.resume else None
    settings = run.settings if run else settings_of(args)
    if args.workers and run:
        settings = settings.model_copy(update={"workers": args.workers})
    if args.preview and args.preview > settings.accept:
        settings = settings.model_copy(update={"accept": args.preview})
    plan = make_plan(settings, load())
    if args.dry_run:
        screen.dry_run(plan, settings)
        return 0
    if args.preview:
        screen.preview(plan, settings, args.preview)
        return 0
    if run and run.info["fingerprint"] != settings.fingerprint():
        from pixel_synth.errors import RunError

        raise RunError(f"{run.path}: its settings do not match their fingerprint", hint="run.json was edited; start a new run")
    if run and run.info["content"] != content_hash():
        from pixel_synth.errors import RunError

        raise RunError(
            f"{run.path}: packs, prompts or the toolkit changed since this run began; it would mix two versions",
            hint="start a new run, or go back to that version",
        )
    if run is None:
        run = Run.create(settings, job)
        screen.say(f"engine composer (embedded, no model) · seed {settings.seed} · run directory {run.path}")
    run.lock()
    try:
        return _fill(run, plan, settings, build)
    finally:
        run.unlock()


def _fill(run: Any, plan: Any, settings: Any, build: Build) -> int:
    import os
    import time

    from pixel_synth.runs import finish, screen, supervise

    began = time.monotonic()
    run.log("plan", "planning", slots=settings.accept)
    run.write_plan(plan)
    done = len(run.positions())
    if done < settings.accept:
        workers = settings.workers or min(os.cpu_count() or 1, 8)
        run.log("generate", "starting", workers=workers, done=done)
        with screen.progress(settings.accept, "conversations") as show:
            supervise.generate(build, run, workers, show)
    generated = time.monotonic()
    tally = finish.finish(run, plan)
    seconds = {"generate_s": round(generated - began, 2), "publish_s": round(time.monotonic() - generated, 2)}
    status = "done" if tally.books.accepted == settings.accept else "shortfall"
    run.update(status=status, seconds=seconds)
    run.log("publish", status, **tally.books._asdict())
    screen.result(run, tally, settings, seconds)
    return 0 if status == "done" else SHORTFALL
