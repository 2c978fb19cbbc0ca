"""The certificate: every kind of planted leak is found and named, the search misses no pair, and clean files pass."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from splits import jsonl, record, text

from pixel_synth.curate.dedup.shingle import jaccard, shared, shingled
from pixel_synth.errors import RecordError, UsageError
from pixel_synth.mix import overlap
from pixel_synth.mix.certificate import Certificate, certify
from pixel_synth.mix.overlap import Index
from pixel_synth.mix.split_card import certificate_section
from pixel_synth.plan import Plan
from pixel_synth.records import Conversation, Link

Files = Mapping[str, Path]


def files(folder: Path, **splits: Sequence[Conversation]) -> Files:
    return {name: jsonl(folder / f"{name}.jsonl", rows) for name, rows in splits.items()}


def clean(name: str, n: int = 4) -> list[Conversation]:
    return [record(f"{name}{i}") for i in range(n)]


def leaking(folder: Path, train: Conversation, test: Conversation, pairs: Sequence[tuple[str, str]] = ()) -> Certificate:
    """Certify three clean splits with one more record in train and in test."""
    return certify(files(folder, train=[*clean("a"), train], validation=clean("v"), test=[*clean("b"), test]), pairs=pairs)


def test_clean_files_pass_and_are_told_by_their_hashes(tmp_path: Path) -> None:
    found = leaking(tmp_path, record("x"), record("y"))
    assert found.passed
    assert found.highest is None
    assert [f.records for f in found.files.values()] == [5, 4, 5]
    assert found.files["test"].sha256 == hashlib.sha256((tmp_path / "test.jsonl").read_bytes()).hexdigest()
    assert "no two records of different splits share five words" in certificate_section(found)


X = record("x")
LEAKS = {
    "ids": (X, record("x", said="other", answer="words")),
    "texts": (X, record("y", said=X.messages[0].content.upper(), answer=X.messages[1].content + "!")),
    "group opening": (X, record("y", said=X.messages[0].content)),
    "group question": (record("x", groups=("question:1",)), record("y", groups=("question:1",))),
    "group speaker": (record("x", groups=("speaker:1",)), record("y", groups=("speaker:1",))),
    "group conversation": (record("x", groups=("conversation:1",)), record("y", groups=("conversation:1",))),
    "group cluster": (record("x", groups=("cluster:1",)), record("y", groups=("cluster:1",))),
    "group row": (record("x", row="f:1"), record("y", row="f:1")),
    "links": (X, record("y", links=(Link(id="x", kind="same_question"),))),
    "containment": (X, record("y", said=text("new", n=9), answer=f"{X.messages[0].content} {X.messages[1].content} {text('more', n=90)}")),
    "similarity": (X, record("y", said=text("new", n=6), answer=X.messages[0].content + " " + X.messages[1].content)),
}


@pytest.mark.parametrize("kind", LEAKS)
def test_a_planted_leak_is_found_and_both_records_are_named(tmp_path: Path, kind: str) -> None:
    train, test = LEAKS[kind]
    found = leaking(tmp_path, train, test)
    assert not found.passed
    assert kind in {c.name for c in found.failing}
    named = next(c for c in found.failing if c.name == kind).named[0]
    assert train.id in named
    assert test.id in named
    assert "train" in named
    assert "test" in named
    assert named in certificate_section(found)


@pytest.mark.parametrize("kind", ["persona", "blueprint", "slot"])
def test_one_client_or_plan_in_two_splits_is_found(tmp_path: Path, plan: Plan, kind: str) -> None:
    x, y = (record(id).model_copy(update={"blueprint": plan.blueprint(0)}) for id in "xy")
    assert f"group {kind}" in {c.name for c in leaking(tmp_path, x, y).failing}


def test_a_listed_near_duplicate_that_crosses_is_found_and_one_that_is_gone_is_passed_over(tmp_path: Path) -> None:
    found = leaking(tmp_path, record("x"), record("y"), [("y", "x"), ("gone", "x")])
    assert [(c.name, c.of, c.named) for c in found.failing] == [("near_duplicates", 1, ("y in test | x in train",))]


def test_a_leak_between_validation_and_test_is_found(tmp_path: Path) -> None:
    x = record("x")
    y = x.model_copy(update={"id": "y"})
    found = certify(files(tmp_path, train=clean("a"), validation=[x], test=[y]))
    assert {"texts", "similarity", "group opening"} <= {c.name for c in found.failing}
    assert found.highest is not None
    assert {found.highest.a_split, found.highest.b_split} == {"validation", "test"}


def test_what_was_let_go_is_told_and_is_no_finding(tmp_path: Path) -> None:
    x, y = LEAKS["group speaker"]
    found = certify(files(tmp_path, train=[x], test=[y]), let_go=["speaker:1"])
    assert found.passed
    assert [c.let_go for c in found.checks if c.name == "group speaker"] == [1]
    assert "1 let go" in certificate_section(found)


def test_runs_of_thirteen_words_that_train_has_are_counted_per_record(tmp_path: Path) -> None:
    phrase = text("stock", n=13)
    test = [record("y1", said=f"{text('y1', n=40)} {phrase} {text('more', n=40)}"), record("y2"), record("y3", said="short", answer="too")]
    found = certify(files(tmp_path, train=[record("x", answer=f"{text('x', n=40)} {phrase} {text('end', n=40)}")], test=test))
    (runs,) = found.contamination
    assert (runs.records, runs.of_records, runs.runs) == (1, 3, 1)
    assert found.passed


def test_files_of_other_names_are_certified_against_the_largest(tmp_path: Path) -> None:
    x = record("x")
    found = certify(files(tmp_path, big=[*clean("a", 9), x], small=[x.model_copy(update={"id": "y"})]))
    assert [c.split for c in found.contamination] == ["small"]
    assert not found.passed


def test_many_leaks_are_counted_all_and_named_in_part(tmp_path: Path) -> None:
    train = [record(f"x{i}", groups=(f"question:{i}",)) for i in range(30)]
    test = [record(f"y{i}", groups=(f"question:{i}",)) for i in range(30)]
    (check,) = certify(files(tmp_path, train=train, test=test)).failing
    assert (check.found, check.of, len(check.named)) == (30, 30, 20)


def test_an_empty_split_is_certified_and_one_alone_is_refused(tmp_path: Path) -> None:
    assert certify(files(tmp_path, train=clean("a"), test=[])).passed
    with pytest.raises(UsageError, match="2 to 8 splits"):
        certify(files(tmp_path, train=clean("a")))


def test_a_bad_line_is_named(tmp_path: Path) -> None:
    given = files(tmp_path, train=clean("a"), test=clean("b"))
    given["test"].write_text(given["test"].read_text() + '{"id": 3}\n')
    with pytest.raises(RecordError, match=r"test\.jsonl:5"):
        certify(given)


# Texts of few words, so that they share many shingles; the cap of zero sends every one through the prefix filter.
TEXTS = st.lists(st.lists(st.sampled_from("abc"), max_size=14).map(" ".join), min_size=1, max_size=12)


@given(TEXTS, TEXTS, TEXTS, st.sampled_from([0.3, 0.5, 0.8]), st.sampled_from([0, overlap.MANY]))
@settings(max_examples=40, deadline=None)
def test_the_search_finds_what_comparing_every_pair_finds(a: list[str], b: list[str], c: list[str], limit: float, many: int) -> None:
    splits = {"train": a, "validation": b, "test": c}
    index = Index(limit)
    for name in ("validation", "test"):
        index.add([f"{name}{i}" for i in range(len(splits[name]))], name, [[t] for t in splits[name]])
    index.close()
    sets = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(overlap, "MANY", many)
        patch.setattr(overlap, "LEAST", 3)
        for name, rows in splits.items():
            index.meet([f"{name}{i}" for i in range(len(rows))], name, [[t] for t in rows], name == "train")
            s = shingled([[t] for t in rows])
            sets |= {f"{name}{i}": (name, s.hashes[s.offsets[i] : s.offsets[i + 1]]) for i in range(len(rows))}
    every = {
        frozenset((x, y)): jaccard(sets[x][1], sets[y][1]) for x in sets for y in sets if x < y and sets[x][0] != sets[y][0]
    }  # fmt: skip
    inside = set()
    for pair, similarity in every.items():
        small, large = sorted((sets[id][1] for id in pair), key=len)
        if len(small) >= 3 and shared(small, large) >= 0.8 * len(small) and similarity < limit:
            inside.add(pair)
    assert {frozenset((p.a, p.b)) for p in index.contained} == inside
    assert {frozenset((p.a, p.b)) for p in index.over} == {pair for pair, similarity in every.items() if similarity >= limit}
    assert (index.highest.similarity if index.highest else 0.0) == pytest.approx(max(every.values()))
