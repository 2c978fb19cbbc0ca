"""The command line: ``python -m pixel_synth.llms.mock``."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import fields

from pixel_synth.llms.mock.faults import KINDS, Faults, parse_burst, parse_fault
from pixel_synth.llms.mock.pace import Pace
from pixel_synth.llms.mock.wish import WAYS

ABOUT = """An OpenAI-compatible server without a model, to rehearse runs, faults and speeds.  It answers schema-valid nonsense:
equal requests get equal answers.  When it is ready it prints one line, "listening on http://127.0.0.1:PORT/v1".
Arguments it does not know are named on stderr and ignored, so that it can be started in the place of vLLM."""

EXAMPLES = f"""kinds of fault:
{chr(10).join(f"  {kind:9} {told}" for kind, told in KINDS.items())}

examples:
  python -m pixel_synth.llms.mock --port 8000
      answers at once; GET /mock/stats tells what it has seen
  python -m pixel_synth.llms.mock --batch 64 --prefill-tps 20000 --token-ms 20 --slowdown 0.3 --length-sigma 0.5
      about as fast as a small model on one GPU
  python -m pixel_synth.llms.mock --fault 500=0.05 --fault truncate=0.02 --burst 2:429:10
      5% of the requests fail once with a 500, 2% come back cut, and for 2 of every 10 seconds all get a 429
  python -m pixel_synth.llms.mock --ways response_format --version 0.6.0
      ignores the schema of clients that ask in another way, as some servers do

while it runs:
  curl -d '{{"hang": 0.1}}' http://127.0.0.1:PORT/mock/faults      replaces all shares
  curl -d '{{"token_ms": 5}}' http://127.0.0.1:PORT/mock/pace      changes the speeds that are named
"""


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    own = argparse.ArgumentParser(
        "python -m pixel_synth.llms.mock",
        description=ABOUT,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = own.add_argument_group("server, as vLLM has it").add_argument
    add("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    add("--port", type=int, default=8000, help="port; 0 for a free one (%(default)s)")
    add("--model", nargs="+", default=["mock"], metavar="ID", help="model ids; requests for others get a 404 (mock)")
    add("--served-model-name", nargs="+", metavar="ID", help="ids to be known by instead")
    add("--max-model-len", type=int, default=32768, metavar="N", help="longer prompts plus answers get a 400 (%(default)s)")
    add("--version", metavar="V", help="what /version answers; 404 without")
    add("--ways", type=ways, default=WAYS, help=f"fields in which a schema is honoured ({','.join(WAYS)})")
    add("--cache-blocks", type=int, default=65536, metavar="N", help="prefix cache in blocks of 16 tokens; 0 for none (%(default)s)")
    add = own.add_argument_group("pace (0: takes no time, has no bound)").add_argument
    add("--batch", type=int, default=0, metavar="N", help="requests at work at once; the others wait in order")
    add("--prefill-tps", type=float, default=0, metavar="N", help="uncached prompt tokens a second, of each request")
    add("--token-ms", type=float, default=0, metavar="MS", help="milliseconds for one token of an answer")
    add("--latency-ms", type=float, default=0, metavar="MS", help="milliseconds on top, outside the batch")
    add("--slowdown", type=float, default=0, metavar="X", help="a full batch makes a token take 1+X times as long")
    add("--length-sigma", type=float, default=0, metavar="S", help="makes answers vary in length: σ of a lognormal, within the schema")
    add("--slow-s", type=float, default=0, metavar="S", help='how much later a "slow" answer comes, instead of 20 times as long')
    add = own.add_argument_group("faults").add_argument
    add("--fault", action="append", default=[], metavar="KIND=SHARE", help="share of the requests, 0-1, that fail so; repeatable")
    add("--fault-tries", type=int, default=1, metavar="K", help="how many tries of such a request fail; -1: all (%(default)s)")
    add("--spare", type=int, default=0, metavar="N", help="the first N requests meet no fault")
    add("--burst", action="append", default=[], metavar="S:KIND[:EVERY]", help="all fail in the last S of every EVERY (10) seconds")
    add("--retry-after", type=float, default=0.05, metavar="S", help="seconds that a 429 asks to wait (%(default)s)")
    add("--die-after", type=int, default=0, metavar="N", help="the process dies when the Nth request arrives, with all in flight")
    add = own.add_argument_group("process").add_argument
    add("--start-s", type=float, default=0, metavar="S", help="seconds until it listens")
    add("--grandchild", action="store_true", help="start a sleeping child of its own, and leave it behind at the end")
    add("--until-eof", action="store_true", help="end when standard input closes: with the process that started it")
    return own


def ways(text: str) -> tuple[str, ...]:
    """Read ``--ways``: some of `WAYS`, by commas; "none" for none."""
    found = tuple(w for w in text.split(",") if w and w != "none")
    if unknown := set(found) - set(WAYS):
        raise argparse.ArgumentTypeError(f"no {', '.join(sorted(unknown))}; there are {', '.join(WAYS)}, none")
    return found


def main(argv: list[str] | None = None) -> int:
    """Serve until a signal comes; return the exit status."""
    own = parser()
    options, unknown = own.parse_known_args(argv)
    try:
        bursts = tuple(parse_burst(text) for text in options.burst)
        faults = Faults(dict(parse_fault(text) for text in options.fault), options.fault_tries, options.spare, bursts)
        pace = Pace(**{field.name: getattr(options, field.name) for field in fields(Pace)})
    except ValueError as error:
        own.error(str(error))
    if unknown:
        print("ignored:", *unknown, file=sys.stderr, flush=True)
    if options.until_eof:
        threading.Thread(target=end_with_stdin, daemon=True).start()
    asyncio.run(serve(options, faults, pace))
    return 0


def end_with_stdin() -> None:
    """End this process when its standard input is closed."""
    while os.read(0, 4096):
        pass
    os._exit(0)


async def serve(options: argparse.Namespace, faults: Faults, pace: Pace) -> None:
    """Listen, say so, and wait for the signal to end."""
    from aiohttp import web

    from pixel_synth.llms.mock.server import Server

    child = sleeping_child() if options.grandchild else None
    # Not asyncio.sleep: a server that still loads its model does not listen and does not tidy up when it is told to end.
    time.sleep(options.start_s)  # noqa: ASYNC251
    server = Server(options, faults, pace, child)
    runner = web.AppRunner(server.app(), access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    place = socket.create_server((options.host, options.port), backlog=4096)
    await web.SockSite(runner, place).start()
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    print(f"listening on http://{options.host}:{place.getsockname()[1]}/v1", flush=True)
    await ended.wait()
    await runner.cleanup()


def sleeping_child() -> int:
    """Start a process that sleeps for ten minutes, in this process's group; return its id."""
    quiet = subprocess.DEVNULL
    command = [sys.executable, "-c", "import time; time.sleep(600)"]
    return subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet).pid  # noqa: S603


if __name__ == "__main__":
    sys.exit(main())
