"""Ratings from Argilla 2: an export of a dataset's records as JSON or JSON lines.

Export it flat, for the nested form (``to_json``, ``to_list(flatten=False)``) does not say which answers were submitted::

    records = dataset.records(with_responses=True).to_list(flatten=True)
    with open("labels.json", "w") as file:
        json.dump(records, file)

Each record has its ``id``, its fields by name, and per question ``<question>.responses``, ``<question>.responses.users`` and
``<question>.responses.status``, lists of one length.  Only submitted responses count; drafts, discarded ones and answers that are
no number are counted as left out.  Argilla keeps no scale with an export: give it as with any labels (`labels.scales_of`).

Source: docs.argilla.io, "Export your dataset"; shapes as written by argilla 2.8.0.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pixel_synth.calibrate.adapters import Labelled
from pixel_synth.calibrate.labels import Rating, Scale, read_scales
from pixel_synth.errors import RecordError
from pixel_synth.records import Conversation, Message, Provenance, Role

ROLES: dict[str, Role] = {
    **dict.fromkeys(("user", "client", "patient", "seeker"), "user"),
    **dict.fromkeys(("assistant", "therapist", "counselor", "counsellor", "supporter"), "assistant"),
    "system": "system",
}
YES_NO = {"yes": 1.0, "no": 0.0}
ENDING = ".responses"
FLAT = "export with json.dump(dataset.records(with_responses=True).to_list(flatten=True), file)"


def argilla(path: Path, *, scales: Mapping[str, Scale] | None = None, field: str = "", group: str = "expert") -> Labelled:
    """Read an export: each user is a rater, each question with numbers (or yes and no, as 1 and 0) a criterion.

    Args:
        path: The export, a JSON list of records or one record per line.
        scales: What the ratings mean; else ``<path>.scales.yaml`` beside it, else none.
        field: The field with the chat; may be left out where the records have one only.
        group: What the users are.

    Raises:
        RecordError: When the file is no flat export or empty, a chat is malformed, or a user answered one question of a record twice.
    """
    if scales is None:
        beside = path.with_suffix(".scales.yaml")
        scales = read_scales(beside) if beside.is_file() else {}
    conversations: dict[str, Conversation] = {}
    ratings: dict[tuple[str, str, str], Rating] = {}
    left_out: Counter[str] = Counter()
    for place, record in _records(path):
        item = str(record.get("id") or "")
        if not item:
            raise RecordError(f"{place}: the record has no id", hint=FLAT)
        if item in conversations:
            raise RecordError(f"{place}: record {item} is in the export twice")
        if chat := _chat(record, field, place):
            conversations[item] = _conversation(item, chat, place)
        else:
            left_out["no chat"] += 1
        for rating in _ratings(record, item, group, place, left_out):
            key = (item, rating.criterion, rating.rater)
            if key in ratings:
                raise RecordError(f"{place}: user {rating.rater} answered {rating.criterion} of {item} twice")
            ratings[key] = rating
    if not conversations and not left_out:
        raise RecordError(f"{path} holds no records", hint="what dataset.records(...) gives can be exported once only: ask for it again")
    return Labelled(path.stem, "", tuple(conversations.values()), tuple(ratings.values()), scales, dict(left_out))


def _records(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each record with its place in the file."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise RecordError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise RecordError(f"{path} is not UTF-8: {error.reason} at byte {error.start}") from error
    if text.lstrip().startswith("["):
        for number, record in enumerate(_json(text, str(path)), 1):
            yield f"{path}: record {number}", _flat(record, f"{path}: record {number}")
    else:
        for number, line in enumerate(text.split("\n"), 1):
            if line.strip():
                yield f"{path}:{number}", _flat(_json(line, f"{path}:{number}"), f"{path}:{number}")


def _json(text: str, place: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise RecordError(f"{place}: no JSON: {error.msg} at line {error.lineno}, column {error.colno}") from error


def _flat(record: Any, place: str) -> dict[str, Any]:
    if not isinstance(record, dict):
        raise RecordError(f"{place}: no record", hint=FLAT)
    if "responses" in record:
        raise RecordError(f"{place}: a nested export does not say which responses were submitted and which are drafts", hint=FLAT)
    return record


def _ratings(record: dict[str, Any], item: str, group: str, place: str, left_out: Counter[str]) -> Iterator[Rating]:
    for key in [key for key in record if key.endswith(ENDING) and record[key] is not None]:
        question = key.removesuffix(ENDING)
        lists = [record[key], record.get(f"{key}.users"), record.get(f"{key}.status")]
        if not all(isinstance(each, list) for each in lists) or len({len(each) for each in lists}) != 1:
            raise RecordError(f"{place}: {key}, {key}.users and {key}.status are no lists of one length", hint=FLAT)
        for answer, user, status in zip(*lists, strict=True):
            value = _number(answer)
            if status != "submitted":
                left_out[str(status or "no status")] += 1
            elif value is None:
                left_out[f"{question}: no number"] += 1
            else:
                yield Rating(item=item, criterion=question, rater=str(user), group=group, rating=value)


def _number(answer: Any) -> float | None:
    if isinstance(answer, str):
        if answer.lower() in YES_NO:
            return YES_NO[answer.lower()]
        return float(answer) if answer.isdecimal() else None
    return float(answer) if isinstance(answer, int | float) and not isinstance(answer, bool) else None


def _chat(record: dict[str, Any], field: str, place: str) -> list[dict[str, Any]]:
    chats = [key for key, value in record.items() if _is_chat(value)]
    if field:
        if field not in chats:
            raise RecordError(f"{place}: field {field} is no chat", hint=f"chats are: {', '.join(chats) or 'none'}")
        chats = [field]
    if len(chats) > 1:
        raise RecordError(f"{place}: there is more than one chat: {', '.join(chats)}", hint="name the field")
    return list(record[chats[0]]) if chats else []


def _is_chat(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(turn, dict) and {"role", "content"} <= set(turn) for turn in value)


def _conversation(item: str, chat: list[dict[str, Any]], place: str) -> Conversation:
    messages = []
    for turn in chat:
        role = ROLES.get(str(turn["role"]).lower())
        if role is None:
            raise RecordError(f"{place}: a turn is by {turn['role']!r}", hint=f"roles are: {', '.join(ROLES)}")
        messages.append((role, str(turn["content"])))
    provenance = Provenance(engine="", model="", toolkit="", seed=0, source="argilla")
    try:
        turns = tuple(Message(role=role, content=content) for role, content in messages)
        return Conversation(id=item, category="mental_health", messages=turns, provenance=provenance)
    except ValidationError as error:
        first = error.errors()[0]
        raise RecordError(f"{place}: {'.'.join(str(key) for key in first['loc'])}: {first['msg']}") from error
