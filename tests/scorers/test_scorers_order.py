"""The order test: a talk against permutations of its own turns."""

from __future__ import annotations

from operator import mul

import pytest
from conftest import shuffled, talk, with_messages

from pixel_synth.draw import Draw
from pixel_synth.records import Conversation, Message
from pixel_synth.scorers.coherence import score
from pixel_synth.scorers.order import LEAST, PERMUTATIONS, WEIGHTS, Sums, alternation, deviations, names, orders
from pixel_synth.scorers.talk import read


def part(c: Conversation, name: str) -> float | None:
    return next(p.value for p in score(c).parts if p.name == name)


def runs(c: Conversation) -> Conversation:
    """All of the client's turns before all of the therapist's."""
    return with_messages(c, sorted(c.messages, key=lambda m: m.role, reverse=True))


def test_each_feature_has_one_weight() -> None:
    assert tuple(WEIGHTS) == names()


def test_totals_are_the_weighted_features(attuned: Conversation) -> None:
    sums = Sums(read(attuned))
    for order in orders(read(attuned))[:10]:
        assert sums.total(order) == pytest.approx(sum(map(mul, WEIGHTS.values(), sums.features(order))))


def test_orders_are_permutations_in_which_each_role_keeps_its_slots(attuned: Conversation) -> None:
    turns = read(attuned).turns
    found = orders(read(attuned))
    assert len(found) == PERMUTATIONS
    assert len({tuple(o) for o in found}) > 90
    for order in found:
        assert sorted(order) == list(range(len(turns)))
        assert [turns[i].who for i in order] == [t.who for t in turns]


def test_few_orders_are_all_looked_at_and_long_talks_at_fewer(attuned: Conversation) -> None:
    assert sorted(orders(read(with_messages(attuned, list(attuned.messages[:4]))))) == [
        [0, 1, 2, 3], [0, 3, 2, 1], [2, 1, 0, 3], [2, 3, 0, 1],
    ]  # fmt: skip
    assert len(orders(read(with_messages(attuned, list(attuned.messages) * 20)))) == LEAST


def test_real_orders_stand_out_and_shuffled_ones_lie_among_the_permutations(attuned: Conversation) -> None:
    own = deviations(read(attuned))
    others = [deviations(read(shuffled(attuned, seed))) or 0.0 for seed in range(30)]
    assert own is not None
    assert own > max(others)
    assert abs(sum(others) / len(others)) < 0.8


def test_orders_that_are_worth_the_same_do_not_stand_out() -> None:
    assert deviations(read(talk(*["Mm."] * 8))) == 0.0


def test_alternation_is_full_for_turns_and_none_for_runs(attuned: Conversation) -> None:
    assert alternation(read(attuned)) == 1.0
    assert alternation(read(with_messages(attuned, list(attuned.messages[:4])))) == 1.0
    assert alternation(read(runs(attuned))) == 0.0
    assert alternation(read(with_messages(attuned, list(attuned.messages[:3])))) is None


def test_a_speaker_who_goes_on_now_and_then_still_takes_turns(attuned: Conversation) -> None:
    first, *rest = attuned.messages
    assert (alternation(read(with_messages(attuned, [first, first, *rest]))) or 0.0) > 0.9


def test_shuffling_all_turns_is_seen_without_the_alternation_of_speakers(attuned: Conversation) -> None:
    found = []
    for seed in range(10):
        mixed = Draw(attuned.id, seed).shuffled(attuned.messages)
        texts = [Message(role=own.role, content=m.content) for own, m in zip(attuned.messages, mixed, strict=True)]
        found.append(part(with_messages(attuned, texts), "order") or 0.0)
        assert part(with_messages(attuned, texts), "alternation") == 1.0
        assert (score(with_messages(attuned, mixed)).value or 0.0) < 0.9 < (score(attuned).value or 0.0)
    assert sum(found) / len(found) < 0.4
    assert (part(attuned, "order") or 0.0) > 0.9


def test_a_question_and_its_answer_are_judged_by_topic_alone() -> None:
    pair = score(talk("I can't sleep since my sister died in March.", "How have you been getting through the nights?"))
    assert pair.value is not None
    assert "topic only" in pair.reason


def test_one_speaker_is_scored_and_one_turn_is_not() -> None:
    said = ("I lost my job last month.", "It still hurts a lot, that job was my life.")
    turns = [Message(role="user", content=text) for text in said]
    assert score(with_messages(talk("-", "-"), turns)).value is not None
    alone = score(with_messages(talk("-", "-"), [Message(role="system", content="Be kind."), Message(role="user", content=" ".join(said))]))
    assert alone.value is None
    assert "two turns" in alone.reason
