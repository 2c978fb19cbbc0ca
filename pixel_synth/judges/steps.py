"""A rubric as a distilabel ``Task``: `Judge` works alone or in anyone's pipeline, on any conversation.

Rows carry ``messages`` (chat form, ``user`` is the client); what cannot be had is a score of ``None`` with its reason, never a number::

    task = Judge(llm=PixelLLM(base_url=("http://127.0.0.1:8000/v1",)), rubric="alliance")
"""

# No postponed annotations here: distilabel reads the types of `process` at run time.
from typing import Any

from pixel_synth.judges.rubric import session_rubric
from pixel_synth.judges.session import call, judge_session
from pixel_synth.records import Conversation, Labels, Message, Provenance, stable_id
from pixel_synth.tasks.context import Context
from pixel_synth.tasks.steps import WritingTask


class Judge(WritingTask):
    """Asks a rubric of ``prompts/judges`` about a conversation; ``sample`` is the number of the answer where several are wanted.

    Rows may say ``topic`` and ``modality``, for rubrics that show the judge what the knowledge packs say of them.
    """

    rubric: str
    sample: int = 0

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
        return call(session_rubric(self.rubric), _conversation(input), self._knowledge).messages

    async def write_row(self, row: dict[str, Any]) -> dict[str, Any]:
        """Return the score of a row."""
        conversation, known = _conversation(row), self._knowledge
        score = await judge_session(self.rubric, conversation, self.llm.ask, self.repairs, knowledge=known, sample=self.sample)
        told = score.model_dump(mode="json")
        return {"score": told["value"], **{key: told[key] for key in ("reason", "parts", "evidence")}}

    async def write(self, context: Context, row: dict[str, Any]) -> dict[str, Any]:
        """Do as `write_row`; a judge needs no blueprint."""
        return await self.write_row(row)


def _conversation(row: dict[str, Any]) -> Conversation:
    messages = tuple(Message.model_validate(m) for m in row["messages"])
    source = Provenance(engine="", model="", toolkit="", seed=0, source="row")
    labels = Labels(**{key: str(row[key]) for key in ("topic", "modality") if row.get(key)})
    return Conversation(id=stable_id(*messages), category="auxiliary", messages=messages, labels=labels, provenance=source)
