"""From settings to an engine: which one, where it is, and the proof that it can be used.

`choose` resolves ``--engine auto`` and says why.  `connect` looks at the servers and runs the canary, once per run, before any
worker starts; what it found is a `Link`, which workers turn into an engine with `make_engine`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pixel_synth.errors import UsageError
from pixel_synth.llms.ask import Asker, Budget, Voice
from pixel_synth.llms.engine import Engine
from pixel_synth.llms.ledger import Ledger
from pixel_synth.records import Record
from pixel_synth.settings import Dialect, EngineName, Settings, Way

if TYPE_CHECKING:
    from pixel_synth.llms.vllm import Server

Role = Literal["generator", "judge"]
WINDOW = 512  # requests in flight at one server, per process, unless settings say otherwise
CHAINS = 64  # conversations in flight in one process where no server is asked


class Link(Record):
    """A usable engine: its name, model and, for servers, addresses and how schemas travel."""

    engine: EngineName
    model: str
    urls: tuple[str, ...] = ()
    way: Way = "response_format"
    dialect: Dialect = "length"
    proven: bool = False
    version: str = ""
    max_model_len: int | None = None
    gpus: int = 0  # of a server of our own; 0 = none, or not known


class Links(Record):
    """Who writes, and who judges; ``others`` are the further judges of a panel."""

    generator: Link
    judge: Link | None = None
    others: tuple[Link, ...] = ()

    @property
    def judges(self) -> tuple[Link, ...]:
        """Every judge."""
        return (self.judge, *self.others) if self.judge else ()


def choose(settings: Settings) -> tuple[EngineName, str]:
    """Return the engine to use and why.

    Raises:
        UsageError: When a model is named and nothing here can run it.
    """
    if settings.engine != "auto":
        return settings.engine, "as asked"
    from pixel_synth.llms.vllm import available

    if settings.base_url:
        return "server", f"{len(settings.base_url)} server address(es) given"
    missing = available()
    if settings.model and not missing:
        return "vllm", "vllm and a GPU are here"
    if settings.model:
        raise UsageError(
            f"model {settings.model!r} is named, but nothing here can run it: {missing}, and no --base-url is given",
            hint="give --base-url, or --engine transformers for a small model in this process",
        )
    return "composer", "no model named" if not missing else f"{missing}, and no server given"


async def connect(settings: Settings, role: Role = "generator", urls: tuple[str, ...] = (), model: str = "") -> Link:
    """Look at what the settings name and prove that it can be used.

    Args:
        settings: With an engine other than ``auto``.
        role: Whose engine.
        urls: Addresses of servers of our own, instead of those in the settings.
        model: Which of the judge models; "" = the generator's, or the only one that the judges' servers offer.

    Raises:
        EngineDown: When a server does not answer, has not the model, or does not constrain its answers.
    """
    theirs = settings.judge_urls(model) if role == "judge" else ()
    addresses = theirs or urls or settings.base_url
    wanted = model or ("" if theirs else settings.model)
    if not addresses:
        return Link(engine=settings.engine, model=wanted or settings.engine)
    from pixel_synth.llms import canary, client

    cleaned = tuple(dict.fromkeys(client.clean_url(url) for url in addresses))
    session = client.new_session(api_key(role, settings, model))
    try:
        found = [await canary.look(session, url) for url in cleaned]
        name = canary.choose_model(found, wanted)
        way = None if settings.structured == "auto" else settings.structured
        dialect = None if settings.dialect == "auto" else settings.dialect
        wire, _ = await canary.prove(session, found[0], name, way, dialect, settings.extra_body)
        for other in found[1:]:  # all servers are spoken to in the same way
            await canary.prove(session, other, name, wire.way, wire.dialect, settings.extra_body)
    finally:
        await session.close()
    least = min((f.max_model_len for f in found if f.max_model_len), default=None)
    return Link(
        engine="server",
        model=name,
        urls=cleaned,
        way=wire.way,
        dialect=wire.dialect,
        proven=True,
        version=found[0].version,
        max_model_len=least,
        gpus=_gpus(settings) if urls and not theirs else 0,
    )


def _gpus(settings: Settings) -> int:
    """Return how many GPUs a server of our own works on."""
    from pixel_synth.llms.vllm import available

    return 0 if available() else settings.tensor_parallel * settings.data_parallel


async def connect_all(settings: Settings, urls: tuple[str, ...] = ()) -> Links:
    """Connect the generator and, where rubrics are named, the judges.

    Raises:
        EngineDown: See `connect`.
    """
    generator = await connect(settings, "generator", urls)
    if not settings.judges:
        return Links(generator=generator)
    judges = []
    for model in settings.judge_model or ("",):
        shared = not settings.judge_urls(model) and model in ("", generator.model)
        judges.append(generator if shared else await connect(settings, "judge", urls, model))
    return Links(generator=generator, judge=judges[0], others=tuple(judges[1:]))


def make_asker(links: Links, settings: Settings, ledger: Ledger | None = None, budget: Budget | None = None) -> Asker:
    """Build the engines of a run and what asks them; who judges by the same link shares the engine, its window and its memory."""
    generator = Voice(make_engine(links.generator, settings), links.generator.model, settings.extra_body)

    def voice(link: Link) -> Voice:
        if link == links.generator and api_key("judge", settings, link.model) == api_key("generator", settings):
            return generator
        return Voice(make_engine(link, settings, "judge"), link.model, settings.extra_body)

    judges = [voice(link) for link in links.judges]
    return Asker(generator, judges[0] if judges else None, ledger, budget, judges[1:])


def make_engine(link: Link, settings: Settings, role: Role = "generator") -> Engine:
    """Build the engine of a link.

    Raises:
        UsageError: For an engine that cannot be built from a link alone.
        EngineError: When an extra is missing, with what to install.
    """
    if link.engine == "composer":
        from pixel_synth.llms.composer import Composer

        return Composer()
    if link.engine == "transformers":
        from pixel_synth.llms.local import LocalModel

        return LocalModel(link.model, device=settings.device, dtype=settings.dtype, batch=settings.batch)
    if link.urls:
        from pixel_synth.llms.server import Servers
        from pixel_synth.llms.tries import Limits
        from pixel_synth.llms.wire import Wire

        limits = Limits(settings.window or WINDOW, settings.tries, settings.timeout_s, settings.patience_s)
        return Servers(link.urls, link.model, Wire(link.way, link.dialect, link.proven), limits, api_key(role, settings, link.model))
    raise UsageError(f"engine {link.engine!r} has no address", hint="available: composer, transformers, vllm, server")


@contextmanager
def server_of(settings: Settings, log: Path, report: Callable[[str, float], None]) -> Iterator[Server | None]:
    """Start the server that engine ``vllm`` owns and stop it in the end, whatever happens; nothing for other engines.

    Args:
        settings: What to start.
        log: File that takes the server's output.
        report: Called with what it is doing and the seconds since, while it starts.

    Raises:
        EngineDown: When it does not start, with the last lines of its log.
    """
    if settings.engine != "vllm":
        yield None
        return
    from pixel_synth.llms.vllm import Options, Server

    options = Options(
        model=settings.model, dtype=settings.dtype, tensor_parallel=settings.tensor_parallel, data_parallel=settings.data_parallel,
        max_model_len=settings.max_model_len, prefix_caching=settings.prefix_caching, quantization=settings.quantization,
        extra=settings.vllm_args, command=settings.vllm_command, start_s=settings.start_s,
    )  # fmt: skip
    with Server(options, log, report) as server:
        yield server


def api_key(role: Role, settings: Settings, model: str = "") -> str:
    """Return the key for a role's servers, from the environment only; the generator's key goes to no other servers than its own.

    Args:
        role: Whose servers.
        settings: Say whether the judges have servers of their own; ``PIXEL_JUDGE_API_KEY`` goes to all of those.
        model: Of the judge, where only some have.
    """
    if role == "judge" and settings.judge_urls(model):
        return os.environ.get("PIXEL_JUDGE_API_KEY", "")
    return os.environ.get("PIXEL_API_KEY", "")
