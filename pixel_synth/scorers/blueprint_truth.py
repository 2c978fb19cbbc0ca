"""What a conversation claims against its blueprint: criteria heard, count rules, duration, facts that must appear."""

from __future__ import annotations

from pixel_synth.grammar import find_cue
from pixel_synth.knowledge.load import Knowledge
from pixel_synth.knowledge.models import Disorder
from pixel_synth.records import Blueprint, Evidence
from pixel_synth.scorers.durations import durations
from pixel_synth.scorers.talk import Talk, Turn, span
from pixel_synth.scorers.text import fold

TOLERANCE = 0.2  # a stated duration may be rounded: "six months" for 170 days


def _find(cues: tuple[str, ...], turns: tuple[Turn, ...], label: str) -> Evidence | None:
    for turn in turns:
        if match := find_cue(cues, turn.text):
            return span(turn, match.start(), match.end(), label)
    return None


def _disorder(blueprint: Blueprint, knowledge: Knowledge | None) -> Disorder | None:
    return knowledge.all(Disorder).get(blueprint.topic) if knowledge else None


def _criterion_cues(blueprint: Blueprint, disorder: Disorder | None) -> dict[str, tuple[str, ...]]:
    cues = {c.id: c.cues for c in disorder.criteria if c.cues} if disorder else {}
    for fact in blueprint.must_appear:
        if fact.kind == "criterion":
            key = next((c for c in blueprint.criteria_met if fact.id == c or fact.id.endswith((f".{c}", f":{c}"))), fact.id)
            cues[key] = fact.cues
    return cues


def _rules(blueprint: Blueprint, disorder: Disorder, heard: set[str], known: set[str]) -> float:
    """Return the share of count rules that hold: by what was heard where the voiced criteria suffice, else by the plan."""
    rules = disorder.top_rules
    said = set(blueprint.criteria_voiced) & known
    held = sum(disorder.holds(rule, heard if disorder.holds(rule, said) else set(blueprint.criteria_met)) for rule in rules)
    return held / len(rules)


def truth(talk: Talk, blueprint: Blueprint, knowledge: Knowledge | None) -> tuple[dict[str, float | None], list[Evidence]]:
    """Return the truth parts of a conversation against its blueprint.

    ``criteria_heard``: share of the voiced criteria whose cues the client's turns hold.  ``rules_met``: share of the disorder's
    count rules that hold.  ``duration``: 1 when a stated duration equals the blueprint's (within 20%) and lies within the
    manual's bounds, 0 when durations are stated and none does, ``None`` when none is stated.  ``facts``: share of the
    other facts that their speaker says.
    """
    evidence: list[Evidence] = []
    disorder = _disorder(blueprint, knowledge)
    cues = _criterion_cues(blueprint, disorder)
    heard: set[str] = set()
    for id, patterns in cues.items():
        if found := _find(patterns, talk.client, f"criterion.{id}"):
            heard.add(id)
            evidence.append(found)
    voiced = [c for c in blueprint.criteria_voiced if c in cues]
    parts: dict[str, float | None] = {
        "criteria_heard": sum(c in heard for c in voiced) / len(voiced) if voiced else None,
        "rules_met": _rules(blueprint, disorder, heard, set(cues)) if disorder else None,
        "duration": None,
    }
    stated = [(turn, s) for turn in talk.client for s in durations(turn.text)]
    goal = float(blueprint.duration_days)
    if goal and stated:
        wanted = [s.days for s in durations(f"for {fold(blueprint.duration_text)}")] + [goal]
        right = [(t, s) for t, s in stated if any(abs(s.days - w) <= TOLERANCE * w for w in wanted)]
        low = disorder.min_duration_days if disorder else 0
        high = (disorder.max_duration_days if disorder else None) or float("inf")
        parts["duration"] = float(bool(right) and low <= goal <= high)
        evidence += [span(t, s.start, s.end, "duration") for t, s in (right or stated)]
    facts = [f for f in blueprint.must_appear if f.kind not in ("criterion",)]
    said = 0
    for fact in facts:
        turns = talk.client if fact.speaker == "client" else talk.therapist
        if found := _find(fact.cues, turns, f"fact.{fact.id}"):
            said += 1
            evidence.append(found)
    parts["facts"] = said / len(facts) if facts else None
    return parts, evidence
