import pytest
from conftest import replaced, talk, with_therapist

from pixel_synth.records import Conversation
from pixel_synth.scorers import SCORERS


def quality(c: Conversation) -> float:
    got = SCORERS["language_quality"](c, None).value
    assert got is not None
    return got


@pytest.mark.parametrize(
    ("old", "new", "label"),
    [
        ("My wife died", "My {person} died", "slot"),
        ("My wife died", "My [wife|husband] died", "slot"),
        ("My wife died", "My wife wife died", "doubled"),
        ("Yes. That's it", "yes. That's it", "start"),
        ("I nod", "I ate a apple", "article"),
        ("It's stupid", "Itâ€™s stupid", "mojibake"),
        ("angry I had", "angry , I had", "spacing"),
    ],
)
def test_garble_is_flagged_where_it_stands(by_id: dict[str, Conversation], old: str, new: str, label: str) -> None:
    score = SCORERS["language_quality"](replaced(by_id["grief"], old, new), None)
    assert [e.label for e in score.evidence] == [label]
    assert score.value is not None
    assert score.value <= quality(by_id["grief"])


def test_a_slot_leftover_costs_more_than_a_slip(by_id: dict[str, Conversation]) -> None:
    leftover = quality(replaced(by_id["grief"], "My wife died", "My {person} died"))
    slip = quality(replaced(by_id["grief"], "My wife died", "My wife wife died"))
    assert leftover < slip <= quality(by_id["grief"])


def test_clean_text_has_no_finds(attuned: Conversation) -> None:
    assert not [e for e in SCORERS["language_quality"](attuned, None).evidence if e.label != "repetition"]


def test_the_same_turn_over_and_over_is_repetition(attuned: Conversation) -> None:
    same = with_therapist(attuned, ["I hear what you say about all of this. What do you think would help you with it?"])
    assert quality(same) < 0.8


def test_a_cut_off_message_is_incomplete(by_id: dict[str, Conversation]) -> None:
    messages = list(by_id["grief"].messages)
    messages[-1] = messages[-1].model_copy(update={"content": messages[-1].content[:80]})
    score = SCORERS["language_quality"](by_id["grief"].model_copy(update={"messages": tuple(messages)}), None)
    assert {p.name: p.value for p in score.parts}["complete"] < 1
    assert score.evidence[-1].label == "complete"


def test_academic_prose_is_less_readable_than_talk() -> None:
    prose = (
        "Considering the multifactorial aetiology of persistent affective dysregulation, comprehensive interdisciplinary "
        "evaluation appears indispensable."
    )
    assert quality(talk("I can't sleep and I don't know why, it has been weeks now.", prose)) < 0.8
