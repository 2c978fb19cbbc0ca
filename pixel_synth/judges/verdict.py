"""Verdicts: what a judge answers, what makes it usable, and how answers become a score.

Each criterion is answered by a quote, a sentence why, and a level, in this order, so that the level follows from the evidence and not
the other way round (chain of thought before the rating: Liu et al., 2023, "G-Eval").  The score is 0–1 over the criteria that apply
and have a clear answer:

* ``mean``: mean of the levels as 0 (worst) to 1 (best), by weight; levels of one scale lie equally far apart;
* ``flow``: 1 when every one of them is good, else .85 times the share (by weight) that is, and at most .45 where one that is not good is
  fatal: the rule of the scorer `clinical_compliance`.  Where a fatal one is unclear and none is known to fail, there is no score.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, create_model

from pixel_synth.judges.quotes import Place, find
from pixel_synth.judges.rubric import NOT_APPLICABLE, UNCLEAR, Rubric
from pixel_synth.records import Evidence, Message, Part, Record, Score

FLAWED, FATAL = 0.85, 0.45  # most that a flow with a flaw, and with a fatal one, can reach


class Finding(Record):
    """The answer to one criterion; those of a rubric narrow ``answer`` to what the criterion allows."""

    quote: str = Field(max_length=300)
    why: str = Field(max_length=200)
    answer: str


@lru_cache(maxsize=64)
def _finding(answers: tuple[str, ...]) -> type[Record]:
    # A digit may come as a number from servers that are not constrained.
    digits = BeforeValidator(lambda given: str(given) if type(given) is int else given)
    fields: dict[str, Any] = {"answer": (Annotated[Literal[answers], digits], ...)}
    return create_model(f"Finding_{'_'.join(answers)}", __base__=Finding, **fields)


@lru_cache(maxsize=64)
def _model(name: str, criteria: tuple[tuple[str, tuple[str, ...]], ...]) -> type[Record]:
    fields: dict[str, Any] = {id: (_finding(answers), ...) for id, answers in criteria}
    return create_model(f"verdict_{name}", __base__=Record, **fields)


def verdict_model(rubric: Rubric) -> type[Record]:
    """Return the model of a rubric's verdict: one `Finding` a criterion, closed and bounded."""
    return _model(rubric.name, tuple((id, criterion.answers) for id, criterion in rubric.criteria.items()))


def findings(verdict: Record) -> dict[str, Finding]:
    """Return the findings of a verdict by criterion."""
    return dict(verdict)


def check(rubric: Rubric, verdict: Record, messages: Sequence[Message], refused: Sequence[Place] = ()) -> None:
    """Check that every answer rests on words of the speaker that its criterion names, none of them in a refused place.

    Raises:
        ValueError: With the first criterion whose quote does not hold.
    """
    for id, finding in findings(verdict).items():
        if finding.quote.strip() or finding.answer not in (NOT_APPLICABLE, UNCLEAR):
            try:
                find(finding.quote, messages, rubric.criteria[id].quote, refused)
            except ValueError as error:
                raise ValueError(f"{id}: {error}") from error


def moved(one: Record, other: Record) -> str:
    """Return the criteria that two verdicts answer differently, with both answers, or ""."""
    pairs = ((id, f.answer, findings(other)[id].answer) for id, f in findings(one).items())
    return ", ".join(f"{id} {with_it}, without it {without}" for id, with_it, without in pairs if with_it != without)


def combined(rubric: Rubric, answers: Mapping[str, str]) -> float | None:
    """Return the score (0–1) of clear answers by criterion, or ``None`` when there is none."""
    rated = {id: unit for id, answer in answers.items() if (unit := rubric.criteria[id].unit(answer)) is not None}
    total = sum(rubric.criteria[id].weight for id in rated)
    if not total:
        return None
    if rubric.combine == "mean":
        return sum(unit * rubric.criteria[id].weight for id, unit in rated.items()) / total
    bad = [id for id in rated if not rubric.criteria[id].good(answers[id])]
    if not bad:
        return 1.0
    value = FLAWED * (1.0 - sum(rubric.criteria[id].weight for id in bad) / total)
    return min(value, FATAL) if any(rubric.criteria[id].fatal for id in bad) else value


def score(rubric: Rubric, verdict: Record, messages: Sequence[Message], refused: Sequence[Place] = (), note: str = "") -> Score:
    """Return the score of a checked verdict: a part a criterion, the quotes as evidence, and why what is not good is not.

    Args:
        rubric: What was asked.
        verdict: What was answered.
        messages: The session.
        refused: Places that are no evidence.
        note: What else the reason tells.
    """
    found = findings(verdict)
    answers = {id: finding.answer for id, finding in found.items()}
    clear = {id: answer for id, answer in answers.items() if answer not in (NOT_APPLICABLE, UNCLEAR)}
    parts = tuple(Part(name=id, value=rubric.criteria[id].unit(answer)) for id, answer in answers.items())
    evidence = tuple(_evidence(id, find(f.quote, messages, rubric.criteria[id].quote, refused), messages)
                     for id, f in found.items() if f.quote.strip())  # fmt: skip
    told = [note, *(f"{id} {found[id].answer}: {found[id].why}" for id in clear if not rubric.criteria[id].good(clear[id]))]
    told += [f"{word.replace('_', ' ')}: {', '.join(ids)}" for word in (UNCLEAR, NOT_APPLICABLE)
             if (ids := [id for id, answer in answers.items() if answer == word])]  # fmt: skip
    value = combined(rubric, clear)
    if value is None:
        told.insert(0, "no criterion has a clear answer")
    elif rubric.combine == "flow" and (open_ := _open(rubric, answers)):
        value = None
        told.insert(0, f"fatal and not settled: {', '.join(open_)}")
    return Score(metric=f"judge.{rubric.name}", value=value, reason="; ".join(t for t in told if t), parts=parts, evidence=evidence)


def _open(rubric: Rubric, answers: Mapping[str, str]) -> list[str]:
    """Return the fatal criteria that are unclear, unless another one is known to fail."""
    fatal = [id for id in answers if rubric.criteria[id].fatal]
    failed = any(answers[id] not in (NOT_APPLICABLE, UNCLEAR) and not rubric.criteria[id].good(answers[id]) for id in fatal)
    return [] if failed else [id for id in fatal if answers[id] == UNCLEAR]


def _evidence(id: str, place: Place, messages: Sequence[Message]) -> Evidence:
    turn, start, end = place
    return Evidence(turn=turn, start=start, end=end, quote=messages[turn].content[start:end], label=id)
