"""A rubric as a distilabel ``Task``: `Judge` works alone or in anyone's pipeline, on any conversation.

Rows carry ``messages`` (chat form, ``user`` is the client); what cannot be had is a score of ``None`` with its reason, never a number::

    task = Judge(llm=PixelLLM(base_url=("http://127.0.0.1:8000/v1",)), rubric="session")
"""

# No postponed annotations here: distilabel reads the types of `process` at run time.
from typing import Any

from pixel_synth.judges.rubric import call, judge_session
from pixel_synth.records import Conversation, Message, Provenance, stable_id
from pixel_synth.tasks.context import Context
from pixel_synth.tasks.steps import WritingTask


class Judge(WritingTask):
    """Asks a rubric of ``prompts/judges`` about a conversation."""

    rubric: str = "session"

    @property
    def inputs(self) -> list[str]:
        """The conversation."""
        return ["messages"]

    @property
    def outputs(self) -> list[str]:
        """Score 0–1 or ``None``, the reason of ``None``, the answer to each question, and the quotes these rest on."""
        return ["score", "reason", "parts", "evidence", "error"]

    def format_input(self, input: dict[str, Any]) -> list[dict[str, str]]:
        """Return the chat messages of a row."""
        return call(self.rubric, _conversation(input)).messages

    async def write_row(self, row: dict[str, Any]) -> dict[str, Any]:
        """Return the score of a row."""
        score = (await judge_session(self.rubric, _conversation(row), self.llm.ask, self.repairs)).model_dump(mode="json")
        return {"score": score["value"], **{key: score[key] for key in ("reason", "parts", "evidence")}}

    async def write(self, context: Context, row: dict[str, Any]) -> dict[str, Any]:
        """Do as `write_row`; a judge needs no blueprint."""
        return await self.write_row(row)


def _conversation(row: dict[str, Any]) -> Conversation:
    messages = tuple(Message.model_validate(m) for m in row["messages"])
    source = Provenance(engine="", model="", toolkit="", seed=0, source="row")
    return Conversation(id=stable_id(*messages), category="auxiliary", messages=messages, provenance=source)
