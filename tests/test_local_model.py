"""The engine ``transformers`` with a real model: tiny, random weights, on the CPU in float32."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from pixel_synth.errors import EngineDown, EngineError
from pixel_synth.llms.engine import Brief, Call, Completion
from pixel_synth.llms.local import LocalModel
from pixel_synth.plan import Plan
from pixel_synth.records import Reasoning, Scenario
from pixel_synth.tasks import reasoning, scenario
from pixel_synth.tasks.dialogue import ClientTurn, TherapistTurn, schema

pytestmark = [
    pytest.mark.heavy,
    pytest.mark.skipif(not os.environ.get("REAL_MODELS") and not (find_spec("torch") and find_spec("outlines")), reason="needs the extra"),
]

CONTEXT = 4096
MOVES = [("ask.scale", "map.day"), ("name.part",), ("",), ("plan.step", "hold.pause", "check.mood")]
PARTS: dict[str, tuple[type[BaseModel], Callable[[int], dict[str, Any]]]] = {
    "scenario": (Scenario, lambda i: scenario.schema()),
    "client": (ClientTurn, lambda i: schema("client")),
    "therapist": (TherapistTurn, lambda i: schema("therapist", MOVES[i % len(MOVES)])),
    "reasoning": (Reasoning, lambda i: reasoning.schema(6 + 2 * i)),
}
Make = Callable[..., Call]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("model") / "tiny"
    command = [sys.executable, str(Path(__file__).with_name("tiny_model.py")), str(made), "--max-positions", str(CONTEXT)]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    return made


@pytest.fixture(scope="module")
def loaded(folder: Path) -> Iterator[LocalModel]:
    import torch

    torch.set_num_threads(1)  # a model this small only waits for a second thread
    engine = LocalModel(str(folder), device="cpu", dtype="float32")
    engine.load()
    yield engine
    asyncio.run(engine.close())


@pytest.fixture
def engine(folder: Path) -> Iterator[LocalModel]:
    """An engine of its own, for tests that break it."""
    made = LocalModel(str(folder), device="cpu", dtype="float32")
    yield made
    asyncio.run(made.close())


@pytest.fixture(scope="module")
def call(plan: Plan) -> Make:
    def make(part: str = "client", i: int = 0, ask: str = "Begin.", **sampling: Any) -> Call:
        wish = PARTS[part][1](i) if part in PARTS else {}
        messages = [{"role": "system", "content": "Answer as JSON. " * (1 + 7 * i)}, {"role": "user", "content": f"{ask} [{i}]"}]
        brief = Brief("client", plan.blueprint(0))
        return Call(brief, messages, wish, {"temperature": 1.0, "seed": i, "max_tokens": 300, **sampling})

    return make


def answers(engine: LocalModel, *calls: Call) -> list[Any]:
    async def together() -> list[Any]:
        return await asyncio.wait_for(asyncio.gather(*(engine.complete(c) for c in calls), return_exceptions=True), 300)

    return asyncio.run(together())


@pytest.mark.parametrize("part", PARTS)
def test_every_whole_answer_is_strictly_valid(loaded: LocalModel, call: Make, part: str) -> None:
    model = PARTS[part][0]
    done = answers(loaded, *(call(part, i, max_tokens=1500) for i in range(8)))
    whole = [c.text for c in done if c.finish == "stop"]
    assert len(whole) >= 4
    for text in whole:
        model.model_validate_json(text)
        assert not re.search(r"\s", re.sub(r'"(\\.|[^"\\])*"', "", text)), "blanks between the parts"
    for cut in (c for c in done if c.finish == "length"):
        with pytest.raises(ValidationError):
            model.model_validate_json(cut.text)


def test_each_row_of_a_mixed_batch_keeps_its_own_schema(loaded: LocalModel, call: Make) -> None:
    calls = [call("therapist", i, max_tokens=600) for i in range(4)] + [call("client", 4, max_tokens=600), call("free", 5)]
    *turns, client, free = answers(loaded, *calls)
    moves = [TherapistTurn.model_validate_json(turn.text).move for turn in turns]
    assert all(move in ("", *MOVES[i]) for i, move in enumerate(moves))
    assert any(moves)
    ClientTurn.model_validate_json(client.text)
    assert not free.text.startswith("{")


def test_an_answer_does_not_depend_on_its_neighbours(loaded: LocalModel, call: Make) -> None:
    calls = [call(part, i, top_p=0.9 if i % 2 else 1.0) for i, part in enumerate([*PARTS, *PARTS])]
    batch = answers(loaded, *calls)
    alone = [answers(loaded, c)[0] for c in calls]
    assert [c.text for c in alone] == [c.text for c in batch]
    assert [c.tokens_in for c in alone] == [c.tokens_in for c in batch]


def test_the_same_call_is_answered_alike_and_another_seed_is_not(loaded: LocalModel, call: Make) -> None:
    first, again, other = answers(loaded, call("free", 1), call("free", 1), call("free", 1, seed=99))
    assert first.text == again.text != other.text


def test_temperature_zero_takes_the_likeliest_and_ignores_the_seed(loaded: LocalModel, call: Make) -> None:
    one, two = answers(loaded, *(call("client", 1, temperature=0, seed=s, max_tokens=60) for s in (1, 2)))
    assert one.text == two.text


def test_a_small_top_p_leaves_the_likeliest_token_only(loaded: LocalModel, call: Make) -> None:
    greedy, narrow = answers(loaded, call("free", 1, temperature=0), call("free", 1, top_p=1e-6))
    assert greedy.text == narrow.text


def test_each_row_stops_at_its_own_limit_and_padding_is_not_counted(loaded: LocalModel, call: Make) -> None:
    short, long = answers(loaded, call("scenario", 0, max_tokens=5), call("scenario", 7, max_tokens=90))
    assert (short.finish, short.tokens_out, long.finish, long.tokens_out) == ("length", 5, "length", 90)
    assert short.tokens_in < 40 < 150 < long.tokens_in


def test_a_prompt_longer_than_the_context_fails_alone_and_names_both_lengths(loaded: LocalModel, call: Make) -> None:
    failed, fine = answers(loaded, call("client", 0, ask="word " * 5000), call("client", 1, max_tokens=20))
    assert isinstance(failed, EngineError)
    assert failed.kind == "bad_request"
    assert f"context is {CONTEXT}" in failed.message
    assert int(failed.message.split(" tokens")[0].rsplit(" ", 1)[1]) > CONTEXT
    assert isinstance(fine, Completion)


def test_an_answer_ends_where_the_context_ends(loaded: LocalModel, call: Make) -> None:
    (done,) = answers(loaded, call("scenario", 0, ask="word " * 4050, max_tokens=3000))
    assert done.finish == "length"
    assert done.tokens_in + done.tokens_out == CONTEXT


@pytest.mark.parametrize("sampling", [{"top_p": 2.0}, {"presence_penalty": 1.0}, {"max_tokens": 0}, {"temperature": -1.0}])
def test_sampling_that_cannot_be_honoured_is_refused(loaded: LocalModel, call: Make, sampling: dict[str, Any]) -> None:
    (failed,) = answers(loaded, call("client", **sampling))
    assert isinstance(failed, EngineError)
    assert failed.kind == "bad_request"
    assert next(iter(sampling)) in failed.message


def test_a_schema_without_a_grammar_is_refused_alone(loaded: LocalModel, call: Make) -> None:
    odd = call("client")._replace(schema={"type": "string", "pattern": "(?=x)y", "not": {"const": 1}})
    failed, fine = answers(loaded, odd, call("client", 1, max_tokens=20))
    assert isinstance(failed, EngineError)
    assert failed.kind == "bad_request"
    assert isinstance(fine, Completion)


@pytest.mark.parametrize(
    ("name", "told"), [("folder", "no config.json"), ("./nowhere", "no such folder"), ("nobody/nothing", "nobody/nothing")]
)
def test_a_model_that_is_not_there_fails_every_call(tmp_path: Path, call: Make, name: str, told: str) -> None:
    (tmp_path / "folder").mkdir()
    engine = LocalModel(str(tmp_path / name) if name == "folder" else name)
    for failed in answers(engine, call(), call("client", 1)) + answers(engine, call()):
        assert isinstance(failed, EngineDown)
        assert told in failed.message
    asyncio.run(engine.close())


def test_weights_that_are_a_pickle_are_refused(folder: Path, tmp_path: Path) -> None:
    import torch

    for path in folder.iterdir():
        if path.suffix != ".safetensors":
            (tmp_path / path.name).write_bytes(path.read_bytes())
    torch.save({}, tmp_path / "pytorch_model.bin")
    with pytest.raises(EngineDown, match="safetensors"):
        LocalModel(str(tmp_path)).load()


def test_a_failure_in_the_thread_reaches_every_waiting_call(engine: LocalModel, call: Make) -> None:
    engine.load()
    engine._generator.model = None
    failed = answers(engine, *(call("client", i) for i in range(20)))
    assert all(isinstance(f, EngineError) and "NoneType" in f.message for f in failed)


def test_closing_ends_what_is_generated_and_what_waits(engine: LocalModel, call: Make) -> None:
    engine.load()

    async def closed() -> list[Any]:
        tasks = [asyncio.create_task(engine.complete(call("scenario", i, max_tokens=3000))) for i in range(12)]
        await asyncio.sleep(0.5)
        await engine.close()
        return await asyncio.gather(*tasks, engine.complete(call()), return_exceptions=True)

    started = time.monotonic()
    assert {str(f) for f in asyncio.run(closed())} == {"the engine was closed"}
    assert time.monotonic() - started < 30
    assert engine._generator is None


def test_a_call_that_is_given_up_takes_no_other_with_it(loaded: LocalModel, call: Make) -> None:
    async def one_given_up() -> Completion:
        tasks = [asyncio.create_task(loaded.complete(call("client", i, max_tokens=50))) for i in range(3)]
        await asyncio.sleep(0)
        tasks[1].cancel()
        return (await asyncio.gather(*tasks, return_exceptions=True))[2]

    assert asyncio.run(one_given_up()).text == answers(loaded, call("client", 2, max_tokens=50))[0].text


def test_out_of_memory_halves_the_batch(engine: LocalModel, call: Make) -> None:
    import torch

    engine.load()
    sizes, generate, most = [], engine._generator.model.generate, 2

    def tight(ids: torch.Tensor, **kwargs: Any) -> Any:
        sizes.append(len(ids))
        if len(ids) > most:
            raise torch.OutOfMemoryError("no memory. Of 1 GiB")
        return generate(ids, **kwargs)

    engine._generator.model.generate = tight
    calls = [call("client", i, max_tokens=20) for i in range(8)]
    assert all(isinstance(c, Completion) for c in answers(engine, *calls))
    assert sizes == [8, 4, 2, 2, 2, 2]
    most = 0
    assert all(isinstance(c, EngineError) and "out of memory at batch 1" in c.message for c in answers(engine, *calls[:2]))


def test_loading_the_module_imports_nothing_heavy() -> None:
    told = "import sys, pixel_synth.llms.local; print(sorted({'torch', 'transformers', 'outlines', 'llguidance'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", told], check=True, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]"
