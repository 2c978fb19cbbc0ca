"""Which of two therapist sides helps more, asked twice with the sides swapped.

Models prefer a side for standing first (or second) often enough to decide a comparison (Zheng et al., 2023, "Judging LLM-as-a-judge
with MT-Bench and Chatbot Arena"; Wang et al., 2024, "Large Language Models are not Fair Evaluators").  So every pair is asked in
both orders, and a criterion counts only where the answer stays with the side: one that changes is ``inconsistent``, is counted, and has
no vote.  `position_bias` tells over many pairs how often the place decided.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from pixel_synth.errors import EngineDown, EngineError, UsageError
from pixel_synth.judges.injection import fence, instructions, masked, transcript
from pixel_synth.judges.quotes import find
from pixel_synth.judges.rubric import UNCLEAR, Rubric, pair_rubric
from pixel_synth.judges.session import SAMPLED, TEMPERATURE, TOKENS, TOKENS_EACH, criteria, spelled
from pixel_synth.judges.verdict import Finding, findings, verdict_model
from pixel_synth.llms.engine import Call
from pixel_synth.prompts import load_prompt
from pixel_synth.records import Conversation, Message, Record
from pixel_synth.tasks.context import Ask, answer

Side = Literal["a", "b", "tie", "unclear"]
_GIVEN: dict[str, Side] = {"A": "a", "B": "b", "tie": "tie"}
_SWAPPED: dict[str, Side] = {"A": "b", "B": "a", "tie": "tie"}


class Vote(Record):
    """One criterion: what was answered with ``a`` standing first and with ``b`` standing first, and what counts."""

    criterion: str
    answer: Literal["a", "b", "tie", "unclear", "inconsistent"]
    a_first: Side
    b_first: Side
    quotes: tuple[str, str]

    @property
    def place(self) -> Literal["", "first", "second"]:
        """The place that won in both orders, whoever stood there; "" where none did."""
        return {("a", "b"): "first", ("b", "a"): "second"}.get((self.a_first, self.b_first), "")  # type: ignore[return-value]


class Comparison(Record):
    """Two sides compared; ``winner`` has more weight of votes than the other, and is ``None`` with a reason where nothing could be told."""

    rubric: str
    a: str
    b: str
    winner: Literal["a", "b", "tie"] | None
    reason: str = ""
    votes: tuple[Vote, ...] = ()


class PositionBias(NamedTuple):
    """How often the place decided: criteria with a clear answer in both orders, those of them that stayed with the side, and those that
    stayed with the first or second place; the rest went from a side to a tie or back.
    """  # noqa: D205

    n: int
    consistent: int
    first: int
    second: int

    @property
    def rate(self) -> float | None:
        """Share of criteria (0-1) in which the same place won both times; ``None`` without any."""
        return (self.first + self.second) / self.n if self.n else None


async def prefer(name: str, a: Conversation, b: Conversation, ask: Ask, repairs: int, *, sample: int = 0) -> Comparison:
    """Compare two sides: two therapists after the same client words, or two whole sessions.

    What both begin with is shown once, as what came before.  Sentences that talk to a model are masked on either side.

    Args:
        name: Of a rubric that asks about pairs.
        a: One session.
        b: The other one.
        ask: Answers calls.
        repairs: Times an unusable answer is sent back with what is wrong with it.
        sample: Number of the answer, where several are wanted.

    Raises:
        PromptError: When there is no such rubric.
        UsageError: When it asks about one session, or nothing differs between the two.
        EngineDown: When no engine is left.
        Stopped: When nothing more may be asked.
    """
    asked = pair_rubric(name)
    one, other = (masked(side, instructions(side)).messages for side in (a, b))
    try:
        first = await _verdict(asked, one, other, ask, repairs, sample)
        second = await _verdict(asked, other, one, ask, repairs, sample)
    except EngineDown:
        raise
    except EngineError as error:
        return Comparison(rubric=name, a=a.id, b=b.id, winner=None, reason=f"{error.kind}: {error.message}")
    votes = tuple(_vote(id, first[id], second[id]) for id in asked.criteria)
    return _decided(asked, a.id, b.id, votes)


def call(asked: Rubric, a: Sequence[Message], b: Sequence[Message], sample: int = 0) -> Call:
    """Render the request with ``a`` standing first.

    Raises:
        UsageError: When nothing differs between the two.
    """
    shared = _shared(a, b)
    if shared == len(a) == len(b):
        raise UsageError("the two sessions are the same; there is nothing to compare")
    before, left, right = (transcript(turns) for turns in (a[:shared], a[shared:], b[shared:]))
    messages = load_prompt("judge_pair").render(
        title=asked.title, guidance=asked.guidance, criteria=criteria(asked), answer=spelled(asked), session_before=before,
        a=left, b=right, fence=fence("\n".join((before, left, right))),
    )  # fmt: skip
    tokens = TOKENS + TOKENS_EACH * len(asked.criteria)
    sampling = {"temperature": SAMPLED if sample else TEMPERATURE, "seed": sample, "max_tokens": tokens}
    return Call(None, messages, verdict_model(asked).model_json_schema(), sampling, "judge")


def _shared(a: Sequence[Message], b: Sequence[Message]) -> int:
    """Return how many messages both begin with."""
    return next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))


async def _verdict(asked: Rubric, a: Sequence[Message], b: Sequence[Message], ask: Ask, repairs: int, sample: int) -> dict[str, Finding]:
    shared = _shared(a, b)
    compared = [*a[shared:], *b[shared:]]

    def quotes_a_side(verdict: Record) -> None:
        for id, finding in findings(verdict).items():
            if finding.quote.strip() or finding.answer != UNCLEAR:
                try:
                    find(finding.quote, compared, asked.criteria[id].quote)
                except ValueError as error:
                    raise ValueError(f"{id}: {error}") from error

    given, _ = await answer(verdict_model(asked), call(asked, a, b, sample), ask, f"judge.{asked.name}", repairs, quotes_a_side)
    return findings(given)


def _vote(criterion: str, first: Finding, second: Finding) -> Vote:
    one, other = _GIVEN.get(first.answer, "unclear"), _SWAPPED.get(second.answer, "unclear")
    counts = "unclear" if "unclear" in (one, other) else one if one == other else "inconsistent"
    return Vote(criterion=criterion, answer=counts, a_first=one, b_first=other, quotes=(first.quote, second.quote))


def _decided(asked: Rubric, a: str, b: str, votes: tuple[Vote, ...]) -> Comparison:
    weight = {side: sum(asked.criteria[v.criterion].weight for v in votes if v.answer == side) for side in ("a", "b", "tie")}
    odd = [f"{word}: {', '.join(ids)}" for word in ("inconsistent", "unclear") if (ids := [v.criterion for v in votes if v.answer == word])]
    if not any(weight.values()):
        return Comparison(rubric=asked.name, a=a, b=b, winner=None, reason="; ".join(odd), votes=votes)
    winner: Literal["a", "b", "tie"] = "tie" if weight["a"] == weight["b"] else "a" if weight["a"] > weight["b"] else "b"
    return Comparison(rubric=asked.name, a=a, b=b, winner=winner, reason="; ".join(odd), votes=votes)


def position_bias(comparisons: Sequence[Comparison]) -> PositionBias:
    """Count over many pairs how often the place decided, and not the side."""
    clear = [vote for c in comparisons for vote in c.votes if vote.answer != "unclear"]
    places = [vote.place for vote in clear]
    return PositionBias(len(clear), sum(v.answer != "inconsistent" for v in clear), places.count("first"), places.count("second"))


def preferred(comparisons: Sequence[Comparison]) -> dict[str, dict[str, int]]:
    """Return for each criterion, and for "winner", how often each answer was given (a, b, tie, inconsistent, unclear)."""
    counts: dict[str, dict[str, int]] = {}
    told = [(v.criterion, str(v.answer)) for c in comparisons for v in c.votes] + [("winner", c.winner or "none") for c in comparisons]
    for what, given in told:
        row = counts.setdefault(what, {})
        row[given] = row.get(given, 0) + 1
    return counts
