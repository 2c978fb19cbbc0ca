"""The mock server over real HTTP: valid answers, every fault, the batch, the prefix cache, and what is left of its processes."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from random import Random
from typing import Any, Literal, NamedTuple

import aiohttp
import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pixel_synth.errors import EngineError
from pixel_synth.llms.mock import Mock
from pixel_synth.llms.mock.answers import Writer
from pixel_synth.llms.mock.faults import KINDS, Burst, Faults, draw
from pixel_synth.llms.mock.pace import Pace, PrefixCache, Slots
from pixel_synth.llms.mock.spoil import reply, violated
from pixel_synth.llms.wire import patterned
from pixel_synth.records import Reasoning, Scenario
from pixel_synth.tasks.dialogue import ClientTurn, TherapistTurn, schema

TASKS: dict[str, tuple[type[BaseModel], dict[str, Any]]] = {
    "scenario": (Scenario, Scenario.model_json_schema()),
    "client": (ClientTurn, schema("client")),
    "therapist": (TherapistTurn, schema("therapist", ("a.b", "c.d"))),
    "reasoning": (Reasoning, Reasoning.model_json_schema()),
}
TURN = TASKS["client"][1]


class Got(NamedTuple):
    """What came back: a status (0 = none), the body, the headers, and the seconds it took."""

    status: int
    text: str
    headers: dict[str, str]
    took_s: float

    @property
    def choice(self) -> dict[str, Any]:
        return json.loads(self.text)["choices"][0]

    @property
    def content(self) -> str:
        return self.choice["message"]["content"]


def body(text: str = "Hello.", answer: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    wanted = {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": answer}}} if answer else {}
    return {"model": "mock", "messages": [{"role": "user", "content": text}], "max_tokens": 4000, **wanted, **fields}


def ask(mock: Mock, *bodies: Any, timeout_s: float = 5.0) -> list[Got]:
    """Send all requests at once and return the answers in the order of the requests."""

    async def one(session: aiohttp.ClientSession, data: Any) -> Got:
        began = time.monotonic()
        try:
            async with session.post(f"{mock.url}/chat/completions", json=data) as response:
                return Got(response.status, await response.text(), dict(response.headers), time.monotonic() - began)
        except (aiohttp.ClientConnectionError, TimeoutError) as error:
            return Got(0, type(error).__name__, {}, time.monotonic() - began)

    async def run() -> list[Got]:
        limits = aiohttp.ClientTimeout(timeout_s)
        async with aiohttp.ClientSession(timeout=limits, connector=aiohttp.TCPConnector(limit=0)) as session:
            return list(await asyncio.gather(*(one(session, data) for data in bodies)))

    return asyncio.run(run())


def get(mock: Mock, path: str) -> Got:
    async def run() -> Got:
        async with aiohttp.ClientSession() as session, session.get(mock.url.removesuffix("/v1") + path) as response:
            return Got(response.status, await response.text(), dict(response.headers), 0.0)

    return asyncio.run(run())


@pytest.fixture(scope="module")
def shared() -> Iterator[Mock]:
    with Mock("--cache-blocks", "1000") as mock:
        yield mock


@pytest.fixture
def mock(shared: Mock) -> Mock:
    shared.faults()
    shared.pace(batch=0, token_ms=0, latency_ms=0, prefill_tps=0, slow_s=0)
    return shared


# ---------------------------------------------------------------------------------------------- answers


@pytest.mark.parametrize("task", TASKS)
def test_answers_are_valid_for_the_toolkits_records_in_every_way_and_dialect(mock: Mock, task: str) -> None:
    model, wanted = TASKS[task]
    spoken = patterned(wanted)
    asked = [body(answer=wanted, seed=n) for n in range(10)] + [body(answer=spoken, seed=n) for n in range(10)]
    asked += [body(structured_outputs={"json": wanted}, seed=n) for n in range(3)] + [body(guided_json=wanted, seed=n) for n in range(3)]
    for got in ask(mock, *asked):
        assert got.status == 200
        model.model_validate_json(got.content)
        assert got.choice["finish_reason"] == "stop"


def test_equal_requests_get_equal_answers_and_another_seed_another_one(mock: Mock) -> None:
    one, two, other, way = ask(
        mock, body(answer=TURN, seed=1), body(answer=TURN, seed=1), body(answer=TURN, seed=2), body(guided_json=TURN, seed=1)
    )
    assert one.content == two.content == way.content
    assert one.content != other.content


def test_without_a_schema_the_answer_is_prose_cut_at_max_tokens(mock: Mock) -> None:
    whole, cut = ask(mock, body(), body(max_tokens=5))
    assert whole.content.endswith(".")
    assert whole.choice["finish_reason"] == "stop"
    assert len(cut.content) == 20
    assert cut.choice["finish_reason"] == "length"
    assert json.loads(cut.text)["usage"]["completion_tokens"] == 5


class Node(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=3, max_length=6)
    share: float = Field(gt=0, lt=0.001)
    count: int = Field(gt=4, le=6)
    code: Literal["x"]
    pair: tuple[int, str]
    mood: Literal["good", "bad"] | None
    tags: list[str] = Field(min_length=5, max_length=9)
    below: list[Node] = Field(max_length=2)
    note: str | None = Field(default=None, min_length=300, max_length=310)


def test_documents_keep_every_bound_of_a_recursive_schema() -> None:
    wanted = Node.model_json_schema()
    found = [Node.model_validate(Writer(wanted, Random(n), 2.0).document()) for n in range(60)]
    assert {node.count for node in found} == {5, 6}
    assert {node.mood for node in found} == {"good", "bad", None}
    assert any(node.below for node in found)


def test_a_spread_of_length_stays_within_the_schema() -> None:
    sizes = []
    for n in range(300):
        answer = reply(n, TASKS["client"][1], sigma=1.0)
        sizes.append(len(ClientTurn.model_validate_json(answer.text or "").say))
    assert min(sizes) < 200
    assert max(sizes) > 1400


@pytest.mark.parametrize("task", TASKS)
def test_a_violation_is_json_that_the_record_refuses(task: str) -> None:
    model, wanted = TASKS[task]
    for n in range(60):
        document = Writer(wanted, Random(n)).document()
        model.model_validate(document)
        with pytest.raises(ValidationError):
            model.model_validate_json(json.dumps(violated(document, wanted, Random(n))))


def test_requests_that_are_wrong_in_themselves_are_rejected(mock: Mock) -> None:
    before = mock.stats()["rejected"]
    wrong = [[], {"model": "mock"}, body(model="other"), body("long " * 40_000), body(stream=True), body(max_tokens=0)]
    wrong += [body(guided_json="{"), body(guided_json={"$ref": "#/$defs/Nowhere"})]
    assert [got.status for got in ask(mock, *wrong)] == [400, 400, 404, 400, 400, 400, 400, 400]
    assert mock.stats()["rejected"] - before == len(wrong)


# ----------------------------------------------------------------------------------------------- faults


def broken_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return True
    return False


def breaks_the_record(text: str) -> bool:
    try:
        ClientTurn.model_validate_json(text)
    except ValidationError:
        return not broken_json(text)
    return False


GONE = {"ServerDisconnectedError", "ClientOSError"}
SEEN: dict[str, Callable[[Got], bool]] = {
    "400": lambda got: got.status == 400 and "error" in json.loads(got.text),
    "429": lambda got: got.status == 429 and got.headers["Retry-After"] == "0.05",
    "500": lambda got: got.status == 500,
    "503": lambda got: got.status == 503,
    "drop": lambda got: got.status == 0 and got.text in GONE,
    "hang": lambda got: got.status == 0 and "Timeout" in got.text,
    "slow": lambda got: got.status == 200 and got.took_s >= 0.2,
    "garbage": lambda got: got.status == 200 and broken_json(got.text),
    "truncate": lambda got: broken_json(got.content) and got.choice["finish_reason"] == "length",
    "cut": lambda got: broken_json(got.content) and got.choice["finish_reason"] == "stop",
    "violate": lambda got: breaks_the_record(got.content),
    "prose": lambda got: broken_json(got.content) and got.content.endswith("."),
    "empty": lambda got: got.content == "",
    "null": lambda got: got.content is None and got.choice["finish_reason"] == "stop",
    "refuse": lambda got: bool(got.choice["message"]["refusal"]) and got.choice["finish_reason"] == "content_filter",
}


def test_every_fault_has_its_check_here() -> None:
    assert SEEN.keys() == KINDS.keys()


@pytest.mark.parametrize("kind", KINDS)
def test_a_fault_is_seen_once_and_the_next_try_is_answered(mock: Mock, kind: str) -> None:
    mock.faults(**{kind: 1.0})
    mock.pace(slow_s=0.2)
    asked = [body(f"{kind} {n}", TURN) for n in range(4)]
    before = mock.stats()
    assert all(SEEN[kind](got) for got in ask(mock, *asked, timeout_s=0.3 if kind == "hang" else 5.0))
    again = ask(mock, *asked)
    after = mock.stats()
    if kind == "400":
        assert all(SEEN[kind](got) for got in again)
    else:
        assert all(ClientTurn.model_validate_json(got.content) for got in again)
    assert after["faults"][kind] - before["faults"].get(kind, 0) == (8 if kind == "400" else 4)
    assert after["keys_seen_twice"] - before["keys_seen_twice"] == 4


def test_a_share_strikes_about_that_many_and_the_same_ones_every_time() -> None:
    keys = [str(n).encode() for n in range(2000)]
    struck = [[Faults({"500": 0.2}).pick(k, constrained=True, age_s=0) for k in keys] for _ in range(2)]
    assert struck[0] == struck[1]
    assert 330 <= struck[0].count("500") <= 470
    assert all(draw(k, "500") != draw(k, "503") for k in keys)


def test_a_request_struck_in_two_ways_meets_both_and_then_is_answered() -> None:
    def tries(tries: int, n: int) -> list[str | None]:
        faults = Faults({"500": 1, "cut": 1}, tries)
        return [faults.pick(b"key", constrained=True, age_s=0) for _ in range(n)]

    assert tries(1, 3) == ["500", "cut", None]
    assert tries(2, 5) == ["500", "500", "cut", "cut", None]
    assert tries(-1, 4) == ["500", "cut", "500", "cut"]
    assert tries(0, 1) == [None]


def test_spared_requests_bursts_and_faults_without_a_schema() -> None:
    faults = Faults({"prose": 1}, tries=-1, spare=2, bursts=(Burst(2.0, "429", 10.0),))

    def pick(age_s: float, constrained: bool = True) -> str | None:
        return faults.pick(b"key", constrained=constrained, age_s=age_s)

    assert [pick(9.0), pick(1.0)] == [None, None]
    assert [pick(1.0), pick(7.9), pick(8.1), pick(9.9), pick(10.1)] == ["prose", "prose", "429", "429", "prose"]
    assert pick(1.0, constrained=False) is None


@pytest.mark.parametrize("shares", [{"slw": 1.0}, {"500": 1.5}, {"500": "x"}])
def test_faults_that_cannot_be_are_refused_and_change_nothing(mock: Mock, shares: dict[str, Any]) -> None:
    mock.faults(**{"503": 1.0})
    with pytest.raises(EngineError, match=r"no fault|between 0 and 1"):
        mock.faults(**shares)
    assert ask(mock, body(f"{shares}"))[0].status == 503


# ------------------------------------------------------------------------------------------------- pace


def test_no_more_requests_work_at_once_than_the_batch_holds(mock: Mock) -> None:
    with Mock("--batch", "4", "--latency-ms", "1") as paced:
        paced.pace(token_ms=10)
        got = ask(paced, *(body(str(n), max_tokens=10) for n in range(12)))
        stats = paced.stats()
    assert [g.status for g in got] == [200] * 12
    assert stats["peak_running"] == 4
    assert stats["peak_queued"] == 8
    assert stats["peak_in_flight"] == 12
    # Twelve answers of ten tokens of ten milliseconds, and the slots were hardly free between them; sleeps may take longer.
    assert 1.19 <= stats["slot_s"] < 3.0
    assert 1 - stats["slot_s"] / (4 * stats["busy_s"]) < 0.25


def test_a_full_batch_slows_every_token_down() -> None:
    async def run(count: int) -> float:
        slots, pace = Slots(4), Pace(batch=4, token_ms=2, slowdown=1.0)

        async def one() -> None:
            async with slots.slot():
                await slots.work(pace, 0, 50)

        began = time.monotonic()
        await asyncio.gather(*(one() for _ in range(count)))
        return time.monotonic() - began

    assert 0.12 <= min(asyncio.run(run(1)) for _ in range(3)) < 0.19
    assert asyncio.run(run(4)) >= 0.195


def test_a_client_that_leaves_frees_its_slot_and_is_booked(mock: Mock) -> None:
    mock.pace(batch=1, token_ms=100)
    before = mock.stats()
    assert {got.status for got in ask(mock, body("a"), body("b"), timeout_s=0.3)} == {0}
    mock.pace(token_ms=0)
    assert ask(mock, body("c"))[0].status == 200
    after = mock.stats()
    assert after["left"] - before["left"] == 2
    assert (after["running"], after["queued"], after["in_flight"]) == (0, 0, 0)


def test_the_prefix_cache_grows_with_an_append_only_chat(mock: Mock) -> None:
    messages = [{"role": "system", "content": "".join(chr(97 + n % 23) for n in range(2000))}]
    cached = []
    for n in range(4):
        messages.append({"role": "user" if n % 2 == 0 else "assistant", "content": f"{n} " * 200})
        (got,) = ask(mock, {"model": "mock", "messages": messages, "max_tokens": 50})
        usage = json.loads(got.text)["usage"]
        cached.append(usage["prompt_tokens_details"]["cached_tokens"])
        assert cached[-1] < usage["prompt_tokens"]
    assert cached[0] == 0
    assert 480 <= cached[1] < cached[2] < cached[3]


def test_the_cache_forgets_what_was_used_longest_ago_from_its_end() -> None:
    cache = PrefixCache(10)
    first, second = "a" * 64 * 6, "b" * 64 * 6
    assert [cache.take(first), cache.take(first), cache.take(second)] == [0, 5 * 16, 0]
    assert cache.take(first) == 5 * 16
    assert cache.take(second + "c" * 64 * 4) == 5 * 16
    assert cache.take(first) == 1 * 16


# -------------------------------------------------------------------------------------- books and routes


def test_the_books_add_up_and_the_metrics_bear_vllms_names(mock: Mock) -> None:
    mock.faults(**{"500": 0.3, "cut": 0.3, "slow": 0.3})
    ask(mock, *(body(f"books {n}", TURN) for n in range(50)))
    stats = mock.stats()
    assert stats["requests"] == sum(stats[k] for k in ("answered", "rejected", "left", "in_flight")) + sum(stats["faults"].values())
    rows = dict(line.rsplit(" ", 1) for line in get(mock, "/metrics").text.splitlines() if not line.startswith("#"))
    named = '{engine="0",model_name="mock"}'
    assert float(rows[f"vllm:prompt_tokens_total{named}"]) == stats["tokens_in"] > 0
    assert float(rows[f"vllm:generation_tokens_total{named}"]) == stats["tokens_out"] > 0
    assert float(rows[f"vllm:prefix_cache_hits_total{named}"]) == stats["tokens_cached"]
    assert rows[f"vllm:num_requests_running{named}"] == rows[f"vllm:num_requests_waiting{named}"] == "0.0"
    assert float(rows["mock:requests_total"]) == stats["requests"]
    assert {"mock:busy_seconds_total", "mock:slot_seconds_total", "mock:uptime_seconds"} <= rows.keys()


def test_models_health_and_version(mock: Mock) -> None:
    (model,) = json.loads(get(mock, "/v1/models").text)["data"]
    assert (model["id"], model["owned_by"], model["max_model_len"]) == ("mock", "vllm", 32768)
    assert get(mock, "/health").status == 200
    assert get(mock, "/version").status == 404


# ---------------------------------------------------------------------------------------------- process


def alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_gone(*pids: int) -> bool:
    until = time.monotonic() + 5
    while any(alive(pid) for pid in pids) and time.monotonic() < until:
        time.sleep(0.02)
    return not any(alive(pid) for pid in pids)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_it_starts_with_vllms_arguments_dies_in_mid_request_and_leaves_nothing() -> None:
    began = time.monotonic()
    with Mock(
        *("--dtype", "bfloat16", "--model", "org/base", "--served-model-name", "mock", "--no-enable-prefix-caching", "--version", "0.32.0"),
        *("--ways", "structured_outputs", "--die-after", "4", "--grandchild", "--start-s", "0.3"),
    ) as mock:
        assert time.monotonic() - began >= 0.3
        assert "--dtype bfloat16 --no-enable-prefix-caching" in mock.log()
        assert json.loads(get(mock, "/version").text) == {"version": "0.32.0"}
        assert [m["id"] for m in json.loads(get(mock, "/v1/models").text)["data"]] == ["mock"]
        ignored, heeded = ask(mock, body(answer=TURN), body(structured_outputs={"json": TURN}))
        assert broken_json(ignored.content)
        ClientTurn.model_validate_json(heeded.content)
        grandchild = mock.stats()["grandchild"]
        mock.faults(hang=1.0)
        assert {got.text for got in ask(mock, body("x"), body("y"))} <= GONE
        assert mock.process.wait(5) == 1
        assert alive(grandchild)
    assert wait_gone(grandchild)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_it_ends_with_the_process_that_started_it() -> None:
    code = "import os; from pixel_synth.llms.mock import Mock; print(Mock().__enter__().process.pid, flush=True); os._exit(9)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 9
    assert wait_gone(int(done.stdout))


def test_a_wrong_option_is_named() -> None:
    with pytest.raises(EngineError, match="no fault 'slw'; there are 400"), Mock("--fault", "slw=1"):
        pass


def test_it_loads_nothing_but_aiohttp_and_help_not_even_that() -> None:
    def loaded(*args: str) -> set[str]:
        done = subprocess.run([sys.executable, "-X", "importtime", *args], capture_output=True, text=True, timeout=60, check=True)
        assert done.stdout
        return {row.rsplit("|", 1)[1].strip().split(".")[0] for row in done.stderr.splitlines() if row.startswith("import time:")}

    served = loaded("-c", "import pixel_synth.llms.mock.server, pixel_synth.llms.mock.__main__; print(1)")
    assert "aiohttp" in served
    assert not served & {"pydantic", "distilabel", "yaml", "numpy"}
    assert "aiohttp" not in loaded("-m", "pixel_synth.llms.mock", "--help")


def test_the_module_says_one_line_and_ends_on_a_signal() -> None:
    command = [sys.executable, "-m", "pixel_synth.llms.mock", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": ""}) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("listening on http://127.0.0.1:")
        assert line.endswith("/v1\n")
        process.terminate()
        assert process.wait(5) == 0
        assert process.stdout.read() == ""
