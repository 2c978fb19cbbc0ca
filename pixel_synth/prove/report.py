"""The report of a dataset: facts as tables and findings, rendered as Markdown, HTML, plain text, CSV and JSON.

Everything is computed before a template is called, and all formats are made from the same tables, so that they show the same numbers.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import Field

from pixel_synth import __version__
from pixel_synth.jsonl import whole
from pixel_synth.prove import around
from pixel_synth.prove.findings import Finding, findings
from pixel_synth.prove.profile import Profile
from pixel_synth.prove.rules import Limits
from pixel_synth.prove.tables import Table, drawn, shown, table
from pixel_synth.prove.target import target
from pixel_synth.prove.validate import Validation, about, examine
from pixel_synth.recipe import Recipe
from pixel_synth.records import Record
from pixel_synth.settings import Settings, load_settings

FORMATS = ("md", "html", "txt", "csv", "json")
_FORMULA = (
    "=",
    "+",
    "-",
    "@",
    "\t",
    "\r",
)  # a cell that begins so is a formula to a spreadsheet (https://owasp.org/www-community/attacks/CSV_Injection)


class Advice(Record):
    """A recommendation: what was seen, what to do, and the command to begin with where there is one."""

    told: str
    action: str
    command: str = ""
    examples: tuple[str, ...] = Field(default=(), description="places, as file:line")


class Facts(Record):
    """Everything that the report says."""

    name: str
    kind: str
    toolkit: str
    records: int
    summary: tuple[str, ...]
    advice: tuple[Advice, ...]
    findings: tuple[Finding, ...] = Field(description="slices that are worse than the rest, the surest first; see prove/findings.py")
    tables: tuple[Table, ...]
    validation: Validation


def report(
    path: Path,
    settings: Settings | None = None,
    recipe: Recipe | None = None,
    limits: Limits | None = None,
    *,
    speed: bool = False,
    progress: Callable[[int], None] = lambda read: None,
) -> Facts:
    """Collect everything that there is to say of a dataset; its records are read once, those that the gate looked at once more.

    Args:
        path: A run directory, a folder, or a file of records.
        settings: Ratios and thresholds where the run has none of its own; by default those of ``pixel.toml``.
        recipe: What was wanted, where the run has none of its own.
        limits: Limits of the validator.
        speed: Also measure the readers; its figures differ from one time to the next.
        progress: Told how many lines were read.

    Raises:
        RecordError: When there is nothing at the path, or a JSON file beside the records is damaged.
    """
    found = target(path)
    known = about(found, settings or load_settings(), recipe, limits or Limits())
    profile = Profile(known)
    validation = examine(known, (profile,), speed=speed, progress=progress)
    done = around.stages(found)
    refused = {limit.metric for limit in known.gate.limits if limit.standing == "refused"}
    slices = findings(profile.slices, profile.least, refused)
    gated = around.gated(found)
    slices += findings(gated) if gated else []
    slices.sort(key=lambda f: (-f.z, f.outcome))
    tables = [*profile.tables(), *around.tables(found, done), _rules(validation)] if profile.records else [_rules(validation)]
    return Facts(
        name=found.path.name,
        kind=found.kind,
        toolkit=__version__,
        records=profile.records,
        summary=_summary(profile, validation, done),
        advice=tuple(_advice(slices, validation, list(around.shortfalls(found)), done)),
        findings=tuple(slices),
        tables=tuple(t for t in tables if t.rows),
        validation=validation,
    )


def _summary(profile: Profile, validation: Validation, done: list[around.Stage]) -> tuple[str, ...]:
    held = sum(r.passed is True for r in validation.rules)
    told = f"{profile.records:,} records, {sum(profile.words):,} words, {len(profile.sources)} sources"
    rules = f"{len(validation.rules)} rules: {held} hold, {len(validation.failing)} are broken, the others were not judged or do not apply"
    came = f"{done[0].taken:,} came in, {done[-1].kept:,} are in the mix" if done else ""
    return tuple(filter(None, (told, came, rules)))


def _advice(slices: list[Finding], validation: Validation, short: list[tuple[str, str]], done: list[around.Stage]) -> list[Advice]:
    """Return what to do, what is broken first; a shortfall is told once, not by each rule that it breaks."""
    lines = [
        Advice(told=f"{r.id}: {r.why} (expected {r.expected}, found {r.found})", action=r.todo)
        for r in validation.failing
        if not r.shortfall
    ]
    lines += [Advice(told=f.told, action=f.action, command=f.command, examples=f.examples) for f in slices]
    lines += [Advice(told=told, action=action) for told, action in short]
    for stage in done:
        lost = stage.taken - stage.kept
        if "mix" not in stage.name and lost > 0.1 * stage.taken:
            why, n = max(stage.reasons.items(), key=lambda item: item[1])
            told = f"stage {stage.name} kept {stage.kept:,} of {stage.taken:,}; {n:,} of {lost:,} went for: {why}"
            lines.append(Advice(told=told, action=f"read stages/{stage.name}/rejects.jsonl; every line has its reason"))
    quality = [r for r in validation.rules if r.id.startswith("quality.") and r.passed is None and ", refused" in r.expected]
    if refused := [r.id.removeprefix("quality.") for r in quality]:
        told = f"no calibration card lets these thresholds count: {', '.join(refused)}"
        lines.append(
            Advice(
                told=told,
                action="their figures are shown and prove nothing; rate some records and make cards",
                command="pixel-synth calibrate",
            )
        )
    return lines


def _rules(validation: Validation) -> Table:
    words = {True: "holds", False: "BROKEN", None: "not judged"}
    return table(
        "rules",
        "Rules",
        "rule, answer, expected, found, why",
        ((r.id, "SHORT" if r.shortfall else words[r.passed], r.expected, r.found, r.why) for r in validation.rules),
    )


# ---------------------------------------------------------------------------------------- rendering


@lru_cache(maxsize=1)
def _templates() -> Any:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    env = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=lambda name: bool(name and name.endswith("html.j2")),
    )
    env.filters["cell"] = lambda text: str(text).replace("|", "\\|").replace("\n", " ")
    return env


def render(facts: Facts, format: str) -> str:
    """Render the facts in one of `FORMATS`."""
    if format == "json":
        return facts.model_dump_json(indent=1) + "\n"
    if format == "csv":
        return _csv(facts)
    tables = [_view(t) for t in facts.tables]
    text: str = _templates().get_template(f"dataset.{format}.j2").render(f=facts, tables=tables)
    return text


def write(facts: Facts, folder: Path) -> list[Path]:
    """Write ``report.md``, ``.html``, ``.txt``, ``.csv`` and ``.json`` into a folder, each whole, and return their paths.

    Raises:
        RecordError: When one cannot be written there.
    """
    paths = [folder / f"report.{format}" for format in FORMATS]
    for path in paths:
        with whole(path) as file:
            file.write(render(facts, path.suffix[1:]))
    return paths


def _view(t: Table) -> dict[str, Any]:
    """Return a table as texts, with its bars drawn and the widths of its columns."""
    rows = [[shown(v, c.kind) for v, c in zip(row, t.columns, strict=True)] for row in t.rows]
    widths = [max(len(c.name), *(len(row[i]) for row in rows)) for i, c in enumerate(t.columns)]
    head = [c.name for c in t.columns]
    return {
        "title": t.title,
        "note": t.note,
        "head": head,
        "rows": rows,
        "right": [c.kind != "text" for c in t.columns],
        "bars": [{"text": drawn(b), "percent": f"{100 * b:.1f}"} for b in t.bars] or None,
        "lines": [
            "  ".join(_padded(v, w, c.kind) for v, w, c in zip(row, widths, t.columns, strict=True)).rstrip() for row in (head, *rows)
        ],
        "width": sum(widths) + 2 * (len(widths) - 1),
    }


def _padded(value: str, width: int, kind: str) -> str:
    return value.ljust(width) if kind == "text" else value.rjust(width)


def _csv(facts: Facts) -> str:
    """Return every value of every table on a line of its own: table, row, column, value."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("table", "row", "column", "value"))
    for t in facts.tables:
        for number, row in enumerate(t.rows, 1):
            writer.writerows((t.id, number, c.name, _safe(v)) for v, c in zip(row, t.columns, strict=True))
    for number, f in enumerate(facts.findings, 1):
        plain = {**f.model_dump(mode="json"), "slice": json.dumps(f.slice), "reasons": json.dumps([r.model_dump() for r in f.reasons])}
        writer.writerows(("findings", number, name, _safe("; ".join(v) if isinstance(v, list) else v)) for name, v in plain.items())
    for number, a in enumerate(facts.advice, 1):
        writer.writerows(("advice", number, name, _safe("; ".join(v) if isinstance(v, tuple) else v)) for name, v in a.model_dump().items())
    return out.getvalue()


def _safe(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
