"""The scorers on hand-written attuned sessions and on spoiled copies of them: minimum / mean per metric.

    python benchmarks/spoiled.py

The sessions and the ways of spoiling them are those of the tests (tests/scorers/conftest.py).  They were written together with
the measures: a sanity check, not evidence.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

from pixel_synth.knowledge import load
from pixel_synth.records import Conversation
from pixel_synth.scorers import score_all

METRICS = ("coherence", "emotional_authenticity", "therapeutic_accuracy")


def fixtures() -> Any:
    """Load the tests' module of sessions and corruptions."""
    path = Path(__file__).resolve().parent.parent / "tests" / "scorers" / "conftest.py"
    spec = importlib.util.spec_from_file_location("fixtures", path)
    if spec is None or spec.loader is None:
        raise SystemExit(f"{path} is not there: run this from a checkout")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main() -> None:
    """Print the table."""
    f, base = fixtures(), load()
    attuned = f.ATTUNED
    copies: dict[str, list[Conversation]] = {
        "attuned": attuned,
        "canned replies": [f.with_therapist(c, f.CANNED) for c in attuned],
        "dismissive": [f.with_therapist(c, f.DISMISSIVE) for c in attuned],
        "lecture": [f.with_therapist(c, f.LECTURE) for c in attuned],
        "other session's therapist": [f.off_topic(c, d) for c in attuned for d in attuned if c.id != d.id],
        "shuffled": [f.shuffled(c, seed) for c in attuned for seed in range(5)],
    }
    print(f"{'':<28}" + "".join(f"{m:>26}" for m in METRICS))
    for name, conversations in copies.items():
        cells = []
        for metric in METRICS:
            found = [s.value for c in conversations for s in score_all(c, base) if s.metric == metric and s.value is not None]
            cells.append(f"{min(found):.2f} / {sum(found) / len(found):.2f} (n={len(found)})")
        print(f"{name:<28}" + "".join(f"{cell:>26}" for cell in cells))


if __name__ == "__main__":
    main()
