"""What is made of a finished dataset: card, certificate, mix, report, manifest; and what the script ends with."""

from __future__ import annotations

import shutil

from pixel_synth.runs.assemble.assembly import Assembly
from pixel_synth.runs.screen import say

SHORTFALL = 3


def finish(assembly: Assembly) -> int:
    """Write what stands beside the data, validate all of it, and return the exit status."""
    run = assembly.run
    for stage, name in (("05-mix", "mix.json"), ("06-split", "splits.json"), ("03-deduplicate", "clusters.jsonl")):
        shutil.copyfile(assembly.folder(stage) / name, run.path / name)
    run.write_manifest([p for p in sorted((run.path / "data").rglob("*")) if p.is_file()])
    short = assembly.done[4].facts["short"]
    run.update(status="shortfall" if short else "done")
    say(f"\n{run.path}")
    return SHORTFALL if short else 0
