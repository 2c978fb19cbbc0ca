"""A look before a run: K slots filled in this process, shown on the screen, and what they say about the whole run.

Prediction: tokens of N slots are N times the mean of a slot, with a 95% bootstrap interval over the slots (Efron 1979; 2,000
resamples).  Time is tokens divided by the tokens per second of the preview, which has at most K conversations in flight: a
server that is not full at K is faster in the run, so for servers the time is an upper bound, and said to be one.
"""

from __future__ import annotations

import asyncio
import random
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from pixel_synth.curate.gate import settle
from pixel_synth.llms.ask import Asker
from pixel_synth.llms.connect import CHAINS, connect_all, make_asker, server_of
from pixel_synth.llms.engine import Call, Completion
from pixel_synth.plan import Plan
from pixel_synth.records import Outcome
from pixel_synth.runs import screen
from pixel_synth.runs.chain import fill_slot
from pixel_synth.settings import Settings

RESAMPLES = 2000


class Filled(NamedTuple):
    """A slot of a preview: what came of it and what it cost (tokens are 0 where the engine counts none)."""

    outcome: Outcome
    calls: int
    tokens: int
    seconds: float


@contextmanager
def opened(settings: Settings) -> Iterator[Asker]:
    """Yield what answers calls, outside a run; a server of our own is started and stopped."""
    with tempfile.TemporaryDirectory() as folder:
        show = screen.starting()
        with server_of(settings, Path(folder) / "server.log", lambda text, s: show(f"{text} ({s:.0f} s)")) as server:
            links = asyncio.run(connect_all(settings, (server.base_url,) if server else ()))
            screen.links(links)
            yield make_asker(links, settings)


def fill(plan: Plan, settings: Settings, k: int) -> list[Filled]:
    """Fill the first k slots at once in this process, without distilabel and without keeping anything."""
    with opened(settings) as asker:
        return asyncio.run(_all(plan, settings, k, asker))


async def _all(plan: Plan, settings: Settings, k: int, asker: Asker) -> list[Filled]:
    window, gate = asyncio.Semaphore(settings.window or CHAINS), settle(settings)

    async def one(slot: int) -> Filled:
        calls = tokens = 0

        async def ask(call: Call) -> Completion:
            nonlocal calls, tokens
            completion = await asker(call)
            calls += 1
            tokens += (completion.tokens_in or 0) + (completion.tokens_out or 0)
            return completion

        async with window:
            began = time.perf_counter()
            outcome = await fill_slot(plan, slot, ask, settings, gate)
            return Filled(outcome, calls, tokens, time.perf_counter() - began)

    try:
        with screen.progress(k, "slots") as show:
            filled = []
            for done in asyncio.as_completed([one(slot) for slot in range(k)]):
                filled.append(await done)
                show(len(filled), sum(f.outcome.accepted for f in filled))
        return sorted(filled, key=lambda f: f.outcome.slot)
    finally:
        await asker.close()


def preview(plan: Plan, settings: Settings, k: int) -> None:
    """Show k slots, and predict the whole run from them."""
    began = time.perf_counter()
    filled = fill(plan, settings, k)
    seconds = time.perf_counter() - began
    for f in filled:
        outcome = f.outcome
        last = outcome.attempts[-1]
        c = last.conversation
        if c is None:
            screen.say(f"slot {outcome.slot}: failed ({last.kind}): {last.reason}")
            continue
        screen.conversation(c)
        screen.say(f"   {last.status}" + (f": {last.reason}" if last.reason else ""))
        screen.say("   " + "  ".join(f"{s.metric} {'–' if s.value is None else f'{s.value:.2f}'}" for s in c.scores) + "\n")
    for line in prediction(filled, settings, seconds, len(plan.cells)):
        screen.say(line)


def prediction(filled: Sequence[Filled], settings: Settings, seconds: float, n: int) -> list[str]:
    """Return what the filled slots say about n of them."""
    k = len(filled)
    accepted = sum(f.outcome.accepted for f in filled)
    attempts = sum(len(f.outcome.attempts) for f in filled)
    lines = [f"preview: {k} slots, {attempts} attempts, {accepted} accepted, {sum(f.calls for f in filled)} calls in {seconds:.1f} s"]
    tokens = [f.tokens for f in filled]
    if k < 2:
        return [*lines, "  a prediction needs at least 2 slots"]
    slot_s = [f.seconds for f in filled]
    if not any(tokens):
        low, high = interval(slot_s)
        mean = seconds / k
        scale = mean / (sum(slot_s) / k)
        return [
            *lines,
            f"  {n:,} slots: about {mean * n:,.0f} s in one process ({low * scale * n:,.0f}–{high * scale * n:,.0f}), start-up left out",
        ]
    low, high = interval([float(t) for t in tokens])
    mean, rate = sum(tokens) / k, sum(tokens) / seconds
    lines.append(f"  {n:,} slots: about {mean * n:,.0f} tokens (95% interval {low * n:,.0f}–{high * n:,.0f}), {mean:,.0f} a slot")
    bound = "at most about" if settings.engine in ("server", "vllm") else "about"
    lines.append(
        f"  at {rate:,.0f} tokens/s, seen with up to {k} conversations at once, {bound} {hours(mean * n / rate)} "
        f"({hours(low * n / rate)}–{hours(high * n / rate)})"
    )
    if accepted < k:
        lines.append(
            f"  {k - accepted} of {k} slots stayed empty after {settings.max_attempts} attempts; a whole run would be short in the same way"
        )
    return lines


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Return the 95% bootstrap interval of the mean."""
    chance = random.Random(0)
    means = sorted(sum(chance.choices(values, k=len(values))) / len(values) for _ in range(RESAMPLES))
    return means[int(0.025 * RESAMPLES)], means[int(0.975 * RESAMPLES) - 1]


def hours(seconds: float) -> str:
    """Return a duration as people say it."""
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
