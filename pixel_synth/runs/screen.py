"""What a run shows in the terminal: progress, coverage, a sample conversation, score table, books, next commands."""

from __future__ import annotations

import sys
import textwrap
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from pixel_synth.calibrate.anchors import sessions
from pixel_synth.llms.connect import Links
from pixel_synth.plan import Plan, coverage, ruled_out, used
from pixel_synth.publish.report import self_preference
from pixel_synth.publish.tally import Tally, summary
from pixel_synth.records import Conversation
from pixel_synth.runs.directory import Run
from pixel_synth.settings import Settings

WIDTH = 100
BAR = 30
SHORT_CELLS = 8
SHOWN = 24  # values of a dimension, or groups of exclusions, that a dry run lists


def say(text: str = "") -> None:
    """Print a line at once, whether or not anybody buffers."""
    print(text, flush=True)


@contextmanager
def progress(total: int, unit: str, good: str = "accepted") -> Iterator[Callable[[int, int], None]]:
    """Show a bar with rate and ETA on a terminal, plain lines elsewhere (one every tenth, and every 30 s)."""
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

        columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
                   TextColumn("{task.fields[rate]}"), TimeElapsedColumn(), TextColumn("ETA"), TimeRemainingColumn())  # fmt: skip
        with Progress(*columns, console=Console(stderr=True)) as bar:
            task = bar.add_task(unit, total=total, rate="starting the pipeline")
            first: list[float] = []

            def update(done: int, accepted: int) -> None:
                if done and not first:
                    first.extend((time.monotonic(), done))
                spent = time.monotonic() - first[0] if first else 0.0
                rate = f"{(done - first[1]) / spent:.1f}/s" if spent > 1 else "starting the pipeline" if not done else ""
                bar.update(task, completed=done, rate=f"{rate} {accepted} {good}")

            yield update
        return
    began = last = time.monotonic()
    shown, before = -1, -1

    def plain(done: int, accepted: int) -> None:
        nonlocal last, shown, before
        now = time.monotonic()
        before = done if before < 0 else before
        if done * 10 // total != shown or now - last > 30:
            shown, last = done * 10 // total, now
            spent = now - began
            fresh = done - before
            eta = f", {fresh / spent:.1f}/s, about {spent / fresh * (total - done):.0f} s left" if fresh else ""
            say(f"  {done}/{total} {unit} ({accepted} {good}) after {spent:.0f} s{eta}")

    yield plain


def bar(share: float, width: int = BAR) -> str:
    """Return a text bar for a share of 0–1."""
    filled = round(max(0.0, min(1.0, share)) * width)
    return "█" * filled + "·" * (width - filled)


def conversation(c: Conversation, reasoning: bool = True) -> None:
    """Print one conversation to read."""
    say(f"── {c.id} · {' · '.join(v for v in c.labels.model_dump().values() if v and isinstance(v, str))}")
    if b := c.blueprint:
        p = b.persona
        say(f"   {p.name}, {p.age} ({p.pronouns}), {p.occupation}, {p.attachment}, {p.profile}; {b.event}, {b.duration_text}")
    for message in c.messages:
        who = "client   " if message.role == "user" else "therapist"
        lines = textwrap.wrap(message.content, WIDTH - 12)
        say(f"{who}   {lines[0]}")
        for line in lines[1:]:
            say(" " * 12 + line)
    if reasoning and c.reasoning and c.reasoning.moves:
        choice = c.reasoning.moves[0]
        say(f"   (reasoning, turn {choice.turn}: {choice.move} – {choice.why})")


def links(found: Links) -> None:
    """Say what the canary found."""
    for role, link in (("generator", found.generator), *(("judge", link) for link in found.judges)):
        if link.urls:
            version = f", version {link.version}" if link.version else ""
            say(f"{role}: {link.model} at {', '.join(link.urls)}{version}; schemas travel by {link.way} ({link.dialect}), proven by canary")


def starting() -> Callable[[str], None]:
    """Return what shows the start of a server of our own: a line whenever ten seconds have passed."""
    last = -10.0

    def show(text: str) -> None:
        nonlocal last
        if time.monotonic() - last >= 10.0:
            last = time.monotonic()
            print(f"  server: {text[:WIDTH]}", file=sys.stderr, flush=True)

    return show


def dry_run(plan: Plan, settings: Settings) -> None:
    """Show coverage and cost of the plan."""
    say(f"plan: {len(plan.cells)} conversations, seed {settings.seed}, engine {settings.engine} {settings.model}".rstrip())
    for dim, values in coverage(plan.cells, plan.space).items():
        say(f"\n{dim:<34} target  planned")
        far = sorted(values, key=lambda v: values[v][1] - values[v][0])
        shown = values if len(values) <= SHOWN else [*far[: SHOWN // 4], *far[-SHOWN // 4 :]]
        for value in shown:
            target, actual = values[value]
            say(f"  {value:<32} {target:6.1%}  {actual:6.1%}  {bar(actual, 24)}")
        if len(values) > len(shown):
            say(f"  … the {len(values) - len(shown)} others of {len(values)} lie between these")
    groups = ruled_out(plan.space)
    if groups:
        say("\nnever planned:")
        for r in groups[:SHOWN]:
            more = f" and {len(r.ones) - 3} more" if len(r.ones) > 3 else ""
            say(f"  {r.other} × {', '.join(r.ones[:3])}{more}: {r.reason}")
        if len(groups) > SHOWN:
            say(f"  … and {len(groups) - SHOWN} further groups; the report lists them all")
    sample = [plan.blueprint(i) for i in range(min(len(plan.cells), 200))]
    say(f"\nknowledge in the first {len(sample)} blueprints   used      of")
    for kind, n, there, _ in used(plan.knowledge, Counter(key for b in sample for key in b.knowledge)):
        say(f"  {kind:<36} {n:5} {there:7}")
    judges = len(settings.judges) * max(1, len(settings.judge_model))
    calls = sum(b.turns + 2 for b in sample) / len(sample) + judges * settings.judge_samples
    say(f"\ncost: {calls:.1f} engine calls a conversation (mean of {len(sample)} blueprints)")
    if judges:
        least, most = settings.judge_samples, max(settings.judge_samples, settings.anchor_samples)
        n = judges * len(sessions())
        say(f"      {n * least} calls for the {len(sessions())} anchors, once a run; {n * most} in the run that makes the baseline")
    if settings.engine != "composer":
        say("      time, tokens and attempts depend on the model: --preview 20 measures them and predicts the whole run")
        return
    from pixel_synth.runs.preview import fill

    began = time.perf_counter()
    tried = [slot.outcome for slot in fill(plan, settings, min(5, len(sample)))]
    each = (time.perf_counter() - began) / len(tried)
    attempts = sum(len(o.attempts) for o in tried) / len(tried)
    written = [a.conversation for o in tried for a in o.attempts if a.conversation]
    words = sum(len(m.content.split()) for c in written for m in c.messages) / max(1, len(written))
    total = calls * attempts * len(plan.cells)
    say(f"      {attempts:.1f} attempts a slot ({len(tried)} slots filled just now), so about {total:,.0f} calls in all")
    say(f"      {words:.0f} words of talk a conversation")
    say(f"time: {each:.2f} s a slot on one core (the same slots), so about {each * len(plan.cells):.0f} core-seconds and a start-up")


def alerts(found: list[str]) -> None:
    """Say which judges and scorers moved on the anchors."""
    for alert in found:
        say(f"drift: {alert}")


def result(run: Run, tally: Tally, settings: Settings, p: dict[str, Any]) -> None:
    """Show a sample, the scores against the thresholds, the books, what is short, how it went, and what to do next."""
    if tally.first is not None:
        say()
        conversation(tally.first)
    say(f"\n{'metric':<26} mean   p10    threshold  gate          passed")
    gate = run.gate
    for limit in gate.limits:
        metric, least = limit.metric, limit.least
        values = tally.scores["accepted"][metric]
        rejected = tally.scores["rejected"][metric]
        passed = sum(v >= least for v in values) + sum(v >= least for v in rejected)
        total = len(values) + len(rejected) + tally.unscored[metric]
        found = summary(values + rejected)
        numbers = f"{found[0]:.3f}  {found[1]:.3f}" if found else "unscored    "
        say(f"{metric:<26} {numbers}  {least:.2f}       {limit.standing:<12}  {passed}/{total}  {bar(passed / total if total else 0, 20)}")
    for limit in gate.limits:
        if limit.why:
            say(f"  {limit.metric} is {limit.standing}: {limit.why}")
    for row in self_preference(tally):
        say(f"  {row['told']}")
    b = tally.books
    say(f"\nbooks: {b.planned} planned = {b.accepted} accepted + {b.rejected} rejected + {b.failed} failed"
        + (f" ({', '.join(f'{n} {kind}' for kind, n in tally.failures.most_common())})" if b.failed else ""))  # fmt: skip
    for reason, n in tally.reasons.most_common(5):
        say(f"  {n:>5} × {reason}")
    if b.shortfall:
        say(f"short: {b.shortfall} of {settings.accept} slots, {run.stopped or f'after {settings.max_attempts} attempts each'}")
        for cell, n in sorted(tally.short.items(), key=lambda item: -item[1])[:SHORT_CELLS]:
            say(f"  {n:>5} × {' × '.join(cell)}")
        if len(tally.short) > SHORT_CELLS:
            say(f"  and {len(tally.short) - SHORT_CELLS} more cells, all in report.md")
    say(f"time: {p['active_s']:.1f} s making calls, {p['publish_s']:.1f} s writing dataset and report")
    if p["tokens_in"] is not None:
        say(f"tokens: {p['tokens_in']:,} in + {p['tokens_out']:,} out, {p['tokens_per_s'] or 0:,.0f} a second"
            + (f"; {p['tokens_per_accepted']:,.0f} per accepted conversation" if p["tokens_per_accepted"] else ""))  # fmt: skip
    if p["server_prefix_hits"] is not None:
        say(f"prefix cache: {p['server_prefix_hits']:.1%} of the prompt tokens, by the servers' own counters")
    if run.stopped:
        say(f"go on: python pipelines/psychology.py --resume {run.path} with a larger budget")
    say(
        f"\nnext:\n  pixel-synth show {run.path}              another conversation\n"
        f"  open {run.path / 'report.html'}   the report with pictures\n"
        f"  pixel-synth perf {run.path}              time and tokens, the slowest stage\n"
        f"  python pipelines/psychology.py -n 1000 --seed {settings.seed + 1}\n"
        f"  python -c \"import datasets; print(datasets.load_dataset('{run.path}'))\""
    )
