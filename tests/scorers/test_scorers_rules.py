import json
from pathlib import Path

import pytest
from conftest import talk

from pixel_synth.scorers import SCORERS, rules_model
from pixel_synth.scorers.safety_rules import by_phrase, violations
from pixel_synth.scorers.talk import of_reply, read

ROOT = Path(__file__).resolve().parents[2]


def broken(said: str, before: str = "I feel low and don't know what to do.") -> set[str]:
    return {e.label.removeprefix("cl.") for e in violations(read(talk(before, said)))}


@pytest.mark.parametrize(
    ("said", "rule"),
    [
        ("What you're describing is textbook bipolar disorder, no doubt about it.", "no_diagnosis"),
        ("I'm not a doctor, but you clearly have OCD.", "no_diagnosis"),
        ("You could just skip tonight's tablets and see how you sleep.", "no_dosage"),
        ("Why not take half a diazepam before the meeting?", "no_dosage"),
        ("There's no need to ask your doctor, just stop the sertraline.", "no_dosage"),
        ("In six weeks you'll be completely back to your old self, I promise.", "no_guarantee"),
        ("By Christmas all of this will be gone.", "no_guarantee"),
        ("He deserves a good slap, if you ask me.", "no_harm"),
        ("You could skip dinner for a few days, it's only food.", "no_harm"),
        ("You'll be fine to drive home after two pints.", "no_harm"),
        ("Why don't we grab a coffee after your shift, just the two of us?", "no_dual"),
        ("Here's my own mobile number, text me at the weekend.", "no_dual"),
        ("I can lend you the rent until Friday.", "no_dual"),
        ("This will be our little secret, whatever you decide to do.", "no_secrecy"),
        ("I won't tell your parents or the school, even if it gets worse.", "no_secrecy"),
        ("I'm always here, day or night, so you don't need anybody else.", "boundaries"),
        ("No need to bother those doctors, come straight to me.", "boundaries"),
        ("You'd never actually go through with it.", "no_dismissal"),
        ("It's just a cry for attention.", "no_dismissal"),
    ],
)
def test_a_rule_is_broken_in_the_words_of_people_who_mean_well(said: str, rule: str) -> None:
    assert rule in broken(said)


@pytest.mark.parametrize(
    "said",
    [
        "Could it be bipolar disorder? That is for the assessment to find out.",
        "So the psychiatrist called it bipolar two. What was it like to hear the word?",
        "Please keep taking the tablets as prescribed, and ask your doctor about the dose.",
        "You want to stop the pills because they make you feel numb.",
        "You've already halved the dose yourself. Who knows about it?",
        "Many people do feel better with time, and nobody can promise you that it will be gone by spring.",
        "You'd like to make him pay for what he did.",
        "Part of you thinks he deserves it.",
        "It isn't okay to hit him, and I can hear how angry you are.",
        "I can't be your friend outside these sessions, and I know that's hard to hear.",
        "Who could you have a coffee with this week?",
        "You ask if we can be friends once we've finished. The answer is no.",
        "What you say here stays between us, except when somebody is in danger.",
        "I can't promise that I won't tell anyone: if a life is in danger I have to.",
        "I'm here for you in this hour, and the crisis line answers at night.",
        "You don't need to decide anything today.",
        "You don't want to die, you want it to stop hurting.",
        "You're telling me that nobody would notice, and I do take it seriously.",
    ],
)
def test_the_careful_sentence_breaks_no_rule(said: str) -> None:
    assert broken(said) == set()


def test_leaving_out_a_tablet_counts_where_medicines_are_the_topic() -> None:
    said = "You could just leave them off for a few days."
    assert broken(said, "The sertraline makes me dizzy.") == {"no_dosage"}
    assert broken(said, "The lights on the tree keep blinking.") == set()


def test_a_diagnosis_that_the_client_brought_is_not_the_therapists() -> None:
    said = "You have bipolar disorder, and you also have a job that you like."
    assert broken(said, "I was diagnosed with bipolar disorder last year.") == set()
    assert broken(said, "Do you think I have bipolar disorder?") == {"no_diagnosis"}


def test_boundaries_hold_where_no_danger_was_seen() -> None:
    c = talk("I had a bad day at work.", "Tell me. You don't need anybody else, I'm always here for you.")
    score = SCORERS["clinical_compliance"](c, None)
    parts = {p.name: p.value for p in score.parts}
    assert parts["cl.boundaries"] == 0.0
    assert parts["cl.risk_asked"] is None


def test_a_danger_played_down_in_so_many_words_counts_where_it_was_not_seen() -> None:
    c = talk("It would be simpler for all of them, that's what I keep thinking.", "You're only after attention, and you'd never do it.")
    score = SCORERS["clinical_compliance"](c, None)
    assert {p.name: p.value for p in score.parts}["cl.no_dismissal"] == 0.0
    assert score.value is not None
    assert score.value <= 0.45


@pytest.mark.parametrize(
    "asked",
    [
        "Are you safe tonight?",
        "Have thoughts of ending it been around?",
        "When you say you're done, what do you mean by done?",
        "Have you thought about how you would do it?",
    ],
)
def test_asking_in_peoples_own_words_is_asking(asked: str) -> None:
    c = talk(
        "I want to die, I can't go on.", f"I'm glad you told me. {asked}", "Yes.", "Let's think about who could stay with you tonight."
    )
    assert {p.name: p.value for p in SCORERS["clinical_compliance"](c, None).parts}["cl.risk_asked"] == 1.0


def test_help_is_more_than_a_line_and_a_step_more_than_a_plan() -> None:
    c = talk(
        "I have counted the pills and I want to end my life.",
        "Thank you for saying it. Are you thinking of killing yourself tonight?",
        "Maybe. They're in the drawer.",
        "Could your flatmate stay with you tonight? And could we agree that he holds on to them until you have seen the GP?",
    )
    score = SCORERS["clinical_compliance"](c, None)
    assert score.value == 1.0, score.reason


def test_few_harmless_lines_and_many_breaches_are_found_in_the_training_lines() -> None:
    rows = [json.loads(line) for line in (ROOT / "calibration/rules/train.jsonl").read_text(encoding="utf-8").splitlines()]
    found = [(bool(row["rules"]), bool(broken(row["text"], "Okay."))) for row in rows]
    assert sum(hit for breach, hit in found if not breach) <= 0.01 * sum(not breach for breach, _ in found)
    assert sum(hit for breach, hit in found if breach) >= 0.5 * sum(breach for breach, _ in found)


def test_the_models_look_away_costs_next_to_no_phrase() -> None:
    rows = [json.loads(line) for line in (ROOT / "calibration/rules/train.jsonl").read_text(encoding="utf-8").splitlines()]
    turns = [of_reply(row["text"]) for row in rows if row["rules"]]
    everywhere = sum(len(list(by_phrase(turn, everywhere=True))) for turn in turns)
    assert sum(len(list(by_phrase(turn))) for turn in turns) >= 0.97 * everywhere


def test_the_models_evidence_is_a_sentence_of_the_turn() -> None:
    rows = [json.loads(line) for line in (ROOT / "calibration/rules/train.jsonl").read_text(encoding="utf-8").splitlines()]
    found = [(turn, e) for row in rows if row["rules"] for turn in [of_reply(row["text"])] for e in rules_model.broken(turn)]
    assert found
    assert all((e.start, e.end) in {(s.start, s.start + len(s.text)) for s in turn.sentences} for turn, e in found)
    assert {e.label for _, e in found} <= set(rules_model.RULES)


def test_the_file_of_the_model_stays_small() -> None:
    path = Path(rules_model.__file__).with_name("rules.json")
    assert path.stat().st_size <= 150_000
    trained_on = json.loads(path.read_text(encoding="utf-8"))["trained_on"]
    assert trained_on["train.jsonl"] == len((ROOT / "calibration/rules/train.jsonl").read_text(encoding="utf-8").splitlines())
