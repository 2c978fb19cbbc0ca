"""Several opinions on one session, of several models or several samples of one, made into one score.

A panel of smaller models from different families follows people better, and with less preference for its own kind, than one large
judge (Verga et al., 2024, "Replacing Judges with Juries"); several samples of one model show how sure it is (Wang et al., 2023,
"Self-Consistency").  The score is the mean; how far the opinions lie apart (`spread`) decides whether a person should look.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import NamedTuple

from pixel_synth.judges.session import judge_session
from pixel_synth.knowledge import Knowledge
from pixel_synth.llms.engine import Call, Completion
from pixel_synth.records import Conversation, Evidence, Opinion, Part, Score
from pixel_synth.tasks.context import Ask


class Member(NamedTuple):
    """One member of a panel: a judge model ("" = whoever judges), and which of its samples."""

    judge: str
    sample: int = 0


def members(models: Sequence[str], samples: int) -> tuple[Member, ...]:
    """Return the members of a panel: every sample of every model; of no model, of whoever judges."""
    return tuple(Member(model, sample) for model in models or ("",) for sample in range(samples))


def addressed(ask: Ask, judge: str, *, booked: str = "", mark: str = "") -> Ask:
    """Return what asks one judge model; its calls are booked as ``booked``, or as their part with a ``mark``."""

    async def asked(call: Call) -> Completion:
        return await ask(call._replace(to=judge, booked=booked or call.part + mark))

    return asked


async def judge_panel(
    name: str, conversation: Conversation, ask: Ask, repairs: int, panel_of: Sequence[Member], knowledge: Knowledge | None = None
) -> Score:
    """Ask every member about a session, one after the other, and return what they say together.

    Args:
        name: Of the rubric.
        conversation: The session.
        ask: Answers calls.
        repairs: Times an unusable answer is sent back.
        panel_of: At least one member.
        knowledge: For rubrics that show it.

    Raises:
        EngineDown: When no engine is left.
        Stopped: When nothing more may be asked.
    """
    opinions = []
    several = len({member.judge for member in panel_of}) > 1
    for judge, sample in panel_of:
        theirs = addressed(ask, judge, mark=f"@{judge}" if several else "") if judge else ask
        score = await judge_session(name, conversation, theirs, repairs, knowledge=knowledge, sample=sample)
        opinions.append((judge, sample, score))
    return panel(opinions)


def panel(opinions: Sequence[tuple[str, int, Score]]) -> Score:
    """Make one score of several: value and parts are means over the opinions that have them.

    A single opinion comes back as it is, with the judge's name in ``panel`` where it is known.  Opinions without a value have no vote
    and are counted in the reason; when none has a value, neither has the panel.

    Args:
        opinions: Judge model, number of the sample, and score; at least one, all of one metric.

    Returns:
        The score, with every opinion in ``panel`` in the order given and the evidence of all without doubles.
    """
    scores = [score for _, _, score in opinions]
    told = tuple(Opinion(judge=judge, sample=n, value=s.value, reason=s.reason, parts=s.parts) for judge, n, s in opinions)
    if len(scores) == 1:
        return scores[0].model_copy(update={"panel": told if told[0].judge else ()})
    values = [s.value for s in scores if s.value is not None]
    why = [f"{judge or 'judge'} sample {n}: {s.reason}" for judge, n, s in opinions if s.value is None]
    return Score(
        metric=scores[0].metric,
        value=fmean(values) if values else None,
        reason=f"{len(why)} of {len(scores)} opinions unscored ({'; '.join(why)})" if why else "",
        parts=_parts(scores),
        evidence=_evidence(scores),
        panel=told,
    )


def _parts(scores: Sequence[Score]) -> tuple[Part, ...]:
    """Return each criterion's mean over the opinions in which it has a value, in the order in which they come."""
    found: dict[str, list[float]] = {}
    for score in scores:
        for part in score.parts:
            found.setdefault(part.name, []).extend([] if part.value is None else [part.value])
    return tuple(Part(name=name, value=fmean(values) if values else None) for name, values in found.items())


def _evidence(scores: Sequence[Score]) -> tuple[Evidence, ...]:
    spans = {(e.turn, e.start, e.end, e.label): e for score in scores for e in score.evidence}
    return tuple(span for _, span in sorted(spans.items()))


def spread(score: Score) -> float | None:
    """Return the largest difference between two opinions' values (0-1), ``None`` where fewer than two have one."""
    values = [o.value for o in score.panel if o.value is not None]
    return max(values) - min(values) if len(values) > 1 else None
