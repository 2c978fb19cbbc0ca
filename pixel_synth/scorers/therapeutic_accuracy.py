"""Therapeutic accuracy: skilled practice by behaviour counts, true to its modality and to its case.

Practice, after MITI 4.2.1 (Moyers, Manuel & Ernst, 2014); a ratio at the manual's *fair* level scores 0.8, at *good* 1:

* ``open_questions``: open of all questions (fair 0.5, good 0.7; MITI 3.1.1).
* ``reflection_question``: reflections per question (fair 1, good 2); with one reply: any reflection at all.
* ``complex_reflections``: complex of all reflections (fair 0.4, good 0.5).
* ``adherence``: affirm + seek collaboration + emphasise autonomy against persuade without permission + twice confront (fair 0.9,
  good 1; MITI 3.1.1).
* ``mi_consistent``: those with open questions, reflections and support, against the same and dismissal: the share of MI-consistent
  behaviour of the MISC (Miller, Moyers, Ernst & Amrhein, 2008), which holds where the few affirmations say little (fair 0.7, good 0.9,
  ours).
* ``reflective``: reflections of all sentences that say something, back-channels left out (0.05 to 0.25, ours).
* ``not_directing``: persuasion, confrontation and dismissal per unit (a turn, or four sentences of a long one), 1 is none, 0 from 0.8.
* ``collaboration``: affirm, seek collaboration or leave the choice (two or more, and in one turn of eight; MITI's partnership).
* ``evoking``: questions that evoke the client's own reasons, hopes and ideas, against one in six turns (cultivating change talk).
* ``talk_share``: therapist's share of the words: 1 between 0.2 and 0.5, 0 from 0.8.
* ``modality``: distinct markers of the labelled modality in the therapist's turns, of three (knowledge pack); not
  counted where the client speaks of suicide, since safety then comes before the modality's moves.

Near repeats of the therapist's own sentences count once, stock phrases are no MI-consistent act.

The weighted mean of these is multiplied by 0.4 + 0.6 ``not_directing``, since persuading and confronting undo what the rest does
(MI-inconsistent behaviour goes with less change talk and more sustain talk: Magill et al., 2014).

Case (with a blueprint; `blueprint_truth`): ``criteria_heard``, ``rules_met``, ``duration``, ``facts``.
``no_harmful_advice``: no broken rule of diagnosis, dosage, guarantee or harm (`safety_rules`).

Value = practice x (0.5 + 0.5 case), at most 0.8 when a case part is not fully true and at most 0.6 with harmful advice, 0-1.
"""

from __future__ import annotations

from pixel_synth.grammar import find_cue
from pixel_synth.knowledge.load import Knowledge
from pixel_synth.knowledge.models import Modality
from pixel_synth.records import Conversation, Evidence, Score
from pixel_synth.scorers.acts import Act, Code, read_acts, repeats
from pixel_synth.scorers.blueprint_truth import truth
from pixel_synth.scorers.mechanisms import rate, substantive
from pixel_synth.scorers.risk import mentions
from pixel_synth.scorers.safety_rules import violations
from pixel_synth.scorers.talk import Talk, mean, read, result, span, weighted
from pixel_synth.scorers.text import ramp

WEIGHTS = {
    "open_questions": 0.12, "reflection_question": 0.12, "complex_reflections": 0.12, "adherence": 0.14, "mi_consistent": 0.14,
    "reflective": 0.12, "collaboration": 0.07, "evoking": 0.05, "talk_share": 0.07, "modality": 0.05,
}  # fmt: skip
COUNTED = frozenset(
    {"open", "closed", "simple", "complex", "affirm", "collaborate", "autonomy", "evoke", "permission", "persuade", "confront", "minimise"}
)
_ENGAGED = frozenset({"affirm", "collaborate", "autonomy", "permission"})
_AGAINST = frozenset({"persuade", "confront", "minimise"})
HARMFUL = frozenset({"cl.no_diagnosis", "cl.no_dosage", "cl.no_guarantee", "cl.no_harm"})


def _competence(x: float, fair: float, good: float) -> float:
    return 0.8 * x / fair if x < fair else 0.8 + 0.2 * ramp(x, fair, good)


def _modality(talk: Talk, name: str, knowledge: Knowledge | None) -> tuple[float | None, list[Evidence]]:
    entry = knowledge.all(Modality).get(name) if knowledge and name else None
    if entry is None:
        return None, []
    found = []
    said = "\n".join(turn.text for turn in talk.therapist)
    for marker in entry.markers:
        if not find_cue((marker,), said):  # most are in no turn
            continue
        for turn in talk.therapist:
            if match := find_cue((marker,), turn.text):
                found.append(span(turn, match.start(), match.end(), "modality"))
                break
    return min(1.0, len(found) / 3), found


def _practice(talk: Talk, acts: tuple[Act, ...]) -> dict[str, float | None]:
    again = {(turn.place, s.start) for turn, s in repeats(talk.therapist)}  # what is said over and over is said once
    said = [a for a in acts if "backchannel" not in a.codes and (a.turn.place, a.span.start) not in again]

    def count(*codes: Code) -> int:
        return sum(not a.codes.isdisjoint(codes) for a in said)

    turns = substantive(acts)
    session = len(turns) >= 3
    opened, closed, reflections = count("open"), count("closed"), count("simple", "complex")
    engaged, questions = sum(bool(a.codes & _ENGAGED) for a in said), opened + closed
    against = count("persuade") + 2 * count("confront")
    consistent = sum(
        bool(a.codes & (_ENGAGED | {"open", "simple", "complex", "reaction"}) and not a.codes & (_AGAINST | {"stock"})) for a in said
    )
    directed = against + count("minimise")
    parts: dict[str, float | None] = {
        "open_questions": _competence(opened / questions, 0.5, 0.7) if questions else None,
        "reflection_question": _competence(reflections / max(1, questions), 1.0, 2.0) if session else _competence(reflections, 1.0, 2.0),
        "complex_reflections": _competence(count("complex") / reflections, 0.4, 0.5) if reflections else 0.0,
        "adherence": _competence(engaged / (engaged + against), 0.9, 1.0) if engaged + against else None,
        "mi_consistent": _competence(consistent / (consistent + directed), 0.7, 0.9) if consistent + directed else 0.0,
        "reflective": ramp(reflections / max(1, len(said)), 0.05, 0.25) if session else None,
        "not_directing": 1 - ramp(rate(turns, "persuade", "minimise") + 2 * rate(turns, "confront"), 0.05, 0.8),
        "collaboration": min(1.0, engaged / (max(2, len(turns) / 8) if session else 1)),
        "evoking": min(1.0, 6 * count("evoke") / len(turns)) if session else None,
        "talk_share": None,
    }
    if session:
        share = sum(len(t.words) for t in talk.therapist) / sum(len(t.words) for t in talk.turns)
        parts["talk_share"] = ramp(share, 0.8, 0.5) * ramp(share, 0.05, 0.2)
    return parts


def score(conversation: Conversation, knowledge: Knowledge | None = None) -> Score:
    """Score therapeutic accuracy (0-1); unscored when one side is silent or the therapist only acknowledges or greets."""
    talk = read(conversation)
    every = read_acts(talk)
    if not talk.client or all("backchannel" in a.codes for a in every):
        return result("therapeutic_accuracy", None, {}, reason="needs a client turn and a therapist's turn that says something")
    # Once a risk shows, closed safety questions and naming help are what is called for [Posner et al., 2011].
    shown = min((m.turn.place for m in mentions(talk) if not m.history), default=len(conversation.messages))
    acts = tuple(a for a in every if a.turn.place < shown or not a.codes & {"closed", "persuade"})
    parts = _practice(talk, acts or every)
    blueprint = conversation.blueprint
    modality = conversation.labels.modality or (blueprint.modality if blueprint else "")
    # Safety comes before the modality's own moves, and a plan without any asks for none.
    in_danger = any(m.grade >= 2 and not m.history for m in mentions(talk)) or (blueprint is not None and not blueprint.moves)
    parts["modality"], evidence = (None, []) if in_danger else _modality(talk, modality, knowledge)
    practice = (weighted(parts, WEIGHTS) or 0.0) * (0.4 + 0.6 * (parts["not_directing"] or 0.0))
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
