"""Calibration cards: what is known of how far one score can be trusted, and the rule by which it may gate.

A card belongs to one metric (a scorer, a judge's rubric, or one part of either: ``emotional_authenticity.explorations``) in one
version, and to one set of labels.  The version of a scorer is a hash of what it gives for the reference conversations and anchors,
that of a judge the hash of its rubric file and the name of the model: a card that was made for another behaviour is stale and
counts as none.  Cards are JSON files below ``calibration/cards`` (shipped) and ``./cards`` (one's own, which win).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from pixel_synth.calibrate.agreement import Agreement, Interval
from pixel_synth.calibrate.fit import Cut, HumanMap, Point
from pixel_synth.calibrate.rule import EACH, ITEMS, MODERATE, may_gate
from pixel_synth.errors import UsageError
from pixel_synth.jsonl import conversations
from pixel_synth.knowledge.load import Knowledge
from pixel_synth.records import Conversation, Record, Score
from pixel_synth.scorers import overall, reference, score_all
from pixel_synth.shipped import shipped

OWN = Path("cards")
Origin = Literal["people", "order", "constructed"]
ORIGINS: dict[str, str] = {
    "people": "rated by people",
    "order": "the order in which people said it, against shuffled copies",
    "constructed": "written or spoiled to order, not rated by people",
}


class LabelSet(Record):
    """Which labels a card was made from."""

    name: str = Field(min_length=1)
    origin: Origin
    criteria: tuple[str, ...] = Field(min_length=1)
    good: str = Field(description="what counts as good, in words")
    items: int = Field(ge=1)
    conversations: int = Field(ge=1, description="of which the items are made: copies of one count once")
    raters: int = Field(ge=0)
    license: str = ""
    sha256: str = Field(description="of the labels that were used")
    held_out: bool = Field(description="whether only conversations were used on which nothing was tuned")
    trained_on: str = Field(description="what the measure was developed on, in words")


class Card(Record):
    """One measure held against one set of labels."""

    metric: str
    kind: Literal["scorer", "judge"]
    version: str = Field(description="of the rubric; of a scorer, the toolkit's")
    fingerprint: str = Field(description="of the behaviour (scorer) or of the rubric file (judge)")
    model: str = ""
    labels: LabelSet
    agreement: Agreement
    over_length: Interval = Field(description="AUC of the measure minus AUC of the number of words, of the speaker it is about")
    scale: HumanMap
    cuts: tuple[Cut, ...]
    points: tuple[Point, ...]
    refusals: tuple[str, ...] = Field(description="why it may not gate; empty when it may")
    made: str
    toolkit: str
    command: str

    @property
    def gates(self) -> bool:
        """Whether the measure may gate."""
        return not self.refusals

    @property
    def name(self) -> str:
        """Stem of the card's file."""
        parts = (self.metric, self.labels.name, *([self.model.replace("/", "_").replace(":", "_")] if self.model else []))
        return "--".join(parts)


def refusals(kind: str, labels: LabelSet, points: Sequence[Point], agreement: Agreement, over_length: Interval) -> tuple[str, ...]:
    """Return why a measure may not gate, by these figures; the rule stands in `pixel_synth.calibrate.rule`.

    A judge answers on the raters' own steps, so it is held to kappa (`may_gate`).  A scorer has a scale of its own, so it is held to
    telling good from not good: its AUC is above chance by its whole interval.  Both need labels that people gave, enough of them, people
    who agree, and to do better than length alone in 95 of 100 resamples.
    """
    found = [f"its labels were {ORIGINS['constructed']}"] if labels.origin == "constructed" else []
    people = agreement.humans.kappa
    if kind == "judge":
        found += may_gate(agreement.judge.kappa.model_copy(update={"n": labels.conversations}), people).reasons
    else:
        if labels.conversations < ITEMS:
            found.append(f"{labels.conversations} conversations are fewer than {ITEMS}")
        if labels.raters > 1 and (people.value is None or people.value < MODERATE):
            found.append(f"people agree with each other only at {people}, below {MODERATE:.2f}" if people.value is not None
                         else f"people's agreement with each other is not known: {people.reason}")  # fmt: skip
        good = sum(p.good > 0.5 for p in points)
        if min(good, len(points) - good) < EACH:
            found.append(f"{good} of {len(points)} are good: fewer than {EACH} on one side")
        auc = agreement.judge.auc
        if auc.low is None or auc.low <= 0.5:
            found.append(f"its AUC is not above chance: {auc.reason or auc}")
    if over_length.low is None or over_length.low <= 0.0:
        found.append(f"it is not better than length alone: {over_length.reason or f'AUC difference {over_length}'}")
    return tuple(found)


def by_the_rule(card: Card) -> Card:
    """Return a card with what the rule of today says of its figures: no file lets itself gate."""
    return card.model_copy(update={"refusals": refusals(card.kind, card.labels, card.points, card.agreement, card.over_length)})


# ------------------------------------------------------------------------------------------------ what a scorer gives now


def scored(conversation: Conversation, knowledge: Knowledge | None, weights: dict[str, float] | None = None) -> tuple[Score, ...]:
    """Return fresh scores of all scorers with the overall score last."""
    scores = score_all(conversation, knowledge)
    return (*scores, overall(scores, weights or None, persona=conversation.blueprint is not None))


@cache
def behaviours() -> dict[str, str]:
    """Return for every scorer and ``overall`` a hash of what it gives for reference conversations and anchors, parts included."""
    lines: dict[str, list[str]] = {}
    for conversation in (*reference(), *conversations(calibration_dir() / "anchors" / "sessions.jsonl")):
        for score in scored(conversation, None):
            lines.setdefault(score.metric, []).append(json.dumps([score.value, [(p.name, p.value) for p in score.parts]]))
    return {metric: hashlib.sha256("\n".join(said).encode()).hexdigest() for metric, said in lines.items()}


# ------------------------------------------------------------------------------------------------ where cards lie


def calibration_dir() -> Path:
    """Return ``PIXEL_CALIBRATION_DIR``, the checkout's ``calibration/``, or the installed copy."""
    return shipped("calibration")


def load_cards(own: Path = OWN) -> tuple[Card, ...]:
    """Return all cards, one's own after the shipped ones, held against the rule as it is now.

    Raises:
        UsageError: Naming the file that is no card.
    """
    found: dict[str, Card] = {}
    for folder in (calibration_dir() / "cards", own):
        for path in sorted(folder.glob("*.json")):
            try:
                card = Card.model_validate_json(path.read_bytes())
            except ValidationError as error:
                first = error.errors()[0]
                where = ".".join(map(str, first["loc"])) or "the file"
                raise UsageError(
                    f"{path}: no calibration card: {where}: {first['msg']}", hint="make it anew: pixel-synth calibrate"
                ) from error
            found[card.name] = by_the_rule(card)
    return tuple(found.values())


def stale(card: Card, rubric_sha256: str = "", model: str = "") -> str:
    """Return why a card does not hold for what is here now, "" when it does."""
    if card.kind == "scorer":
        now = behaviours().get(card.metric.split(".")[0], "")
        return "" if card.fingerprint == now else "its card was made for an earlier version of the scorer"
    if card.fingerprint != rubric_sha256:
        return f"its card was made for another version of the rubric ({card.version})"
    if card.model == model:
        return ""
    return f"its card was made with another model ({card.model}); {f'here it is {model}' if model else 'no judge_model is set here'}"


def best(cards: Iterable[Card]) -> Card | None:
    """Return the card to go by: one that may gate before one that may not, then the one with most labelled conversations."""
    return max(cards, key=lambda c: (c.gates, c.labels.conversations), default=None)
