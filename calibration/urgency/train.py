"""Train the model of urgency and write ``pixel_synth/scorers/urgency.json``.

    python calibration/urgency/train.py [--counsel-chat PATH/20200325_counsel_chat.csv]

Reads every ``train_*.jsonl`` beside it: utterances written to order for this model by people who had the definition of the levels
and knew nothing of the model.  ``test.jsonl`` is an independent author's and is never read here.  Added at a low weight:
the client's lines of the knowledge packs (routine; of the crisis protocols low, moderate and high as elevated, urgent and
emergency) and, where given, questions of Counsel Chat (Bertagnolli 2020, MIT licence) in which no graded phrase occurs, as
routine.  Needs scikit-learn.

Printed: what the written utterances get when they are left out (five folds), by the model alone and together with the phrases.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
from base64 import b64encode
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from pixel_synth.calibrate.labels import held_out
from pixel_synth.draw import Draw
from pixel_synth.grammar import expand
from pixel_synth.scorers import risk, urgency_model
from pixel_synth.scorers.talk import of_text

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
TARGET = ROOT / "pixel_synth" / "scorers" / "urgency.json"
FOLDS = 5
STRENGTH = 3.0  # inverse of the L2 penalty; of 1, 3, 6, 12, 30 the least cost in cross-validation
PACK_LINES, PACK_WEIGHT = 1500, 0.05  # client lines of the packs that are drawn, and what one weighs against a written utterance
CRISIS_WEIGHT = 0.1
CHAT_WEIGHT = 0.3
CRISIS_LEVEL = {"low": 1, "moderate": 2, "high": 3}
SLOT = {
    "I": "I", "me": "me", "my": "my", "myself": "myself", "event": "the move", "since": "since the move", "duration": "four months",
    "job": "a driver",
    "work": "the depot", "person": "my sister", "they": "she", "them": "her", "their": "her", "thought": "I let everyone down",
    "avoid": "opening the post",
    "want": "sit through dinner", "step": "walk to the corner", "cope": "scrolling", "strength": "how I turn up",
    "body": "a weight on my chest",
    "ward": "my son", "wthey": "he", "wthem": "him", "wtheir": "his",
}  # fmt: skip


class Row(NamedTuple):
    """An utterance to learn from; ``fold`` is -1 where it is no written utterance and always learnt from."""

    text: str
    level: int
    weight: float
    fold: int


def written() -> list[Row]:
    """Return the written utterances, spread over the folds by a hash of their text."""
    rows = []
    for path in sorted(HERE.glob("train_*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            fold = int(hashlib.sha256(row["text"].encode()).hexdigest(), 16) % FOLDS
            rows.append(Row(row["text"], row["level"], 1.0, fold))
    return rows


def says(node: Any, level: str = "any") -> list[tuple[str, str]]:
    """Return (level, line) of everything a client says in a pack."""
    if isinstance(node, list):
        return [found for part in node for found in says(part, level)]
    if not isinstance(node, dict):
        return []
    level = node.get("level", level)
    own = [(level, node["say"])] if isinstance(node.get("say"), str) else []
    return own + [found for part in node.values() for found in says(part, level)]


def spoken(line: str) -> str:
    """Return a talk line with a drawn alternative at each choice."""
    draw = Draw("urgency", line)
    return expand(line, draw.below, lambda name: SLOT.get(name, "it"))


def packs() -> list[Row]:
    """Return the client's lines of the packs; of the ordinary ones a sample without any graded phrase."""
    routine: list[str] = []
    crisis: list[Row] = []
    for path in sorted((ROOT / "knowledge").rglob("*.yaml")):
        pack = yaml.safe_load(path.read_text(encoding="utf-8"))
        if not isinstance(pack, dict) or "entries" not in pack:
            continue
        for level, line in says(pack["entries"]):
            if "crisis" in path.parts:
                crisis += [Row(spoken(line), CRISIS_LEVEL[level], CRISIS_WEIGHT, -1)] if level in CRISIS_LEVEL else []
            else:
                routine.append(line)
    drawn = Draw("urgency", "packs").shuffled(sorted(set(routine)))[: PACK_LINES * 2]
    plain = [text for text in map(spoken, drawn) if not risk.grade(of_text(text))][:PACK_LINES]
    return [Row(text, 0, PACK_WEIGHT, -1) for text in plain] + crisis


def chat(path: Path) -> list[Row]:
    """Return Counsel Chat questions without a graded phrase, as routine; three fifths of all questions are left for reading."""
    with path.open(encoding="utf-8", newline="") as file:
        questions = sorted({r["questionText"].strip() for r in csv.DictReader(file)} - {""})
    learnt = [q for q in questions if not held_out(q) and len(q.split()) < 90]
    return [Row(q, 0, CHAT_WEIGHT, -1) for q in learnt if not risk.all_mentions(of_text(q).client[0])]


def matrix(rows: list[Row]) -> csr_matrix:
    """Return the features, one row per utterance."""
    data: list[float] = []
    at: list[int] = []
    ends = [0]
    for row in rows:
        turn = of_text(row.text).client[0]
        found = urgency_model.features([urgency_model.hear(turn.text)], risk.marks(risk.all_mentions(turn)))
        data += np.repeat(found.values, np.diff([*found.starts, len(found.buckets)])).tolist()
        at += found.buckets.tolist()
        ends.append(len(data))
    table = csr_matrix((data, at, ends), shape=(len(rows), urgency_model.BUCKETS))
    table.sum_duplicates()
    return table


def fit(x: csr_matrix, level: np.ndarray, weight: np.ndarray) -> list[LogisticRegression]:
    """Fit one logistic regression per threshold."""
    return [LogisticRegression(C=STRENGTH, solver="liblinear").fit(x, level >= k, sample_weight=weight) for k in (1, 2, 3)]


def kappa(true: np.ndarray, given: np.ndarray) -> float:
    """Return the quadratically weighted kappa (Cohen, 1968) of two lists of levels 0-3."""
    counts = np.histogram2d(true, given, bins=(range(5), range(5)))[0]
    off = np.subtract.outer(range(4), range(4)) ** 2
    chance = np.outer(counts.sum(1), counts.sum(0)) / counts.sum()
    return float(1 - (off * counts).sum() / (off * chance).sum())


def told(name: str, true: np.ndarray, given: np.ndarray) -> None:
    """Print confusion matrix, cost and kappa."""
    counts = np.histogram2d(true, given, bins=(range(5), range(5)))[0].astype(int)
    cost = float((counts * np.array(urgency_model.COST)).sum() / len(true))
    missed = f"emergencies called routine {counts[3, 0]} of {counts[3].sum()}"
    print(f"{name}: mean cost {cost:.3f}, quadratic kappa {kappa(true, given):.3f}, {missed}")
    for level, row in enumerate(counts):
        print(f"   true {level}: {'  '.join(f'{n:4d}' for n in row)}")


def cut(p: np.ndarray, positive: np.ndarray, precision: float = 0.95) -> float:
    """Return the least probability from which on at least this share is positive."""
    order = np.argsort(-p)
    share = np.cumsum(positive[order]) / np.arange(1, len(p) + 1)
    enough = np.flatnonzero(share >= precision)
    return float(p[order][enough[-1]]) if len(enough) else 1.0


def main() -> None:
    """Train, tell how it does on what it has not seen, and write the weights."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--counsel-chat", type=Path, help="the CSV file of Counsel Chat")
    args = parser.parse_args()
    rows = written()
    n = len(rows)
    rows += packs()
    rows += chat(args.counsel_chat) if args.counsel_chat else []
    print(f"{n} written utterances, {len(rows) - n} others")
    x, level = matrix(rows), np.array([r.level for r in rows])
    weight, fold = np.array([r.weight for r in rows]), np.array([r.fold for r in rows])
    logits = np.zeros((n, 3))
    for k in range(FOLDS):
        parts = fit(x[fold != k], level[fold != k], weight[fold != k])
        here = np.flatnonzero(fold == k)
        logits[here] = np.column_stack([part.decision_function(x[here]) for part in parts])
    # Platt (1999): slope and intercept that make the left-out probabilities fit what was true.
    platt = [LogisticRegression(C=1e6).fit(logits[:, [k]], level[:n] > k) for k in range(3)]
    slope, shift = [float(p.coef_[0, 0]) for p in platt], [float(p.intercept_[0]) for p in platt]
    q = 1 / (1 + np.exp(-(logits * slope + shift)))
    q = np.minimum.accumulate(q, axis=1)
    apart = [float(roc_auc_score(level[:n] > k, logits[:, k])) for k in range(3)]
    print("AUC of the model, left-out utterances:", ", ".join(f"level >= {k + 1}: {a:.3f}" for k, a in enumerate(apart)))
    model = np.array([urgency_model.decide(tuple(row)) for row in q])
    phrases = np.array([risk.grade(of_text(r.text)) for r in rows[:n]])
    both = np.array([risk.combined(int(p), tuple(row)) for p, row in zip(phrases, q, strict=True)])
    told("phrases alone", level[:n], phrases)
    told("model alone", level[:n], model)
    told("both", level[:n], both)
    final = fit(x, level, weight)
    coefficients = [part.coef_[0] * s for part, s in zip(final, slope, strict=True)]
    scales = [float(abs(c).max() / 127) for c in coefficients]
    bytes_ = [np.round(c / s).astype(np.int8).tobytes() for c, s in zip(coefficients, scales, strict=True)]
    kept = np.column_stack([x[:n] @ (np.frombuffer(b, np.int8) * s) for b, s in zip(bytes_, scales, strict=True)])
    exact = np.column_stack([x[:n] @ c for c in coefficients])
    print(f"largest change of a logit by eight-bit weights: {abs(kept - exact).max():.2f}")
    intercepts = [float(part.intercept_[0]) * s + b for part, s, b in zip(final, slope, shift, strict=True)]
    data = {
        "version": hashlib.sha256(b"".join(bytes_)).hexdigest()[:12],
        "trained_on": {path.name: len(path.read_text(encoding="utf-8").splitlines()) for path in sorted(HERE.glob("train_*.jsonl"))},
        "others": len(rows) - n,
        "urgent_cut": round(cut(q[:, 1], level[:n] >= 2), 4),
        "intercepts": [round(v, 5) for v in intercepts],
        "scales": [round(v, 8) for v in scales],
        "weights": [b64encode(b).decode() for b in bytes_],
    }
    TARGET.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    print(f"{TARGET.relative_to(ROOT)}: {TARGET.stat().st_size // 1000} kB, model {data['version']}, cut {data['urgent_cut']}")


if __name__ == "__main__":
    main()
