"""The clients that `engine.py` holds against each other; each runs in a process of its own and ends by printing one line of JSON.

    python benchmarks/contenders.py toolkit --url URL -n 192 --out FOLDER [--record CALLS.jsonl]
    python benchmarks/contenders.py bare --url URL --calls CALLS.jsonl -n 192 [--depth 8] [--order all]
    python benchmarks/contenders.py distilabel --url URL --calls CALLS.jsonl -n 512 --depth 8 --batch 50

``toolkit`` is the generating step of ``pipelines/psychology.py`` (`runs.steps.Converse`: window, ledger, validation, scores, gate,
shard) without the pipeline around it, one attempt a slot; ``--record`` writes the requests it made, one conversation a line.
``bare`` sends recorded requests, bodies encoded beforehand, answers read and thrown away, without any limit on what is in flight:
the calls of a conversation one after the other, or all calls at once (``--order all``).
``distilabel`` sends the first ``--depth`` requests of each conversation through a pipeline of as many steps, each its stock `Task`
and `OpenAILLM`.  The line printed holds ``seconds`` and ``cpu_s`` from the first call to the last answer, and ``calls``.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from pathlib import Path
from typing import Any

Body = dict[str, Any]
HELD: list[Any] = []  # the run stays locked until this process has ended: the step's watch kills a process that has lost its run


def toolkit(args: argparse.Namespace) -> dict[str, float]:
    """Fill n slots against the server as the generating step does."""
    from pixel_synth.llms.connect import connect_all
    from pixel_synth.llms.server import Servers
    from pixel_synth.runs.directory import Run
    from pixel_synth.runs.steps import Converse
    from pixel_synth.settings import load_settings

    settings = load_settings(engine="server", base_url=(args.url,), accept=args.n, max_attempts=1, out=args.out)
    links = asyncio.run(connect_all(settings))
    run = Run.create(settings.model_copy(update={"model": links.generator.model}), "bench")
    run.lock()
    HELD.append(run)
    run.keep_links(links)
    step = Converse(name="converse", run_path=str(run.path), holder=run.holder)
    step.load()
    chains: dict[int, list[Body]] = {}
    for engine in step._asker.engines:
        if args.record and isinstance(engine, Servers):
            keep_bodies(engine, chains)
    began, cpu = time.perf_counter(), time.process_time()
    asyncio.run(step._fill(list(range(args.n))))
    spent = {"seconds": time.perf_counter() - began, "cpu_s": time.process_time() - cpu, "calls": float(step._ledger.count())}
    step.unload()
    if args.record:
        args.record.write_text("".join(json.dumps(chains[slot]) + "\n" for slot in range(args.n)), encoding="utf-8")
    return spent


def keep_bodies(engine: Any, chains: dict[int, list[Body]]) -> None:
    """Keep every request that an engine makes, by slot, in the order in which it makes them."""
    plain = engine.body

    def body(call: Any) -> Body:
        made: Body = plain(call)
        chains.setdefault(call.brief.blueprint.slot, []).append(made)
        return made

    engine.body = body


def recorded(args: argparse.Namespace) -> list[list[Body]]:
    """Return the first n conversations of a recording, each cut to its first ``depth`` requests."""
    with args.calls.open(encoding="utf-8") as lines:
        return [json.loads(line)[: args.depth] for line, _ in zip(lines, range(args.n), strict=False)]


def bare(args: argparse.Namespace) -> dict[str, float]:
    """Send recorded requests with nothing around them."""
    chains = [[json.dumps(body).encode() for body in chain] for chain in recorded(args)]
    if args.order == "all":
        chains = [[body] for chain in chains for body in chain]
    began, cpu = time.perf_counter(), time.process_time()
    asyncio.run(send(args.url, chains))
    spent = {"seconds": time.perf_counter() - began, "cpu_s": time.process_time() - cpu}
    return {**spent, "calls": float(sum(map(len, chains)))}


async def send(url: str, chains: list[list[bytes]]) -> None:
    """Send all chains at once, the requests of each one after the other."""
    import aiohttp

    connector = aiohttp.TCPConnector(limit=0)
    headers = {"Content-Type": "application/json"}
    async with aiohttp.ClientSession(connector=connector, headers=headers, timeout=aiohttp.ClientTimeout(total=None)) as session:

        async def one(chain: list[bytes]) -> None:
            for body in chain:
                async with session.post(f"{url}/chat/completions", data=body) as response:
                    response.raise_for_status()
                    await response.read()

        async with asyncio.TaskGroup() as group:
            for chain in chains:
                group.create_task(one(chain))


def distilabel(args: argparse.Namespace) -> dict[str, float]:
    """Send the first requests of each conversation through distilabel's own tasks and client."""
    from distilabel.models import OpenAILLM
    from distilabel.pipeline import Pipeline
    from distilabel.steps import LoadDataFromDicts
    from peer import Turn

    chains = recorded(args)
    with tempfile.TemporaryDirectory() as folder:
        with Pipeline(name="peer", cache_dir=Path(folder)) as pipeline:
            last = LoadDataFromDicts(data=[{"slot": slot} for slot in range(len(chains))], batch_size=args.batch)
            for at, first in enumerate(chains[0]):
                path = Path(folder) / f"{at}.json"
                path.write_text(json.dumps([chain[at]["messages"] for chain in chains]), encoding="utf-8")
                # What differs from row to row (seed, planned moves) cannot be said to this client: the first row's is sent for all.
                extra = {key: first[key] for key in ("response_format", "seed")}
                how = {"max_new_tokens": first["max_tokens"], "temperature": first["temperature"], "extra_body": extra}
                llm = OpenAILLM(model=first["model"], base_url=args.url, api_key="none", timeout=1800, generation_kwargs=how)
                turn = Turn(name=f"turn_{at}", at=at, path=str(path), llm=llm, input_batch_size=args.batch)
                last >> turn
                last = turn
        began = time.perf_counter()
        rows = pipeline.run(use_cache=False)["default"]["train"]
        spent = time.perf_counter() - began
    answered = sum(row[f"answer_{at}"] is not None for row in rows for at in range(args.depth))
    return {"seconds": spent, "cpu_s": 0.0, "calls": float(answered)}


def main() -> None:
    """Run one contender."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("who", choices=("toolkit", "bare", "distilabel"))
    parser.add_argument("--url", required=True, help="of the server, ending in /v1")
    parser.add_argument("-n", type=int, required=True, help="conversations")
    parser.add_argument("--out", type=Path, help="folder for the run directory of toolkit")
    parser.add_argument("--record", type=Path, help="file that takes the requests of toolkit")
    parser.add_argument("--calls", type=Path, help="recorded requests")
    parser.add_argument("--depth", type=int, default=None, help="requests of each conversation (all)")
    parser.add_argument("--order", choices=("chain", "all"), default="chain", help="what bare sends at once")
    parser.add_argument("--batch", type=int, default=50, help="input_batch_size of distilabel")
    args = parser.parse_args()
    print(json.dumps({"toolkit": toolkit, "bare": bare, "distilabel": distilabel}[args.who](args)))


if __name__ == "__main__":
    main()
