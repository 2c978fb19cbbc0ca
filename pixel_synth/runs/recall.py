"""Answers from a run's ledger alone: the chain is walked again and no engine is there to be asked."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pixel_synth.errors import EngineError, RunError
from pixel_synth.llms.ask import Asker, Voice
from pixel_synth.llms.engine import Call, Completion
from pixel_synth.llms.ledger import Ledger
from pixel_synth.records import Blueprint

if TYPE_CHECKING:
    from pixel_synth.knowledge import Knowledge
    from pixel_synth.llms.connect import Links
    from pixel_synth.settings import Settings


def stored(run: Path) -> Ledger:
    """Open a run's ledger without leaving a trace beside it.

    Raises:
        RunError: When it is not there or cannot be read.
    """
    path = run / "ledger.sqlite"
    if not path.is_file():
        raise RunError(f"{path} is not there: the answers of this run are lost", hint="copy it from where the run was made")
    try:
        ledger = Ledger(path, read_only=True, alone=not path.with_name(path.name + "-wal").exists())
        ledger.get("")
    except sqlite3.Error as error:
        raise RunError(f"{path} cannot be read: {error}", hint="copy it from where the run was made") from error
    return ledger


def recalling(links: Links, ledger: Ledger) -> Asker:
    """Return what answers calls from the ledger and stops at one that is not in it."""
    judges = [Voice(None, link.model) for link in links.judges]
    return Asker(Voice(None, links.generator.model), judges[0] if judges else None, ledger, None, judges[1:])


class Recalled(NamedTuple):
    """A call as it is rendered today, and what the ledger has for its key.

    ``completion`` is ``None`` when it has no answer: the call failed (``failure`` says how), or is not there.
    ``repairs`` counts the calls right before it that were answered without use, so that this one asks the same again.
    """

    key: str
    call: Call
    completion: Completion | None
    failure: str
    repairs: int


class Walk(NamedTuple):
    """The calls of one attempt in the order in which they were made, and why it ended before the end, or ""."""

    calls: list[Recalled]
    ended: str


async def walk(bp: Blueprint, knowledge: Knowledge, asker: Asker, settings: Settings) -> Walk:
    """Walk the chain of one blueprint again, as far as it got then or as the ledger has the calls that are made of it today."""
    from pixel_synth.curate.gate import Gate
    from pixel_synth.runs.chain import write  # brings in every task and scorer

    calls: list[Recalled] = []

    async def ask(call: Call) -> Completion:
        key = call.key(asker.voice(call).model)
        last = calls[-1] if calls else None
        repairs = last.repairs + 1 if last and last.call.brief is call.brief else 0  # a repair is the same brief, asked again
        try:
            completion = await asker(call)
        except EngineError as error:
            calls.append(Recalled(key, call, None, f"{error.kind}: {error.message}", repairs))
            raise
        calls.append(Recalled(key, call, completion, "", repairs))
        return completion

    try:
        await write(bp, knowledge, ask, settings, Gate())  # whatever the verdict
    except (OSError, sqlite3.Error, MemoryError):
        raise
    except Exception as error:  # as in the run itself, where it made a failed attempt, or for want of an answer or an entry
        return Walk(calls, str(error))
    return Walk(calls, "")
