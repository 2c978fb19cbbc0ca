"""Everything that a run's files say about one record, in the order in which it went through the stages, and whether they still say it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from pydantic_core import from_json

from pixel_synth.errors import RunError, UsageError
from pixel_synth.prove.audit import NAME, Audit, read_json, verify_run
from pixel_synth.prove.chain import Entry, Fault, hash_of
from pixel_synth.prove.diff import changed_fields
from pixel_synth.prove.places import Place, Places

SHORTEST = 4  # characters of an id
SHOWN = 6  # fields or other ids that are named one by one
Row = dict[str, Any]


class Event(NamedTuple):
    """What one line of one file says of the record."""

    file: str
    line: int
    what: str


class File(NamedTuple):
    """A file that tells of the record; ``whole`` is ``None`` when nothing vouches for it."""

    name: str
    whole: bool | None
    standing: str


class Trace(NamedTuple):
    """A record's way; ``record`` is its last form, ``None`` when only rejects tell of it.  ``gate`` has what each threshold may do."""

    id: str
    run: Path
    record: Row | None
    events: tuple[Event, ...]
    files: tuple[File, ...]
    entries: tuple[Entry, ...]
    gate: dict[str, Row]
    faults: tuple[Fault, ...] = ()  # of the audit trail itself

    @property
    def changed(self) -> tuple[File, ...]:
        """The files that are no longer as they were chained."""
        return tuple(f for f in self.files if f.whole is False)


def trace(beginning: str, run: Path, progress: Callable[[int, int], None] = lambda done, total: None) -> Trace:
    """Follow a record through a run.

    Args:
        beginning: Its id, or at least 4 characters of its beginning.
        run: The run directory.
        progress: Told the bytes read and all bytes, where files have to be read first.

    Raises:
        UsageError: When the id is too short.
        RunError: When nothing has it, several records have it, or there is no run.
    """
    beginning = beginning.strip()
    if len(beginning) < SHORTEST:
        raise UsageError(f"{beginning!r} is too short for an id", hint=f"give at least {SHORTEST} characters of it")
    info = read_json(run / "run.json")
    places = Places(run, progress)
    try:
        ids = places.ids(beginning)
        if len(ids) != 1:
            told = f"fits {len(ids)} records or more: {', '.join(ids)}" if ids else "is in no file of"
            raise RunError(f"{beginning!r} {told} {run}", hint="give more of it" if ids else "an id is that of a conversation")
        found = sorted(places.of(ids[0]), key=_order)
        events, record = _events(places, found)
        names = list(dict.fromkeys(p.file for p in found))
        vouched = _vouched(run)
        files = tuple(_file(name, places.hash(name), vouched) for name in names)
    finally:
        places.close()
    chained = tuple(e for e in Audit(run).entries() if e.subject == ids[0])
    gate = {str(limit["metric"]): limit for limit in info.get("gate", {}).get("limits", ())}
    faults = verify_run(run).faults if (run / NAME).is_file() else ()
    return Trace(ids[0], run, record, events, files, chained, gate, faults)


def _order(place: Place) -> tuple[int, str, int, int]:
    """Stages in their order, then what was published; what screening put aside in private stands after it."""
    name = place.file.replace("private/", "stages/02-screen/private/")
    return (0 if name.startswith("stages/") else 1, "/".join(name.split("/")[:2]), int("kept" in name), place.line)


def _events(places: Places, found: list[Place]) -> tuple[tuple[Event, ...], Row | None]:
    events, record = list[Event](), None
    pairs = [place for place in found if place.file.endswith("similar.jsonl")]
    for place in found:
        if place not in pairs:
            what, now = _what(place, _row(places, place), record)
            record = now or record
            events.append(Event(place.file, place.line, what))
        elif place == pairs[0]:
            others = [_other(_row(places, pair), pair.id) for pair in pairs[:SHOWN]]
            more = f" and {len(pairs) - SHOWN} more" if len(pairs) > SHOWN else ""
            events.append(Event(place.file, place.line, f"may not be split from {', '.join(others)}{more}"))
    return tuple(events), record


def _row(places: Places, place: Place) -> Row:
    try:
        row: Row = from_json(places.text(place))
    except ValueError as error:
        raise RunError(f"{places.run / place.file}:{place.line}: {error}", hint=f"pixel-synth audit --verify {places.run}") from error
    return row


def _what(place: Place, row: Row, before: Row | None) -> tuple[str, Row | None]:
    """Return what a line says, and the record when it holds it."""
    name = Path(place.file).name
    if "reason" in row and "stage" in row:
        return f"rejected: {row['reason']}", row.get("record")
    if name == "clusters.jsonl":
        return _member(row, place.id), None
    if "finding" in row:
        return f"taken out: {row['finding'].get('kind')} in {row['finding'].get('field')} (the original stands there)", None
    if "messages" not in row:
        return "; ".join(f"{k} {v}" for k, v in row.items() if k != "id"), None
    verb = "published in" if place.file.startswith("data/") else "kept" if name == "kept.jsonl" else "went to"
    told = verb if verb == "kept" else f"{verb} {name.removesuffix('.jsonl')}"
    return f"{told}: {_change(before, row)}", row


def _change(before: Row | None, now: Row) -> str:
    if before is None:
        return f"category {now.get('category')}, {len(now['messages'])} messages"
    fields = changed_fields(before, now)
    if not fields:
        return "unchanged"
    told = []
    if "redactions" in fields:
        told.append("redacted " + ", ".join(f"{r['count']} {r['kind']}" for r in now.get("redactions", ())))
    if "category" in fields:
        told.append(f"category {before.get('category')} -> {now.get('category')}")
    rest = [f for f in fields if f not in ("redactions", "category")]
    more = f" and {len(rest) - SHOWN} more" if len(rest) > SHOWN else ""
    return "; ".join([*told, *([f"changed {', '.join(rest[:SHOWN])}{more}"] if rest else [])])


def _member(cluster: Row, id: str) -> str:
    members = cluster.get("members", ())
    me = next((m for m in members if m["id"] == id), None)
    if me is None:
        return f"a cluster of {len(members)}"
    if me["kept"]:
        return f"kept of {len(members)} duplicates: {me['why']}"
    return f"dropped as {me['how']} duplicate of {me['keeper']} (similarity {me['similarity']})"


def _other(pair: Row, id: str) -> str:
    return f"{pair['b'] if pair['a'] == id else pair['a']} ({pair['kind']} {pair['similarity']})"


# ---------------------------------------------------------------------------------------------- files


def _vouched(run: Path) -> dict[str, tuple[str, str]]:
    """Return the hash that each file should have, and who says so: the chain, else the stage, else the manifest."""
    found: dict[str, tuple[str, str]] = {}
    manifest = read_json(run / "manifest.json").get("files", {}) if (run / "manifest.json").is_file() else {}
    found |= {name: (str(pin["sha256"]), "manifest.json") for name, pin in manifest.items()}
    for path in sorted(run.glob("stages/*/stage.json")):
        base = path.parent.relative_to(run).as_posix()
        found |= {f"{base}/{name}": (str(digest), "stage.json") for name, digest in read_json(path).get("outputs", {}).items()}
    for entry in Audit(run).entries():
        if entry.action == "stage":
            found |= {name: (str(digest), f"{NAME} line {entry.n}") for name, digest in entry.details.get("files", {}).items()}
        elif entry.action == "seal" and entry.details.get("sha256") == hash_of(manifest):
            found |= {name: (str(pin["sha256"]), f"the manifest sealed in {NAME} line {entry.n}") for name, pin in manifest.items()}
    return found


def _file(name: str, digest: str, vouched: dict[str, tuple[str, str]]) -> File:
    if name not in vouched:
        return File(name, None, "nothing vouches for it")
    wanted, who = vouched[name]
    return File(name, digest == wanted, f"{'as in' if digest == wanted else 'CHANGED: not as in'} {who}")


# ----------------------------------------------------------------------------------------------- text


def lines(found: Trace) -> Iterator[str]:
    """Yield the account for a terminal."""
    yield f"── {found.id} · {found.run}"
    if found.record:
        yield from _origin(found.record, found.id)
    yield "what became of it"
    for event in _gathered(found.events):
        yield f"   {event.file}:{event.line}  {event.what}"
    if found.record:
        yield from _scores(found.record, found.gate)
        yield from _verdict(found.record, found.events[-1])
    yield "events of the audit trail about it" + ("" if found.entries else ": none (no review, no decision by a person)")
    yield from (f"   line {e.n}  {e.at}  {e.actor}: {e.action} {e.details}" for e in found.entries)
    yield from (f"the trail itself is BROKEN: {NAME}:{f.line}: {f.what}" for f in found.faults)
    yield "are these files as they were?"
    yield from (f"   {f.name}  {f.standing}" for f in found.files)


def _gathered(events: tuple[Event, ...]) -> Iterator[Event]:
    """Yield the events; equal ones of a file as one, with their number."""
    counted, first = Counter((e.file, e.what) for e in events), dict[tuple[str, str], Event]()
    for event in events:
        first.setdefault((event.file, event.what), event)
    for key, event in first.items():
        yield event._replace(what=f"{event.what}, {counted[key]} times") if counted[key] > 1 else event


def _origin(record: Row, id: str) -> Iterator[str]:
    p = record.get("provenance", {})
    yield "where it comes from"
    named = {key: p.get(key) or "none named" for key in ("source", "license", "engine", "model")}
    yield "   source {source}, licence {license}, engine {engine}, model {model}".format(**named)
    if p.get("row"):
        yield f"   stood at {p['row']}, read as {p.get('converter') or '–'}, revision {p.get('revision') or '–'}"
    for ref in p.get("prompts", ()):
        yield f"   prompt {ref['name']} {ref['version']}  sha256 {ref['sha256']}"
    if p.get("source") == "generated":
        yield f"   plan, knowledge and calls: pixel-synth explain {id} --run <the run that generated it>"


def _scores(record: Row, gate: dict[str, Row]) -> Iterator[str]:
    yield "scores" + ("" if record.get("scores") else ": none")
    for s in record.get("scores", ()):
        limit = gate.get(s["metric"])
        standing = "no threshold"
        if limit:
            why = f" ({limit['why']})" if limit.get("why") else ""
            standing = f"threshold {limit['least']:g} {limit['standing']}{why}"
        value = f"unscored: {s.get('reason')}" if s.get("value") is None else f"{s['value']:.3f}"
        human = "" if s.get("calibrated") is None else f", {s['calibrated']:.3f} on the human scale"
        yield f"   {s['metric']:<28} {value}{human}  {standing}"


def _verdict(record: Row, last: Event) -> Iterator[str]:
    verdict = record.get("verdict")
    if last.what.startswith("rejected: "):
        yield f"verdict: {last.what}"
    elif verdict:
        yield f"verdict: {'accepted' if verdict['accepted'] else 'rejected: ' + '; '.join(verdict['reasons'])}"
        yield from (f"   a person should look at it: {why}" for why in verdict.get("review", ()))
    else:
        yield "verdict: not gated"
