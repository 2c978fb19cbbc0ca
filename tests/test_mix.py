"""Mixtures as users make them: reasons, shortfalls, cells, files and exit statuses."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import pytest

from pixel_synth.cli import main
from pixel_synth.errors import RecordError, SourceError, UsageError
from pixel_synth.mix.cells import cells
from pixel_synth.mix.choosing import mix
from pixel_synth.mix.even import even_traits
from pixel_synth.mix.item import Item, item
from pixel_synth.recipe import Recipe, Want
from pixel_synth.records import Category, Conversation, Kind, Labels, Message, Provenance, Score, Verdict

RATIOS: dict[Category, float] = {"psychology": 0.30, "voice": 0.25, "mental_health": 0.20, "reasoning": 0.15, "personality": 0.10}
OTHER_THAN_VOICE: dict[Category, float] = {"psychology": 0.5, "mental_health": 0.3, "reasoning": 0.2}
LEVELS = ("low", "mid", "high")


def record(
    i: int,
    category: Category = "psychology",
    quality: float | None = 0.7,
    accepted: bool = True,
    kind: Kind = "session",
    modality: str = "",
    level: str = "",
) -> Conversation:
    score = Score(metric="overall", value=quality, reason="" if quality is not None else "nothing to go by")
    turns = (
        Message(role="user", content=f"I have slept badly for {i} nights"),
        Message(role="assistant", content=f"What kept you up {i}?"),
    )
    return Conversation(
        id=f"{category}-{i}",
        category=category,
        messages=turns if kind != "client_lines" else (turns[0], turns[0]),
        labels=Labels(kind=kind, modality=modality, traits=(f"neuroticism:{level}",) if level else ()),
        scores=(score,),
        verdict=Verdict(accepted=accepted, reasons=() if accepted else ("safety: x violated",)),
        provenance=Provenance(engine="", model="", toolkit="", seed=0, source="set", license="MIT"),
    )


def items(*made: Conversation) -> list[Item]:
    return [item(c) for c in made]


def plain(total: int, **more: object) -> Recipe:
    return Recipe.model_validate({"total": total, "mixing": "proportional"} | more)


def write(path: Path, made: list[Conversation]) -> Path:
    path.write_text("".join(c.line() + "\n" for c in made), encoding="utf-8")
    return path


def ids(path: Path) -> list[str]:
    return [json.loads(line)["id"] for line in path.read_text(encoding="utf-8").splitlines()]


def test_every_record_that_was_left_has_its_reason_and_the_books_add_up() -> None:
    given = items(
        *(record(i) for i in range(10)),
        record(20, quality=0.41),
        record(21, quality=None),
        record(22, accepted=False),
        record(23, kind="client_lines"),
        record(24, "auxiliary"),
        record(25, "personality"),
    )
    made = mix(given, plain(6, least_quality=0.6), {"psychology": 1.0})
    why = {left.id: reason for left, reason in made.left}
    assert why["psychology-20"] == "below the floor: quality 0.41 < 0.6"
    assert why["psychology-21"] == "unscored: no overall score"
    assert why["psychology-22"] == "rejected by the gate"
    assert why["psychology-23"] == "client lines: outside the ratios"
    assert why["auxiliary-24"] == "auxiliary: outside the ratios"
    assert why["personality-25"] == "no ratio: category personality"
    assert made.books.kept == 6
    assert made.books.taken == len(given) == 16
    assert made.books.reasons["not needed"] == 4
    assert made.quotas[0].available == 10


def test_a_floor_counts_on_the_human_scale_where_there_is_one() -> None:
    c = record(1, quality=0.9)
    scaled = c.model_copy(update={"scores": (Score(metric="overall", value=0.9, calibrated=0.3),)})
    assert not mix(items(scaled), plain(1, least_quality=0.6), {"psychology": 1.0}).chosen


def test_a_shortfall_is_reported_and_filled_with_nothing() -> None:
    given = items(*(record(i, c, 0.9) for c, n in (("psychology", 100), ("mental_health", 5)) for i in range(n)))
    given += items(*(record(i, "mental_health", 0.1) for i in range(50, 90)))
    made = mix(given, plain(50, least_quality=0.5), RATIOS)
    assert [(q.wanted, q.chosen, q.shortfall) for q in made.quotas] == [(15, 15, 0), (13, 0, 13), (10, 5, 5), (7, 0, 7), (5, 0, 5)]
    assert len(made.chosen) == 20
    assert made.short


def test_shrinking_keeps_the_ratios_exact() -> None:
    given = items(*(record(i, c) for c, n in (("psychology", 100), ("mental_health", 9), ("reasoning", 30)) for i in range(n)))
    made = mix(given, plain(100), OTHER_THAN_VOICE, when_short="shrink")
    assert [q.chosen for q in made.quotas] == [16, 9, 6]
    assert made.size == 31
    assert not made.short
    assert mix(given, plain(100), RATIOS, when_short="shrink").short


def test_what_is_not_known_is_a_cell_of_its_own() -> None:
    given = items(*(record(i, modality="cbt" if i < 10 else "", level="low" if i < 5 else "") for i in range(40)))
    wanted = (Want(dimension="modality", value="cbt", share=0.5), Want(dimension="traits", value="neuroticism:high", share=0.1))
    made = mix(given, plain(20, wanted=wanted), {"psychology": 1.0})
    found = {(c.dimension, c.value): c for c in made.cells}
    assert found["modality", "cbt"].chosen == found["modality", "cbt"].wanted == 10
    assert found["modality", "unknown"].chosen == 10
    assert found["traits.neuroticism", "high"].shortfall == 2
    assert found["traits.neuroticism", "high"].available == 0
    assert ("traits.neuroticism", "unknown") in found
    assert made.short
    assert len(cells(given[0])) == 8


def test_traits_can_be_evened_inside_the_ratios() -> None:
    levels = ["low"] * 60 + ["mid"] * 30 + ["high"] * 14
    given = items(*(record(i, "psychology", level=level) for i, level in enumerate(levels)), *(record(i, "reasoning") for i in range(40)))
    made = mix(given, plain(80), {"psychology": 0.5, "reasoning": 0.5}, even=True)
    found = {c.value: c.chosen for c in made.cells if c.dimension == "traits.neuroticism"}
    assert found["unknown"] == 40
    assert sorted(found[level] for level in LEVELS) == [13, 13, 14]


def test_a_strategy_that_compares_wording_says_that_it_needs_the_text() -> None:
    with pytest.raises(UsageError, match="text"):
        mix(items(record(1)), Recipe(total=1, mixing="diversity"), RATIOS)


@pytest.mark.parametrize("strategy", ["proportional", "quality", "diversity", "iterative", "hybrid"])
def test_an_empty_input_is_a_shortfall_and_no_crash(strategy: str) -> None:
    wanted = (Want(dimension="modality", value="cbt", share=0.5),)
    made = mix([], Recipe.model_validate({"total": 10, "mixing": strategy, "wanted": wanted}), RATIOS, lambda _: "", even=True)
    assert made.short
    assert not made.chosen
    assert made.books.taken == 0


def test_the_same_id_twice_is_an_error_that_names_it() -> None:
    with pytest.raises(RecordError, match="psychology-1"):
        mix(items(record(1), record(1)), plain(1), RATIOS)


def test_a_licence_that_forbids_the_use_refuses_the_mixture_and_names_the_set() -> None:
    def refuse(pairs: Iterable[tuple[str, str]]) -> list[str]:
        return [f"{name}: {licence} does not allow it" for name, licence in sorted(pairs) if "NC" in licence]

    good, bad = items(record(1)), [item(record(i))._replace(source="theirs", license="CC-BY-NC-4.0") for i in (2, 3)]
    assert mix(good, plain(1), {"psychology": 1.0}, refuse=refuse).chosen
    with pytest.raises(SourceError, match=r"theirs: CC-BY-NC-4\.0"):
        mix([*good, *bad], plain(1), {"psychology": 1.0}, refuse=refuse)
    # What does not get into any file does not matter.
    rejected = [one._replace(accepted=False) for one in bad]
    assert mix([*good, *rejected], plain(1), {"psychology": 1.0}, refuse=refuse).chosen


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    first = [record(i, modality="cbt" if i % 4 else "act") for i in range(60)]
    second = [record(i, "mental_health") for i in range(20)] + [record(i, "auxiliary") for i in range(3)]
    second += [record(99, kind="client_lines"), record(98, quality=0.1)]
    return write(tmp_path / "a.jsonl", first), write(tmp_path / "b.jsonl", second)


def flags(files: tuple[Path, Path], out: Path, *more: str) -> list[str]:
    ratios = ["--ratio", "psychology=0.75", "--ratio", "mental_health=0.25"]
    return ["mix", *map(str, files), "-o", str(out), *ratios, *more]


def test_the_command_writes_every_record_to_one_place(files: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert main(flags(files, out, "--total", "40", "--want", "modality=cbt:0.5", "--least-quality", "0.5", "--check")) == 0
    assert len(ids(out / "auxiliary.jsonl")) == 3
    assert ids(out / "client_lines.jsonl") == ["psychology-99"]
    left = [json.loads(line) for line in (out / "left.jsonl").read_text(encoding="utf-8").splitlines()]
    everything = [*ids(out / "mix.jsonl"), *ids(out / "auxiliary.jsonl"), *ids(out / "client_lines.jsonl"), *(r["id"] for r in left)]
    assert sorted(everything) == sorted([*ids(files[0]), *ids(files[1])])
    assert {r["file"] for r in left if r["reason"].startswith("below")} == {str(files[1])}
    lines = {*files[0].read_text(encoding="utf-8").splitlines(), *files[1].read_text(encoding="utf-8").splitlines()}
    assert {*(out / "mix.jsonl").read_text(encoding="utf-8").splitlines()} < lines
    told = json.loads((out / "mix.json").read_text(encoding="utf-8"))
    assert [(c["category"], c["chosen"], c["gap"]) for c in told["categories"]] == [("psychology", 30, 0), ("mental_health", 10, 0)]
    assert next(c for c in told["cells"] if c["value"] == "cbt")["chosen"] >= 20 - 0.02 * 40
    assert "85 records = 40 chosen + 45 left" in capsys.readouterr().out


def test_the_same_command_gives_the_same_bytes(files: tuple[Path, Path], tmp_path: Path) -> None:
    for out in ("one", "two"):
        given = files if out == "one" else files[::-1]
        assert main(flags(given, tmp_path / out, "--total", "30")) == 0
    for name in ("mix.jsonl", "auxiliary.jsonl", "client_lines.jsonl", "left.jsonl", "mix.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_the_commercial_profile_refuses_a_licence_that_forbids_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    theirs = record(1)
    theirs = theirs.model_copy(update={"provenance": theirs.provenance.model_copy(update={"source": "theirs", "license": "CC-BY-NC-4.0"})})
    path, out = write(tmp_path / "in.jsonl", [theirs]), tmp_path / "out"
    given = ["mix", str(path), "-o", str(out), "--total", "1", "--ratio", "psychology=1"]
    assert main([*given, "--profile", "commercial"]) == 1
    assert "theirs: CC-BY-NC-4.0" in capsys.readouterr().err
    assert not out.exists()
    assert main(given) == 0


def test_a_dry_run_writes_nothing(files: tuple[Path, Path], tmp_path: Path) -> None:
    assert main(flags(files, tmp_path / "out", "--total", "40", "--dry-run")) == 0
    assert not (tmp_path / "out").exists()


def test_exit_statuses_tell_shortfall_gap_and_wrong_flags(
    files: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main(flags(files, out, "--total", "100", "--dry-run")) == 3
    assert "short of records: psychology 14, mental_health 5" in capsys.readouterr().err
    assert main(flags(files, out, "--total", "100", "--when-short", "shrink", "--dry-run")) == 0
    assert "shrunk from 100 to 81" in capsys.readouterr().out
    assert main(["mix", str(files[0]), "-o", str(out), "--total", "40", "--dry-run", "--check"]) == 1
    for wrong in (["--want", "modality=cbt"], ["--want", "traits=calm:high:0.2"], ["--want", "kind=chat:0.2"], ["--ratio", "voices=0.2"]):
        assert main(flags(files, out, *wrong)) == 2
    assert main(["mix", str(files[0]), str(files[0]), "-o", str(out)]) == 1
    assert not out.exists()


def test_balance_evens_the_bins_and_loses_as_few_as_can_be(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    levels = ["low"] * 30 + ["mid"] * 50 + ["high"] * 10 + [""] * 7
    given = [record(i, quality=0.5 + i / 1000, level=level) for i, level in enumerate(levels)]
    path, out = write(tmp_path / "in.jsonl", given), tmp_path / "even.jsonl"
    assert main(["balance", str(path), "--traits", "-o", str(out), "--tolerance", "0"]) == 0
    kept = ids(out)
    # Ten of each level, the best ones; what has no level stays.
    assert kept == [c.id for i, c in enumerate(given) if 20 <= i < 30 or 70 <= i < 90 or i >= 90]
    assert len(ids(tmp_path / "even.left.jsonl")) == 60
    assert "97 records = 37 kept + 60 left" in capsys.readouterr().out


def test_balance_says_when_levels_that_go_together_cannot_be_evened(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "in.jsonl", [record(i, level="low" if i else "high") for i in range(9)])
    assert main(["balance", str(path), "--traits", "-o", str(tmp_path / "even.jsonl")]) == 3
    assert "--tolerance 0.05 keeps 0" in capsys.readouterr().err
    assert not (tmp_path / "even.jsonl").exists()


def test_a_wider_tolerance_keeps_more() -> None:
    given = items(*(record(i, level=LEVELS[min(2, i // 20)]) for i in range(70)))
    kept = [len(even_traits(given, tolerance, 7).kept) for tolerance in (0.0, 0.05, 0.1)]
    assert kept[0] == 60
    assert kept == sorted(kept)
    assert kept[2] == 70
