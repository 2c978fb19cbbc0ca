"""Score and gate every record with the scorers and thresholds that gate what the pipelines write, and label what its words carry.

Scores that a run of our own gave under the same knowledge, prompts and toolkit are taken over, unless redaction changed its words.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pixel_synth.books import Dropped
from pixel_synth.curate.enrich import enricher
from pixel_synth.curate.filter import rescored
from pixel_synth.curate.gate import Gate
from pixel_synth.curate.review import reviewed
from pixel_synth.jsonl import lines_of
from pixel_synth.knowledge import load
from pixel_synth.records import Conversation
from pixel_synth.runs.assemble.assembly import Assembly, Result
from pixel_synth.runs.parallel import Task, Work, Worked, each
from pixel_synth.scorers import level
from pixel_synth.settings import exact_settings

OUTSIDE = ("client_lines", "preference")  # no session of client and therapist that the scorers could read


def score(assembly: Assembly, folder: Path) -> Result:
    """Score the records that de-duplication kept."""
    source = assembly.folder("03-deduplicate") / "kept.jsonl"
    options: dict[str, Any] = {"settings": assembly.settings.model_dump(mode="json"), "gate": assembly.gate.model_dump(mode="json")}
    with assembly.progress(lines_of(source), "records scored") as show:
        books = each(source, folder, Task("score", scorer, options), assembly.workers, show)
    return books, {"ungated": {limit.metric: limit.why for limit in assembly.gate.limits if limit.standing == "refused"}}


def scorer(settings: dict[str, Any], gate: dict[str, Any]) -> Work:
    """Return the work of one process: score a record, decide on it, label its complexity."""
    with_settings, limits, base, label = exact_settings(settings), Gate.model_validate(gate), load(), enricher()

    def work(record: Conversation) -> Worked:
        if record.labels.kind in OUTSIDE or record.category == "auxiliary":
            found = label(record)
            return Worked(found, {})
        found = record if current(record) else rescored(record, base, with_settings, limits)
        verdict = reviewed(found, found.scores, limits.decide(found, found.scores), with_settings, limits)
        complexity = found.score("complexity")
        value = None if complexity is None else complexity.value
        labels = found.labels.model_copy(update={"complexity": "" if value is None else level(value)})
        found = found.model_copy(update={"verdict": verdict, "labels": labels})
        return Worked(label(found) if verdict.accepted else Dropped("; ".join(verdict.reasons)), {})

    return work


def current(record: Conversation) -> bool:
    """Tell whether a record's scores can be taken over: given by this gate's run, and of the words that it still has."""
    return bool(record.scores and record.verdict) and not record.redactions and record.provenance.source == "generated"
