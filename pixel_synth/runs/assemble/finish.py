"""What is made of a finished dataset: card, report, validation, quality points, audit trail, manifest; and what the script ends with."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from pixel_synth.jsonl import conversations, whole
from pixel_synth.prove.audit import Audit
from pixel_synth.prove.monitor.store import METRICS, record
from pixel_synth.prove.report import report, write
from pixel_synth.prove.validate import Validation
from pixel_synth.publish.dataset_card import write_card
from pixel_synth.runs.assemble.assembly import Assembly
from pixel_synth.runs.screen import say

SHORTFALL = 3
BESIDE = {"05-mix": "mix.json", "06-split": "splits.json", "03-deduplicate": "clusters.jsonl"}
MEASURED = ("04-score", "05-mix")  # stages whose records have scores
SHOWN = 8  # broken rules and pieces of advice that are printed


def finish(assembly: Assembly) -> int:
    """Write what stands beside the data, prove all of it, and return the exit status."""
    run = assembly.run
    if run.info.get("finished") == assembly.version and not run.damaged():
        say("card, report, validation: done before")
        before = Validation.model_validate_json((run.path / "validation.json").read_text(encoding="utf-8"))
        told(assembly, before, [])
        return before.status
    beside = [Path(shutil.copyfile(assembly.folder(stage) / name, run.path / name)) for stage, name in BESIDE.items()]
    data = [p for p in sorted((run.path / "data").rglob("*")) if p.is_file()]
    measure(assembly)
    trail(assembly)
    beside.append(write_card(run.path))
    run.write_manifest([*data, *beside])
    found = report(run.path, speed=True)
    beside += write(found, run.path)
    with whole(run.path / "validation.json") as file:
        file.write(found.validation.model_dump_json(indent=1) + "\n")
    run.write_manifest([*data, *beside, run.path / "validation.json"])
    head = Audit(run.path).seal()
    took(assembly)
    status = found.validation.status
    run.update(status={0: "done", SHORTFALL: "shortfall"}.get(status, "broken rules"), finished=assembly.version)
    run.log("finish", "done", status=status, audit_head=str(head))
    told(assembly, found.validation, [f"{a.told}; {a.action}" for a in found.advice])
    return status


def measure(assembly: Assembly) -> None:
    """Add the quality of the scored stages to ``metrics.jsonl``; a run that is gone on with is measured anew."""
    (assembly.run.path / METRICS).unlink(missing_ok=True)
    for name in MEASURED:
        record(assembly.run.path, name, conversations(assembly.folder(name) / "kept.jsonl"))


def took(assembly: Assembly) -> None:
    """Write what the stages took; the figures hold a clock, so they are not in the manifest."""
    rows = [
        {"stage": s.name, "records": s.books.taken, "wall_s": s.wall_s, "cpu_s": s.cpu_s, "peak_mb": s.peak_mb,
         "per_s": round(s.books.taken / s.wall_s, 1) if s.wall_s else None} for s in assembly.done
    ]  # fmt: skip
    slowest = max(assembly.done, key=lambda s: s.wall_s).name
    with whole(assembly.run.path / "performance.json") as file:
        json.dump({"stages": rows, "slowest": slowest}, file, indent=1)
    with whole(assembly.run.path / "performance.md") as file:
        file.write("| stage | records | wall s | CPU s | peak MB | records/s |\n|---|---:|---:|---:|---:|---:|\n")
        for r in rows:
            rate = "–" if r["per_s"] is None else f"{r['per_s']:,}"
            file.write(f"| {r['stage']} | {r['records']:,} | {r['wall_s']:.1f} | {r['cpu_s']:.1f} | {r['peak_mb']:,.0f} | {rate} |\n")
        file.write(f"\nThe slowest stage is {slowest}. Stages that were skipped show what they took when they ran.\n")


def trail(assembly: Assembly) -> None:
    """Chain what each stage left; stages that did not change since have their line already."""
    audit = Audit(assembly.run.path)
    for stage in assembly.done:
        redactions = assembly.private / "redactions.jsonl"
        also = [redactions] if stage.name == "02-screen" and redactions.is_file() else []
        audit.stage(stage.name, assembly.run.path / "data" if stage.name == "07-publish" else None, also)


def told(assembly: Assembly, validation: Validation, advice: list[str]) -> None:
    """Say what came of it and where to look."""
    run, mix = assembly.run.path, assembly.done[4].facts
    say("")
    for q in mix["categories"]:
        missing = f"   {q['shortfall']:,} missing" if q["shortfall"] else ""
        say(f"{q['category']:<15} {q['wanted']:>8,} wanted {q['chosen']:>8,} chosen of {q['available']:,}{missing}")
    short = [rule for rule in validation.failing if rule.shortfall]
    broken = [rule for rule in validation.failing if not rule.shortfall]
    hold = sum(rule.passed is True for rule in validation.rules)
    say(f"\nvalidation: {hold} rules hold, {len(broken)} are broken, {len(short)} tell what is short")
    for rule in broken[:SHOWN]:
        say(f"  {rule.id}: {rule.why}" + (f"; {rule.todo}" if rule.todo else ""))
    if len(broken) > SHOWN or short:
        say(f"  all of them: pixel-synth validate {run}")
    for line in advice[:SHOWN]:
        say(f"  advice: {line}")
    say(f"\n{run}/README.md                          the dataset card")
    say(f"  pixel-synth report {run} --format txt   what is in it, and what to do about its worst slices")
    say(f"  pixel-synth audit ID --run {run}        the way of one record")
    say(f"  pixel-synth push {run} ORG/NAME         what a push to the Hub would send")
    say(f"  python -c \"import datasets; print(datasets.load_dataset('{run}'))\"")
