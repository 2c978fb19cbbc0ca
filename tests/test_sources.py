"""The named sets: what is known of them, fetching, measuring, checking and loading them, on the real Hub client and on a mirror."""

from __future__ import annotations

import json
import random
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hub import Hub

from pixel_synth.books import Reject
from pixel_synth.cli import main
from pixel_synth.errors import SourceError, UsageError
from pixel_synth.recipe import Recipe
from pixel_synth.records import Conversation
from pixel_synth.scorers import reference
from pixel_synth.sources import chosen, hub_client, sources
from pixel_synth.sources.fetch import fetch, fetch_all, fetched
from pixel_synth.sources.load import load
from pixel_synth.sources.measure import SAMPLE, Limits
from pixel_synth.sources.pins import pin_of
from pixel_synth.sources.sampled import Sampled, draw, tags
from pixel_synth.sources.source import Place

FIXTURES = Path(__file__).parent / "fixtures" / "sources"
NAMED = {
    "Amod/mental_health_counseling_conversations", "EmoCareAI/Psych8k", "samhog/psychology-10k",
    "wesley7137/formatted_annotated_addiction_counseling_csv_SFT", "moremilk/CoT_Reasoning_Clinical_Diagnosis_Mental_Health",
    "moremilk/CoT_Neurodivergent_vs_Neurotypical_Interactions", "moremilk/CoT_Heartbreak_and_Breakups",
    "moremilk/CoT_Reasoning_Mens_Mental_Health", "Locutusque/hercules-v6.9", "ChaoticNeutrals/Synthetic-Dark-RP",
    "UnfilteredAI/dan_remixed", "jondurbin/gutenberg-dpo-v0.1", "Gryphe/Sonnet3.5-SlimOrcaDedupCleaned-20k",
}  # fmt: skip
ON_HUB = [s for s in sources().values() if s.hub]
KEPT = {"dark_rp": 2}  # one row of it has a single client line; of every other set all three rows become records


def files(id: str) -> dict[str, bytes]:
    """Return a set's three rows in its own format; what is a table there lies here as lines and is made one."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    found = {}
    for path in sorted(p for p in (FIXTURES / id).rglob("*") if p.is_file()):
        name = path.relative_to(FIXTURES / id).as_posix()
        if name.endswith(".parquet.jsonl"):
            sink = pa.BufferOutputStream()
            pq.write_table(pa.Table.from_pylist([json.loads(line) for line in path.read_text().splitlines()]), sink)
            found[name.removesuffix(".jsonl")] = sink.getvalue().to_pybytes()
        else:
            found[name] = path.read_bytes()
    return found


@pytest.fixture(scope="module")
def mirror(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mirror")
    for source in (*ON_HUB, sources()["counsel_chat"]):
        for name, content in files(source.id).items():
            path = folder / source.repo / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    return folder


@pytest.fixture
def place(tmp_path: Path, mirror: Path) -> Place:
    ours = tmp_path / "run" / "data"
    ours.mkdir(parents=True)
    lines = [c.model_copy(update={"category": "psychology"}).line() for c in reference()[:2]]
    (ours / "conversations.jsonl").write_text("\n".join(lines) + "\n")
    return Place(
        tmp_path / "cache", mirror, {"generated": tmp_path / "run", "consolidated": FIXTURES / "consolidated" / "consolidated.jsonl"}
    )


def records(id: str, place: Place) -> list[Conversation]:
    source = sources()[id]
    fetch(source, place)
    return [c for c in source.records(place) if isinstance(c, Conversation)]


# ------------------------------------------------------------------------------------------------- what is known


def test_all_thirteen_named_sets_are_there_in_their_four_groups() -> None:
    names = {name for s in ON_HUB for name in (s.repo, *s.former)}
    assert names >= NAMED
    assert len(ON_HUB) == 13
    assert {s.group for s in ON_HUB} == {"mental_health", "reasoning", "personality", "auxiliary"}


@pytest.mark.parametrize("source", sources().values(), ids=lambda s: s.id)
def test_a_set_says_where_it_comes_from_and_what_becomes_of_it(source: Any) -> None:
    module = __import__(f"pixel_synth.sources.{source.id}", fromlist=["SOURCE"])
    assert module.SOURCE is source
    assert len(Path(module.__file__).read_text().splitlines()) < 45
    assert source.evidence
    assert source.strategy
    assert source.group == "local" or (source.homepage.startswith("https://") and source.citation)
    if source.group == "personality" and source.role_play:
        assert source.client_only


def test_a_set_is_found_by_id_by_name_and_by_its_owners_former_name() -> None:
    assert [s.id for s in chosen(["moremilk/CoT_Heartbreak_and_Breakups", "emocareai/psych8k"])] == ["cot_heartbreak", "psych8k"]
    with pytest.raises(UsageError, match="did you mean psych8k"):
        chosen(["psych8q"])


def test_a_set_comes_after_those_that_it_was_derived_from() -> None:
    assert [s.id for s in chosen(["slimorca", "amod", "counsel_chat"])] == ["slimorca", "counsel_chat", "amod"]
    assert [s.id for s in chosen(["amod"])] == ["amod"]


# ------------------------------------------------------------------------------------------------- rows to records


@pytest.mark.parametrize("source", sources().values(), ids=lambda s: s.id)
def test_the_rows_of_every_set_become_records_of_its_category(source: Any, place: Place) -> None:
    found = records(source.id, place)
    assert len(found) == (2 if source.id == "generated" else KEPT.get(source.id, 3))
    for c in found:
        if source.id != "generated":
            assert c.category == source.category
            assert c.labels.kind == source.kind or not source.kind
            assert (c.provenance.source, c.provenance.license) == (source.id, source.license)
            assert re.fullmatch(r"[^/].*:\d+", c.provenance.row)
            assert c.provenance.revision
    assert len({c.id for c in found}) == len(found)


@pytest.mark.parametrize("id", ["dark_rp", "dan_remixed"])
def test_no_reply_of_a_role_play_set_is_in_any_record(id: str, place: Place) -> None:
    found = records(id, place)
    assert found
    for c in found:
        assert {m.role for m in c.messages} == {"user"}
        assert not re.search(r"[A-Z]{5,}:", c.line()), "a line of the other side"


@pytest.mark.parametrize("id", ["cot_diagnosis", "cot_neurodivergent", "cot_heartbreak", "cot_men"])
def test_reasoning_is_kept_apart_from_the_reply(id: str, place: Place) -> None:
    for c in records(id, place):
        assert c.thought
        assert c.thought not in c.said("assistant")


def test_records_of_our_own_runs_are_not_changed(place: Place) -> None:
    assert [c.messages for c in records("generated", place)] == [c.messages for c in reference()[:2]]
    assert [(c.id, c.provenance) for c in records("generated", place)] == [(c.id, c.provenance) for c in reference()[:2]]


def test_answers_to_one_question_share_a_group(place: Place) -> None:
    first, second, third = records("counsel_chat", place)
    assert set(first.groups) & set(second.groups)
    assert not set(first.groups) & set(third.groups)


def test_a_preference_keeps_the_answer_that_was_not_preferred(place: Place) -> None:
    for c in records("gutenberg_dpo", place):
        assert c.dispreferred
        assert c.dispreferred[-1].content not in c.said("assistant")


def test_trait_tags_are_carried_where_a_row_has_them(place: Place) -> None:
    assert [c.labels.traits for c in records("hercules", place)] == [("extraversion:low", "neuroticism:high"), (), ("extraversion:high",)]


def test_only_big_five_levels_are_trait_tags() -> None:
    assert tags({"neuroticism": "High", "humour": "low"}) == ("neuroticism:high",)
    assert tags("openness:low, extraversion:7") == ("openness:low",)
    assert tags(None) == tags(3) == ()


# ------------------------------------------------------------------------------------------------- sampling


def sampled(keep: int, scan: int) -> Sampled:
    found = sources()["hercules"]
    assert isinstance(found, Sampled)
    return found.model_copy(update={"keep": keep, "scan": scan})


def test_a_sample_has_the_asked_size_and_the_same_rows_in_any_order() -> None:
    rows = [{"n": n} for n in range(500)]
    shuffled = random.Random(3).sample(rows, len(rows))
    first, second = list(draw(rows, sampled(40, 10_000))), list(draw(shuffled, sampled(40, 10_000)))
    assert len(first) == 40
    assert sorted(first) == sorted(second)
    assert [json.loads(line)["n"] for line in first] == sorted(json.loads(line)["n"] for line in first)


def test_a_sample_reads_no_further_than_it_says_and_counts_equal_rows_once() -> None:
    seen = []

    def rows() -> Iterator[dict[str, Any]]:
        for n in range(1000):
            seen.append(n)
            yield {"n": n % 10}

    assert len(list(draw(rows(), sampled(40, 100)))) == 10
    assert len(seen) <= 101


def test_every_row_has_the_same_chance() -> None:
    # 20 of 200, in 60 sets of rows: each half of the stream is due 600 of 1,200; five standard deviations are 86.
    early = sum(json.loads(line)["n"] < 100 for k in range(60) for line in draw([{"k": k, "n": n} for n in range(200)], sampled(20, 999)))
    assert abs(early - 600) < 86


# ------------------------------------------------------------------------------------------------- fetching


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    from huggingface_hub import constants

    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.setattr(hub_client, "WAIT_S", 0.01)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with Hub() as served:
        monkeypatch.setenv("HF_ENDPOINT", served.endpoint)
        yield served


def test_the_second_fetch_from_the_hub_downloads_nothing_and_counts_nothing_again(hub: Hub, tmp_path: Path) -> None:
    commit = hub.put("mattwesney/CoT_Reasoning_Mens_Mental_Health", {**files("cot_men"), "README.md": b"# card"})
    source, place = sources()["cot_men"], Place(tmp_path / "cache")
    first = fetch(source, place)
    assert (first.downloaded, first.reused) == (1, 0)
    assert first.receipt
    assert first.receipt.revision == commit
    assert fetched(source, place)
    hub.log.clear()
    again = fetch(source, place)
    assert hub.log == []
    assert again == first._replace(downloaded=0, reused=1)
    events = [json.loads(line)["event"] for line in (place.cache / "metrics.jsonl").read_text().splitlines()]
    assert events == ["fetched", "measured", "fetched"]
    assert len(list(source.records(place))) == 3


def test_a_mirror_may_have_a_set_under_its_owners_former_name(tmp_path: Path) -> None:
    folder = tmp_path / "mirror" / "moremilk" / "CoT_Reasoning_Mens_Mental_Health"
    folder.mkdir(parents=True)
    (folder / "data.json").write_bytes(files("cot_men")["data.json"])
    outcome = fetch(sources()["cot_men"], Place(tmp_path / "cache", tmp_path / "mirror"))
    assert outcome.receipt
    assert outcome.receipt.measured
    assert outcome.receipt.measured.rows == 3


def test_a_gated_set_a_missing_one_and_a_good_one_in_one_go(hub: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hub.put("EmoCareAI/Psych8k", files("psych8k"), gated=True)
    hub.put("Gryphe/Sonnet3.5-SlimOrcaDedupCleaned-20k", files("slimorca"))
    status = main(["sources", "fetch", "psych8k", "amod", "slimorca", "--cache", str(tmp_path / "cache")])
    told = capsys.readouterr()
    assert status == 1
    assert "3 sets = 1 fetched + 2 failed" in told.out
    assert "slimorca: 3 rows (0 unreadable)" in told.out
    assert "HF_TOKEN" in told.err
    events = [json.loads(line) for line in (tmp_path / "cache" / "metrics.jsonl").read_text().splitlines()]
    assert [(e["set"], e["event"]) for e in events] == [
        ("psych8k", "failed"), ("amod", "failed"), ("slimorca", "fetched"), ("slimorca", "measured"),
    ]  # fmt: skip


def test_a_large_set_is_streamed_and_only_its_sample_is_kept(hub: Hub, tmp_path: Path) -> None:
    commit = hub.put("Locutusque/hercules-v6.9", files("hercules"))
    source, place = sources()["hercules"].model_copy(update={"revision": commit, "keep": 2}), Place(tmp_path / "cache")
    first = fetch(source, place)
    assert first.receipt
    assert first.receipt.revision == commit
    assert first.receipt.measured
    assert first.receipt.measured.rows == 2
    hub.log.clear()
    assert fetch(source, place).downloaded == 0
    assert hub.log == []


def test_what_was_counted_is_right_and_a_breached_limit_raises_an_alert(tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    rows = [
        {"Context": "I cannot sleep any more since the move." if n % 4 else None, "Response": f"Tell me of night {n}."} for n in range(400)
    ]
    path.write_text("".join(json.dumps(r) + "\n" for r in rows) + "not json\n")
    source = sources()["amod"].model_copy(update={"hub": False, "repo": ""})
    place, raised = Place(tmp_path / "cache", None, {"amod": path}), []
    outcome = fetch(source, place, limits=Limits(nulls=0.1, rejects=0.1), say=raised.append)
    assert outcome.receipt
    measured = outcome.receipt.measured
    assert measured
    assert (measured.rows, measured.unreadable, measured.sampled) == (401, 1, SAMPLE)
    assert measured.nulls == {"Context": 0.25, "Response": 0.0}
    assert measured.rejects == pytest.approx(0.25, abs=0.13)
    alerts = [json.loads(line) for line in (tmp_path / "cache" / "alerts.jsonl").read_text().splitlines()]
    assert [a["measure"] for a in alerts] == ["nulls in column Context", "rejects in the sample"]
    assert [str(a) for a in raised] == [str(a) for a in outcome.alerts]
    assert "25.0%, limit 10%" in str(raised[0])


def test_a_receipt_that_cannot_be_read_is_told_and_made_anew(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    source = sources()["slimorca"]
    fetch(source, place)
    (place.cache / "receipts" / "slimorca.json").write_text("{}")
    assert main(["sources", "check", "--cache", str(place.cache)]) == 1
    assert "pixel-synth sources fetch slimorca" in capsys.readouterr().err
    outcome = fetch(source, place)
    assert "made anew" in outcome.notes[0]
    assert source.receipt(place) == outcome.receipt


def test_a_set_whose_local_place_nobody_named_says_how_to_name_it(tmp_path: Path) -> None:
    (outcome,) = fetch_all([sources()["consolidated"]], Place(tmp_path))
    assert "[dataset.local] consolidated" in str(outcome.error)
    assert "git clone https://github.com/nbertagnolli/counsel-chat" in str(fetch_all([sources()["counsel_chat"]], Place(tmp_path))[0].error)


# ------------------------------------------------------------------------------------------------- checking


def test_a_changed_file_is_found_and_told(place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = tmp_path / "copy.jsonl"
    shutil.copy(FIXTURES / "consolidated" / "consolidated.jsonl", own)
    where = ["--cache", str(place.cache), "--local", f"consolidated={own}"]
    assert main(["sources", "fetch", "consolidated", *where]) == 0
    assert main(["sources", "check", *where]) == 0
    assert "3 taken in = 3 kept" in capsys.readouterr().out
    own.write_text(own.read_text().replace("radio", "RADIO"))
    assert main(["sources", "check", "consolidated", *where]) == 1
    assert "copy.jsonl: SHA-256" in capsys.readouterr().err


def test_rows_that_become_no_record_are_told_with_file_and_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = tmp_path / "own.jsonl"
    own.write_text((FIXTURES / "consolidated" / "consolidated.jsonl").read_text() + '{"prompt": "alone"\n')
    where = ["--cache", str(tmp_path / "cache"), "--local", f"consolidated={own}"]
    assert main(["sources", "fetch", "consolidated", "--alert-rejects", "0.5", *where]) == 0
    assert main(["sources", "check", *where]) == 0
    told = capsys.readouterr()
    assert "own.jsonl:4: malformed JSON" in told.err
    assert "4 taken in = 3 kept + 1 rejected" in told.out


# ------------------------------------------------------------------------------------------------- loading


def recipe(place: Place, **more: Any) -> Recipe:
    return Recipe(cache=place.cache, mirror=place.mirror, local=dict(place.local), **more)


def test_one_call_loads_all_sets_in_order_and_a_broken_one_does_not_stop_the_others(place: Place, tmp_path: Path) -> None:
    gone = str(tmp_path / "gone.jsonl")
    shutil.copytree(place.mirror or Path(), tmp_path / "part")
    shutil.rmtree(tmp_path / "part" / "EmoCareAI")
    part = place._replace(mirror=tmp_path / "part")
    loading = load(recipe(part, sources=("amod", "psych8k", "counsel_chat"), inputs=(str(place.local["generated"]), gone)))
    found = {name: list(results) for name, results in loading}
    assert list(found) == ["counsel_chat", "amod", "psych8k", str(place.local["generated"]), gone]
    assert [len(r) for r in found.values()] == [3, 3, 1, 2, 1]
    broken = found["psych8k"][0]
    assert isinstance(broken, Reject)
    assert broken.reason.startswith("source failed: ")
    assert list(loading.failures) == ["psych8k", gone]


def test_a_profile_refuses_sets_by_name_before_anything_is_fetched(place: Place) -> None:
    with pytest.raises(SourceError, match=r"(?s)psych8k: CC-BY-NC-SA-4\.0.*psychology_10k: unknown"):
        load(recipe(place, sources=("psych8k", "psychology_10k", "slimorca"), profile="commercial"))
    assert not place.cache.exists()
    assert len(dict(load(recipe(place, sources=("slimorca", "generated"), profile="commercial")))) == 2


def test_an_input_says_its_category_and_licence(tmp_path: Path) -> None:
    path = FIXTURES / "consolidated" / "consolidated.jsonl"
    ((name, results),) = load(Recipe(inputs=(f"mental_health:CC-BY-4.0={path}",), cache=tmp_path))
    found = [c for c in results if isinstance(c, Conversation)]
    assert name == str(path)
    assert {(c.category, c.provenance.license, c.provenance.source) for c in found} == {("mental_health", "CC-BY-4.0", "consolidated")}
    assert found[0].provenance.revision == pin_of(path).sha256
    untold = load(Recipe(inputs=(str(path),), cache=tmp_path))
    ((_, (reject,)),) = [(name, list(results)) for name, results in untold]
    assert isinstance(reject, Reject)
    assert "category" in untold.failures[str(path)]
    with pytest.raises(UsageError, match="therapy is no category"):
        load(Recipe(inputs=(f"therapy={path}",)))
    with pytest.raises(SourceError, match=r"CC-BY-NC-4\.0 does not allow commercial use"):
        load(Recipe(inputs=(f"mental_health:CC-BY-NC-4.0={path}",), profile="commercial"))


def test_the_inventory_tells_files_rows_licence_and_citation(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    fetch(sources()["slimorca"], place)
    where = ["--cache", str(place.cache)]
    assert main(["sources", "inventory", "--json", *where]) == 0
    listed = {e["id"]: e for e in json.loads(capsys.readouterr().out)}
    assert set(listed) == set(sources())
    assert (listed["slimorca"]["rows"], listed["slimorca"]["files"], listed["amod"]["rows"]) == (3, 1, None)
    assert main(["sources", "inventory", "--md", *where]) == 0
    assert "| slimorca | auxiliary | 1 |" in capsys.readouterr().out
    assert main(["sources", "list", "--group", "reasoning", *where]) == 0
    assert capsys.readouterr().out.count("\n") == 5
