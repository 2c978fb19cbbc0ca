"""The distilabel side of a run: a generator of slots, and one wide step that runs each slot's chain.

The wide step takes a whole shard and keeps ``window`` chains in flight; a chain never waits for another one, and its
outcome is on disk the moment it ends.  What travels through distilabel is only the slot number and the result, so
that its books can be compared with ours.
"""

# No postponed annotations here: distilabel reads the types of `process` at run time.
import asyncio
import os
import sqlite3
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distilabel.steps import GeneratorStep, Step, StepInput
from pydantic import PrivateAttr

from pixel_synth.curate.gate import Gate
from pixel_synth.errors import EngineDown
from pixel_synth.knowledge import load
from pixel_synth.llms.ask import Asker, Budget
from pixel_synth.llms.branch import Branch
from pixel_synth.llms.connect import CHAINS, WINDOW, make_asker
from pixel_synth.llms.ledger import Ledger
from pixel_synth.llms.server import Servers
from pixel_synth.plan import Plan, make_plan
from pixel_synth.runs.chain import fill_slot
from pixel_synth.runs.directory import Run
from pixel_synth.runs.gauge import sample
from pixel_synth.runs.watch import die_with, end_group
from pixel_synth.settings import Settings

if TYPE_CHECKING:
    from distilabel.typing import GeneratorStepOutput, StepOutput


class Slots(GeneratorStep):  # type: ignore[misc]
    """Yields the slots that have no outcome yet, in batches that are whole shards."""

    run_path: str

    @property
    def outputs(self) -> list[str]:
        """One column: the slot."""
        return ["slot"]

    def process(self, offset: int = 0) -> "GeneratorStepOutput":
        """Yield (rows, is last) from the given row on."""
        run = Run.open(Path(self.run_path))
        done = run.positions()
        rows = [{"slot": i} for i in range(run.settings.accept) if i not in done]
        for start in range(offset, len(rows), self.batch_size):
            yield rows[start : start + self.batch_size], start + self.batch_size >= len(rows)


class Converse(Step):  # type: ignore[misc]
    """Fills slots: each row's whole chain is one coroutine, its outcome is appended to this worker's shard file."""

    run_path: str
    holder: str
    remote: bool = False
    _run: Run = PrivateAttr()
    _plan: Plan = PrivateAttr()
    _gate: Gate = PrivateAttr()
    _ledger: Ledger = PrivateAttr()
    _metrics: Path = PrivateAttr()
    _asker: Asker = PrivateAttr()
    _shard: Any = PrivateAttr()

    @property
    def inputs(self) -> list[str]:
        """The slot to fill."""
        return ["slot"]

    @property
    def outputs(self) -> list[str]:
        """Whether it was accepted, and after how many attempts."""
        return ["accepted", "attempts"]

    def load(self) -> None:
        """Open run, plan, engines, ledger and a shard of this worker's own; start the watch on the supervisor."""
        super().load()
        path = Path(self.run_path)
        if not self.remote:  # Ray ends the actors of a dead driver
            die_with(path, self.holder)
        self._run = Run.open(path)
        settings, self._gate = self._run.settings, self._run.gate
        self._plan = make_plan(settings, load())
        tokens, self._metrics = settings.budget_tokens, path / "metrics.jsonl"
        if self.remote:
            self._ledger = branch = Branch(path)
            tokens, self._metrics = branch.share(tokens, self.resources.replicas or 1), branch.metrics
        else:
            self._ledger = Ledger(path / "ledger.sqlite")
        budget = Budget(self._ledger, tokens, self._run.until)
        self._asker = make_asker(self._run.links, settings, self._ledger, budget)
        self._shard = self._run.new_shard()

    def process(self, inputs: StepInput) -> "StepOutput":
        """Fill all slots of the shard under one window."""
        try:
            rows = asyncio.run(self._fill([row["slot"] for row in inputs]))
        except EngineDown as error:
            end_group(Path(self.run_path), str(error), alone=self.remote)
        except (OSError, sqlite3.Error, MemoryError) as error:  # distilabel would go on without these rows
            end_group(Path(self.run_path), f"{type(error).__name__}: {error}", alone=self.remote)
        yield rows

    async def _fill(self, slots: list[int]) -> list[dict[str, Any]]:
        settings, links = self._run.settings, self._run.links
        chains = settings.window or (WINDOW if links.generator.urls else CHAINS)
        window = asyncio.Semaphore(chains * max(1, len(links.generator.urls)))
        running, left = 0, len(slots)
        servers = [engine for engine in self._asker.engines if isinstance(engine, Servers)]

        async def one(slot: int) -> dict[str, Any]:
            nonlocal running, left
            async with window:
                running += 1
                try:
                    return await self._one(slot, settings)
                finally:
                    running, left = running - 1, left - 1
                    for engine in servers:
                        engine.left = left

        over = asyncio.Event()
        gauge = asyncio.create_task(sample(self._asker, lambda: running, self._metrics, over)) if links.generator.urls else None
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(one(s)) for s in slots]
        except* EngineDown as downs:
            raise downs.exceptions[0] from None
        except* (OSError, sqlite3.Error, MemoryError) as faults:
            raise faults.exceptions[0] from None
        finally:
            over.set()
            if gauge:
                await gauge
            await self._asker.release()
        return [task.result() for task in tasks]

    async def _one(self, slot: int, settings: Settings) -> dict[str, Any]:
        spent: dict[str, float] = {}
        began = time.perf_counter()
        outcome = await fill_slot(self._plan, slot, self._asker, settings, self._gate, spent)
        if outcome.stopped:
            self._run.stop(outcome.stopped)
        if outcome.attempts or not outcome.stopped:
            self._shard.write((outcome.line() + "\n").encode())
            self._shard.flush()
        self._asker.count_up({**spent, "slot_s": time.perf_counter() - began, **self._retries()})
        return {"slot": slot, "accepted": outcome.accepted, "attempts": len(outcome.attempts)}

    def _retries(self) -> Counter[str]:
        """Return what had to be tried again since the last call, by kind."""
        found: Counter[str] = Counter()
        for engine in self._asker.engines:
            if isinstance(engine, Servers):
                found += engine.pool.counts
                engine.pool.counts.clear()
        return found

    def unload(self) -> None:
        """Close everything and say that this worker ended well."""
        super().unload()
        if hasattr(self, "_shard") and self._shard:
            os.fsync(self._shard.fileno())
            self._shard.close()
            self._ledger.close()
            asyncio.run(self._asker.close())
