"""One category for every record, with the rule that decided."""

from __future__ import annotations

from pathlib import Path

import pytest

from pixel_synth.cli import main
from pixel_synth.curate.categorise import SURE, categorise
from pixel_synth.jsonl import conversations
from pixel_synth.records import Category, Conversation, Labels, Message, Provenance
from pixel_synth.scorers import reference


def record(*said: str, source: str = "letters", system: str = "", **more: object) -> Conversation:
    roles = ("user", "assistant")
    messages = [Message(role=roles[i % 2], content=text) for i, text in enumerate(said)]  # type: ignore[arg-type]
    if system:
        messages.insert(0, Message(role="system", content=system))
    origin = Provenance(engine="human", model="", toolkit="", seed=0, source=source)
    return Conversation(id="a", category="auxiliary", messages=tuple(messages), provenance=origin, **more)  # type: ignore[arg-type]


SAD = ("I feel depressed and anxious, how can I cope?", "That sounds hard. When did the depression begin?")
SUM = ("What is 12 * 7? Calculate it and then solve for x in the equation x = 12 * 7.", "12 * 7 = 84, so x = 84.")


@pytest.mark.parametrize(
    ("talk", "category", "sure"),
    [
        (record(*SAD), "mental_health", True),
        (record(*SUM), "auxiliary", True),
        (record("What is the capital of France?", "Paris."), "auxiliary", True),
        (record(*SAD, thought="The client names low mood and worry."), "reasoning", True),
        (record(*SUM, thought="12 times 7 is 84"), "auxiliary", True),
        (record(*SAD, dispreferred=(Message(role="assistant", content="Cheer up."),)), "auxiliary", True),
        (record(*SAD, source="generated"), "psychology", True),
        (record("Who goes there?", "A knight.", system="You are playing the role of a knight."), "personality", True),
        (record("Who goes there?", "A knight.", labels=Labels(kind="role_play")), "personality", True),
        (record(*SAD, source="voice-interviews"), "voice", True),
        (record("Hi", "Hello"), "auxiliary", False),
    ],
)
def test_words_shape_and_origin_decide(talk: Conversation, category: Category, sure: bool) -> None:
    found = categorise(talk)
    assert (found.category, found.confidence >= SURE) == (category, sure), found


def test_a_known_source_comes_before_words() -> None:
    assert categorise(record("Who goes there?", "A knight."), {"letters": "personality"}).rule == "source"
    assert categorise(record(*SUM), {"letters": "reasoning"}).category == "reasoning"


def test_sums_in_a_mental_health_source_are_put_outside() -> None:
    assert categorise(record(*SUM), {"letters": "mental_health"}).category == "auxiliary"


def test_a_mental_health_record_with_few_words_of_it_stays_and_is_listed() -> None:
    talk = record("She holds her cup with the left hand now, and the teacher says that she cannot colour in.", "Ask the school about it.")
    found = categorise(talk, {"letters": "mental_health"})
    assert (found.category, found.confidence < SURE) == ("mental_health", True)


def test_the_present_category_plays_no_part() -> None:
    for category in ("voice", "personality", "mental_health"):
        talk = record(*SAD).model_copy(update={"category": category})
        assert categorise(talk).category == "mental_health"


def test_real_letters_are_mental_health() -> None:
    letters = reference()
    assert sum(categorise(c).category == "mental_health" for c in letters) >= 0.9 * len(letters)


def test_the_command_prints_rules_and_unsure_ones(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    path.write_text("".join(c.line() + "\n" for c in (record(*SAD), record("Hi", "Hello"))), encoding="utf-8")
    assert main(["categorise", str(path), "-o", str(out)]) == 0
    shown = capsys.readouterr().out
    assert "question about mental health" in shown
    assert "1 below a confidence of 0.7" in shown
    assert [c.category for c in conversations(out)] == ["mental_health", "auxiliary"]
    assert main(["categorise", str(path), "--source", "letters=poetry"]) == 2
