"""The report of a run: one dictionary of facts, rendered as Markdown, HTML, plain text, CSV and JSON.

All formats show the same numbers because all are made from the same facts; nothing is computed in a template.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from pixel_synth import __version__
from pixel_synth.calibrate.anchors import Shift
from pixel_synth.calibrate.card import scored
from pixel_synth.curate.gate import Gate, Limit
from pixel_synth.knowledge import Knowledge
from pixel_synth.knowledge.models import Disorder
from pixel_synth.plan import Plan, coverage, ruled_out, used
from pixel_synth.publish.tally import Tally, summary
from pixel_synth.scorers import reference
from pixel_synth.settings import Settings

FORMATS = ("md", "html", "txt", "csv", "json")
BAR = 24
# What to do about attempts that failed, by kind.
REMEDIES = {
    "truncated": "the model writes too much; a stronger model, or a longer context (--max-model-len)",
    "invalid": "the server's constraint is weaker than the schema; see data/failed.jsonl, try the other --dialect or backend",
    "empty": "the model answers nothing; see its chat template and `extra_body`",
    "refused": "the model refuses; read data/failed.jsonl, and take another model for these topics",
    "timeout": "the server is overloaded or hangs; a smaller --window, or a larger timeout_s",
    "unreachable": "connections break; see the server's log",
    "rate_limited": "the server allows less than it is asked; a smaller --window",
    "server_error": "the server fails; see its log",
    "bad_request": "requests are refused, mostly because a prompt is too long: see data/failed.jsonl and --max-model-len",
    "error": "see data/failed.jsonl",
}


# Panickssery, A., Bowman, S. R., & Feng, S. (2024). LLM evaluators recognize and favor their own generations. NeurIPS 37.
SELF_PREFERENCE = "Panickssery et al., 2024, LLM evaluators recognize and favor their own generations"


def reference_scores(knowledge: Knowledge, weights: dict[str, float], gate: Gate) -> dict[str, list[float | None]]:
    """Score the packaged real conversations with the same scorers, weights and scales (``None`` = unscored)."""
    columns: dict[str, list[float | None]] = {}
    for conversation in reference():
        for score in gate.scaled(scored(conversation, knowledge, weights)):
            columns.setdefault(score.metric, []).append(score.value if score.calibrated is None else score.calibrated)
    return columns


def facts(
    tally: Tally,
    plan: Plan,
    settings: Settings,
    gate: Gate,
    real: dict[str, list[float | None]] | None = None,
    shifts: Sequence[Shift] = (),
) -> dict[str, Any]:
    """Collect everything the report says.

    Args:
        tally: Counts and scores of the run.
        plan: Of the run.
        settings: Of the run.
        gate: Of the run.
        real: The `reference_scores` where they are known already.
        shifts: How judges and scorers stand on the anchors.
    """
    real = reference_scores(plan.knowledge, settings.weights, gate) if real is None else real
    metrics = [_metric(limit.metric, limit, tally, real.get(limit.metric, [])) for limit in gate.limits]
    named = {limit.metric for limit in gate.limits}
    judged = sorted(m for m in {*tally.scores["accepted"], *tally.scores["rejected"], *tally.unscored} - named if m.startswith("judge."))
    extra = [m for m in ("language_quality", "complexity", "urgency") if tally.scores["accepted"][m]] + judged
    metrics += [_metric(m, None, tally, real.get(m, [])) for m in extra]
    cover = [
        {"dimension": dim, "value": value, "target": target, "planned": planned, "accepted": _share(tally, dim, value)}
        for dim, values in coverage(plan.cells, plan.space).items()
        for value, (target, planned) in values.items()
    ]
    chapters: dict[str, int] = {}
    for topic, n in tally.labels["topic"].items():
        chapter = plan.knowledge.get(Disorder, topic).chapter
        chapters[chapter] = chapters.get(chapter, 0) + n
    d = tally.diversity()
    result = {
        "toolkit": __version__,
        "engine": settings.engine,
        "model": settings.model or settings.engine,
        "seed": settings.seed,
        "wanted": settings.accept,
        "books": tally.books._asdict(),
        "metrics": metrics,
        "coverage": cover,
        "chapters": dict(sorted(chapters.items())),
        "complexity": dict(sorted(tally.labels["complexity"].items())),
        "evidence": dict(tally.evidence.most_common()),
        "therapist_acts": dict(tally.acts.most_common()),
        "messages": {str(k): v for k, v in sorted(tally.turn_counts.items())},
        "words": tally.words,
        "diversity": d._asdict(),
        "common_sentences": [{"sentence": s, "conversations": n} for s, n in tally.common_sentences(10)],
        "anchors": [shift.model_dump() for shift in shifts],
        "self_preference": self_preference(tally),
        "review": {
            **{status: tally.reviewed[status] for status in ("accepted", "rejected")},
            "reasons": [{"reason": r, "count": n} for r, n in sorted(tally.review.items(), key=lambda item: (-item[1], item[0]))],
        },
        "reasons": [{"reason": r, "count": n} for r, n in tally.reasons.most_common(15)],
        "unscored": dict(sorted(tally.unscored.items())),
        "failures": dict(tally.failures.most_common()),
        "shortfall": [{"cell": " × ".join(cell), "slots": n} for cell, n in sorted(tally.short.items())],
        "exclusions": [r._asdict() for r in ruled_out(plan.space)],
        "knowledge": [
            {"kind": kind, "used": n, "entries": there, "uses": uses} for kind, n, there, uses in used(plan.knowledge, tally.knowledge)
        ],
    }
    result["advice"] = advice(result)
    return result


def self_preference(tally: Tally) -> list[dict[str, Any]]:
    """Return for every rubric and judge how many records the model judged that wrote them, and the sentence that says so."""
    rows = []
    for (metric, judge), n in sorted(tally.own.items()):
        of = sum(len(column[metric]) for column in tally.scores.values()) + tally.unscored[metric]
        told = f"{metric}: {n} of {of} conversations were judged by the model that wrote them ({judge}): its scores may flatter it"
        rows.append({"metric": metric, "judge": judge, "records": n, "of": of, "told": f"{told} ({SELF_PREFERENCE})"})
    return rows


def _share(tally: Tally, dimension: str, value: str) -> float:
    return tally.labels[dimension][value] / max(1, tally.books.accepted)


def _metric(name: str, limit: Limit | None, tally: Tally, real: list[float | None]) -> dict[str, Any]:
    least = limit.least if limit else None
    accepted, rejected = tally.scores["accepted"][name], tally.scores["rejected"][name]
    values, known = accepted + rejected, [v for v in real if v is not None]
    found = summary(values)
    return {
        "metric": name,
        "threshold": least,
        "standing": limit.standing if limit else "",
        "why": limit.why if limit else "",
        "card": limit.card if limit else "",
        "rated": limit.fares.model_dump() if limit and limit.fares else None,
        "raw_mean": sum(tally.raw[name]) / len(tally.raw[name]) if tally.raw[name] else None,
        "scored": len(values),
        "unscored": tally.unscored[name],
        "mean": found[0] if found else None,
        "p10": found[1] if found else None,
        "pass": sum(v >= least for v in values) / (len(values) + tally.unscored[name]) if least is not None and values else None,
        "accepted_mean": summary(accepted)[0] if accepted else None,  # type: ignore[index]
        "real_n": len(known),
        "real_mean": sum(known) / len(known) if known else None,
        "real_pass": sum(v >= least for v in known) / len(real) if least is not None and known else None,
    }


def advice(f: dict[str, Any]) -> list[str]:
    """Name what is worst and what to do about it, each derived from a figure of the report."""
    lines = [f"drift: {s['alert']}; read the anchors' answers before you trust its numbers" for s in f["anchors"] if s["alert"]]
    for m in f["metrics"]:
        if m["threshold"] is not None and m["pass"] is not None and m["pass"] < 0.9:
            todo = "it did not count" if m["standing"] == "refused" else "read the others with `pixel-synth show RUN --rejected`"
            lines.append(f"{m['metric']}: {m['pass']:.0%} of the written conversations pass {m['threshold']:.2f}; {todo}")
    refused = [m["metric"] for m in f["metrics"] if m["standing"] == "refused"]
    if refused:
        lines.append(
            f"no calibration card lets these thresholds gate: {', '.join(refused)}. What is accepted is not proven on them; make cards "
            "with `pixel-synth calibrate`, or let them count uncalibrated with --allow-uncalibrated"
        )
    trusted = [m["metric"] for m in f["metrics"] if m["standing"] == "uncalibrated"]
    if trusted:
        lines.append(f"these thresholds counted without a calibration card, because the settings allow it: {', '.join(trusted)}")
    for c in f["coverage"]:
        gap = c["accepted"] - c["target"]
        if abs(gap) > 0.02 and f["books"]["accepted"] >= 100:
            lines.append(f"coverage: {c['dimension']} {c['value']} is {gap:+.1%} from its target; ask for more or widen the filter")
    todo = "raise --max-attempts or the budget, or read its rejects"
    lines += [f"shortfall: {s['cell']} misses {s['slots']}; {todo}" for s in f["shortfall"][:5]]
    for kind, n in f["failures"].items():
        if n > 0.02 * f["books"]["planned"]:
            lines.append(f"failures: {n} of {f['books']['planned']} attempts failed as {kind}: {REMEDIES.get(kind, REMEDIES['error'])}")
    d = f["diversity"]
    if d["commonest_share"] and d["sample"] >= 100 and d["commonest_share"] > 0.02:
        lines.append(f"variety: “{d['commonest']}” is in {d['commonest_share']:.1%} of the conversations; give its source more versions")
    if f["engine"] == "composer":
        lines.append("engine composer: good for a first look, tests and pipelines; train on conversations of a real model")
    return lines


@lru_cache(maxsize=1)
def _templates() -> Environment:
    loader = FileSystemLoader(Path(__file__).parent / "templates")
    env = Environment(loader=loader, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
                      autoescape=lambda name: bool(name and name.startswith("report.html")))  # fmt: skip
    env.filters["pct"] = lambda v: "–" if v is None else f"{v:.1%}"
    env.filters["whole"] = lambda v: "–" if v is None else f"{v:,.0f}"
    env.filters["num"] = lambda v: "–" if v is None else f"{v:.3f}"
    env.filters["bar"] = lambda v: "█" * round((v or 0) * BAR) + "·" * (BAR - round((v or 0) * BAR))
    return env


def render(f: dict[str, Any], format: str, figures: dict[str, str] | None = None) -> str:
    """Render the facts in one of `FORMATS`; figures (name → SVG) are inlined in HTML and linked in Markdown."""
    if format == "json":
        return json.dumps(f, indent=2, ensure_ascii=False) + "\n"
    if format == "csv":
        out = io.StringIO()
        rows = csv.DictWriter(out, fieldnames=[*f["metrics"][0]], lineterminator="\n")
        rows.writeheader()
        rows.writerows(f["metrics"])
        return out.getvalue()
    return _templates().get_template(f"report.{format}.j2").render(f=f, figures=figures or {})


def performance(p: dict[str, Any]) -> str:
    """Render the performance figures as Markdown."""
    return _templates().get_template("performance.md.j2").render(p=p)


def card(f: dict[str, Any], sample: str) -> str:
    """Render the dataset card."""
    return _templates().get_template("card.md.j2").render(f=f, sample=sample)
