"""Splits: laws of every strategy, sizes, balance, dates, files, and the command."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from splits import jsonl, record

from pixel_synth.books import Reject
from pixel_synth.cli import main
from pixel_synth.draw import Draw
from pixel_synth.errors import UsageError
from pixel_synth.jsonl import conversations
from pixel_synth.mix import dealing
from pixel_synth.mix.groups import components
from pixel_synth.mix.item import Item, item
from pixel_synth.mix.split import Split, balance, split
from pixel_synth.mix.split_card import section
from pixel_synth.mix.split_files import Report, Way, split_file
from pixel_synth.records import Conversation

SHARES = {"train": 0.8, "validation": 0.1, "test": 0.1}
BLANK = item(record("blank"))
STRATEGIES = st.sampled_from(["random", "stratified", "temporal"])


def light(id: str, group: str = "", **more: object) -> Item:
    """Return an item without the cost of a record."""
    return BLANK._replace(id=id, groups=(group,) if group else (), **more)  # type: ignore[arg-type]


def some_items(n: int, seed: int, grouped: bool) -> list[Item]:
    draw = Draw(seed)
    return [
        light(
            f"r{i}",
            f"question:{draw.below(25)}" if grouped else "",
            category=draw.pick(["psychology", "voice", "reasoning"]),
            quality=draw.pick([None, 0.2, 0.5, 0.9]),
            created=draw.pick(["", "2020-01-01", "2021-05-06T10:00:00Z", "2022"]),
        )
        for i in range(n)
    ]


def datasets(grouped: bool = True) -> st.SearchStrategy[list[Item]]:
    return st.builds(some_items, st.integers(3, 60), st.integers(0, 10**9), st.just(grouped))


def by_id(some: list[Item], done: Split) -> dict[str, str]:
    return {i.id: at for i, at in zip(some, done.of, strict=True)}


def dealt(some: list[Item], strategy: str = "stratified", seed: int = 7, **more: object) -> Split:
    return split(some, components(some), SHARES, strategy, seed, **more)  # type: ignore[arg-type]


@given(datasets(), STRATEGIES, st.integers(0, 3))
@settings(max_examples=40, deadline=None)
def test_every_record_is_in_one_split_and_no_group_in_two(some: list[Item], strategy: str, seed: int) -> None:
    done = dealt(some, strategy, seed)
    assert len(done.of) == len(some)
    assert set(done.of) <= {"train", "validation", "test"}
    homes: dict[str, set[str]] = {}
    for one, at in zip(some, done.of, strict=True):
        homes.setdefault(one.groups[0], set()).add(at)
    assert all(len(at) == 1 for at in homes.values())


@given(datasets(), STRATEGIES, st.integers(0, 9))
@settings(max_examples=40, deadline=None)
def test_the_order_of_the_records_does_not_matter(some: list[Item], strategy: str, order: int) -> None:
    shuffled = Draw(order).shuffled(some)
    assert by_id(some, dealt(some, strategy)) == by_id(shuffled, dealt(shuffled, strategy))


@given(datasets(grouped=False), st.sampled_from(["random", "stratified"]), st.integers(0, 3))
@settings(max_examples=40, deadline=None)
def test_sizes_are_exact_where_nothing_hangs_together(some: list[Item], strategy: str, seed: int) -> None:
    done = dealt(some, strategy, seed)
    assert Counter(done.of) == {name: n for name, n in done.wanted.items() if n}
    assert len(some) < 10 or all(abs(n - SHARES[name] * len(some)) < 1 for name, n in done.wanted.items())


@given(datasets(), st.sampled_from(["random", "stratified"]))
@settings(max_examples=40, deadline=None)
def test_no_split_is_empty_where_there_are_three_components(some: list[Item], strategy: str) -> None:
    if len({i.groups for i in some}) >= 3:
        assert set(dealt(some, strategy).of) == {"train", "validation", "test"}


@given(st.integers(0, 500), st.lists(st.integers(0, 20), min_size=3, max_size=3).filter(any))
def test_sizes_sum_to_all_and_none_with_a_share_is_zero(n: int, weights: list[int]) -> None:
    shares = {name: w / sum(weights) for name, w in zip(SHARES, weights, strict=True)}
    found = dealing.sizes(n, shares)
    assert sum(found.values()) == n
    assert all(found[name] for name in shares if shares[name] and n >= 3)
    assert all(
        abs(found[name] - n * shares[name]) < 1 or found[name] <= 1 or n * min(s for s in shares.values() if s) < 1 for name in shares
    )


def many(n: int = 1000) -> list[Item]:
    categories = ["psychology"] * 30 + ["voice"] * 25 + ["mental_health"] * 20 + ["reasoning"] * 15 + ["personality"] * 10
    return [
        light(f"m{i}", category=categories[i * 7 % 100], quality=(i * 37 % 101) / 100, modality=f"mod{i % 6}",
              risk="high" if i % 40 == 0 else "low")
        for i in range(n)
    ]  # fmt: skip


def test_another_seed_deals_others_and_the_same_seed_the_same() -> None:
    some = many()
    for strategy in ("random", "stratified"):
        assert dealt(some, strategy).of == dealt(some, strategy).of
        assert dealt(some, strategy).of != dealt(some, strategy, 8).of


def test_stratified_keeps_every_category_to_two_records_and_a_rare_label_in_every_split() -> None:
    some = many()
    done = dealt(some)
    for name, size in done.wanted.items():
        here = [i for i, at in zip(some, done.of, strict=True) if at == name]
        assert all(abs(sum(i.category == c for i in here) - n / 1000 * size) <= 2 for c, n in Counter(i.category for i in some).items())
        assert all(abs(sum(i.modality == m for i in here) - n / 1000 * size) <= 3 for m, n in Counter(i.modality for i in some).items())
        assert abs(sum(i.risk == "high" for i in here) - 25 / 1000 * size) <= 1
    assert all(cell.kept for cell in balance(some, done, 0.02))


def test_a_small_category_of_all_different_modalities_is_in_every_split() -> None:
    rare = [light(f"p{i}", category="psychology", modality=f"mod{i}") for i in range(20)]
    some = [*rare, *(light(f"m{i}", category="mental_health") for i in range(80))]
    done = dealt(some)
    here = Counter(at for one, at in zip(some, done.of, strict=True) if one.category == "psychology")
    assert all(abs(here[name] - size / 5) <= 1 and here[name] for name, size in done.wanted.items())


def test_random_leaves_nearly_all_where_they_were_when_records_are_added() -> None:
    some = many()
    more = [*some, *(light(f"new{i}") for i in range(10))]
    before, after = by_id(some, dealt(some, "random")), by_id(more, dealt(more, "random"))
    assert sum(before[id] != after[id] for id in before) <= 10


def test_large_components_go_where_they_fit_and_the_gap_is_told() -> None:
    some = [light(f"{i}", "question:big" if i < 60 else "") for i in range(100)]
    done = dealt(some)
    assert {at for one, at in zip(some, done.of, strict=True) if one.groups} == {"train"}
    assert Counter(done.of) == {"train": 80, "validation": 10, "test": 10}
    assert any("1 components hold more records than the smallest split (10), the largest 60" in note for note in done.notes)
    blocks = [light(f"{i}", f"question:{i // 4}") for i in range(20)]
    assert any("against its share: components are not cut" in note for note in dealt(blocks).notes)


def test_a_share_out_of_tolerance_and_a_mean_out_of_tolerance_are_found_and_what_cannot_be_told_says_why() -> None:
    some = [light(f"{i}", category="voice" if i < 50 else "psychology", quality=0.9 if i < 50 else 0.1) for i in range(100)]
    skewed = Split(tuple("test" if i < 20 else "train" for i in range(100)), {"train": 80, "validation": 0, "test": 20}, ())
    cells = {(c.split, c.name): c for c in balance(some, skewed, 0.05)}
    assert cells["test", "voice"].kept is False
    assert cells["test", "quality"].kept is False
    assert (cells["validation", "quality"].kept, cells["validation", "quality"].reason) == (None, "the split is empty")
    unscored = [i._replace(quality=None) for i in some]
    assert {c.reason for c in balance(unscored, skewed, 0.05) if c.name == "quality"} == {"no record is scored", "the split is empty"}


def dated(n: int = 100) -> list[Item]:
    return [light(f"d{i:03}", created=f"2020-{1 + i // 28:02}-{1 + i % 28:02}") for i in range(n)]


def test_temporal_puts_the_newest_into_test() -> None:
    assert dealt(dated()[::-1], "temporal").of == tuple(["test"] * 10 + ["validation"] * 10 + ["train"] * 80)


def test_what_spans_the_cut_is_in_the_earlier_split_or_its_newer_records_are_purged() -> None:
    some = dated()
    some[5], some[99] = (some[i]._replace(groups=("question:long",)) for i in (5, 99))
    whole = by_id(some, dealt(some, "temporal"))
    assert whole["d099"] == whole["d005"] == "train"
    purged = dealt(some, "temporal", spanning="purge")
    assert by_id(some, purged)["d099"] == ""
    assert Counter(purged.of)[""] == 1
    dates = {name: [i.created for i, at in zip(some, purged.of, strict=True) if at == name] for name in SHARES}
    assert max(dates["train"]) <= min(dates["validation"]) <= max(dates["validation"]) <= min(dates["test"])


def test_dates_that_cannot_part_two_splits_are_told() -> None:
    some = [i._replace(created="2020-01-01") for i in dated(30)]
    assert "validation and test begin at the same time: the dates are too coarse to part them" in dealt(some, "temporal").notes


def test_records_without_a_date_go_to_train_or_are_refused() -> None:
    some = [*dated(30), light("when", created="last spring")]
    done = dealt(some, "temporal")
    assert by_id(some, done)["when"] == "train"
    assert any(note.startswith("1 records without a date") for note in done.notes)
    with pytest.raises(UsageError, match="1 of 31 records have no date"):
        dealt(some, "temporal", undated="refuse")


@pytest.mark.parametrize("created", ["", "last spring", "2020-13-01", "0001-01-01T00:00:00+14:00"])
def test_what_is_no_date_is_none(created: str) -> None:
    assert dealing.when(created) is None


def test_dates_of_different_zones_and_precision_compare() -> None:
    order = ["2020", "2020-03", "2020-03-01T01:00:00+02:00", "2020-03-01T00:00:01Z"]
    found = [dealing.when(text) for text in order]
    assert None not in found
    assert sorted(found) == [found[0], found[2], found[1], found[3]]  # type: ignore[type-var]


UNUSABLE: list[dict[str, float]] = [
    {"train": 0.5, "test": 0.4},
    {"train": 0.5, "dev": 0.5},
    {"validation": 0.5, "test": 0.5},
    {"train": 1.5, "test": -0.5},
]


@pytest.mark.parametrize("shares", UNUSABLE)
def test_unusable_shares_are_refused(shares: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        split([BLANK], components([BLANK]), shares)


def dataset() -> list[Conversation]:
    return [
        record(f"c{i}", category="psychology" if i % 3 else "voice", groups=(f"question:{i // 2}",), quality=0.5 + i % 7 / 20,
               created=f"20{10 + i // 4}")
        for i in range(40)
    ]  # fmt: skip


def test_the_files_hold_every_line_once_as_it_was(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "all.jsonl", dataset())
    report = split_file(path, tmp_path / "out", Way(SHARES))
    written = [line for name in SHARES for line in (tmp_path / "out" / f"{name}.jsonl").read_bytes().splitlines()]
    assert sorted(written) == sorted(path.read_bytes().splitlines())
    assert report == Report.model_validate_json((tmp_path / "out" / "splits.json").read_bytes())
    assert report.certificate is not None
    assert report.certificate.passed
    assert "Leakage certificate: passed" in section(report)
    before = (tmp_path / "out" / "splits.json").read_bytes()
    split_file(path, tmp_path / "out", Way(SHARES))
    assert (tmp_path / "out" / "splits.json").read_bytes() == before
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["splits.json", "test.jsonl", "train.jsonl", "validation.jsonl"]


def test_purged_records_are_rejects_and_the_books_hold(tmp_path: Path) -> None:
    some = [c.model_copy(update={"groups": ("question:x",) if i in (0, 39) else ()}) for i, c in enumerate(dataset())]
    path = jsonl(tmp_path / "all.jsonl", some)
    report = split_file(path, tmp_path, Way(SHARES, "temporal", spanning="purge"))
    gone = [Reject.model_validate_json(line) for line in (tmp_path / "rejects.jsonl").read_text().splitlines()]
    assert [(r.id, r.row, r.record and r.record.id) for r in gone] == [("c39", 40, "c39")]
    assert (report.books.taken, report.books.kept, report.books.rejected) == (40, 39, 1)


@pytest.mark.parametrize("strategy", ["random", "stratified", "temporal"])
def test_what_the_search_finds_across_splits_is_joined(tmp_path: Path, strategy: str) -> None:
    twins = [record(f"t{i}", said=c.messages[0].content + " indeed", answer=c.messages[1].content) for i, c in enumerate(dataset())]
    report = split_file(jsonl(tmp_path / "all.jsonl", [*dataset(), *twins]), tmp_path, Way(SHARES, strategy))
    assert report.certificate is not None
    assert report.certificate.passed
    assert report.found_pairs > 0
    assert report.books.kept == 80


def test_the_command_splits_verifies_and_finds_that_a_file_was_changed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, out = jsonl(tmp_path / "all.jsonl", dataset()), tmp_path / "out"
    assert main(["split", str(path), "--dry-run"]) == 0
    assert not out.exists()
    assert main(["split", str(path), "-o", str(out), "--shares", "0.8,0.1,0.1", "--strategy", "random", "--tolerance", "0.5"]) == 0
    assert "leakage certificate: passed" in capsys.readouterr().out
    assert main(["split", "--verify", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["passed"] is True
    moved = next(conversations(out / "train.jsonl"))
    jsonl(out / "test.jsonl", [*conversations(out / "test.jsonl"), moved])
    assert main(["split", "--verify", str(out)]) == 1
    found = capsys.readouterr()
    assert f"{moved.id} in train+test" in found.out
    assert "test.jsonl is not the file" in found.err


def test_the_command_answers_1_out_of_balance_and_3_when_a_split_stays_small(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clumped = [record(f"{i}", category="voice" if i < 20 else "psychology", groups=(f"question:{i // 10}",)) for i in range(60)]
    path = jsonl(tmp_path / "all.jsonl", clumped)
    assert main(["split", str(path), "--dry-run", "--shares", "0.6,0.2,0.2", "--tolerance", "0.01"]) == 1
    assert "out of tolerance: " in capsys.readouterr().out
    glued = [record(f"{i}", groups=("speaker:x",)) for i in range(20)]
    assert main(["split", str(jsonl(path, glued)), "--dry-run"]) == 3
    assert "--release speaker" in capsys.readouterr().out


@pytest.mark.parametrize(
    "flags", [[], ["FILE"], ["FILE", "--verify", "DIR"], ["gone.jsonl", "--dry-run"], ["packed.gz", "--dry-run"], ["--verify", "DIR"]]
)
def test_wrong_flags_are_status_2(flags: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    jsonl(tmp_path / "FILE", dataset())
    jsonl(tmp_path / "packed.gz", dataset())
    (tmp_path / "DIR").mkdir()
    assert main(["split", *flags]) == 2
