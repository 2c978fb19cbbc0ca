"""How fast the files load, and with how much memory, each reader in a process of its own."""

from __future__ import annotations

from collections.abc import Iterator

from pixel_synth.prove.reading import READERS, Reading, readings
from pixel_synth.prove.rules.rule import Check, Rule, answer, unjudged

SETTLED_S = 5.0  # below it the start of the reader is most of the time, and a rate says nothing


class Speed(Check):
    """Load time, records per second and peak memory of every reader against the limits."""

    def rules(self) -> Iterator[Rule]:
        """Read everything once with each reader."""
        target = self.about.target
        for reading in readings([*target.splits.values(), *target.aside.values()]):
            yield self._rule(reading)

    def _rule(self, r: Reading) -> Rule:
        id, limits = f"speed.{r.reader}", self.about.limits
        if r.reason:
            return unjudged(id, f"not judged: {r.reason}")
        if not r.records or not r.wall_s:
            return unjudged(id, "not judged: no records to read")
        rate = r.records / r.wall_s
        most = "" if limits.load_s is None else f", <= {limits.load_s:g} s"
        expected = f">= {limits.records_s:,.0f} records/s, <= {limits.memory_mb:,.0f} MB{most}"
        wrong = [] if rate >= limits.records_s or r.wall_s < SETTLED_S else [f"{rate:,.0f} records/s are too few"]
        wrong += [f"{r.peak_mb:,.0f} MB are too much"] if r.peak_mb > limits.memory_mb else []
        wrong += [f"{r.wall_s:.1f} s are too long"] if limits.load_s is not None and r.wall_s > limits.load_s else []
        found = f"{r.records:,} records in {r.wall_s:.2f} s, {rate:,.0f}/s, {r.peak_mb:,.0f} MB"
        todo = f"another reader ({', '.join(READERS)}), smaller files, or other limits (--limits FILE)"
        return answer(id, not wrong, expected, found, "; ".join(wrong), todo)
