"""The distilabel side of a run: a generator of slots, and one wide step that runs each slot's chain.

The wide step takes a whole shard and keeps ``window`` chains in flight; a chain never waits for another one, and its
outcome is on disk the moment it ends.  What travels through distilabel is only the slot number and the result, so
that its books can be compared with ours.
"""

# No postponed annotations here: distilabel reads the types of `process` at run time.
import asyncio
import fcntl
import os
import signal
import threading
import time
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

if TYPE_CHECKING:
    from distilabel.typing import GeneratorStepOutput, StepOutput


def die_with(run_path: Path) -> None:
    """Kill this process group when the supervisor's lock on the run is gone, or another one's (it was killed)."""
    holder = (run_path / ".lock").read_text()

    def watch() -> None:
        with (run_path / ".lock").open() as file:
            while True:
                time.sleep(0.5)
                file.seek(0)
                if file.read() == holder:
                    try:
                        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                    except BlockingIOError:
                        continue
                os.killpg(os.getpgid(0), signal.SIGKILL)

    threading.Thread(target=watch, daemon=True, name="die-with-supervisor").start()


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
    _run: Run = PrivateAttr()
    _plan: Plan = PrivateAttr()
    _engine: Engine = PrivateAttr()
    _ledger: Ledger = PrivateAttr()
    _shard: Any = PrivateAttr()
    _alive: Any = PrivateAttr()

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
        die_with(path)
        self._alive = (path / ".workers" / str(os.getpid())).open("w")
        fcntl.flock(self._alive, fcntl.LOCK_EX)
        self._run = Run.open(path)
        settings = self._run.settings
        self._plan = make_plan(settings, load())
        self._engine = make_engine(settings.engine)
        self._ledger = Ledger(path / "ledger.sqlite")
        self._shard = self._run.new_shard()

    def process(self, inputs: StepInput) -> "StepOutput":
        """Fill all slots of the shard under one window."""
        yield asyncio.run(self._fill([row["slot"] for row in inputs]))

    async def _fill(self, slots: list[int]) -> list[dict[str, Any]]:
        settings = self._run.settings
        window = asyncio.Semaphore(settings.window)
        model = settings.model or settings.engine

        async def one(slot: int) -> dict[str, Any]:
            async with window:
                outcome = await fill_slot(self._plan, slot, lambda call: ask(call, self._engine, self._ledger, model), settings)
                self._shard.write((outcome.line() + "\n").encode())
                return {"slot": slot, "accepted": outcome.accepted, "attempts": len(outcome.attempts)}

        return list(await asyncio.gather(*(one(s) for s in slots)))

    def unload(self) -> None:
        """Close everything and say that this worker ended well."""
        super().unload()
        if hasattr(self, "_shard") and self._shard:
            os.fsync(self._shard.fileno())
            self._shard.close()
            self._ledger.close()
            self._alive.write("done")
            self._alive.flush()
