"""The chain of one slot: plan → scenario → dialogue → reasoning → score → gate, again until accepted.

Every attempt ends in exactly one of accepted, rejected (with reasons) or failed (with the raw answer), and is
reported; nothing is dropped.  The chain needs no framework; `runs.steps` runs many of them inside distilabel.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Literal

from pixel_synth import __version__
from pixel_synth.calibrate.card import scored
from pixel_synth.curate.gate import Gate, settle
from pixel_synth.curate.review import reviewed
from pixel_synth.errors import EngineDown, EngineError, PixelError
from pixel_synth.judges import session
from pixel_synth.judges.panel import judge_panel, members
from pixel_synth.judges.rubric import rubric
from pixel_synth.knowledge import Knowledge
from pixel_synth.llms.ask import Stopped
from pixel_synth.plan import Plan
from pixel_synth.prompts import load_prompt
from pixel_synth.records import Attempt, Blueprint, Conversation, Labels, Outcome, Provenance, Score, Verdict, stable_id
from pixel_synth.scorers import level
from pixel_synth.settings import Settings
from pixel_synth.tasks import dialogue, reasoning, scenario
from pixel_synth.tasks.context import AnswerError, Ask, Context

LICENSE = "Apache-2.0"
SCORING = ThreadPoolExecutor(1, "scoring")  # one thread: more would only take turns with each other


async def write(
    bp: Blueprint, knowledge: Knowledge, ask: Ask, settings: Settings, gate: Gate, spent: dict[str, float] | None = None
) -> tuple[Conversation, Verdict]:
    """Put one blueprint into words and score it; return it with its verdict, whichever way it falls.

    ``spent`` takes in the processor seconds that scoring took.

    Raises:
        EngineError: When an answer could not be had or does not fit.
        Stopped: When nothing more may be asked.
    """
    context = Context(bp, knowledge, settings.repairs if settings.engine != "composer" else 0)
    case = await scenario.write_scenario(context, ask)
    messages, tags = await dialogue.write_dialogue(context, case, ask)
    thought = await reasoning.write_reasoning(context, messages, tags, ask)
    prompts = tuple(load_prompt(p).ref for p in (*scenario.PROMPTS, *dialogue.PROMPTS, *reasoning.PROMPTS))
    if settings.judges:
        prompts += (*(load_prompt(p).ref for p in session.PROMPTS), *(rubric(name).ref for name in settings.judges))
    model = settings.model or settings.engine
    draft = Conversation(
        id=conversation_id(bp, settings),
        category="psychology",
        messages=messages,
        turns=tags,
        scenario=case,
        reasoning=thought,
        blueprint=bp,
        labels=Labels(
            topic=bp.topic, modality=bp.modality, population=bp.population, difficulty=bp.difficulty, risk=bp.risk, kind="session",
            language="en", traits=tuple(f"{domain}:{level}" for domain, level in bp.persona.big_five.model_dump().items()),
        ),
        provenance=Provenance(
            engine=settings.engine, model=model, toolkit=__version__, seed=bp.seed,
            knowledge=bp.knowledge, prompts=prompts, license=LICENSE,
        ),
    )  # fmt: skip
    panel = members(settings.judge_model, settings.judge_samples)
    judged = tuple([await judge_panel(name, draft, ask, context.repairs, panel, knowledge) for name in settings.judges])
    scoring = partial(_score, draft, knowledge, settings, gate, judged, {} if spent is None else spent)
    # The requests of the other conversations must not wait meanwhile; the composer has none.
    return scoring() if settings.engine == "composer" else await asyncio.get_running_loop().run_in_executor(SCORING, scoring)


def _score(
    draft: Conversation, knowledge: Knowledge, settings: Settings, gate: Gate, judged: tuple[Score, ...], spent: dict[str, float]
) -> tuple[Conversation, Verdict]:
    began = time.thread_time()
    scores = gate.scaled((*scored(draft, knowledge, settings.weights), *judged))
    complexity = next((s.value for s in scores if s.metric == "complexity"), None)
    labels = draft.labels.model_copy(update={"complexity": "" if complexity is None else level(complexity)})
    verdict = reviewed(draft, scores, gate.decide(draft, scores), settings, gate)
    spent["score_s"] = spent.get("score_s", 0.0) + time.thread_time() - began
    return draft.model_copy(update={"scores": scores, "labels": labels, "verdict": verdict}), verdict


def conversation_id(bp: Blueprint, settings: Settings) -> str:
    """Return the id of what an engine makes of a blueprint."""
    return stable_id("conversation", bp.id, settings.engine, settings.model or settings.engine)


async def fill_slot(
    plan: Plan, slot: int, ask: Ask, settings: Settings, gate: Gate | None = None, spent: dict[str, float] | None = None
) -> Outcome:
    """Plan and write a slot until a conversation is accepted or ``settings.max_attempts`` is reached.

    When nothing more may be asked, the attempt in hand is left out of the books: its answers are in the ledger, and the slot can
    be gone on with.

    Raises:
        EngineDown: When no engine is left: the run stops and can be resumed.
    """
    gate = settle(settings) if gate is None else gate
    attempts: list[Attempt] = []
    for number in range(settings.max_attempts):
        bp = plan.blueprint(slot, number)
        try:
            conversation, verdict = await write(bp, plan.knowledge, ask, settings, gate, spent)
        except Stopped as stop:
            return Outcome(slot=slot, accepted=False, stopped=stop.message, attempts=tuple(attempts))
        except (OSError, sqlite3.Error, MemoryError, EngineDown):  # not the row's fault: the run stops and can be resumed
            raise
        except Exception as error:  # a fault in one row must not take the others along; it is counted and shown
            attempts.append(_failed(bp, error))
            continue
        status: Literal["accepted", "rejected"] = "accepted" if verdict.accepted else "rejected"
        attempts.append(Attempt(status=status, blueprint=bp, conversation=conversation, reason="; ".join(verdict.reasons)))
        if verdict.accepted:
            break
    return Outcome(slot=slot, accepted=attempts[-1].status == "accepted", attempts=tuple(attempts))


def _failed(bp: Blueprint, error: Exception) -> Attempt:
    reason = error.message if isinstance(error, PixelError) else f"{type(error).__name__}: {error}"
    kind = error.kind if isinstance(error, EngineError) else "error"
    return Attempt(status="failed", blueprint=bp, reason=reason, kind=kind, raw=error.raw if isinstance(error, AnswerError) else "")
