"""What choosing costs and what it brings: every strategy against a proportional draw of the same size from the same records.

    python benchmarks/mix.py [--records 10000 100000] [--file FILE.jsonl] [--total N]

Without ``--file`` the records are made up: five categories, ten modalities, Big Five levels, scores around 0.6, and texts of 12 sentences
each, drawn from 4,000 sentences of which some are far commoner than others (Zipf), so that wording repeats as it does in sets that
were written from templates.  A quarter is chosen, with shares wanted of modality and traits.  Printed are CPU-seconds (all of it,
sketches included), the peak resident memory so far, the terms of the objective, and distinct-1, -2 and -3 (different n-grams over all;
Li et al., 2016, NAACL) of the whole texts, counted here and not by what the strategy looked at.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable, Sequence
from itertools import accumulate
from pathlib import Path
from random import Random
from typing import get_args

from pixel_synth.mix.choosing import mix
from pixel_synth.mix.files import Lines
from pixel_synth.mix.item import Item
from pixel_synth.recipe import CATEGORIES, Mixing, Recipe, Want
from pixel_synth.records import BigFive

WORDS = 3000
SENTENCES = 4000
MODALITIES = tuple(f"modality_{i}" for i in range(10))
WANTED = (
    Want(dimension="modality", value="modality_0", share=0.2),
    Want(dimension="traits", value="neuroticism:high", share=0.3),
    Want(dimension="traits", value="openness:low", share=0.3),
)
RATIOS = dict(zip(CATEGORIES, (0.30, 0.25, 0.20, 0.15, 0.10), strict=True))
SAMPLE = 5000  # records whose n-grams are counted


def made_up(n: int) -> tuple[list[Item], Callable[[Item], str]]:
    """Return made-up records and a function that gives their text."""
    random = Random(1)
    bank = [" ".join(f"w{int(random.paretovariate(0.7)) % WORDS}" for _ in range(random.randint(6, 18))) for _ in range(SENTENCES)]
    weights = list(accumulate(1 / (rank + 1) for rank in range(SENTENCES)))

    def one(i: int) -> Item:
        traits = tuple(f"{domain}:{random.choice(('low', 'mid', 'mid', 'high'))}" for domain in BigFive.model_fields)
        return Item(
            f"{i:016x}", CATEGORIES[i % 5], f"source_{random.randrange(6)}", "MIT", "", "session", "", random.choice(MODALITIES),
            "", "", "", "en", traits, (), "", min(1.0, max(0.0, random.gauss(0.6, 0.12))), None, True,
            False, 150, None, 12, True, i * 1000, 1000,
        )  # fmt: skip

    def text(item: Item) -> str:
        return ". ".join(Random(item.id).choices(bank, cum_weights=weights, k=12))

    return [one(i) for i in range(n)], text


def distinct(items: Sequence[Item], text: Callable[[Item], str]) -> list[float]:
    """Return distinct-1, -2 and -3 of the first `SAMPLE` records."""
    seen: list[set[tuple[str, ...]]] = [set(), set(), set()]
    all_ = [0, 0, 0]
    for item in items[:SAMPLE]:
        words = text(item).lower().split()
        for n in (1, 2, 3):
            grams = list(zip(*(words[i:] for i in range(n)), strict=False))
            seen[n - 1].update(grams)
            all_[n - 1] += len(grams)
    return [len(s) / a if a else 0.0 for s, a in zip(seen, all_, strict=True)]


def table(items: list[Item], text: Callable[[Item], str], total: int, wanted: tuple[Want, ...], ratios: dict[str, float]) -> None:
    """Print a line per strategy."""
    print(f"\n{len(items):,} records, {total:,} chosen")
    print(
        f"{'strategy':<13} {'CPU s':>7} {'peak MB':>8} {'passes':>6} {'quality':>8} {'missing':>8} "
        f"{'distinct-1':>10} {'-2':>7} {'-3':>7}  sketch"
    )
    for name in get_args(Mixing):
        began = time.process_time()
        made = mix(items, Recipe(total=total, mixing=name, wanted=wanted, unscored=True), ratios, text)  # type: ignore[arg-type]
        spent = time.process_time() - began
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        grams = distinct(made.chosen, text)
        missing = sum(c.shortfall for c in made.cells)
        more = f"{made.variety.chosen / made.variety.proportional - 1:+.1%}" if made.variety else ""
        quality = "–" if made.terms.quality is None else f"{made.terms.quality:.4f}"
        print(
            f"{name:<13} {spent:>7.1f} {peak:>8.0f} {max(0, len(made.passes) - 1):>6} {quality:>8} {missing:>8,} "
            f"{grams[0]:>10.4f} {grams[1]:>7.4f} {grams[2]:>7.4f}  {more}"
        )


def main() -> None:
    """Run it."""
    p = argparse.ArgumentParser(description="Cost and gain of the strategies of pixel-synth mix.")
    p.add_argument("--records", type=int, nargs="+", default=[10_000, 100_000])
    p.add_argument("--file", type=Path, help="real records instead, all of one category")
    p.add_argument("--total", type=int, help="records to choose (default a quarter)")
    args = p.parse_args()
    if args.file:
        with Lines([args.file]) as lines:
            items = lines.items()
            table(items, lines.text, args.total or len(items) // 4, (), {items[0].category: 1.0})
        return
    for n in args.records:
        table(*made_up(n), args.total or n // 4, WANTED, {str(k): v for k, v in RATIOS.items()})


if __name__ == "__main__":
    main()
