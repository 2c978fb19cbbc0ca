"""The sections of a dataset card about a split: how it was made, and its certificate."""

from __future__ import annotations

from pixel_synth.mix.certificate import Certificate
from pixel_synth.mix.overlap import RUN
from pixel_synth.mix.split_files import Report


def section(report: Report) -> str:
    """Return the section of a dataset card about the split: sizes, balance, notes, certificate."""
    head = "| split | records | wanted | words | tokens | mean quality |\n|---|---:|---:|---:|---:|---:|"
    rows = [
        f"| {s.name} | {s.records:,} | {s.wanted:,} | {s.words:,} | {'not counted' if s.tokens is None else f'{s.tokens:,}'} | "
        f"{'not scored' if s.quality is None else f'{s.quality:.3f}'} |" for s in report.splits
    ]  # fmt: skip
    notes = [f"* {note}" for note in report.notes]
    parts = (
        "## Splits",
        "",
        f"Strategy {report.strategy}, seed {report.seed}; {report.components:,} components, none is cut.",
        "",
        head,
        *rows,
        "",
    )
    return "\n".join((*parts, *notes, *([""] if notes else []), certificate_section(report.certificate) if report.certificate else ""))


def certificate_section(certificate: Certificate) -> str:
    """Return the section of a dataset card that shows the certificate."""
    c = certificate
    rows = [
        f"| {check.name} | {check.of:,} | {check.found:,} | {'yes' if check.passed else '**no**'} | {check.how}"
        + (f"; {check.let_go:,} let go" if check.let_go else "") + " |"
        for check in c.checks
    ]  # fmt: skip
    highest = "no two records of different splits share five words in a row"
    if c.highest:
        h = c.highest
        highest = f"the most alike pair has {h.similarity:.3f}: {h.a} ({h.a_split}) and {h.b} ({h.b_split})"
    seen = [
        f"* {s.split}: {s.records:,} of {s.of_records:,} records hold a run of {RUN} words that train has too; "
        f"{s.runs:,} of {s.of_runs:,} distinct runs." for s in c.contamination
    ]  # fmt: skip
    files = ", ".join(f"{f.name} ({f.records:,} records, SHA-256 {f.sha256[:12]}…)" for f in c.files.values())
    leaks = [f"* {check.name}: {pair}" for check in c.failing for pair in check.named]
    return "\n".join((
        f"## Leakage certificate: {'passed' if c.passed else 'FAILED'}", "",
        f"Read again from the files: {files}.", "",
        "| check | of | cross | passed | what was compared |", "|---|---:|---:|---|---|", *rows, "",
        f"Similarity of different splits (limit {c.limit:.2f}): {highest}.", "", *seen,
        *(["", "What crosses:", "", *leaks] if leaks else []), "",
    ))  # fmt: skip
