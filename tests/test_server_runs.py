"""Whole runs against servers with every kind of fault: the books add up, nothing is lost, and the run ends well or says why not."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest
from aiohttp import web
from processes import Ended, Process
from threaded import Threaded

from pixel_synth.calibrate.anchors import sessions
from pixel_synth.knowledge import Knowledge
from pixel_synth.llms.ask import Asker, Voice
from pixel_synth.llms.composer import Composer
from pixel_synth.llms.engine import Call, Completion
from pixel_synth.llms.ledger import Ledger
from pixel_synth.llms.mock import Mock
from pixel_synth.llms.mock.faults import KINDS
from pixel_synth.llms.server import Servers
from pixel_synth.llms.tries import Limits
from pixel_synth.llms.wire import Wire
from pixel_synth.plan import make_plan
from pixel_synth.publish.tally import Tally
from pixel_synth.records import Attempt, Outcome
from pixel_synth.runs.chain import fill_slot
from pixel_synth.runs.directory import Run
from pixel_synth.settings import load_settings

pytestmark = pytest.mark.heavy
N = 8
SMALL = ("-n", N, "--max-attempts", 2)
CANARY = 3  # requests of the canary at one server
DATA = ("conversations", "rejected", "failed")
# Which kind of failure each fault that never passes ends as; "slow" is no failure.
BOOKED = {
    "400": "bad_request", "429": "rate_limited", "500": "server_error", "503": "server_error", "drop": "unreachable", "hang": "timeout",
    "garbage": "server_error", "truncate": "truncated", "cut": "invalid", "violate": "invalid", "prose": "invalid", "empty": "empty",
    "null": "empty", "refuse": "refused",
}  # fmt: skip
RAW = {"truncated", "invalid", "refused"}  # kinds of which an answer is there to be kept


class Done(NamedTuple):
    """A run that has ended: how, where, and what the servers saw of it."""

    ended: Ended
    path: Path
    stats: tuple[dict[str, Any], ...] = ()

    @property
    def digests(self) -> dict[str, str]:
        """Hashes of all that a run hands out as data."""
        names = ["plan.jsonl", "replans.jsonl", *(f"data/{name}.jsonl" for name in DATA), "data/conversations.parquet"]
        return {name: hashlib.sha256((self.path / name).read_bytes()).hexdigest() for name in names}

    @property
    def failed(self) -> list[Attempt]:
        return [Attempt.model_validate_json(line) for line in (self.path / "data" / "failed.jsonl").read_text().splitlines()]


def pipeline(out: Path, urls: list[str], *args: object, **env: object) -> Done:
    """Run the script to its end against servers."""
    addresses = [word for url in urls for word in ("--base-url", url)]
    ended = Process("--engine", "server", *addresses, "--out", out, *args, **env).wait()
    return Done(ended, out / "psychology-001")


def books(done: Done) -> dict[str, int]:
    """Check that a finished run's books add up to the unit everywhere, and return them."""
    assert done.ended.status in (0, 3), done.ended
    run = Run.open(done.path)
    assert run.damaged() == []
    told = json.loads((done.path / "report.json").read_text())["books"]
    lines = {name: len((done.path / "data" / f"{name}.jsonl").read_bytes().splitlines()) for name in DATA}
    assert (told["accepted"], told["rejected"], told["failed"]) == tuple(lines.values())
    outcomes = list(run.outcomes())
    assert told["planned"] == sum(lines.values()) == sum(len(o.attempts) for o in outcomes)
    assert f"books: {told['planned']} planned = {told['accepted']} accepted" in done.ended.out
    assert [o.slot for o in outcomes] == sorted({o.slot for o in outcomes}), "a slot counted twice"
    for attempt in done.failed:
        assert attempt.kind
        assert attempt.reason
        assert bool(attempt.raw) == (attempt.kind in RAW)
    return dict(told)


def spread(stats: dict[str, Any]) -> int:
    """Check that a server's own books add up, and return how many of its answers were no canary's."""
    ends = sum(stats[k] for k in ("answered", "rejected", "left", "in_flight"))
    assert stats["requests"] == ends + sum(stats["faults"].values())
    return int(stats["answered"] + stats["faults"].get("slow", 0)) - CANARY


# ---------------------------------------------------------------------------------------------- the runs

PASSING = ("500", "503", "429", "drop", "garbage", "slow", "hang")


def undisturbed(out: Path) -> Done:
    with Mock() as mock:
        return pipeline(out, [mock.url], *SMALL)._replace(stats=(mock.stats(),))


def passing(out: Path) -> Done:
    """Every fault that the next try gets past, and a burst on top."""
    shares = [word for kind in PASSING for word in ("--fault", f"{kind}={0.02 if kind == 'hang' else 0.08}")]
    with Mock(*shares, "--slow-s", "0.2", "--spare", str(CANARY), "--burst", "1:503:6") as mock:
        done = pipeline(out, [mock.url], *SMALL, PIXEL_TIMEOUT_S=3, PIXEL_TRIES=12)
        return done._replace(stats=(mock.stats(),))


def lasting(out: Path) -> Done:
    """Every fault, and no try gets past it; nothing is repaired."""
    shares = [word for kind in KINDS for word in ("--fault", f"{kind}={0.008 if kind in PASSING else 0.016}")]
    env = {"PIXEL_TIMEOUT_S": 2, "PIXEL_TRIES": 2, "PIXEL_PATIENCE_S": 1, "PIXEL_REPAIRS": 0}
    with Mock(*shares, "--slow-s", "0.1", "--spare", str(CANARY), "--fault-tries", "-1") as mock:
        done = pipeline(out, [mock.url], "-n", N, "--max-attempts", 4, **env)
        return done._replace(stats=(mock.stats(),))


def judged(out: Path) -> Done:
    """Two servers that spoil answers, and a judge with a model of its own on a third one."""
    kinds = ("truncate", "cut", "violate", "prose", "empty", "null", "refuse")
    shares = [word for kind in kinds for word in ("--fault", f"{kind}=0.03")]
    with (
        Mock(*shares, "--spare", str(CANARY), "--model", "writer") as one,
        Mock(*shares, "--spare", str(CANARY), "--model", "writer") as two,
        Mock("--model", "critic") as judge,
    ):
        done = pipeline(out, [one.url, two.url], *SMALL, "--judge", "alliance", "--judge-base-url", judge.url)
        return done._replace(stats=(one.stats(), two.stats(), judge.stats()))


def dying(out: Path) -> Done:
    """The server dies in mid-run and stays away."""
    with Mock("--die-after", "60") as mock:
        done = pipeline(out, [mock.url], *SMALL, PIXEL_PATIENCE_S=12)
        assert mock.process.wait(10) == 1
        return done


def revived(out: Path) -> Done:
    """What `dying` left is gone on with at another server, which dies as well and comes back."""
    first = dying(out)
    if first.ended.status != 1:
        return first
    with Mock("--die-after", "60") as mock:
        process = Process("--resume", first.path, "--base-url", mock.url)
        mock.process.wait(300)
        time.sleep(0.5)  # long enough that calls are refused
        with Mock("--port", str(urlsplit(mock.url).port)) as back:
            return Done(process.wait(), first.path, ({"first": first.ended._asdict()}, back.stats()))


def budgeted(out: Path) -> Done:
    """The budget of tokens is used up; gone on with under a larger one."""
    with Mock("--token-ms", "0.2") as mock:
        first = pipeline(out, [mock.url], *SMALL, "--budget-tokens", 300_000)
        told = {"ended": first.ended._asdict(), "books": books(first), "stopped": Run.open(first.path).stopped}
        told["short"] = json.loads((first.path / "report.json").read_text())["shortfall"]
        told["spent"] = Ledger(first.path / "ledger.sqlite", read_only=True).totals()
        ended = Process("--resume", first.path, "--budget-tokens", 100_000_000).wait()
        return Done(ended, first.path, (told, mock.stats()))


def timed(out: Path) -> Done:
    """The hours are over before anything is asked."""
    with Mock() as mock:
        return pipeline(out, [mock.url], *SMALL, "--budget-hours", 0.0001)._replace(stats=(mock.stats(),))


def exact(out: Path) -> Done:
    """A server that writes as the composer does, but spoils the reasoning of one slot's first attempt."""
    with Recited(N) as server:
        done = pipeline(out, [server.url], "-n", N)
        return done._replace(stats=({"asked": server.asked, "unknown": server.unknown},))


JOBS: dict[str, Callable[[Path], Done]] = {f.__name__: f for f in (undisturbed, passing, lasting, judged, revived, budgeted, timed, exact)}


class Recited(Threaded):
    """A server in a thread that knows the composer's answer to every request of a run, by its messages."""

    def __init__(self, n: int, spoiled: int = 3) -> None:
        self.asked: Counter[str] = Counter()
        self.unknown = 0
        self._answers = _answers(n, spoiled)

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self._chat)
        app.router.add_get("/v1/models", self._models)
        return app

    async def _models(self, _: web.Request) -> web.Response:
        return web.json_response({"data": [{"id": "reciter"}]})

    async def _chat(self, request: web.Request) -> web.Response:
        body = await request.json()
        key = json.dumps(body["messages"])
        schema = body["response_format"]["json_schema"]["schema"]
        if schema["title"] == "canary":
            text = json.dumps({"v": schema["properties"]["v"].get("enum", ["yes"])[0]})
        else:
            self.asked[key] += 1
            text = self._answers.get(key, "")
            self.unknown += not text
        usage = {"prompt_tokens": len(key) // 4, "completion_tokens": len(text) // 4}
        return web.json_response({"choices": [{"message": {"content": text}, "finish_reason": "stop"}], "usage": usage})


def _answers(n: int, spoiled: int) -> dict[str, str]:
    """Return the text for the messages of every call that filling n slots takes."""
    from pixel_synth.knowledge import load

    settings = load_settings(engine="server", base_url=("http://h",), model="reciter", accept=n)
    plan, composer = make_plan(settings, load()), Composer(load())
    answers: dict[str, str] = {}

    async def ask(call: Call) -> Completion:
        assert call.brief is not None
        bp = call.brief.blueprint
        if call.brief.part == "reasoning" and (bp.slot, bp.attempt) == (spoiled, 0):
            completion = Completion(text="Let me think about that.")
        else:
            completion = await composer.complete(call)
        answers[json.dumps(call.messages)] = completion.text
        return completion

    async def all_slots() -> None:
        for slot in range(n):
            await fill_slot(plan, slot, ask, settings)

    asyncio.run(all_slots())
    return answers


@pytest.fixture(scope="module")
def job(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Done]]:
    """Return a run by its name; where many are wanted they are made two at a time, in the background."""
    made: dict[str, Future[Done]] = {}
    with ThreadPoolExecutor(2) as pool:

        def result(name: str) -> Done:
            if name not in made:
                made[name] = pool.submit(JOBS[name], tmp_path_factory.mktemp(name))
            return made[name].result()

        ours = [item for item in request.session.items if item.path == request.path and "job" in getattr(item, "fixturenames", ())]
        if len(ours) > 4:
            for name in JOBS:
                made[name] = pool.submit(JOBS[name], tmp_path_factory.mktemp(name))
        yield result


# -------------------------------------------------------------------------------- one fault, one process


@pytest.fixture(scope="module")
def mock() -> Iterator[Mock]:
    with Mock("--slow-s", "0.05", "--fault-tries", "-1", "--retry-after", "0.01") as mock:
        yield mock


@pytest.mark.parametrize("kind", KINDS)
def test_a_fault_that_lasts_is_booked_with_its_kind_and_its_raw_text(mock: Mock, tmp_path: Path, knowledge: Knowledge, kind: str) -> None:
    """One slot, two attempts, each of which meets the fault at some call: the rest of the chain is real."""
    mock.faults(**{kind: 0.3})
    settings = load_settings(engine="server", base_url=(mock.url,), model="mock", accept=1, max_attempts=2, repairs=0)
    plan, ledger = make_plan(settings, knowledge), Ledger(tmp_path / "ledger.sqlite")

    async def fill(again: bool) -> Outcome:
        limits = Limits(tries=2, timeout_s=0.4 if kind == "hang" else 10, patience_s=0.2)
        engine = Servers((mock.url,), "mock", Wire("response_format", "length", True), limits)
        try:
            return await fill_slot(plan, 0, Asker(Voice(None if again else engine, "mock"), ledger=ledger), settings)
        finally:
            await engine.close()

    outcome = asyncio.run(fill(False))
    tally = Tally()
    tally.add(outcome)
    assert tally.books.planned == tally.books.rejected + tally.books.failed == 2
    kinds = {a.kind for a in outcome.attempts if a.status == "failed"}
    assert kinds == ({BOOKED[kind]} if kind in BOOKED else set())
    for attempt in outcome.attempts:
        if attempt.status == "failed":
            assert bool(attempt.raw) == (attempt.kind in RAW)
            assert attempt.reason
    assert asyncio.run(fill(True)) == outcome, "the ledger alone tells the same"


# ------------------------------------------------------------------------------------------- whole runs


def test_an_undisturbed_run_asks_every_call_once(job: Callable[[str], Done]) -> None:
    done = job("undisturbed")
    assert done.ended.status == 3
    told = books(done)
    assert (told["planned"], told["failed"], told["shortfall"]) == (2 * N, 0, N)
    assert "proven by canary" in done.ended.out
    assert "Traceback" not in done.ended.errors
    (stats,) = done.stats
    assert spread(stats) == Ledger(done.path / "ledger.sqlite", read_only=True).count()
    assert stats["keys_answered_twice"] == 0
    assert stats["left"] == 0


def test_faults_that_pass_by_leave_the_same_bytes(job: Callable[[str], Done]) -> None:
    done = job("passing")
    assert books(done)["failed"] == 0
    assert done.digests == job("undisturbed").digests
    (stats,) = done.stats
    assert set(stats["faults"]) >= {"500", "503", "429", "drop", "garbage", "slow"}
    retries = Ledger(done.path / "ledger.sqlite", read_only=True).totals()
    assert stats["keys_answered_twice"] <= retries.get("retry_timeout", 0), "an answer was asked for twice"
    assert {"retry_server_error", "retry_rate_limited", "retry_unreachable"} <= retries.keys()


def test_faults_that_last_end_in_the_books_and_take_no_other_row_along(job: Callable[[str], Done]) -> None:
    done = job("lasting")
    told = books(done)
    assert told["failed"] >= N
    assert told["shortfall"] == N
    kinds = Counter(a.kind for a in done.failed)
    assert len(kinds) >= 4, kinds
    assert set(kinds) <= set(BOOKED.values())
    for kind, n in kinds.items():
        assert f"{n} {kind}" in done.ended.out
    (stats,) = done.stats
    met = {BOOKED[fault] for fault in stats["faults"] if fault != "slow"}
    assert len(met - kinds.keys()) <= 2, "only a request struck in two ways, slow one of them, may get through"


def test_two_servers_share_the_work_and_answers_without_use_are_repaired(job: Callable[[str], Done]) -> None:
    done = job("judged")
    told = books(done)
    one, two, judge = done.stats
    assert told["failed"] < told["planned"] / 2, "two repairs do not mend most of them"
    assert min(spread(one), spread(two)) > 0
    assert sum(m["faults"].get("truncate", 0) + m["faults"].get("violate", 0) for m in (one, two)) > 0
    judged = told["accepted"] + told["rejected"] + len(sessions()) * load_settings().anchor_samples
    assert judge["requests"] - CANARY == 3 * judged, "the judge quotes nothing: asked, and repaired twice, of anchors too"
    for line in (done.path / "data" / "rejected.jsonl").read_text().splitlines():
        row = json.loads(line)
        (score,) = [s for s in row["scores"] if s["metric"] == "judge.alliance"]
        assert score["value"] is None
        assert score["reason"].startswith("invalid")
        assert row["provenance"]["model"] == "writer"
        assert {"judge", "judges/alliance"} <= {p["name"] for p in row["provenance"]["prompts"]}
    assert "judge: critic" in done.ended.out


def test_a_server_that_stays_away_ends_the_run_and_another_one_finishes_it(job: Callable[[str], Done]) -> None:
    done = job("revived")
    first = done.stats[0]["first"]
    assert first["status"] == 1
    assert "no server answers any more" in first["errors"]
    assert f"--resume {done.path}" in first["errors"]
    assert "Traceback" not in first["errors"]
    books(done)
    assert done.digests == job("undisturbed").digests


def test_a_budget_of_tokens_stops_the_run_which_a_larger_one_finishes(job: Callable[[str], Done]) -> None:
    done = job("budgeted")
    first, stats = done.stats
    assert first["ended"]["status"] == 3
    assert "budget of 300,000 tokens is used up" in first["ended"]["out"]
    assert "larger budget" in first["ended"]["out"]
    assert first["stopped"]
    assert first["books"]["shortfall"] == N == sum(cell["slots"] for cell in first["short"])
    assert first["books"]["planned"] < 2 * N
    spent = first["spent"]["tokens_in"] + first["spent"]["tokens_out"]
    assert 300_000 <= spent < 600_000
    books(done)
    assert done.digests == job("undisturbed").digests
    assert stats["keys_answered_twice"] == CANARY - 1, "what was paid for is paid for again: more than the canary was asked twice"


def test_hours_that_are_over_leave_every_slot_in_the_shortfall_table(job: Callable[[str], Done]) -> None:
    done = job("timed")
    assert done.ended.status == 3
    told = books(done)
    assert told == {"planned": 0, "accepted": 0, "rejected": 0, "failed": 0, "shortfall": N}
    assert "hours of the budget are over" in done.ended.out
    assert sum(s["slots"] for s in json.loads((done.path / "report.json").read_text())["shortfall"]) == N
    assert spread(done.stats[0]) == 0


def test_as_many_as_are_wanted_are_accepted_and_a_lost_one_is_planned_again(job: Callable[[str], Done]) -> None:
    done = job("exact")
    (stats,) = done.stats
    told = books(done)
    assert done.ended.status == 0
    assert (told["accepted"], told["shortfall"]) == (N, 0)
    assert stats["unknown"] == 0
    assert told["failed"] == 1
    (lost,) = done.failed
    assert (lost.kind, lost.raw, lost.blueprint.slot) == ("invalid", "Let me think about that.", 3)
    outcome = next(o for o in Run.open(done.path).outcomes() if o.slot == 3)
    assert outcome.accepted
    assert {a.blueprint.cell for a in outcome.attempts} == {lost.blueprint.cell}, "planned again for the same cell"
    accepted = [json.loads(line) for line in (done.path / "data" / "conversations.jsonl").read_text().splitlines()]
    assert {row["provenance"]["engine"] for row in accepted} == {"server"}
    assert max(stats["asked"].values()) == 2, "only the two repairs of the lost answer have the same messages"


def test_a_preview_predicts_and_writes_nothing(tmp_path: Path) -> None:
    with Mock("--batch", "4", "--token-ms", "0.2") as mock:
        ended = Process("--base-url", mock.url, "-n", 50, "--preview", 3, "--max-attempts", 1, "--out", tmp_path / "runs").wait()
    assert ended.status == 0, ended
    assert "preview: 3 slots, 3 attempts" in ended.out
    assert "50 slots: about" in ended.out
    assert "95% interval" in ended.out
    assert "at most about" in ended.out
    assert not (tmp_path / "runs").exists()


def test_a_server_that_does_not_constrain_stops_before_anything_is_made(tmp_path: Path) -> None:
    with Mock("--ways", "none") as mock:
        ended = Process("--base-url", mock.url, "-n", 2, "--out", tmp_path / "runs").wait()
    assert ended.status == 1
    assert "does not constrain" in ended.errors
    assert "guided_json" in ended.errors
    assert "Traceback" not in ended.errors
    assert not (tmp_path / "runs").exists()
