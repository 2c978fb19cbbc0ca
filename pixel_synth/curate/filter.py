"""Score and gate conversations of a file: the same scorers and thresholds that gate what the pipelines write."""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack, nullcontext
from pathlib import Path

from pixel_synth.calibrate.card import scored
from pixel_synth.curate.gate import Gate, judging_model, settle
from pixel_synth.curate.review import reviewed
from pixel_synth.errors import UsageError
from pixel_synth.jsonl import read, whole
from pixel_synth.judges.names import answered_by
from pixel_synth.knowledge import Knowledge, load
from pixel_synth.records import Conversation, Score
from pixel_synth.scorers import METRICS
from pixel_synth.settings import Settings, load_settings


def rescored(conversation: Conversation, knowledge: Knowledge, settings: Settings, gate: Gate) -> Conversation:
    """Return the record with fresh scores of the scorers, the overall score after them, and what judges had said of it.

    Raises:
        UsageError: When a judge's card counts here, and the score is another judge's.
    """
    judged = tuple(s for s in conversation.scores if s.metric.startswith("judge."))
    carded = {limit.metric for limit in gate.limits if limit.scale} | set(gate.scales)
    for score in judged:
        if score.metric in carded and (who := answered_by(score)) != judging_model(settings):
            raise UsageError(
                f"{conversation.id}: {score.metric} was answered by {who or 'nobody named'}, but the card is of {judging_model(settings)}",
                hint="set judge_model and judge_samples to what judged the file, or judge it again",
            )
    return conversation.model_copy(update={"scores": gate.scaled((*scored(conversation, knowledge, settings.weights), *judged))})


def score_jsonl(path: Path, metric: str | None, output: Path | None) -> int:
    """Print scores per conversation; with ``metric`` its parts and evidence; with ``output`` write scored records."""
    if metric and metric not in (*METRICS, "overall"):
        raise UsageError(f"unknown metric {metric!r}", hint=f"known: {', '.join((*METRICS, 'overall'))}")
    base, settings, good, bad = load(), load_settings(), 0, 0
    gate = settle(settings)
    with whole(output) if output else nullcontext() as out:
        for row in read(path):
            if row.record is None:
                bad += 1
                print(f"{path}:{row.line}: {row.error}", file=sys.stderr)
                continue
            good += 1
            record = rescored(row.record, base, settings, gate)
            if out:
                out.write(record.line() + "\n")
            show(record, [s for s in record.scores if metric in (None, s.metric)], parts=metric is not None)
    print(f"{good + bad} lines = {good} scored + {bad} rejected", file=sys.stderr)
    return 1 if bad else 0


def show(conversation: Conversation, scores: list[Score], parts: bool) -> None:
    """Print the scores of a conversation on a line, and below it parts and evidence when asked."""
    print(conversation.id, "  ".join(f"{s.metric} {_value(s)}" for s in scores))
    for score in scores if parts else ():
        for part in score.parts:
            print(f"    {part.name:<24} {'n/a' if part.value is None else f'{part.value:.3f}'}")
        for e in score.evidence[:12]:
            print(f"    turn {e.turn}: {e.label}: “{e.quote}”")


def filter_jsonl(path: Path, folder: Path, allow_uncalibrated: bool | None = None) -> int:
    """Write ``kept.jsonl``, ``dropped.jsonl`` (with the verdict's reasons) and ``rejects.jsonl`` (unreadable lines).

    Records of either kind that a person should look at are in ``review.jsonl`` as well, with why in ``verdict.review``.
    """
    settings, base = load_settings(allow_uncalibrated=allow_uncalibrated), load()
    gate = settle(settings)
    counts, routed = {"kept": 0, "dropped": 0, "rejects": 0}, 0
    with ExitStack() as stack:
        files = {name: stack.enter_context(whole(folder / f"{name}.jsonl")) for name in (*counts, "review")}
        for row in read(path):
            if row.record is None:
                name = "rejects"
                line = json.dumps({"file": str(path), "line": row.line, "error": row.error, "text": row.text}, ensure_ascii=False)
            else:
                record = rescored(row.record, base, settings, gate)
                verdict = reviewed(record, record.scores, gate.decide(record, record.scores), settings, gate)
                name = "kept" if verdict.accepted else "dropped"
                line = record.model_copy(update={"verdict": verdict}).line()
                if verdict.review:
                    files["review"].write(line + "\n")
                    routed += 1
            counts[name] += 1
            files[name].write(line + "\n")
    for limit in gate.limits:
        if limit.why:
            print(f"{limit.metric} is {limit.standing}: {limit.why}", file=sys.stderr)
    print(f"{sum(counts.values())} lines = {counts['kept']} kept + {counts['dropped']} dropped + {counts['rejects']} rejected; in {folder}")
    print(f"{routed} of them for a person to look at: {folder / 'review.jsonl'}")
    return 0


def _value(score: Score) -> str:
    if score.value is None:
        return f"unscored ({score.reason})"
    return f"{score.value:.3f}" + (f" (people: {score.calibrated:.2f})" if score.calibrated is not None else "")
