"""The command line that every generating pipeline script shares: plan, preview, run, resume, and what is shown after.

Exit status: 0 all wanted conversations accepted; 1 an error; 2 a wrong flag or setting; 3 ended with a shortfall, or with
a judge or scorer that moved on the anchors and ``--fail-on-drift``; 130 interrupted (``--resume`` goes on).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
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
        "Exit status: 0 done, 1 error, 2 wrong flag, 3 shortfall or drift, 130 interrupted.",
    )
    run = p.add_argument_group("what to make")
    run.add_argument("-n", "--accept", type=int, metavar="N", help="accepted conversations wanted (default 20)")
    run.add_argument("--seed", type=int, metavar="S", help="seed of the plan; the same seed gives the same plan (default 7)")
    run.add_argument("--topic", action="append", metavar="ID", help="only this disorder, e.g. panic_disorder; may be repeated")
    run.add_argument("--modality", action="append", metavar="ID", help="only this modality, e.g. cbt; may be repeated")
    run.add_argument("--population", action="append", metavar="ID", help="only this population, e.g. veteran; may be repeated")
    run.add_argument("--risk", action="append", choices=("none", "low", "moderate", "high"), help="only this risk level; may be repeated")
    run.add_argument("--budget-tokens", type=int, metavar="T", help="ask nothing new after T tokens (in and out) of the whole run")
    run.add_argument("--budget-hours", type=float, metavar="H", help="ask nothing new H hours after this start")
    engine = p.add_argument_group("who puts it into words")
    engine.add_argument(
        "--engine",
        choices=("auto", "composer", "transformers", "vllm", "server"),
        help="vllm: start and own one vLLM; server: servers that are there; transformers: a small model in this process; composer: "
        "embedded grammar, needs nothing; auto (default): server if an address is given, else vllm on a GPU, else composer",
    )
    engine.add_argument("--model", metavar="NAME", help="model name or folder; a server with only one model needs none")
    engine.add_argument("--base-url", action="append", metavar="URL", help="OpenAI-compatible server, e.g. http://127.0.0.1:8000/v1; "
                        "repeat for several with the same model. A key goes into PIXEL_API_KEY")  # fmt: skip
    engine.add_argument("--tensor-parallel", type=int, metavar="G", help="vllm: GPUs that share one copy of the model (default 1)")
    engine.add_argument("--data-parallel", type=int, metavar="G", help="vllm: copies of the model (default 1)")
    engine.add_argument("--dtype", metavar="T", help="number format of the weights (default: the checkpoint's)")
    engine.add_argument("--quantization", metavar="Q", help="vllm: quantisation method, e.g. fp8")
    engine.add_argument("--max-model-len", type=int, metavar="L", help="vllm: context length in tokens (default: the model's)")
    engine.add_argument("--vllm-arg", action="append", metavar="FLAG", help="vllm: further flag, e.g. --vllm-arg=--enforce-eager")
    engine.add_argument("--vllm-command", metavar="CMD", help="vllm: program to start instead of the one installed here")
    engine.add_argument("--judge", action="append", metavar="NAME", help="also ask this rubric of prompts/judges; may be repeated")
    engine.add_argument("--judge-model", action="append", metavar="NAME", help="model of the judges (default: the generator's); repeat "
                        "for a panel, whose members all answer each rubric")  # fmt: skip
    engine.add_argument("--judge-base-url", action="append", metavar="[MODEL=]URL", help="servers of the judges, or of one judge model "
                        "(default: the generator's). A key for all of them goes into PIXEL_JUDGE_API_KEY")  # fmt: skip
    engine.add_argument("--judge-samples", type=int, metavar="K", help="answers of each judge model to each rubric (default 1)")
    engine.add_argument(
        "--allow-uncalibrated", action="store_true", default=None,
        help="let thresholds count whose metric no calibration card vouches for (see pixel-synth cards); the report says so",
    )  # fmt: skip
    where = p.add_argument_group("where and how")
    where.add_argument("--out", type=Path, metavar="DIR", help="folder for run directories (default runs/)")
    where.add_argument("--resume", type=Path, metavar="RUN", help="finish this run directory; what decides its content comes from it")
    where.add_argument(
        "--workers", type=int, metavar="W", help="processes of the generating step (default: one per core, at most 8; for servers 1)"
    )
    where.add_argument(
        "--window", type=int, metavar="W", help="conversations in flight per process and server (default 64; for servers 512)"
    )
    where.add_argument(
        "--timeout-s", type=float, metavar="S", help="longest deadline of a request (default 1800); below it follows the answers"
    )
    where.add_argument("--tries", type=int, metavar="K", help="times a request is sent before its call counts as failed (default 5)")
    where.add_argument("--patience-s", type=float, metavar="S", help="how long all servers may be down before the run stops (default 120)")
    where.add_argument("--max-attempts", type=int, metavar="K", help="plans tried per slot before it is a shortfall (default 20)")
    where.add_argument("--fail-on-drift", action="store_true", help="status 3 when a judge or scorer moved on the anchors (see the report)")
    where.add_argument("--ray", metavar="ADDRESS", help="run the pipeline on this Ray cluster; local = start one here")
    look = p.add_argument_group("look before you run")
    look.add_argument("--dry-run", action="store_true", help="show the plan's coverage, exclusions and cost; write nothing")
    look.add_argument(
        "--preview", type=int, metavar="K", help="fill K slots on the screen, write nothing, and predict time and tokens of the whole run"
    )
    return p


def main(job: str, doc: str, build: Build, argv: Sequence[str] | None = None) -> int:
    """Run a pipeline script's command line and return its exit status."""
    args = parser(doc).parse_args(argv)
    return ended(lambda: _run(job, args, build), "what was finished is kept")


def ended(work: Callable[[], int], kept: str) -> int:
    """Do the work of a script and return its exit status; errors are told in a line, and what an interruption leaves."""
    from pixel_synth.errors import PixelError

    try:
        return work()
    except PixelError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_status
    except OSError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"\ninterrupted; {kept} (see --resume)", file=sys.stderr)
        return INTERRUPTED


def settings_of(args: argparse.Namespace) -> Any:
    """Build the settings from the flags.

    Raises:
        UsageError: For unusable values.
    """
    from pixel_synth.settings import load_settings

    return load_settings(**_given(args))


def _given(args: argparse.Namespace) -> dict[str, Any]:
    """Return the settings that flags give, by name; ``None`` where a flag was not given."""
    lists = {"topic": "topics", "modality": "modalities", "population": "populations", "risk": "risks", "base_url": "base_url",
             "judge": "judges", "judge_model": "judge_model", "judge_base_url": "judge_base_url", "vllm_arg": "vllm_args"}  # fmt: skip
    plain = ("accept seed engine model out workers window max_attempts budget_tokens budget_hours tensor_parallel data_parallel dtype "
             "quantization max_model_len vllm_command judge_samples allow_uncalibrated ray timeout_s tries patience_s").split()  # fmt: skip
    given = {name: getattr(args, name) for name in plain}
    return given | {setting: tuple(v) if (v := getattr(args, flag)) else None for flag, setting in lists.items()}


def _run(job: str, args: argparse.Namespace, build: Build) -> int:
    from pixel_synth.errors import UsageError
    from pixel_synth.judges.rubric import session_rubric
    from pixel_synth.knowledge import load
    from pixel_synth.plan import make_plan
    from pixel_synth.runs import screen
    from pixel_synth.runs.directory import Run

    for flag, value in (("--preview", args.preview), ("--workers", args.workers), ("--window", args.window)):
        if value is not None and value < 1:
            raise UsageError(f"{flag} must be at least 1, not {value}")
    run, settings = resumed(args) if args.resume else (None, chosen(settings_of(args)))
    if args.preview and args.preview > settings.accept:
        settings = settings.model_copy(update={"accept": args.preview})
    for name in settings.judges:
        session_rubric(name)
    if unasked := sorted(m for m in settings.thresholds if m.startswith("judge.") and m.removeprefix("judge.") not in settings.judges):
        raise UsageError(
            f"no judge is asked for the threshold {', '.join(unasked)}",
            hint=f"--judge {unasked[0].removeprefix('judge.')}, or take the threshold out",
        )
    plan = make_plan(settings, load())
    if args.dry_run:
        screen.dry_run(plan, settings)
        return 0
    if args.preview:
        from pixel_synth.runs.preview import preview

        preview(plan, settings, args.preview)
        return 0
    settings, links = connected(settings)
    if run is None:
        run = Run.create(settings, job)
    run.lock()
    try:
        run.change(settings)
        if links:
            run.keep_links(links)
        screen.say(f"run directory {run.path} · seed {settings.seed}")
        return _fill(run, plan, settings, build, fail_on_drift=args.fail_on_drift)
    finally:
        run.unlock()


def chosen(settings: Any) -> Any:
    """Return the settings with an engine in place of ``auto``, and say which and why.

    Raises:
        UsageError: When a model is named and nothing here can run it.
    """
    from pixel_synth.llms.connect import choose
    from pixel_synth.runs.screen import say
    from pixel_synth.settings import exact_settings

    engine, why = choose(settings)
    say(f"engine {engine}: {why}")
    return exact_settings({**settings.model_dump(), "engine": engine})


def resumed(args: argparse.Namespace) -> tuple[Any, Any]:
    """Return the run of ``--resume`` and its settings, changed by flags that decide how and not what is made.

    Raises:
        UsageError: When a flag would change what is made.
        RunError: When the run was edited, or packs, prompts or toolkit have changed.
    """
    from pixel_synth.errors import RunError, UsageError
    from pixel_synth.runs.directory import Run, content_hash
    from pixel_synth.settings import RUNTIME_KEYS, exact_settings

    given = {name: value for name, value in _given(args).items() if value is not None}
    if fixed := sorted(given.keys() - (RUNTIME_KEYS - {"accept", "out"})):
        flags = {"topics": "topic", "modalities": "modality", "populations": "population", "risks": "risk", "judges": "judge"}
        names = ", ".join("--" + flags.get(name, name).replace("_", "-") for name in fixed)
        raise UsageError(f"{names} cannot go with --resume: a run keeps the settings it was made with", hint="leave it out")
    run = Run.open(args.resume)
    stored = run.settings
    if run.info["fingerprint"] != stored.fingerprint():
        raise RunError(f"{run.path}: its settings do not match their fingerprint", hint="run.json was edited; start a new run")
    if run.info["content"] != content_hash():
        raise RunError(
            f"{run.path}: packs, prompts or the toolkit changed since this run began; it would mix two versions",
            hint="start a new run, or go back to that version",
        )
    return run, exact_settings({**stored.model_dump(), **given})


def connected(settings: Any) -> tuple[Any, Any]:
    """Look at the servers and run the canary; return the settings with the model's name, and the links.

    A server of our own is started later, inside the run: then there are no links yet.
    """
    import asyncio

    from pixel_synth.llms.connect import connect_all
    from pixel_synth.runs import screen

    if settings.engine == "vllm":
        own = settings.judges and not settings.judge_base_url and not settings.judge_model
        return settings.model_copy(update={"judge_model": (settings.model,)} if own else {}), None
    links = asyncio.run(connect_all(settings))
    screen.links(links)
    names: dict[str, Any] = {"model": links.generator.model} if settings.engine == "server" else {}
    if links.judges:
        names["judge_model"] = tuple(link.model for link in links.judges)
    return settings.model_copy(update=names), links


def _fill(run: Any, plan: Any, settings: Any, build: Build, *, fail_on_drift: bool = False) -> int:
    import os
    import time

    from pixel_synth.runs import anchoring, finish, screen, supervise

    began = time.monotonic()
    run.log("plan", "planning", slots=settings.accept)
    run.write_plan(plan)
    done = len(run.positions())
    if done < settings.accept or anchoring.missing(run):
        served = settings.engine in ("server", "vllm")
        workers = settings.workers or (1 if served or settings.engine == "transformers" else min(os.cpu_count() or 1, 8))
        run.update(until=time.time() + settings.budget_hours * 3600 if settings.budget_hours else 0.0)
        run.log("generate", "starting", workers=workers, done=done, engine=settings.engine, model=settings.model)
        with screen.progress(settings.accept, "conversations") as show:
            supervise.generate(build, run, workers, show, screen.starting())
    generated = time.monotonic()
    tally = finish.finish(run, plan)
    earlier = float(run.info.get("seconds", {}).get("generate_s", 0.0))  # of the starts before this one, as the tokens are
    seconds = {"generate_s": round(earlier + generated - began, 2), "publish_s": round(time.monotonic() - generated, 2)}
    status = "done" if tally.books.accepted == settings.accept else "shortfall"
    run.update(status=status, seconds=seconds)
    run.log("publish", status, **tally.books._asdict())
    screen.result(run, tally, settings, finish.performance(run, tally))
    alerts = [shift.alert for shift in anchoring.shifts(run, plan.knowledge) if shift.alert]
    screen.alerts(alerts)
    return SHORTFALL if status == "shortfall" or (alerts and fail_on_drift) else 0
