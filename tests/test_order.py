"""Order: complexity rises, ties and shuffles are drawn, nothing is lost."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixel_synth.cli import main
from pixel_synth.curate.order import Strategy, order, rise
from pixel_synth.records import Conversation, Message, Provenance, Score


class One(NamedTuple):
    id: str
    complexity: float | None


ITEMS = st.dictionaries(st.text("abc", max_size=4), st.none() | st.floats(0, 1), max_size=30).map(lambda d: [One(*i) for i in d.items()])


@given(ITEMS, st.sampled_from(["shuffled", "curriculum"]), st.integers(0, 9))
def test_order_is_a_permutation_that_does_not_depend_on_how_items_came(items: list[One], by: Strategy, seed: int) -> None:
    found = order(items, by, seed)
    assert sorted(i.id for i in found) == sorted(i.id for i in items)
    assert found == order(items[::-1], by, seed)


@given(ITEMS)
def test_a_curriculum_never_falls_and_ends_with_the_unscored(items: list[One]) -> None:
    values = [i.complexity for i in order(items, "curriculum", 1)]
    scored = [v for v in values if v is not None]
    assert scored == sorted(scored)
    assert values[: len(scored)] == scored


def test_ties_and_shuffles_are_drawn_by_the_seed() -> None:
    alike = [One(str(i), 0.5) for i in range(50)]
    for by in ("shuffled", "curriculum"):
        first, second = (order(alike, by, seed) for seed in (1, 2))
        assert first != second
        assert first != alike


def test_the_rise_is_proven_or_its_absence_has_a_reason() -> None:
    climbing = rise([One(str(i), i / 100) for i in range(100)] + [One("x", None)])
    assert (climbing.spearman, climbing.scored, climbing.unscored) == (1.0, 100, 1)
    assert climbing.tenths[0] == pytest.approx(0.045)
    assert rise([One(str(i), 0.5) for i in range(20)]).reason == "all have the same complexity"
    assert rise([One("a", 0.5)]).spearman is None


def test_the_command_orders_lines_unchanged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def line(i: int) -> str:
        scores = () if i == 3 else (Score(metric="complexity", value=(i * 7 % 12) / 12),)
        talk = (Message(role="user", content="Wie spät? é"), Message(role="assistant", content="Drei."))
        origin = Provenance(engine="", model="", toolkit="", seed=0)
        return Conversation(id=str(i), category="psychology", messages=talk, scores=scores, provenance=origin).line()

    path, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    path.write_text("\n".join(line(i) for i in range(12)), encoding="utf-8")
    assert main(["order", str(path), "--dry-run"]) == 0
    assert not out.exists()
    assert main(["order", str(path), "-o", str(out), "--by", "curriculum"]) == 0
    written = out.read_text(encoding="utf-8").splitlines()
    assert sorted(written) == sorted(path.read_text(encoding="utf-8").splitlines())
    assert written[-1] == line(3)
    assert "Spearman of position and complexity: 1.000" in capsys.readouterr().out
    assert main(["order", str(path)]) == 2
    path.write_text("nothing\n", encoding="utf-8")
    assert main(["order", str(path), "-o", str(out)]) == 1
