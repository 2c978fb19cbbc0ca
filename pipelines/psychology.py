"""Knowledge → plan → generate → score → gate → export: psychology conversations, in one script.

python pipelines/psychology.py                      20 accepted conversations, no GPU, model or server needed
python pipelines/psychology.py --model Qwen/Qwen3-8B -n 1000          the same by a vLLM of our own, on a GPU
python pipelines/psychology.py --base-url http://127.0.0.1:8000/v1    the same by a server that is there
python pipelines/psychology.py … --preview 20       what it would take in time and tokens, from 20 slots
python pipelines/psychology.py -n 1000 --seed 11    a larger run with another plan
python pipelines/psychology.py --dry-run            what would be planned, and what it would cost
python pipelines/psychology.py --preview 2          two conversations on the screen, nothing written
python pipelines/psychology.py --resume runs/psychology-001
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from pixel_synth.runs.job import main

if TYPE_CHECKING:
    from distilabel.pipeline import Pipeline

    from pixel_synth.runs.directory import Run

# Small enough that workers end together, large enough that distilabel's overhead is lost in it.  Where a model answers there is one
# per worker, because it would run empty at the end of each.
SHARDS_PER_WORKER = 4


def build(run: Run, workers: int) -> Pipeline:
    """Two steps: slots without an outcome go in; each is planned, written, scored and gated in one wide step."""
    from distilabel.pipeline import Pipeline
    from distilabel.steps import StepResources

    from pixel_synth.runs.steps import Converse, Slots

    left = run.settings.accept - len(run.positions())
    shards = workers * (SHARDS_PER_WORKER if run.settings.engine == "composer" else 1)
    shard = max(1, -(-left // shards))
    with Pipeline(name="psychology", cache_dir=run.path / ".distilabel") as pipeline:
        slots = Slots(run_path=str(run.path), batch_size=shard)
        converse = Converse(
            run_path=str(run.path), holder=run.holder, remote=bool(run.settings.ray),
            input_batch_size=shard, resources=StepResources(replicas=workers),
        )  # fmt: skip
        slots >> converse
    return pipeline


if __name__ == "__main__":
    sys.exit(main("psychology", __doc__ or "", build))
