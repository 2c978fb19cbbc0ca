"""Score and gate conversations of a file: the same scorers and thresholds that gate what the pipelines write."""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack, nullcontext
from pathlib import Path

from pixel_synth.curate.gate import judge
from pixel_synth.errors import UsageError
from pixel_synth.jsonl import read, whole
from pixel_synth.knowledge import Knowledge, load
from pixel_synth.records import Conversation, Score
from pixel_synth.scorers import METRICS, overall, score_all
from pixel_synth.settings import load_settings


def rescore(conversation: Conversation, knowledge: Knowledge, weights: dict[str, float]) -> tuple[Score, ...]:
    """Return fresh scores with the overall score last."""
    scores = score_all(conversation, knowledge)
    return (*scores, overall(scores, weights or None, persona=conversation.blueprint is not None))


def score_jsonl(path: Path, metric: str | None, output: Path | None) -> int:
    """Print scores per conversation; with ``metric`` its parts and evidence; with ``output`` write scored records."""
    if metric and metric not in (*METRICS, "overall"):
        raise UsageError(f"unknown metric {metric!r}", hint=f"known: {', '.join((*METRICS, 'overall'))}")
    base, weights, good, bad = load(), load_settings().weights, 0, 0
    with whole(output) if output else nullcontext() as out:
        for row in read(path):
            if row.record is None:
                bad += 1
                print(f"{path}:{row.line}: {row.error}", file=sys.stderr)
                continue
            good += 1
            scores = rescore(row.record, base, weights)
            if out:
                out.write(row.record.model_copy(update={"scores": scores}).line() + "\n")
            show(row.record, [s for s in scores if metric in (None, s.metric)], parts=metric is not None)
    print(f"{good + bad} lines = {good} scored + {bad} rejected", file=sys.stderr)
    return 1 if bad else 0


def show(conversation: Conversation, scores: list[Score], parts: bool) -> None:
    """Print the scores of a conversation on a line, and below it parts and evidence when asked."""
    values = (f"{s.metric} {'unscored (' + s.reason + ')' if s.value is None else f'{s.value:.3f}'}" for s in scores)
    print(conversation.id, "  ".join(values))
    for score in scores if parts else ():
        for part in score.parts:
            print(f"    {part.name:<24} {'n/a' if part.value is None else f'{part.value:.3f}'}")
        for e in score.evidence[:12]:
            print(f"    turn {e.turn}: {e.label}: “{e.quote}”")


def filter_jsonl(path: Path, folder: Path) -> int:
    """Write ``kept.jsonl``, ``dropped.jsonl`` (with the verdict's reasons) and ``rejects.jsonl`` (unreadable lines)."""
    settings, base = load_settings(), load()
    counts = {"kept": 0, "dropped": 0, "rejects": 0}
    with ExitStack() as stack:
        files = {name: stack.enter_context(whole(folder / f"{name}.jsonl")) for name in counts}
        for row in read(path):
            if row.record is None:
                name = "rejects"
                line = json.dumps({"file": str(path), "line": row.line, "error": row.error, "text": row.text}, ensure_ascii=False)
            else:
                scores = rescore(row.record, base, settings.weights)
                limits = {k: v for k, v in settings.thresholds.items() if row.record.blueprint or k != "personality_consistency"}
                verdict = judge(row.record, scores, limits)
                name = "kept" if verdict.accepted else "dropped"
                line = row.record.model_copy(update={"scores": scores, "verdict": verdict}).line()
            counts[name] += 1
            files[name].write(line + "\n")
    print(f"{sum(counts.values())} lines = {counts['kept']} kept + {counts['dropped']} dropped + {counts['rejects']} rejected; in {folder}")
    return 0
