"""What a dataset card says, counted from the files that it lies beside, and from what the run that made them tells of itself.

Figures about records come from the records.  What only the run knows (targets, duplicates, rejects, thresholds, certificate) is taken from
its own files, and is ``None`` or empty where they are not there: the card then says that it was not measured.
"""

from __future__ import annotations

import hashlib
import json
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from pixel_synth import __version__
from pixel_synth.books import Books
from pixel_synth.curate.gate import Gate, Limit
from pixel_synth.errors import RecordError
from pixel_synth.jsonl import sha256_of
from pixel_synth.mix.split_files import Report
from pixel_synth.publish.entries import ASIDE, Part, entries, parts
from pixel_synth.publish.tally import summary
from pixel_synth.recipe import CATEGORIES
from pixel_synth.records import Category, Conversation, Labels, Record
from pixel_synth.sources import sources
from pixel_synth.sources.inventory import uses
from pixel_synth.sources.licence import OURS, OWN, UNKNOWN, Terms, licence, terms

LABELS = tuple(Labels.model_fields)
RISKS = ("none", "low", "moderate", "high")


class PartFacts(Record):
    """One file of records."""

    name: str
    records: int
    words: int
    tokens: int | None = Field(description="None when they were not counted")
    preferences: int
    sha256: str


class CategoryFacts(Record):
    """One category; what was asked for is ``None`` where no mix is known."""

    category: Category
    records: int
    words: int
    share: float
    ratio: float | None
    wanted: int | None
    shortfall: int | None


class SourceFacts(Record):
    """Where records come from, under one licence."""

    source: str
    license: str
    records: int
    uses: str
    limits: tuple[str, ...]
    citation: str
    homepage: str


class WriterFacts(Record):
    """Who wrote records."""

    engine: str
    model: str
    records: int
    share: float


class MetricFacts(Record):
    """A score over the splits; mean and 10th percentile are of the raw values, ``None`` when no record is scored."""

    metric: str
    mean: float | None
    p10: float | None
    scored: int
    unscored: int
    calibrated: int = Field(description="records whose value is also known on the human scale")
    human_mean: float | None = Field(description="mean on the human scale of those")
    threshold: float | None
    standing: str = Field(description='"" when the metric has no threshold')
    why: str


class StageFacts(Record):
    """The books of one stage of the run."""

    name: str
    books: Books


class CardFacts(Record):
    """Everything that the card says."""

    name: str
    version: str
    toolkit: str
    year: str
    parts: tuple[PartFacts, ...]
    categories: tuple[CategoryFacts, ...]
    asked: int | None
    sources: tuple[SourceFacts, ...]
    terms: Terms
    writers: tuple[WriterFacts, ...]
    metrics: tuple[MetricFacts, ...]
    accepted: int
    rejected: int
    ungated: int = Field(description="records without a verdict")
    for_review: int
    reviewed: int | None
    labels: Mapping[str, int]
    kinds: Mapping[str, int]
    languages: Mapping[str, int]
    risks: Mapping[str, int]
    redactions: Mapping[str, int]
    redacted_records: int
    redacting: bool | None
    names: str
    duplicates: Mapping[str, Any]
    semantic: bool = Field(description="whether duplicates in meaning were looked for")
    stages: tuple[StageFacts, ...]
    splits: Report | None
    certified: bool | None = Field(description="whether the files here are the certified ones; None without a certificate")
    export: Mapping[str, Any]
    profile: str

    @property
    def records(self) -> int:
        """Records of the splits."""
        return sum(p.records for p in self.parts if p.name not in ASIDE)

    @property
    def words(self) -> int:
        """Words of the splits."""
        return sum(p.words for p in self.parts if p.name not in ASIDE)

    @property
    def tokens(self) -> int | None:
        """Tokens of the splits, ``None`` when they were not counted."""
        counted = [p.tokens for p in self.parts if p.name not in ASIDE]
        return None if None in counted else sum(n or 0 for n in counted)

    @property
    def composed(self) -> int:
        """Records of the composer, a grammar."""
        return sum(w.records for w in self.writers if w.engine == "composer")


class _Count:
    """Counts over the records of all parts; categories, scores and labels only over the splits."""

    def __init__(self) -> None:
        self.categories: Counter[str] = Counter()
        self.words: Counter[str] = Counter()
        self.pairs: Counter[tuple[str, str]] = Counter()
        self.writers: Counter[tuple[str, str]] = Counter()
        self.labels: Counter[str] = Counter()
        self.values: dict[str, Counter[str]] = {"kind": Counter(), "language": Counter(), "risk": Counter()}
        self.redactions: Counter[str] = Counter()
        self.redacted = self.for_review = 0
        self.verdicts: Counter[bool | None] = Counter()
        self.scores: dict[str, array[float]] = {}
        self.human: dict[str, array[float]] = {}
        self.unscored: Counter[str] = Counter()

    def add(self, c: Conversation, words: int, *, aside: bool) -> None:
        self.pairs[c.provenance.source, c.provenance.license] += 1
        self.writers[c.provenance.engine, c.provenance.model] += 1
        self.redacted += bool(c.redactions)
        for r in c.redactions:
            self.redactions[r.kind] += r.count
        if aside:
            return
        self.categories[c.category] += 1
        self.words[c.category] += words
        self.verdicts[c.verdict.accepted if c.verdict else None] += 1
        self.for_review += bool(c.verdict and c.verdict.review)
        self.labels.update(name for name in LABELS if getattr(c.labels, name))
        for name, found in self.values.items():
            found[getattr(c.labels, name)] += 1
        for score in c.scores:
            if score.value is None:
                self.unscored[score.metric] += 1
            else:
                self.scores.setdefault(score.metric, array("d")).append(score.value)
            if score.calibrated is not None:
                self.human.setdefault(score.metric, array("d")).append(score.calibrated)


def gather(run: Path, out: Path | None = None) -> CardFacts:
    """Count the files of a dataset and read what its run says.

    Args:
        run: Run directory, folder or file of records, as `pixel_synth.publish.dataset_files.export` takes it.
        out: Folder of the export that the card is for; default: the run.

    Raises:
        RecordError: When a record or a file of the run cannot be read.
        UsageError: When there are no records.
    """
    out = out or run
    count = _Count()
    exported = _json(out / "export.json") or _json(out / "data" / "export.json")
    told = exported.get("tokens") or {}
    files = tuple(_part(part, count, told.get(part.name)) for part in parts(run))
    info, mixed = _json(run / "run.json"), _json(run / "mix.json")
    stages = {s["name"]: s for s in map(_json, sorted((run / "stages").glob("*/stage.json"))) if s.get("name")}
    facts = {name.partition("-")[2]: s.get("facts") or {} for name, s in stages.items()}
    screened, total = facts.get("screen", {}), sum(count.categories.values())
    report = _splits(run / "splits.json")
    reviewed, recipe = info.get("reviewed"), info.get("recipe") or {}
    return CardFacts(
        name=run.resolve().name if run.is_dir() else run.stem,
        version=str(info.get("version") or f"v-{_common(files)}"),
        toolkit=str(info.get("toolkit") or __version__),
        year=str(info.get("started", ""))[:4],
        parts=files,
        categories=tuple(_categories(count, total, mixed)),
        asked=mixed.get("asked"),
        sources=tuple(_sources(count.pairs)),
        terms=terms(count.pairs, (id for id, one in sources().items() if one.gated)),
        writers=tuple(
            WriterFacts(engine=e, model=m, records=n, share=n / sum(count.writers.values())) for (e, m), n in count.writers.most_common()
        ),
        metrics=tuple(_metrics(count, total, info.get("gate"))),
        accepted=count.verdicts[True],
        rejected=count.verdicts[False],
        ungated=count.verdicts[None],
        for_review=count.for_review,
        reviewed=reviewed.get("records") if isinstance(reviewed, dict) else None,
        labels={name: count.labels[name] for name in LABELS},
        kinds=dict(count.values["kind"].most_common()),
        languages=dict(count.values["language"].most_common()),
        risks={name: count.values["risk"][name] for name in (*RISKS, "")},
        redactions=dict(count.redactions.most_common()),
        redacted_records=count.redacted,
        redacting=screened.get("redacted"),
        names=str(screened.get("names") or ""),
        duplicates=facts.get("deduplicate", {}),
        semantic=bool(recipe.get("semantic")),
        stages=tuple(StageFacts(name=name, books=Books.model_validate(s["books"])) for name, s in stages.items()),
        splits=report,
        certified=_certified(report, files),
        export=exported,
        profile=str(recipe.get("profile", "")),
    )  # fmt: skip


def _part(part: Part, count: _Count, tokens: int | None) -> PartFacts:
    records = words = pairs = 0
    for entry in entries(part):
        n = sum(len(m.content.split()) for m in entry.record.messages)
        count.add(entry.record, n, aside=part.name in ASIDE)
        records, words, pairs = records + 1, words + n, pairs + bool(entry.record.dispreferred)
    digest = sha256_of(part.source)
    return PartFacts(name=part.name, records=records, words=words, tokens=tokens, preferences=pairs, sha256=digest)


def _common(files: Iterable[PartFacts]) -> str:
    """Return a short hash of all files, by which a dataset without a version is known."""
    return hashlib.sha256("".join(f"{p.name} {p.sha256}\n" for p in files).encode()).hexdigest()[:12]


def _categories(count: _Count, total: int, mixed: Mapping[str, Any]) -> Iterable[CategoryFacts]:
    asked = {c["category"]: c for c in mixed.get("categories", ())}
    for category in (*CATEGORIES, *(("auxiliary",) if count.categories["auxiliary"] else ())):
        want, n = asked.get(category, {}), count.categories[category]
        yield CategoryFacts(
            category=category, records=n, words=count.words[category], share=n / total if total else 0.0, ratio=want.get("ratio"),
            wanted=want.get("wanted"), shortfall=max(0, want["wanted"] - n) if want else None,
        )  # fmt: skip


def _sources(pairs: Counter[tuple[str, str]]) -> Iterable[SourceFacts]:
    known = sources()
    for (name, text), n in pairs.most_common():
        set_ = known.get(name)
        own = name == OURS and not text
        yield SourceFacts(
            source=name, license=text or (OWN if own else UNKNOWN), records=n, uses=uses(licence(OWN if own else text)),
            limits=set_.limits if set_ else (), citation=set_.citation if set_ else "", homepage=set_.homepage if set_ else "",
        )  # fmt: skip


def _metrics(count: _Count, total: int, gate: Any) -> Iterable[MetricFacts]:
    limits: dict[str, Limit] = {limit.metric: limit for limit in (Gate.model_validate(gate).limits if gate else ())}
    for metric in sorted({*limits, *count.scores, *count.unscored}, key=lambda m: (m != "overall", m)):
        values, human, limit = count.scores.get(metric, array("d")), count.human.get(metric, array("d")), limits.get(metric)
        found, scale = summary(values), summary(human)
        yield MetricFacts(
            metric=metric, mean=found[0] if found else None, p10=found[1] if found else None, scored=len(values),
            unscored=total - len(values), calibrated=len(human), human_mean=scale[0] if scale else None,
            threshold=limit.least if limit else None, standing=limit.standing if limit else "", why=limit.why if limit else "",
        )  # fmt: skip


def _splits(path: Path) -> Report | None:
    if not path.is_file():
        return None
    try:
        return Report.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise RecordError(f"{path}: {error.errors()[0]['msg']}", hint="split the records again") from error


def _certified(report: Report | None, files: Iterable[PartFacts]) -> bool | None:
    if report is None or report.certificate is None:
        return None
    here = {p.name: p.sha256 for p in files}
    return all(here.get(name) == file.sha256 for name, file in report.certificate.files.items())


def _json(path: Path) -> dict[str, Any]:
    """Return what a JSON file of the run says, nothing when it is not there."""
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise RecordError(f"{path} is damaged: {error}", hint="restore it from a copy, or make the dataset again") from error
    return found if isinstance(found, dict) else {}
