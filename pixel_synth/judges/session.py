"""One rubric asked of one session: the request, and the score that comes of the answer.

The request is built from the messages alone and, where the rubric says ``knowledge: true``, from the knowledge entries of the topic and
the modality.  Nothing else of the record reaches the judge: not who wrote it, its scores, plan, scenario, labels or reasoning.
"""

from __future__ import annotations

import json

from pixel_synth.errors import EngineDown, EngineError
from pixel_synth.judges.injection import fence, instructions, masked, transcript
from pixel_synth.judges.quotes import NAMES, Place
from pixel_synth.judges.rubric import LEVELS, NOT_APPLICABLE, Criterion, Example, Rubric, session_rubric
from pixel_synth.judges.verdict import check, moved, score, verdict_model
from pixel_synth.knowledge import Knowledge
from pixel_synth.knowledge.models import Disorder, Modality
from pixel_synth.llms.engine import Brief, Call
from pixel_synth.prompts import load_prompt
from pixel_synth.records import Conversation, Record, Score
from pixel_synth.tasks.context import Ask, answer, bullets

PROMPTS = ("judge",)
TEMPERATURE, SAMPLED = 0.0, 0.7  # of the first answer, and of further samples
TOKENS, TOKENS_EACH = 200, 220  # an answer holds at most so many, and so many a criterion: 500 characters and their keys


async def judge_session(
    name: str,
    conversation: Conversation,
    ask: Ask,
    repairs: int,
    *,
    knowledge: Knowledge | None = None,
    sample: int = 0,
    temperature: float | None = None,
) -> Score:
    """Ask a rubric about a session; what cannot be had is unscored with its reason and never fails the session.

    A session with instructions in it is judged twice, with and without them; where an answer differs there is no score.

    Args:
        name: Of a rubric that asks about a session.
        conversation: What is judged.
        ask: Answers calls.
        repairs: Times an unusable answer is sent back with what is wrong with it.
        knowledge: Where the entries come from that rubrics with ``knowledge: true`` show.
        sample: Number of the answer, where several are wanted; from 1 on they are drawn at `SAMPLED` and with seeds of their own.
        temperature: Instead of these.

    Returns:
        The score ``judge.<name>``: 0–1, a part for each criterion, the quotes as evidence.

    Raises:
        PromptError: When there is no such rubric.
        UsageError: When it compares pairs.
        EngineDown: When no engine is left.
        Stopped: When nothing more may be asked.
    """
    asked = session_rubric(name)
    found = instructions(conversation)
    refused = [Place(e.turn, e.start, e.end) for e in found]

    async def verdict(session: Conversation, part: str, refused: list[Place]) -> Record:
        made = call(asked, session, knowledge, sample, temperature)._replace(booked=part)
        usable = lambda given: check(asked, given, session.messages, refused)  # noqa: E731
        return (await answer(verdict_model(asked), made, ask, f"judge.{name}", repairs, usable))[0]

    part = f"judge.{name}" + (f".{sample}" if sample else "")
    try:
        given = await verdict(conversation, part, refused)
        without = await verdict(masked(conversation, found), f"{part}.masked", []) if found else given
    except EngineDown:
        raise
    except EngineError as error:
        return Score(metric=f"judge.{name}", value=None, reason=f"{error.kind}: {error.message}")
    where = ", ".join(dict.fromkeys(f"{NAMES[conversation.messages[e.turn].role]}, turn {e.turn}" for e in found))
    if differs := moved(given, without):
        reason = f"an instruction in the session moved the verdict ({where}): {differs}"
        return Score(metric=f"judge.{name}", value=None, reason=reason)
    note = f"an instruction in the session ({where}) moved nothing" if found else ""
    return score(asked, given, conversation.messages, refused, note)


def call(
    asked: Rubric, conversation: Conversation, knowledge: Knowledge | None = None, sample: int = 0, temperature: float | None = None
) -> Call:
    """Render the request; what all sessions share comes first."""
    said = transcript(conversation.messages)
    messages = load_prompt("judge").render(
        title=asked.title, guidance=asked.guidance, criteria=criteria(asked), answer=spelled(asked), examples=examples(asked),
        knowledge=reference(conversation, knowledge) if asked.knowledge and knowledge else "", transcript=said, fence=fence(said),
    )  # fmt: skip
    drawn = (SAMPLED if sample else TEMPERATURE) if temperature is None else temperature
    sampling = {"temperature": drawn, "seed": sample, "max_tokens": TOKENS + TOKENS_EACH * len(asked.criteria)}
    brief = Brief("judge", conversation.blueprint, conversation.messages) if conversation.blueprint else None
    return Call(brief, messages, verdict_model(asked).model_json_schema(), sampling, "judge")


# ------------------------------------------------------------------------------------ the rubric in words


def criteria(asked: Rubric) -> str:
    """Return the criteria with the meaning of every answer."""
    return "\n".join(_criterion(id, criterion) for id, criterion in asked.criteria.items())


def _criterion(id: str, c: Criterion) -> str:
    whose = "" if c.quote == "either" else f" Quote the {c.quote}."
    lines = [f"{id}: {c.ask}{whose}", *(f"  {level}: {c.anchors[level]}" for level in _order(c) if level in c.anchors)]
    if c.applies:
        lines.append(f"  {NOT_APPLICABLE}: {c.applies}")
    lines.append(f"  Answers: {', '.join(c.answers)}.")
    return "\n".join(lines)


def _order(c: Criterion) -> tuple[str, ...]:
    return (*LEVELS[c.scale], *(key for key in c.anchors if key not in LEVELS[c.scale]))


def spelled(asked: Rubric) -> str:
    """Return what an answer consists of, in words."""
    keys = bullets(list(asked.criteria))
    return f"{keys}\nThe value of each key is an object of three texts, in this order: quote, why, answer."


def _example(example: Example) -> str:
    said = {id: {"quote": a.quote, "why": a.why, "answer": a.answer} for id, a in example.answers.items()}
    return f"{transcript(example.messages)}\n{json.dumps(said, ensure_ascii=False)}"


def examples(asked: Rubric) -> str:
    """Return the anchored examples, each a session and its agreed answers; "" when there are none."""
    return "\n\n".join(f"Example {number}:\n{_example(e)}" for number, e in enumerate(asked.examples, 1))


def reference(conversation: Conversation, knowledge: Knowledge) -> str:
    """Return what the packs say of a session's topic and modality: all of it, and not what the plan chose from it; "" when unknown."""
    plan, labels = conversation.blueprint, conversation.labels
    topic = knowledge.all(Disorder).get(plan.topic if plan else labels.topic)
    modality = knowledge.all(Modality).get(plan.modality if plan else labels.modality)
    parts = []
    if topic:
        parts.append(f"{topic.name}: {topic.summary}\n{bullets([c.text for c in topic.criteria])}")
    if modality:
        parts.append(f"{modality.name}: {modality.summary}\n{bullets([f'{c.item} Good: {c.good}' for c in modality.competences])}")
    return "\n".join(parts)
