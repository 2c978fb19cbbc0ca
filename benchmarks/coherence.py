"""Can the coherence scorer tell conversations from copies of them with the turns shuffled?

    python pipelines/psychology.py --engine composer -n 60 --seed 11 --out /tmp/coherence
    python benchmarks/coherence.py --judged SHARED/empathy-judges --composed /tmp/coherence/psychology-001/data/conversations.jsonl

Per set and way of shuffling (turns within each role; all turns, each with its role): the AUC of every conversation's score
against the scores of all copies of all conversations, with a 95% interval from a bootstrap over conversations, and the mean AUC
of a conversation against its own copies.  Of the judged chats only those that are held out (`calibrate.labels.held_out`; the
weights of the order test were fitted on the others) are measured; the composed sessions should come from another seed than those of
the fit.  Beside the score, in the same run: its order test alone; whether speakers alternate; a logistic regression over lengths
(words of the first, second and last turn and of all) and one over the presence of words (chance for a shuffle, by construction), both
cross-validated by conversation.
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

from pixel_synth.calibrate.labels import held_out
from pixel_synth.draw import Draw
from pixel_synth.records import Conversation, Message, Provenance
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


def conversation(key: str, turns: list[tuple[bool, str]]) -> Conversation:
    """Return a conversation of (is it the client's?, text); turns of one speaker in a row become one."""
    said: list[tuple[bool, str]] = []
    for client, text in turns:
        if said and said[-1][0] == client:
            said[-1] = (client, f"{said[-1][1]} {text}")
        else:
            said.append((client, text))
    messages = tuple(Message(role="user" if client else "assistant", content=text) for client, text in said)
    provenance = Provenance(engine="", model="", toolkit="", seed=0, source="benchmark")
    return Conversation(id=key, category="mental_health", messages=messages, provenance=provenance)


def judged(directory: Path) -> dict[str, list[Conversation]]:
    """Return the chats of Lend an Ear and EmpatheticDialogues in the directory ``empathy-judges``, their ids unchanged.

    The file of EmpatheticDialogues puts the situation that the speaker was to talk about before the first turn; nobody said it.
    """
    turn = re.compile(r"(Seeker|Supporter):(.*?)(?=\n\s*(?:Seeker|Supporter):|\Z)", re.S)
    out: dict[str, list[Conversation]] = {}
    for name, (file, key) in CHATS.items():
        with (directory / "original_data" / file).open(encoding="utf-8", newline="") as stream:
            rows = {r[key]: r for r in csv.DictReader(stream)}
        for k, row in rows.items():
            said = [(m[1] == "Seeker", m[2].strip()) for m in turn.finditer(row["full_conversation"].replace("_comma_", ", "))]
            said = [(client, text) for client, text in said if text][1 if "prompt" in row else 0 :]
            out.setdefault(name, []).append(conversation(k, said))
    return out


def talks() -> list[Conversation]:
    """Return the talks of ``talks.txt``, written for the fit of the order test."""
    text = Path(__file__).with_name("talks.txt").read_text(encoding="utf-8")
    blocks = [[line for line in b.splitlines() if line[:2] in ("C:", "T:")] for b in text.split("\n\n")]
    return [conversation(f"talk-{i}", [(x[0] == "C", x[3:]) for x in lines]) for i, lines in enumerate(blocks) if lines]


def shuffled(c: Conversation, seed: int, *, within_roles: bool) -> Conversation:
    """Return the conversation with its turns shuffled, each role in its own slots or all of them."""
    draw = Draw("shuffled", c.id, seed)
    if not within_roles:
        return c.model_copy(update={"messages": tuple(draw.shuffled(c.messages))})
    left = {role: draw.shuffled([m for m in c.messages if m.role == role]) for role in ("user", "assistant")}
    return c.model_copy(update={"messages": tuple(left[m.role].pop() for m in c.messages)})


def auc(positive: np.ndarray, negative: np.ndarray) -> float:
    """Return the probability that a positive is above a negative, ties counting half (Mann–Whitney)."""
    p, n = positive.reshape(-1, 1), negative.reshape(1, -1)
    return float(((p > n) + 0.5 * (p == n)).mean())


def interval(real: np.ndarray, copies: np.ndarray, rounds: int = 300) -> tuple[float, float]:
    """Return the 95% percentile interval of the AUC when conversations (rows) are drawn with replacement."""
    rng = np.random.default_rng(0)
    drawn = [rng.integers(0, len(real), len(real)) for _ in range(rounds)]
    low, high = np.percentile([auc(real[d], copies[d]) for d in drawn], (2.5, 97.5))
    return float(low), float(high)


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


def logistic(x: np.ndarray, y: np.ndarray, weights: np.ndarray, ridge: float = 1.0) -> np.ndarray:
    """Return the coefficients of a ridge logistic regression (the last one is the constant)."""
    x = np.column_stack([x, np.ones(len(x))])
    beta = np.zeros(x.shape[1])
    for _ in range(25):
        p = 1 / (1 + np.exp(-x @ beta))
        bend = (x * (weights * p * (1 - p))[:, None]).T @ x + ridge * np.eye(len(beta))
        beta += np.linalg.solve(bend, x.T @ (weights * (y - p)) - ridge * beta)
    return beta


def cross_validated(samples: list[Sample], features: Callable[[Conversation], list[float]]) -> tuple[np.ndarray, np.ndarray]:
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


def measured(samples: list[Sample], measure: Measure) -> tuple[np.ndarray, np.ndarray]:
    """Return a measure of each conversation (n,) and of its copies (n, copies)."""
    return np.array([measure(s.real) for s in samples]), np.array([[measure(c) for c in s.copies] for s in samples])


def coherence(c: Conversation) -> float:
    """Return the score; every conversation measured here has one."""
    value = score(c).value
    if value is None:
        raise SystemExit(f"{c.id} has no coherence score")
    return value


def line(name: str, real: np.ndarray, copies: np.ndarray) -> str:
    """Return a row of the table."""
    low, high = interval(real, copies)
    own = float(np.mean([auc(r, c) for r, c in zip(real, copies, strict=True)]))
    return f"  {name:<22} {auc(real, copies):.3f} [{low:.3f}, {high:.3f}]   {own:.3f}   {real.mean():6.2f} {copies.mean():6.2f}"


def report(name: str, conversations: list[Conversation], copies: int) -> list[str]:
    """Return the table of a set of conversations under both ways of shuffling."""
    out: list[str] = []
    words = sorted({w for c in conversations for t in read(c).turns for w in t.words})[:VOCABULARY]
    for way, within in (("within roles", True), ("all turns", False)):
        samples = [Sample(c, [shuffled(c, k, within_roles=within) for k in range(copies)]) for c in conversations]
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
