"""The composer over 200 blueprints: everything planned is in, nothing unfinished is, and no two sessions are alike."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

import pixel_synth.llms.composer as room
from pixel_synth.errors import EngineError
from pixel_synth.grammar import find_cue
from pixel_synth.knowledge import Knowledge
from pixel_synth.knowledge.models import CrisisProtocol
from pixel_synth.llms.composer import Composer
from pixel_synth.llms.composer.prose import Prose
from pixel_synth.llms.composer.session import Turn
from pixel_synth.llms.composer.voice import grammar, tidy
from pixel_synth.llms.engine import Brief, Call
from pixel_synth.plan import Plan
from pixel_synth.records import Blueprint, Message

Session = tuple[Blueprint, list[Turn]]
SLIPS = {
    "notation": r"[{}\[\]|]|\bNone\b(?! of)",
    "space": r"  | [,.;:?!](?!\.)|\s$|^\s|\n",
    "doubled word": r"\b(?!that\b|had\b|no\b|very\b|bye\b)(\w+) \1\b(?!-)",
    "a before a vowel": r"\b[Aa] (?!one\b|once\b|uni|use|usu|eu|ur[aei]|u-)[aeiou]\w",
    "an before a consonant": r"\b[Aa]n (?!hour|hono|heir|MRI|SMS|NHS|HR|X-|LG|M\b|F\b|S\b)[bcdfgjklmnpqrstvwxyz]",
    "doubled stop": r"[,;:][,;:.?!]|(?<!\.)\.\.(?!\.)|[?!]\.",
    "small letter after a stop": r"(?<!\.)[a-z][.?!] [a-z]",
    "lonely i": r"(?<![\w'’.-])i(?![\w.-])",
}


@pytest.fixture(scope="module")
def sessions(plan: Plan, composer: Composer) -> list[Session]:
    return [(bp, composer.turns(bp)) for bp in (plan.blueprint(slot) for slot in range(200))]


def said(turns: list[Turn], role: str) -> str:
    return "\n".join(t.text for t in turns if t.role == role)


def test_a_session_has_the_planned_number_of_turns_in_turn(sessions: list[Session]) -> None:
    for bp, turns in sessions:
        assert len(turns) == bp.turns, bp.id
        assert [t.role for t in turns] == ["user", "assistant"] * (bp.turns // 2), bp.id


def test_everything_that_must_appear_is_said_by_the_right_speaker(sessions: list[Session]) -> None:
    missing = [
        f"{bp.slot}: {fact.kind} {fact.id}"
        for bp, turns in sessions
        for fact in bp.must_appear
        if not find_cue(fact.cues, said(turns, "user" if fact.speaker == "client" else "assistant"))
    ]
    assert not missing


@pytest.mark.parametrize("slip", SLIPS)
def test_no_turn_has_a_slip(sessions: list[Session], slip: str) -> None:
    found = [
        f"{bp.slot}.{i}: …{t.text[max(0, m.start() - 25) : m.end() + 25]}…"
        for bp, turns in sessions
        for i, t in enumerate(turns)
        if (m := re.search(SLIPS[slip], t.text))
    ]
    assert not found, f"{len(found)} {slip}:\n" + "\n".join(found[:15])


def test_the_slips_are_seen() -> None:
    bad = {"notation": "I {want} it.", "space": "So , yes.", "doubled word": "It is is so.", "a before a vowel": "It was a apple.",
           "an before a consonant": "It was an car.", "doubled stop": "Well,. yes.", "small letter after a stop": "That was it. then not.",
           "lonely i": "Then i went."}  # fmt: skip
    for slip, text in bad.items():
        assert re.search(SLIPS[slip], text), slip
        assert not re.search(SLIPS[slip], "I ate an apple, an hour ago... It's at 7 a.m. and I'm – well, “so” what?"), slip


def test_turns_begin_with_a_capital_and_end_with_a_stop(sessions: list[Session]) -> None:
    for bp, turns in sessions:
        for i, turn in enumerate(turns):
            letters = re.search(r"\w", turn.text)
            assert letters is not None
            assert letters[0].isdigit() or letters[0].isupper(), f"{bp.slot}.{i}: {turn.text[:40]}"
            assert re.search(r"[.?!…—–-][\"'”’)]?$", turn.text), f"{bp.slot}.{i}: {turn.text[-40:]}"


def test_a_therapist_turn_is_short_and_asks_at_most_two_things(sessions: list[Session]) -> None:
    for bp, turns in sessions:
        for i, turn in enumerate(turns):
            if turn.role == "assistant":
                assert len(turn.text) <= 900, f"{bp.slot}.{i}"
                assert turn.text.count("?") <= 3, f"{bp.slot}.{i}: {turn.text}"
            else:
                assert len(turn.text) <= 1600, f"{bp.slot}.{i}"


@pytest.mark.parametrize("risk", ["low", "moderate", "high"])
def test_a_session_with_risk_goes_through_the_protocol_in_order_after_the_risk_shows(
    sessions: list[Session], knowledge: Knowledge, risk: str
) -> None:
    chosen = [(bp, turns) for bp, turns in sessions if bp.risk == risk]
    assert chosen
    for bp, turns in chosen:
        protocol = knowledge.get(CrisisProtocol, bp.protocol)
        steps = [s for s in protocol.steps if risk in s.required_for]
        show = next(s for s in protocol.show if s.level == risk)
        shown = next(i for i, t in enumerate(turns) if t.role == "user" and find_cue(show.cues, t.text))
        made = [(i, t.tag.move) for i, t in enumerate(turns) if t.role == "assistant" and t.tag.act == "safety"]
        assert made[0][0] > shown, bp.id
        by_move = [move for _, move in made]
        assert by_move == [s.id for s in steps if s.id in by_move], bp.id
        # the first step (naming it) may be said in one breath with the question that follows
        assert {s.id for s in steps[1:]} <= set(by_move), bp.id
        for step in steps:
            later = "\n".join(t.text for t in turns[shown:] if t.role == "assistant")
            assert find_cue(step.cues, later), f"{bp.slot}: {step.id}"


def test_a_session_without_risk_has_no_safety_talk(sessions: list[Session]) -> None:
    assert not [bp.slot for bp, turns in sessions if bp.risk == "none" and any(t.tag.act == "safety" for t in turns)]


@pytest.mark.parametrize("risk", ["none", "low", "moderate", "high"])
def test_every_planned_move_is_made(sessions: list[Session], risk: str) -> None:
    for bp, turns in sessions:
        if bp.risk == risk:
            assert sorted(t.tag.move for t in turns if t.tag.act == "intervene") == sorted(p.move for p in bp.moves), f"slot {bp.slot}"


def test_moves_are_made_in_the_planned_order(sessions: list[Session]) -> None:
    for bp, turns in sessions:
        made = [t.tag.move for t in turns if t.tag.act == "intervene"]
        assert made == [p.move for p in bp.moves if p.move in made], f"slot {bp.slot}"


WORDS = """
import hashlib
from pixel_synth.knowledge import load
from pixel_synth.llms.composer import Composer
from pixel_synth.llms.composer.prose import Prose
from pixel_synth.plan import Plan
from pixel_synth.settings import load_settings
k = load()
plan, composer, text = Plan(load_settings(), k, 20), Composer(k), ""
for slot in range(20):
    bp = plan.blueprint(slot)
    turns = composer.turns(bp)
    text += "".join(t.text for t in turns) + Prose(bp, k).scenario().line() + Prose(bp, k).reasoning(turns).line()
print(hashlib.sha256(text.encode()).hexdigest())
"""


def test_the_same_blueprint_gives_the_same_words_in_a_process_with_another_hash_seed(sessions: list[Session], knowledge: Knowledge) -> None:
    seed = "4" if os.environ.get("PYTHONHASHSEED") != "4" else "5"
    told = subprocess.run(
        [sys.executable, "-c", WORDS], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
    ).stdout
    text = "".join(
        "".join(t.text for t in turns) + Prose(bp, knowledge).scenario().line() + Prose(bp, knowledge).reasoning(turns).line()
        for bp, turns in sessions[:20]
    )
    assert told.strip() == hashlib.sha256(text.encode()).hexdigest()


def test_a_composer_asked_in_any_order_says_the_same(plan: Plan, knowledge: Knowledge, sessions: list[Session]) -> None:
    fresh = Composer(knowledge)
    for slot in (17, 3, 11):
        assert fresh.turns(plan.blueprint(slot)) == sessions[slot][1]


async def _ask(composer: Composer, bp: Blueprint, n: int) -> str:
    history = tuple(Message(role="user", content="x") for _ in range(n))
    return (await composer.complete(Call(Brief("client", bp, history), [], {}, {}))).text


def test_a_turn_beyond_the_end_is_an_engine_error(plan: Plan, composer: Composer) -> None:
    bp = plan.blueprint(0)
    with pytest.raises(EngineError, match="beyond the end"):
        asyncio.run(_ask(composer, bp, bp.turns))


def test_scenario_and_reasoning_are_about_this_client_and_without_slips(sessions: list[Session], knowledge: Knowledge) -> None:
    for bp, turns in sessions[:80]:
        prose = Prose(bp, knowledge)
        case, thought = prose.scenario(), prose.reasoning(turns)
        text = " ".join(case.model_dump().values())
        assert bp.persona.name in text
        assert bp.duration_text in text
        for part in (*case.model_dump().values(), *thought.heard, *thought.unknown, thought.risk, *(m.why for m in thought.moves)):
            for slip in ("notation", "doubled word", "a before a vowel"):
                assert not re.search(SLIPS[slip], part), f"{bp.slot}: {slip}: {part}"
        assert thought.hypotheses[0].standing == "leading"
        for choice in thought.moves:
            assert turns[choice.turn].role == "assistant"
            assert choice.move in (turns[choice.turn].tag.move, "repair")
        assert (bp.risk in thought.risk) or bp.risk == "none"


def test_no_two_sessions_are_alike(sessions: list[Session]) -> None:
    assert len({said(turns, "user") for _, turns in sessions}) == 200
    first = Counter(turns[0].text for _, turns in sessions)
    assert first.most_common(1)[0][1] == 1


def test_turns_are_unique_and_no_sentence_is_everywhere(sessions: list[Session]) -> None:
    for role, least in (("user", 0.97), ("assistant", 0.97)):
        turns = Counter(t.text for _, all_turns in sessions for t in all_turns if t.role == role)
        unique = sum(1 for n in turns.values() if n == 1) / turns.total()
        assert unique >= least, f"{role}: {unique:.3f}"
    sentences: Counter[str] = Counter()
    for _, turns in sessions:
        sentences.update({s.lower() for t in turns for s in re.split(r"(?<=[.!?…])[\"'”’]?\s+", t.text)})
    common = sentences.most_common(3)
    assert common[0][1] <= 8, common  # 4% of 200; the goal on large runs is 2%


def test_within_a_session_nobody_says_a_thing_twice(sessions: list[Session]) -> None:
    for bp, turns in sessions:
        texts = [t.text for t in turns]
        assert len(set(texts)) == len(texts), bp.id


def test_big_five_and_attachment_change_how_a_client_talks(plan: Plan, composer: Composer) -> None:
    bp = plan.blueprint(0)
    quiet = bp.persona.big_five.model_copy(update={"extraversion": "low"})
    loud = bp.persona.big_five.model_copy(update={"extraversion": "high"})
    words = []
    for levels in (quiet, loud):
        total = 0
        for slot in range(25):
            base = plan.blueprint(slot)
            other = base.model_copy(
                update={"persona": base.persona.model_copy(update={"big_five": levels}), "id": f"{base.id}-{levels.extraversion}"}
            )
            total += len(said(composer.turns(other), "user").split())
        words.append(total)
    assert words[0] < words[1]


def test_every_symbol_of_the_grammar_is_used_and_has_choices() -> None:
    source = "".join(p.read_text(encoding="utf-8") for p in sorted(Path(room.__file__).parent.glob("*.py")))
    for symbol, lines in grammar().items():
        assert len(lines) >= 2, symbol
        assert re.search(rf"[\"']{symbol}[\"']", source), f"nothing says {symbol!r}"


@pytest.mark.parametrize(
    ("raw", "tidied"),
    [
        ("so  it was a apple ,really", "So it was an apple,really"),
        ("it was a one-off. then nothing", "It was a one-off. Then nothing"),
        ("a useful hour, , and", "A useful hour, and"),
        ("", ""),
    ],
)
def test_tidy_mends_spaces_articles_and_capitals(raw: str, tidied: str) -> None:
    assert tidy(raw) == tidied
    assert tidy(tidied) == tidied
