"""``pixel-synth monitor``: quality across stages, runs and training, drift against a baseline, alerts."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pixel_synth.prove.monitor.alert import Alert
    from pixel_synth.prove.monitor.look import Look, Options
    from pixel_synth.prove.monitor.store import Window

EXAMPLES = """examples
  pixel-synth monitor runs/dataset-001                                       the trend by stage and source
  pixel-synth monitor runs/dataset-001 --metric coherence --by modality
  pixel-synth monitor runs/dataset-002 --baseline runs/dataset-001 --fail-on-alert
  pixel-synth monitor kept.jsonl --window 500                                windows of 500 records against the first one
  pixel-synth monitor --watch out/model --baseline runs/dataset-001          follow a training run; Ctrl-C ends it
  pixel-synth monitor --watch out/model --baseline runs/dataset-001 --once --fail-on-alert --webhook env:HOOK

Alerts go to alerts.jsonl of the run. A difference counts when it is significant (adjusted for the number of comparisons)
and large; windows of one sequence have to differ twice in three. A run without points is measured now, nothing is kept.
exit status: 0 fine; 1 error, or --fail-on-alert and there was one; 2 a wrong flag.  See docs/monitoring.md."""


def add_commands(commands: Any) -> None:
    """Add the commands to a parser's subparsers; imports nothing heavy."""
    told = "quality across stages, runs and training: trend, drift against a baseline, alerts"
    p: argparse.ArgumentParser = commands.add_parser(
        "monitor", help=told, description=told, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.set_defaults(run=monitor)
    p.add_argument("paths", nargs="*", type=Path, metavar="RUN", help="run directories or JSONL files of records, oldest first")
    p.add_argument("--watch", type=Path, metavar="DIR", help="follow the metrics.jsonl of a run or training in motion instead")
    p.add_argument("--once", action="store_true", help="with --watch: take what is there and end (cron)")
    p.add_argument("--interval", type=float, default=5.0, metavar="S", help="with --watch: seconds between looks (default 5)")
    p.add_argument("--metric", action="append", default=[], metavar="M", help="only this score; may be repeated (shown: overall)")
    p.add_argument("--by", choices=("source", "category", "modality"), default="source", help="rows of the trend (default source)")
    p.add_argument("--baseline", type=Path, metavar="PATH", help="run directory or file to compare with")
    p.add_argument("--window", type=int, default=0, metavar="N", help="compare windows of N records, in their order")
    p.add_argument("--persist", metavar="K/M", help="K of M windows have to differ (whole stages 1/1, sequences 2/3)")
    p.add_argument("--alpha", type=float, metavar="P", help="largest adjusted p (default 0.01)")
    p.add_argument("--psi", type=float, metavar="X", help="PSI that is large (default 0.1)")
    p.add_argument("--shift", type=float, metavar="SD", help="shift of a mean that is large, in sds of the baseline (default 0.2)")
    p.add_argument("--fail-on-alert", action="store_true", help="exit status 1 when there is an alert")
    p.add_argument(
        "--webhook", metavar="URL", help="post new alerts there: https, or http on this machine; env:NAME takes it from a variable"
    )
    p.add_argument("--dry-run", action="store_true", help="write and post no alert")
    p.add_argument("--json", action="store_true", help="print everything as JSON (with --watch: a line per alert)")


def monitor(args: argparse.Namespace) -> int:
    """Show trend and drift, or follow a run."""
    from pixel_synth.errors import UsageError

    if bool(args.paths) == bool(args.watch):
        raise UsageError("name runs, or one with --watch", hint="pixel-synth monitor runs/dataset-001")
    if args.window < 0 or args.interval <= 0:
        raise UsageError("--window must be 0 or more, --interval above 0")
    if args.once and not args.watch:
        raise UsageError("--once goes with --watch")
    return follow(args) if args.watch else show(args)


def options(args: argparse.Namespace) -> Options:
    """Return how windows are compared.

    Raises:
        UsageError: When a limit or ``--persist`` is of no use.
    """
    from pydantic import ValidationError

    from pixel_synth.errors import UsageError
    from pixel_synth.prove.monitor.drift import Limits
    from pixel_synth.prove.monitor.look import Options

    given = {name: value for name in ("alpha", "psi", "shift") if (value := getattr(args, name)) is not None}
    try:
        limits = Limits(**given)
    except ValidationError as error:
        first = error.errors()[0]
        raise UsageError(f"--{first['loc'][0]}: {first['msg']}") from error
    persist = None
    if args.persist:
        need, _, of = args.persist.partition("/")
        if not (need.isdecimal() and of.isdecimal() and 1 <= int(need) <= int(of)):
            raise UsageError(f"--persist {args.persist}: not K/M with K of 1 to M", hint="--persist 2/3")
        persist = (int(need), int(of))
    return Options(limits, tuple(args.metric), persist)


def show(args: argparse.Namespace) -> int:
    """Print the trend and what differs; keep and post the alerts."""
    from rich.console import Console

    from pixel_synth.prove.monitor.alert import Webhook
    from pixel_synth.prove.monitor.look import look

    how = options(args)
    webhook = Webhook(args.webhook) if args.webhook else None
    with Console(stderr=True).status("measuring") if sys.stderr.isatty() else _quiet():
        looks = look(args.paths, args.baseline, args.window, how)
    alerts = [(one.path, a) for one in looks for s in one.seen for a in s.alerts]
    new = [a for one in looks for a in _kept(one, dry=args.dry_run)]
    print(_as_json(looks) if args.json else _as_text(args, looks))
    if webhook and new and not args.dry_run and (wrong := webhook.post(new)):
        print(wrong, file=sys.stderr)
    return 1 if args.fail_on_alert and alerts else 0


def _kept(one: Look, *, dry: bool) -> list[Alert]:
    """Return the alerts that are new; those of a run directory are written into it."""
    from pixel_synth.prove.monitor.alert import keep

    raised = [alert for seen in one.seen for alert in seen.alerts]
    return keep(one.path, raised) if one.path.is_dir() and not dry else raised


def _as_text(args: argparse.Namespace, looks: list[Look]) -> str:
    from pixel_synth.prove.monitor.table import differences, trend

    windows = [w for one in looks for w in one.windows]
    there = sorted({p.metric for w in windows for p in w.points})
    shown = args.metric or (["overall"] if "overall" in there else there)
    parts = [trend(windows, metric, args.by) for metric in shown]
    seen = [s for one in looks for s in one.seen]
    if seen or args.baseline:
        parts.append(differences(seen))
        alerts = [a.text for s in seen for a in s.alerts]
        parts.append("\n".join(["alerts", *(f"  {text}" for text in alerts)]) if alerts else "no alert")
    return "\n\n".join(parts)


def _as_json(looks: list[Look]) -> str:
    import json

    made = {
        "windows": [_window(w) for one in looks for w in one.windows],
        "findings": [{"window": s.window.name, **f.model_dump()} for one in looks for s in one.seen for f in s.findings],
        "alerts": [a.model_dump() for one in looks for s in one.seen for a in s.alerts],
    }
    return json.dumps(made, indent=2, ensure_ascii=False)


def _window(w: Window) -> dict[str, Any]:
    lines = {"points": [p.model_dump(exclude={"hist"}) for p in w.points], "shares": [s.model_dump() for s in w.shares]}
    return {"run": w.run, "stage": w.stage, "window": w.window, **lines}


def follow(args: argparse.Namespace) -> int:
    """Follow a run until Ctrl-C, or look once."""
    import time

    from pixel_synth.prove.monitor.alert import Webhook
    from pixel_synth.prove.monitor.follow import Follow
    from pixel_synth.prove.monitor.look import Watches
    from pixel_synth.prove.monitor.store import load

    how = options(args)
    webhook = Webhook(args.webhook) if args.webhook else None
    watches = Watches(load(args.baseline), how) if args.baseline else None
    following, alerted = Follow(args.watch, watches, write=not args.dry_run), False
    try:
        while True:
            news = following.look(last=args.once)
            for window in news.windows:
                _tell_window(args, window)
            for alert in news.alerts:
                print(alert.line() if args.json else f"ALERT {alert.text}", flush=True)
            if news.new and webhook and not args.dry_run and (wrong := webhook.post(news.new)):
                print(wrong, file=sys.stderr)
            alerted = alerted or bool(news.alerts)
            if args.once:
                break
            time.sleep(args.interval)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
    return 1 if args.fail_on_alert and alerted else 0


def _tell_window(args: argparse.Namespace, window: Window) -> None:
    if args.json:
        return
    wanted = set(args.metric) or {"overall"}
    points = [p for p in window.points if p.dimension == "all" and p.mean is not None]
    points = [p for p in points if p.metric in wanted] or points
    figures = "  ".join(f"{p.metric} {p.mean:.3f} (n {p.n:,}, p10 {p.p10:.3f})" for p in points if p.mean is not None and p.p10 is not None)
    print(f"{window.name}: {figures}", flush=True)


def _quiet() -> Any:
    from contextlib import nullcontext

    return nullcontext()
