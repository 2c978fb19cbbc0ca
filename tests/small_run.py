"""A run made in this process, with everything that can happen to a call: repairs, failures of two kinds, a judge, a used-up budget."""

from __future__ import annotations

import asyncio
import json
from functools import cache
from pathlib import Path

from pixel_synth.errors import EngineError
from pixel_synth.knowledge import load
from pixel_synth.llms.ask import Asker, Stopped, Voice
from pixel_synth.llms.composer import Composer
from pixel_synth.llms.connect import Link, Links
from pixel_synth.llms.engine import Call, Completion
from pixel_synth.llms.ledger import Ledger
from pixel_synth.plan import make_plan
from pixel_synth.runs.chain import fill_slot
from pixel_synth.runs.directory import Run
from pixel_synth.runs.finish import finish
from pixel_synth.settings import load_settings

SLOTS, REPAIRED, INVALID, LEFT = 4, 0, 1, 2  # LEFT: the slot that fails once, and is left in its second attempt


class Moody:
    """The composer with tokens of its own, answers that are no use, and a budget that ends."""

    name, model = "transformers", "small"

    def __init__(self, budget: bool) -> None:
        self._composer, self._budget = Composer(), budget

    async def complete(self, call: Call) -> Completion:
        brief = call.brief
        assert brief
        slot, attempt, said = brief.blueprint.slot, brief.blueprint.attempt, len(brief.history)
        asked_again = call.messages[-1]["content"].startswith("It cannot be used")
        counts = {"tokens_in": sum(len(m["content"]) for m in call.messages) // 4, "cached": 16 * said}
        if (slot, attempt) == (INVALID, 0) or ((slot, said) == (REPAIRED, 3) and not asked_again):
            return Completion(text='{"say": "half a', tokens_out=5, **counts)
        if (slot, attempt, said) == (LEFT, 0, 4):
            raise EngineError("no answer within 5 s", kind="timeout")
        if self._budget and (slot, attempt, said) == (LEFT, 1, 3):
            raise Stopped("the budget of 9 tokens is used up")
        if brief.part == "judge":
            text = json.dumps({id: {"quote": "", "why": "", "answer": "unclear"} for id in call.schema["properties"]})
        else:
            text = (await self._composer.complete(call)).text
        return Completion(text=text, tokens_out=len(text) // 4, **counts)

    async def close(self) -> None:
        pass


@cache
def small_run(out: Path) -> Run:
    """Fill `SLOTS` slots, finish the run, and return it; made once for all tests that use the same folder."""
    settings = load_settings(accept=SLOTS, engine="transformers", model="small", judges=("alliance",), repairs=1, max_attempts=3, out=out)
    run = Run.create(settings, "psychology")
    run.keep_links(Links(generator=Link(engine="transformers", model="small"), judge=Link(engine="transformers", model="judging")))
    run.write_plan(make_plan(settings, load()))
    go_on(run, budget=True)
    return run


def go_on(run: Run, *, budget: bool = False) -> None:
    """Fill the slots that have no outcome yet, as a resumed run does, and finish it; with a ``budget``, slot `LEFT` is left."""
    settings, ledger = run.settings, Ledger(run.path / "ledger.sqlite")
    plan, engine = make_plan(settings, load()), Moody(budget)
    asker = Asker(Voice(engine, "small"), Voice(engine, "judging"), ledger)
    done = run.positions()
    with run.new_shard() as shard:
        for slot in range(SLOTS):
            if slot not in done:
                shard.write(asyncio.run(fill_slot(plan, slot, asker, settings)).line().encode() + b"\n")
    ledger.close()
    finish(run, plan)
