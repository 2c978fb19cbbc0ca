"""Take personal data out of records: every text of them, the same item under the same placeholder.

What a placeholder says is the kind and a number that is the same wherever the item stands in the conversation: ``[email_1]``.  Spans of
marks and scores move with the text; one that touched an item is widened to hold its placeholder.  The plan of a generated record is
invented and stays, and names in generated records are invented as well and not looked for.  Groups with personal data in their key are
hashed.  A record with an e-mail address, telephone number or the like in its id, labels or another field that is no text is refused,
since nothing could be put in its place there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache, cached_property
from typing import Any, NamedTuple

from pydantic import ValidationError

from pixel_synth.books import Dropped
from pixel_synth.curate.redact import dates, names, numbers, online, phones, places
from pixel_synth.curate.redact.findings import Finding, counted, put, spliced, summed
from pixel_synth.curate.redact.spans import Hit, apart, known
from pixel_synth.errors import RecordError
from pixel_synth.records import Conversation, Evidence, Score, stable_id

# In this order: what is named first stands where two overlap.
WORDED = (online.emails, online.urls)
NUMBERED = (
    numbers.accounts, numbers.ids, dates.births, places.addresses, places.postcodes, phones.phones, numbers.records, online.ips,
    dates.old_ages,
)  # fmt: skip
DETECTORS = (*WORDED, *NUMBERED, online.handles)
_TITLES = frozenset({"dr", "mr", "mrs", "ms", "miss", "mx", "prof"})
_NUMBER = re.compile(r"\d[\d ()./-]{4,}\d")  # a text without it or an @ has no item that is sure outside of talk
_HASH = re.compile(r"(\w+:)?[0-9a-f]{16,64}")  # ids of our own, which can look like a card's number
_ASIDE = frozenset({"id", "turns", "blueprint", "labels", "provenance", "links"})  # what is no text, and is handed out as well
_DIGIT = re.compile(r"\d")
KINDS = ("email", "url", "iban", "card", "id", "phone", "record", "ip", "handle", "address", "postcode", "birth_date", "age", "name")
_PLACEHOLDER = re.compile(r"\[(email|url|iban|card|id|phone|record|ip|handle|address|postcode|birth_date|name)_(\d{1,6})\]")


class Place(NamedTuple):
    """A text of a record: where it stands, who says it (empty where nobody does), and the text."""

    field: str
    turn: int | None
    role: str
    text: str


class Redactor:
    """Finds personal data and replaces it; as a `Step`, it gives the redacted record.

    Args:
        pipeline: Name or folder of a spaCy pipeline that knows people's names; none by default, see `names.NOT_LOOKED_FOR`.
        people: Names that are known to occur, in any record.

    Raises:
        UsageError: When the pipeline is not there.
    """

    def __init__(self, pipeline: str = "", people: tuple[str, ...] = ()) -> None:
        self.pipeline, self.people = pipeline, people
        if pipeline:
            names.model(pipeline)

    @cached_property
    def note(self) -> str:
        """What the card of a dataset has to say of names."""
        return f"names were looked for by pattern and by the spaCy pipeline {self.pipeline}" if self.pipeline else names.NOT_LOOKED_FOR

    def __call__(self, conversation: Conversation) -> Conversation | Dropped:
        """Return the redacted record, or why there is none."""
        try:
            return self.redact(conversation)[0]
        except RecordError as error:
            return Dropped(f"redact: {error.message}")

    def redact(self, conversation: Conversation, people: tuple[str, ...] = ()) -> tuple[Conversation, tuple[Finding, ...]]:
        """Return the record without personal data, and what was taken out.

        Args:
            conversation: Any record.
            people: Names that the record's source gives for it, such as the author of an answer.

        Raises:
            RecordError: When a text is longer than the schema allows once the placeholders stand in it, or when a field that is no text
                holds personal data.
        """
        if told := _told_aside(conversation):
            raise RecordError(f"personal data in {told}, which is no text that could be redacted")
        texts = list(_texts(conversation))
        given = (*self.people, *people, *speakers(conversation))
        named = () if conversation.provenance.source == "generated" else given
        found = self._found(texts, named, generated=conversation.provenance.source == "generated")
        return _applied(conversation, texts, found) if found or any(map(_tells, conversation.groups)) else (conversation, ())

    def _found(self, texts: list[Place], people: tuple[str, ...], generated: bool) -> dict[int, list[Hit]]:
        """Return the hits by the index of the text."""
        certain = {i: apart(_certain(p.text)) for i, p in enumerate(texts)}
        if not generated:
            told: dict[str, None] = dict.fromkeys(people)
            modelled: dict[int, list[Hit]] = {}
            for i, p in enumerate(texts):
                told.update((p.text[s:e], None) for s, e in names.told_names(p.text, p.role))
                modelled[i] = list(names.model_names(p.text, self.pipeline)) if self.pipeline else []
                told.update((h.same, None) for h in modelled[i])
            one = _same_person(tuple(told))
            for i, p in enumerate(texts):
                said = (Hit(s, e, "name", one[name]) for s, e, name in names.mentions(p.text, told))
                own = (Hit(s, e, "name", one[p.text[s:e]]) for s, e in names.told_names(p.text, p.role))
                certain[i] = apart((*certain[i], *own, *said))
        return {i: hits for i, hits in certain.items() if hits}


def _certain(text: str) -> Iterator[Hit]:
    """Yield what all detectors find; those of numbers are asked only where a digit stands."""
    for find in DETECTORS if _DIGIT.search(text) else (*WORDED, online.handles):
        yield from find(text)


def speakers(conversation: Conversation) -> Iterator[str]:
    """Yield the names that the record's groups give: ``speaker:sherry-katz-lcsw`` gives Sherry Katz."""
    for group in conversation.groups:
        if _named(group):
            words = [w for w in re.split(r"[\s,_-]+", group.partition(":")[2]) if w]
            words = words[1:] if words and words[0].lower().rstrip(".") in _TITLES else words
            cut = next((i for i, w in enumerate(words) if re.sub(r"\W", "", w).lower() in _letters()), len(words))
            if cut >= 2:  # without letters behind it nothing tells a third name from a town
                named = words[: cut if cut < len(words) or cut == 2 else 2]
                yield " ".join(w if w != w.lower() else w.capitalize() for w in named[:4])


def _tells(group: str) -> bool:
    """Tell whether a group's key tells who somebody is: a speaker's name, or personal data of any other kind."""
    return _named(group) or _sure(group.partition(":")[2])


def _sure(text: str) -> bool:
    """Tell whether a value that is no talk holds personal data; an address on the web may stand there."""
    if not ("@" in text or _NUMBER.search(text)) or _HASH.fullmatch(text):
        return False
    return any(h.kind != "url" for h in _certain(text))


def _told_aside(c: Conversation) -> str:
    """Return the first field that is no text and holds personal data; groups are hashed, and the words of a licence are public."""
    for path, text in _leaves("", c.model_dump(mode="json", include=set(_ASIDE))):
        if path != ".provenance.license" and _sure(text):
            return path[1:]
    return ""


def _named(group: str) -> bool:
    """Tell whether a group is a speaker's by name: its key is neither a number nor a hash."""
    kind, _, key = group.partition(":")
    return kind == "speaker" and not re.fullmatch(r"[0-9a-f]{8,}|[\W\d_]*", key)


@cache
def _letters() -> frozenset[str]:
    return frozenset(re.sub(r"\W", "", c).lower() for c in known("credentials"))


def _same_person(told: tuple[str, ...]) -> dict[str, str]:
    """Return for each name the longest one that is said by it: Maria is Maria Gomez where both are known."""
    by_length = sorted(told, key=lambda n: (-len(n), n))
    return {name: next((other for other in by_length if name in names.forms(other)), name) for name in told}


def _texts(c: Conversation) -> Iterator[Place]:
    for i, m in enumerate(c.messages):
        yield Place("messages.content", i, m.role, m.content)
    for i, m in enumerate(c.dispreferred):
        yield Place("dispreferred.content", i, m.role, m.content)
    if c.thought:
        yield Place("thought", None, "", c.thought)
    for name, value in (("scenario", c.scenario), ("reasoning", c.reasoning)):
        if value is not None:
            yield from (Place(path, None, "", text) for path, text in _leaves(name, value.model_dump(mode="json")))


def _leaves(path: str, value: Any) -> Iterator[tuple[str, str]]:
    """Yield every text below a value of a dumped record, with its path."""
    if isinstance(value, str):
        if value:
            yield path, value
    elif isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _leaves(f"{path}.{key}", inner)


def _applied(c: Conversation, texts: list[Place], hits: dict[int, list[Hit]]) -> tuple[Conversation, tuple[Finding, ...]]:
    labels = _numbered(texts, hits)
    found: list[Finding] = []
    data = c.model_dump(mode="json")
    moved: dict[int, list[Finding]] = {}
    for i, items in hits.items():
        p = texts[i]
        mine = [
            Finding(field=p.field, turn=p.turn, start=h.start, end=h.end, kind=h.kind, text=p.text[h.start : h.end],
                    replacement=h.fixed or labels[h.kind, h.same])
            for h in items
        ]  # fmt: skip
        put(data, p.field, p.turn, spliced(p.text, mine))
        if p.field == "messages.content" and p.turn is not None:
            moved[p.turn] = mine
        found += mine
    found += _follow(c, data, moved)
    data["redactions"] = [r.model_dump() for r in summed(c.redactions, counted(found))]
    try:
        return Conversation.model_validate(data), tuple(found)
    except ValidationError as error:
        first = error.errors()[0]
        raise RecordError(f"{'.'.join(map(str, first['loc']))}: {first['msg']} once placeholders stand in it") from error


def _numbered(texts: list[Place], hits: dict[int, list[Hit]]) -> dict[tuple[str, str], str]:
    """Return the placeholder of each item: numbers of a kind in the order of first appearance, after those that the texts hold already."""
    last: dict[str, int] = {}
    for p in texts:
        for m in _PLACEHOLDER.finditer(p.text) if "[" in p.text else ():
            last[m[1]] = max(last.get(m[1], 0), int(m[2]))
    labels: dict[tuple[str, str], str] = {}
    for items in hits.values():
        for h in items:
            if not h.fixed and (h.kind, h.same) not in labels:
                last[h.kind] = last.get(h.kind, 0) + 1
                labels[h.kind, h.same] = f"[{h.kind}_{last[h.kind]}]"
    return labels


def _follow(c: Conversation, data: dict[str, Any], moved: dict[int, list[Finding]]) -> Iterator[Finding]:
    """Move the spans of marks and scores, and hash groups that tell a name; yield what they were."""
    for i, mark in enumerate(c.marks):
        yield from _follows("marks", i, mark, _shifted(mark, data, moved), data)
    for i, score in enumerate(c.scores):
        evidence = tuple(_shifted(e, data, moved) for e in score.evidence)
        yield from _follows("scores", i, score, score.model_copy(update={"evidence": evidence}), data)
    for i, group in enumerate(c.groups):
        kind, _, key = group.partition(":")
        if _tells(group):
            data["groups"][i] = f"{kind}:{stable_id(kind, key)}"
            yield Finding(
                field="groups", turn=i, start=0, end=len(group), kind="group", text=json.dumps(group), replacement=data["groups"][i]
            )


def _follows(field: str, i: int, old: Evidence | Score, new: Evidence | Score, data: dict[str, Any]) -> Iterator[Finding]:
    if new != old:
        data[field][i] = new.model_dump(mode="json")
        yield Finding(field=field, turn=i, start=0, end=0, kind=field.removesuffix("s"), text=old.line(), replacement=new.line())


def _shifted(e: Evidence, data: dict[str, Any], moved: dict[int, list[Finding]]) -> Evidence:
    items = moved.get(e.turn)
    if not items:
        return e
    start, end = (_place(at, items, last) for at, last in ((e.start, False), (e.end, True)))
    return e.model_copy(update={"start": start, "end": end, "quote": data["messages"][e.turn]["content"][start:end]})


def _place(at: int, items: list[Finding], last: bool) -> int:
    """Return where an offset went; one inside an item goes to the beginning of its placeholder, or (``last``) to its end."""
    shift = 0
    for f in items:
        if at <= f.start:
            break
        grown = len(f.replacement) - (f.end - f.start)
        if at < f.end:
            return f.start + shift + (len(f.replacement) if last else 0)
        shift += grown
    return at + shift
