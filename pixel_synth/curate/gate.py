"""The gate: what has to be true of a record, and which scores it must reach.

Two kinds of reasons reject.  *Facts* need no calibration: a violated safety or scope rule, and a plan that the
words do not keep (a criterion, count, duration or promised fact that is not there, a detail about the person that contradicts).
*Thresholds* are on numbers, and a number may decide only after it was held against people: a metric needs a calibration card that may
gate (`pixel_synth.calibrate`), and its threshold is met when the **calibrated** score, the share of people who would call such a
record good, reaches it.  A threshold without such a card is refused: it does not count, the verdict names it (``ungated``) and the
report says why.  With ``allow_uncalibrated`` it counts on the raw score, and the verdict says that, too (``uncalibrated``).  A score
that counts and could not be had does not pass.

Whether a safety rule is broken is told by phrases and a small model trained on constructed lines, and rejects without a card: a choice for
safety, not a measured fact.  How often it is wrong on real talk is not known (docs/scorers.md).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from pydantic import Field

from pixel_synth.calibrate.card import Card, best, load_cards, stale
from pixel_synth.calibrate.fit import HumanMap, unsure
from pixel_synth.grammar import find_cue
from pixel_synth.judges.names import panel_name
from pixel_synth.judges.rubric import rubric
from pixel_synth.records import Conversation, Fact, Record, Score, Unit, Verdict
from pixel_synth.settings import Settings

Standing = Literal["calibrated", "uncalibrated", "refused"]
# Parts of scorers that state a fact about plan and words; each below 1 rejects.
TRUTHS = {
    "therapeutic_accuracy": ("criteria_heard", "rules_met", "duration", "facts"),
    "personality_consistency": ("facts",),
}


class Fares(Record):
    """How the conversations that people rated fare under a threshold; shares are ``None`` where there is none of the kind."""

    rated: int
    passing: Unit
    good_passing: Unit | None
    others_passing: Unit | None


class Limit(Record):
    """One threshold, and what it may do; ``unsure`` are the raw scores between which it may lie (`pixel_synth.calibrate.fit.unsure`)."""

    metric: str
    least: float
    standing: Standing
    why: str = ""
    card: str = ""
    scale: HumanMap | None = None
    unsure: tuple[Unit, Unit] | None = None
    fares: Fares | None = None

    def reached(self, score: Score) -> float | None:
        """Return the value that is compared with the threshold: on the human scale where there is a card."""
        return score.calibrated if self.scale else score.value


class Gate(Record):
    """All thresholds of a run, settled once at its start; ``scales`` are those of judges that have a card and no threshold."""

    limits: tuple[Limit, ...] = ()
    scales: dict[str, HumanMap] = Field(default_factory=dict)

    def scaled(self, scores: Iterable[Score]) -> tuple[Score, ...]:
        """Return the scores with their value on the human scale, where a card gives one."""
        scales = self.scales | {limit.metric: limit.scale for limit in self.limits if limit.scale}
        return tuple(
            s if s.value is None or s.metric not in scales else s.model_copy(update={"calibrated": round(scales[s.metric](s.value), 4)})
            for s in scores
        )

    def decide(self, conversation: Conversation, scores: Sequence[Score]) -> Verdict:
        """Decide on a record whose scores are `scaled`."""
        by_metric = {s.metric: s for s in scores}
        reasons = broken_rules(by_metric)
        reasons += broken_truths(by_metric)
        reasons += [f"fact missing: {fact.kind} {fact.id}" for fact in missing_facts(conversation)]
        for limit in self.limits:
            if limit.standing != "refused" and applies(limit.metric, conversation):
                reasons += below(limit, by_metric.get(limit.metric))
        return Verdict(
            accepted=not reasons,
            reasons=tuple(reasons),
            ungated=tuple(limit.metric for limit in self.limits if limit.standing == "refused"),
            uncalibrated=tuple(limit.metric for limit in self.limits if limit.standing == "uncalibrated"),
        )


def settle(settings: Settings, cards: Sequence[Card] | None = None) -> Gate:
    """Find out what each threshold of the settings may do, from the calibration cards that are here.

    Raises:
        UsageError: When a card cannot be read.
        PromptError: When a threshold names a rubric that is not there.
    """
    found = load_cards() if cards is None else cards
    judged = {metric: _card(metric, settings, found)[0] for metric in (f"judge.{name}" for name in settings.judges)}
    return Gate(
        limits=tuple(_limit(metric, least, settings, found) for metric, least in settings.thresholds.items()),
        scales={metric: card.scale for metric, card in judged.items() if card and card.gates},
    )


def _card(metric: str, settings: Settings, cards: Sequence[Card]) -> tuple[Card | None, str]:
    """Return the card to go by, or why there is none."""
    sha256, model = "", ""
    if metric.startswith("judge."):
        sha256, model = rubric(metric.removeprefix("judge.").split(".")[0]).ref.sha256, judging_model(settings)
    mine = [card for card in cards if card.metric == metric]
    card = best(c for c in mine if not stale(c, sha256, model))
    return card, "" if card else stale(mine[-1], sha256, model) if mine else "it has no calibration card"


def _limit(metric: str, least: float, settings: Settings, cards: Sequence[Card]) -> Limit:
    card, why = _card(metric, settings, cards)
    if card is None:
        pass
    elif metric == "overall" and settings.weights:
        why = "its card was made with equal weights of the metrics, and the settings have others"
    elif card.refusals:
        why = card.refusals[0]
    elif card.scale.highest < least:
        why = f"no score is known to reach {least:.2f} on the human scale (the highest gives {card.scale.highest:.2f})"
    else:
        passing = [card.scale(p.raw) >= least for p in card.points]
        return Limit(
            metric=metric, least=least, standing="calibrated", card=card.name, scale=card.scale, unsure=unsure(card.points, least),
            fares=fare(card, passing),
        )  # fmt: skip
    standing: Standing = "uncalibrated" if settings.allow_uncalibrated else "refused"
    fares = fare(card, [p.raw >= least for p in card.points]) if card else None
    return Limit(metric=metric, least=least, standing=standing, why=why, card=card.name if card else "", fares=fares)


def fare(card: Card, passing: Sequence[bool]) -> Fares:
    """Return how the labelled conversations of a card fare; good is what more than half of the raters call good."""

    def share(good: bool) -> float | None:
        kept = [ok for p, ok in zip(card.points, passing, strict=True) if (p.good > 0.5) is good]
        return sum(kept) / len(kept) if kept else None

    return Fares(rated=len(passing), passing=sum(passing) / len(passing), good_passing=share(True), others_passing=share(False))


def judging_model(settings: Settings) -> str:
    """Return the name under which the judge's calibration cards run."""
    return panel_name(settings.judge_model or (settings.model,), settings.judge_samples)


def applies(metric: str, conversation: Conversation) -> bool:
    """Tell whether a threshold applies: there is no persona to be consistent with where there was no plan."""
    return metric != "personality_consistency" or conversation.blueprint is not None


def below(limit: Limit, score: Score | None) -> list[str]:
    """Return why a score does not meet its threshold, nothing when it does."""
    if score is None:
        return [f"{limit.metric}: not measured"]
    value = limit.reached(score)
    if value is None:
        return [f"{limit.metric}: unscored ({score.reason})"]
    if value >= limit.least:
        return []
    weakest = sorted((p for p in score.parts if p.value is not None and p.value < limit.least), key=lambda p: p.value or 0)[:2]
    why = ", ".join(f"{p.name} {p.value:.2f}" for p in weakest)
    raw = f", raw {score.value:.3f}" if limit.scale else ""
    return [f"{limit.metric}: {value:.3f} < {limit.least:.2f}{raw}" + (f" ({why})" if why else "")]


def broken_rules(by_metric: dict[str, Score]) -> list[str]:
    """Return the violated safety and scope rules; where none could be looked at, that."""
    compliance = by_metric.get("clinical_compliance")
    if compliance is None:
        return []
    if compliance.value is None and not compliance.parts:
        return [f"safety: not checked ({compliance.reason})"]
    return [f"safety: {p.name} violated" for p in compliance.parts if p.value == 0.0]


def broken_truths(by_metric: dict[str, Score]) -> list[str]:
    """Return where the words do not keep what plan and person say."""
    scores = [(by_metric[metric], names) for metric, names in TRUTHS.items() if metric in by_metric]
    parts = [(score.metric, p.name, p.value) for score, names in scores for p in score.parts if p.name in names]
    return [f"untrue: {name} {value:.2f} ({metric})" for metric, name, value in parts if value is not None and value < 1]


def missing_facts(conversation: Conversation) -> tuple[Fact, ...]:
    """Return the must-appear facts of the blueprint that nobody says."""
    if conversation.blueprint is None:
        return ()
    said = {"client": conversation.said("user"), "therapist": conversation.said("assistant")}
    return tuple(f for f in conversation.blueprint.must_appear if not find_cue(f.cues, said[f.speaker]))
