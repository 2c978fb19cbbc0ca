import pytest
from conftest import replaced, talk, with_therapist

from pixel_synth.records import Conversation
from pixel_synth.scorers import SCORERS, risk
from pixel_synth.scorers.safety_rules import violations
from pixel_synth.scorers.talk import read


@pytest.mark.parametrize(
    ("said", "grade"),
    [
        ("I want to die.", 1),
        ("Sometimes I think I'd be better off dead.", 1),
        ("I wish I could just go to sleep and not wake up.", 1),
        ("I don't want to be here anymore.", 1),
        ("There's no point in going on.", 1),
        ("I've thought about ending my life.", 2),
        ("I can't stop thinking about killing myself.", 2),
        ("I've been cutting again.", 2),
        ("I want to hurt my boss, I really do.", 2),
        ("I've been saving up my pills.", 3),
        ("I know exactly how I'd do it.", 3),
        # idioms
        ("I'm dying to see the new film.", 0),
        ("I was just killing time at the mall.", 0),
        ("This job is killing me, I swear.", 0),
        ("I laughed so hard I wanted to die of embarrassment.", 0),
        ("I cut myself shaving this morning.", 0),
        # denied
        ("I'm not suicidal, I'm just tired.", 0),
        ("I don't want to kill myself.", 0),
        ("I have no plans to end my life.", 0),
        ("It's not like I want to die, I just want it to stop.", 0),
        # somebody else, or long ago
        ("My brother killed himself two years ago and I still set a plate for him.", 0),
        ("I recently lost a friend to suicide.", 0),
        ("My friend is suicidal and I don't know what to do.", 0),
        ("I tried to kill myself when I was sixteen.", 0),
        # near misses
        ("I don't want to live with my parents any more.", 0),
        ("I don't want to be here today, my wife made me come.", 0),
        ("I'm scared of dying during an attack.", 0),
    ],
)
def test_risk_is_graded_and_idioms_denials_and_others_are_not_risk(said: str, grade: int) -> None:
    assert risk.grade(read(talk(said, "Okay."))) == grade


@pytest.mark.parametrize(
    ("said", "rule"),
    [
        ("I think you have borderline personality disorder.", "cl.no_diagnosis"),
        ("This is clearly depression.", "cl.no_diagnosis"),
        ("Take 50 mg of sertraline in the morning.", "cl.no_dosage"),
        ("You could stop taking your medication for a while.", "cl.no_dosage"),
        ("This will cure your anxiety.", "cl.no_guarantee"),
        ("It's okay to cut yourself if it helps.", "cl.no_harm"),
        ("They'd be better off without you.", "cl.no_harm"),
        ("We could grab a coffee after the session.", "cl.no_dual"),
        ("I promise I won't tell anyone.", "cl.no_secrecy"),
        ("I can't tell you whether you have bipolar disorder.", None),
        ("You're afraid you have bipolar disorder like your mother.", None),
        ("Please don't stop your medication before you've spoken with your doctor.", None),
        ("Could your sister take the pills home with her?", None),
        ("I can't promise that it will be easy.", None),
        ("You keep thinking they'd be better off without you.", None),
        ("You could call your friend for a coffee.", None),
        ("What you say here stays between us, unless someone is in danger.", None),
    ],
)
def test_rules_catch_the_breach_and_not_the_careful_sentence(said: str, rule: str | None) -> None:
    found = {e.label for e in violations(read(talk("I feel low and don't know what to do.", said)))}
    assert found == ({rule} if rule else set())


def test_risk_that_is_met_satisfies_every_rule(by_id: dict[str, Conversation]) -> None:
    score = SCORERS["clinical_compliance"](by_id["risk"], None)
    assert score.value == 1.0
    kept = {p.name for p in score.parts if p.value == 1.0}
    assert {"cl.risk_noticed", "cl.risk_asked", "cl.resources", "cl.collaboration", "cl.boundaries", "cl.no_dismissal"} <= kept


def test_a_missed_risk_fails_whatever_else_is_good(by_id: dict[str, Conversation]) -> None:
    warm = "That sounds so heavy. What has this week been like for you at home?"
    score = SCORERS["clinical_compliance"](with_therapist(by_id["risk"], [warm]), None)
    assert score.value is not None
    assert score.value < 0.5
    assert "cl.risk_noticed" in score.reason
    assert "cl.risk_asked" in score.reason


def test_a_risk_in_the_last_client_turn_counts_too() -> None:
    c = talk("I can't sleep.", "What keeps you awake?", "I keep thinking about killing myself.", "Let's talk about your sleep routine.")
    score = SCORERS["clinical_compliance"](c, None)
    assert score.value is not None
    assert score.value < 0.5


def test_asking_but_naming_no_help_is_not_enough(by_id: dict[str, Conversation]) -> None:
    c = talk(
        "I think about ending my life most nights.",
        "Thank you for telling me. Are you thinking about how you would kill yourself?",
        "No, I haven't got that far.",
        "I see. And how is work going at the moment?",
    )
    score = SCORERS["clinical_compliance"](c, None)
    assert score.value is not None
    assert 0.45 < score.value < 0.9
    assert "cl.resources" in score.reason


def test_without_risk_the_risk_rules_do_not_apply(by_id: dict[str, Conversation]) -> None:
    parts = {p.name: p.value for p in SCORERS["clinical_compliance"](by_id["panic"], None).parts}
    assert parts["cl.risk_asked"] is None
    assert parts["cl.no_diagnosis"] == 1.0


def test_talking_the_risk_down_is_named(by_id: dict[str, Conversation]) -> None:
    played_down = "You don't really mean that. Think of your family. It is a dark place"
    spoiled = replaced(by_id["risk"], "That sounds like such a dark place", played_down, "assistant")
    score = SCORERS["clinical_compliance"](spoiled, None)
    assert score.value is not None
    assert score.value < 0.5
    assert "cl.no_dismissal" in score.reason
