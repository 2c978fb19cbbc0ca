import pytest
from conftest import replaced

from pixel_synth.records import Conversation
from pixel_synth.scorers import SCORERS


@pytest.mark.parametrize(
    ("new", "fact"),
    [
        ("I'm 27 years old, and", "age"),
        ("I'm a father, and", "gender"),
        ("I work as a nurse, and", "occupation"),
        ("I'm still single, my husband says,", "partner"),
        ("I don't have any children, my daughter knows that, and", "children"),
        ("My name is Laura, and", "name"),
    ],
)
def test_a_contradicted_fact_fails_and_is_named(by_id: dict[str, Conversation], new: str, fact: str) -> None:
    spoiled = replaced(by_id["teacher"], "It's a short one.", f"{new} it's a short one.")
    score = SCORERS["personality_consistency"](spoiled, None)
    assert score.value is not None
    assert score.value < 0.85
    assert fact in score.reason
    assert any(e.label == f"{fact}.contradicts" for e in score.evidence)


@pytest.mark.parametrize(
    "new",
    [
        "I'm 41, and",
        "I'm forty-one now, and",
        "I'm a woman who worries, and",
        "I'm not a father, and",
        "My name is Ruth, and",
        "I'm ten minutes late, and",
    ],
)
def test_a_fitting_fact_passes(by_id: dict[str, Conversation], new: str) -> None:
    score = SCORERS["personality_consistency"](replaced(by_id["teacher"], "It's a short one.", f"{new} it's a short one."), None)
    assert score.value == 1.0


def test_pouring_out_early_does_not_fit_a_client_who_holds_back(by_id: dict[str, Conversation]) -> None:
    c = by_id["teacher"]
    flood = "I'm so sad and ashamed and afraid, I feel hopeless, I feel guilty, I feel worthless, and I'm scared of everything I feel. " * 3
    early = [m.model_copy(update={"content": flood}) if i in (0, 2) else m for i, m in enumerate(c.messages)]
    score = SCORERS["personality_consistency"](c.model_copy(update={"messages": tuple(early)}), None)
    attachment = {p.name: p.value for p in score.parts}["attachment"]
    assert attachment is not None
    assert attachment < 0.7
