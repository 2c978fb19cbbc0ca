"""Everything about one record of a run, looked up by the id of its conversation or blueprint.

The record comes from the index (one seek, one line), its calls from the ledger by blueprint, its knowledge from the few packs that
hold what it stands on: the time does not grow with the run.  Only where calls have to be rendered again, or put in order after a
repair, the chain is walked (`recall.walk`); that part is loaded when it is needed, the rest is kept light.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from pixel_synth.errors import PixelError, RunError, UsageError
from pixel_synth.knowledge.load import Pack, load
from pixel_synth.knowledge.models import Disorder
from pixel_synth.knowledge.pieces import Entry
from pixel_synth.llms.ledger import Ledger, StoredCall
from pixel_synth.prompts import prompts_dir
from pixel_synth.publish.index import FILES, Index, Place
from pixel_synth.records import Attempt, Blueprint, PromptRef
from pixel_synth.runs.recall import Recalled, recalling, stored, walk

SHORTEST = 4  # characters of an id
SHOWN = 20  # candidates that are listed when an id's beginning fits several
# Where the call of a part stands in a session.
ORDER = {"scenario": 0, "client": 1, "therapist": 1, "reasoning": 2, "judge": 3}
VERIFIED = "prompt verified by its hash"
LOST = "cannot be re-rendered: packs or prompts changed"


class Cited(NamedTuple):
    """A knowledge entry that a plan stands on; without name and sources where the packs here do not have it."""

    ref: str
    name: str = ""
    sources: tuple[tuple[str, str], ...] = ()  # citation and DOI


class PromptState(NamedTuple):
    """A prompt of a record, and whether the file here is ``same``, ``changed`` or ``missing``."""

    ref: PromptRef
    here: str


class CallTold(NamedTuple):
    """One call.  ``messages`` and ``prompt`` (whether they are those of then) only where the calls were rendered again."""

    part: str
    turn: int
    key: str
    finish: str
    tokens_in: int | None
    cached: int | None
    tokens_out: int | None
    seconds: float | None
    text: str
    note: str = ""
    messages: list[dict[str, str]] | None = None
    prompt: str = ""


class Calls(NamedTuple):
    """The calls of a record, and what could not be had of them."""

    told: list[CallTold]
    lost: str = ""


class Other(NamedTuple):
    """Another attempt of the same slot."""

    place: Place
    reason: str


class Account(NamedTuple):
    """What is known about one record."""

    run: Path
    info: dict[str, Any]
    place: Place
    attempt: Attempt
    topic: Disorder | None
    cited: list[Cited]
    prompts: list[PromptState]
    calls: list[CallTold]
    lost: str  # why there are no calls, or why they are not rendered again
    others: list[Other]

    def totals(self) -> dict[str, float]:
        """Return calls, tokens and seconds, added up."""
        sums: Counter[str] = Counter(calls=len(self.calls), tokens_in=0, cached=0, tokens_out=0)
        for call in self.calls:
            sums.update({name: getattr(call, name) or 0 for name in ("tokens_in", "cached", "tokens_out")})
        return {**sums, "seconds": sum(call.seconds or 0.0 for call in self.calls)}

    def json(self) -> str:
        """Return everything as JSON."""
        data = {
            "run": str(self.run),
            "status": self.place.status,
            "file": f"data/{self.place.file}",
            "start": self.place.start,
            "size": self.place.size,
            "attempt": self.attempt.model_dump(mode="json"),
            "knowledge": [
                {"ref": c.ref, "name": c.name, "sources": [{"cite": cite, "doi": doi} for cite, doi in c.sources]} for c in self.cited
            ],
            "prompts": [{**p.ref.model_dump(), "here": p.here} for p in self.prompts],
            "calls": [c._asdict() for c in self.calls],
            "calls_lost": self.lost,
            "totals": self.totals(),
            "others": [
                {"attempt": o.place.attempt, "id": o.place.id, "blueprint": o.place.blueprint, "status": o.place.status, "reason": o.reason}
                for o in self.others
            ],
        }
        return json.dumps(data, indent=2, ensure_ascii=False)


def explain(beginning: str, run: Path | None = None, *, full: bool = False) -> Account:
    """Find a record and gather what is known about it.

    Args:
        beginning: Id of a conversation or a blueprint, or at least `SHORTEST` characters of its beginning.
        run: A run directory; the newest one below ``settings.out`` that has the id when not given.
        full: Render the messages of every call again.

    Raises:
        UsageError: When the id is too short.
        RunError: When nothing has it, or more than one record.
    """
    beginning = beginning.strip().lower()
    if len(beginning) < SHORTEST:
        raise UsageError(f"{beginning!r} is too short for an id", hint=f"give at least {SHORTEST} characters of it")
    root, index, place = _find(beginning, [run] if run else _runs())
    try:
        attempt = index.read(place)
        others = [Other(p, index.read(p).reason) for p in index.of_slot(place.slot) if p.attempt != place.attempt]
    finally:
        index.close()
    bp, c = attempt.blueprint, attempt.conversation
    calls, lost = _calls(root, attempt, full)
    packs = load().packs
    topic = next((e for p in packs if p.kind == "disorder" for e in p.entries if e.id == bp.topic and isinstance(e, Disorder)), None)
    prompts = [PromptState(ref, _here(ref)) for ref in (c.provenance.prompts if c else ())]
    return Account(root, _info(root), place, attempt, topic, list(_cited(bp, packs)), prompts, calls, lost, others)


# ------------------------------------------------------------------------------------------- the record


def _info(root: Path) -> dict[str, Any]:
    try:
        info: dict[str, Any] = json.loads((root / "run.json").read_text(encoding="utf-8"))
    except OSError as error:
        raise RunError(
            f"{root} is not a run directory (no run.json)", hint="run directories are made below --out, default runs/"
        ) from error
    except ValueError as error:
        raise RunError(f"{root / 'run.json'} is damaged: {error}", hint="restore it from a copy") from error
    return info


def _runs() -> list[Path]:
    """Return the run directories below ``settings.out`` that have a dataset, the one started last first."""
    from pixel_synth.settings import load_settings

    out = load_settings().out
    found = [p.parent for p in out.glob("*/run.json") if all((p.parent / "data" / name).is_file() for name in FILES.values())]
    if not found:
        raise RunError(f"no finished run below {out}", hint="name one: --run RUN")
    return sorted(found, key=lambda root: (_info(root).get("started", ""), root.name), reverse=True)


def _find(beginning: str, roots: list[Path]) -> tuple[Path, Index, Place]:
    for root in roots:
        _info(root)
        index = Index(root)
        places = index.find(beginning)
        if len(places) == 1:
            return root, index, places[0]
        index.close()
        if places:
            lines = [f"  {p.id or '–':<16}  blueprint {p.blueprint}  slot {p.slot}, attempt {p.attempt}, {p.status}" for p in places]
            more = [f"  … and {len(places) - SHOWN} more"] if len(places) > SHOWN else []
            raise RunError(
                "\n".join([f"{beginning!r} fits {len(places)} records of {root}:", *lines[:SHOWN], *more]), hint="give more of it"
            )
    where = f"{roots[0]}" if len(roots) == 1 else f"the {len(roots)} runs below {roots[0].parent}"
    raise RunError(f"no record {beginning!r} in {where}", hint="an id is that of a conversation or of a blueprint, in hex digits")


# ---------------------------------------------------------------------------------- knowledge and prompts


def _cited(bp: Blueprint, packs: Iterable[Pack]) -> Iterator[Cited]:
    found: dict[str, tuple[Entry, Pack]] = {f"{p.kind}:{e.id}": (e, p) for p in packs for e in p.entries}
    for ref in bp.knowledge:
        if ref not in found:
            yield Cited(ref)
            continue
        entry, pack = found[ref]
        yield Cited(ref, entry.name, tuple((pack.sources[key].cite, pack.sources[key].doi) for key in entry.source))


def _here(ref: PromptRef) -> str:
    path = prompts_dir() / f"{ref.name}.md"
    if not path.is_file():
        return "missing"
    return "same" if hashlib.sha256(path.read_bytes()).hexdigest() == ref.sha256 else "changed"


# ------------------------------------------------------------------------------------------------ calls


def _calls(root: Path, attempt: Attempt, full: bool) -> Calls:
    """Return the calls of an attempt in the order of the session."""
    try:
        ledger = stored(root)
    except RunError as error:
        return Calls([], error.message)
    try:
        found = sorted(ledger.of(attempt.blueprint.id), key=lambda c: (ORDER.get(c.part.partition(".")[0], 4), c.turn, c.part))
        again = Counter((c.part, c.turn) for c in found)
        if full or attempt.status == "failed" or any(n > 1 for n in again.values()):
            return _walked(root, attempt, ledger, found)
        return Calls([_told(c) for c in found])
    except sqlite3.Error as error:
        return Calls([], f"{root / 'ledger.sqlite'} cannot be read: {error}")
    finally:
        ledger.close()


def _told(c: StoredCall, note: str = "", messages: list[dict[str, str]] | None = None, prompt: str = "") -> CallTold:
    a = c.completion
    return CallTold(c.part, c.turn, c.key, a.finish, a.tokens_in, a.cached, a.tokens_out, c.seconds, a.text, note, messages, prompt)


def _walked(root: Path, attempt: Attempt, ledger: Ledger, found: list[StoredCall]) -> Calls:
    """Walk the chain again, and return its calls as they were made; those that it does not come by any more stand at the end."""
    import asyncio

    from pixel_synth.runs.directory import Run

    try:
        run = Run.open(root)
        recalled = asyncio.run(walk(attempt.blueprint, load(), recalling(run.links, ledger), run.settings)).calls
    except PixelError as error:
        return Calls([_told(c, prompt=LOST) for c in found], error.message)
    by_key = {c.key: c for c in found}
    left = [c for c in found if c.key not in {r.key for r in recalled}]
    calls: list[CallTold] = []
    for number, r in enumerate(recalled):
        asked_again = number + 1 < len(recalled) and recalled[number + 1].repairs
        failed_here = number + 1 == len(recalled) and not left and attempt.status == "failed"
        notes = [f"repair {r.repairs}"] if r.repairs else []
        notes += ["unusable"] if asked_again else [f"unusable: {attempt.kind}"] if failed_here else []
        if r.key in by_key:
            calls.append(_told(by_key[r.key], ", ".join(notes), r.call.messages, VERIFIED))
        else:
            calls.append(_failed(r))
    return Calls(calls + [_told(c, prompt=LOST) for c in left], LOST if left else "")


def _failed(r: Recalled) -> CallTold:
    """Tell of a call that ended without an answer."""
    turn = len(r.call.brief.history) if r.call.brief else 0
    return CallTold(r.call.part, turn, r.key, "failed", None, None, None, None, "", r.failure, r.call.messages, VERIFIED)
