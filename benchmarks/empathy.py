"""How far the two scorers of the therapist's side follow experts, against length alone and a bag of words.

    python benchmarks/empathy.py PATH/empathy-judges [--developed]

Lend an Ear (six dimensions of a chat), EPITOME (three levels of one reply) and EmpatheticDialogues (empathy of four turns), 50
conversations each, three experts (Kumar et al., 2025; pixel_synth/calibrate/adapters/empathy_judges.py).  Only the conversations
count on which nothing was tuned (`held_out`); ``--developed`` prints the others instead.  Per dimension and measure: Spearman with
the experts' mean, the same given the logarithm of the therapist's words (partial, from ranks), and the AUC of good (expert mean at or
beyond the good level), with bootstrap intervals over conversations.  High is good for every measure and every dimension: ratings of
advice, self-orientation and dismissal are turned round.  Baselines in the same run: that length, and a logistic regression on which
words the therapist uses, fivefold cross-validated within the same conversations (its target: above the median, or good for the AUC).
A bag of words learns from these very labels and may still know little of 30 texts: beating it is the least.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from statistics import fmean

import numpy as np

from pixel_synth.calibrate.adapters.empathy_judges import empathy_judges
from pixel_synth.calibrate.agreement import bootstrap
from pixel_synth.calibrate.coefficients import Floats, auc, spearman
from pixel_synth.calibrate.labels import Scale, held_out
from pixel_synth.records import Conversation
from pixel_synth.scorers import SCORERS

METRICS = ("emotional_authenticity", "therapeutic_accuracy")
# Which dimensions of which set; the part that answers to a dimension bears its name, without EPITOME's "level_".
DIMENSIONS = {
    "Lend an Ear": ("validating_emotions", "encouraging_elaboration", "demonstrating_understanding", "advice_giving",
                    "self_oriented", "dismissing_emotions"),
    "EPITOME": ("level_emotional_reactions", "level_interpretations", "level_explorations"),
    "EmpatheticDialogues": ("empathy",),
}  # fmt: skip
FOLDS = 5


def partial(a: Floats, b: Floats, given: Floats) -> Floats:
    """Return the rank correlation of a and b with a third variable held constant (Kendall & Gibbons, 1990, chapter 8)."""
    ab, ag, bg = spearman(a, b), spearman(a, given), spearman(b, given)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((ab - ag * bg) / np.sqrt((1 - ag**2) * (1 - bg**2)), float)


def bag_of_words(texts: list[str], target: Floats) -> Floats:
    """Return out-of-fold probabilities of the target, NaN where a fold cannot be trained."""
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression

    x = CountVectorizer(binary=True).fit_transform(texts)
    found = np.full(len(texts), np.nan)
    fold = np.arange(len(texts)) % FOLDS
    for k in range(FOLDS):
        rest = fold != k
        if len(set(target[rest])) == 2:
            found[fold == k] = LogisticRegression(max_iter=1000).fit(x[rest], target[rest]).predict_proba(x[fold == k])[:, 1]
    return found


def therapist(conversation: Conversation) -> str:
    """Return the therapist's words."""
    return " ".join(m.content for m in conversation.messages if m.role == "assistant")


def measures(conversations: list[Conversation], part: str) -> dict[str, Floats]:
    """Return the values of both scorers, and of the part that answers to a dimension, NaN where unscored."""
    found: dict[str, list[float | None]] = {metric: [] for metric in (*METRICS, f"part {part}")}
    for conversation in conversations:
        scores = {metric: SCORERS[metric](conversation, None) for metric in METRICS}
        for metric in METRICS:
            found[metric].append(scores[metric].value)
        found[f"part {part}"].append({p.name: p.value for p in scores[METRICS[0]].parts}.get(part))
    named = {k: np.array([math.nan if v is None else v for v in values]) for k, values in found.items()}
    return {k: v for k, v in named.items() if not np.isnan(v).all()}


def report(name: str, conversations: list[Conversation], experts: dict[str, float], scale: Scale) -> None:
    """Print one dimension."""
    mine = [c for c in conversations if c.id in experts]
    rated = np.array([experts[c.id] for c in mine])
    label = np.array([scale.unit(x) for x in rated])
    good = np.array([float(scale.good(x)) for x in rated])
    texts = [therapist(c) for c in mine]
    length = np.log1p(np.array([float(len(t.split())) for t in texts]))
    rows = measures(mine, name.removeprefix("level_")) | {"length alone": length}
    print(f"\n{name}: {len(mine)} conversations, {int(good.sum())} good")
    for row, x in rows.items():
        line = [str(bootstrap(spearman, x, label)), "" if row == "length alone" else str(bootstrap(partial, x, label, length))]
        line += [str(bootstrap(auc, x, good)), f"{int(np.isnan(x).sum())} unscored" if np.isnan(x).any() else ""]
        print(f"  {row:<38}" + "".join(f"{cell:>22}" for cell in line))
    above = (label > np.median(label)).astype(float)
    words, goods = bag_of_words(texts, above), bag_of_words(texts, good)
    cells = [str(bootstrap(spearman, words, label)), str(bootstrap(partial, words, label, length)), str(bootstrap(auc, goods, good))]
    print(f"  {'bag of words':<38}" + "".join(f"{cell:>22}" for cell in cells))


def main() -> None:
    """Print every dimension."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--developed", action="store_true", help="the conversations that were read while the patterns were mended")
    args = parser.parse_args()
    labelled = empathy_judges(args.folder)
    chosen = [c for c in labelled.conversations if held_out(c.id) is not args.developed]
    print(f"{'':<40}" + "".join(f"{head:>22}" for head in ("Spearman", "given length", "AUC")))
    for title, names in DIMENSIONS.items():
        print(f"\n{title}", end="")
        for name in names:
            by_item: dict[str, list[float]] = {}
            for r in labelled.ratings:
                if r.group == "expert" and r.criterion == name:
                    by_item.setdefault(r.item, []).append(r.rating)
            report(name, chosen, {item: fmean(x) for item, x in by_item.items()}, labelled.scales[name])


if __name__ == "__main__":
    main()
