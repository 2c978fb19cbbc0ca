"""A question, its answer, and the chain of thought apart from it."""

from __future__ import annotations

from pixel_synth.standardise.draft import Draft, Row, Unfit, exchange, text

RANK = 20
NEEDS = "question, answer and the reasoning apart (metadata.reasoning, reasoning, chain_of_thought ...)"
COLUMNS = {
    "question": ("question", "prompt", "problem", "query"),
    "answer": ("answer", "response", "finalanswer", "output"),
    "reasoning": (
        "metadata.reasoning", "reasoning", "chainofthought", "cot", "complexcot", "rationale", "thought", "thinking", "reasoningcontent",
    ),
}  # fmt: skip


def read(row: Row) -> Draft:
    """Return the question with its answer, the reasoning in ``thought``."""
    if "reasoning" not in row:
        raise Unfit("no reasoning: the row has no such column")
    question = text(row, "question")
    return Draft(exchange(question, text(row, "answer")), thought=text(row, "reasoning", ""), questions=(question,), kind="reasoning")
