"""Train the model of what a helper must not say and write ``pixel_synth/scorers/rules.json``.

    python calibration/rules/train.py [--sessions RUN/data/conversations.jsonl] [--counsel-chat PATH/20200325_counsel_chat.csv]

Reads ``train.jsonl`` beside it: replies written to order for this model with the rules' definitions, half of them breaking a rule, most
of the others near misses, by an author who knew neither the phrases nor the sessions of ``calibration/labels/compliance``, which
are never read here.  Added at a low weight as harmless, where given: what the therapist says in composed sessions, and every second
answer of Counsel Chat (Bertagnolli 2020, MIT licence; by the hash of the answer).  Needs scikit-learn.

Printed per rule, before the checks of context that follow in use: AUC of the model on lines that are left out (five folds), what share of
the breaches the model, the phrases and both find, and how many harmless lines.  The phrases were widened after reading these lines,
so theirs is no figure of what they find elsewhere.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
from base64 import b64encode
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple
from zlib import compress

import numpy as np
from scipy.sparse import csr_matrix, vstack
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from pixel_synth.scorers import rules_model
from pixel_synth.scorers.safety_rules import by_phrase
from pixel_synth.scorers.talk import of_reply
from pixel_synth.scorers.text import fold, sentences

HERE = Path(__file__).resolve().parent
TARGET = HERE.parent.parent / "pixel_synth" / "scorers" / "rules.json"
FOLDS = 5
STRENGTH = 3.0  # inverse of the L2 penalty; 1 and 10 do no better in cross-validation
HARMLESS_WEIGHT = 0.05
PRECISION = 0.97
ALARMS = 0.0002  # share of harmless runs above the cut at most; not none, since real answers do break a rule here and there
WORTH, OFF = 0.05, 99.0  # where a cut finds fewer of the breaches the rule is left to the phrases

of_word = cache(rules_model.of_word)


class Line(NamedTuple):
    """A written reply, the rules that it breaks, and its fold."""

    text: str
    rules: frozenset[str]
    fold: int


def number(text: str) -> int:
    """Return a number that depends on the text alone."""
    return int(hashlib.sha256(text.encode()).hexdigest(), 16)


def written() -> list[Line]:
    """Return the written lines, spread over the folds by a hash of their text."""
    rows = [json.loads(line) for line in (HERE / "train.jsonl").read_text(encoding="utf-8").splitlines()]
    ids = {rule.removeprefix("cl."): rule for rule in rules_model.RULES}
    return [Line(r["text"], frozenset(ids[rule] for rule in r["rules"]), number(r["text"]) % FOLDS) for r in rows]


def windows(text: str) -> list[list[str]]:
    """Return the runs of sentences that the model reads."""
    found = [s.text for s in sentences(fold(text))]
    return [found[i : i + rules_model.SENTENCES] for i in range(max(1, len(found) - rules_model.SENTENCES + 1))]


def matrix(runs: list[list[str]]) -> csr_matrix:
    """Return the features, one row per run of sentences, by the square root of its words."""
    rows: list[int] = []
    columns: list[int] = []
    values: list[float] = []
    for i, run in enumerate(runs):
        tokens = [rules_model.tokens(s) for s in run]
        found = [f for t in tokens for w in t[1:-1] for f in of_word(w)]
        found += [f for t in tokens for a, b in pairwise(t) for f in rules_model.of_pair(a, b)]
        n = max(1, sum(len(t) - 2 for t in tokens)) ** 0.5
        rows += [i] * len(found)
        columns += [bucket for bucket, _ in found]
        values += [value / n for _, value in found]
    return csr_matrix((values, (rows, columns)), shape=(len(runs), rules_model.BUCKETS))


def harmless(args: argparse.Namespace) -> list[list[str]]:
    """Return runs of sentences of composed sessions and of every second Counsel Chat answer."""
    texts: set[str] = set()
    if args.sessions:
        for line in args.sessions.read_text(encoding="utf-8").splitlines():
            texts |= {m["content"] for m in json.loads(line)["messages"] if m["role"] == "assistant"}
    if args.counsel_chat:
        with args.counsel_chat.open(encoding="utf-8", newline="") as file:
            texts |= {a for r in csv.DictReader(file) if (a := r["answerText"].strip()) and number(a) % 2 == 0}
    runs = [run for text in sorted(texts) for run in windows(text) if run]
    return sorted(runs, key=lambda run: number(" ".join(run)))[: args.most]


def fit(x: csr_matrix, y: np.ndarray, others: csr_matrix) -> LogisticRegression:
    """Fit one rule, harmless runs at their low weight."""
    weight = np.concatenate([np.ones(len(y)), np.full(others.shape[0], HARMLESS_WEIGHT)])
    return LogisticRegression(C=STRENGTH, solver="liblinear").fit(
        vstack([x, others]), np.concatenate([y, np.zeros(others.shape[0], bool)]), sample_weight=weight
    )


def cut(logit: np.ndarray, breach: np.ndarray, other: np.ndarray) -> float:
    """Return the least logit from which on enough lines break the rule and few harmless runs are found."""
    order = np.argsort(-logit)
    share = np.cumsum(breach[order]) / np.arange(1, len(logit) + 1)
    enough = np.flatnonzero(share >= PRECISION)
    by_lines = float(logit[order][enough[-1]]) if len(enough) else float("inf")
    by_others = float(np.sort(other)[::-1][int(ALARMS * len(other))]) if len(other) else -np.inf
    least = max(by_lines, by_others + 1e-4)
    return least if (logit[breach] >= least).mean() >= WORTH else OFF


def left_out(lines: list[Line], others: list[list[str]]) -> tuple[np.ndarray, np.ndarray]:
    """Return the logits of lines (the highest of their windows) and of harmless runs by models that have not seen them."""
    fold_of = np.array([line.fold for line in lines])
    broken = np.array([[rule in line.rules for rule in rules_model.RULES] for line in lines])
    x, z = matrix([[s.text for s in sentences(fold(line.text))] for line in lines]), matrix(others)
    runs = [(i, run) for i, line in enumerate(lines) for run in windows(line.text)]
    w, owner = matrix([run for _, run in runs]), np.array([i for i, _ in runs])
    logit = np.full(broken.shape, -np.inf)
    other = np.zeros((len(others), len(rules_model.RULES)))
    half = np.arange(len(others)) % FOLDS
    for k in range(FOLDS):
        for j in range(len(rules_model.RULES)):
            part = fit(x[fold_of != k], broken[fold_of != k, j], z[half != k])
            mine = np.flatnonzero(fold_of[owner] == k)
            np.maximum.at(logit[:, j], owner[mine], part.decision_function(w[mine]))
            if (half == k).any():
                other[half == k, j] = part.decision_function(z[half == k])
    return logit, other


def main() -> None:
    """Train, tell how it does on what it has not seen, and write the weights."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", type=Path, help="a JSON Lines file of composed sessions")
    parser.add_argument("--counsel-chat", type=Path, help="the CSV file of Counsel Chat")
    parser.add_argument("--most", type=int, default=6000, help="harmless runs of sentences at most")
    args = parser.parse_args()
    lines, others = written(), harmless(args)
    broken = np.array([[rule in line.rules for rule in rules_model.RULES] for line in lines])
    breach = broken.any(axis=1)
    print(f"{len(lines)} written lines, {breach.sum()} breaches; {len(others)} harmless runs of sentences")
    logit, other = left_out(lines, others)
    told = [{e.label for e in by_phrase(of_reply(line.text), everywhere=True)} for line in lines]
    phrase = np.array([[rule in labels for rule in rules_model.RULES] for labels in told])
    cuts = []
    model = np.zeros_like(broken)
    for j, rule in enumerate(rules_model.RULES):
        mine = broken[:, j] | ~breach
        cuts.append(cut(logit[mine, j], broken[mine, j], other[:, j]))
        model[:, j] = logit[:, j] >= cuts[j]
        found = [(m[broken[:, j], j].mean(), (m[:, j] & ~breach).sum()) for m in (model, phrase, model | phrase)]
        line = "; ".join(f"{n} {r:.2f} ({f} of {(~breach).sum()})" for n, (r, f) in zip(("model", "phrases", "both"), found, strict=True))
        print(f"{rule:16} AUC {roc_auc_score(broken[:, j], logit[:, j]):.3f}; found (false alarms): {line}")
    x, z = matrix([[s.text for s in sentences(fold(line.text))] for line in lines]), matrix(others)
    parts = [fit(x, broken[:, j], z) for j in range(len(rules_model.RULES))]
    scales = [float(abs(p.coef_[0]).max() / 127) for p in parts]
    bytes_ = [np.round(p.coef_[0] / s).astype(np.int8).tobytes() for p, s in zip(parts, scales, strict=True)]
    data = {
        "version": hashlib.sha256(b"".join(bytes_)).hexdigest()[:12],
        "trained_on": {"train.jsonl": len(lines), "harmless": len(others)},
        "intercepts": [round(float(p.intercept_[0]), 5) for p in parts],
        "cuts": [round(float(c), 4) for c in cuts],
        "scales": [round(s, 8) for s in scales],
        "weights": [b64encode(compress(b, 9)).decode() for b in bytes_],
    }
    TARGET.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    print(f"{TARGET.name}: {TARGET.stat().st_size // 1000} kB, model {data['version']}, cuts {data['cuts']}")


if __name__ == "__main__":
    main()
