"""Counts and score columns of a run, taken in one pass over its outcomes; every number of card and report is from here.

Memory does not grow with the text: scores are kept as plain doubles, and diversity is measured on the first
`DIVERSITY_SAMPLE` accepted conversations (in slot order).
"""

from __future__ import annotations

import re
from array import array
from collections import Counter, defaultdict
from itertools import pairwise
from typing import NamedTuple

from pixel_synth.judges.names import own_judges
from pixel_synth.records import Attempt, Conversation, Outcome

DIVERSITY_SAMPLE = 1000
_SENTENCE = re.compile(r"(?<=[.!?…])[\"'”’]?\s+")
_WORD = re.compile(r"[\w'’]+")


class Books(NamedTuple):
    """``planned == accepted + rejected + failed``, in conversations; shortfall in slots."""

    planned: int
    accepted: int
    rejected: int
    failed: int
    shortfall: int


class Diversity(NamedTuple):
    """How much the conversations differ from each other (all 0–1; ``None`` without any conversation)."""

    sample: int
    client_unique: float | None
    therapist_unique: float | None
    distinct_2: float | None
    commonest_share: float | None
    commonest: str


class Tally:
    """Accumulates outcomes.

    Args:
        judge: Model of the judge where scores name none.
    """

    def __init__(self, judge: str = "") -> None:
        self._judge = judge
        self.books = Books(0, 0, 0, 0, 0)
        self.scores: dict[str, dict[str, array[float]]] = {
            "accepted": defaultdict(lambda: array("d")),
            "rejected": defaultdict(lambda: array("d")),
        }
        self.raw: dict[str, array[float]] = defaultdict(lambda: array("d"))  # of the metrics whose scores are calibrated
        self.unscored: Counter[str] = Counter()
        self.own: Counter[tuple[str, str]] = Counter()  # by metric and model: records that their writer judged
        self.reasons: Counter[str] = Counter()
        self.review: Counter[str] = Counter()  # why records go to a person, by kind
        self.reviewed: Counter[str] = Counter()  # how many do, by status
        self.labels: dict[str, Counter[str]] = defaultdict(Counter)
        self.cells: Counter[tuple[str, str]] = Counter()
        self.short: Counter[tuple[str, ...]] = Counter()
        self.failures: Counter[str] = Counter()  # failed attempts by kind
        self.slots: set[int] = set()
        self.knowledge: Counter[str] = Counter()
        self.evidence: Counter[str] = Counter()  # how well the modality is supported for the topic
        self.acts: Counter[str] = Counter()
        self.turn_counts: Counter[int] = Counter()
        self.words = {"user": 0, "assistant": 0}
        self._turns: dict[str, Counter[int]] = {"user": Counter(), "assistant": Counter()}
        self._bigrams: set[int] = set()
        self._n_bigrams = 0
        self._sentences: Counter[str] = Counter()
        self._sampled = 0
        self.first: Conversation | None = None  # the first accepted one, to be shown

    def add(self, outcome: Outcome) -> None:
        """Take in all attempts of a slot."""
        b = self.books
        kinds = Counter(a.status for a in outcome.attempts)
        self.books = Books(
            b.planned + len(outcome.attempts),
            b.accepted + kinds["accepted"],
            b.rejected + kinds["rejected"],
            b.failed + kinds["failed"],
            b.shortfall + (not outcome.accepted),
        )
        self.slots.add(outcome.slot)
        if not outcome.accepted and outcome.attempts:
            self.short[outcome.attempts[-1].blueprint.cell] += 1
        for attempt in outcome.attempts:
            self._attempt(attempt)

    def never_begun(self, cell: tuple[str, ...]) -> None:
        """Count a slot that was left before its first attempt ended."""
        self.books = self.books._replace(shortfall=self.books.shortfall + 1)
        self.short[cell] += 1

    def _attempt(self, attempt: Attempt) -> None:
        for reason in attempt.reason.split("; ") if attempt.reason else ():
            self.reasons[_kind(reason)] += 1
        if attempt.status == "failed":
            self.failures[attempt.kind or "error"] += 1
        conversation = attempt.conversation
        if conversation is None:
            return
        if conversation.verdict and conversation.verdict.review:
            self.reviewed[attempt.status] += 1
            self.review.update({reason.partition(":")[0] for reason in conversation.verdict.review})
        for score in conversation.scores:
            self.own.update((score.metric, name) for name in own_judges(conversation, score, self._judge))
            if score.value is None:
                self.unscored[score.metric] += 1
            else:  # on the human scale where the metric has one
                value = score.value if score.calibrated is None else score.calibrated
                self.scores[attempt.status][score.metric].append(value)
                if score.calibrated is not None:
                    self.raw[score.metric].append(score.value)
        if attempt.status == "accepted":
            self._accepted(conversation)

    def _accepted(self, c: Conversation) -> None:
        self.first = self.first or c
        for dim, value in c.labels.model_dump().items():
            self.labels[dim].update(v for v in ((value,) if isinstance(value, str) else value) if v)
        if c.blueprint and c.blueprint.evidence:
            self.evidence[c.blueprint.evidence] += 1
        self.cells[c.labels.topic, c.labels.modality] += 1
        self.knowledge.update(c.provenance.knowledge)
        self.acts.update(t.act for t, m in zip(c.turns, c.messages, strict=True) if m.role == "assistant")
        self.turn_counts[len(c.messages)] += 1
        for message in c.messages:
            if message.role in self.words:
                self.words[message.role] += len(message.content.split())
        if self._sampled < DIVERSITY_SAMPLE:
            self._sampled += 1
            self._sample(c)

    def _sample(self, c: Conversation) -> None:
        mine: set[str] = set()
        for message in c.messages:
            if message.role not in self._turns:
                continue
            self._turns[message.role][hash(message.content)] += 1
            words = [w.lower() for w in _WORD.findall(message.content)]
            self._bigrams.update(hash(pair) for pair in pairwise(words))
            self._n_bigrams += max(0, len(words) - 1)
            mine.update(" ".join(_WORD.findall(s.lower())) for s in _SENTENCE.split(message.content))
        self._sentences.update(sorted(mine - {""}))  # sorted: ties must not depend on hash seeds

    def diversity(self) -> Diversity:
        """Return the measures over the sample.

        Unique = share of turns whose exact text occurs once; distinct-2 = distinct bigrams over all bigrams (Li et al.
        2016); commonest = the sentence (lower case, without punctuation) that occurs in most conversations.
        """

        def unique(role: str) -> float | None:
            counts = self._turns[role]
            total = sum(counts.values())
            return sum(1 for n in counts.values() if n == 1) / total if total else None

        sentence, n = self._sentences.most_common(1)[0] if self._sentences else ("", 0)
        return Diversity(
            self._sampled,
            unique("user"),
            unique("assistant"),
            len(self._bigrams) / self._n_bigrams if self._n_bigrams else None,
            n / self._sampled if self._sampled else None,
            sentence,
        )

    def common_sentences(self, most: int = 20) -> list[tuple[str, int]]:
        """Return the sentences that occur in most conversations of the sample."""
        return self._sentences.most_common(most)


def _kind(reason: str) -> str:
    """Return what rejections of one kind have in common: the metric with its weakest part, the rule, the kind of fact."""
    if below := re.match(r"([\w.]+): [\d.]+ < ([\d.]+)(?:, raw [\d.]+)?(?: \(([\w.]+))?", reason):
        return f"{below[1]} below {below[2]}" + (f", weakest part {below[3]}" if below[3] else "")
    return reason.split(" (")[0][:100]


def summary(values: array[float]) -> tuple[float, float] | None:
    """Return (mean, 10th percentile by the nearest-rank method), or ``None`` when there are no values."""
    if not values:
        return None
    ordered = sorted(values)
    return sum(ordered) / len(ordered), ordered[max(0, -(-len(ordered) // 10) - 1)]
