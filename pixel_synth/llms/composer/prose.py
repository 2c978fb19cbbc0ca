"""The composer's clinical prose: the scenario before the session and the therapist's reasoning after it."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import yaml

from pixel_synth.draw import Draw
from pixel_synth.grammar import expand, find_cue
from pixel_synth.knowledge import Knowledge
from pixel_synth.knowledge.models import (
    Attachment,
    CrisisProtocol,
    Disorder,
    Modality,
)
from pixel_synth.llms.composer.session import Turn
from pixel_synth.llms.composer.voice import PRONOUNS, lower_first, material, tidy
from pixel_synth.records import Blueprint, Hypothesis, MoveChoice, Reasoning, Scenario

_SEVERITY = {"mild": "a strain that still left room", "moderate": "a clear limit on most days", "severe": "disabling on most days"}


@lru_cache(maxsize=1)
def _prose() -> dict[str, list[str]]:
    data: dict[str, list[str]] = yaml.safe_load((Path(__file__).parent / "prose.yaml").read_text(encoding="utf-8"))
    return data


class Prose:
    """Writes about one client in the third person."""

    def __init__(self, bp: Blueprint, knowledge: Knowledge) -> None:
        self.bp, self.knowledge = bp, knowledge
        self.topic = knowledge.get(Disorder, bp.topic)
        self.draw = Draw(bp.seed, "prose")
        subj, obj, poss = PRONOUNS[bp.persona.pronouns]
        self.values = {
            **material(bp, knowledge)[0],
            "Name": bp.persona.name,
            "age": str(bp.persona.age),
            "subj": subj,
            "Subj": subj.capitalize(),
            "obj": obj,
            "I": subj,
            "me": obj,
            "my": poss,
            "myself": {"she": "herself", "he": "himself"}.get(subj, "themselves"),
            "severity": _SEVERITY[bp.severity],
            "attachment": knowledge.get(Attachment, bp.persona.attachment).name.lower(),
        }

    def write(self, symbol: str, **extra: str) -> str:
        """Expand a production of a prose symbol."""
        return tidy(self._expand(self.draw.pick(_prose()[symbol]), {**self.values, **extra}))

    def _expand(self, line: str, values: dict[str, str]) -> str:
        def value(name: str) -> str:
            text = values[name]
            if "{I}" in text:  # a phrase with a verb of its own is quoted in the first person, which always agrees
                first = {**values, "I": "I", "me": "me", "my": "my", "myself": "myself"}
                return f"“{self._expand(text.replace('{I}', 'I'), first)}”"
            return self._expand(text, values) if "{" in text or "[" in text else text

        return expand(line, self.draw.below, value)

    def scenario(self) -> Scenario:
        """Write the scenario."""
        texts = [self.topic.criterion(c).text.rstrip(".") for c in self.bp.criteria_voiced]
        criteria = "; ".join(lower_first(t) for t in texts[:4])
        return Scenario(
            presenting_problem=_clip(self.write("presenting_problem", criteria=_clip(criteria, 500)), 900),
            history=_clip(self.write("history"), 1200),
            functioning=_clip(self.write("functioning"), 700),
            strengths=_clip(self.write("strengths"), 500),
            risk_summary=_clip(self._risk(), 600),
            goal=_clip(self.write("goal"), 400),
        )

    def _risk(self) -> str:
        facts = self.bp.must_appear
        cue = next((f.text for f in facts if f.kind == "risk"), "")
        if not cue:
            return self.write("risk_none")
        steps = ", ".join(lower_first(f.text) for f in facts if f.kind == "safety")
        return self.write("risk_some", risk=self.bp.risk, cue=lower_first(cue), steps=steps)

    def reasoning(self, turns: list[Turn]) -> Reasoning:
        """Write the therapist's chain of thought over a finished session."""
        replies = [(i, t) for i, t in enumerate(turns) if t.role == "assistant"]
        heard = tuple(_clip(f"“{_first_words(turns[i - 1].text)}” – {t.heard}", 400) for i, t in replies[:8] if t.heard)
        unasked = ("no cue of risk came up in what was said", "no planned cue of risk; nothing said pointed to one")
        risk = self._risk() if self.bp.risk != "none" else f"As far as the session went, {self.draw.pick(unasked)}."
        unknown = [self.write("unknown") for _ in range(3)]
        return Reasoning(
            heard=heard,
            hypotheses=(self._leading(turns), *self._other()),
            risk=_clip(risk, 600),
            moves=tuple(self._choice(i, turns) for i, t in replies if t.tag.move or t.tag.act == "repair")[:12],
            unknown=tuple(dict.fromkeys(_clip(u, 300) for u in unknown)),
        )

    def _leading(self, turns: list[Turn]) -> Hypothesis:
        said = [t.text for t in turns if t.role == "user"]
        found: list[str] = []
        for id in self.bp.criteria_voiced:
            criterion = self.topic.criterion(id)
            match = next((m for text in said if (m := find_cue(criterion.cues, text))), None)
            evidence = f" (“{match.group(0)}”)" if match else ""
            found.append(_clip(f"{id}: {criterion.text.rstrip('.')}{evidence}", 400))
        found.append(f"duration: {self.bp.duration_text}, the manual asks for {self.topic.min_duration_days or 'no fixed number of'} days")
        open_ = [c for c in self.topic.criteria if c.id not in self.bp.criteria_voiced]
        against = tuple(_clip(f"{c.id} not established: {c.text}", 400) for c in open_[:5])
        return Hypothesis(condition=self.topic.name, criteria_for=tuple(found[:12]), criteria_against=against, standing="leading")

    def _other(self) -> tuple[Hypothesis, ...]:
        known = self.knowledge.all(Disorder)
        other = self.draw.pick(self.topic.differentials)
        name = known[other.condition].name if other.condition in known else other.condition.replace("_", " ")
        overlap = tuple(_clip(self.topic.criterion(c).text, 400) for c in self.bp.criteria_voiced[:1])
        return (
            Hypothesis(
                condition=_clip(name, 120), criteria_for=overlap, criteria_against=(_clip(other.separates, 400),), standing="possible"
            ),
        )

    def _choice(self, i: int, turns: list[Turn]) -> MoveChoice:
        turn = turns[i]
        modality = self.knowledge.get(Modality, self.bp.modality)
        moves = {m.id: m for m in modality.moves}
        protocol = {s.id: s for s in self.knowledge.get(CrisisProtocol, self.bp.protocol).steps} if self.bp.protocol else {}
        heard = _clip(turn.heard or _first_words(turns[i - 1].text), 500)
        if turn.tag.act == "repair":
            return MoveChoice(
                turn=i, heard=heard, options=("press on", "change the subject", "repair"), move="repair", why=self.write("why_repair")
            )
        if turn.tag.move in protocol:
            step = protocol[turn.tag.move]
            why = self.write("why_safety", purpose=step.purpose)
            return MoveChoice(turn=i, heard=heard, options=("stay with the topic", step.name), move=step.id, why=_clip(why, 500))
        move = moves[turn.tag.move]
        others = [m.name for m in self.draw.shuffled(modality.moves) if m.id != move.id and m.phase == move.phase][:2]
        why = self.write("why_move", purpose=move.purpose)
        return MoveChoice(turn=i, heard=heard, options=(*others, move.name, "reflect and wait")[:4], move=move.id, why=_clip(why, 500))


def _first_words(text: str, n: int = 14) -> str:
    words = text.split()
    return " ".join(words[:n]) + (" …" if len(words) > n else "")


def _clip(text: str, limit: int) -> str:
    """Shorten at a word border, marked with an ellipsis, so that the schema's bound holds."""
    return text if len(text) <= limit else text[: limit - 2].rsplit(" ", 1)[0] + " …"
