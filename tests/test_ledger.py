"""The ledger: no call is made twice, and its key covers what decides an answer and nothing else."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixel_synth.errors import EngineDown, EngineError, UsageError
from pixel_synth.llms.ask import Asker, Budget, Stopped, Voice
from pixel_synth.llms.connect import Link, make_engine
from pixel_synth.llms.engine import Brief, Call, Completion
from pixel_synth.llms.ledger import Ledger
from pixel_synth.plan import Plan
from pixel_synth.records import Message, TurnTag
from pixel_synth.settings import load_settings

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=4,
)


class Counting:
    """An engine that answers each call with a number of its own."""

    name = model = "counting"

    def __init__(self) -> None:
        self.made = 0

    async def complete(self, call: Call) -> Completion:
        self.made += 1
        return Completion(text=f"answer {self.made}", tokens_in=3, tokens_out=5)

    async def close(self) -> None:
        pass


@pytest.fixture
def call(plan: Plan) -> Call:
    return Call(
        Brief("scenario", plan.blueprint(0)), [{"role": "user", "content": "hello"}], {"type": "object"}, {"temperature": 0.9, "seed": 1}
    )


def run(call: Call, engine: Any, ledger: Ledger | None, model: str = "m") -> Completion:
    return asyncio.run(Asker(Voice(engine, model), ledger=ledger)(call))


def test_the_same_call_is_made_once(tmp_path: Path, call: Call) -> None:
    engine, ledger = Counting(), Ledger(tmp_path / "ledger.sqlite")
    first = run(call, engine, ledger)
    assert run(call, engine, ledger) == first
    assert (engine.made, ledger.count()) == (1, 1)
    assert run(call, engine, ledger, model="other") != first
    assert engine.made == 2


def test_without_a_ledger_every_call_is_made(call: Call) -> None:
    engine = Counting()
    run(call, engine, None)
    run(call, engine, None)
    assert engine.made == 2


def test_answers_survive_closing_and_opening(tmp_path: Path, call: Call) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    first = run(call, Counting(), ledger)
    ledger.close()
    engine, again = Counting(), Ledger(tmp_path / "ledger.sqlite")
    assert run(call, engine, again) == first
    assert engine.made == 0
    assert (first.tokens_in, first.tokens_out) == (3, 5)


def test_a_failed_call_is_not_stored(tmp_path: Path, call: Call) -> None:
    class Failing(Counting):
        async def complete(self, call: Call) -> Completion:
            raise EngineError("no server", kind="unreachable")

    ledger = Ledger(tmp_path / "ledger.sqlite")
    with pytest.raises(EngineError):
        run(call, Failing(), ledger)
    assert ledger.count() == 0
    assert ledger.failed() == {"unreachable": 1}


def test_a_failed_call_fails_again_in_the_same_way_without_being_made(tmp_path: Path, call: Call) -> None:
    class Failing(Counting):
        async def complete(self, call: Call) -> Completion:
            self.made += 1
            raise EngineError("no answer within 5 s", kind="timeout")

    engine, ledger = Failing(), Ledger(tmp_path / "ledger.sqlite")
    for _ in range(2):
        with pytest.raises(EngineError, match="within 5 s") as caught:
            run(call, engine, ledger)
        assert caught.value.kind == "timeout"
    assert engine.made == 1


def test_an_engine_that_is_down_leaves_nothing_behind(tmp_path: Path, call: Call) -> None:
    class Down(Counting):
        async def complete(self, call: Call) -> Completion:
            raise EngineDown("no server answers any more")

    ledger = Ledger(tmp_path / "ledger.sqlite")
    with pytest.raises(EngineDown):
        run(call, Down(), ledger)
    assert (ledger.count(), ledger.failed()) == (0, {})


def test_nothing_new_is_asked_when_the_tokens_are_used_up_and_stored_answers_stay_free(tmp_path: Path, call: Call) -> None:
    engine, ledger = Counting(), Ledger(tmp_path / "ledger.sqlite")
    asker = Asker(Voice(engine, "m"), ledger=ledger, budget=Budget(ledger, tokens=8))
    first = asyncio.run(asker(call))
    assert asyncio.run(asker(call)) == first
    with pytest.raises(Stopped, match="8 tokens"):
        asyncio.run(asker(call._replace(sampling={"seed": 2})))
    assert engine.made == 1
    assert Budget(ledger, tokens=9).exhausted() == ""
    assert "hours" in Budget(ledger, until=1.0).exhausted()


def test_the_meter_adds_up_over_processes_and_calls(tmp_path: Path, call: Call) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    run(call, Counting(), ledger)
    ledger.count_up({"retry_timeout": 2, "nothing": 0})
    assert ledger.totals() == {"calls": 1, "tokens_in": 3, "tokens_out": 5, "retry_timeout": 2}
    (part,) = ledger.parts()
    assert (part.part, part.calls, part.tokens_in, part.tokens_out) == ("scenario", 1, 3, 5)
    assert part.seconds > 0


def test_a_judge_of_its_own_answers_the_judge_s_calls_under_its_own_name(call: Call) -> None:
    writer, judge = Counting(), Counting()
    asker = Asker(Voice(writer, "m"), Voice(judge, "n"))
    brief = call.brief
    assert brief is not None
    asyncio.run(asker(call))
    asyncio.run(asker(call._replace(brief=brief._replace(part="judge"))))
    assert (writer.made, judge.made) == (1, 1)


def test_the_first_answer_of_a_key_stays(tmp_path: Path, call: Call) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    ledger.put("k", call, Completion(text="first"))
    ledger.put("k", call, Completion(text="second"))
    stored = ledger.get("k")
    assert stored is not None
    assert stored.text == "first"
    assert ledger.get("none") is None


def test_the_calls_of_a_blueprint_come_in_order(tmp_path: Path, plan: Plan, call: Call) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    bp = plan.blueprint(0)
    for turn in (2, 0, 1):
        history = tuple(Message(role="user", content="x") for _ in range(turn))
        ledger.put(f"c{turn}", call._replace(brief=Brief("client", bp, history)), Completion(text=str(turn), finish="length"))
    ledger.put("other", call._replace(brief=Brief("client", plan.blueprint(1))), Completion(text="x"))
    found = list(ledger.of(bp.id))
    assert [(c.turn, c.completion.text, c.completion.finish) for c in found] == [(0, "0", "length"), (1, "1", "length"), (2, "2", "length")]


def test_a_key_never_changes(plan: Plan) -> None:
    call = Call(Brief("client", plan.blueprint(0)), [{"role": "user", "content": "é"}], {"a": 1, "b": 2}, {"t": 0.5})
    assert call.key("m") == "619e610783887979074b0300779a42d9fc51656433e52458d94f8b5935ff7126"


def test_a_key_ignores_the_brief_and_the_order_of_keys(plan: Plan, call: Call) -> None:
    other = Brief("client", plan.blueprint(1), (Message(role="user", content="x"),), (TurnTag(),))
    assert call._replace(brief=other).key("m") == call.key("m")
    assert call._replace(sampling={"seed": 1, "temperature": 0.9}).key("m") == call.key("m")


@given(JSON, JSON)
def test_a_key_changes_with_messages_schema_sampling_and_model(one: Any, two: Any) -> None:
    brief: Any = None
    base = Call(brief, [{"role": "user", "content": "a"}], {"x": one}, {"y": one})
    other = (base._replace(schema={"x": two}), base._replace(sampling={"y": two}))
    for changed in other:
        assert (changed.key("m") == base.key("m")) is (repr(one) == repr(two))
    assert base._replace(messages=[{"role": "system", "content": "a"}]).key("m") != base.key("m")
    assert base._replace(messages=[{"role": "user", "content": "a "}]).key("m") != base.key("m")
    assert base.key("m") != base.key("n")


WRITER = """
import sys
from pathlib import Path
from types import SimpleNamespace
from pixel_synth.llms.engine import Completion
from pixel_synth.llms.ledger import Ledger

def call(blueprint, turn):
    brief = SimpleNamespace(blueprint=SimpleNamespace(id=blueprint), part="client", history=[0] * turn)
    return SimpleNamespace(brief=brief, part="client")

ledger = Ledger(Path(sys.argv[1]))
print("open", flush=True)
sys.stdin.readline()
for i in range(150):
    ledger.put(f"shared {i}", call("bp", i), Completion(text=sys.argv[2]))
    ledger.put(f"{sys.argv[2]} {i}", call(sys.argv[2], i), Completion(text="own"))
"""


def test_two_processes_write_to_one_ledger_at_once(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for name in ("one", "two")
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n", process.communicate()[1]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
    ledger = Ledger(path)
    assert ledger.count() == 150 * 3
    assert {c.completion.text for c in ledger.of("bp")} <= {"one", "two"}
    assert len(list(ledger.of("one"))) == len(list(ledger.of("two"))) == 150


def test_an_engine_without_an_address_is_refused() -> None:
    settings = load_settings()
    with pytest.raises(UsageError, match="vllm"):
        make_engine(Link(engine="vllm", model="m"), settings)
    assert make_engine(Link(engine="composer", model="composer"), settings).name == "composer"


def test_the_distilabel_model_answers_from_the_ledger_and_refuses_calls_without_a_brief(tmp_path: Path, plan: Plan, call: Call) -> None:
    from pixel_synth.llms.model import PixelLLM

    unloaded = PixelLLM(engine="composer")
    with pytest.raises(EngineError, match="not loaded"):
        asyncio.run(unloaded.ask(call))
    llm = PixelLLM(engine="composer", ledger=str(tmp_path / "ledger.sqlite"))
    llm.load()
    first = asyncio.run(llm.ask(call))
    assert asyncio.run(llm.ask(call)) == first
    assert Ledger(tmp_path / "ledger.sqlite").count() == 1
    with pytest.raises(EngineError, match="brief"):
        asyncio.run(llm.agenerate([{"role": "user", "content": "hi"}]))
    told = asyncio.run(llm.agenerate([{"role": "user", "content": "hi"}], num_generations=2, brief=call.brief))
    assert len(told["generations"]) == 2
