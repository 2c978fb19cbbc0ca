"""Anchors: scorers give the same values to the digit, judges the same mean within what sampling explains, in a run as by themselves."""

from __future__ import annotations

import asyncio
import json
import shutil
from contextlib import closing
from pathlib import Path
from random import Random
from statistics import fmean

import pytest
from judge_server import JudgeServer

from pixel_synth.calibrate import anchors
from pixel_synth.calibrate.anchors import Judged, Z, judge_shift, scorer_shifts, sessions, write_expected
from pixel_synth.calibrate.card import calibration_dir
from pixel_synth.cli import main
from pixel_synth.errors import RunError
from pixel_synth.knowledge import Knowledge
from pixel_synth.llms.connect import connect_all, make_asker
from pixel_synth.llms.ledger import Ledger
from pixel_synth.llms.mock.wish import Wish
from pixel_synth.plan import Plan, make_plan
from pixel_synth.records import PromptRef
from pixel_synth.runs import anchoring
from pixel_synth.runs.chain import fill_slot
from pixel_synth.runs.directory import Run
from pixel_synth.runs.job import main as psychology
from pixel_synth.runs.recall import recalling
from pixel_synth.settings import load_settings

REF = PromptRef(name="judges/alliance", version="1.0", sha256="0" * 64)
IDS = [session.id for session in sessions()]


def test_the_anchors_are_twelve_short_sessions_of_every_quality_with_risk_met_and_missed() -> None:
    assert len(IDS) == len(set(IDS)) == 12
    assert {id.split("-")[1] for id in IDS} == {"excellent", "good", "middling", "poor"}
    assert {"anchor-excellent-risk-met", "anchor-poor-risk-missed"} < set(IDS)
    assert len({s.labels.topic for s in sessions()}) >= 8
    for session in sessions():
        assert 6 <= len(session.messages) <= 10
        assert [m.role for m in session.messages] == ["user", "assistant"] * (len(session.messages) // 2)
        assert session.provenance.license == "Apache-2.0"


# ---------------------------------------------------------------------------------------------- scorers


def test_no_scorer_has_changed_since_its_values_were_kept(knowledge: Knowledge) -> None:
    changed = [shift.alert or shift.note for shift in scorer_shifts(knowledge) if shift.alert or "--write" in shift.note]
    assert not changed, "meant? then: pixel-synth anchors --write"


@pytest.fixture
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the anchors that a test may change."""
    shutil.copytree(calibration_dir() / "anchors", tmp_path / "calibration" / "anchors")
    monkeypatch.setenv("PIXEL_CALIBRATION_DIR", str(tmp_path / "calibration"))
    return tmp_path / "calibration" / "anchors"


def test_a_scorer_that_changes_on_one_anchor_is_told_though_its_mean_may_hold(
    own_folder: Path, knowledge: Knowledge, capsys: pytest.CaptureFixture[str]
) -> None:
    path = own_folder / "coherence.json"
    data = json.loads(path.read_text())
    data["values"][IDS[0]] += 0.01
    data["values"][IDS[1]] -= 0.01
    path.write_text(json.dumps(data))
    found = {shift.metric: shift for shift in scorer_shifts(knowledge)}
    assert f"changed on 2 of 12 anchors ({IDS[0]}, {IDS[1]})" in found["coherence"].alert
    assert found["coherence"].shift == pytest.approx(0.0, abs=1e-9)
    assert [m for m, s in found.items() if s.alert] == ["coherence"]
    assert main(["anchors"]) == 1
    assert "MOVED" in capsys.readouterr().out
    write_expected(knowledge, own_folder)
    assert main(["anchors"]) == 0


def test_a_scorer_without_expected_values_is_no_alert_and_says_what_to_do(own_folder: Path, knowledge: Knowledge) -> None:
    (own_folder / "coherence.json").unlink()
    found = {shift.metric: shift for shift in scorer_shifts(knowledge)}["coherence"]
    assert (found.alert, found.shift) == ("", None)
    assert "pixel-synth anchors --write" in found.note


# ----------------------------------------------------------------------------------------------- judges


def judged(*samples: dict[str, float | None]) -> Judged:
    return Judged(rubric=REF, model="m", anchors="a", values={id: tuple(s[id] for s in samples) for id in IDS})


def noisy(seed: int, centre: float = 0.5, sd: float = 0.1) -> dict[str, float | None]:
    rng = Random(seed)
    return {id: min(1.0, max(0.0, rng.gauss(centre, sd))) for id in IDS}


def test_the_limit_is_that_of_a_difference_of_means() -> None:
    baseline = judged(noisy(1), noisy(2), noisy(3))
    assert baseline.within is not None
    found = judge_shift(judged(noisy(4)), baseline)
    assert found.limit == pytest.approx(Z * (2 * baseline.within / 12) ** 0.5)
    assert found.limit == pytest.approx(Z * 0.1 * (2 / 12) ** 0.5, rel=0.4)


def test_sampling_alone_raises_an_alert_about_once_in_a_hundred_runs() -> None:
    alerts = [bool(judge_shift(judged(noisy(n + 3)), judged(noisy(n), noisy(n + 1), noisy(n + 2))).alert) for n in range(0, 2000, 4)]
    assert 0 < sum(alerts) <= 0.04 * len(alerts)


def test_a_shift_of_a_level_is_an_alert_with_its_size() -> None:
    found = judge_shift(judged(noisy(4, centre=0.25)), judged(noisy(1), noisy(2), noisy(3)))
    assert found.shift == pytest.approx(-0.25, abs=0.1)
    assert "judge.alliance (m) moved by -0." in found.alert


def test_a_judge_that_never_wavers_may_not_move_at_all() -> None:
    same = dict.fromkeys(IDS, 0.5)
    assert judge_shift(judged(same), judged(same, same)).alert == ""
    assert judge_shift(judged({**same, IDS[0]: 0.75}), judged(same, same)).alert


def test_unscored_anchors_are_left_out_and_counted_and_a_judge_gone_silent_is_an_alert() -> None:
    baseline = judged(noisy(1), noisy(2), noisy(3))
    found = judge_shift(judged({**noisy(4), IDS[0]: None, IDS[1]: None}), baseline)
    assert (found.n, found.lost, found.alert) == (10, 2, "")
    silent = judge_shift(judged(dict.fromkeys(IDS)), baseline)
    assert (silent.shift, silent.limit) == (None, None)
    assert "no anchor was scored" in silent.alert
    both = judge_shift(judged(dict.fromkeys(IDS)), judged(dict.fromkeys(IDS), dict.fromkeys(IDS)))
    assert (both.alert, both.shift) == ("", None)
    assert both.note


# ---------------------------------------------------------------------------- in a run, over real HTTP


class Wavering:
    """A judge that says the second or third level, by sample and session, or so many ``levels`` more."""

    levels = 0

    def __call__(self, model: str, id: str, answers: list[str], wish: Wish) -> str:
        clear = [a for a in answers if a not in ("not_applicable", "unclear")]
        return clear[min((wish.key[0] + len(id)) % 2 + 1 + self.levels, len(clear) - 1)]


def anchored(out: Path, server: JudgeServer, **given: object) -> Run:
    """Make a run of judges alone and judge its anchors, as a run does after its slots."""
    settings = load_settings(
        engine="composer", judges=("alliance",), judge_model=("one",), judge_base_url=(server.url,), out=out, accept=1, **given
    )
    run = Run.create(settings, "psychology")
    run.keep_links(asyncio.run(connect_all(settings)))
    assert anchoring.missing(run)
    anchoring.ensure(run)
    return run


def test_the_first_run_makes_the_baseline_and_the_next_is_held_against_it(tmp_path: Path, knowledge: Knowledge) -> None:
    judge = Wavering()
    with JudgeServer(judge, "one") as server:
        first = anchored(tmp_path, server)
        assert server.asked["one"] == 12 * 3
        second = anchored(tmp_path, server)
        assert server.asked["one"] == 12 * 4
        judge.levels = 2
        third = anchored(tmp_path, server)
    one, other, moved = (anchoring.shifts(run, knowledge)[-1] for run in (first, second, third))
    assert (one.shift, one.note) == (None, "this run is the baseline")
    assert (other.shift, other.alert) == (0.0, ""), "the same judge, asked the same"
    assert moved.alert
    assert moved.shift is not None
    assert moved.limit is not None
    assert 0 < moved.limit < 0.25 < moved.shift
    (path,) = (tmp_path / "anchors").glob("alliance-*.json")
    baseline = Judged.model_validate_json(path.read_text())
    assert baseline.samples == 3
    assert one.now == pytest.approx(fmean(v for v in baseline.means(3).values() if v is not None))


def test_silence_is_no_baseline(tmp_path: Path, knowledge: Knowledge) -> None:
    with JudgeServer(lambda *_: "unclear", "one") as server:
        silent = anchoring.shifts(anchored(tmp_path, server), knowledge)[-1]
    with JudgeServer(Wavering(), "one") as server:
        first = anchoring.shifts(anchored(tmp_path, server), knowledge)[-1]
    assert (silent.now, silent.note) == (None, "no anchor was scored, so there is no baseline")
    assert (first.n, first.note) == (12, "this run is the baseline")


def test_anchors_are_judged_once_and_from_the_ledger_the_same(tmp_path: Path, knowledge: Knowledge) -> None:
    with JudgeServer(Wavering(), "one") as server:
        run = anchored(tmp_path, server)
        kept, asked = (run.path / anchoring.FILE).read_bytes(), server.asked["one"]
        anchoring.ensure(run)
        (run.path / anchoring.FILE).unlink()  # killed before it was written
        (tmp_path / "anchors").rename(tmp_path / "away")
        anchoring.ensure(run)
        assert (server.asked["one"], (run.path / anchoring.FILE).read_bytes()) == (asked, kept)
    rebuilt = Run(tmp_path / "rebuilt")
    rebuilt.path.mkdir()
    rebuilt.save(run.info)
    rebuilt.keep_links(run.links)
    with closing(Ledger(run.path / "ledger.sqlite")) as ledger:
        anchoring.again(run, rebuilt, recalling(run.links, ledger))
        assert {part.part: part.calls for part in ledger.parts()} == {"anchors": 36}
        assert ledger.repairs() == {}
    assert (rebuilt.path / anchoring.FILE).read_bytes() == kept


def test_a_budget_that_is_used_up_leaves_the_anchors_out_and_says_so(tmp_path: Path, knowledge: Knowledge) -> None:
    with JudgeServer(Wavering(), "one") as server:
        run = anchored(tmp_path, server, budget_tokens=1)
    assert anchoring.missing(run)
    assert "not judged: the budget" in (run.path / "log.jsonl").read_text()
    shift = anchoring.shifts(run, knowledge)[-1]
    assert (shift.metric, shift.note, shift.alert) == ("judge.alliance", "the anchors were not judged", "")
    assert not (tmp_path / "anchors").exists()


def test_another_rubric_version_model_or_anchor_text_has_another_baseline() -> None:
    keys = {anchors.key(REF, "m", "a"), anchors.key(REF, "n", "a"), anchors.key(REF, "m", "b")}
    keys.add(anchors.key(REF.model_copy(update={"sha256": "1" * 64}), "m", "a"))
    assert len(keys) == 4


def test_a_damaged_baseline_is_named(tmp_path: Path) -> None:
    with JudgeServer(Wavering(), "one") as server:
        anchored(tmp_path, server)
        (path,) = (tmp_path / "anchors").glob("*.json")
        path.write_text("{}")
        with pytest.raises(RunError, match=path.name):
            anchored(tmp_path, server)


def never(run: object, workers: int) -> object:
    raise AssertionError("every slot is filled")


def test_drift_is_told_at_the_end_of_a_run_and_is_status_3_when_asked(
    tmp_path: Path, plan: Plan, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    judge = Wavering()
    with JudgeServer(judge, "one") as server:
        anchored(tmp_path / "out", server)
        judge.levels = 2
        run = anchored(tmp_path / "out", server)
        slots = make_plan(run.settings, plan.knowledge)
        run.write_plan(slots)
        asker = make_asker(run.links, run.settings)
        with run.new_shard() as shard:
            shard.write(asyncio.run(fill_slot(slots, 0, asker, run.settings)).line().encode() + b"\n")
        assert psychology("psychology", "doc", never, ["--resume", str(run.path)]) == 0  # type: ignore[arg-type]
        assert "drift: judge.alliance (one) moved by +0." in capsys.readouterr().out
        assert psychology("psychology", "doc", never, ["--resume", str(run.path), "--fail-on-drift"]) == 3  # type: ignore[arg-type]
    assert run.damaged() == []
    told = json.loads((run.path / "report.json").read_text())
    assert any(line.startswith("drift: judge.alliance (one)") for line in told["advice"])
    assert {s["metric"]: bool(s["alert"]) for s in told["anchors"]}["judge.alliance"]
    assert "| judge.alliance | one | 12 |" in (run.path / "report.md").read_text()
    assert "moved" in (run.path / "report.html").read_text()
