"""The mock server, answering as judges that are to be tested: every criterion with a quote that stands in the session."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from argparse import Namespace
from collections import Counter
from collections.abc import Callable
from random import Random

from aiohttp import web

from pixel_synth.llms.mock.__main__ import parser
from pixel_synth.llms.mock.answers import Schema, Writer
from pixel_synth.llms.mock.faults import Faults
from pixel_synth.llms.mock.pace import Pace
from pixel_synth.llms.mock.server import Server, completion, respond
from pixel_synth.llms.mock.spoil import Reply
from pixel_synth.llms.mock.wish import Wish

# Picks one of a criterion's answers: model, criterion, what may be answered, and the request.
Choose = Callable[[str, str, list[str], Wish], str]


class PanelServer(Server):
    """A server in a thread whose verdicts a function chooses; what is no verdict (the canary) is answered as by any mock server.

    Args:
        choose: Picks the answers.
        models: Names under which it judges.
    """

    def __init__(self, choose: Choose, *models: str) -> None:
        options: Namespace = parser().parse_args(["--model", *models])
        super().__init__(options, Faults({}, 1, 0, ()), Pace())
        self.choose, self.asked, self.prompts = choose, Counter[str](), list[str]()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> PanelServer:
        self._thread.start()
        self.url = asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(10)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _start(self) -> str:
        self._runner = web.AppRunner(self.app(), access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}/v1"

    async def _completion(self, wish: Wish, fault: str | None) -> web.Response:
        if wish.schema is None or not str(wish.schema.get("title", "")).startswith("verdict_"):
            return await super()._completion(wish, fault)
        self.asked[wish.model] += 1
        self.prompts.append(wish.prompt)
        text = json.dumps({id: self._finding(wish, id, node) for id, node in wish.schema["properties"].items()})
        return respond(completion(wish, Reply(text), len(wish.prompt) // 4, 0))

    def _finding(self, wish: Wish, id: str, node: Schema) -> dict[str, str]:
        writer = Writer(wish.schema or {}, Random(0))
        levels = writer.flat(writer.flat(node)["properties"]["answer"])["enum"]
        answer = self.choose(wish.model, id, levels, wish)
        who = "client" if re.search(rf"^{id}: .*Quote the client", wish.prompt, re.MULTILINE) else "therapist"
        said = re.findall(rf"^\[\d+\] {who}: (.*)$", wish.prompt.rpartition("\nuser\n")[2], re.MULTILINE)
        quote = "" if answer == "unclear" or not said else max(said, key=len)[:200]
        return {"quote": quote, "why": "as asked for", "answer": answer}
