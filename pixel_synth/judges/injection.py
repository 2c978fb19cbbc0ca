"""The session is data: what stands in it must not steer who judges it.

Three lines of defence, none of which is enough alone (Greshake et al., 2023, "Not what you've signed up for", on instructions in
retrieved text; Shi et al., 2024, "Optimization-based prompt injection attack to LLM-as-a-judge"):

* `fence`: a line around the session that no text inside can hold, and `harmless`, which takes control tokens apart;
* `instructions`: the sentences that talk to a model.  Ordinary talk about judges, scores and advice is none of them.  It is English
  and finds the plain forms; an instruction in riddles passes;
* `masked`: the session without these sentences.  It is judged as well, and a verdict that differs is none (see `session`).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from pixel_synth.judges.quotes import Place
from pixel_synth.judges.rubric import rubrics
from pixel_synth.prompts import prompts_dir
from pixel_synth.records import Conversation, Evidence, Message, stable_id
from pixel_synth.settings import THRESHOLDS

MASK = "[...]"

# ---------------------------------------------------------------------------------------------- the fence

# What chat templates and serving stacks may read as a token of their own: <|im_start|>, <｜User｜>, </s>, <start_of_turn>, [INST].
_CONTROL = re.compile(r"<(?=[<|｜/!a-zA-Z])|\[(?=/?[A-Z][A-Z_]{2,}\])")


def harmless(text: str) -> str:
    """Return text on one line, in which nothing is a control token or a tag any more: a gap opens after "<" and "["."""
    return _CONTROL.sub(lambda m: f"{m[0]} ", " ".join(text.split()))


def transcript(messages: Sequence[Message]) -> str:
    """Return the session as numbered lines, one a turn, whatever stands in it; system messages, which may hold a plan, are left out."""
    who = {"user": "client", "assistant": "therapist"}
    return "\n".join(f"[{i}] {who[m.role]}: {harmless(m.content)}" for i, m in enumerate(messages) if m.role in who)


def fence(text: str) -> str:
    """Return a line that does not occur in the text; equal texts get equal lines, so that a ledger replays."""
    nonce = stable_id("fence", text)
    while nonce in text:
        nonce = stable_id("fence", nonce, text)
    return f"===== {nonce} ====="


# ----------------------------------------------------------------------------------------- instructions

DATA = Path(__file__).with_name("instructions.yaml")
_END = re.compile(r"[.!?…]+[\"'”’)\]]*(?=\s|$)|\n+")
_ABBREVIATION = re.compile(r"\b(?:dr|mr|mrs|ms|prof|st|vs|etc|e\.g|i\.e|a\.m|p\.m|u\.s)\.$", re.IGNORECASE)


def instructions(conversation: Conversation) -> tuple[Evidence, ...]:
    """Return the sentences of a session that talk to a model or a judge, labelled with what they do.

    Labels: override, address, demand, prompt, format, marker, rubric (names with answers), and "going on" for what stands beside one.
    """
    return tuple(evidence for turn, m in enumerate(conversation.messages) if m.role != "system" for evidence in _of(turn, m.content))


def masked(conversation: Conversation, found: Sequence[Evidence]) -> Conversation:
    """Return the session with each of these sentences replaced by `MASK`."""
    messages = list(conversation.messages)
    for e in sorted(found, key=lambda e: (e.turn, e.start), reverse=True):
        text = messages[e.turn].content
        messages[e.turn] = Message(role=messages[e.turn].role, content=text[: e.start] + MASK + text[e.end :])
    return conversation.model_copy(update={"messages": tuple(messages)})


def _of(turn: int, text: str) -> Iterator[Evidence]:
    spans = list(_sentences(turn, text))
    plain = [_plain(text[p.start : p.end]) for p in spans]
    labels = [_label(sentence) for sentence in plain]
    if not any(labels):
        return
    changed = True
    while changed:
        changed = False
        for i, label in enumerate(labels):
            beside = labels[max(0, i - 1) : i] + labels[i + 1 : i + 2]
            if not label and any(beside) and _pattern("going_on").search(plain[i]):
                labels[i], changed = "going on", True
    for place, label in zip(spans, labels, strict=True):
        if label:
            yield Evidence(turn=turn, start=place.start, end=place.end, quote=text[place.start : place.end], label=label)


def _sentences(turn: int, text: str) -> Iterator[Place]:
    start = 0
    for end in [m.end() for m in _END.finditer(text) if not _ABBREVIATION.search(text[max(0, m.end() - 8) : m.end()])] + [len(text)]:
        piece = text[start:end]
        if piece.strip():
            yield Place(turn, start + len(piece) - len(piece.lstrip()), start + len(piece.rstrip()))
        start = end


def _plain(sentence: str) -> str:
    """Return a sentence in lower case, in the plainest characters, without invisible ones."""
    seen = "".join(c for c in unicodedata.normalize("NFKC", sentence) if unicodedata.category(c) != "Cf")
    return " ".join(seen.replace("’", "'").replace("“", '"').replace("”", '"').lower().split())


def _label(sentence: str) -> str:
    for label, pattern in _patterns("labels").items():
        for match in pattern.finditer(sentence):
            before = sentence[: match.start()] + re.match(r"\W*", match[0])[0]  # type: ignore[index]
            if label in ("marker", "address") or not _pattern("told").search(before):
                return label
    if _named(prompts_dir()).search(sentence):
        return "rubric"
    return "demand" if _demands(sentence) else ""


def _demands(sentence: str) -> bool:
    """Tell whether a sentence names a judge or what is judged, judging, and a value, and is not about somebody's own."""
    held = _patterns("demand")
    if not all(held[name].search(sentence) for name in ("whom", "judging", "value")):
        return False
    return not held["personal"].search(re.sub(_spelled("<I_ORDER>|<CLAIM>"), "", sentence))


@cache
def _data() -> dict[str, Any]:
    data: dict[str, Any] = yaml.safe_load(DATA.read_text(encoding="utf-8"))
    return data


def _spelled(line: str) -> str:
    """Return a line with its pieces put in place."""
    while piece := re.search(r"<([A-Z_]+)>", line):
        line = line.replace(piece[0], _data()["pieces"][piece[1]])
    return line


def _one(lines: Sequence[str]) -> re.Pattern[str]:
    return re.compile("|".join(map(_spelled, lines)))


@cache
def _pattern(name: str) -> re.Pattern[str]:
    return _one(_data()[name])


@cache
def _patterns(name: str) -> dict[str, re.Pattern[str]]:
    return {label: _one(lines) for label, lines in _data()[name].items()}


@cache
def _named(folder: Path) -> re.Pattern[str]:
    """Return the pattern of a folder's rubric names with a number, and of two or more criteria with answers in one sentence."""
    known = {*THRESHOLDS, *(r.name for r in rubrics())} - {"overall", "session", "preference"}
    ids = sorted({id for r in rubrics() for id in r.criteria} | known, key=len, reverse=True)
    names = "|".join(sorted(known, key=len, reverse=True)).replace("_", "[_ ]")
    criteria = "|".join(ids).replace("_", "[_ ]")
    given = r"[\"']?\s*(?:score|rating)?\s*(?:[:=]|->|is|of|to)\s*[\"']?(?:[0-5](?:\.\d+)?\b|yes\b|no\b)"
    return re.compile(rf"\b(?:{names}){given}|\b(?:{criteria}){given}.{{0,20}}?\b(?:{criteria}){given}")
