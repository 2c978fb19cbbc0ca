"""Score and gate conversations of a file: the same scorers and thresholds that gate what the pipelines write."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from pixel_synth.curate.gate import judge
from pixel_synth.errors import UsageError
from pixel_synth.jsonl import read
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
    out = output.open("w", encoding="utf-8") if output else None
    for row in read(path):
        if row.record is None:
            bad += 1
            print(f"{path}:{row.line}: {row.error}", file=sys.stderr)
            continue
        good += 1
        scores = rescore(row.record, base, weights)
        if out:
            out.write(row.record.model_copy(update={"scores": scores}).line() + "\n")
        chosen = [s for s in scores if metric in (None, s.metric)]
        print(
            row.record.id, "  ".join(f"{s.metric} {'unscored (' + s.reason + ')' if s.value is None else f'{s.value:.3f}'}" for s in chosen)
        )
        if metric:
            for part in chosen[0].parts:
                print(f"    {part.name:<24} {'n/a' if part.value is None else f'{part.value:.3f}'}")
            for e in chosen[0].evidence[:12]:
                print(f"    turn {e.turn}: {e.label}: “{e.quote}”")
    if out:
        out.close()
    print(f"{good + bad} lines = {good} scored + {bad} rejected", file=sys.stderr)
    return 1 if bad else 0


def filter_jsonl(path: Path, folder: Path) -> int:
    """Write ``kept.jsonl``, ``dropped.jsonl`` (with the verdict's reasons) and ``rejects.jsonl`` (unreadable lines)."""
    settings, base = load_settings(), load()
    folder.mkdir(parents=True, exist_ok=True)
    counts = {"kept": 0, "dropped": 0, "rejects": 0}
    files = {name: (folder / f"{name}.jsonl").open("w", encoding="utf-8") for name in counts}
    for row in read(path):
        if row.record is None:
            name, line = (
                "rejects",
                json.dumps({"file": str(path), "line": row.line, "error": row.error, "text": row.text}, ensure_ascii=False),
            )
        else:
            scores = rescore(row.record, base, settings.weights)
            limits = {k: v for k, v in settings.thresholds.items() if row.record.blueprint or k != "personality_consistency"}
            verdict = judge(row.record, scores, limits)
            name = "kept" if verdict.accepted else "dropped"
            line = row.record.model_copy(update={"scores": scores, "verdict": verdict}).line()
        counts[name] += 1
        files[name].write(line + "\n")
    for file in files.values():
        file.close()
    print(f"{sum(counts.values())} lines = {counts['kept']} kept + {counts['dropped']} dropped + {counts['rejects']} rejected; in {folder}")
    return 0
