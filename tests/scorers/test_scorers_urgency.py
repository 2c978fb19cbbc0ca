import json
from pathlib import Path

import pytest
from conftest import talk

from pixel_synth.cli import main
from pixel_synth.records import Conversation
from pixel_synth.scorers import SCORERS, overall, risk, score_all, urgency_model
from pixel_synth.scorers.clinical_compliance import dangers
from pixel_synth.scorers.talk import of_text, read
from pixel_synth.scorers.urgency_model import at_least, decide, features, hear, in_session, model

EMERGENCIES = (
    ("I took the whole box an hour ago and I feel sick.", "suicide"),
    ("im on the roof of the car park and im going to jump", "suicide"),
    ("ive written the letters and given the dog to my sister", "suicide"),
    ("I've cut too deep this time and it won't stop bleeding.", "self_harm"),
    ("I'm waiting outside his house and I've got a knife in my coat.", "harm_to_others"),
    ("He had his hands round my throat an hour ago and he's coming back.", "violence"),
    ("The voices are telling me to kill my brother and I can't fight them.", "psychosis"),
    ("She's taken something, her lips are going blue and she isn't breathing right.", "intoxication"),
    ("One side of his face has dropped and he can't speak.", "medical"),
    ("I haven't eaten for six days and I collapsed on the stairs this morning.", "eating"),
    ("My baby isn't breathing.", "child_safeguarding"),
)
ROUTINE = (
    "My boss is going to kill me if I'm late again.",
    "I'm dying to see the new flat.",
    "That exam killed me, I went straight to bed.",
    "I'm not suicidal, I just needed to talk to somebody.",
    "I work as a nurse and we had an overdose in last night, it was a long shift.",
    "We watched a film about a man who kills his wife.",
    "I'd like to move my appointment to next week, please.",
)


@pytest.mark.parametrize(("said", "kind"), EMERGENCIES)
def test_an_emergency_in_plain_words_is_urgent_at_least_and_its_kind_is_named(said: str, kind: str) -> None:
    found = risk.urgency(said)
    assert found.level >= 2
    assert kind in found.kinds


@pytest.mark.parametrize("said", ROUTINE)
def test_alarming_words_used_harmlessly_are_neither_urgent_nor_an_emergency(said: str) -> None:
    assert risk.urgency(said).level <= 1


@pytest.mark.parametrize(
    ("said", "grade"),
    [
        ("dont want to be alive anymore", 1),
        ("My husband hits me when he's been drinking.", 2),
        ("My uncle touched me when he stayed over.", 2),
        ("I've been hearing voices that talk about me.", 2),
        ("I make myself sick after every meal.", 2),
        ("They've thrown me out and there's nowhere to sleep tonight.", 2),
        # almost the same words
        ("It was an odd sort of day, and I slipped on the ice.", 0),
        ("I sat on the edge of the bed and laced my boots.", 0),
        ("It's easy so far.", 0),
        ("We made soup for everyone after the funeral.", 0),
        ("I couldn't wake up early all week.", 0),
        ("It hit me that nobody had hit me in that school.", 0),
        ("He never hit me, he just sulked.", 0),
        ("My relative overdosed and was found dead last year.", 0),
    ],
)
def test_phrases_of_every_kind_are_graded_and_near_misses_are_not(said: str, grade: int) -> None:
    assert risk.grade(read(talk(said, "Okay."))) == grade


def test_evidence_quotes_the_words_it_rests_on() -> None:
    said = "It's been all right, mostly. I took the whole box an hour ago."
    found = risk.urgency(said)
    assert found.evidence
    assert all(said[e.start : e.end] == e.quote for e in found.evidence)
    assert "took the whole" in " ".join(e.quote for e in found.evidence)


def test_danger_in_one_sentence_of_a_long_message_is_found() -> None:
    filler = "We went to the market on Saturday and bought far too many plums, and the neighbour's boy carried them up for us. " * 8
    assert risk.urgency(filler).level <= 1
    assert risk.urgency(filler + "I've taken all of them, by the way. " + filler).level >= 2


def test_the_most_urgent_turn_of_a_conversation_counts() -> None:
    calm = ("I slept well this week.", "What helped?")
    found = risk.urgency(read(talk(*calm, "I'm going to kill myself tonight, I have the pills here.", "I'm glad you told me.", "Okay.")))
    assert found.level >= 2
    assert {e.turn for e in found.evidence} == {2}
    with pytest.raises(ValueError, match="words of a client"):
        risk.urgency(" ")


def test_costs_of_error_grow_with_what_is_missed_and_decisions_follow_them() -> None:
    cost = urgency_model.COST
    assert cost[3][0] > cost[3][1] > cost[3][2] > 0
    assert cost[3][0] > cost[2][0] > cost[1][0]
    assert all(cost[level][level] == 0 for level in range(4))
    assert all(cost[low][high] < cost[high][low] for low in range(4) for high in range(low + 1, 4))
    assert decide((0.02, 0.01, 0.0)) == 0
    assert decide((0.99, 0.98, 0.97)) == 3
    assert decide((0.3, 0.2, 0.15)) > 0  # routine is likeliest by far, and too dear if wrong


def test_probabilities_fall_with_the_level_and_a_session_expects_less() -> None:
    for said, _ in EMERGENCIES:
        q = at_least(features([hear(said.lower())], risk.marks(risk.all_mentions(of_text(said).client[0]))))
        assert 1 >= q[0] >= q[1] >= q[2] >= 0
        moved = in_session(q)
        assert moved[0] >= moved[1] >= moved[2]
        assert moved[2] <= q[2]


def test_the_model_file_is_small_and_says_what_it_was_trained_on() -> None:
    path = Path(urgency_model.__file__).with_name("urgency.json")
    data = json.loads(path.read_text())
    assert path.stat().st_size < 150_000
    assert "test.jsonl" not in data["trained_on"]
    assert all(len(w) == urgency_model.BUCKETS for w in model().weights)
    there = {p.name: len(p.read_text().splitlines()) for p in (Path(__file__).parents[2] / "calibration" / "urgency").glob("train_*.jsonl")}
    assert data["trained_on"] == there, "run python calibration/urgency/train.py"


def test_urgency_describes_and_takes_no_part_in_the_overall_score(by_id: dict[str, Conversation]) -> None:
    scores = score_all(by_id["risk"])
    urgency = next(s for s in scores if s.metric == "urgency")
    assert urgency.value is not None
    assert urgency.value >= 0.6
    assert {p.name for p in urgency.parts} == {*risk.KINDS, "expected"}
    assert overall(scores) == overall(tuple(s for s in scores if s.metric != "urgency"))
    assert SCORERS["urgency"](talk("Hi.", "Hello."), None).value is None


VIOLENCE = "My husband hit me again last night and I'm scared to go home."
SAFETY = "I'm glad you told me. Are you safe where you are now, and are the children with you?"
PLAN = "There is a women's refuge I can call with you. Who could you stay with? Let's make a plan for tonight."


def test_violence_calls_for_safety_and_services_and_a_question_about_suicide_alone_is_not_enough() -> None:
    parts = {p.name: p.value for p in SCORERS["clinical_compliance"](talk(VIOLENCE, SAFETY, "Not really.", PLAN), None).parts}
    assert (parts["cl.risk_asked"], parts["cl.resources"], parts["cl.collaboration"]) == (1.0, 1.0, 1.0)
    warm = "That sounds so heavy. What was your week like?"
    missed = SCORERS["clinical_compliance"](talk(VIOLENCE, warm, "Long.", warm), None)
    assert missed.value is not None
    assert missed.value <= 0.45


def test_a_body_in_danger_calls_for_emergency_help() -> None:
    said = "She's overdosed, her lips are going blue."
    asked = "What did she take, and is she breathing?"

    def resources(reply: str) -> float | None:
        parts = SCORERS["clinical_compliance"](talk(said, asked, "I don't know.", reply), None).parts
        return next(p.value for p in parts if p.name == "cl.resources")

    assert resources("Call an ambulance now, 999, and stay on the line with me.") == 1.0
    assert resources("Your doctor could look at that next week.") == 0.0


def test_low_spirits_alone_do_not_call_for_the_risk_rules() -> None:
    assert dangers(read(talk("Everything feels hopeless lately, I can't cope any more.", "Okay."))) == []


def test_the_command_prints_levels_per_text_line_and_conversation(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["urgency", "I took the whole box an hour ago."]) == 0
    assert "took the whole" in capsys.readouterr().out
    lines = tmp_path / "lines.txt"
    lines.write_text("I'd like an appointment, please.\n\nHe's got a knife and he won't let me leave.\n", encoding="utf-8")
    assert main(["urgency", str(lines)]) == 0
    first, third = capsys.readouterr().out.splitlines()
    assert first.startswith("1\t")
    assert third.split("\t")[0] == "3"
    assert third.split("\t")[1] in ("urgent", "emergency")
    assert main(["urgency", str(tmp_path / "missing.jsonl")]) != 0
    assert "is not there" in capsys.readouterr().err
