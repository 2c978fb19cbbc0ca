"""How well the urgency of a client's words is told, on utterances of an author who knew nothing of the detector.

    python benchmarks/urgency.py [FILE] [--counsel-chat PATH/20200325_counsel_chat.csv]

FILE (default ``calibration/urgency/test.jsonl``) has an utterance a line: ``text`` and ``level`` (0 routine, 1 elevated, 2 urgent, 3
emergency).  Beside the detector, in the same run and with the same costs of error: the same three logistic regressions on length
alone and on a plain bag of words, both fitted on the training files.  Intervals: percentile bootstrap over utterances (2,000), and
Wilson's (1927) for counts.  With Counsel Chat (Bertagnolli 2020, MIT licence) 40 of its questions rated highest and 20 drawn ones,
of those that training never reads, are printed to be read.  Needs scikit-learn.  The labels were written to order; no clinician rated them.
"""

from __future__ import annotations

import argparse
import csv
import json
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pixel_synth.calibrate.coefficients import auc, kappa
from pixel_synth.calibrate.fit import wilson
from pixel_synth.calibrate.interval import bootstrap
from pixel_synth.calibrate.labels import held_out
from pixel_synth.draw import Draw
from pixel_synth.scorers import risk, urgency_model
from pixel_synth.scorers.risk import NAMES
from pixel_synth.scorers.talk import of_text

HERE = Path(__file__).resolve().parent.parent / "calibration" / "urgency"
LEVELS = (0.0, 1.0, 2.0, 3.0)


class Told(NamedTuple):
    """What a detector says of each utterance: its level and its expected level."""

    level: NDArray[np.float64]
    expected: NDArray[np.float64]


def rows(path: Path) -> list[dict[str, Any]]:
    """Return the utterances of a file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def detector(texts: list[str]) -> Told:
    """Return what `risk.urgency` says."""
    found = [risk.urgency(text) for text in texts]
    return Told(np.array([float(u.level) for u in found]), np.array([u.expected for u in found]))


def baseline(train: list[dict[str, Any]], texts: list[str], words: bool) -> Told:
    """Fit three logistic regressions on a bag of words or on length, and return what they say."""
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression

    if words:
        bag = CountVectorizer(min_df=2, binary=True).fit(r["text"] for r in train)
        x, y = bag.transform(r["text"] for r in train), bag.transform(texts)
    else:
        x, y = (np.log([[len(t.split())] for t in said]) for said in ([r["text"] for r in train], texts))
    level = np.array([r["level"] for r in train])
    q = np.column_stack([LogisticRegression(max_iter=1000).fit(x, level >= k).predict_proba(y)[:, 1] for k in (1, 2, 3)])
    q = np.minimum.accumulate(q, axis=1)
    return Told(np.array([float(urgency_model.decide((a, b, c))) for a, b, c in q]), q.sum(axis=1))


def tell(name: str, true: NDArray[np.float64], told: Told) -> None:
    """Print confusion matrix and figures."""
    counts = np.array([[int(((true == a) & (told.level == b)).sum()) for b in LEVELS] for a in LEVELS])
    print(f"\n{name}\n{'true / told':>12}  {'  '.join(f'{n:>9}' for n in NAMES)}")
    for label, line in zip(NAMES, counts, strict=True):
        print(f"{label:>12}  {'  '.join(f'{n:>9}' for n in line)}")
    for what, k, n in (
        ("emergencies called routine", counts[3, 0], counts[3].sum()),
        ("emergencies below urgent", counts[3, :2].sum(), counts[3].sum()),
        ("urgent called routine", counts[2, 0], counts[2].sum()),
        ("routine called urgent or emergency", counts[0, 2:].sum(), counts[0].sum()),
    ):
        low, high = wilson(int(k), int(n))
        print(f"  {what}: {k} of {n} [{low:.2f}, {high:.2f}]")
    print(f"  quadratic kappa {bootstrap(lambda a, b: kappa(a, b, levels=LEVELS), true, told.level)}")
    print(f"  AUC of urgent and emergency against the rest {bootstrap(auc, told.expected, (true >= 2).astype(float))}")
    cost = float((counts * np.array(urgency_model.COST)).sum() / len(true))
    print(f"  mean cost of error {cost:.3f}, exact {np.trace(counts) / len(true):.0%}")


def by_kind(data: list[dict[str, Any]], told: Told) -> None:
    """Print, per kind, how many of its urgent and emergency utterances are told as such."""
    print("\nurgent or emergency, told as urgent or emergency:")
    for kind in sorted({r["kind"] for r in data}):
        mine = [told.level[i] >= 2 for i, r in enumerate(data) if r["kind"] == kind and r["level"] >= 2]
        if mine:
            print(f"  {kind:<12} {sum(mine):>3} of {len(mine)}")


def to_read(path: Path) -> None:
    """Print Counsel Chat questions: those rated highest, and drawn ones."""
    with path.open(encoding="utf-8", newline="") as file:
        questions = sorted({r["questionText"].strip() for r in csv.DictReader(file) if held_out(r["questionText"].strip())} - {""})
    rated = {q: risk.urgency(q) for q in questions}
    print(f"\nCounsel Chat: {len(questions)} questions; " + ", ".join(f"{n} {sum(u.name == n for u in rated.values())}" for n in NAMES))
    top = sorted(questions, key=lambda q: (-rated[q].level, -rated[q].expected))[:40]
    for heading, chosen in (("rated highest", top), ("drawn", Draw("urgency", "read").shuffled(questions)[:20])):
        print(f"\n{heading}:")
        for q in chosen:
            quotes = "; ".join(e.quote for e in rated[q].evidence[:4])
            print(f"- {rated[q].name} {rated[q].expected:.2f} {'/'.join(rated[q].kinds)} [{quotes}]\n    {' '.join(q.split())[:300]}")


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, nargs="?", default=HERE / "test.jsonl")
    parser.add_argument("--counsel-chat", type=Path)
    args = parser.parse_args()
    data = rows(args.file)
    texts, true = [r["text"] for r in data], np.array([float(r["level"]) for r in data])
    train = [r for path in sorted(HERE.glob("train_*.jsonl")) for r in rows(path)]
    twice = sum(r["text"] in {t["text"] for t in train} for r in data)
    print(f"{len(data)} utterances of {args.file.name} ({twice} of them in the training files); model {urgency_model.model().version}")
    began = time.perf_counter()
    told = detector(texts)
    print(f"{(time.perf_counter() - began) * 1000 / len(texts):.1f} ms an utterance")
    tell("detector", true, told)
    by_kind(data, told)
    phrases = np.array([float(risk.grade(of_text(text))) for text in texts])
    tell("phrases alone", true, Told(phrases, phrases))
    tell("bag of words", true, baseline(train, texts, words=True))
    tell("length alone", true, baseline(train, texts, words=False))
    if args.counsel_chat:
        to_read(args.counsel_chat)


if __name__ == "__main__":
    main()
