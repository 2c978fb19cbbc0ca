"""Findings and the report: uniform data gives none, a planted slice is found first, all formats show the same numbers."""

from __future__ import annotations

import csv
import io
import json
import re
from html.parser import HTMLParser
from math import sqrt
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from splits import jsonl, record

from pixel_synth.books import Reject
from pixel_synth.cli import main
from pixel_synth.curate.gate import Gate, Limit
from pixel_synth.draw import Draw
from pixel_synth.errors import RecordError
from pixel_synth.prove.advice import advice
from pixel_synth.prove.findings import Finding, findings, newcombe
from pixel_synth.prove.report import FORMATS, Facts, render, report, write
from pixel_synth.prove.rules import Place
from pixel_synth.prove.slices import GATE, Slices, kind_of_reason
from pixel_synth.prove.tables import shown, table
from pixel_synth.recipe import load_recipe
from pixel_synth.records import Conversation, Labels, Part, Provenance, Score, Verdict
from pixel_synth.settings import load_settings

SOURCES, KINDS, TOPICS = ("forum", "clinic", "book"), ("session", "question_answer"), ("sleep", "grief", "work", "panic")


def talk(n: int, source: str, kind: str, topic: str) -> Conversation:
    c = record(f"r{n}", category="mental_health", said="Nothing helps", answer="Tell me")
    labels = Labels(kind=kind, topic=topic)  # type: ignore[arg-type]
    return c.model_copy(update={"labels": labels, "provenance": c.provenance.model_copy(update={"source": source, "license": "MIT"})})


def sample(seed: int, n: int = 1200, plant: dict[str, str] | None = None, share: float = 0.4, rest: float = 0.1) -> Slices:
    """Return records that fail by chance, those of the planted slice more often."""
    draw, slices = Draw("findings", seed), Slices()
    for i in range(n):
        has = {"source": draw.pick(SOURCES), "kind": draw.pick(KINDS), "topic": draw.pick(TOPICS)}
        bad = draw.chance(share if plant and all(has[k] == v for k, v in plant.items()) else rest)
        slices.add(talk(i, **has), Place("train", "train.jsonl", i + 1), {"coherence": (bad, "order" if bad else "")})
    return slices


def test_uniform_data_gives_no_finding() -> None:
    assert not any(findings(sample(seed)) for seed in range(10))


@pytest.mark.parametrize("plant", [{"source": "forum"}, {"topic": "grief"}, {"source": "clinic", "topic": "panic"}, {"kind": "session"}])
def test_a_planted_slice_is_found_first_and_nothing_else(plant: dict[str, str]) -> None:
    found = findings(sample(3, plant=plant, share=0.5), {"coherence": 0.9})
    assert found[0].slice == plant
    assert len(found) == 1
    first = found[0]
    assert first.low < 0.4 < first.high
    assert first.reasons[0].why == "order"
    assert first.reasons[0].records == first.failing
    assert first.told.startswith(f"{first.failing:,} of {first.records:,} records of ")
    assert "below coherence 0.90, mostly order" in first.told
    assert first.command == "pixel-synth score train.jsonl --metric coherence"
    assert "order" in first.action


def test_a_slice_of_fewer_than_thirty_or_a_small_difference_is_no_finding() -> None:
    assert not findings(sample(1, n=59, plant={"source": "forum"}, share=1.0, rest=0.0))
    assert not findings(sample(1, n=4000, plant={"source": "forum"}, share=0.03, rest=0.0))


def test_two_planted_slices_are_both_found_and_order_of_records_does_not_matter() -> None:
    draw, kept = Draw("two"), []
    for i in range(1500):
        c = talk(i, draw.pick(SOURCES), draw.pick(KINDS), draw.pick(TOPICS))
        likely = 0.6 if c.provenance.source == "forum" else 0.45 if c.labels.topic == "grief" else 0.05
        kept.append((c, draw.chance(likely)))

    def found(rows: list[tuple[Conversation, bool]]) -> list[Finding]:
        slices = Slices()
        for n, (c, bad) in enumerate(rows, 1):
            slices.add(c, Place("", "f", n), {"coherence": (bad, "")})
        return findings(slices)

    here, back = found(kept), found(kept[::-1])
    assert [f.slice for f in here] == [{"source": "forum"}, {"topic": "grief"}]
    assert [f.model_dump(exclude={"examples", "command"}) for f in here] == [f.model_dump(exclude={"examples", "command"}) for f in back]


@given(st.integers(1, 300), st.integers(1, 300), st.data())
@settings(max_examples=60, deadline=None)
def test_the_interval_holds_the_difference_and_turns_with_its_sides(n: int, m: int, data: st.DataObject) -> None:
    a, b = data.draw(st.integers(0, n)), data.draw(st.integers(0, m))
    low, high = newcombe(a, n, b, m)
    assert -1 - 1e-9 <= low <= a / n - b / m <= high <= 1 + 1e-9
    assert newcombe(b, m, a, n) == pytest.approx((-high, -low))


def test_the_interval_is_that_of_the_paper() -> None:
    """Newcombe (1998), table II, first example: 56/70 against 48/80, method 10."""
    assert newcombe(56, 70, 48, 80) == pytest.approx((0.0524, 0.3339), abs=5e-5)


def test_z_is_that_of_the_pooled_test() -> None:
    slices = Slices()
    for i in range(200):
        c = talk(i, "forum" if i < 80 else "book", "session", "sleep")
        slices.add(c, Place("", "f", i), {"coherence": (i < 40 or i >= 180, "")})
    (first, *_) = findings(slices)
    pooled = 60 / 200
    assert first.z == pytest.approx((40 / 80 - 20 / 120) / sqrt(pooled * (1 - pooled) * (1 / 80 + 1 / 120)), abs=0.005)
    assert (first.records, first.failing, first.rest, first.rest_failing) == (80, 40, 120, 20)


def test_reasons_lose_their_numbers_and_keep_their_part() -> None:
    assert kind_of_reason("coherence: 0.578 < 0.90, raw 0.533 (topic 0.53); safety: x violated") == "coherence: topic"
    assert kind_of_reason("safety: cl.resources violated; other") == "safety: cl.resources violated"
    assert kind_of_reason("language: es 0.53, en 0.47") == "language"


def test_advice_depends_on_who_wrote_it() -> None:
    made = advice("therapeutic_accuracy", "modality", {"source": "generated"}, ("train.jsonl:3",), "")
    theirs = advice("therapeutic_accuracy", "modality", {"source": "forum"}, ("train.jsonl:3",), "runs/x")
    assert "explain" in made.action
    assert "explain" not in theirs.action
    assert theirs.command == "pixel-synth score runs/x/train.jsonl --metric therapeutic_accuracy"


# ------------------------------------------------------------------------------------------ the report


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset with a bad source in it, one that the gate rejects, and names that no format may trip over."""
    home, draw = tmp_path_factory.mktemp("runs") / "dataset-007", Draw("report")
    kept = []
    for i in range(240):
        source = ("forum", "clinic", "=cmd|'x'<b>")[i % 3]
        value = 0.5 if source == "forum" and draw.chance(0.6) else 0.95
        c = talk(i, source, "session", draw.pick(TOPICS))
        scores = (Score(metric="coherence", value=value, parts=(Part(name="order", value=value),)),)
        kept.append(c.model_copy(update={"scores": scores, "verdict": Verdict(accepted=True)}))
    jsonl(home / "data" / "train.jsonl", kept)
    jsonl(home / "stages" / "04-score" / "kept.jsonl", kept)
    refused = [talk(1000 + i, "clinic", "session", "sleep") for i in range(60)]
    rows = [Reject(stage="score", reason="coherence: 0.4 < 0.90 (topic 0.40)", id=c.id, record=c).line() for c in refused]
    (home / "stages" / "04-score" / "rejects.jsonl").write_text("\n".join(rows) + "\n")
    books = {"kept": 240, "rejected": 60, "failed": 0, "reasons": {"coherence": 60}}
    (home / "stages" / "04-score" / "stage.json").write_text(json.dumps({"name": "04-score", "books": books}))
    gate = Gate(limits=(Limit(metric="coherence", least=0.9, standing="uncalibrated"),))
    info = {"settings": load_settings().model_dump(mode="json"), "recipe": load_recipe(total=240).model_dump(mode="json")}
    (home / "run.json").write_text(json.dumps({**info, "gate": gate.model_dump(mode="json")}))
    return home


@pytest.fixture(scope="module")
def facts(run: Path) -> Facts:
    return report(run)


def test_the_bad_source_is_named_and_so_is_the_one_that_the_gate_rejects(facts: Facts) -> None:
    slices = {f.outcome: f for f in facts.findings}
    assert slices["coherence"].slice == {"source": "forum"}
    assert slices["coherence"].examples[0].startswith("data/train.jsonl:")
    assert slices[GATE].slice == {"source": "clinic"}
    assert (slices[GATE].failing, slices[GATE].records) == (60, 140)
    assert slices[GATE].reasons[0].why == "coherence: topic"


def test_numbers_of_the_tables_are_those_of_the_files(facts: Facts, run: Path) -> None:
    tables = {t.id: t for t in facts.tables}
    assert facts.records == 240
    assert {row[0]: row[2] for row in tables["sources"].rows} == {"forum": 80, "clinic": 80, "=cmd|'x'<b>": 80}
    assert tables["funnel"].rows == (("04-score", 300, 240, 60, 0, 0.8),)
    values = [c.scores[0].value or 0 for line in (run / "data" / "train.jsonl").read_text().splitlines()
              for c in [Conversation.model_validate_json(line)]]  # fmt: skip
    metric, mean, *_, scored, unscored, standing = tables["metrics"].rows[0]
    assert (metric, scored, unscored, standing) == ("coherence", 240, 0, "uncalibrated")
    assert mean == pytest.approx(sum(values) / 240, abs=5e-5)
    assert sum(row[1] for row in tables["messages"].rows) == 240


class Cells(HTMLParser):
    """The texts of all cells of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "td" and ("class", "bar") not in attrs:
            self.inside = True
            self.found.append("")

    def handle_endtag(self, tag: str) -> None:
        self.inside = self.inside and tag != "td"

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.found[-1] += data


def test_all_formats_show_the_same_values(facts: Facts) -> None:
    cells = [shown(v, c.kind) for t in facts.tables for row in t.rows for v, c in zip(row, t.columns, strict=True)]
    page = Cells()
    page.feed(render(facts, "html"))
    assert page.found == cells
    rows = [line for line in render(facts, "md").splitlines() if re.match(r"\|(?!-)", line)]
    found = [c.strip().replace("\\|", "|") for line in rows for c in re.split(r"(?<!\\)\|", line)[1:-1]]
    heads = {c.name for t in facts.tables for c in t.columns}
    assert [c for c in found if c and not set(c) <= set("█·") and c not in heads] == [c for c in cells if c and c not in heads]
    plain = render(facts, "txt")
    assert all(cell in plain for cell in cells)
    listed = [row for row in csv.reader(io.StringIO(render(facts, "csv"))) if row[0] in {t.id for t in facts.tables}]
    raw = [v for t in facts.tables for row in t.rows for v in row]
    assert [row[3].removeprefix("'") for row in listed] == ["" if v is None else str(v).removeprefix("'") for v in raw]
    assert json.loads(render(facts, "json")) == json.loads(facts.model_dump_json())


def test_names_from_the_data_are_text_in_every_format(facts: Facts) -> None:
    assert "<b>" not in render(facts, "html").replace("<b>Do:</b>", "")
    assert "'=cmd" in render(facts, "csv")
    assert "=cmd\\|'x'" in render(facts, "md")


def test_bars_are_as_long_as_their_share() -> None:
    t = table("x", "X", "name, share:share, n:count", (("a", 0.25, 3), ("b", 1.0, 12), ("c", None, 0)), bar="share")
    assert t.bars == (0.25, 1.0, 0.0)
    assert t.model_copy(update={"bar": "n"}).bars == (0.25, 1.0, 0.0)


def test_what_lies_beside_the_records_is_told_with_shortfalls(run: Path, tmp_path: Path) -> None:
    import shutil

    home = shutil.copytree(run, tmp_path / "dataset-008")
    quota = {"category": "voice", "ratio": 0.25, "wanted": 60, "available": 0, "chosen": 0, "shortfall": 60, "words": 0, "tokens": None}
    cell = {"dimension": "modality", "value": "cbt", "wanted": 9, "available": 4, "chosen": 4, "shortfall": 5}
    (home / "mix.json").write_text(json.dumps({"strategy": "hybrid", "asked": 240, "categories": [quota], "cells": [cell]}))
    members = [{"id": "a", "kept": True, "how": ""}, {"id": "b", "kept": False, "how": "near"}, {"id": "c", "kept": False, "how": "exact"}]
    (home / "clusters.jsonl").write_text(json.dumps({"id": "x", "members": members}) + "\n")
    found = report(home)
    tables = {t.id: t for t in found.tables}
    assert tables["mix"].rows == (("voice", 60, 0, 0, 60, 0, None, None),)
    assert "Tokens were not counted" in tables["mix"].note
    assert dict(tables["duplicates"].rows)["dropped, near"] == 1
    told = [a.told for a in found.advice]
    assert "voice: 0 of 60 records, 0 were there" in told
    assert "modality cbt: 4 of 9 records, 4 were there" in told
    assert "stage 04-score kept 240 of 300; 60 of 60 went for: coherence" in told
    (home / "clusters.jsonl").write_text("[]\n")
    with pytest.raises(RecordError, match=r"clusters\.jsonl:1: no cluster"):
        report(home)


def test_the_command_and_the_files_say_the_same_as_the_facts(
    facts: Facts, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", str(run), "--format", "md"]) == 0
    assert capsys.readouterr().out == render(facts, "md")
    assert [p.name for p in write(facts, tmp_path)] == [f"report.{format}" for format in FORMATS]
    assert (tmp_path / "report.json").read_text() == render(facts, "json")


def test_a_file_without_scores_or_an_empty_folder_has_a_report_too(tmp_path: Path) -> None:
    plain = Provenance(engine="", model="", toolkit="", seed=0, source="x")
    path = jsonl(tmp_path / "a.jsonl", (record(f"a{i}").model_copy(update={"provenance": plain}) for i in range(3)))
    found = report(path)
    assert found.records == 3
    assert not found.findings
    assert "metrics" in {t.id for t in found.tables}
    (tmp_path / "empty").mkdir()
    assert report(tmp_path / "empty").records == 0
