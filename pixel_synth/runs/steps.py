"""The distilabel side of a run: a generator of slots, and one wide step that runs each slot's chain.

The wide step takes a whole shard and keeps ``window`` chains in flight; a chain never waits for another one, and its
outcome is on disk the moment it ends.  What travels through distilabel is only the slot number and the result, so
that its books can be compared with ours.
"""

# No postponed annotations here: distilabel reads the types of `process` at run time.
import asyncio
import os
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distilabel.steps import GeneratorStep, Step, StepInput
from pydantic import PrivateAttr

from pixel_synth.knowledge import load
from pixel_synth.llms.engine import Engine, make_engine
from pixel_synth.llms.ledger import Ledger, ask
from pixel_synth.plan import Plan, make_plan
from pixel_synth.runs.chain import fill_slot
from pixel_synth.runs.directory import Run
from pixel_synth.runs.watch import die_with, end_group

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
    _run: Run = PrivateAttr()
    _plan: Plan = PrivateAttr()
    _engine: Engine = PrivateAttr()
    _ledger: Ledger = PrivateAttr()
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
        """Open run, plan, engine, ledger and a shard of this worker's own; start the watch on the supervisor."""
        super().load()
        path = Path(self.run_path)
        die_with(path, self.holder)
        self._run = Run.open(path)
        settings = self._run.settings
        self._plan = make_plan(settings, load())
        self._engine = make_engine(settings.engine)
        self._ledger = Ledger(path / "ledger.sqlite")
        self._shard = self._run.new_shard()

    def process(self, inputs: StepInput) -> "StepOutput":
        """Fill all slots of the shard under one window."""
        try:
            rows = asyncio.run(self._fill([row["slot"] for row in inputs]))
        except (OSError, sqlite3.Error, MemoryError) as error:  # distilabel would go on without these rows
            end_group(Path(self.run_path), f"{type(error).__name__}: {error}")
        yield rows

    async def _fill(self, slots: list[int]) -> list[dict[str, Any]]:
        settings = self._run.settings
        window = asyncio.Semaphore(settings.window)
        model = settings.model or settings.engine

        async def one(slot: int) -> dict[str, Any]:
            async with window:
                outcome = await fill_slot(self._plan, slot, lambda call: ask(call, self._engine, self._ledger, model), settings)
                self._shard.write((outcome.line() + "\n").encode())
                self._shard.flush()
                return {"slot": slot, "accepted": outcome.accepted, "attempts": len(outcome.attempts)}

        return list(await asyncio.gather(*(one(s) for s in slots)))

    def unload(self) -> None:
        """Close everything and say that this worker ended well."""
        super().unload()
        if hasattr(self, "_shard") and self._shard:
            os.fsync(self._shard.fileno())
            self._shard.close()
            self._ledger.close()
            asyncio.run(self._engine.close())
