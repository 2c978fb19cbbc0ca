"""How a run went, in time and tokens: from the ledger, the samples of ``metrics.jsonl`` and ``run.json``.

These figures hold a clock, so they are files of their own (``performance.json``, ``.md``, ``figures/performance.svg``) beside the
report, which is a pure function of settings and answers, and not in the manifest.  What was not measured is ``None`` and said so.

* active seconds: time in which calls were made, over all starts: gaps between samples of at most `GAP_S`, or, without samples, the
  last start's generating time;
* tokens/s: tokens of all answered calls over active seconds;
* in flight: calls sent and not yet answered, over all workers, at each sample;
* cache hits: of the prompt tokens of answered calls, those that the server says it took from its prefix cache; and the server's own
  counters between the first and the last sample, whoever else used it;
* unusable answers: calls beyond the first one of a turn (each is a repair), and attempts that failed with an answer;
* GPU-hours: GPUs times active hours, for a server of our own.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

from pixel_synth.llms.ledger import Ledger
from pixel_synth.publish.tally import Tally
from pixel_synth.settings import Settings

GAP_S = 15.0
ANSWERED_KINDS = ("empty", "refused", "truncated", "invalid")


def samples(path: Path) -> list[dict[str, Any]]:
    """Return the samples of a run in order of time; torn lines are left out."""
    if not path.is_file():
        return []
    found = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return sorted(found, key=lambda s: float(s["at"]))


def moments(found: list[dict[str, Any]]) -> list[tuple[float, int]]:
    """Return (time, calls in flight over all workers) at each sample; a worker's last word holds for `GAP_S`."""
    last: dict[int, tuple[float, int]] = {}
    series = []
    for s in found:
        last[s["worker"]] = (s["at"], s["in_flight"])
        series.append((s["at"], sum(n for at, n in last.values() if s["at"] - at <= GAP_S)))
    return series


def active_seconds(found: list[dict[str, Any]]) -> float:
    """Return the seconds covered by samples that are at most `GAP_S` apart."""
    times = [float(s["at"]) for s in found]
    return sum(b - a for a, b in pairwise(times) if b - a <= GAP_S)


def prefix_hits(found: list[dict[str, Any]]) -> float | None:
    """Return the servers' own prefix-cache hit rate (0–1) while the run lasted, or ``None`` where they tell nothing."""
    first: dict[str, dict[str, float]] = {}
    hits = queries = 0.0
    previous: dict[str, dict[str, float]] = {}
    for s in found:
        for url, now in s["servers"].items():
            if "prefix_queries" not in now:
                continue
            before = previous.get(url, first.setdefault(url, now))
            if now["prefix_queries"] >= before["prefix_queries"]:  # else the server was started anew
                hits += now.get("prefix_hits", 0.0) - before.get("prefix_hits", 0.0)
                queries += now["prefix_queries"] - before["prefix_queries"]
            previous[url] = now
    return hits / queries if queries else None


def facts(run_path: Path, info: Mapping[str, Any], settings: Settings, tally: Tally, gpus: int) -> dict[str, Any]:
    """Collect every figure.

    Args:
        run_path: The run directory.
        info: Its ``run.json``.
        settings: Its settings.
        tally: Its books.
        gpus: GPUs of a server of our own; 0 where they are not known.
    """
    ledger = Ledger(run_path / "ledger.sqlite", read_only=True)
    parts, totals, failed, repairs = ledger.parts(), ledger.totals(), ledger.failed(), ledger.repairs()
    ledger.close()
    found = samples(run_path / "metrics.jsonl")
    flying = [n for _, n in moments(found)]
    seconds = active_seconds(found) or float(info.get("seconds", {}).get("generate_s", 0.0))
    tokens_in, tokens_out, cached = (sum(getattr(p, name) for p in parts) for name in ("tokens_in", "tokens_out", "cached"))
    books, tokens = tally.books, tokens_in + tokens_out
    retries = {name.removeprefix("retry_"): int(n) for name, n in totals.items() if name.startswith("retry_")}
    stages = {f"engine: {p.part}": round(p.seconds, 2) for p in sorted(parts, key=lambda p: -p.seconds)}
    stages["scores and gate"] = round(totals.get("score_s", 0.0), 2)
    return {
        "engine": settings.engine,
        "model": settings.model or settings.engine,
        "active_s": round(seconds, 2),
        "publish_s": info.get("seconds", {}).get("publish_s"),
        "calls": sum(p.calls for p in parts),
        "calls_per_s": _over(sum(p.calls for p in parts), seconds),
        "tokens_in": tokens_in if tokens else None,
        "tokens_out": tokens_out if tokens else None,
        "tokens_per_s": _over(tokens, seconds) if tokens else None,
        "tokens_out_per_s": _over(tokens_out, seconds) if tokens else None,
        "tokens_per_accepted": _over(tokens, books.accepted) if tokens else None,
        "tokens_per_attempt": _over(tokens, books.planned) if tokens else None,
        "cached_share": _over(cached, tokens_in) if cached else None,
        "server_prefix_hits": prefix_hits(found),
        "in_flight_mean": _over(sum(flying), len(flying)),
        "in_flight_most": max(flying, default=None),
        "retries": dict(sorted(retries.items())),
        "calls_without_answer": dict(sorted(failed.items())),
        "repairs": repairs,
        "unusable_answers": sum(repairs.values()) + sum(tally.failures[k] for k in ANSWERED_KINDS),
        "stages_s": stages,
        "slowest": max(stages, key=lambda name: stages[name]) if any(stages.values()) else None,
        "attempt_s": _over(totals.get("slot_s", 0.0), books.planned),
        "gpu_hours": round(gpus * seconds / 3600, 4) if gpus else None,
        "gpu_hours_per_1000": _over(1000 * gpus * seconds / 3600, books.accepted) if gpus else None,
        "parts": [{**p._asdict(), "seconds": round(p.seconds, 2)} for p in parts],
        "series": _series(found),
    }


def _over(amount: float, by: float) -> float | None:
    return round(amount / by, 4) if by else None


def _series(found: list[dict[str, Any]], most: int = 400) -> list[dict[str, float | None]]:
    """Return at most so many points of (seconds since the first sample, in flight, generated tokens/s of the servers)."""
    flying = moments(found)
    generated: dict[str, float] = defaultdict(float)
    points: list[dict[str, float | None]] = []
    before: tuple[float, float] | None = None
    for s, (at, n) in zip(found, flying, strict=True):
        generated.update({url: now["generated_tokens"] for url, now in s["servers"].items() if "generated_tokens" in now})
        total, rate = sum(generated.values()), None
        if generated and before and at - before[0] >= 1.0:
            rate = max(0.0, total - before[1]) / (at - before[0])
        if generated and (before is None or rate is not None):
            before = (at, total)
        points.append({"s": round(at - flying[0][0], 1), "in_flight": n, "tokens_per_s": rate})
    return points[:: max(1, -(-len(points) // most))]
