"""`explain` finds one record by its index and tells what the run, the ledger and the packs know about it."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from small_run import INVALID, LEFT, REPAIRED, SLOTS, small_run

from pixel_synth.cli import main
from pixel_synth.errors import RunError, UsageError
from pixel_synth.llms.ledger import Ledger
from pixel_synth.prompts import load_prompt, prompts_dir
from pixel_synth.publish.index import NAME, Index, rebuild
from pixel_synth.records import Attempt
from pixel_synth.runs.directory import Run
from pixel_synth.runs.explain import LOST, VERIFIED, Account, explain

CAPTURE = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return small_run(tmp_path_factory.getbasetemp() / "small")


@pytest.fixture
def copy(small: Run, tmp_path: Path) -> Run:
    """A copy of the small run that a test may change."""
    return Run(Path(shutil.copytree(small.path, tmp_path / "runs" / "copy")))


def attempt(run: Run, slot: int, number: int) -> Attempt:
    return next(a for o in run.outcomes() if o.slot == slot for a in o.attempts if a.blueprint.attempt == number)


def told(run: Run, slot: int, number: int, *, full: bool = False) -> Account:
    return explain(attempt(run, slot, number).blueprint.id, run.path, full=full)


def ledger_of(run: Run, blueprint: str) -> dict[str, tuple[str, int | None, int | None, int | None, float | None]]:
    ledger = Ledger(run.path / "ledger.sqlite", read_only=True, alone=True)
    found = {
        c.key: (c.completion.text, c.completion.tokens_in, c.completion.cached, c.completion.tokens_out, c.seconds)
        for c in ledger.of(blueprint)
    }
    ledger.close()
    return found


def places(run: Run) -> list[tuple[object, ...]]:
    with sqlite3.connect(run.path / NAME) as db:
        return db.execute("SELECT * FROM places ORDER BY slot, attempt").fetchall()


# ------------------------------------------------------------------------------------------- the index


def test_every_attempt_is_found_by_both_ids_and_by_their_beginnings(small: Run) -> None:
    index = Index(small.path)
    attempts = [a for o in small.outcomes() for a in o.attempts]
    assert {a.status for a in attempts} >= {"accepted", "failed"}
    for a in attempts:
        for id in (a.blueprint.id, *([a.conversation.id] if a.conversation else [])):
            for given in (id, id[:9]):
                (place,) = index.find(given)
                assert index.read(place) == a
        assert [p.attempt for p in index.of_slot(a.blueprint.slot)] == [
            b.blueprint.attempt for b in attempts if b.blueprint.slot == a.blueprint.slot
        ]
    assert index.find("0123456789abcdef0") == []
    index.close()


def test_the_index_made_again_is_the_one_made_while_exporting(copy: Run) -> None:
    before = places(copy)
    assert len(before) == sum(len(o.attempts) for o in copy.outcomes())
    rebuild(copy.path)
    assert places(copy) == before


@pytest.mark.parametrize(("damage", "word"), [("missing", "not there"), ("old", "older"), ("garbled", "damaged")])
def test_an_index_that_cannot_be_used_is_made_again_with_a_note(copy: Run, capsys: CAPTURE, damage: str, word: str) -> None:
    index, before, id = copy.path / NAME, places(copy), attempt(copy, INVALID, 0).blueprint.id
    if damage == "missing":
        index.unlink()
    elif damage == "old":
        os.utime(index, (1, 1))
    else:
        index.write_bytes(b"no database" * 1000)
    assert explain(id, copy.path).attempt.blueprint.id == id
    note = capsys.readouterr().err
    assert note.startswith(f"note: {index} is {word}")
    assert places(copy) == before
    explain(id, copy.path)
    assert capsys.readouterr().err == ""


def test_an_index_of_another_dataset_is_made_again(copy: Run, capsys: CAPTURE) -> None:
    id, data = attempt(copy, INVALID, 0).blueprint.id, copy.path / "data" / "failed.jsonl"
    data.write_text("")
    os.utime(data, (1, 1))
    with pytest.raises(RunError, match="no record"):
        explain(id, copy.path)
    assert "of another dataset" in capsys.readouterr().err


def test_a_dataset_with_a_line_that_is_no_record_is_told_with_its_line(copy: Run) -> None:
    (copy.path / NAME).unlink()
    with (copy.path / "data" / "failed.jsonl").open("a") as file:
        file.write('{"status":"failed"}\n')
    n = sum(a.status == "failed" for o in copy.outcomes() for a in o.attempts)
    with pytest.raises(RunError, match=rf"failed.jsonl:{n + 1}: not a record"):
        Index(copy.path)
    assert not (copy.path / NAME).exists()
    assert not list(copy.path.glob(".*.part"))


# ----------------------------------------------------------------------------------------- the account


def test_every_call_is_told_once_and_the_sums_are_those_of_the_ledger(small: Run) -> None:
    for outcome in small.outcomes():
        for a in outcome.attempts:
            for full in (False, True):
                account = explain(a.blueprint.id, small.path, full=full)
                stored = ledger_of(small, a.blueprint.id)
                answered = {c.key: (c.text, c.tokens_in, c.cached, c.tokens_out, c.seconds) for c in account.calls if c.finish != "failed"}
                assert answered == stored
                assert len(account.calls) == len(stored) + (a.kind == "timeout")
                sums = account.totals()
                assert sums["tokens_in"] == sum(s[1] or 0 for s in stored.values()) > 0
                assert sums["tokens_out"] == sum(s[3] or 0 for s in stored.values()) > 0
                assert sums["seconds"] == pytest.approx(sum(s[4] or 0 for s in stored.values()))


def test_calls_stand_in_the_order_of_the_session(small: Run) -> None:
    account = told(small, SLOTS - 1, 0)
    n = account.attempt.blueprint.turns
    expected = [("scenario", 0), *((("client", "therapist")[i % 2], i) for i in range(n)), ("reasoning", n), ("judge.alliance", n)]
    assert [(c.part, c.turn) for c in account.calls] == expected
    assert not any(c.note or c.messages for c in account.calls)


def test_a_repair_stands_behind_what_it_repairs(small: Run) -> None:
    account = told(small, REPAIRED, 0)
    first, second = (c for c in account.calls if c.turn == 3)
    assert (first.note, second.note) == ("unusable", "repair 1")
    assert first.text == '{"say": "half a'
    assert account.calls.index(second) == account.calls.index(first) + 1


def test_prompts_are_verified_by_their_hash(small: Run, capsys: CAPTURE) -> None:
    account = told(small, SLOTS - 1, 0, full=True)
    assert {c.prompt for c in account.calls} == {VERIFIED}
    assert account.lost == ""
    assert all(c.messages and c.messages[0]["role"] == "system" for c in account.calls)
    assert main(["explain", account.attempt.blueprint.id, "--run", str(small.path), "--calls"]) == 0
    shown = capsys.readouterr().out
    assert shown.count(VERIFIED) == len(account.calls)
    assert all(c.key in shown for c in account.calls)


def test_changed_prompts_are_noticed(small: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: CAPTURE) -> None:
    folder = shutil.copytree(prompts_dir(), tmp_path / "prompts")
    with (folder / "therapist.md").open("a") as file:
        file.write("\nBe brief.\n")
    (folder / "reasoning.md").unlink()
    monkeypatch.setenv("PIXEL_PROMPTS_DIR", str(folder))
    load_prompt.cache_clear()
    try:
        account = told(small, SLOTS - 1, 0, full=True)
        assert main(["explain", account.attempt.blueprint.id, "--run", str(small.path)]) == 0
    finally:
        load_prompt.cache_clear()
    shown = capsys.readouterr().out
    here = {p.ref.name: p.here for p in account.prompts}
    assert here == {
        "scenario": "same",
        "client": "same",
        "therapist": "changed",
        "reasoning": "missing",
        "judge": "same",
        "judges/alliance": "same",
    }
    assert "another text" in shown
    assert "no such file" in shown
    stored = ledger_of(small, account.attempt.blueprint.id)
    assert {c.key for c in account.calls} == stored.keys()
    assert [c.prompt for c in account.calls[:2]] == [VERIFIED, VERIFIED]  # scenario, and the client's first turn
    assert {c.prompt for c in account.calls[2:]} == {LOST}
    assert account.lost == LOST


def test_a_failed_attempt_shows_its_kind_and_its_raw_answer(small: Run, capsys: CAPTURE) -> None:
    assert main(["explain", attempt(small, INVALID, 0).blueprint.id, "--run", str(small.path)]) == 0
    shown = capsys.readouterr().out
    assert "failed: invalid" in shown
    assert '│ {"say": "half a' in shown
    assert told(small, INVALID, 0).calls[-1].note == "repair 1, unusable: invalid"
    last = told(small, LEFT, 0).calls[-1]
    assert (last.finish, last.note) == ("failed", "timeout: no answer within 5 s")


def test_other_attempts_of_the_slot_are_told_with_their_reasons(small: Run, capsys: CAPTURE) -> None:
    account = told(small, INVALID, 1)
    first = account.others[0]
    assert (first.place.attempt, first.place.status) == (0, "failed")
    assert first.reason == attempt(small, INVALID, 0).reason
    assert main(["explain", account.attempt.blueprint.id, "--run", str(small.path)]) == 0
    assert f"other attempts of slot {INVALID}" in capsys.readouterr().out


def test_the_whole_account_fits_a_terminal_and_names_everything(finished_run: Path, capsys: CAPTURE) -> None:
    run = Run(finished_run)
    written = {a.status: a for o in run.outcomes() for a in o.attempts}
    for a in (written["accepted"], written["rejected"]):
        assert a.conversation
        assert main(["explain", a.conversation.id, "--run", str(finished_run)]) == 0
        shown = capsys.readouterr().out
        lines = shown.splitlines()
        assert max(map(len, lines)) <= 100
        assert [a.status in lines[0], a.conversation.id in lines[0]] == [True, True]
        order = [
            next(i for i, x in enumerate(lines) if x.startswith(head))
            for head in ("plan", "knowledge", "prompts", "calls", "scores", "gate")
        ]
        assert order == sorted(order)
        assert all(key[:12] in shown for key in ledger_of(run, a.blueprint.id))
        assert all(f"  {score.metric}" in shown for score in a.conversation.scores)
        assert "not in the packs here" not in shown
        joined = " ".join(shown.split())
        assert all(" ".join(reason.split()) in joined for reason in a.conversation.verdict.reasons) if a.conversation.verdict else True
        account = explain(a.conversation.id, finished_run)
        assert [c.ref for c in account.cited] == list(a.blueprint.knowledge)
        assert all(c.name and c.sources for c in account.cited)


def test_json_holds_everything(small: Run, capsys: CAPTURE) -> None:
    a = attempt(small, SLOTS - 1, 0)
    assert main(["explain", a.blueprint.id, "--run", str(small.path), "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert Attempt.model_validate(data["attempt"]) == a
    assert {c["key"] for c in data["calls"]} == ledger_of(small, a.blueprint.id).keys()
    assert all(c["messages"] for c in data["calls"])
    assert data["totals"]["calls"] == len(data["calls"])


# -------------------------------------------------------------------------------------------- the look-up


def test_ids_that_do_not_lead_to_one_record(copy: Run, capsys: CAPTURE) -> None:
    with pytest.raises(UsageError, match="too short"):
        explain("abc", copy.path)
    with pytest.raises(RunError, match="no record 'ffff0000ffff'"):
        explain("ffff0000ffff", copy.path)
    path = copy.path / "data" / "failed.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for number, line in enumerate(lines):
        line["blueprint"]["id"] = f"abcd{number:012d}"
    assert len(lines) > 1
    path.write_text("".join(Attempt.model_validate(line).line() + "\n" for line in lines))
    assert main(["explain", "abcd", "--run", str(copy.path)]) == 1
    said = capsys.readouterr().err
    assert f"'abcd' fits {len(lines)} records" in said
    assert all(line["blueprint"]["id"] in said for line in lines)
    assert explain(lines[1]["blueprint"]["id"], copy.path).place.attempt == lines[1]["blueprint"]["attempt"]


def test_without_a_run_the_newest_one_that_has_the_id_is_taken(copy: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    out = copy.path.parent
    monkeypatch.setenv("PIXEL_OUT", str(out))
    id = attempt(copy, INVALID, 0).blueprint.id
    newer = Run(Path(shutil.copytree(copy.path, out / "newer")))
    newer.update(started="2999-01-01T00:00:00+00:00")
    newest = Run(Path(shutil.copytree(copy.path, out / "newest")))
    newest.update(started="2999-12-31T00:00:00+00:00")
    (newest.path / "data" / "failed.jsonl").write_text("")
    (out / "not-a-run").mkdir()
    (out / "unfinished" / "data").mkdir(parents=True)
    shutil.copy(copy.path / "run.json", out / "unfinished")
    assert explain(id).run == newer.path
    with pytest.raises(RunError, match="the 3 runs below"):
        explain("ffff0000ffff")


def test_a_run_without_ledger_or_dataset_says_so(copy: Run) -> None:
    id = attempt(copy, INVALID, 0).blueprint.id
    (copy.path / "ledger.sqlite").unlink()
    account = explain(id, copy.path)
    assert account.calls == []
    assert "answers of this run are lost" in account.lost
    (copy.path / "data" / "rejected.jsonl").unlink()
    with pytest.raises(RunError, match="the run has not ended"):
        explain(id, copy.path)
    (copy.path / "run.json").write_text("{")
    with pytest.raises(RunError, match="damaged"):
        explain(id, copy.path)
    with pytest.raises(RunError, match="not a run directory"):
        explain(id, copy.path.parent)


def test_the_usual_account_loads_nothing_heavy(small: Run) -> None:
    id = attempt(small, SLOTS - 1, 0).blueprint.id
    code = "import sys; from pixel_synth.cli import main; main(sys.argv[1:]); print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code, "explain", id, "--run", str(small.path)], capture_output=True, text=True, timeout=60, check=True
    )
    names = set(done.stdout.splitlines()[-1].split())
    assert "pixel_synth.runs.explain" in names
    heavy = {
        "distilabel",
        "datasets",
        "matplotlib",
        "pyarrow",
        "aiohttp",
        "rich",
        "pydantic_settings",
        "pixel_synth.scorers",
        "pixel_synth.plan",
    }
    assert not names & heavy
