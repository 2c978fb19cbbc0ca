"""What the files beside the records tell: stages, mix, splits, duplicates, and what the gate rejected."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pixel_synth.books import Reject
from pixel_synth.errors import RecordError
from pixel_synth.jsonl import read
from pixel_synth.prove.rules.rule import Place, Target
from pixel_synth.prove.slices import GATE, Slices, kind_of_reason
from pixel_synth.prove.tables import Table, table

REASONS = 8  # of a stage that are shown
# What is known of a record before it is scored; the other labels are given with the scores, and only to what is kept.
BEFORE = ("source", "category", "kind", "length")


class Stage:
    """A stage as its ``stage.json`` tells of it."""

    def __init__(self, path: Path) -> None:
        data = json.loads(path.read_text(encoding="utf-8"))
        books = data["books"]
        self.name, self.folder = path.parent.name, path.parent
        self.kept, self.rejected, self.failed = (int(books.get(k, 0)) for k in ("kept", "rejected", "failed"))
        self.reasons: dict[str, int] = dict(books.get("reasons", {}))
        self.facts: dict[str, Any] = dict(data.get("facts", {}))
        self.wall_s, self.peak_mb = data.get("wall_s"), data.get("peak_mb")

    @property
    def taken(self) -> int:
        """How many came in."""
        return self.kept + self.rejected + self.failed


def stages(found: Target) -> list[Stage]:
    """Return the finished stages in order; one whose file is damaged is left out here and named by the validator."""
    done = []
    for path in sorted((found.home / "stages").glob("*/stage.json")):
        try:
            done.append(Stage(path))
        except (ValueError, KeyError, TypeError):
            continue
    return done


def tables(found: Target, done: list[Stage]) -> Iterator[Table]:
    """Yield the tables of what lies beside the records."""
    if done:
        first = max(1, done[0].taken)
        columns = "stage, taken:count, kept:count, rejected:count, failed:count, left of all:share"
        yield table(
            "funnel",
            "From what came in to what is in it",
            columns,
            ((s.name, s.taken, s.kept, s.rejected, s.failed, s.kept / first) for s in done),
            bar="left of all",
            note="Taken = kept + rejected + failed; what one stage keeps the next takes.",
        )
        yield table(
            "reasons",
            "Why records were not kept",
            "stage, reason, records:count, of the stage:share",
            ((s.name, why, n, n / max(1, s.taken)) for s in done for why, n in list(s.reasons.items())[:REASONS]),
            bar="of the stage",
        )
    yield from _mix(found.mix or {})
    yield from _duplicates(found, done)
    yield from _split(found.split or {})


def _mix(mix: dict[str, Any]) -> Iterator[Table]:
    if rows := mix.get("categories"):
        keys = ("category", "wanted", "available", "chosen", "shortfall", "words", "tokens", "quality")
        columns = "category, wanted:count, available:count, chosen:count, shortfall:count, words:count, tokens:count, mean quality:number"
        told = f"Strategy {mix.get('strategy')}, {mix.get('asked'):,} asked for." if isinstance(mix.get("asked"), int) else ""
        tokens = " Tokens were not counted: the recipe names no tokenizer." if all(r.get("tokens") is None for r in rows) else ""
        yield table(
            "mix", "The mix against what was wanted", columns, ([r.get(k) for k in keys] for r in rows), note=told + tokens, bar="chosen"
        )
    if wanted := [c for c in mix.get("cells", ()) if c.get("wanted") is not None]:
        columns = "dimension, value, wanted:count, available:count, chosen:count, shortfall:count"
        yield table(
            "cells",
            "Shares asked for inside the mix",
            columns,
            ([c.get(k) for k in ("dimension", "value", "wanted", "available", "chosen", "shortfall")] for c in wanted),
        )


def _duplicates(found: Target, done: list[Stage]) -> Iterator[Table]:
    path = found.home / "clusters.jsonl"
    if not path.is_file():
        return
    clusters, members, dropped, sizes = 0, 0, Counter[str](), Counter[int]()
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            try:
                here = json.loads(line).get("members", [])
            except (ValueError, AttributeError) as error:
                raise RecordError(f"{path}:{number}: no cluster: {error}", hint="make it again: pixel-synth dedup FILE -o DIR") from error
            clusters += 1
            members += len(here)
            sizes[len(here)] += 1
            dropped.update(m.get("how") or "?" for m in here if not m.get("kept", True))
    rows = [
        ("clusters", clusters),
        ("records in them", members),
        ("largest cluster", max(sizes, default=0)),
        *((f"dropped, {how}", n) for how, n in sorted(dropped.items())),
    ]
    yield table(
        "duplicates", "Duplicates", "what, records:count", rows, note="clusters.jsonl names every member and why its keeper was kept."
    )


def _split(split: dict[str, Any]) -> Iterator[Table]:
    rows = split.get("splits") or []
    if rows:
        columns = "split, wanted:count, records:count, words:count, tokens:count, mean quality:number"
        yield table(
            "split",
            "How the splits came out",
            columns,
            ([r.get(k) for k in ("name", "wanted", "records", "words", "tokens", "quality")] for r in rows),
            note="; ".join((f"Strategy {split.get('strategy')}, seed {split.get('seed')}", *(split.get("notes") or ()))) + ".",
        )
    if checks := (split.get("certificate") or {}).get("checks"):
        yield table(
            "certificate",
            "Leakage certificate",
            "check, of:count, crossing:count, let go:count, passed",
            ((c["name"], c["of"], c["found"], c.get("let_go", 0), "yes" if c["passed"] else "NO") for c in checks),
        )


def gated(found: Target) -> Slices | None:
    """Return every record that the gate looked at, with whether it was rejected and why; ``None`` where no stage tells."""
    folder = next(
        (p.parent for p in sorted((found.home / "stages").glob("*score*/rejects.jsonl")) if (p.parent / "kept.jsonl").is_file()), None
    )
    if folder is None:
        return None
    slices, name = Slices(BEFORE), folder.relative_to(found.home).as_posix()
    for row in read(folder / "kept.jsonl"):
        if row.record is not None and row.record.verdict is not None:
            slices.add(row.record, Place("", f"{name}/kept.jsonl", row.line), {GATE: (False, "")})
    with (folder / "rejects.jsonl").open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                reject = Reject.model_validate_json(line)
            except ValidationError:
                continue  # the validator's rule of books names the file
            if reject.record is not None:
                slices.add(reject.record, Place("", f"{name}/rejects.jsonl", number), {GATE: (True, kind_of_reason(reject.reason))})
    return slices


def shortfalls(found: Target) -> Iterator[tuple[str, str]]:
    """Yield what is missing, and what to do about it."""
    mix = found.mix or {}
    for row in mix.get("categories", ()):
        if row.get("shortfall"):
            some = "add sources of it; when_short = shrink keeps the ratios exact with fewer records"
            none = f"no source here gives this category: add one, or make a dataset without it (--ratio {row.get('category')}=0)"
            yield f"{row.get('category')}: {_of(row)}", some if row.get("available") else none
    for cell in mix.get("cells", ()):
        if cell.get("shortfall"):
            told = f"{cell.get('dimension')} {cell.get('value')}: {_of(cell)}"
            yield told, "generate more of it (topics, modalities and populations of the settings), or ask for less"


def _of(row: dict[str, Any]) -> str:
    chosen, wanted, available = (int(row.get(key) or 0) for key in ("chosen", "wanted", "available"))
    return f"{chosen:,} of {wanted:,} records, {available:,} were there"
