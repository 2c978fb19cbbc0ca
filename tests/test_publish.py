"""What a run hands out: files that open anywhere, and the same numbers in every format."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import re
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_run import small_run

from pixel_synth.curate.gate import settle
from pixel_synth.errors import EngineError
from pixel_synth.jsonl import conversations
from pixel_synth.judges import own_judges
from pixel_synth.llms.composer import Composer
from pixel_synth.llms.connect import Link
from pixel_synth.llms.engine import Call, Completion
from pixel_synth.plan import Plan
from pixel_synth.publish import figures, report
from pixel_synth.publish.arrow import ParquetFile, arrow_schema, arrow_type, read_parquet
from pixel_synth.publish.export import export
from pixel_synth.publish.tally import Tally, summary
from pixel_synth.records import Attempt, Conversation, Opinion, Outcome, Score
from pixel_synth.runs import screen
from pixel_synth.runs.chain import fill_slot
from pixel_synth.runs.finish import finish, performance
from pixel_synth.settings import Settings

SLOTS = 8


class Published(NamedTuple):
    folder: Path
    outcomes: list[Outcome]
    tally: Tally
    facts: dict[str, Any]
    settings: Settings
    plan: Plan

    def conversations(self, status: str) -> list[Conversation]:
        return [a.conversation for o in self.outcomes for a in o.attempts if a.status == status and a.conversation]


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory, plan: Plan, composer: Composer, settings: Settings) -> Published:
    """Eight slots with all three outcomes: a gate that rejects some, an engine that fails for one slot."""
    chosen = settings.model_copy(
        update={"accept": SLOTS, "thresholds": {"overall": 0.6, "coherence": 0.6}, "allow_uncalibrated": True, "max_attempts": 2}
    )
    strict = chosen.model_copy(update={"thresholds": {"overall": 1.0}})

    async def answer(call: Call) -> Completion:
        if call.brief.blueprint.slot == 2:
            raise EngineError("down; for 3 minutes")
        return await composer.complete(call)

    outcomes = [asyncio.run(fill_slot(plan, slot, answer, strict if slot == 4 else chosen)) for slot in range(SLOTS)]
    folder = tmp_path_factory.mktemp("published")
    tally, _ = export(outcomes, folder)
    return Published(
        folder, outcomes, tally, report.facts(tally, Plan(chosen, plan.knowledge, SLOTS), chosen, settle(chosen)), chosen, plan
    )


def test_the_files_hold_every_attempt_exactly_once(published: Published) -> None:
    data, books = published.folder / "data", published.tally.books
    assert {a.status for o in published.outcomes for a in o.attempts} == {"accepted", "rejected", "failed"}
    assert list(conversations(data / "conversations.jsonl")) == published.conversations("accepted")
    assert list(conversations(data / "rejected.jsonl")) == published.conversations("rejected")
    failed = [Attempt.model_validate_json(line) for line in (data / "failed.jsonl").read_text(encoding="utf-8").splitlines()]
    assert failed == [a for o in published.outcomes for a in o.attempts if a.status == "failed"]
    replans = (published.folder / "replans.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(replans) == sum(len(o.attempts) - 1 for o in published.outcomes)
    assert books.planned == books.accepted + books.rejected + books.failed == SLOTS + len(replans)
    assert books.shortfall == sum(not o.accepted for o in published.outcomes)
    assert not list(published.folder.rglob("*.part"))


def test_parquet_gives_the_records_back(published: Published) -> None:
    assert list(read_parquet(published.folder / "data" / "conversations.parquet", Conversation)) == published.conversations("accepted")


def test_parquet_opens_in_datasets_and_equals_the_records(published: Published, tmp_path: Path) -> None:
    import datasets

    path = str(published.folder / "data" / "conversations.parquet")
    rows = datasets.load_dataset("parquet", data_files=path, split="train", cache_dir=str(tmp_path))
    assert [Conversation.model_validate(row) for row in rows] == published.conversations("accepted")


def test_jsonl_opens_in_datasets_and_equals_the_records(published: Published, tmp_path: Path) -> None:
    import datasets

    path = str(published.folder / "data" / "conversations.jsonl")
    rows = datasets.load_dataset("json", data_files=path, split="train", cache_dir=str(tmp_path))
    assert [Conversation.model_validate(row) for row in rows] == published.conversations("accepted")


def test_records_without_optional_parts_keep_the_same_columns(tmp_path: Path, conversation: Conversation) -> None:
    bare = Conversation(id="bare", category="voice", messages=conversation.messages, provenance=conversation.provenance)
    for name, records in (("one", [bare, conversation]), ("none", [])):
        file = ParquetFile(tmp_path / f"{name}.parquet", Conversation)
        for record in records:
            file.add(record)
        assert not (tmp_path / f"{name}.parquet").exists()
        file.close()
        assert list(read_parquet(tmp_path / f"{name}.parquet", Conversation)) == records
    assert arrow_schema(Conversation).names == list(Conversation.model_fields)


def test_an_annotation_that_no_record_uses_is_refused() -> None:
    with pytest.raises(TypeError, match="dict"):
        arrow_type(dict[str, int])


# ---------------------------------------------------------------------------------------------- report


def test_every_format_tells_the_same_books_and_means(published: Published) -> None:
    f = published.facts
    texts = {format: report.render(f, format) for format in report.FORMATS}
    assert json.loads(texts["json"]) == json.loads(json.dumps(f))
    b = f["books"]
    books = f"planned {b['planned']} = accepted {b['accepted']} + rejected {b['rejected']} + failed {b['failed']}"
    rows = list(csv.DictReader(io.StringIO(texts["csv"])))
    assert [r["metric"] for r in rows] == [m["metric"] for m in f["metrics"]]
    for format in ("md", "html", "txt"):
        assert books in texts[format], format
        for metric, row in zip(f["metrics"], rows, strict=True):
            assert float(row["mean"]) == metric["mean"]
            line = next(x for x in texts[format].splitlines() if metric["metric"] in x and "threshold" not in x)
            assert f"{metric['mean']:.3f}" in line, format
        for c in f["coverage"]:
            assert f"{c['accepted']:.1%}" in texts[format]


def test_the_numbers_are_those_of_the_records(published: Published) -> None:
    written = published.conversations("accepted") + published.conversations("rejected")
    for m in published.facts["metrics"]:
        scores = [s for c in written if (s := c.score(m["metric"])) and s.value is not None]
        values = [s.value if s.calibrated is None else s.calibrated for s in scores]
        assert m["scored"] == len(values)
        assert m["mean"] == pytest.approx(sum(values) / len(values))
        if m["threshold"] is not None:
            assert m["pass"] == pytest.approx(sum(v >= m["threshold"] for v in values) / len(values))
    accepted = published.conversations("accepted")
    assert sum(int(k) * v for k, v in published.facts["messages"].items()) == sum(len(c.messages) for c in accepted)
    for dim in ("topic", "modality", "risk"):
        shares = {c["value"]: c["accepted"] for c in published.facts["coverage"] if c["dimension"] == dim}
        for value, share in shares.items():
            assert share == pytest.approx(sum(getattr(c.labels, dim) == value for c in accepted) / len(accepted))


def test_reasons_are_grouped_without_their_numbers_and_counted(published: Published) -> None:
    reasons = {r["reason"]: r["count"] for r in published.facts["reasons"]}
    assert reasons["down"] == 2
    assert not [r for r in reasons if re.search(r"\d\.\d{3}", r)]


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("coherence: 0.612 < 0.90, raw 0.871 (flow 0.20, order 0.41)", "coherence below 0.90, weakest part flow"),
        ("judge.epitome: 0.500 < 0.60", "judge.epitome below 0.60"),
        ("judge.alliance: unscored (invalid: no JSON)", "judge.alliance: unscored"),
    ],
)
def test_reasons_on_the_human_scale_and_of_judges_are_grouped_as_well(published: Published, reason: str, kind: str) -> None:
    rejected = next(o for o in published.outcomes if o.attempts[-1].status == "rejected")
    tally = Tally()
    tally.add(rejected.model_copy(update={"attempts": (rejected.attempts[-1].model_copy(update={"reason": reason}),)}))
    assert tally.reasons == {kind: 1}


def test_advice_is_given_for_what_is_wrong(published: Published) -> None:
    lines = "\n".join(published.facts["advice"])
    assert "shortfall" in lines
    assert "composer" in lines


def test_advice_does_not_send_to_rejects_of_a_threshold_that_did_not_count(published: Published) -> None:
    row = next(m for m in published.facts["metrics"] if m["threshold"] is not None) | {"pass": 0.5}
    told = {s: report.advice(published.facts | {"metrics": [row | {"standing": s}]}) for s in ("refused", "uncalibrated")}
    assert [line for line in told["refused"] if line.endswith("it did not count")]
    assert not [line for line in told["refused"] if "--rejected" in line]
    assert [line for line in told["uncalibrated"] if "--rejected" in line]


def test_a_report_of_nothing_accepted_renders_in_every_format(published: Published, tmp_path: Path) -> None:
    lost = [
        o.model_copy(update={"accepted": False, "attempts": tuple(a for a in o.attempts if a.status == "failed")})
        for o in published.outcomes
        if o.slot == 2
    ]
    tally, _ = export(lost, tmp_path)
    f = report.facts(tally, published.plan, published.settings, settle(published.settings))
    drawn = {
        "coverage": figures.coverage_map(tally),
        "scores": figures.score_histograms(tally, published.settings.thresholds, {}),
        "lengths": figures.turn_lengths(tally),
    }
    for format in report.FORMATS:
        assert report.render(f, format, drawn)
    assert "# 0 synthetic" in report.card(f, "None was accepted.")
    assert list(read_parquet(tmp_path / "data" / "conversations.parquet", Conversation)) == []


def test_html_escapes_what_comes_from_the_run(published: Published) -> None:
    f = {**published.facts, "reasons": [{"reason": "<script>alert(1)</script>", "count": 1}]}
    assert "<script>alert" not in report.render(f, "html")


def test_figures_are_the_same_bytes_twice(published: Published) -> None:
    tally, limits = published.tally, published.settings.thresholds
    for draw in (
        lambda: figures.coverage_map(tally),
        lambda: figures.score_histograms(tally, limits, {"overall": [0.5]}),
        lambda: figures.turn_lengths(tally),
    ):
        first = draw()
        assert first == draw()
        assert first.lstrip().startswith("<?xml")
        assert not re.search(r"<dc:date>|\b20\d\d-\d\d-\d\d", first)


def test_the_same_outcomes_give_the_same_bytes(published: Published, tmp_path: Path) -> None:
    tally, files = export(published.outcomes, tmp_path)
    for path in files:
        assert path.read_bytes() == (published.folder / path.relative_to(tmp_path)).read_bytes(), path.name
    chosen = published.settings
    again = report.facts(tally, Plan(chosen, published.plan.knowledge, SLOTS), chosen, settle(chosen))
    assert report.render(again, "md") == report.render(published.facts, "md")


@given(st.lists(st.floats(0, 1), min_size=1, max_size=60))
def test_the_tenth_percentile_has_a_tenth_of_the_values_at_or_below_it(values: list[float]) -> None:
    from array import array

    found = summary(array("d", values))
    assert found is not None
    assert found[1] in values
    assert sum(v <= found[1] for v in values) * 10 >= len(values)
    assert sum(v < found[1] for v in values) * 10 < len(values)
    assert min(values) - 1e-9 <= found[0] <= max(values) + 1e-9


@pytest.mark.parametrize(("judge", "own"), [("Small-GPTQ-Int4", True), ("judging", False)])
def test_a_run_that_its_own_writer_judged_says_so_wherever_its_scores_stand(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], plan: Plan, judge: str, own: bool
) -> None:
    run = small_run(tmp_path)
    run.keep_links(run.links.model_copy(update={"judge": Link(engine="transformers", model=judge)}))
    tally = finish(run, plan)
    screen.result(run, tally, run.settings, {**performance(run, tally), "active_s": 1.0, "publish_s": 1.0})
    facts = json.loads((run.path / "report.json").read_text(encoding="utf-8"))
    written = tally.books.accepted + tally.books.rejected
    assert facts["self_preference"] == report.self_preference(tally)
    assert [(r["metric"], r["judge"], r["records"], r["of"]) for r in facts["self_preference"]] == (
        [("judge.alliance", judge, written, written)] if own else []
    )
    count = f"judge.alliance: {written} of {written} conversations"
    told = f"{count} were judged by the model that wrote them ({judge}): its scores may flatter it"
    texts = {name: (run.path / name).read_text(encoding="utf-8") for name in ("report.md", "report.html", "README.md")}
    texts |= {"txt": report.render(facts, "txt"), "screen": capsys.readouterr().out}
    for name, text in texts.items():
        assert (told in text) is own, name
        assert ("Panickssery" in text) is own, name


def test_the_report_of_a_run_from_before_renders(published: Published) -> None:
    old = {key: value for key, value in published.facts.items() if key not in ("self_preference", "review", "anchors")}
    for format in ("md", "html", "txt"):
        assert report.render(old, format)


def test_of_a_panel_only_the_member_that_wrote_it_is_counted(conversation: Conversation) -> None:
    opinions = tuple(Opinion(judge=name, sample=n, value=0.5) for name in ("hub/composer", "other") for n in range(2))
    judged = (Score(metric="judge.epitome", value=0.5, panel=opinions), Score(metric="judge.alliance", value=0.5))
    assert [own_judges(conversation, score) for score in judged] == [("hub/composer",), ()]
    assert own_judges(conversation, judged[1], unnamed="composer") == ("composer",)
    assert own_judges(conversation, Score(metric="coherence", value=0.5), unnamed="composer") == ()


# ----------------------------------------------------------------------------------------- a real run


def test_a_run_directory_loads_as_a_dataset(finished_run: Path, tmp_path: Path) -> None:
    import datasets

    loaded = datasets.load_dataset(str(finished_run), cache_dir=str(tmp_path))
    assert list(loaded) == ["train"]
    assert [Conversation.model_validate(row) for row in loaded["train"]] == list(
        conversations(finished_run / "data" / "conversations.jsonl")
    )


def test_the_card_says_what_the_files_hold(finished_run: Path) -> None:
    card = (finished_run / "README.md").read_text(encoding="utf-8")
    n = {
        name: len((finished_run / "data" / f"{name}.jsonl").read_text(encoding="utf-8").splitlines())
        for name in ("conversations", "rejected", "failed")
    }
    assert f"planned {sum(n.values())} = accepted {n['conversations']} + rejected {n['rejected']} + failed {n['failed']}" in card
    assert f"# {n['conversations']} synthetic" in card
    assert card.startswith("---\nlicense: apache-2.0\n")
    first = next(conversations(finished_run / "data" / "conversations.jsonl"))
    assert first.messages[0].content in card
