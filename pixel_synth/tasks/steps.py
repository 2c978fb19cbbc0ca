"""The tasks as distilabel ``Task``s: `Scenario`, `Dialogue`, `Reasoning`; each works alone or in anyone's pipeline.

Rows carry a ``blueprint`` (a dict as in ``plan.jsonl``); a row whose answer cannot be had keeps its inputs, gets ``None``
outputs and an ``error``, and never takes its batch along::

    task = Scenario(llm=PixelLLM(engine="composer"))
    task.load()
    rows = next(task.process([{"blueprint": blueprint.model_dump()}]))
"""

# No postponed annotations here: distilabel reads the types of `process` at run time.
import asyncio
from abc import abstractmethod
from typing import TYPE_CHECKING, Any

from distilabel.steps import StepInput
from distilabel.steps.tasks import Task
from pydantic import PrivateAttr

from pixel_synth.errors import PixelError
from pixel_synth.knowledge import Knowledge, load
from pixel_synth.llms.model import PixelLLM
from pixel_synth.records import Blueprint, Message, TurnTag
from pixel_synth.records import Reasoning as ReasoningRecord
from pixel_synth.records import Scenario as ScenarioRecord
from pixel_synth.tasks import dialogue, reasoning, scenario
from pixel_synth.tasks.context import Context

if TYPE_CHECKING:
    from distilabel.typing import StepOutput

WINDOW = 64


class WritingTask(Task):  # type: ignore[misc]
    """What the tasks share: one coroutine a row, under one window, errors kept with their row, unusable answers asked for again."""

    llm: PixelLLM
    repairs: int = 2
    _knowledge: Knowledge = PrivateAttr()

    def load(self) -> None:
        """Load the engine and the knowledge packs."""
        super().load()
        self._knowledge = load()

    @abstractmethod
    async def write(self, context: Context, row: dict[str, Any]) -> dict[str, Any]:
        """Return the outputs of one row."""

    async def write_row(self, row: dict[str, Any]) -> dict[str, Any]:
        """Return the outputs of one row with its blueprint unpacked."""
        return await self.write(self.context(row), row)

    @property
    def inputs(self) -> list[str]:
        """The plan of the conversation."""
        return ["blueprint"]

    def context(self, row: dict[str, Any]) -> Context:
        """Return the blueprint of a row with its knowledge."""
        return Context(Blueprint.model_validate(row["blueprint"]), self._knowledge, self.repairs)

    def format_output(self, output: str | None, input: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the raw answer; parsing belongs to `write`."""
        return {"raw": output}

    def process(self, inputs: StepInput) -> "StepOutput":
        """Write all rows of the batch at once."""
        yield asyncio.run(self._all(inputs))

    async def _all(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        window = asyncio.Semaphore(WINDOW)

        async def one(row: dict[str, Any]) -> dict[str, Any]:
            async with window:
                try:
                    return {**row, **await self.write_row(row), "error": ""}
                except (PixelError, ValueError) as error:  # ValueError: a row that is no blueprint
                    return {**row, **dict.fromkeys(self.outputs), "error": str(error)}

        try:
            return list(await asyncio.gather(*(one(row) for row in rows)))
        finally:
            await self.llm.release()


class Scenario(WritingTask):
    """From a blueprint to the client's situation in clinical prose."""

    @property
    def outputs(self) -> list[str]:
        """The scenario as a dict, and what went wrong if it is ``None``."""
        return ["scenario", "error"]

    def format_input(self, input: dict[str, Any]) -> list[dict[str, str]]:
        """Return the chat messages of a row."""
        return scenario.call(self.context(input)).messages

    async def write(self, context: Context, row: dict[str, Any]) -> dict[str, Any]:
        """Return the scenario."""
        return {"scenario": (await scenario.write_scenario(context, self.llm.ask)).model_dump(mode="json")}


class Dialogue(WritingTask):
    """From a blueprint and a scenario to a whole session of two roles."""

    @property
    def inputs(self) -> list[str]:
        """The plan and the scenario."""
        return ["blueprint", "scenario"]

    @property
    def outputs(self) -> list[str]:
        """Chat messages, a tag for each, and what went wrong if they are ``None``."""
        return ["messages", "turns", "error"]

    def format_input(self, input: dict[str, Any]) -> list[dict[str, str]]:
        """Return the client's view at the start of the session."""
        return dialogue.Views(self.context(input), ScenarioRecord.model_validate(input["scenario"])).of("client")

    async def write(self, context: Context, row: dict[str, Any]) -> dict[str, Any]:
        """Return messages and tags."""
        case = ScenarioRecord.model_validate(row["scenario"])
        messages, tags = await dialogue.write_dialogue(context, case, self.llm.ask)
        return {"messages": [m.model_dump() for m in messages], "turns": [t.model_dump() for t in tags]}


class Reasoning(WritingTask):
    """From a finished session to the therapist's chain of thought."""

    @property
    def inputs(self) -> list[str]:
        """The plan and the session."""
        return ["blueprint", "messages", "turns"]

    @property
    def outputs(self) -> list[str]:
        """The reasoning as a dict, and what went wrong if it is ``None``."""
        return ["reasoning", "error"]

    def _session(self, row: dict[str, Any]) -> tuple[tuple[Message, ...], tuple[TurnTag, ...]]:
        messages = tuple(Message.model_validate(m) for m in row["messages"])
        return messages, tuple(TurnTag.model_validate(t) for t in row["turns"])

    def format_input(self, input: dict[str, Any]) -> list[dict[str, str]]:
        """Return the chat messages of a row."""
        return reasoning.call(self.context(input), *self._session(input)).messages

    async def write(self, context: Context, row: dict[str, Any]) -> dict[str, Any]:
        """Return the reasoning."""
        result: ReasoningRecord = await reasoning.write_reasoning(context, *self._session(row), self.llm.ask)
        return {"reasoning": result.model_dump(mode="json")}
