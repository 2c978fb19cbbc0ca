"""Look at every record by itself: language, unsafe content, evaluation text, category, personal data.

What is taken out stands in ``private/redactions.jsonl``, which only the owner can read and which is never handed out.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from pixel_synth.books import Dropped
from pixel_synth.curate.categorise import categorise
from pixel_synth.curate.decontaminate import Decontaminate
from pixel_synth.curate.language import Language
from pixel_synth.curate.redact import Audit, Redactor
from pixel_synth.curate.unsafe import Unsafe
from pixel_synth.errors import RecordError
from pixel_synth.jsonl import lines_of, sha256_of
from pixel_synth.recipe import Recipe
from pixel_synth.records import Conversation, Record
from pixel_synth.runs.assemble.assembly import Assembly, Result, parts
from pixel_synth.runs.parallel import Task, Work, Worked, each

AUDIT = "redactions.jsonl"
SURE = 0.75  # confidence from which a record that is about another matter leaves its source's category


def screen(assembly: Assembly, folder: Path) -> Result:
    """Screen what was gathered."""
    source, recipe = assembly.folder("01-gather") / "kept.jsonl", assembly.recipe
    options: dict[str, Any] = {
        "languages": recipe.languages,
        "evaluation": recipe.evaluation,
        "redacting": recipe.redact,
        "names": recipe.names,
    }
    with assembly.progress(lines_of(source), "records screened") as show:
        books = each(source, folder, Task("screen", screener, options, ("redactions", "moved")), assembly.workers, show)
    audit = assembly.private / AUDIT
    os.replace(folder / "redactions.jsonl", audit)
    audit.chmod(0o600)
    return books, {
        "moved": lines_of(folder / "moved.jsonl"),
        "redacted": recipe.redact,
        "names": Redactor(recipe.names).note.removeprefix("names were ") if recipe.redact else "",
    }


def screener(languages: tuple[str, ...], evaluation: tuple[str, ...], redacting: bool, names: str) -> Work:
    """Return the work of one process."""
    redactor = Redactor(names)
    keepers = (Language(tuple(languages)), Unsafe(), Decontaminate(tuple(Path(p) for p in evaluation)))

    def work(record: Conversation) -> Worked:
        found = record
        for step in keepers:
            result = step(found)
            if isinstance(result, Dropped):
                return Worked(result, {})
            found = result
        moved = elsewhere(found)
        beside = {"moved": [moved.line()] if moved else []}
        if moved:
            found = found.model_copy(update={"category": "auxiliary"})
        if redacting:
            try:
                found, findings = redactor.redact(found)
            except RecordError as error:
                return Worked(Dropped(f"redact: {error.message}"), {})
            beside["redactions"] = [Audit(id=found.id, finding=f).line() for f in findings]
        return Worked(found, beside)

    return work


class Moved(Record):
    """A record that is not about mental health, whatever its source is."""

    id: str
    source: str
    category: str
    rule: str
    confidence: float


def elsewhere(record: Conversation) -> Moved | None:
    """Tell whether a record that others made belongs to another matter, and so to no category of the mix."""
    if (
        record.category not in ("mental_health", "personality")
        or record.provenance.source == "generated"
        or record.labels.kind == "client_lines"
    ):
        return None
    known = {record.provenance.source: record.category} if record.category == "mental_health" else {}
    decision = categorise(record, known)
    if decision.category != "auxiliary" or decision.confidence < SURE:
        return None
    return Moved(
        id=record.id, source=record.provenance.source, category=record.category, rule=decision.rule, confidence=decision.confidence
    )


def decides(recipe: Recipe) -> dict[str, Any]:
    """Return what screening depends on besides the records."""
    evaluation = {path: sha256_of(Path(path)) for path in recipe.evaluation if Path(path).is_file()}
    return {**parts(recipe, "languages", "redact", "names"), "evaluation": evaluation}
