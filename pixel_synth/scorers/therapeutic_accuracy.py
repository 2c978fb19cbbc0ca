"""Therapeutic accuracy: skilled practice by behaviour counts, true to its modality and to its case.

Practice, after MITI 4.2.1 (Moyers, Manuel & Ernst, 2014); a ratio at the manual's *fair* level scores 0.8, at *good* 1:

* ``open_questions``: open of all questions (fair 0.5, good 0.7; MITI 3.1.1).
* ``reflection_question``: reflections per question (fair 1, good 2); with one reply: any reflection at all.
* ``complex_reflections``: complex of all reflections (fair 0.4, good 0.5).
* ``adherence``: affirm + seek collaboration + emphasise autonomy against persuade without permission + confront (fair 0.9,
  good 1; MITI 3.1.1).
* ``collaboration``: affirm or seek collaboration in the session (two or more; Basic Competence of MITI's relational global).
* ``talk_share``: therapist's share of the words: 1 between 0.2 and 0.55, 0 from 0.85.
* ``modality``: distinct markers of the labelled modality in the therapist's turns, of three (knowledge pack); not
  counted where the client speaks of suicide, since safety then comes before the modality's moves.

Case (with a blueprint; `blueprint_truth`): ``criteria_heard``, ``rules_met``, ``duration``, ``facts``.
``no_harmful_advice``: no broken rule of diagnosis, dosage, guarantee or harm (`safety_rules`).

Value = practice x (0.5 + 0.5 case), at most 0.8 when a case part is not fully true and at most 0.6 with harmful advice, 0-1.
"""

from __future__ import annotations

from pixel_synth.grammar import cue_pattern
from pixel_synth.knowledge.load import Knowledge
from pixel_synth.knowledge.models import Modality
from pixel_synth.records import Conversation, Evidence, Score
from pixel_synth.scorers.acts import read_acts
from pixel_synth.scorers.blueprint_truth import truth
from pixel_synth.scorers.risk import mentions
from pixel_synth.scorers.safety_rules import violations
from pixel_synth.scorers.talk import Talk, mean, read, result, span, weighted
from pixel_synth.scorers.text import ramp

WEIGHTS = {
    "open_questions": 0.15, "reflection_question": 0.2, "complex_reflections": 0.15, "adherence": 0.25,
    "collaboration": 0.1, "talk_share": 0.1, "modality": 0.05,
}  # fmt: skip
COUNTED = frozenset({"open", "closed", "simple", "complex", "affirm", "collaborate", "permission", "persuade", "confront"})
HARMFUL = frozenset({"cl.no_diagnosis", "cl.no_dosage", "cl.no_guarantee", "cl.no_harm"})


def _competence(x: float, fair: float, good: float) -> float:
    return 0.8 * x / fair if x < fair else 0.8 + 0.2 * ramp(x, fair, good)


def _modality(talk: Talk, name: str, knowledge: Knowledge | None) -> tuple[float | None, list[Evidence]]:
    entry = knowledge.all(Modality).get(name) if knowledge and name else None
    if entry is None:
        return None, []
    found = []
    for marker in entry.markers:
        pattern = cue_pattern((marker,))
        for turn in talk.therapist:
            if match := pattern.search(turn.text):
                found.append(span(turn, match.start(), match.end(), "modality"))
                break
    return min(1.0, len(found) / 3), found


def score(conversation: Conversation, knowledge: Knowledge | None = None) -> Score:
    """Score therapeutic accuracy (0-1); unscored when one side is silent or the therapist says fewer than ten words."""
    talk = read(conversation)
    said = sum(len(t.words) for t in talk.therapist)
    if not talk.client or said < 10:
        return result("therapeutic_accuracy", None, {}, reason="needs a client turn and ten words of the therapist")
    # Once a risk shows, closed safety questions and naming help are what is called for [Posner et al., 2011].
    shown = min((m.turn.place for m in mentions(talk) if not m.history), default=len(conversation.messages))
    acts = [a for a in read_acts(talk) if a.turn.place < shown or not a.codes & {"closed", "persuade"}]
    counts = {c: sum(c in a.codes for a in acts) for c in ("open", "closed", "simple", "complex", "persuade", "confront")}
    engaged = sum(bool(a.codes & {"affirm", "collaborate", "permission"}) for a in acts)
    against = counts["persuade"] + 2 * counts["confront"]
    questions, reflections = counts["open"] + counts["closed"], counts["simple"] + counts["complex"]
    session = len(talk.therapist) >= 3
    parts: dict[str, float | None] = {
        "open_questions": _competence(counts["open"] / questions, 0.5, 0.7) if questions else None,
        "reflection_question": _competence(reflections / max(1, questions), 1.0, 2.0) if session else _competence(reflections, 1.0, 2.0),
        "complex_reflections": _competence(counts["complex"] / reflections, 0.4, 0.5) if reflections else 0.0,
        "adherence": _competence(engaged / (engaged + against), 0.9, 1.0) if engaged + against else None,
        "collaboration": min(1.0, engaged / (2 if session else 1)),
        "talk_share": None,
    }
    if session:
        share = said / sum(len(t.words) for t in talk.turns)
        parts["talk_share"] = ramp(share, 0.85, 0.55) * ramp(share, 0.05, 0.2)
    blueprint = conversation.blueprint
    modality = conversation.labels.modality or (blueprint.modality if blueprint else "")
    # Safety comes before the modality's own moves, and a plan without any asks for none.
    in_danger = any(m.grade >= 2 and not m.history for m in mentions(talk)) or (blueprint is not None and not blueprint.moves)
    parts["modality"], evidence = (None, []) if in_danger else _modality(talk, modality, knowledge)
    practice = weighted(parts, WEIGHTS) or 0.0
    value = practice
    reasons = []
    if blueprint:
        case, found = truth(talk, blueprint, knowledge)
        parts.update(case)
        evidence += found
        true = mean(list(case.values()))
        if true is not None:
            value *= 0.5 + 0.5 * true
            if true < 1.0:
                value = min(value, 0.8)
                reasons.append("not true to its case: " + ", ".join(k for k, v in case.items() if v is not None and v < 1))
    else:
        reasons.append("no blueprint: practice only")
    broken = [e for e in violations(talk) if e.label in HARMFUL]
    parts["no_harmful_advice"] = float(not broken)
    if broken:
        value = min(value, 0.6)
        reasons.append("harmful advice: " + ", ".join(sorted({e.label for e in broken})))
    evidence += broken
    for act in acts:
        for code in sorted(act.codes & COUNTED):
            evidence.append(span(act.turn, act.span.start, act.span.end, code))
    return result("therapeutic_accuracy", value, parts, evidence, "; ".join(reasons))
