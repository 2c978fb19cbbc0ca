"""What the server counts, for ``/mock/stats`` and ``/metrics``."""

from __future__ import annotations

from collections import Counter
from time import monotonic

from pixel_synth.llms.mock.pace import Slots


class Books:
    """Counters of one server since it became ready.

    ``requests`` equals the sum of ``ends`` plus the requests in flight.  A request ends as "answered", as "rejected" (its own
    mistake), as "left" (the client went away first), or by the name of the fault it met.
    """

    def __init__(self) -> None:
        self.began = monotonic()
        self.requests = self.in_flight = self.peak_in_flight = 0
        self.tokens_in = self.tokens_out = self.tokens_cached = 0
        self.ends: Counter[str] = Counter()
        self.asked: Counter[bytes] = Counter()
        self.answered: Counter[bytes] = Counter()

    def open(self) -> None:
        """Count a request that has arrived."""
        self.requests += 1
        self.in_flight += 1
        self.peak_in_flight = max(self.peak_in_flight, self.in_flight)

    def close(self, end: str) -> None:
        """Count how a request ended."""
        self.in_flight -= 1
        self.ends[end] += 1

    def stats(self, slots: Slots) -> dict[str, object]:
        """Return everything as JSON values; times in seconds."""
        slots.tick()
        own = ("answered", "rejected", "left")
        return {
            "requests": self.requests,
            **{name: self.ends[name] for name in own},
            "faults": {kind: n for kind, n in sorted(self.ends.items()) if kind not in own},
            "in_flight": self.in_flight,
            "peak_in_flight": self.peak_in_flight,
            "running": slots.running,
            "peak_running": slots.peak_running,
            "queued": slots.queued,
            "peak_queued": slots.peak_queued,
            "keys": len(self.asked),
            "keys_seen_twice": sum(n > 1 for n in self.asked.values()),
            "keys_answered_twice": sum(n > 1 for n in self.answered.values()),
            "tokens_in": self.tokens_in,
            "tokens_out": self.tokens_out,
            "tokens_cached": self.tokens_cached,
            "uptime_s": monotonic() - self.began,
            "busy_s": slots.busy_s,
            "slot_s": slots.slot_s,
        }

    def metrics(self, slots: Slots, model: str) -> str:
        """Return the Prometheus text, under vLLM's names where it has one."""
        slots.tick()
        rows = (
            ("vllm:num_requests_running", "gauge", slots.running, "Requests at work in the batch."),
            ("vllm:num_requests_waiting", "gauge", slots.queued, "Requests waiting for the batch."),
            ("vllm:prefix_cache_queries_total", "counter", self.tokens_in, "Prompt tokens looked up in the prefix cache."),
            ("vllm:prefix_cache_hits_total", "counter", self.tokens_cached, "Prompt tokens found in the prefix cache."),
            ("vllm:prompt_tokens_total", "counter", self.tokens_in, "Prompt tokens."),
            ("vllm:generation_tokens_total", "counter", self.tokens_out, "Tokens of answers."),
            ("mock:requests_total", "counter", self.requests, "Requests for a chat completion."),
            ("mock:uptime_seconds", "gauge", monotonic() - self.began, "Time since the server was ready."),
            ("mock:busy_seconds_total", "counter", slots.busy_s, "Time with at least one request at work."),
            ("mock:slot_seconds_total", "counter", slots.slot_s, "Busy time summed over the slots of the batch."),
        )
        label = f'{{engine="0",model_name="{model}"}}'
        return "".join(
            f"# HELP {name} {told}\n# TYPE {name} {sort}\n{name}{label if name[0] == 'v' else ''} {float(value)}\n"
            for name, sort, value, told in rows
        )
