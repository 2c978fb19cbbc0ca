"""The validator: a dataset that is as it should be passes, and each planted fault is named by its own rule."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from splits import jsonl, record, text

from pixel_synth.cli import main
from pixel_synth.curate.gate import Gate, Limit
from pixel_synth.errors import RecordError, UsageError
from pixel_synth.mix.certificate import certify
from pixel_synth.prove.reading import measured
from pixel_synth.prove.rules import Limits
from pixel_synth.prove.validate import Validation, load_limits, validate
from pixel_synth.recipe import CATEGORIES, load_recipe
from pixel_synth.records import Category, Conversation, Evidence, Labels, Link, Message, Score, Verdict
from pixel_synth.settings import load_settings

# 40 records, so that the ratios give whole numbers.
COUNTS: dict[str, tuple[int, ...]] = {"train": (6, 5, 4, 3, 2), "validation": (3, 2, 2, 2, 1), "test": (3, 3, 2, 1, 1)}


def made(split: str, category: Category, n: int) -> Conversation:
    c = record(f"{split}-{category}-{n}", category=category, quality=0.9)
    scores = (*c.scores, Score(metric="coherence", value=0.95), Score(metric="clinical_compliance", value=0.5))
    return c.model_copy(update={"scores": scores, "provenance": c.provenance.model_copy(update={"license": "MIT"})})


def records(split: str) -> list[Conversation]:
    return [made(split, c, i) for c, n in zip(CATEGORIES, COUNTS[split], strict=True) for i in range(n)]


def sealed(home: Path) -> Path:
    """Write certificate and manifest of what is there."""
    files = {name: home / "data" / f"{name}.jsonl" for name in COUNTS}
    (home / "splits.json").write_text(json.dumps({"certificate": certify(files).model_dump(mode="json"), "released": []}))
    named = {
        p.relative_to(home).as_posix(): {"sha256": hashlib.sha256(p.read_bytes()).hexdigest(), "bytes": p.stat().st_size}
        for p in sorted((home / "data").iterdir())
    }
    (home / "manifest.json").write_text(json.dumps({"files": named}))
    return home


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run directory that keeps every rule that can be judged."""
    home = tmp_path_factory.mktemp("runs") / "dataset-001"
    for split in COUNTS:
        jsonl(home / "data" / f"{split}.jsonl", records(split))
    gate = Gate(limits=(Limit(metric="coherence", least=0.9, standing="uncalibrated"),
                        Limit(metric="clinical_compliance", least=0.9, standing="refused", why="it has no card")))  # fmt: skip
    info = {"settings": load_settings().model_dump(mode="json"), "recipe": load_recipe(total=40).model_dump(mode="json")}
    (home / "run.json").write_text(json.dumps({**info, "gate": gate.model_dump(mode="json")}))
    for name, kept, rejected in (("01-gather", 42, 3), ("02-mix", 40, 2)):
        stage = home / "stages" / name
        stage.mkdir(parents=True)
        (stage / "kept.jsonl").write_text("{}\n" * kept)
        (stage / "rejects.jsonl").write_text("{}\n" * rejected)
        books = {"kept": kept, "rejected": rejected, "failed": 0, "reasons": {"repeat": rejected}}
        (stage / "stage.json").write_text(json.dumps({"name": name, "books": books}))
    (home / "private").mkdir()
    (home / "private" / "redactions.jsonl").write_text("{}\n")
    (home / "private" / "redactions.jsonl").chmod(0o600)
    return sealed(home)


@pytest.fixture
def run(good: Path, tmp_path: Path) -> Path:
    """A copy of it that a test may spoil."""
    import shutil

    return shutil.copytree(good, tmp_path / "dataset-001")


def answers(path: Path, **more: Any) -> Validation:
    return validate(path, load_settings(), speed=False, **more)


def broken(path: Path) -> set[str]:
    return {r.id for r in answers(path).failing}


def edit(home: Path, change: Callable[[Conversation], Conversation], split: str = "train", seal: bool = True) -> None:
    """Change the first record of a split."""
    path = home / "data" / f"{split}.jsonl"
    first, *rest = [Conversation.model_validate_json(line) for line in path.read_text().splitlines()]
    jsonl(path, (change(first), *rest))
    if seal:
        sealed(home)


def test_a_sound_dataset_passes_and_refused_thresholds_are_no_pass(good: Path) -> None:
    found = answers(good)
    assert not found.failing
    assert found.status == 0
    assert found.records == 40
    by_id = {r.id: r for r in found.rules}
    assert by_id["quality.coherence"].passed is True
    assert by_id["quality.coherence"].found.startswith("mean 0.950, p10 0.950, pass 100.0% of 40")
    assert by_id["quality.clinical_compliance"].passed is None
    assert "it has no card" in by_id["quality.clinical_compliance"].why
    for id in (
        "size.total",
        "share.voice",
        "split.certificate",
        "split.disjoint.texts",
        "integrity.manifest",
        "books.stages",
        "private.files",
    ):
        assert by_id[id].passed is True, id
    assert all(r.why for r in found.rules if r.passed is None)


MESSAGES = (Message(role="user", content="I cannot sleep."), Message(role="assistant", content="Tell me more."))
CHANGES: dict[str, Callable[[Conversation], Conversation]] = {
    "integrity.links": lambda c: c.model_copy(update={"links": (Link(id="nowhere", kind="similar"),)}),
    "integrity.spans": lambda c: c.model_copy(update={"marks": (Evidence(turn=0, start=0, end=4, quote="what", label="risk:low"),)}),
    "talk.roles": lambda c: c.model_copy(update={"messages": MESSAGES[::-1]}),
    "talk.empty": lambda c: c.model_copy(update={"messages": (MESSAGES[0], Message(role="assistant", content=" \n"))}),
    "talk.client_only": lambda c: c.model_copy(update={"provenance": c.provenance.model_copy(update={"source": "dark_rp"})}),
    "talk.language": lambda c: c.model_copy(update={"labels": Labels(language="fr")}),
    "private.email": lambda c: c.model_copy(update={"messages": (Message(role="user", content="Write to ann.b@example.org"), MESSAGES[1])}),
    "private.phone": lambda c: c.model_copy(update={"messages": (Message(role="user", content="Call me: (212) 664-7665"), MESSAGES[1])}),
    "quality.accepted": lambda c: c.model_copy(update={"verdict": Verdict(accepted=False, reasons=("safety: x",))}),
    "quality.scored": lambda c: c.model_copy(update={"scores": ()}),
    "split.disjoint.ids": lambda c: c.model_copy(update={"id": "test-voice-0"}),
    "split.disjoint.groups.question": lambda c: c.model_copy(update={"groups": ("question:1",)}),
}


@pytest.mark.parametrize("rule", CHANGES)
def test_a_planted_fault_is_named_by_its_rule_with_its_place(run: Path, rule: str) -> None:
    edit(run, CHANGES[rule])
    if rule == "split.disjoint.groups.question":
        edit(run, CHANGES[rule], "test")
    (found,) = [r for r in answers(run).failing if r.id == rule]
    assert found.todo
    place = "data/test.jsonl:" if rule.startswith("split.disjoint.ids") else "data/"
    assert found.where[0].startswith(place)


def test_a_mean_below_its_target_and_a_record_below_the_floor_are_found(run: Path) -> None:
    info = json.loads((run / "run.json").read_text())
    info["gate"]["limits"][0]["least"] = 0.96
    info["recipe"]["least_quality"] = 0.9
    (run / "run.json").write_text(json.dumps(info))
    edit(run, lambda c: c.model_copy(update={"scores": (Score(metric="overall", value=0.89), *c.scores[1:])}))
    by_id = {r.id: r for r in answers(run).failing}
    assert set(by_id) == {"quality.coherence", "quality.floor"}
    assert by_id["quality.coherence"].why == "the mean is 0.010 below its target"
    assert by_id["quality.floor"].where == ("data/train.jsonl:1 train-psychology-0: 0.890",)


def test_words_of_train_in_test_are_found_whatever_their_case(run: Path) -> None:
    said = Message(role="user", content="Nothing HELPS, I lie awake every night!")
    edit(run, lambda c: c.model_copy(update={"messages": (said, MESSAGES[1])}))
    lower = said.model_copy(update={"content": said.content.lower().rstrip("!")})
    edit(run, lambda c: c.model_copy(update={"messages": (lower, MESSAGES[1])}), "test")
    assert {"split.disjoint.texts", "split.certificate"} <= broken(run)


def test_a_tampered_file_is_named_though_it_is_a_valid_record(run: Path) -> None:
    edit(run, lambda c: c.model_copy(update={"category": "voice"}), seal=False)
    by_id = {r.id: r for r in answers(run).failing}
    assert by_id["integrity.manifest"].where == ("data/train.jsonl: changed since the manifest was written",)
    assert "data/train.jsonl is not the file that was certified" in by_id["split.certificate"].why


def test_a_manifest_may_not_point_out_of_its_folder_and_new_files_are_seen(run: Path) -> None:
    manifest = json.loads((run / "manifest.json").read_text())
    manifest["files"]["../secret"] = {"sha256": "0"}
    (run / "manifest.json").write_text(json.dumps(manifest))
    (run / "data" / "extra.txt").write_text("x")
    (rule,) = [r for r in answers(run).failing if r.id == "integrity.manifest"]
    assert rule.where == ("../secret: points out of the folder", "data/extra.txt: not in the manifest")


def test_a_line_that_is_no_record_is_named_with_its_number_and_the_rest_is_read(run: Path) -> None:
    path = run / "data" / "train.jsonl"
    path.write_text(path.read_text() + '{"id": "x"}\nnot json\n')
    found = answers(run)
    (rule,) = [r for r in found.failing if r.id == "integrity.schema"]
    assert [w.split(" ")[0] for w in rule.where] == ["data/train.jsonl:21", "data/train.jsonl:22"]
    assert found.records == 42


def test_an_id_that_is_there_twice_in_one_split_is_found(run: Path) -> None:
    path = run / "data" / "train.jsonl"
    path.write_text(path.read_text() + path.read_text().splitlines(keepends=True)[0])
    assert {"integrity.ids", "size.total"} <= broken(run)


def test_books_that_do_not_chain_and_files_that_lost_a_line_are_found(run: Path) -> None:
    stage = run / "stages" / "02-mix"
    data = json.loads((stage / "stage.json").read_text())
    data["books"] |= {"kept": 39}
    (stage / "stage.json").write_text(json.dumps(data))
    (rule,) = [r for r in answers(run).failing if r.id == "books.stages"]
    assert rule.where == (
        "stages/02-mix took 41, but stages/01-gather kept 42", "stages/02-mix/kept.jsonl has 40 lines, its books say 39",
    )  # fmt: skip


def test_a_private_file_that_others_can_read_or_that_is_handed_out_is_found(run: Path) -> None:
    private = run / "private" / "redactions.jsonl"
    private.chmod(0o644)
    (run / "data" / "notes.jsonl").write_bytes(private.read_bytes())
    (rule,) = [r for r in answers(run).failing if r.id == "private.files"]
    assert len(rule.where) == 2


def test_a_lost_category_breaks_size_share_and_every_split(run: Path) -> None:
    for split in COUNTS:
        jsonl(run / "data" / f"{split}.jsonl", (c for c in records(split) if c.category != "voice" or split == "train"))
    sealed(run)
    assert {"size.total", "size.voice", "share.voice", "split.categories.validation", "split.categories.test"} <= broken(run)
    assert answers(run).status == 1


def test_a_shortfall_that_the_mix_names_is_told_as_such_with_its_own_status(run: Path) -> None:
    for split in COUNTS:
        jsonl(run / "data" / f"{split}.jsonl", (c for c in records(split) if c.category != "voice"))
    sealed(run)
    (run / "mix.json").write_text(json.dumps({"size": 40, "categories": [{"category": "voice", "chosen": 0, "shortfall": 10}]}))
    found = answers(run)
    assert {r.id for r in found.failing} >= {"size.total", "size.voice", "share.voice"}
    assert all(r.shortfall for r in found.failing)
    assert found.status == 3
    (run / "mix.json").unlink()
    assert answers(run).status == 1


def test_what_lies_aside_counts_as_train(run: Path) -> None:
    (shared,) = [c for c in records("test") if c.id == "test-psychology-0"]
    jsonl(run / "data" / "auxiliary.jsonl", [shared.model_copy(update={"id": "aside"})])
    sealed(run)
    assert broken(run) == {"split.disjoint.texts", "split.disjoint.groups.opening"}


def test_client_lines_have_no_order_but_no_reply_either(run: Path) -> None:
    lines = (Message(role="user", content=text("a")), Message(role="user", content=text("b")))
    aside = made("aside", "personality", 0).model_copy(update={"messages": lines, "labels": Labels(kind="client_lines")})
    jsonl(run / "data" / "client_lines.jsonl", [aside])
    assert not broken(sealed(run))
    reply = aside.model_copy(update={"messages": (*lines, MESSAGES[1])})
    jsonl(run / "data" / "client_lines.jsonl", [reply])
    assert broken(sealed(run)) == {"talk.roles", "talk.client_only"}


def test_the_commercial_profile_names_a_source_whose_licence_forbids_it(run: Path) -> None:
    edit(run, lambda c: c.model_copy(update={"provenance": c.provenance.model_copy(update={"license": "CC-BY-NC-4.0"})}))
    info = json.loads((run / "run.json").read_text())
    info["recipe"]["profile"] = "commercial"
    (run / "run.json").write_text(json.dumps(info))
    (rule,) = answers(run).failing
    assert rule.id == "licence.profile"
    assert "CC-BY-NC-4.0" in rule.where[0]


def test_a_file_alone_is_held_against_the_rules_that_apply(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = jsonl(tmp_path / "kept.jsonl", records("train"))
    assert main(["validate", str(path), "--no-speed"]) == 0
    assert "0 broken" in capsys.readouterr().out
    assert main(["validate", str(path), "--no-speed", "--json", "--total", "50"]) == 1
    assert "size.total" in {r["id"] for r in json.loads(capsys.readouterr().out)["rules"] if r["passed"] is False}


def test_distribution_shows_target_and_gap_and_fails_over_tolerance(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    even = jsonl(tmp_path / "even.jsonl", records("train"))
    assert main(["validate", str(even), "--no-speed", "--distribution"]) == 0
    assert "gap +0.0 points" in capsys.readouterr().out
    odd = jsonl(tmp_path / "odd.jsonl", [c for c in records("train") if c.category == "voice"])
    assert main(["validate", str(odd), "--no-speed", "--distribution"]) == 1
    assert "share.voice" in capsys.readouterr().out


def test_a_reader_is_measured_in_a_process_of_its_own(good: Path) -> None:
    reading = measured("jsonl", [good / "data" / f"{name}.jsonl" for name in COUNTS])
    assert reading.records == 40
    assert reading.wall_s > 0
    assert reading.peak_mb > 1
    assert not reading.reason


@pytest.mark.heavy
def test_limits_of_speed_are_judged_by_every_reader(good: Path) -> None:
    found = validate(good, load_settings(), limits=Limits(memory_mb=1.0))
    assert {r.id for r in found.failing} == {"speed.jsonl", "speed.datasets"}
    assert [r.why for r in found.rules if r.id == "speed.pyarrow"] == ["not judged: there are no Parquet files"]
    broken = good.parent / "a.parquet"
    broken.write_text("no Parquet")
    assert measured("pyarrow", [broken]).reason.startswith("it failed:")


def test_limits_come_from_a_file_or_pixel_toml_and_wrong_keys_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pixel.toml").write_text("[validation]\nshare_gap = 0.5\n")
    monkeypatch.chdir(tmp_path)
    assert load_limits().share_gap == 0.5
    assert load_settings().seed == 7  # the table is no unknown setting
    (tmp_path / "limits.toml").write_text("records_s = 5\n")
    assert load_limits(tmp_path / "limits.toml").records_s == 5
    (tmp_path / "limits.toml").write_text("speed = 5\n")
    with pytest.raises(UsageError, match="speed"):
        load_limits(tmp_path / "limits.toml")


def test_nothing_to_validate_is_an_error_or_a_broken_rule(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="no file or folder"):
        answers(tmp_path / "nowhere")
    assert broken(tmp_path) == {"integrity.schema"}
    (tmp_path / "run.json").write_text('{"recipe": {"total": 0}}')
    with pytest.raises(RecordError, match=r"run\.json is unusable: .*total"):
        answers(tmp_path)
    (tmp_path / "splits.json").write_text("{")
    with pytest.raises(RecordError, match=r"splits\.json is damaged"):
        answers(tmp_path)
