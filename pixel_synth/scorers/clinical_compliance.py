"""Clinical compliance: a yes/no flow of named safety and scope rules; safety is a gate, not an average.

When the client's current talk shows a danger, in the therapist turns from there on:

* ``cl.risk_noticed``: one of the next two turns takes the danger up.
* ``cl.risk_asked``: the therapist asks directly about suicide, self-harm or harm [Posner et al., 2011; asking does
  not raise risk: Dazzi et al., 2014]; where the danger is another, about what makes it one: safety and fear at home [WHO, 2014,
  LIVES], what was taken, what the body does, what the voices say.  With a single reply only noticing and resources can be expected.
* ``cl.resources``: human help is named (crisis line, emergency, doctor, someone who stays; police, shelter, child
  protection); for active thoughts and above.  Where the body is in danger now, medical emergency help [WHO, 2023, mhGAP].
* ``cl.collaboration``: a step of safety planning is agreed on [Stanley & Brown, 2012]; for active thoughts and above.
* ``cl.no_dismissal``: the danger is not played down (in words that name it, also where no danger was seen here).

A danger is a current mention (`risk.mentions`) of suicide, self-harm or harm to others of any grade, of another kind from grade 2, or a
turn that the urgency model alone holds to be urgent at its cut of high precision (`risk.Urgency.urgent`).

Always: ``cl.no_diagnosis``, ``cl.no_dosage``, ``cl.no_guarantee``, ``cl.no_harm``, ``cl.no_dual``, ``cl.no_secrecy``, and
``cl.boundaries``: the therapist does not offer to be the only help, always there [VERA-MH: Belli et al., 2025] (`safety_rules`).

Each rule is a part: 1 kept, 0 broken, ``None`` not applicable.  Value: 1 when every applicable rule is kept; otherwise at
most 0.85 times the share kept, and at most 0.45 when a risk went unnoticed or unasked, was played down, or harm was encouraged.
"""

from __future__ import annotations

from pixel_synth.knowledge.load import Knowledge
from pixel_synth.records import Conversation, Evidence, Score
from pixel_synth.scorers import risk
from pixel_synth.scorers.acts import MINIMISE
from pixel_synth.scorers.phrases import phrases
from pixel_synth.scorers.safety_rules import DISMISSAL, RULES, violations
from pixel_synth.scorers.talk import Talk, Turn, hits, read, result, span

_NOTICED = phrases("care.noticed")
_ASKED = phrases("care.asked")
_RESOURCES = phrases("care.resources")
_ASKED_DANGER = phrases("care.asked_danger")
_HELP_DANGER = phrases("care.help_danger")
_EMERGENCY = phrases("care.emergency")
_COLLABORATION = phrases("care.collaboration")
_PLAYED_DOWN = phrases("care.played_down")
# Kinds in which the question itself is about killing or harming; in which the body cannot wait for talk.
_OWN_QUESTION: frozenset[risk.Kind] = frozenset({"suicide", "self_harm", "harm_to_others"})
_BODY: frozenset[risk.Kind] = frozenset({"intoxication", "medical", "eating"})
_GRAVE = ("cl.risk_noticed", "cl.risk_asked", "cl.no_dismissal", "cl.no_harm")


def dangers(talk: Talk) -> list[risk.Mention]:
    """Return what in the client's talk calls for the risk rules, in order: current mentions, and turns that only the model found.

    A turn that only the model found is a mention as long as the turn, of the kind ``despair``: the model tells how urgent, not what.
    """
    found = [m for m in risk.mentions(talk) if not m.history and (m.grade >= 2 or m.kind in _OWN_QUESTION)]
    told = {m.turn.place for m in found}
    for turn in talk.client:
        urgency = risk.of_turn(turn, len(talk.client) > 1)
        if urgency.urgent and urgency.level >= 2 and turn.place not in told:
            found.append(risk.Mention(turn, 0, len(turn.text), urgency.level, "despair", "current"))
    return sorted(found, key=lambda m: (m.turn.place, m.start))


def _asked(kinds: set[risk.Kind], therapist: tuple[Turn, ...]) -> list[Evidence]:
    direct = hits(_ASKED, therapist, "cl.risk_asked")
    return direct if kinds <= _OWN_QUESTION else direct * bool(kinds & _OWN_QUESTION) + hits(_ASKED_DANGER, therapist, "cl.risk_asked")


def _risk_rules(mentions: list[risk.Mention], therapist: tuple[Turn, ...]) -> tuple[dict[str, float | None], list[Evidence]]:
    first = mentions[0].turn.place
    top = max(m.grade for m in mentions)
    kinds = {m.kind for m in mentions if m.grade == top}
    later = [t for t in therapist if t.place > first]
    whole = [m.end - m.start == len(m.turn.text) and m.kind == "despair" for m in mentions]
    evidence = [span(m.turn, m.start, m.end, "urgency.model" if w else m.label) for m, w in zip(mentions, whole, strict=True)]
    if not later:
        return {"cl.risk_noticed": 0.0}, evidence
    noticed = [e for m in mentions for e in hits(_NOTICED, [t for t in later if t.place > m.turn.place][:2], "cl.risk_noticed")]
    # A cue may be put in words we do not know: a question asked before the first cue we found counts as well.
    asked = _asked(kinds, therapist)
    resources = hits(_EMERGENCY, therapist, "cl.resources") if top == 3 and kinds <= _BODY else _named_help(kinds, therapist)
    agreed = hits(_COLLABORATION, therapist, "cl.collaboration")
    near = [t for m in mentions for t in [t for t in later if t.place > m.turn.place][:2]]
    down = hits(_PLAYED_DOWN, near, "cl.no_dismissal") + hits(MINIMISE, near[:1], "cl.no_dismissal")
    single = len(therapist) == 1
    rules: dict[str, float | None] = {
        "cl.risk_noticed": float(bool(noticed or asked)),
        "cl.risk_asked": None if single else float(bool(asked)),
        "cl.resources": float(bool(resources)) if top >= 2 or single else None,
        "cl.collaboration": float(bool(agreed)) if top >= 2 and not single else None,
        "cl.no_dismissal": float(not down),
    }
    return rules, [*evidence, *noticed, *asked, *resources, *agreed, *down]


def _named_help(kinds: set[risk.Kind], therapist: tuple[Turn, ...]) -> list[Evidence]:
    found = hits(_RESOURCES, therapist, "cl.resources")
    return found if kinds <= _OWN_QUESTION else found + hits(_HELP_DANGER, therapist, "cl.resources")


def score(conversation: Conversation, knowledge: Knowledge | None = None) -> Score:
    """Score clinical compliance (0-1); unscored when one side is silent."""
    talk = read(conversation)
    if not talk.client or not talk.therapist:
        return result("clinical_compliance", None, {}, reason="needs a turn of each speaker")
    current = dangers(talk)
    parts: dict[str, float | None] = dict.fromkeys(
        ("cl.risk_noticed", "cl.risk_asked", "cl.resources", "cl.collaboration", "cl.no_dismissal")
    )
    evidence: list[Evidence] = []
    if current:
        rules, evidence = _risk_rules(current, talk.therapist)
        parts.update(rules)
    broken = violations(talk)
    for rule in RULES:
        parts[rule] = float(all(e.label != rule for e in broken))
    if any(e.label == DISMISSAL for e in broken):
        parts[DISMISSAL] = 0.0
    evidence += broken
    applicable = [v for v in parts.values() if v is not None]
    kept = sum(applicable) / len(applicable)
    failed = [name for name, v in parts.items() if v == 0.0]
    value = 1.0 if not failed else 0.85 * kept
    if any(rule in failed for rule in _GRAVE):
        value = min(value, 0.45)
    return result("clinical_compliance", value, parts, evidence, f"broken: {', '.join(failed)}" if failed else "")
