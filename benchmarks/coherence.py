"""Can the coherence scorer tell conversations from copies of them with the turns shuffled?

    python pipelines/psychology.py --engine composer -n 60 --seed 11 --out /tmp/coherence
    python benchmarks/coherence.py --judged SHARED/empathy-judges --composed /tmp/coherence/psychology-001/data/conversations.jsonl

Per set and way of shuffling (turns within each role; all turns, each with its role; never the order as it was): the AUC of every
conversation's score against the scores of all copies of all conversations, with a 95% interval from a bootstrap over conversations,
and the mean AUC of a conversation against its own copies.  Of the judged chats only the held-out ones are measured
(`calibrate.labels.held_out`; the weights of the order test were fitted on the others); the composed sessions should come from another
seed than those of the fit.  Beside the score, in the same run: its order test alone; whether speakers alternate; a logistic
regression over lengths (words of the first, second and last turn and of all) and one over the presence of words (chance for a
shuffle, by construction), both cross-validated by conversation.
"""

from __future__ import annotations

import argparse
import csv
import math
import re
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pixel_synth.calibrate.adapters.empathy_judges import parse
from pixel_synth.calibrate.coefficients import Floats, auc
from pixel_synth.calibrate.interval import bootstrap
from pixel_synth.calibrate.labels import held_out
from pixel_synth.calibrate.shuffle import shuffled
from pixel_synth.records import Conversation, Provenance
from pixel_synth.scorers.coherence import score
from pixel_synth.scorers.order import deviations
from pixel_synth.scorers.talk import read

CHATS = {"lend_an_ear": ("sample_lend_an_ear_conversations.csv", "conversation_id"),
         "empathetic_dialogues": ("sample_empatheticdialogues.csv", "conv_id")}  # fmt: skip
FOLDS, VOCABULARY = 5, 300
Measure = Callable[[Conversation], float]


class Sample(NamedTuple):
    """A conversation and its shuffled copies."""

    real: Conversation
    copies: list[Conversation]


def conversation(key: str, text: str) -> Conversation:
    """Return a conversation of lines that begin with ``Seeker:`` or ``Supporter:``."""
    provenance = Provenance(engine="", model="", toolkit="", seed=0, source="benchmark")
    return Conversation(id=key, category="mental_health", messages=parse(text), provenance=provenance)


def judged(directory: Path) -> dict[str, list[Conversation]]:
    """Return the chats of Lend an Ear and EmpatheticDialogues in the directory ``empathy-judges``, their ids unchanged.

    The file of EmpatheticDialogues puts the situation that the speaker was to talk about before the first turn; nobody said it.
    """
    out: dict[str, list[Conversation]] = {}
    for name, (file, key) in CHATS.items():
        with (directory / "original_data" / file).open(encoding="utf-8", newline="") as stream:
            rows = {r[key]: r for r in csv.DictReader(stream)}
        texts = {k: r["full_conversation"].split("\n", 1)[1] if "prompt" in r else r["full_conversation"] for k, r in rows.items()}
        out[name] = [conversation(k, text) for k, text in texts.items()]
    return out


def talks() -> list[Conversation]:
    """Return the talks of ``talks.txt``, written for the fit of the order test."""
    text = Path(__file__).with_name("talks.txt").read_text(encoding="utf-8").partition("\n\n")[2]
    text = re.sub(r"^C:", "Seeker:", re.sub(r"^T:", "Supporter:", text, flags=re.M), flags=re.M)
    return [conversation(f"talk-{i}", block) for i, block in enumerate(text.split("\n\n"))]


def area(real: Floats, copies: Floats) -> float:
    """Return the AUC of conversations (n,) against copies (copies per conversation, n)."""
    return float(auc(np.concatenate([real, copies.ravel()]), np.concatenate([np.ones(real.size), np.zeros(copies.size)])))


def alternates(c: Conversation) -> float:
    """Return the share of turns whose speaker differs from the one before."""
    return sum(a.role != b.role for a, b in pairwise(c.messages)) / (len(c.messages) - 1)


def lengths(c: Conversation) -> list[float]:
    """Return the log words of the first, second and last turn and of all turns."""
    each = [len(m.content.split()) for m in c.messages]
    return [math.log1p(n) for n in (each[0], each[1], each[-1], sum(each))]


def presence(words: list[str], c: Conversation) -> list[float]:
    """Return which of the words occur."""
    own = {w for t in read(c).turns for w in t.words}
    return [float(w in own) for w in words]


def logistic(x: Floats, y: Floats, weights: Floats, ridge: float = 1.0) -> Floats:
    """Return the coefficients of a ridge logistic regression (the last one is the constant)."""
    x = np.column_stack([x, np.ones(len(x))])
    beta = np.zeros(x.shape[1])
    for _ in range(25):
        p = 1 / (1 + np.exp(-x @ beta))
        bend = (x * (weights * p * (1 - p))[:, None]).T @ x + ridge * np.eye(len(beta))
        beta += np.linalg.solve(bend, x.T @ (weights * (y - p)) - ridge * beta)
    return beta


def cross_validated(samples: list[Sample], features: Callable[[Conversation], list[float]]) -> tuple[Floats, Floats]:
    """Return what a logistic regression that has not seen the conversation says of each (n,) and of its copies (n, copies)."""
    rows = np.array([[features(c) for c in (s.real, *s.copies)] for s in samples])
    n, each, size = rows.shape
    rows = (rows - rows.mean((0, 1))) / (rows.std((0, 1)) + 1e-9)
    y = np.tile([1.0] + [0.0] * (each - 1), n)
    weights = np.where(y > 0, 1.0, 1 / (each - 1))
    out = np.zeros((n, each))
    for fold in range(FOLDS):
        kept = np.arange(n) % FOLDS != fold
        beta = logistic(rows[kept].reshape(-1, size), y.reshape(n, each)[kept].ravel(), weights.reshape(n, each)[kept].ravel())
        out[~kept] = rows[~kept] @ beta[:-1] + beta[-1]
    return out[:, 0], out[:, 1:].reshape(n, each - 1)


def measured(samples: list[Sample], measure: Measure) -> tuple[Floats, Floats]:
    """Return a measure of each conversation (n,) and of its copies (n, copies)."""
    return np.array([measure(s.real) for s in samples]), np.array([[measure(c) for c in s.copies] for s in samples])


def coherence(c: Conversation) -> float:
    """Return the score; every conversation measured here has one."""
    value = score(c).value
    if value is None:
        raise SystemExit(f"{c.id} has no coherence score")
    return value


def line(name: str, real: Floats, copies: Floats) -> str:
    """Return a row of the table."""
    all_pairs = bootstrap(area, real, copies.T, resamples=300, vectorized=False)
    own = np.mean([area(r, c) for r, c in zip(real[:, None], copies, strict=True)])
    between = f"[{all_pairs.low:.3f}, {all_pairs.high:.3f}]"
    return f"  {name:<22} {all_pairs.value:.3f} {between}   {own:.3f}   {real.mean():6.2f} {copies.mean():6.2f}"


def report(name: str, conversations: list[Conversation], copies: int) -> list[str]:
    """Return the table of a set of conversations under both ways of shuffling."""
    out: list[str] = []
    words = sorted({w for c in conversations for t in read(c).turns for w in t.words})[:VOCABULARY]
    for way, within in (("within roles", True), ("all turns", False)):
        samples = [Sample(c, [s for k in range(copies) if (s := shuffled(c, k, within))]) for c in conversations]
        out.append(f"{name}, {way}: {len(samples)} conversations, {copies} shuffles each")
        out.append(f"  {'':<22} AUC   [95% interval]   own    real  shuffled")
        out += [
            line("coherence", *measured(samples, coherence)),
            line("order test", *measured(samples, lambda c: deviations(read(c)) or 0.0)),
            line("speakers alternate", *measured(samples, alternates)),
            line("lengths", *cross_validated(samples, lengths)),
            line("words", *cross_validated(samples, partial(presence, words))),
        ]
    return out


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--judged", type=Path, help="directory empathy-judges")
    parser.add_argument("--composed", type=Path, help="conversations.jsonl of a composer run")
    parser.add_argument("--copies", type=int, default=10)
    args = parser.parse_args()
    sets = {k: [c for c in v if held_out(c.id)] for k, v in judged(args.judged).items()} if args.judged else {}
    if args.composed:
        sets["composed"] = [Conversation.model_validate_json(x) for x in args.composed.read_text(encoding="utf-8").splitlines()]
    for name, conversations in sets.items():
        print("\n".join(report(name, conversations, args.copies)))


if __name__ == "__main__":
    main()
