"""Fit the weights of the order test (`pixel_synth.scorers.order`) and print them as the dictionary that stands there.

    python pipelines/psychology.py --engine composer -n 60 --out /tmp/coherence
    python benchmarks/fit_order.py --judged SHARED/empathy-judges --composed /tmp/coherence/psychology-001/data/conversations.jsonl

A conditional logit [McFadden, 1974]: the weights under which a conversation's own order is the likeliest among permutations of its
turns within each role, with a ridge of `RIDGE`.  Five sources count equally whatever their size: the chats of Lend an Ear and
EmpatheticDialogues that are not held out (`calibrate.labels.held_out`), composed sessions, the talks of ``benchmarks/talks.txt``, those
with back-channels thrown in, and stretches of twelve turns of them.  No label is used, only the order.
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path

import numpy as np
from coherence import judged, talks

from pixel_synth.calibrate.labels import held_out
from pixel_synth.records import Conversation, Message
from pixel_synth.scorers import order
from pixel_synth.scorers.talk import read
from pixel_synth.scorers.text import fold, sentences

RIDGE = 30.0
COUNT = 20.0  # what each source counts, in conversations
BACKCHANNELS = {
    "assistant": ("Mm-hmm.", "Okay.", "Right.", "Yeah.", "Mm.", "Sure.", "I see."),
    "user": ("Yeah.", "Mm-hmm.", "Okay.", "Right."),
}


def interrupted(c: Conversation, seed: int) -> Conversation:
    """Return the conversation with a back-channel of the other speaker after every other sentence inside a turn, by chance."""
    rng = random.Random(seed)
    out: list[Message] = []
    for message in c.messages:
        spans, begin = sentences(fold(message.content)), 0
        listener = "user" if message.role == "assistant" else "assistant"
        for span in spans[:-1]:
            if rng.random() < 0.5:
                out.append(Message(role=message.role, content=message.content[begin : span.end].strip()))
                out.append(Message(role=listener, content=rng.choice(BACKCHANNELS[listener])))
                begin = span.end
        out.append(Message(role=message.role, content=message.content[begin:].strip()))
    return c.model_copy(update={"messages": tuple(out)})


def stretches(c: Conversation, turns: int) -> list[Conversation]:
    """Return the overlapping stretches of so many turns."""
    starts = range(0, len(c.messages) - turns + 1, turns // 2)
    return [c.model_copy(update={"messages": c.messages[k : k + turns]}) for k in starts]


def choices(c: Conversation) -> np.ndarray:
    """Return the features of the conversation's order (row 0) and of its permutations (shape orders by features)."""
    talk = read(c)
    sums = order.Sums(talk)
    return np.array([sums.features(o) for o in (range(len(talk.turns)), *order.orders(talk))])


def fit(sources: dict[str, list[Conversation]]) -> dict[str, float]:
    """Return the weight of each feature, by Newton's method."""
    rows = [(choices(c), COUNT / len(own)) for own in sources.values() for c in own]
    scale = np.sqrt(np.mean([f.var(0) for f, _ in rows], 0)) + 1e-9
    weights = np.zeros(len(scale))
    for _ in range(50):
        slope, bend = -RIDGE * weights, RIDGE * np.eye(len(scale))
        for raw, count in rows:
            features = raw / scale
            worth = np.exp(features @ weights - (features @ weights).max())
            share = worth / worth.sum()
            mean = share @ features
            slope += count * (features[0] - mean)
            bend += count * ((features * share[:, None]).T @ features - np.outer(mean, mean))
        step = np.linalg.solve(bend, slope)
        weights += step * min(1.0, 2.0 / np.abs(step).max())
        if np.abs(step).max() < 1e-5:
            break
    return dict(zip(order.names(), (weights / scale).round(2).tolist(), strict=True))


def main() -> None:
    """Print the weights."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--judged", type=Path, required=True, help="directory empathy-judges")
    parser.add_argument("--composed", type=Path, required=True, help="conversations.jsonl of a composer run")
    args = parser.parse_args()
    written = talks()
    spoken = [interrupted(c, seed) for seed, c in enumerate(written)]
    sources = {name: [c for c in own if not held_out(c.id)] for name, own in judged(args.judged).items()} | {
        "composed": [Conversation.model_validate_json(line) for line in args.composed.read_text(encoding="utf-8").splitlines()],
        "written": written,
        "interrupted": spoken,
        "stretches": [s for c in written for s in stretches(c, 12)],
    }
    for name, weight in fit(sources).items():
        print(f'    "{name}": {weight},')


if __name__ == "__main__":
    main()
