"""One rubric asked of one session (see `pixel_synth.judges`)."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Literal

from pydantic import Field, create_model

from pixel_synth.errors import EngineDown, EngineError
from pixel_synth.llms.engine import Brief, Call
from pixel_synth.prompts import Prompt, load_prompt
from pixel_synth.records import Conversation, Evidence, Part, Record, Score
from pixel_synth.tasks.context import Ask, answer, bullets, spelled
from pixel_synth.tasks.reasoning import transcript

TEMPERATURE, MAX_TOKENS = 0.0, 1200
LEAST_QUOTE = 8  # characters


class Finding(Record):
    """The answer to one question, and the words of the session it rests on."""

    verdict: Literal["yes", "no", "unclear"]
    quote: str = Field(max_length=300)


def rubric(name: str) -> Prompt:
    """Load a rubric file.

    Raises:
        PromptError: When there is none, or it holds no criteria.
    """
    return load_prompt(f"judges/{name}")


@lru_cache(maxsize=32)
def verdict_model(name: str) -> type[Record]:
    """Return the model of a rubric's verdict: one `Finding` a criterion."""
    fields: dict[str, Any] = {id: (Finding, Field(description=question)) for id, question in rubric(name).criteria}
    return create_model(f"verdict_{name}", __base__=Record, **fields)


def call(name: str, conversation: Conversation) -> Call:
    """Render the request; the rubric, which all sessions share, comes first."""
    prompt, model = rubric(name), verdict_model(name)
    criteria = bullets([f"{id}: {question}" for id, question in prompt.criteria])
    messages = prompt.render(answer=spelled(model), criteria=criteria, transcript=transcript(conversation.messages))
    brief = Brief("judge", conversation.blueprint, conversation.messages) if conversation.blueprint else None
    return Call(brief, messages, model.model_json_schema(), {"temperature": TEMPERATURE, "seed": 0, "max_tokens": MAX_TOKENS})


async def judge_session(name: str, conversation: Conversation, ask: Ask, repairs: int) -> Score:
    """Ask a rubric about a session: the share of its questions answered yes among those answered yes or no (0–1).

    What cannot be had is unscored with its reason; it never fails the session.

    Raises:
        EngineDown: When no engine is left.
        Stopped: When nothing more may be asked.
    """
    said = " ".join(" ".join(m.content for m in conversation.messages).split())

    def quotes_the_session(verdict: Record) -> None:
        for id, finding in verdict:
            quote = " ".join(finding.quote.split())
            if quote not in said:
                raise ValueError(f"{id}: the quote {quote[:60]!r} does not stand in the session")
            if finding.verdict != "unclear" and len(quote) < LEAST_QUOTE:
                raise ValueError(f"{id}: the quote {quote!r} is too short to rest an answer on")

    metric = f"judge.{name}"
    try:
        verdict, _ = await answer(verdict_model(name), call(name, conversation), ask, metric, repairs, quotes_the_session)
    except EngineDown:
        raise
    except EngineError as error:
        return Score(metric=metric, value=None, reason=f"{error.kind}: {error.message}")
    findings: dict[str, Finding] = dict(verdict)
    clear = [f for f in findings.values() if f.verdict != "unclear"]
    parts = tuple(Part(name=id, value=None if f.verdict == "unclear" else float(f.verdict == "yes")) for id, f in findings.items())
    evidence = tuple(e for id, f in findings.items() if (e := _evidence(conversation, id, f.quote)))
    if not clear:
        return Score(metric=metric, value=None, reason="every question was answered unclear", parts=parts, evidence=evidence)
    return Score(metric=metric, value=sum(f.verdict == "yes" for f in clear) / len(clear), parts=parts, evidence=evidence)


def _evidence(conversation: Conversation, label: str, quote: str) -> Evidence | None:
    for turn, message in enumerate(conversation.messages):
        if quote and (start := message.content.find(quote)) >= 0:
            return Evidence(turn=turn, start=start, end=start + len(quote), quote=quote, label=label)
    return None
