"""Versions, tags and diff: what differs is found exactly, intervals are those of the reference, tags never move."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ttest_ind, ttest_rel

from pixel_synth.cli import main
from pixel_synth.errors import RecordError, RunError, UsageError
from pixel_synth.jsonl import sha256_of
from pixel_synth.prove.audit import Audit, verify_run
from pixel_synth.prove.diff import Diff, changed_fields, diff
from pixel_synth.prove.shift import Measure, Shift
from pixel_synth.prove.versions import NAME, resolve, tag, tags, version_of, versions
from pixel_synth.prove.wording import summary, words


def record(id: str, text: str = "I cannot sleep.", score: float | None = 0.5, **more: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": text}, {"role": "assistant", "content": "Since when?"}]
    scores = [] if score is None else [{"metric": "coherence", "value": score}]
    return {"id": id, "category": "psychology", "messages": messages, "scores": scores, "labels": {"topic": "insomnia"}, **more}


def dataset(folder: Path, **splits: list[dict[str, Any]]) -> Path:
    data = folder / "data"
    data.mkdir(parents=True, exist_ok=True)
    for name, rows in splits.items():
        (data / f"{name}.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    files = {f"data/{p.name}": {"sha256": sha256_of(p), "bytes": p.stat().st_size} for p in data.iterdir()}
    (folder / "manifest.json").write_text(json.dumps({"files": files}))
    (folder / "run.json").write_text(json.dumps({"started": "2026-11-23T04:00:00", "status": "done"}))
    return folder


def pair(tmp_path: Path) -> Diff:
    a = dataset(tmp_path / "a", train=[record(i) for i in "pqrs"], test=[record("t"), record("u")])
    changed = record("q", "I cannot sleep well.", 0.9, labels={"topic": "grief"})
    b = dataset(tmp_path / "b", train=[record("t"), record("p"), changed, record("n")], test=[record("s"), record("u")])
    return diff(a, b)


def test_added_removed_changed_and_moved_records_are_found(tmp_path: Path) -> None:
    found = pair(tmp_path)
    assert (found.added, found.removed) == (("n",), ("r",))
    assert [(c.id, c.fields) for c in found.changed] == [("q", ("labels.topic", "messages", "scores.coherence"))]
    assert sorted(found.moved) == [("s", "train", "test"), ("t", "test", "train")]
    assert (found.a_records, found.b_records, found.same) == (6, 6, 4)
    told = "\n".join(summary(found))
    assert "moved test -> train 1  was tested on, is trained on now" in told
    assert "labels.topic" in told


RECORDS = st.dictionaries(
    st.text("abcdef", min_size=1, max_size=2), st.tuples(st.sampled_from(["train", "test"]), st.sampled_from("xyz")), max_size=8
)


@settings(max_examples=40, deadline=None)
@given(one=RECORDS, two=RECORDS)
def test_a_diff_is_that_of_the_sets(one: dict[str, tuple[str, str]], two: dict[str, tuple[str, str]], tmp_path_factory: Any) -> None:
    folder = tmp_path_factory.mktemp("law")
    for name, rows in (("a", one), ("b", two)):
        split = {s: [record(id, text) for id, (where, text) in rows.items() if where == s] for s in ("train", "test")}
        dataset(folder / name, **split)
    found = diff(folder / "a", folder / "b")
    both = one.keys() & two.keys()
    assert set(found.added) == two.keys() - one.keys()
    assert set(found.removed) == one.keys() - two.keys()
    assert {c.id for c in found.changed} == {i for i in both if one[i][1] != two[i][1]}
    assert {i for i, _, _ in found.moved} == {i for i in both if one[i][0] != two[i][0]}
    assert found.equal == (one == two)


def test_key_order_spaces_and_empty_new_fields_are_no_change(tmp_path: Path) -> None:
    row = record("p")
    (tmp_path / "a.jsonl").write_text(json.dumps(row) + "\n")
    (tmp_path / "b.jsonl").write_text(json.dumps(dict(reversed(list(row.items()))) | {"thought": "", "links": []}, indent=None) + "\n")
    assert diff(tmp_path / "a.jsonl", tmp_path / "b.jsonl").equal
    assert changed_fields(row, {**row, "thought": "x"}) == ("thought",)


def shift(a: dict[int, float], b: dict[int, float]) -> Shift:
    measure, place = Measure(), {key: n for n, key in enumerate(a)}
    for key, value in a.items():
        measure.first(place[key], value)
    for key, value in b.items():
        measure.second(place.get(key), value)
    return measure.shift("m")


def test_the_interval_is_welchs_without_shared_records_and_paired_with_only_shared_ones() -> None:
    rng = np.random.default_rng(7)
    x, y = rng.normal(0.5, 0.1, 40), rng.normal(0.55, 0.2, 60)
    apart = shift(dict(enumerate(x)), {100 + i: v for i, v in enumerate(y)})
    low, high = ttest_ind(y, x, equal_var=False).confidence_interval()
    assert (apart.low, apart.high) == pytest.approx((low, high), abs=1e-9)
    again = x + rng.normal(0.01, 0.02, 40)
    both = shift(dict(enumerate(x)), dict(enumerate(again)))
    low, high = ttest_rel(again, x).confidence_interval()
    assert (both.low, both.high) == pytest.approx((low, high), abs=1e-9)
    assert both.shared == 40
    assert both.moved


def test_the_interval_covers_as_often_as_it_says_where_records_are_shared() -> None:
    rng, held = np.random.default_rng(3), 0
    for _ in range(400):
        values = rng.normal(0, 1, 60)  # 40 shared with a second measurement, 20 only in the first, 20 new in the second
        second = np.concatenate([values[:40] + rng.normal(0, 0.5, 40), rng.normal(0, 1.1, 20)])
        s = shift(dict(enumerate(values)), dict(zip([*range(40), *range(100, 120)], second, strict=True)))
        assert s.low is not None
        assert s.high is not None
        held += s.low <= 0 <= s.high
    assert 0.92 <= held / 400 <= 0.98


def test_what_cannot_be_compared_says_why() -> None:
    assert shift({0: 1.0}, {}).reason == "only one version has it"
    assert shift({0: 1.0}, {0: 2.0}).reason == "fewer than two records have it"
    same = shift({0: 1.0, 1: 2.0}, {0: 1.0, 1: 2.0})
    assert (same.low, same.high, same.moved) == (0.0, 0.0, False)


@pytest.mark.parametrize(("line", "told"), [("{", "train.jsonl:2"), ('{"x":1}', "no id"), (json.dumps(record("p")), "was there before")])
def test_a_bad_line_is_named(tmp_path: Path, line: str, told: str) -> None:
    good = dataset(tmp_path / "a", train=[record("p")])
    bad = dataset(tmp_path / "b", train=[record("p")])
    with (bad / "data" / "train.jsonl").open("a") as file:
        file.write(line + "\n")
    for a, b in ((good, bad), (bad, good)):
        with pytest.raises(RecordError, match=told):
            diff(a, b)


def test_texts_are_compared_word_by_word() -> None:
    assert words("I cannot sleep.", "I cannot sleep well.") == "I cannot [-sleep.-]{+sleep well.+}"
    long = " ".join(str(n) for n in range(100))
    assert words(f"{long} a", f"{long} b") == f"…{' '.join(str(n) for n in range(92, 100))} [-a-]{{+b+}}"
    assert "too long" in words("a " * 30_000, "b")


def test_a_version_is_that_of_the_data_wherever_it_lies(tmp_path: Path) -> None:
    a, b = (dataset(tmp_path / name, train=[record("p")]) for name in "ab")
    assert version_of(a) == version_of(b)
    (a / "data" / "rejected.jsonl").write_text("{}\n")
    assert version_of(dataset(a, train=[record("p")])) == version_of(b)
    assert version_of(dataset(a, train=[record("q")])) != version_of(b)
    with pytest.raises(RunError, match="has not ended"):
        version_of(tmp_path)


def test_a_tag_never_moves_and_stands_in_the_trail(tmp_path: Path) -> None:
    a = dataset(tmp_path / "runs" / "a", train=[record("p")])
    Audit(a).append("begin", "run")
    first = tag(a, "v1.0.0", "the first")
    assert tag(a, "v1.0.0") == first
    assert next(t for t in tags(a.parent)).message == "the first"
    assert list(Audit(a).entries())[-1].action == "tag"
    assert verify_run(a).faults == ()
    assert resolve("v1.0.0", a.parent) == a
    assert resolve(first.version[:7], a.parent) == a
    dataset(a, train=[record("q")])
    with pytest.raises(RunError, match="never moves"):
        tag(a, "v1.0.0")
    with pytest.raises(RunError, match="restore"):
        resolve("v1.0.0", a.parent)
    assert [(v.tags, v.former, v.records) for v in versions(a.parent)] == [((), ("v1.0.0",), 1)]
    (a / "data" / "train.jsonl").write_text("damaged")
    with pytest.raises(RunError, match="not as manifest"):
        tag(a, "v2")
    path = a.parent / NAME
    path.write_text(path.read_text().replace("the first", "another"))
    with pytest.raises(RunError, match=f"{NAME}:1"):
        tags(a.parent)


@pytest.mark.parametrize("name", ["", "-x", "a b", "a..b", "x.lock", "a/b", "ä"])
def test_what_cannot_name_a_version_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="cannot name"):
        tag(dataset(tmp_path / "a", train=[record("p")]), name)


def test_commands_tell_equal_from_different_by_their_status(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pair(tmp_path)
    a, b, runs = str(tmp_path / "a"), str(tmp_path / "b"), str(tmp_path)
    assert main(["version", "diff", a, a]) == 0
    assert main(["version", "tag", a, "v1"]) == 0
    capsys.readouterr()
    assert main(["version", "diff", "v1", b, "--runs", runs, "--list", "moved"]) == 1
    assert sorted(capsys.readouterr().out.split()) == ["s", "t"]
    assert main(["version", "diff", a, b, "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["added"] == ["n"]
    assert main(["version", "diff", a, b, "--show", "1"]) == 1
    assert "[-insomnia-]{+grief+}" in capsys.readouterr().out
    assert main(["version", "list", runs]) == 0
    assert "v1" in capsys.readouterr().out
    assert main(["version", "diff", a, "v9", "--runs", runs]) == 1
    assert main(["version", "diff", a, b, "--show", "-1"]) == 2
