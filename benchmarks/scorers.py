"""What the scorers say of real text: distributions on Counsel Chat, and how well coherence tells true answers from others.

    python benchmarks/scorers.py PATH/20200325_counsel_chat.csv

Counsel Chat (Bertagnolli 2020, MIT licence) holds questions to therapists and their answers.  Every figure is computed from
the file in this run: per metric the quartiles and the share that passes its threshold, and the AUC of the coherence
score between a question's own answer and the answer to a question on another topic (0.5 = chance).
"""

from __future__ import annotations

import argparse
import csv
import time
from itertools import pairwise
from pathlib import Path

from pixel_synth.draw import Draw
from pixel_synth.knowledge import load
from pixel_synth.records import Conversation, Message, Provenance, stable_id
from pixel_synth.scorers import overall, score_all
from pixel_synth.settings import load_settings


def pair(question: str, answer: str) -> Conversation:
    """Return a two-message conversation."""
    return Conversation(
        id=stable_id(question, answer),
        category="mental_health",
        messages=(Message(role="user", content=question), Message(role="assistant", content=answer)),
        provenance=Provenance(engine="", model="", toolkit="", seed=0, source="counsel-chat", license="MIT"),
    )


def auc(positive: list[float], negative: list[float]) -> float:
    """Return the probability that a positive scores above a negative, ties counting half (Mann–Whitney)."""
    wins = sum((p > n) + 0.5 * (p == n) for p in positive for n in negative)
    return wins / (len(positive) * len(negative))


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("csv", type=Path)
    parser.add_argument("-n", type=int, default=300, help="rows drawn with a fixed seed (default 300)")
    args = parser.parse_args()
    with args.csv.open(encoding="utf-8", newline="") as file:
        rows = [r for r in csv.DictReader(file) if len(r["questionText"]) > 60 and len(r["answerText"]) > 60]
    drawn = Draw("counsel-chat").shuffled(rows)[: args.n]
    base, limits = load(), load_settings().thresholds
    columns: dict[str, list[float]] = {}
    began = time.perf_counter()
    for row in drawn:
        scores = score_all(pair(row["questionText"], row["answerText"]), base)
        for score in (*scores, overall(scores)):
            if score.value is not None:
                columns.setdefault(score.metric, []).append(score.value)
    each = (time.perf_counter() - began) / len(drawn)
    print(f"{len(drawn)} question–answer pairs, {each * 1000:.1f} ms each")
    print(f"{'metric':<26} {'scored':>6} {'p25':>6} {'p50':>6} {'p75':>6}  passing")
    for metric, values in sorted(columns.items()):
        values.sort()
        q = [values[min(len(values) - 1, int(len(values) * f))] for f in (0.25, 0.5, 0.75)]
        passing = f"{sum(v >= limits[metric] for v in values) / len(values):.0%} at {limits[metric]:.2f}" if metric in limits else ""
        print(f"{metric:<26} {len(values):>6} {q[0]:>6.2f} {q[1]:>6.2f} {q[2]:>6.2f}  {passing}")
    own: list[float] = []
    other: list[float] = []
    for a, b in pairwise(drawn):
        if a["topic"] == b["topic"]:
            continue
        for bucket, answer in ((own, a["answerText"]), (other, b["answerText"])):
            value = next(s.value for s in score_all(pair(a["questionText"], answer), base) if s.metric == "coherence")
            if value is not None:
                bucket.append(value)
    print(f"coherence, own answer against an answer on another topic: AUC {auc(own, other):.3f} ({len(own)} against {len(other)})")


if __name__ == "__main__":
    main()
