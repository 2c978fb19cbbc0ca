"""Groups: who and what two records share, and what hangs together by it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from splits import items, record

from pixel_synth.errors import RecordError, UsageError
from pixel_synth.mix.groups import components, groups, joined_by, kind_of, similar
from pixel_synth.plan import Plan
from pixel_synth.records import Blueprint, Conversation, Link, Message, Provenance


def kinds(a: Conversation, b: Conversation) -> set[str]:
    return {kind_of(g) for g in {*groups(a)} & {*groups(b)}}


def planned(id: str, blueprint: Blueprint) -> Conversation:
    return record(id).model_copy(update={"blueprint": blueprint})


def test_one_plan_in_two_engines_is_one_family(plan: Plan) -> None:
    bp = plan.blueprint(0)
    assert kinds(planned("a", bp), planned("b", bp)) == {"persona", "blueprint", "slot"}


def test_a_later_attempt_is_of_the_same_slot_with_another_client(plan: Plan) -> None:
    assert kinds(planned("a", plan.blueprint(0)), planned("b", plan.blueprint(0, 1))) == {"slot"}


def test_other_slots_share_nothing(plan: Plan) -> None:
    assert kinds(planned("a", plan.blueprint(0)), planned("b", plan.blueprint(1))) == set()


def test_a_name_alone_makes_no_person_and_a_changed_facet_no_other_one(plan: Plan) -> None:
    bp = plan.blueprint(0)
    older = bp.model_copy(update={"id": "x", "slot": 99, "persona": bp.persona.model_copy(update={"age": bp.persona.age + 1})})
    calmer = bp.model_copy(
        update={"id": "x", "slot": 99, "persona": bp.persona.model_copy(update={"facets": ("a.b:low",), "defenses": ()})}
    )
    assert kinds(planned("a", bp), planned("b", older)) == set()
    assert kinds(planned("a", bp), planned("b", calmer)) == {"persona"}


def test_answers_to_one_question_share_its_opening_whatever_its_spelling() -> None:
    a, b = record("a", said="Why can't I sleep?"), record("b", said="  why can’t I SLEEP!! ".replace("’", "'"))
    assert kinds(a, b) == {"opening"}


@pytest.mark.parametrize(
    ("said", "shared"), [("hello, how are you doing today?", set()), ("I have not slept for a week and feel empty", {"opening"})]
)
def test_a_greeting_of_a_longer_talk_is_no_opening(said: str, shared: set[str]) -> None:
    def talk(id: str) -> Conversation:
        c = record(id, said=said)
        return c.model_copy(update={"messages": (*c.messages, *record(f"{id}2").messages)})

    assert kinds(talk("a"), talk("b")) == shared


def test_an_opening_without_words_is_none() -> None:
    assert groups(record("a", said="?!")) == ()


def test_one_row_of_a_source_is_one_group_and_of_another_source_another() -> None:
    a, b = record("a", row="f.csv:3"), record("b", row="f.csv:3")
    other = b.model_copy(update={"provenance": Provenance(engine="", model="", toolkit="", seed=0, source="other", row="f.csv:3")})
    assert kinds(a, b) == {"row"}
    assert kinds(a, other) == set()


def test_groups_are_each_there_once_and_those_of_the_record_come_first() -> None:
    c = record("a", groups=("speaker:x", "question:1", "speaker:x"))
    assert groups(c)[:2] == ("speaker:x", "question:1")
    assert len(set(groups(c))) == len(groups(c))


def test_what_a_client_says_after_the_system_prompt_is_the_opening() -> None:
    c = record("a", said="Can I change?")
    prompted = c.model_copy(update={"messages": (Message(role="system", content="You are a therapist."), *c.messages)})
    assert kinds(c, prompted) == {"opening"}


def test_links_of_the_same_thing_join_and_links_to_compare_do_not() -> None:
    same, alike = Link(id="b", kind="same_question"), Link(id="c", kind="condition")
    found = components(items([record("a", links=(same, alike)), record("b"), record("c")]))
    assert found.of == (0, 0, 1)


def test_what_hangs_together_over_several_kinds_is_one_component() -> None:
    four = [
        record("a", groups=("speaker:x",)),
        record("b", groups=("speaker:x", "question:1")),
        record("c", groups=("question:1",)),
        record("d"),
    ]
    found = components(items(four), [("d", "c"), ("d", "gone")])
    assert found.of == (0, 0, 0, 0)
    assert (found.kinds, found.pairs, found.unknown) == ({"question": 1, "speaker": 1}, 1, 1)
    assert joined_by(items(four), range(4)) == {"question": 1, "speaker": 1}


def test_speakers_that_would_join_everything_are_let_go_and_the_others_join() -> None:
    many = [record(f"{i}", groups=("speaker:busy",) if i < 50 else (f"speaker:{i // 2}",)) for i in range(100)]
    kept, released = components(items(many)), components(items(many), release=["speaker"])
    assert max(map(len, kept.members)) == 50
    assert released.released == {"speaker:busy"}
    assert max(map(len, released.members)) == 2
    assert [(g.group, g.records, g.released) for g in released.giants] == [("speaker:busy", 50, True)]


def test_a_chain_of_small_speakers_is_cut_where_it_grows_too_long() -> None:
    chain = [record(f"{i:03}", groups=(f"speaker:{i:03}", f"speaker:{i + 1:03}")) for i in range(100)]
    assert len(components(items(chain)).members) == 1
    assert max(map(len, components(items(chain), release=["speaker"], limit=0.2).members)) <= 20


@pytest.mark.parametrize("kind", ["cluster", "opening", "persona"])
def test_only_speakers_can_be_let_go(kind: str) -> None:
    with pytest.raises(UsageError, match="never let go"):
        components(items([record("a")]), release=[kind])


def test_two_records_of_one_id_are_refused_by_name() -> None:
    with pytest.raises(RecordError, match="two records have the id a"):
        components(items([record("a"), record("a")]))


@pytest.mark.parametrize("limit", [0.0, 1.1])
def test_a_limit_is_a_share(limit: float) -> None:
    with pytest.raises(UsageError, match="giant"):
        components(items([record("a")]), limit=limit)


EDGES = st.lists(st.tuples(st.integers(0, 19), st.integers(0, 19)), max_size=30)


@given(EDGES)
def test_components_are_those_of_a_search_through_the_pairs(edges: list[tuple[int, int]]) -> None:
    some = items(record(f"{i}", said=f"word{i}", answer="x") for i in range(20))
    found = components(some, [(str(a), str(b)) for a, b in edges])
    for start in range(20):
        reached, todo = {start}, [start]
        while todo:
            at = todo.pop()
            fresh = {b for a, b in edges if a == at} | {a for a, b in edges if b == at}
            todo += fresh - reached
            reached |= fresh
        assert {i for i in range(20) if found.of[i] == found.of[start]} == reached


def test_pairs_are_read_in_every_form_that_tools_write(tmp_path: Path) -> None:
    path = tmp_path / "similar.jsonl"
    path.write_text('{"a": "1", "b": "2", "similarity": 0.6}\n\n{"members": ["3", "4", "5"]}\n{"members": [{"id": "6"}, {"id": "7"}]}\n')
    assert list(similar(path)) == [("1", "2"), ("3", "4"), ("3", "5"), ("6", "7")]


@pytest.mark.parametrize("line", ["no json", "[1, 2]", '{"a": "1"}', '{"members": [1, 2]}', '{"members": "12"}', "{}"])
def test_a_line_that_is_no_pair_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "similar.jsonl"
    path.write_text('{"a": "1", "b": "2"}\n' + line + "\n")
    with pytest.raises(RecordError, match=r"similar\.jsonl:2"):
        list(similar(path))


def test_a_missing_file_of_pairs_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="no file"):
        list(similar(tmp_path / "gone.jsonl"))
