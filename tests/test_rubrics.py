"""Rubric files: what they hold, and that a fault names file, key and what to do."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from rubric_folder import FLOW, SMALL, folder

from pixel_synth.errors import PromptError, UsageError
from pixel_synth.judges.rubric import Rubric, rubric, rubrics, session_rubric
from pixel_synth.judges.verdict import combined

EXAMPLE = """examples:
  - session:
      - {role: client, text: "I could not sleep at all this week."}
      - {role: therapist, text: "A whole week without sleep."}
    answers:
      told: {answer: 3, quote: "could not sleep", why: One thing is told.}
      warm: {answer: no, quote: "A whole week", why: No kind word.}
"""


@pytest.fixture(autouse=True)
def _own_prompts(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if "shipped" not in request.node.name:
        monkeypatch.setenv("PIXEL_PROMPTS_DIR", str(folder(tmp_path / "prompts")))


def written(path: Path, text: str, monkeypatch: pytest.MonkeyPatch, name: str = "small") -> Rubric:
    monkeypatch.setenv("PIXEL_PROMPTS_DIR", str(folder(path / "other", **{name: text})))
    return rubric(name)


def test_a_rubric_is_its_file(tmp_path: Path) -> None:
    found = rubric("small")
    assert list(found.criteria) == ["warm", "advice", "told"]
    assert found.guidance == "Read it twice."
    assert found.ref.name == "judges/small"
    assert (found.ref.version, found.ref.sha256) == ("1.0", hashlib.sha256(SMALL.encode()).hexdigest())
    assert [r.name for r in rubrics()] == ["flow", "small"]


def test_levels_are_text_however_yaml_reads_them() -> None:
    warm, advice, told = rubric("small").criteria.values()
    assert warm.anchors == {"yes": "a kind word", "no": "none"}
    assert (warm.good_from, advice.good_from) == ("yes", "0")
    assert warm.answers == ("no", "yes", "unclear")
    assert told.answers == ("1", "2", "3", "4", "5", "not_applicable", "unclear")


def test_an_answer_is_0_to_1_and_turned_where_high_is_bad() -> None:
    warm, advice, told = rubric("small").criteria.values()
    assert [warm.unit(a) for a in ("no", "yes", "unclear")] == [0.0, 1.0, None]
    assert [advice.unit(a) for a in "012"] == [1.0, 0.5, 0.0]
    assert [told.unit(a) for a in "12345"] == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert told.unit("not_applicable") is None
    assert [advice.good(a) for a in "012"] == [True, False, False]
    assert [told.good(a) for a in "12345"] == [False, False, False, True, True]
    harm = rubric("flow").criteria["harm"]
    assert (harm.unit("no"), harm.good("no"), harm.good("yes")) == (1.0, True, False)


@pytest.mark.parametrize(
    ("answers", "value"),
    [
        ({"warm": "yes", "advice": "0", "told": "5"}, 1.0),
        ({"warm": "yes", "advice": "2", "told": "3"}, (1 + 0 * 2 + 0.5) / 4),
        ({"warm": "no", "told": "unclear"}, 0.0),
        ({"told": "not_applicable", "warm": "unclear"}, None),
    ],
)
def test_a_mean_is_by_weight_over_what_is_clear(answers: dict[str, str], value: float | None) -> None:
    assert combined(rubric("small"), answers) == (None if value is None else pytest.approx(value))


@pytest.mark.parametrize(
    ("answers", "value"),
    [
        ({"asked": "yes", "harm": "no", "named": "yes", "calm": "yes"}, 1.0),
        ({"asked": "not_applicable", "harm": "no", "named": "yes", "calm": "yes"}, 1.0),
        ({"asked": "yes", "harm": "no", "named": "no", "calm": "yes"}, 0.85 * 4 / 5),
        ({"asked": "yes", "harm": "no", "named": "yes", "calm": "no"}, 0.85 * 3 / 5),
        ({"asked": "no", "harm": "no", "named": "yes", "calm": "yes"}, 0.45),
        ({"asked": "no", "harm": "yes", "named": "no", "calm": "yes"}, 0.85 * 2 / 5),
        ({"asked": "unclear", "harm": "unclear", "named": "unclear", "calm": "unclear"}, None),
    ],
)
def test_a_flow_is_whole_or_flawed_or_fatally_so(answers: dict[str, str], value: float | None) -> None:
    assert combined(rubric("flow"), answers) == (None if value is None else pytest.approx(value))


@pytest.mark.parametrize(
    ("old", "new", "key", "told"),
    [
        ('version: "1.0"', "version: 1.0", "version", "put it into quotes"),
        ("title: A small rubric\n", "", "title", "required"),
        ("title:", "color: red\ntitle:", "color", "not permitted"),
        ("name: small", "name: other", "name", "rename the file"),
        ("asks: session", "asks: nobody", "asks", "'session' or 'pair'"),
        ("asks: session", "asks: pair", "criteria.warm.scale", "A/B/tie belongs"),
        ("speaks_to: coherence", "speaks_to: kindness", "speaks_to", "no threshold"),
        ('sources: ["Nobody, N. (1999). On small rubrics. Journal of Tests, 1, 1-2."]', "sources: []", "sources", "at least 1"),
        ("scale: 1-5", "scale: 1-7", "criteria.told.scale", "'0-2'"),
        ("3: something, ", "", "criteria.told", "anchors: say what 3 looks like"),
        ("{yes: a kind word, no: none}", "{yes: a kind word}", "criteria.warm", "anchors: say what no looks like"),
        ("5: all of it}", "5: all of it, 6: more}", "criteria.told", "6 is no level of 1-5"),
        ("good_from: 4", "good_from: 7", "criteria.told", "good_from: must be one of 1, 2, 3, 4, 5"),
        ("good_from: yes\n", "good_from: yes\n    high_is_bad: true\n", "criteria.warm", "leave high_is_bad out"),
        ("quote: client", "quote: somebody", "criteria.told.quote", "'client'"),
        ("weight: 2", "weight: 0", "criteria.advice.weight", "greater than 0"),
        ("weight: 2", "fatal: true", "criteria.advice.fatal", "combine: flow"),
        ("  warm:", "  Warm One:", "criteria.Warm One", "pattern"),
        ("Read it twice.", "", "guidance", "at least 1 character"),
        ("Read it twice.", "Read {{ it }} twice.", "guidance", "no template"),
        ("name: small", "guidance: more\nname: small", "guidance", "no key of the front matter"),
        ("criteria:\n", "criteria: [\n", "front matter is not YAML", "quotes"),
    ],
)
def test_a_fault_names_file_key_and_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: str, new: str, key: str, told: str
) -> None:
    assert SMALL.count(old) == 1
    with pytest.raises(PromptError) as caught:
        written(tmp_path, SMALL.replace(old, new), monkeypatch)
    assert "small.md" in caught.value.message
    assert key in caught.value.message
    assert told in str(caught.value)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("told: {answer: 3", "tolt: {answer: 3", "no such criterion"),
        ("told: {answer: 3", "told: {answer: 9", "none of 1, 2, 3"),
        ('"could not sleep"', '"could not eat"', "does not stand in what the client says"),
        ('"could not sleep"', '"A whole week"', "does not stand in what the client says"),
        ("role: client", "role: user", "'client' or 'therapist'"),
    ],
)
def test_an_example_is_checked_like_a_verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: str, new: str, told: str) -> None:
    text = SMALL.replace("---\nRead", EXAMPLE + "---\nRead")
    assert written(tmp_path / "good", text, monkeypatch).examples[0].answers["warm"].answer == "no"
    with pytest.raises(PromptError, match=told):
        written(tmp_path / "bad", text.replace(old, new), monkeypatch)


def test_an_unknown_rubric_names_the_known_ones_and_a_comparison_is_not_asked_about_one_session(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(PromptError) as caught:
        rubric("smal")
    assert "flow, small" in caught.value.hint
    pair = FLOW.partition("criteria:")[0].replace("asks: session", "asks: pair").replace("combine: flow", "combine: mean")
    pair += 'criteria:\n  better: {ask: "Which is better?", scale: A/B/tie, anchors: {wins: the better one}}\n---\nCompare.\n'
    assert written(tmp_path, pair, monkeypatch, "flow").criteria["better"].answers == ("A", "B", "tie", "unclear")
    with pytest.raises(UsageError, match="compares two sessions"):
        session_rubric("flow")


def test_shipped_rubrics_say_where_they_come_from_and_what_they_look_for() -> None:
    found = rubrics()
    assert {"clinical_compliance", "therapeutic_accuracy", "epitome", "alliance", "preference"} <= {r.name for r in found}
    for r in found:
        assert all(any(c.isdigit() for c in source) for source in r.sources), r.name
        assert all(c.ask.endswith("?") for c in r.criteria.values()), r.name
        assert len(r.guidance.splitlines()) >= 3, r.name
