"""What was generated and what others made → curated → mixed to the ratios → split without leakage → one documented dataset.

python pipelines/dataset.py --input runs/psychology-001 --total 100            a run of pipelines/psychology.py alone
python pipelines/dataset.py --input runs/psychology-001 --input mental_health:MIT=talks.csv --total 1000 --ratio voice=0 --when-short report
python pipelines/dataset.py --source counsel_chat --source psych8k --input runs/psychology-001 --format chat --format parquet
python pipelines/dataset.py … --dry-run                                        what would go in, and what its licences permit
python pipelines/dataset.py --resume runs/dataset-001                          go on after a stop or a kill

A recipe is better kept in pixel.toml, under [dataset]; `pixel-synth config show --dataset` prints the one in force.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from pixel_synth.runs.dataset_job import main

if TYPE_CHECKING:
    from pixel_synth.runs.assemble.assembly import Assembly


def build(dataset: Assembly) -> int:
    """Seven stages and what is shown of them; each keeps its books, and is skipped when it is proven done."""
    from pixel_synth.runs.assemble import blend, divide, finish, gather, publish, score, screen, unique

    recipe = dataset.recipe
    dataset.stage("01-gather", gather.gather, **gather.decides(recipe))
    dataset.stage("02-screen", screen.screen, **screen.decides(recipe))
    dataset.stage("03-deduplicate", unique.unique, jaccard=recipe.jaccard, semantic=recipe.semantic, seed=recipe.seed)
    dataset.stage("04-score", score.score, gate=dataset.gate.model_dump(mode="json"))
    dataset.stage("05-mix", blend.blend, **blend.decides(dataset))
    dataset.stage("06-split", divide.divide, **divide.decides(recipe))
    dataset.stage("07-publish", publish.publish, into=dataset.run.path / "data", **publish.decides(recipe))
    return finish.finish(dataset)


if __name__ == "__main__":
    sys.exit(main(__doc__ or "", build))
