"""``pixel-synth``: look at, check, score and filter what the pipelines made.

Every command reads files and writes to the screen (or to ``-o``); nothing here generates.  Exit status: 0 fine, 1 something
is wrong (said on stderr), 2 a wrong flag or setting.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pixel_synth import __version__
from pixel_synth.cli import (
    calibration,
    curating,
    dedup,
    enriching,
    exporting,
    ingest,
    judging,
    knowledge,
    mixing,
    monitoring,
    proving,
    pushing,
    sources,
    splitting,
    versions,
)

Command = Callable[[argparse.Namespace], int]


def parser() -> argparse.ArgumentParser:
    """Return the parser with all commands; imports nothing heavy."""
    p = argparse.ArgumentParser(
        prog="pixel-synth",
        description="Look at, check, score and filter therapeutic training conversations. Make some first: python pipelines/psychology.py",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="examples:\n  pixel-synth knowledge show panic_disorder\n  pixel-synth show runs/psychology-001\n"
        "  pixel-synth score runs/psychology-001/data/conversations.jsonl --metric coherence\n"
        "  pixel-synth report runs/psychology-001 --format txt",
    )
    p.add_argument("--version", action="version", version=f"pixel-synth {__version__}")
    commands = p.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def add(name: str, run: Command, help: str, into: Any = commands) -> argparse.ArgumentParser:
        sub: argparse.ArgumentParser = into.add_parser(name, help=help, description=help)
        sub.set_defaults(run=run)
        return sub

    knowledge.add_commands(commands)
    judging.add_command(commands)
    config = commands.add_parser("config", help="the settings: show, check").add_subparsers(required=True, metavar="ACTION")
    shown = add("show", config_show, "print the settings in force as JSON", config)
    shown.add_argument("--dataset", action="store_true", help="the recipe of a dataset instead: [dataset] of pixel.toml, PIXEL_DATASET_*")
    add("check", config_check, "validate pixel.toml and PIXEL_* variables", config)

    schema = add("schema", schema_print, "print the JSON Schema of a record")
    schema.add_argument("record", nargs="?", default="Conversation", choices=("Conversation", "Blueprint", "Attempt", "Outcome"))
    add("prompts", prompts_list, "list prompts and rubrics with version, hash, and variables or criteria")

    anchors = add("anchors", compare_anchors, "score the anchors and compare: did a scorer change, or a judge of a run move?")
    anchors.add_argument("path", type=Path, nargs="?", metavar="RUN", help="also tell of this run's judges")
    anchors.add_argument("--write", action="store_true", help="keep what the scorers say today as what is expected of them")

    show = add("show", show_run, "read conversations of a run")
    show.add_argument("path", type=Path, metavar="RUN")
    show.add_argument("id", nargs="?", help="a conversation id (or its beginning); default: one at random")
    show.add_argument("-k", type=int, default=1, help="how many (default 1)")
    show.add_argument("--rejected", action="store_true", help="from the rejected ones, with reasons")
    show.add_argument("--json", action="store_true", help="the whole record as JSON")

    explain = add("explain", explain_record, "tell everything about one record: plan, knowledge, prompts, calls, scores, verdict")
    explain.add_argument("id", metavar="ID", help="a conversation's or a blueprint's id, or its beginning (at least 4 characters)")
    explain.add_argument("--run", type=Path, dest="path", metavar="RUN", help="default: the newest run below ./runs that has the id")
    explain.add_argument("--calls", action="store_true", help="with the messages and the raw answer of every call")
    explain.add_argument("--json", action="store_true", help="everything as JSON, messages and answers included")

    replay = add("replay", replay_run, "rebuild a run's dataset from its plan and ledger, without any engine, and compare it byte for byte")
    replay.add_argument("path", type=Path, metavar="RUN")
    replay.add_argument("--out", type=Path, metavar="DIR", help="keep the rebuilt run in this folder; default: it is removed")

    report = add("report", report_run, "print the report of a generating run, or of a dataset: a run directory, folder or JSONL file")
    report.add_argument("path", type=Path, metavar="RUN|DIR|FILE")
    report.add_argument("--format", choices=("md", "html", "txt", "csv", "json"), default="txt")

    perf = add("perf", perf_run, "how a run went in time and tokens, and its slowest stage")
    perf.add_argument("path", type=Path, metavar="RUN")
    perf.add_argument("--json", action="store_true", help="every figure as JSON")

    check = add("check", check_path, "check a run's files against its manifest, or a JSONL file against the record schema")
    check.add_argument("path", type=Path, metavar="RUN|FILE")

    score = add("score", score_file, "score the conversations of a JSONL file again")
    score.add_argument("path", type=Path, metavar="FILE")
    score.add_argument("--metric", help="only this metric, with its parts and evidence")
    score.add_argument("-o", "--output", type=Path, help="write records with their scores to this JSONL file")

    urgent = add("urgency", urgency_text, "how soon a human must act on a client's words, and on which words that rests")
    urgent.add_argument("text", metavar="TEXT|FILE", help="words, a JSONL file of conversations, or a text file with an utterance a line")

    filter_ = add("filter", filter_file, "score and gate a JSONL file into kept and dropped")
    filter_.add_argument("path", type=Path, metavar="FILE")
    filter_.add_argument(
        "-o", "--output", type=Path, required=True, metavar="DIR", help="folder for kept.jsonl, dropped.jsonl, rejects.jsonl, review.jsonl"
    )
    filter_.add_argument(
        "--allow-uncalibrated", action="store_true", default=None, help="let thresholds count whose metric no calibration card vouches for"
    )
    calibration.add_commands(commands)
    for room in (sources, ingest, curating, dedup, enriching, mixing, splitting, exporting, pushing, proving, monitoring, versions):
        room.add_commands(commands)
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status."""
    args = parser().parse_args(argv)
    from pixel_synth.errors import PixelError

    try:
        return int(args.run(args))
    except PixelError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_status
    except BrokenPipeError:
        sys.stderr.close()
        return 0
    except KeyboardInterrupt:
        return 130


def config_show(args: argparse.Namespace) -> int:
    """Print the settings in force."""
    from pixel_synth.recipe import load_recipe
    from pixel_synth.settings import load_settings

    print((load_recipe() if args.dataset else load_settings()).model_dump_json(indent=2))
    return 0


def config_check(args: argparse.Namespace) -> int:
    """Validate settings and recipe; errors name the key."""
    from pixel_synth.recipe import load_recipe
    from pixel_synth.settings import load_settings

    print(
        f"settings are fine (fingerprint {load_settings().fingerprint()}), the recipe is fine (fingerprint {load_recipe().fingerprint()})"
    )
    return 0


def schema_print(args: argparse.Namespace) -> int:
    """Print a JSON Schema."""
    from pixel_synth import records

    print(json.dumps(getattr(records, args.record).model_json_schema(), indent=2))
    return 0


def prompts_list(args: argparse.Namespace) -> int:
    """List the prompts and the rubrics."""
    from pixel_synth.judges.rubric import rubrics
    from pixel_synth.prompts import all_prompts

    listed = [(p.ref, ", ".join(sorted(p.variables))) for p in all_prompts()]
    listed += [(r.ref, "criteria: " + ", ".join(r.criteria)) for r in rubrics()]
    for ref, holds in listed:
        print(f"{ref.name:<32} {ref.version:<5} {ref.sha256[:12]}  {holds}")
    return 0


def compare_anchors(args: argparse.Namespace) -> int:
    """Compare scorers, and the judges of a run, with what they said of the anchors before; status 1 when one moved."""
    from pixel_synth.calibrate import anchors
    from pixel_synth.calibrate.card import calibration_dir
    from pixel_synth.knowledge import load

    if args.write:
        for path in anchors.write_expected(load(), calibration_dir() / "anchors"):
            print(path)
        return 0
    if args.path:
        from pixel_synth.runs.anchoring import shifts
        from pixel_synth.runs.directory import Run

        found = shifts(Run.open(args.path), load())
    else:
        found = anchors.scorer_shifts(load())
    for s in found:
        then, now = (f"{v:.3f}" if v is not None else "–" for v in (s.then, s.now))
        print(f"{s.metric:<26} {s.model:<20} {s.n:>3} anchors  {then} → {now}  {'MOVED: ' + s.alert if s.alert else s.note or 'holds'}")
    return 1 if any(s.alert for s in found) else 0


def show_run(args: argparse.Namespace) -> int:
    """Print conversations of a run to read."""
    import random

    from pixel_synth.errors import RunError, UsageError
    from pixel_synth.jsonl import conversations
    from pixel_synth.runs.directory import Run
    from pixel_synth.runs.screen import conversation

    if args.k < 1:
        raise UsageError(f"-k must be at least 1, not {args.k}")
    run = Run.open(args.path)
    path = run.path / "data" / ("rejected.jsonl" if args.rejected else "conversations.jsonl")
    if not path.is_file():
        raise RunError(f"{path} is not there: the run has not ended", hint=f"--resume {run.path}")
    found = [c for c in conversations(path) if not args.id or c.id.startswith(args.id)]
    if not found:
        raise RunError(f"no conversation {args.id or ''} in {path}")
    for c in found[: args.k] if args.id else random.sample(found, min(args.k, len(found))):
        if args.json:
            print(c.model_dump_json(indent=2))
            continue
        conversation(c)
        for score in c.scores:
            print(f"   {score.metric:<26} {'unscored: ' + score.reason if score.value is None else f'{score.value:.3f}'}")
        for reason in c.verdict.reasons if c.verdict else ():
            print(f"   rejected: {reason}")
    return 0


def explain_record(args: argparse.Namespace) -> int:
    """Print everything about one record."""
    from pixel_synth.runs.explain import explain
    from pixel_synth.runs.explained import text

    account = explain(args.id, args.path, full=args.calls or args.json)
    print(account.json() if args.json else text(account, full=args.calls))
    return 0


def replay_run(args: argparse.Namespace) -> int:
    """Rebuild a run's dataset and compare it."""
    import tempfile

    from pixel_synth.runs import replay
    from pixel_synth.runs.directory import Run
    from pixel_synth.runs.screen import progress

    run = Run.open(args.path)
    with tempfile.TemporaryDirectory(prefix="pixel-replay-") as folder:
        slots = replay.slots_of(run)
        with progress(len(slots), "slots") as show:
            found = replay.replay(run, args.out or Path(folder), show, slots)
    if not found.differing:
        print(f"identical: {found.files} files")
        return 0
    for name in found.differing:
        print(f"{run.path / name}: the replay gives other bytes", file=sys.stderr)
    if found.missing:
        print(f"calls that the ledger does not have: in {replay.named(found.missing)}", file=sys.stderr)
    if found.changed:
        print(f"outcomes that differ: {replay.named(found.changed)}", file=sys.stderr)
    if replay.gone_on(run):
        print(f"note: {run.path} was gone on with after its dataset was written; finish it first: --resume {run.path}", file=sys.stderr)
    print(f"different: {len(found.differing)} of {found.files} files")
    return 1


def report_run(args: argparse.Namespace) -> int:
    """Print a report in a format: of a generating run from its report.json, of anything else from its records."""
    from pixel_synth.cli.proving import is_dataset, report_dataset
    from pixel_synth.errors import RunError
    from pixel_synth.publish.report import render
    from pixel_synth.runs.directory import Run

    if is_dataset(args.path):
        return report_dataset(args.path, args.format)
    run = Run.open(args.path)
    path = run.path / "report.json"
    if not path.is_file():
        raise RunError(f"{path} is not there: the run has not ended", hint=f"--resume {run.path}")
    figures = {p.stem: p.read_text(encoding="utf-8") for p in sorted((run.path / "figures").glob("*.svg"))}
    sys.stdout.write(render(json.loads(path.read_text(encoding="utf-8")), args.format, figures))
    return 0


def perf_run(args: argparse.Namespace) -> int:
    """Print how a run went in time and tokens."""
    from pixel_synth.errors import RunError
    from pixel_synth.runs.directory import Run

    path = Run.open(args.path).path / ("performance.json" if args.json else "performance.md")
    if not path.is_file():
        raise RunError(f"{path} is not there: the run has not ended", hint=f"--resume {args.path}")
    sys.stdout.write(path.read_text(encoding="utf-8"))
    return 0


def check_path(args: argparse.Namespace) -> int:
    """Check a run directory or a JSONL file."""
    if args.path.is_dir():
        from pixel_synth.runs.directory import Run

        damaged = Run.open(args.path).damaged()
        for name in damaged:
            print(f"{args.path / name}: differs from the manifest, or is missing", file=sys.stderr)
        print("damaged" if damaged else "every file matches the manifest")
        return 1 if damaged else 0
    from pixel_synth.jsonl import read

    good = bad = 0
    for row in read(args.path):
        if row.error:
            bad += 1
            print(f"{args.path}:{row.line}: {row.error}", file=sys.stderr)
        else:
            good += 1
    print(f"{good + bad} lines = {good} good + {bad} bad")
    return 1 if bad else 0


def score_file(args: argparse.Namespace) -> int:
    """Score a JSONL file again."""
    from pixel_synth.curate.filter import score_jsonl

    return score_jsonl(args.path, args.metric, args.output)


def urgency_text(args: argparse.Namespace) -> int:
    """Print the level of urgency of a text, of each line of a text file, or of each conversation of a JSONL file."""
    from pixel_synth.errors import UsageError
    from pixel_synth.jsonl import conversations
    from pixel_synth.scorers import risk
    from pixel_synth.scorers.talk import of_text, read

    path = Path(args.text)
    if len(args.text) < 256 and path.is_file():
        if path.suffix == ".jsonl":
            said = [(c.id, read(c)) for c in conversations(path)]
        else:
            said = [(f"{n}", of_text(line)) for n, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1) if line.strip()]
    elif path.suffix in (".jsonl", ".txt"):
        raise UsageError(f"{path} is not there")
    else:
        said = [("", of_text(args.text))]
    for name, talk in said:
        if not any(turn.text.strip() for turn in talk.client):
            print(f"{name}\tunscored\tno words of the client")
            continue
        found = risk.urgency(talk)
        words = "; ".join(f"{e.quote!r} ({e.label})" for e in found.evidence)
        print("\t".join((*([name] if name else []), found.name, ", ".join(found.kinds), words)).rstrip())
    return 0


def filter_file(args: argparse.Namespace) -> int:
    """Gate a JSONL file into kept and dropped."""
    from pixel_synth.curate.filter import filter_jsonl

    return filter_jsonl(args.path, args.output, args.allow_uncalibrated)


if __name__ == "__main__":
    sys.exit(main())
