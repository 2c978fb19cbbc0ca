"""Screening conversations that say exactly what is scored, packs that have the talk for it, and the commands."""

from __future__ import annotations

import io
import json
import re
import shutil
from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from instruments import ALL, GAD7, IDS, IPIP, NINE, PHQ9, ROOT, SCREENS, changed, heard, leaning, patterns, same

from pixel_synth.cli import main
from pixel_synth.errors import KnowledgeError, UsageError
from pixel_synth.knowledge import load
from pixel_synth.knowledge.answers import SEVERITIES, read_answers, target
from pixel_synth.knowledge.assess import Answers, Result, levels, options, score, span
from pixel_synth.knowledge.models import Instrument
from pixel_synth.knowledge.screening import Screening, administer


@pytest.mark.parametrize("severity", SEVERITIES)
@pytest.mark.parametrize("instrument", SCREENS, ids=lambda i: i.id)
def test_a_screening_asks_every_item_once_in_order_and_says_what_is_scored(instrument: Instrument, severity: Any) -> None:
    for seed in range(25):
        done = administer(instrument, seed, severity)
        asked = [t.move for t in done.turns if t.act == "ask"]
        assert [i.id for i in instrument.items if not i.optional] == [id for id in asked if id != "difficulty"]
        assert len(set(asked)) == len(asked)
        assert score(instrument, heard(done, instrument)) == done.result
        texts = [m.content for m in done.messages]
        assert len(set(texts)) == len(texts)
        assert [r for r, _ in groupby(m.role for m in done.messages)] == [m.role for m in done.messages]
        assert (done.messages[0].role, done.turns[-1].act) == ("assistant", "close")
        assert not re.search(r"[\[\]{}|]|  | [,.?!]", " ".join(texts))
        for message, turn in zip(done.messages, done.turns, strict=True):
            assert turn.act != "ask" or message.content.endswith("?")


@pytest.mark.parametrize("instrument", SCREENS, ids=lambda i: i.id)
def test_drawn_answers_end_in_the_range_of_their_severity(instrument: Instrument) -> None:
    for severity in SEVERITIES:
        low, high = target(instrument, instrument.scales[0], severity)
        values = [administer(instrument, seed, severity).result.scales[0].value or 0 for seed in range(25)]
        assert all(low <= v <= high for v in values), (severity, values)
    assert len({administer(instrument, seed).result.scales[0].value for seed in range(40)}) > 3


def test_severities_of_the_phq9_are_its_bands() -> None:
    assert [target(PHQ9, PHQ9.scales[0], s) for s in SEVERITIES] == [(0, 4), (5, 9), (10, 14), (20, 27)]


def test_a_scale_on_which_low_is_worse_is_drawn_from_its_other_end() -> None:
    turned = changed(GAD7, bands=(), flags=(), scales=[{"id": "total", "name": "well-being", "worse": "low"}])
    none, severe = ([administer(turned, s, v).result.scales[0].value or 0 for s in range(10)] for v in ("none", "severe"))
    assert min(none) > 15 > 6 > max(severe)


def test_the_same_seed_gives_the_same_words_and_another_seed_others() -> None:
    assert administer(PHQ9, 5) == administer(PHQ9, 5)
    assert administer(PHQ9, 5).messages != administer(PHQ9, 6).messages


@settings(max_examples=40)
@given(answers=patterns(PHQ9, blanks=True), seed=st.integers(0, 10**9))
def test_given_answers_are_said_and_scored_exactly(answers: Answers, seed: int) -> None:
    done = administer(PHQ9, seed, answers=answers)
    assert done.result == score(PHQ9, answers)
    said = heard(done, PHQ9)
    assert {id: p for id, p in answers.items() if id in said} == said
    assert set(answers) - set(said) <= {"difficulty"}


def test_safety_is_taken_up_at_once_and_before_the_end() -> None:
    for points in (1, 2, 3):
        done = administer(PHQ9, points, answers=dict.fromkeys(NINE, 0) | {"self_harm": points, "difficulty": 1})
        acts = [(t.act, t.move) for t in done.turns]
        at = acts.index(("answer", "self_harm"))
        assert acts[at + 1] == ("safety", "safety")
        assert re.search(r"ending your life|killing yourself", done.messages[at + 1].content)
        assert acts[at + 2][0] == "safety_answer"
        assert acts.index(("ask", "difficulty")) > at + 3
        assert "emergency" in done.messages[-1].content
        assert "out of 27" not in done.messages[-1].content


def test_without_a_risk_answer_nobody_speaks_of_safety() -> None:
    done = administer(PHQ9, 3, answers=dict.fromkeys(NINE, 3) | {"self_harm": 0})
    assert not {"safety", "safety_answer"} & {t.act for t in done.turns}
    assert "emergency" not in done.messages[-1].content


def test_an_urgent_flag_without_talk_of_its_own_uses_the_shared_one() -> None:
    flags = [f.model_dump() | {"leads": ()} for f in PHQ9.flags]
    done = administer(changed(PHQ9, flags=flags), 2, answers=dict.fromkeys(NINE, 0) | {"self_harm": 3})
    (first, *_) = [m.content for m, t in zip(done.messages, done.turns, strict=True) if t.act == "safety"]
    assert re.search(r"How safe", first)


def test_declined_items_are_said_and_leave_the_sum_open() -> None:
    done = administer(PHQ9, 1, answers=dict.fromkeys(NINE[:4], 1))
    assert [t.move for t in done.turns if t.act == "decline"] == NINE[4:]
    assert done.result.of("total").value is None
    assert "out of 27" not in done.messages[-1].content


@pytest.mark.parametrize("points", [1, 2, 3, 4, 5])
def test_120_equal_answers_are_said_in_120_ways(points: int) -> None:
    done = administer(IPIP, points, answers=same(points))
    said = [m.content for m, t in zip(done.messages, done.turns, strict=True) if t.act == "answer"]
    assert len(set(said)) == 120
    assert heard(done, IPIP) == same(points)


def test_a_drawn_inventory_asks_all_items_and_people_differ() -> None:
    done = administer(IPIP, 4)
    assert [t.move for t in done.turns if t.act == "ask"] == [i.id for i in IPIP.items]
    assert score(IPIP, heard(done, IPIP)) == done.result
    assert len({levels(administer(IPIP, seed).result).model_dump_json() for seed in range(8)}) > 3
    with pytest.raises(UsageError, match="no severity"):
        administer(IPIP, 0, "mild")


def test_a_pack_without_enough_talk_is_named() -> None:
    mute = changed(GAD7, options=[o.model_dump() | {"says": ["That one [is|was] there now and then."]} for o in GAD7.options])
    with pytest.raises(KnowledgeError, match="gad7: too little talk"):
        administer(mute, 0, answers={i.id: 1 for i in GAD7.items})
    silent = changed(GAD7, options=[o.model_dump() | {"says": ()} for o in GAD7.options])
    with pytest.raises(KnowledgeError, match="item nervous: no talk"):
        administer(silent, 0)


@pytest.mark.parametrize("instrument", ALL.values(), ids=lambda i: i.id)
def test_packs_have_the_talk_they_need_and_no_answer_can_be_mistaken_for_another(instrument: Instrument) -> None:
    for item in instrument.items:
        given = options(instrument, item)
        assert all(len(o.says) >= 8 for o in given)
        lines = [line for o in given for line in o.says]
        assert len(set(lines)) == len(lines)
        assert instrument is IPIP or len(item.ask) >= 2
    assert instrument.limits
    assert instrument.rights.text
    assert span(instrument, instrument.scales[0])[0] < span(instrument, instrument.scales[0])[1]


@pytest.mark.parametrize(
    ("flag", "said"),
    [
        ({"needs": ["later"]}, "not named before"),
        ({"own": [{"of": "total", "at_least": 1}]}, "not over"),
        ({"of": ["nothing"]}, "unknown items"),
    ],
)
def test_a_flag_that_points_nowhere_is_refused(flag: dict[str, Any], said: str) -> None:
    base = {"id": "x", "of": ["sleep"], "at_least": 1, "means": "something", "source": ["kroenke2001"]}
    with pytest.raises(ValueError, match=said):
        changed(PHQ9, flags=[base | flag])


# ---------------------------------------------------------------------------------------------- commands


@pytest.mark.parametrize(
    "text", ['{"nervous": 1, "relax": null}', "item,points\nnervous,1\nrelax,\n", "nervous, 1\n\nrelax,NA"], ids=["json", "csv", "bare"]
)
def test_answers_are_read_from_json_and_csv(text: str) -> None:
    assert read_answers(text, "f") == {"nervous": 1, "relax": None}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no answers"),
        ("{", "f: not valid JSON"),
        ("[1]", "must be an object"),
        ('{"nervous": 1, "nervous": 2}', "item nervous is answered twice"),
        ("nervous,1\nnervous,2", "f:2: item nervous is answered twice"),
        ("nervous,often", "f:1: item nervous: 'often' is no number"),
        ('{"nervous": true}', "item nervous: True is no number"),
        ('{"nervous": [1]}', "item nervous"),
        ("nervous;1", "f:1: a row is item,points"),
    ],
)
def test_unreadable_answers_are_named_by_place(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=re.escape(said)):
        read_answers(text, "f")


@pytest.fixture
def command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., tuple[int, str, str]]]:
    """Call ``pixel-synth knowledge`` on a base of the instruments and the profiles."""
    base = tmp_path / "knowledge"
    shutil.copytree(ROOT / "assessment", base / "assessment", ignore=lambda _, names: {n for n in names if Path(n).stem not in IDS})
    shutil.copy(ROOT / "bigfive" / "profiles.yaml", base / "profiles.yaml")
    shutil.copy(ROOT / "sources.yaml", base / "sources.yaml")
    monkeypatch.setenv("PIXEL_KNOWLEDGE_DIR", str(base))
    monkeypatch.chdir(tmp_path)
    load.cache_clear()

    def call(*args: object, typed: str = "") -> tuple[int, str, str]:
        monkeypatch.setattr("sys.stdin", io.StringIO(typed))
        capsys.readouterr()
        try:
            status = main(["knowledge", *map(str, args)])
        except SystemExit as end:
            status = int(end.code or 0)
        out, err = capsys.readouterr()
        return status, out, err

    yield call
    load.cache_clear()


def test_score_reads_files_and_standard_input_and_puts_what_is_urgent_first(command: Any) -> None:
    answers = dict.fromkeys(NINE, 1)
    Path("a.json").write_text(json.dumps(answers))
    Path("a.csv").write_text("".join(f"{id},{p}\n" for id, p in answers.items()))
    told = {command("score", "phq9", "--answers", where, typed=json.dumps(answers))[:2] for where in ("a.json", "a.csv", "-")}
    ((status, text),) = told
    assert status == 0
    assert "9 of 0-27, mild" in text
    assert text.index("URGENT") < text.index("note:")
    status, text, _ = command("score", "phq9", "--answers", "a.json", "--json")
    assert Result.model_validate_json(text) == score(PHQ9, answers)


def test_score_refuses_with_a_reason(command: Any) -> None:
    Path("a.csv").write_text("sleep,4\n")
    status, _, err = command("score", "phq9", "--answers", "a.csv")
    assert (status, "item sleep" in err) == (2, True)
    Path("a.csv").write_text("sleep,1\n")
    status, out, _ = command("score", "phq9", "--answers", "a.csv")
    assert (status, "unscored: 8 of 9" in out) == (1, True)
    assert command("score", "phq9", "--answers", "none.csv")[0] == 2
    assert command("score", "phq9")[0] == 2
    status, _, err = command("score", "phq", "--answers", "a.csv")
    assert (status, "phq9" in err) == (1, True)


def test_asking_at_the_terminal_refuses_what_is_out_of_range(command: Any) -> None:
    status, out, _ = command("score", "gad2", "--ask", typed="7\nmany\n2\n\n")
    assert (status, out.count("is no answer here: 0, 1, 2, 3")) == (1, 2)
    assert "unscored: 1 of 2" in out
    status, out, _ = command("score", "gad2", "--ask", typed="2\n1\n")
    assert (status, "3 of 0-6, at or above the cut-off" in out) == (0, True)
    status, _, err = command("score", "gad2", "--ask", typed="2\n")
    assert (status, "ended at item worry_control" in err) == (2, True)


def test_administer_prints_the_conversation_or_json(command: Any) -> None:
    status, out, _ = command("administer", "gad7", "--seed", 3, "--severity", "moderate")
    assert (status, out.startswith("clinician ")) == (0, True)
    assert "client    " in out
    status, out, _ = command("administer", "gad7", "--seed", 3, "--severity", "moderate", "--json")
    assert Screening.model_validate_json(out) == administer(GAD7, 3, "moderate")
    Path("a.csv").write_text("nervous,1\n")
    assert command("administer", "gad7", "--answers", "a.csv", "--severity", "mild")[0] == 2
    assert command("administer", "gad7", "--severity", "awful")[0] == 2


def test_persona_prints_levels_profile_and_basis(command: Any) -> None:
    Path("a.json").write_text(json.dumps(leaning({"conscientiousness"}, {"extraversion"})))
    status, out, _ = command("persona", "--answers", "a.json")
    assert status == 0
    assert "quiet_planner (0 steps apart)" in out
    assert "not normed" in out
    status, out, _ = command("persona", "--answers", "a.json", "--group", "women 21-40", "--json")
    assert json.loads(out)["basis"] == "norm: women 21-40"
    status, _, err = command("persona", "--answers", "a.json", "--group", "cats")
    assert (status, "women 21-40" in err) == (2, True)
