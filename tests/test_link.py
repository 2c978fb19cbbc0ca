"""Links: both ways, bounded, resolved, and near what a comparison of everything with everything finds."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from pixel_synth.cli import main
from pixel_synth.curate.link import EACH, MOST, link, prune
from pixel_synth.curate.neighbours import Texts, nearest
from pixel_synth.draw import Draw
from pixel_synth.errors import RecordError
from pixel_synth.jsonl import conversations
from pixel_synth.records import Conversation, Labels, Link, Message, Provenance

WORDS = "river garden letter window mother kitchen winter morning doctor station music bread teacher silence promise island".split()


def record(
    id: str, text: str, *, topic: str = "", source: str = "letters", question: str = "", links: tuple[Link, ...] = ()
) -> Conversation:
    return Conversation(
        id=id, category="mental_health", messages=(Message(role="user", content=text), Message(role="assistant", content="I see.")),
        labels=Labels(topic=topic), provenance=Provenance(engine="", model="", toolkit="", seed=0, source=source),
        groups=(f"question:{question}",) if question else (), links=links,
    )  # fmt: skip


def some(n: int) -> list[Conversation]:
    draw = Draw("links")
    return [
        record(
            f"r{i:03}", " ".join(draw.pick(WORDS) for _ in range(9)), topic=draw.pick(("depression", "major_depressive_disorder", "grief")),
            source=draw.pick(("letters", "generated")), question=str(i // 6) if i % 3 == 0 else "",
        )
        for i in range(n)
    ]  # fmt: skip


def linked(tmp_path: Path, records: list[Conversation], name: str = "a") -> dict[str, Conversation]:
    path, out = tmp_path / f"{name}.jsonl", tmp_path / f"{name}-out.jsonl"
    path.write_text("".join(r.line() + "\n" for r in records), encoding="utf-8")
    link([path], out)
    return {c.id: c for c in conversations(out)}


def test_links_go_both_ways_resolve_and_are_bounded(tmp_path: Path) -> None:
    found = linked(tmp_path, some(120))
    kinds = Counter(one.kind for c in found.values() for one in c.links)
    assert {"same_question", "compare", "condition", "similar"} <= set(kinds)
    for c in found.values():
        assert len(c.links) <= MOST
        assert all(n <= EACH for n in Counter(one.kind for one in c.links).values())
        assert len({one.id for one in c.links} - {c.id}) == len(c.links)
        for one in c.links:
            assert any(back == one.model_copy(update={"id": c.id}) for back in found[one.id].links)


def test_linking_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    once = linked(tmp_path, some(60), "a")
    again = linked(tmp_path, list(once.values()), "b")
    assert once == again


def test_a_generated_and_a_real_one_of_a_theme_are_put_beside_each_other(tmp_path: Path) -> None:
    text = "the garden behind my window is silent since winter"
    found = linked(tmp_path, [
        record("g", text, topic="major_depressive_disorder", source="generated"), record("l", f"{text} came", topic="depression"),
        *(record(f"x{i}", " ".join(WORDS[i : i + 5])) for i in range(8)),
    ])  # fmt: skip
    (one,) = (one for one in found["g"].links if one.kind == "compare")
    assert one.id == "l"
    assert one.similarity is not None
    assert 0.5 < one.similarity <= 1.0


def test_a_preference_is_linked_to_the_same_words_elsewhere(tmp_path: Path) -> None:
    pair = record("p", "Why does he leave?").model_copy(update={"dispreferred": (Message(role="assistant", content="No."),)})
    found = linked(tmp_path, [pair, record("q", "why does he leave"), record("r", "Something else entirely")])
    assert [(one.id, one.kind) for one in found["q"].links] == [("p", "preference")]


def test_links_of_others_stay_where_they_resolve(tmp_path: Path) -> None:
    own = (Link(id="b", kind="cited"), Link(id="gone", kind="cited"))
    found = linked(tmp_path, [record("a", "one river", links=own), record("b", "two gardens")])
    assert found["a"].links == own[:1]


def test_prune_keeps_what_leads_to_the_final_set() -> None:
    links = (Link(id="a", kind="similar"), Link(id="b", kind="similar"))
    assert prune(links, {"b"}) == links[1:]


def test_an_id_that_occurs_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="id a occurs more than once"):
        linked(tmp_path, [record("a", "x"), record("a", "y")])


def test_neighbours_are_those_of_comparing_everything() -> None:
    draw, texts = Draw("near"), Texts()
    for _ in range(150):
        texts.add(" ".join(f"{draw.pick(WORDS)}{draw.pick(WORDS)}" for _ in range(12)))
    vectors = texts.vectors()
    whole = (vectors @ vectors.T).toarray()
    np.fill_diagonal(whole, 0)
    best = np.zeros(150)
    for n in nearest(vectors, range(150), 1, range(150)):
        assert n.similarity == pytest.approx(whole[n.a, n.b], abs=1e-3)
        best[n.a], best[n.b] = max(best[n.a], n.similarity), max(best[n.b], n.similarity)
    assert np.mean(best >= whole.max(1) - 1e-3) >= 0.95


def test_same_sides_are_no_neighbours() -> None:
    texts = Texts()
    for text in ("river garden", "river garden", "river window", ""):
        texts.add(text)
    pairs = {(n.a, n.b) for n in nearest(texts.vectors(), range(4), 3, (0, 0, 1, 2))}
    assert pairs == {(0, 2), (1, 2)}


def test_the_command_joins_files_and_counts_links(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    records = some(20)
    for name, part in (("a", records[:10]), ("b", records[10:])):
        (tmp_path / f"{name}.jsonl").write_text("".join(r.line() + "\n" for r in part), encoding="utf-8")
    out = tmp_path / "out.jsonl"
    files = [str(tmp_path / "a.jsonl"), str(tmp_path / "b.jsonl")]
    assert main(["link", *files, "-o", str(out)]) == 0
    assert "of 20 records have links" in capsys.readouterr().out
    assert [c.id for c in conversations(out)] == [r.id for r in records]
    assert main(["link", *files, "-o", files[0]]) == 2
    assert main(["link", str(tmp_path / "none.jsonl"), "-o", str(out)]) == 1
