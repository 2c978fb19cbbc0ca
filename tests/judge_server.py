"""The mock server, answering as judges that are to be tested: every criterion with a quote that stands in the session."""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from collections.abc import Callable
from random import Random

from aiohttp import web
from threaded import Threaded

from pixel_synth.llms.mock.__main__ import parser
from pixel_synth.llms.mock.answers import Schema, Writer
from pixel_synth.llms.mock.faults import Faults
from pixel_synth.llms.mock.pace import Pace
from pixel_synth.llms.mock.server import Server, completion, respond
from pixel_synth.llms.mock.spoil import Reply
from pixel_synth.llms.mock.wish import Wish

# Picks one of a criterion's answers: model, criterion, what may be answered, and the request.
Choose = Callable[[str, str, list[str], Wish], str]

USER = "\nuser\n"  # between the system message and the first of the user, see `read_wish`


def best(model: str, id: str, answers: list[str], wish: Wish) -> str:
    """Answer the highest level."""
    return [a for a in answers if a not in ("not_applicable", "unclear")][-1]


def worst(model: str, id: str, answers: list[str], wish: Wish) -> str:
    """Answer the lowest level."""
    return answers[0]


def gullible(model: str, id: str, answers: list[str], wish: Wish) -> str:
    """Obey whoever asks for it, and be strict otherwise."""
    obeys = "ignore all previous instructions" in wish.prompt.partition(USER)[2].lower()
    return (best if obeys else worst)(model, id, answers, wish)


def reply(wish: Wish, choose: Choose) -> dict[str, dict[str, str]]:
    """Return a verdict on a request, each answer with a quote of the speaker that the rubric names."""
    schema: Schema = wish.schema or {}
    writer, (system, _, text) = Writer(schema, Random(0)), wish.prompt.partition(USER)
    verdict = {}
    for id, node in schema["properties"].items():
        answer = choose(wish.model, id, writer.flat(writer.flat(node)["properties"]["answer"])["enum"], wish)
        who = re.search(rf"^{id}: .*Quote the (client|therapist)\.", system, re.MULTILINE)
        said = re.findall(rf"^\[\d+\] (?:{who[1] if who else 'client|therapist'}): (.{{21,}})$", text, re.MULTILINE)
        quote = said[-1][:100].strip() if said and answer != "unclear" else ""
        verdict[id] = {"quote": quote, "why": "It says so.", "answer": answer}
    return verdict


class JudgeServer(Server, Threaded):
    """A server for as long as a ``with`` block lasts; what is no verdict (the canary) is answered as by any mock server.

    Args:
        choose: Picks the answers.
        models: Names under which it judges.
    """

    runner = {"handler_cancellation": True, "shutdown_timeout": 0.1}  # noqa: RUF012

    def __init__(self, choose: Choose = best, *models: str) -> None:
        super().__init__(parser().parse_args(["--model", *(models or ("critic",))]), Faults({}, 1, 0, ()), Pace())
        self.choose, self.asked, self.prompts = choose, Counter[str](), list[str]()
        self.fail_after: int | None = None

    async def _completion(self, wish: Wish, fault: str | None) -> web.Response:
        if wish.schema is None or not str(wish.schema.get("title", "")).startswith("verdict_"):
            return await super()._completion(wish, fault)
        if self.fail_after is not None and len(self.prompts) >= self.fail_after:
            await asyncio.Event().wait()
        self.asked[wish.model] += 1
        self.prompts.append(wish.prompt)
        return respond(completion(wish, Reply(self.say(wish)), len(wish.prompt) // 4, 0))

    def say(self, wish: Wish) -> str:
        """Return the answer to a request."""
        return json.dumps(reply(wish, self.choose))


class Liar(JudgeServer):
    """A judge that quotes what nobody said."""

    def say(self, wish: Wish) -> str:
        """Return an answer that rests on nothing."""
        told = {id: {**found, "quote": "I promise it will all be fine"} for id, found in reply(wish, self.choose).items()}
        return json.dumps(told)
