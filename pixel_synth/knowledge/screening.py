"""A whole screening conversation: introduction, every item asked once and answered in talk, safety when it is touched, and an end.

What is said comes from the instrument's pack and from the shared talk in ``screening.yaml``; the same seed and answers
give the same words on any machine.  No sentence an answer is given in is said twice.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from pixel_synth.draw import Draw
from pixel_synth.errors import KnowledgeError
from pixel_synth.grammar import expand, slots, variants
from pixel_synth.knowledge.answers import Severity, draw_answers, main_scale
from pixel_synth.knowledge.assess import Answers, Result, keyed, options, score
from pixel_synth.knowledge.models import Flag, Instrument, Item
from pixel_synth.knowledge.pieces import Lead, Reply
from pixel_synth.records import Message, Record, TurnTag

CLIENT = {"I": "I", "me": "me", "my": "my", "myself": "myself", "person": "someone close to me"}
CLINICIAN = {"I": "you", "me": "you", "my": "your", "myself": "yourself", "person": "someone close to you"}
# A clarifying question after every third answer on average, never twice running, and at the latest after the fifth.
CLARIFY, AT_LATEST = 0.3, 5
BRIDGE = 0.55
SHORT = 40


class Screening(Record):
    """A screening in talk.  ``turns`` tags every message: ``act`` what it does, ``move`` the id of the item or flag it is about."""

    instrument: str
    seed: int
    severity: Severity | None
    messages: tuple[Message, ...]
    turns: tuple[TurnTag, ...]
    result: Result


@lru_cache(maxsize=1)
def shared() -> dict[str, Any]:
    """Return the shared talk by symbol: lists of lines, and the safety leads."""
    data = yaml.safe_load((Path(__file__).parent / "screening.yaml").read_text(encoding="utf-8"))
    return {**data, "safety": tuple(Lead.model_validate(lead) for lead in data["safety"])}


def administer(instrument: Instrument, seed: int = 0, severity: Severity | None = None, answers: Answers | None = None) -> Screening:
    """Write the conversation in which an instrument is filled in.

    Args:
        instrument: What is asked; every item that is not optional is asked once, in order (an optional one when it is answered).
        seed: Decides every choice of words, and the answers when none are given.
        severity: Which range of the main scale drawn answers end in; without one it is drawn, too.
        answers: Points by item; ``None`` or a missing item is declined.

    Raises:
        UsageError: When an answer does not belong to its item.
        KnowledgeError: When the pack has too little talk for the answers.
    """
    given = dict(draw_answers(instrument, severity, Draw(seed, instrument.id, "answers")) if answers is None else answers)
    result = score(instrument, given)
    return _Session(instrument, result, seed).run(severity)


class _Session:
    """One conversation while it is being written."""

    def __init__(self, instrument: Instrument, result: Result, seed: int) -> None:
        self.instrument, self.result, self.seed = instrument, result, seed
        self.talk, self.draw = shared(), Draw(seed, instrument.id, "talk")
        self.messages: list[Message] = []
        self.turns: list[TurnTag] = []
        self.said: set[str] = set()
        self.used: dict[str, int] = {}

    def run(self, severity: Severity | None) -> Screening:
        asked: dict[str, float | None] = {}
        taken_up: set[str] = set()
        self.clinician(self.line(self.instrument.intro or self.talk["intro"], CLINICIAN, period=self.instrument.period), "introduce")
        self.client(self.line(self.talk["consent"], CLIENT), "consent")
        before, since = "", 0
        for item in self.instrument.items:
            points = self.result.answers[item.id]
            if item.optional and points is None:
                continue
            self.clinician(f"{before} {self.question(item)}", "ask", item.id)
            asked[item.id], before = points, ""
            if points is None:
                self.client(self.line(self.talk["decline"], CLIENT), "decline", item.id)
                before = self.line(self.talk["allow"], CLINICIAN)
                continue
            self.client(self.answer(item, points), "answer", item.id)
            if flag := self.urgent(asked, taken_up):
                taken_up.add(flag.id)
                before, since = self.safety(flag, item, points), 0
                continue
            since += 1
            pair = self.labels(item, points)
            if pair and since > 1 and (since >= AT_LATEST or self.draw.chance(CLARIFY)):
                asked_back = self.find(self.talk["check"], {**CLINICIAN, "nearer": pair[0], "other": pair[1]})
                confirmed = self.find(self.talk["confirm"], CLIENT)
                if asked_back and confirmed:
                    self.clinician(asked_back, "clarify", item.id)
                    self.client(confirmed, "confirm", item.id)
                    since = 0
            if item is not self.instrument.items[-1] and self.draw.chance(BRIDGE):
                before = self.find(self.talk["bridge"], CLINICIAN)
        self.close(before, taken_up)
        return Screening(
            instrument=self.instrument.id,
            seed=self.seed,
            severity=severity,
            messages=tuple(self.messages),
            turns=tuple(self.turns),
            result=self.result,
        )

    def question(self, item: Item) -> str:
        return self.line(item.ask or self.talk["read_out"], CLINICIAN, asks=item.asks)

    def answer(self, item: Item, points: float) -> str:
        says = [line for option in options(self.instrument, item) if option.points == points for line in option.says]
        if not says:
            raise KnowledgeError(f"{self.instrument.id}, item {item.id}: no talk (says) for the answer worth {points:g}")
        return self.line(says, CLIENT)

    def labels(self, item: Item, points: float) -> tuple[str, str] | None:
        """Return the given answer and its neighbour in words, or None where asking back would make no sense."""
        found = sorted(options(self.instrument, item), key=lambda o: o.points)
        at = next(i for i, o in enumerate(found) if o.points == points)
        other = at + 1 if at == 0 or (at + 1 < len(found) and self.draw.chance(0.5)) else at - 1
        if len(found) < 3 or found[other].points == points or max(len(found[at].label), len(found[other].label)) > SHORT:
            return None
        return found[at].label.lower(), found[other].label.lower()

    def urgent(self, asked: Mapping[str, float | None], taken_up: set[str]) -> Flag | None:
        """Return the first urgent flag that the answers so far raise and that has not been taken up."""
        if not any(flag.urgent for flag in self.instrument.flags):
            return None
        raised = {f.flag for f in score(self.instrument, asked).flags if f.raised and f.urgent}
        return next((f for f in self.instrument.flags if f.id in raised - taken_up), None)

    def safety(self, flag: Flag, item: Item, points: float) -> str:
        """Speak about safety now; return what leads back to the questions, or to the end."""
        worst = sorted({keyed(self.instrument, item, o.points) for o in options(self.instrument, item)})
        at = worst.index(keyed(self.instrument, item, points)) / max(1, len(worst) - 1)
        level = "low" if at < 0.5 else "moderate" if at < 1 else "high"
        before = ""
        for lead in flag.leads or self.talk["safety"]:
            self.clinician(f"{before} {self.line(lead.say, CLINICIAN)}", "safety", flag.id)
            fitting = [r for r in lead.replies if r.level in (level, "any")] or list(lead.replies)
            reply: Reply = self.draw.pick(fitting)
            self.client(self.line([reply.say], CLIENT), "safety_answer", flag.id)
            before = _sentence(self.line(reply.hear, CLINICIAN))
        left = any(self.result.answers[i.id] is not None or not i.optional for i in self.after(item))
        return f"{before} {self.line(self.talk['resume_stay' if flag.stay else 'resume'], CLINICIAN)}" if left else before

    def after(self, item: Item) -> Sequence[Item]:
        return self.instrument.items[self.instrument.items.index(item) + 1 :]

    def close(self, before: str, taken_up: set[str]) -> None:
        found = self.result.of(main_scale(self.instrument).id)
        if taken_up:
            stay = any(flag.stay for flag in self.instrument.flags if flag.id in taken_up)
            text = self.line(self.talk["close_stay" if stay else "close_urgent"], CLINICIAN)
        else:
            if found.value is not None and found.band and not found.prorated:
                told = {"value": f"{found.value:g}", "max": f"{found.high:g}", "band": found.band.lower(), "period": self.instrument.period}
                text = self.line(self.talk["tell"], CLINICIAN, **told)
            else:
                text = self.line(self.talk["untold"], CLINICIAN)
            text += " " + self.line(self.instrument.close or self.talk["close"], CLINICIAN)
        self.clinician(f"{before} {text}", "close")

    def line(self, lines: Sequence[str], speaker: Mapping[str, str], **values: str) -> str:
        """Return a line in words that were not said before.

        Raises:
            KnowledgeError: When there is none left.
        """
        if text := self.find(lines, {**speaker, **values}):
            return text
        raise KnowledgeError(
            f"{self.instrument.id}: too little talk to go on without repeating a line",
            hint=f"more lines or choices beside: {lines[0]!r}" if lines else "the list of lines is empty",
        )

    def find(self, lines: Sequence[str], known: Mapping[str, str]) -> str:
        """Expand the least used line whose slots are known, in words that were not said before; "" when there is none."""
        fitting = [line for line in lines if slots(line) <= set(known)]
        for line in sorted(self.draw.shuffled(fitting), key=lambda text: self.used.get(text, 0)):
            fresh = [expand(line, self.draw.below, known.__getitem__) for _ in range(8)]
            fresh += [expand(text, self.draw.below, known.__getitem__) for text in variants(line)]
            if text := next((t for t in map(_tidy, fresh) if t not in self.said), ""):
                self.said.add(text)
                self.used[line] = self.used.get(line, 0) + 1
                return text
        return ""

    def clinician(self, text: str, act: str, move: str = "") -> None:
        self.add("assistant", text, act, move)

    def client(self, text: str, act: str, move: str = "") -> None:
        self.add("user", text, act, move)

    def add(self, role: Any, text: str, act: str, move: str) -> None:
        phase = "opening" if act in ("introduce", "consent") else "close" if act == "close" else "explore"
        self.messages.append(Message(role=role, content=text.strip()))
        self.turns.append(TurnTag(phase=phase, act=act, move=move))


def _sentence(clause: str) -> str:
    return clause[:1].upper() + clause[1:] + ("" if clause[-1:] in ".!?…" else ".")


def _tidy(text: str) -> str:
    text = re.sub(r"\s+", " ", text).strip()
    text = re.sub(r" +([,.;:?!])", r"\1", text)
    text = re.sub(r"([.?!]) ([a-z])", lambda m: f"{m[1]} {m[2].upper()}", text)
    return text
