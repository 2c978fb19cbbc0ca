"""The card: every number is that of the files, the front matter opens them, and what was not measured is said."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from exported import dataset, record, write

from pixel_synth.cli import main
from pixel_synth.errors import RecordError, UsageError
from pixel_synth.publish.card_facts import gather
from pixel_synth.publish.dataset_card import render, write_card
from pixel_synth.publish.dataset_files import export
from pixel_synth.records import Score


def front(card: str) -> dict[str, Any]:
    matter: dict[str, Any] = yaml.safe_load(card.split("---\n")[1])
    return matter


def table(card: str, head: str) -> dict[str, list[str]]:
    """Return the rows of the table whose head begins so, by their first cell."""
    lines = card[card.index(f"| {head} |") :].split("\n\n")[0].splitlines()[2:]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {row[0]: row[1:] for row in rows}


def run_directory(folder: Path) -> Path:
    """Write what a run leaves: data, and what its stages and its mix say."""
    dataset(folder / "data")
    limits = [
        {"metric": "coherence", "least": 0.9, "standing": "calibrated", "card": "x"},
        {"metric": "overall", "least": 0.8, "standing": "refused", "why": "29 conversations are fewer than 30"},
    ]
    info = {
        "toolkit": "9.9", "started": "2026-11-23T04:03:35+00:00", "version": "v1.2.0", "reviewed": {"records": 3},
        "gate": {"limits": limits}, "recipe": {"profile": "research", "semantic": False},
    }  # fmt: skip
    books = {"kept": 9, "rejected": 1, "failed": 0, "reasons": {"duplicate": 1}}
    stages = {
        "02-screen": {"redacted": True, "names": "not looked for: no model"},
        "03-deduplicate": {"jaccard": 0.8, "exact": 1, "near": 4, "meaning": 0, "clusters": 5, "families": 2},
    }
    (folder / "run.json").write_text(json.dumps(info))
    wanted = [("psychology", 0.3, 12), ("voice", 0.25, 10)]
    mixed = {"asked": 40, "categories": [{"category": c, "ratio": r, "wanted": n} for c, r, n in wanted]}
    (folder / "mix.json").write_text(json.dumps(mixed))
    for name, facts in stages.items():
        path = folder / "stages" / name / "stage.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps({"name": name, "books": books, "facts": facts}))
    return folder


def test_the_numbers_are_those_of_the_files(tmp_path: Path) -> None:
    data = dataset(tmp_path / "in")
    export(data, ["jsonl", "chat"], tmp_path / "out")
    card = write_card(data, tmp_path / "out").read_text()
    rows = {p.stem: [json.loads(line) for line in p.read_text().splitlines()] for p in (tmp_path / "out").glob("*.jsonl")}
    splits = [r for name in ("train", "validation", "test") for r in rows[name]]
    for name, records in rows.items():
        words = sum(len(m["content"].split()) for r in records for m in r["messages"])
        assert table(card, "file")[name][:3] == [str(len(records)), str(words), "not counted"]
    for category, (records, share, *_) in table(card, "category").items():
        mine = sum(r["category"] == category for r in splits)
        assert (records, share) == (str(mine), f"{mine / len(splits):.1%}")
    for source, (_, records, _) in table(card, "source").items():
        assert int(records) == sum(r["provenance"]["source"] == source for rs in rows.values() for r in rs)
    assert table(card, "metric")["overall"][:5] == ["0.900", "0.900", "8", "3", "mean 0.800 of 8"]
    assert table(card, "metric")["coherence"][:4] == ["not measured", "not measured", "0", "11"]
    assert table(card, "label")["language"] == ["11", "100.0%"]
    assert "1 records had personal data taken out, replaced by placeholders: email 2." in card
    assert "asks a person to look at 1." in card


def test_what_the_run_knows_is_told(tmp_path: Path) -> None:
    run = run_directory(tmp_path / "dataset-001")
    card = write_card(run).read_text()
    assert table(card, "category")["psychology"][2:5] == ["12", "30.0%", "4"]
    assert "**Short of the target: psychology by 4, voice by 10.**" in card
    assert table(card, "stage")["03-deduplicate"] == ["10", "9", "1", "0", "duplicate 1"]
    assert table(card, "metric")["overall"][-1] == "**no**: 29 conversations are fewer than 30"
    assert table(card, "metric")["coherence"][-1] == "yes"
    assert "Names: not looked for: no model" in card
    assert "1 with the same words, 4 with a Jaccard" in card
    assert "those with the same meaning were not looked for; 5 clusters" in card
    assert "Reviewed by a person: 3 records." in card
    assert "**9 of the records were written by the composer, a grammar" in card
    assert re.search(r"@misc\{pixel_synth_v1_2_0,\n.*\n  year = \{2026\},\n  version = \{v1.2.0\},", card)


def test_what_was_not_measured_is_said(tmp_path: Path) -> None:
    card = write_card(write(tmp_path / "in.jsonl", [record("a")]), tmp_path).read_text()
    told = (
        "Leakage between the splits: not measured", "De-duplication: not measured", "Redaction: not measured", "Not measured.",
        "Names: not recorded whether they were looked for", "Reviewed by a person: not recorded",
    )  # fmt: skip
    assert [t for t in told if t not in card] == []
    assert table(card, "category")["psychology"] == ["1", "100.0%", "not measured", "not measured", "not measured", "5"]
    assert "year" not in card


def test_the_front_matter_names_licence_size_language_and_files(tmp_path: Path) -> None:
    data = dataset(tmp_path / "in")
    export(data, ["parquet", "chat"], tmp_path / "out")
    matter = front(write_card(data, tmp_path / "out").read_text())
    assert (matter["license"], matter["license_name"]) == ("other", "apache-2.0-and-mit")
    assert (matter["language"], matter["size_categories"]) == (["en"], ["n<1K"])
    assert [c["config_name"] for c in matter["configs"]] == ["default", "preference", "records", "auxiliary", "client_lines"]
    paths = [f["path"] for c in matter["configs"] for f in c["data_files"]]
    assert all((tmp_path / "out" / path).stat().st_size for path in paths)
    one = write(tmp_path / "one.jsonl", [record("a")])
    assert front(write_card(one, tmp_path / "one").read_text())["license"] == "apache-2.0"


def test_a_binding_licence_binds_the_whole_and_an_unknown_one_is_told(tmp_path: Path) -> None:
    def licensed(id: str, license: str) -> Any:
        c = record(id, source=id)
        return c.model_copy(update={"provenance": c.provenance.model_copy(update={"license": license})})

    alike = write(tmp_path / "a.jsonl", [licensed("a", "CC-BY-SA-4.0"), licensed("b", "MIT")])
    assert front(write_card(alike, tmp_path / "a").read_text())["license"] == "cc-by-sa-4.0"
    unknown = write(tmp_path / "b.jsonl", [licensed("a", "unknown"), licensed("b", "MIT")])
    card = write_card(unknown, tmp_path / "b").read_text()
    assert front(card)["license"] == "other"
    assert "May not be passed on as it is: a: unknown" in card
    assert "Not all of it may be used commercially" in card


def test_a_split_that_was_changed_after_its_certificate_is_told(tmp_path: Path) -> None:
    values = (0.9, 0.1, 0.5)
    spoken = [
        record(f"r{i}", f"{w} {w}s me every day of the week", f"Tell me {w}", scores=(Score(metric="complexity", value=v),))
        for i, (w, v) in enumerate(zip(("sorrow", "anger", "fear") * 4, values * 4, strict=True))
    ]
    source = write(tmp_path / "in.jsonl", spoken)
    assert main(["split", str(source), "-o", str(tmp_path / "splits"), "--shares", "0.5,0.25,0.25", "--tolerance", "1"]) == 0
    card = write_card(tmp_path / "splits").read_text()
    assert "## Leakage certificate: passed" in card
    assert "not byte for byte" not in card
    train = tmp_path / "splits" / "train.jsonl"
    train.write_text("".join(reversed(train.read_text().splitlines(keepends=True))))
    assert "not byte for byte those that were certified" in write_card(tmp_path / "splits").read_text()


def test_equal_files_give_equal_cards_and_no_path_of_the_machine(tmp_path: Path) -> None:
    run = run_directory(tmp_path / "run")
    first, second = (render(gather(run), run) for _ in range(2))
    assert first == second
    assert str(tmp_path) not in first


def test_a_readme_of_somebody_else_is_never_lost(tmp_path: Path) -> None:
    source = write(tmp_path / "in.jsonl", [record("a")])
    (tmp_path / "README.md").write_text("# My project\n")
    with pytest.raises(UsageError, match="would be lost"):
        write_card(source, tmp_path)
    assert main(["export", str(source), "-o", str(tmp_path)]) == 2
    (tmp_path / "README.md").unlink()
    (tmp_path / "run.json").write_text("{}")
    assert main(["export", str(source), "-o", str(tmp_path)]) == 2
    assert not (tmp_path / "export.json").exists()


def test_a_damaged_file_of_the_run_is_named(tmp_path: Path) -> None:
    run = run_directory(tmp_path / "run")
    (run / "mix.json").write_text("{")
    with pytest.raises(RecordError, match=r"mix\.json is damaged"):
        write_card(run)


@pytest.mark.heavy
def test_datasets_opens_the_export_by_its_card(tmp_path: Path) -> None:
    from datasets import load_dataset

    data = dataset(tmp_path / "in")
    for formats, columns in ((["chat", "parquet"], {"messages", "text", "thought"}), (["parquet"], {"messages", "provenance", "scores"})):
        out = tmp_path / "-".join(formats)
        export(data, formats, out)
        write_card(data, out)
        names = [c["config_name"] for c in front((out / "README.md").read_text())["configs"]]
        loaded = {name: load_dataset(str(out), name, cache_dir=str(tmp_path / "cache")) for name in names}
        assert {n: len(split) for n, split in loaded["default"].items()} == {"train": 10, "validation": 1}
        assert columns <= set(loaded["default"]["train"].column_names)
        assert [len(loaded[name]["train"]) for name in ("auxiliary", "client_lines")] == [1, 1]
        if "preference" in names:
            assert loaded["preference"]["train"][0]["rejected"] == [{"role": "assistant", "content": "Pull yourself together."}]
            assert loaded["records"]["train"][0]["provenance"]["engine"] == "composer"
    assert "preference" not in names
