"""The last stage of a run: dataset files, figures, report, card, manifest; all pure functions of the outcomes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pixel_synth.plan import Plan
from pixel_synth.publish import figures, report
from pixel_synth.publish import performance as measured
from pixel_synth.publish.export import export
from pixel_synth.publish.tally import Tally
from pixel_synth.records import Conversation
from pixel_synth.runs import anchoring
from pixel_synth.runs.directory import Run, write_atomic


def finish(run: Run, plan: Plan) -> Tally:
    """Write everything a finished run hands out, and return the tally it was made from."""
    settings, gate = run.settings, run.gate
    tally, files = export(run.outcomes(), run.path, run.links.judges[0].model if settings.judges else "")
    for slot in range(settings.accept):
        if slot not in tally.slots:
            tally.never_begun(plan.cells[slot][:4])
    real = report.reference_scores(plan.knowledge, settings.weights, gate)
    facts = report.facts(tally, plan, settings, gate, real, anchoring.shifts(run, plan.knowledge))
    ticks = {metric: [v for v in column if v is not None] for metric, column in real.items()}
    drawn = {
        "coverage": figures.coverage_map(tally),
        "scores": figures.score_histograms(tally, settings.thresholds, ticks),
        "lengths": figures.turn_lengths(tally),
    }
    texts = {f"figures/{name}.svg": svg for name, svg in drawn.items()}
    texts |= {f"report.{format}": report.render(facts, format, drawn) for format in ("md", "html", "json")}
    texts["README.md"] = report.card(facts, _quote(tally.first) if tally.first else "None was accepted.")
    for name, text in texts.items():
        write_atomic(run.path / name, text)
    anchors = [run.path / anchoring.FILE] if (run.path / anchoring.FILE).is_file() else []
    written = [*files, *anchors, run.path / "plan.jsonl", *(run.path / name for name in texts)]
    run.write_manifest([Path(p) for p in written])
    return tally


def performance(run: Run, tally: Tally) -> dict[str, Any]:
    """Write how the run went in time and tokens, and return it."""
    found = measured.facts(run.path, run.info, run.settings, tally, run.links.generator.gpus)
    series = found.pop("series")
    if len(series) > 2:
        write_atomic(run.path / "figures" / "performance.svg", figures.performance(series))
    write_atomic(run.path / "performance.json", json.dumps({**found, "series": series}, indent=2) + "\n")
    write_atomic(run.path / "performance.md", report.performance({**found, "series": series}))
    return found


def _quote(conversation: Conversation) -> str:
    lines = [f"**{'Client' if m.role == 'user' else 'Therapist'}:** {m.content}" for m in conversation.messages]
    return "\n\n".join(f"> {line}" for line in lines)
