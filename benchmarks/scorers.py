"""What the scorers are worth and what they cost: agreement with labels against length and a bag of words, and conversations a second.

    python benchmarks/scorers.py PATH                 PATH holds counsel-chat/ and empathy-judges/; about five minutes
    python benchmarks/scorers.py PATH --speed-only

Peers in the same run, on the same items: *length* (number of words, of the client for urgency and the persona, else of the therapist;
its AUC is taken in whichever direction is better; a shuffled copy is as long as what it was made of, so for orders this is chance: the
lengths of single turns stand in ``benchmarks/coherence.py``) and *bag of words* (logistic regression over the words of the therapist, or
of all for orders and urgency; cross-validated in five folds that keep copies of a conversation together; scikit-learn).  Of shared
data only held-out items are used (`pixel_synth.calibrate.labels.held_out`); what was looked at more than once says docs/scorers.md.
Intervals are 95% bootstrap intervals over conversations, copies resampled with them.  Constructed labels are marked ``*``.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pixel_synth.calibrate.adapters import Labelled, of_source
from pixel_synth.calibrate.adapters.empathy_judges import empathy_judges
from pixel_synth.calibrate.agreement import Interval, auc, bootstrap, kappa, spearman
from pixel_synth.calibrate.card import scored
from pixel_synth.calibrate.construct import against_swapped
from pixel_synth.calibrate.hold import composite, lengths_of, scores_of
from pixel_synth.calibrate.labels import Rating, Scale, held_out, original, read_labels, read_scales
from pixel_synth.calibrate.shuffle import CRITERION, against_shuffled
from pixel_synth.curate.gate import Gate, settle
from pixel_synth.draw import Draw
from pixel_synth.jsonl import conversations
from pixel_synth.knowledge import load
from pixel_synth.llms.ask import Asker, Voice
from pixel_synth.llms.composer import Composer
from pixel_synth.plan import make_plan
from pixel_synth.records import Conversation, Message, Provenance, stable_id
from pixel_synth.scorers import SCORERS, score_all
from pixel_synth.settings import load_settings

LABELS = Path(__file__).resolve().parent.parent / "calibration"
LISTENING = (
    "validating_emotions",
    "encouraging_elaboration",
    "demonstrating_understanding",
    "advice_giving",
    "self_oriented",
    "dismissing_emotions",
)
MECHANISMS = ("level_emotional_reactions", "level_interpretations", "level_explorations")


class Trial(NamedTuple):
    """One measure on one label set."""

    metric: str
    labelled: Labelled
    criteria: tuple[str, ...]
    group: str
    whole: bool = False  # the bag of words reads both sides
    constructed: bool = False


# -------------------------------------------------------------------------------------------------- label sets


def held(labelled: Labelled, source: str) -> Labelled:
    """Keep the held-out conversations of a source."""
    mine = of_source(labelled, source)
    return mine._replace(conversations=tuple(c for c in mine.conversations if held_out(c.id)))


def generated(n: int) -> Labelled:
    """Write sessions with the composer, by a seed that nothing was developed on, without a gate."""
    import asyncio

    from pixel_synth.runs.chain import write

    settings, knowledge = load_settings(accept=n, seed=90210, engine="composer"), load()
    plan, composer = make_plan(settings, knowledge), Composer(knowledge)
    ask = Asker(Voice(composer, "composer"))
    found = tuple(asyncio.run(write(plan.blueprint(slot), knowledge, ask, settings, Gate()))[0] for slot in range(n))
    return Labelled("generated", "", found, (), {}, {})


def utterances(path: Path) -> Labelled:
    """Read client utterances with a level of urgency as conversations of one exchange."""
    found, ratings = [], []
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        c = pair(row["text"], "Thank you for telling me.", "urgency")
        found.append(c)
        ratings.append(Rating(item=c.id, criterion="level", rater="author", group="constructed", rating=row["level"]))
    return Labelled("utterances", "Apache-2.0", tuple(found), tuple(ratings), {"level": Scale(low=0, high=3, good_from=2)}, {})


def pair(question: str, answer: str, source: str) -> Conversation:
    """Return a conversation of two messages."""
    provenance = Provenance(engine="", model="", toolkit="", seed=0, source=source)
    return Conversation(
        id=stable_id(question, answer), category="mental_health", provenance=provenance,
        messages=(Message(role="user", content=question), Message(role="assistant", content=answer)),
    )  # fmt: skip


def own_answers(path: Path, n: int = 500) -> Labelled:
    """Pair Counsel Chat questions with their own answer (1) and with an answer on another topic (0), two and two questions crosswise."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = [
            r for r in csv.DictReader(file) if len(r["questionText"]) > 60 and len(r["answerText"]) > 60 and held_out(r["questionText"])
        ]
    found, ratings = [], []
    drawn = Draw("counsel-chat").shuffled(rows)[:n]
    for a, b in zip(drawn[::2], drawn[1::2], strict=False):
        if a["topic"] == b["topic"]:
            continue
        together = stable_id(a["questionText"], b["questionText"])  # what is told of one answer must not be known from its other pairing
        for k, (asked, answered, rating) in enumerate(((a, a, 1.0), (b, b, 1.0), (a, b, 0.0), (b, a, 0.0))):
            c = pair(asked["questionText"][:20_000], answered["answerText"][:20_000], "counsel-chat")
            found.append(c := c.model_copy(update={"id": f"{together}~{k}"}))
            ratings.append(Rating(item=c.id, criterion=CRITERION, rater="order", group="order", rating=rating))
    return Labelled("counsel-chat answers", "MIT", tuple(found), tuple(ratings), {CRITERION: Scale(low=0, high=1, good_from=1)}, {})


def trials(data: Path) -> list[Trial]:
    """Return what is held against what."""
    rated, talks = empathy_judges(data / "empathy-judges"), generated(120)
    lend, dialogues, epitome = (held(rated, name) for name in ("lend_an_ear", "empatheticdialogues", "epitome"))
    found = [
        Trial("coherence", against_shuffled(s, 3, within), (CRITERION,), "order", whole=True)._replace(
            labelled=against_shuffled(s, 3, within)._replace(name=f"{s.name}, {'each side' if within else 'all turns'} shuffled"))
        for s in (talks, lend, dialogues) for within in (True, False)
    ]  # fmt: skip
    found += [
        Trial("coherence", own_answers(data / "counsel-chat" / "20200325_counsel_chat.csv"), (CRITERION,), "order", whole=True),
        Trial("coherence", dialogues, ("relevance",), "expert"),
        *(Trial(m, lend, LISTENING, "expert") for m in ("emotional_authenticity", "therapeutic_accuracy", "overall")),
        *(Trial("emotional_authenticity", lend, (c,), "expert") for c in LISTENING),
        *(Trial(f"emotional_authenticity.{c}", lend, (c,), "expert") for c in LISTENING),
        Trial("emotional_authenticity", epitome, MECHANISMS, "expert"),
        *(Trial(f"emotional_authenticity.{c.removeprefix('level_')}", epitome, (c,), "expert") for c in MECHANISMS),
        Trial("emotional_authenticity", dialogues, ("empathy",), "expert"),
        Trial("language_quality", dialogues, ("fluency",), "expert"),
        Trial("personality_consistency", against_swapped(talks), ("persona",), "plan", whole=True, constructed=True),
    ]
    compliance = LABELS / "labels" / "compliance.csv"
    scales, sessions = read_scales(compliance.with_suffix(".scales.yaml")), tuple(conversations(compliance.with_suffix(".jsonl")))
    vignettes = Labelled("vignettes", "Apache-2.0", sessions, tuple(read_labels(compliance)), scales, {})
    found.append(Trial("clinical_compliance", vignettes, ("compliant",), "constructed", constructed=True))
    found.append(Trial("urgency", utterances(LABELS / "urgency" / "test.jsonl"), ("level",), "constructed", whole=True, constructed=True))
    return found


# ------------------------------------------------------------------------------------------------ measuring


def bag_of_words(texts: Sequence[str], good: np.ndarray, groups: Sequence[str]) -> np.ndarray:
    """Return cross-validated probabilities of good, 5 folds by group; NaN where a class has fewer than five items."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline

    if min(good.sum(), len(good) - good.sum()) < 5:
        return np.full(len(good), np.nan)
    model = make_pipeline(TfidfVectorizer(sublinear_tf=True), LogisticRegression(max_iter=1000, class_weight="balanced"))
    folds = StratifiedGroupKFold(5, shuffle=True, random_state=0)
    found: np.ndarray = cross_val_predict(model, list(texts), good, groups=list(groups), cv=folds, method="predict_proba")[:, 1]
    return found


def measured(trial: Trial) -> str:
    """Return the line of a trial."""
    ratings, scale = composite(trial.labelled, trial.criteria, trial.group)
    by_item: dict[str, list[float]] = {}
    for r in ratings:
        by_item.setdefault(r.item, []).append(r.rating)
    values, unscored = scores_of([c for c in trial.labelled.conversations if c.id in by_item], trial.metric, load())
    kept = [c for c in trial.labelled.conversations if c.id in values]
    score = np.array([values[c.id] for c in kept])
    units = np.array([np.mean([scale.unit(x) for x in by_item[c.id]]) for c in kept])
    share = np.array([np.mean([scale.good(x) for x in by_item[c.id]]) for c in kept])
    good = np.where(share == 0.5, np.nan, share > 0.5)
    known = ~np.isnan(good)
    lengths = lengths_of(kept, trial.metric)
    words = np.array([lengths[c.id] for c in kept], float)
    texts = [" ".join(m.content for m in c.messages if trial.whole or m.role == "assistant") for c in kept]
    groups = [original(c.id) for c in kept]
    interval = partial(bootstrap, clusters=groups if len(set(groups)) < len(groups) else None)
    bag = np.full(len(kept), np.nan)
    bag[known] = bag_of_words(
        [t for t, k in zip(texts, known, strict=True) if k], good[known], [g for g, k in zip(groups, known, strict=True) if k]
    )
    by_length = interval(lambda x, g: np.maximum(auc(x, g), 1 - auc(x, g)), words, good)
    levels = tuple(range(int(scale.low), int(scale.high) + 1))
    on_scale = np.rint(scale.low + (scale.high - scale.low) * (1 - score if scale.high_is_bad else score))
    mean = np.rint(scale.low + (scale.high - scale.low) * (1 - units if scale.high_is_bad else units))
    agreement = interval(lambda a, b: kappa(a, b, levels=levels), on_scale, mean)
    what = "+".join(trial.criteria) if len(trial.criteria) < 3 else f"{len(trial.criteria)} criteria"
    name = f"{trial.labelled.name}: {what}" + "*" * trial.constructed
    cells = [interval(auc, score, good), by_length, interval(auc, bag, good), interval(spearman, score, units), agreement]
    return f"{trial.metric:<46}{name:<52}{len(kept):>4}{int(np.nansum(good)):>5}{len(unscored):>4}  " + "".join(
        f"{_cell(c):<19}" for c in cells
    )


def _cell(interval: Interval) -> str:
    return str(interval)


def gated(data: Path) -> None:
    """Print how the rated conversations fare under the gate, as it is and with all thresholds on raw scores."""
    lend = held(empathy_judges(data / "empathy-judges"), "lend_an_ear")
    ratings, scale = composite(lend, LISTENING, "expert")
    rated: dict[str, list[float]] = {}
    for r in ratings:
        rated.setdefault(r.item, []).append(scale.unit(r.rating))
    print(f"\n{len(lend.conversations)} held-out rated chats (Lend an Ear) under the gate; mean rating 0-1 of six criteria")
    for allow in (False, True):
        gate = settle(load_settings(allow_uncalibrated=allow))
        verdicts = {c.id: gate.decide(c, gate.scaled(scored(c, load()))) for c in lend.conversations}
        print("all thresholds count" if allow else "thresholds count only with a card: " + (
            ", ".join(x.metric for x in gate.limits if x.standing == "calibrated") or "none"))  # fmt: skip
        for accepted in (True, False):
            ids = [i for i, v in verdicts.items() if v.accepted is accepted]
            mean = f"{np.mean([np.mean(rated[i]) for i in ids]):.2f}" if ids else "–"
            print(f"  {'accepted' if accepted else 'rejected':<9}{len(ids):>4}  mean rating {mean}")
        said = [r for v in verdicts.values() for r in v.reasons]
        reasons = Counter(" ".join(r.split()[:2]) if r.startswith("safety") else r.split(":")[0] for r in said)
        print("  reasons: " + (", ".join(f"{n} {r}" for r, n in reasons.most_common()) or "none"))


# -------------------------------------------------------------------------------------------------- speed


def clear() -> None:
    """Forget what the scorers remember between conversations, so that each is timed with all it needs."""
    import gc

    for thing in gc.get_objects():
        if type(thing).__name__ == "_lru_cache_wrapper" and getattr(thing, "__module__", "").startswith("pixel_synth.scorers"):
            maximum = thing.cache_parameters()["maxsize"]
            if maximum is not None and maximum <= 4096 and maximum > 1:
                thing.cache_clear()


def rate(work: Callable[[Conversation], Any], talks: Sequence[Conversation]) -> float:
    """Return conversations per second of one core."""
    clear()
    began = time.process_time()
    for c in talks:
        work(c)
    return len(talks) / (time.process_time() - began)


def _some(talks: Sequence[Conversation]) -> int:
    for c in talks:
        score_all(c, load())
    return len(talks)


def speed() -> None:
    """Print conversations a second per scorer, and what 100,000 take."""
    talks = [
        c.model_copy(update={"id": f"{c.id}-{n}", "messages": c.messages[:6], "turns": c.turns[:6]})
        for n, c in enumerate(generated(300).conversations)
    ]
    base = load()
    score_all(talks[0], base)
    words = sum(len(m.content.split()) for c in talks for m in c.messages) / len(talks)
    print(f"\n{len(talks)} generated conversations cut to 6 turns, {words:.0f} words each")
    print(f"{'scorer':<28}conversations/s of one core, with all that it reads")
    for name, scorer in SCORERS.items():
        print(f"{name:<28}{rate(lambda c, s=scorer: s(c, base), talks):>8.0f}")  # type: ignore[misc]
    together = rate(lambda c: score_all(c, base), talks)
    cores = os.cpu_count() or 1
    with ProcessPoolExecutor(cores) as pool:
        list(pool.map(_some, [talks[:2]] * cores))
        began = time.perf_counter()
        done = sum(pool.map(_some, [talks[i::cores] for i in range(cores)]))
        wall = time.perf_counter() - began
    print(f"{'all together':<28}{together:>8.0f}")
    print(
        f"100,000 would take {100_000 / together / 60:.1f} core-minutes; here, on {cores} cores, {100_000 * wall / done / 60:.1f} minutes"
    )


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--speed-only", action="store_true")
    args = parser.parse_args()
    if not args.speed_only:
        print(
            f"{'measure':<46}{'labels':<52}{'n':>4}{'good':>5}{'uns.':>4}  "
            + "".join(f"{h:<19}" for h in ("AUC", "length", "bag of words", "Spearman", "kappa"))
        )
        for trial in trials(args.data):
            print(measured(trial), flush=True)
        gated(args.data)
    speed()


if __name__ == "__main__":
    main()
