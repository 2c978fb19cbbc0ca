"""Samples of a run in motion, one line each in ``metrics.jsonl``: what is in flight here, and what the servers say of themselves.

A line holds wall-clock time, worker, calls in flight and waiting, the windows' limits, servers up, and per server the counters of its
``/metrics`` page (vLLM's names) where it has one: running and waiting requests, prompt and generated tokens, prefix-cache
queries and hits in tokens.  `publish.performance` reads them, and each server's window is told how many requests wait inside it.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from pixel_synth.llms import client
from pixel_synth.llms.ask import Asker
from pixel_synth.llms.pool import Pool
from pixel_synth.llms.server import Servers

EVERY_S = 2.0
COUNTERS = {
    "running": "vllm:num_requests_running",
    "waiting": "vllm:num_requests_waiting",
    "prefix_queries": "vllm:prefix_cache_queries_total",
    "prefix_hits": "vllm:prefix_cache_hits_total",
    "prompt_tokens": "vllm:prompt_tokens_total",
    "generated_tokens": "vllm:generation_tokens_total",
    "preemptions": "vllm:num_preemptions_total",
}
_LINE = re.compile(r"^([a-zA-Z_:][\w:]*)(?:\{[^}]*\})?\s+([-+0-9.eE]+)", re.MULTILINE)


def counters(page: str) -> dict[str, float]:
    """Return the counters of a Prometheus page that we know, added up over their labels."""
    sums: dict[str, float] = {}
    for name, value in _LINE.findall(page):
        sums[name] = sums.get(name, 0.0) + float(value)
    return {ours: sums[theirs] for ours, theirs in COUNTERS.items() if theirs in sums}


async def sample(asker: Asker, chains: Callable[[], int], path: Path, over: asyncio.Event) -> None:
    """Append a line every `EVERY_S` seconds until the event says that it is over, and one at the end."""
    pools = [engine.pool for engine in asker.engines if isinstance(engine, Servers)]
    last = False
    while not last:
        last = over.is_set()
        line = await _line(pools, chains())
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        if not last:
            with suppress(TimeoutError):
                await asyncio.wait_for(over.wait(), EVERY_S)


async def _line(pools: list[Pool], chains: int) -> dict[str, Any]:
    endpoints = [(pool, e) for pool in pools for e in pool.endpoints]
    up = [(pool, e) for pool, e in endpoints if e.up]
    pages = await asyncio.gather(*(client.get(pool.session, f"{client.root(e.url)}/metrics", 2.0) for pool, e in up))
    servers = {e.url: counters(text) for (_, e), (status, text) in zip(up, pages, strict=True) if status == 200}
    for _, e in up:
        e.window.told(servers.get(e.url, {}).get("running", 0.0), servers.get(e.url, {}).get("waiting", 0.0))
    return {
        "at": round(time.time(), 2),
        "worker": os.getpid(),
        "chains": chains,
        "in_flight": sum(e.window.in_flight for _, e in endpoints),
        "waiting": sum(e.window.waiting for _, e in endpoints),
        "limit": sum(int(e.window.limit) for _, e in endpoints),
        "up": len(up),
        "servers": servers,
    }
