"""Statistics of a dataset, taken in one pass: sizes, lengths, roles, labels, scores by slice, redactions."""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

from pixel_synth.curate.gate import applies
from pixel_synth.prove.rules.quality import reached, scored
from pixel_synth.prove.rules.rule import About, Check, Place
from pixel_synth.prove.slices import Slices, outcomes
from pixel_synth.prove.tables import Table, table
from pixel_synth.publish.tally import summary
from pixel_synth.recipe import CATEGORIES
from pixel_synth.records import Conversation

LABELS = ("kind", "modality", "topic", "population", "difficulty", "complexity", "risk", "technique", "language")
BY = ("source", "category", "kind")
TOP = 12  # values of a label or slices that are shown, the commonest
POINTS = (0.05, 0.25, 0.5, 0.75, 0.95)


class Profile(Check):
    """Counts and columns of numbers; texts are not kept."""

    def __init__(self, about: About) -> None:
        super().__init__(about)
        self.slices = Slices()
        self.records = 0
        self.splits: dict[str, Counter[str]] = defaultdict(Counter)
        self.categories: Counter[str] = Counter()
        self.category_words: Counter[str] = Counter()
        self.sources: Counter[tuple[str, str]] = Counter()
        self.source_words: Counter[tuple[str, str]] = Counter()
        self.engines: Counter[tuple[str, str]] = Counter()
        self.labels: dict[str, Counter[str]] = {name: Counter() for name in LABELS}
        self.messages = array("I")
        self.words = array("I")
        self.turn_words = {"user": array("I"), "assistant": array("I"), "system": array("I")}
        self.redactions: Counter[str] = Counter()
        self.redacted = 0
        self.scores: dict[str, array[float]] = defaultdict(lambda: array("d"))
        self.unscored: Counter[str] = Counter()
        self.by: dict[tuple[str, str, str], list[float]] = defaultdict(lambda: [0, 0.0, 0])  # n, sum, passing
        self.least = {limit.metric: limit.least for limit in about.gate.limits}

    def see(self, c: Conversation, at: Place) -> None:
        """Count a record."""
        self.records += 1
        self._sizes(c, at)
        for name in LABELS:
            self.labels[name][getattr(c.labels, name)] += 1
        for redaction in c.redactions:
            self.redactions[redaction.kind] += redaction.count
        self.redacted += bool(c.redactions)
        self.slices.add(c, at, outcomes(c, at, self.about.gate))
        if scored(c, at):
            self._scores(c)

    def _sizes(self, c: Conversation, at: Place) -> None:
        total = 0
        for message in c.messages:
            n = len(message.content.split())
            self.turn_words[message.role].append(n)
            total += n
        self.messages.append(len(c.messages))
        self.words.append(total)
        split, source = at.split or "(no split)", (c.provenance.source, c.provenance.license)
        self.splits[split].update(records=1, words=total, messages=len(c.messages))
        self.categories[c.category] += 1
        self.category_words[c.category] += total
        self.sources[source] += 1
        self.source_words[source] += total
        self.engines[c.provenance.engine, c.provenance.model] += 1

    def _scores(self, c: Conversation) -> None:
        limits = {limit.metric: limit for limit in self.about.gate.limits}
        values = {"source": c.provenance.source, "category": c.category, "kind": c.labels.kind}
        for metric in {*limits, *(s.metric for s in c.scores)}:
            if not applies(metric, c):
                continue
            score = c.score(metric)
            limit = limits.get(metric)
            value = reached(limit, c) if limit else score.value if score else None
            if value is None:
                self.unscored[metric] += score is not None
                continue
            self.scores[metric].append(value)
            for dimension in BY if limit else ():
                row = self.by[metric, dimension, values[dimension]]
                row[0] += 1
                row[1] += value
                row[2] += value >= self.least[metric]

    # ------------------------------------------------------------------------------ what is told

    def tables(self) -> Iterator[Table]:
        """Yield the tables of the records themselves."""
        yield table(
            "splits",
            "Splits",
            "split, records:count, share:share, words:count, messages:count",
            ((name, n["records"], n["records"] / self.records, n["words"], n["messages"]) for name, n in self.splits.items()),
            bar="share",
        )
        yield self._categories()
        yield table(
            "sources",
            "Sources and licences",
            "source, licence, records:count, share:share, words:count",
            (
                (s, licence or MISSING_LICENCE, n, n / self.records, self.source_words[s, licence])
                for (s, licence), n in _top(self.sources, 50)
            ),
            bar="share",
        )
        yield table(
            "engines",
            "Who wrote it",
            "engine, model, records:count, share:share",
            ((e or "(not generated here)", m or "–", n, n / self.records) for (e, m), n in _top(self.engines, 20)),
            bar="share",
        )
        yield table(
            "lengths",
            "Lengths",
            "what, n:count, mean:number, p5:count, p25:count, median:count, p75:count, p95:count, longest:count",
            self._lengths(),
            note="Words are parts between spaces. Percentiles by the nearest rank.",
        )
        yield table("messages", "Messages per record", "messages, records:count, share:share", self._turns(), bar="share")
        total = sum(map(len, self.turn_words.values()))
        yield table(
            "roles",
            "Roles",
            "role, turns:count, share of turns:share, words:count, share of words:share",
            (
                (role, len(column), len(column) / max(1, total), sum(column), sum(column) / max(1, sum(self.words)))
                for role, column in self.turn_words.items()
                if column
            ),
            bar="share of words",
        )
        yield table(
            "labels",
            "Labels",
            "label, told:count, told for:share, values:count",
            (
                (name, known, known / self.records, sum(1 for v in n if v))
                for name, n in self.labels.items()
                for known in [self.records - n[""]]
            ),
            bar="told for",
        )
        for name in ("kind", "modality", "topic", "risk", "complexity", "population"):
            if values := Counter({v: n for v, n in self.labels[name].items() if v}):
                more = f"The {TOP} commonest of {len(values)}." if len(values) > TOP else ""
                yield table(
                    f"label.{name}",
                    f"Label {name}",
                    f"{name}, records:count, share:share",
                    ((v, n, n / self.records) for v, n in _top(values, TOP)),
                    note=more,
                    bar="share",
                )
        yield self._metrics()
        yield from self._by_slice()
        yield table(
            "redactions",
            "Personal data taken out",
            "kind, items:count",
            _top(self.redactions, 30),
            bar="items",
            note=f"In {self.redacted:,} of {self.records:,} records.",
        )

    def _categories(self) -> Table:
        ratios = {str(k): v for k, v in self.about.settings.ratios.items()}
        mixed = sum(self.categories[c] for c in CATEGORIES)
        rows = []
        for name in (*CATEGORIES, *sorted(self.categories.keys() - set(CATEGORIES))):
            inside = name in CATEGORIES
            share = self.categories[name] / mixed if inside and mixed else None
            target = ratios.get(name) if inside and self.about.mixed else None
            gap = share - target if share is not None and target is not None else None
            rows.append((name, self.categories[name], share, target, gap, self.category_words[name]))
        note = "Shares are of the five categories; auxiliary records stand outside the ratios."
        note += "" if self.about.mixed else " No recipe asks for the ratios, so there are no targets."
        return table(
            "categories",
            "Categories",
            "category, records:count, share:share, target:share, gap:points, words:count",
            rows,
            note=note,
            bar="share",
        )

    def _lengths(self) -> Iterator[tuple[object, ...]]:
        columns = {
            "messages per record": self.messages,
            "words per record": self.words,
            "words per client turn": self.turn_words["user"],
            "words per therapist turn": self.turn_words["assistant"],
        }
        for name, column in columns.items():
            if column:
                ordered = sorted(column)
                points = (ordered[max(0, -int(-len(ordered) * p // 1) - 1)] for p in POINTS)
                yield (name, len(ordered), sum(ordered) / len(ordered), *points, ordered[-1])

    def _turns(self) -> Iterator[tuple[object, ...]]:
        edges = ((2, "2"), (4, "3-4"), (8, "5-8"), (12, "9-12"), (16, "13-16"), (24, "17-24"), (500, "25 and more"))
        counts = Counter(next((name for end, name in edges if n <= end), edges[-1][1]) for n in self.messages)
        return ((name, counts[name], counts[name] / self.records) for _, name in edges if counts[name])

    def _metrics(self) -> Table:
        standing = {limit.metric: limit.standing for limit in self.about.gate.limits}
        rows = []
        for metric in sorted({*self.scores, *self.least}, key=lambda m: (m not in self.least, m)):
            values, least = self.scores.get(metric, array("d")), self.least.get(metric)
            found = summary(values)
            passing = sum(v >= least for v in values) / len(values) if least is not None and values else None
            rows.append(
                (metric, *(found or (None, None)), least, passing, len(values), self.unscored[metric], standing.get(metric, "shown only"))
            )
        note = (
            "Calibrated metrics are on the human scale of their card; a refused threshold does not count, and its pass share is on the "
            "raw score."
        )
        return table(
            "metrics",
            "Scores",
            "metric, mean:number, p10:number, target:number, pass:share, scored:count, unscored:count, standing",
            rows,
            note=note,
            bar="mean",
        )

    def _by_slice(self) -> Iterator[Table]:
        for dimension in BY:
            values = Counter({v: int(row[0]) for (_, d, v), row in self.by.items() if d == dimension})
            rows = [
                (value or "(none)", metric, int(n), total / n, passing / n)
                for value, _ in _top(values, TOP)
                for metric in self.least
                for n, total, passing in [self.by.get((metric, dimension, value), (0, 0.0, 0))]
                if n
            ]
            if rows:
                yield table(
                    f"scores.{dimension}", f"Scores by {dimension}", f"{dimension}, metric, scored:count, mean:number, pass:share", rows
                )


MISSING_LICENCE = "(none told)"


def _top(counts: Counter[Any], n: int) -> list[tuple[Any, int]]:
    """Return the commonest, equally common ones in their order."""
    return sorted(counts.items(), key=lambda item: (-item[1], str(item[0])))[:n]
