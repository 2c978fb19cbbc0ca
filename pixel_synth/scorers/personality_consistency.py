"""Personality consistency: does the client stay the person of the blueprint's persona?

Traits: for each Big Five domain at high or low, rates of marker words in the client's talk, as deviations from the norm of real help
seekers (`NORMS`), signed so that the claimed pole is positive.  Marker effects: Yarkoni (2010, table 1), Mairesse et al.
(2007), Pennebaker & King (1999), Hirsh & Peterson (2009).  Standard errors combine spread between people and counting error:
z = (rate - norm) / sqrt(sd^2 + norm (1 - norm) / words).  With a knowledge base the cue words of both poles of the trait count as
well, as (own - opposite) / (own + opposite + 2).  Effects of personality on words are small (|r| of 0.1-0.3), so words
that fit earn nothing: a part is 1 until the deviation points to the opposite pole, and falls to 0 at 1.25 beyond `TOLERANCE`.

``attachment``: disclosure (feeling words and first-person talk per turn) early against late, against the pattern's pace: holding
back early (avoidant) or pouring out early (preoccupied) [Mikulincer & Shaver, 2016].
``facts``: share of stated facts about themselves (age, gender, name, occupation, partner, children, since when) that agree.

Value = mean of trait and attachment parts, at most 0.8 - 0.1 per further contradiction when a fact contradicts.  Unscored without a
persona, or when the client says fewer than 80 words and states no fact.
"""

from __future__ import annotations

import math
from typing import Literal

from pixel_synth.grammar import find_cues
from pixel_synth.knowledge.load import Knowledge
from pixel_synth.knowledge.models import Attachment, Trait
from pixel_synth.records import Conversation, Evidence, Persona, Score
from pixel_synth.scorers.persona_facts import checks
from pixel_synth.scorers.talk import Talk, Turn, mean, read, result, span
from pixel_synth.scorers.text import WORD, ramp

MIN_WORDS = 80
TOLERANCE = 0.25
# Mean rate per word and spread between people of the lists in lexicon.yaml, measured on the 320 distinct questions of 60
# words and more in counsel-chat (Bertagnolli, 2020; MIT).
NORMS: dict[str, tuple[float, float]] = {
    "sad": (0.0080, 0.0067), "fear": (0.0050, 0.0050), "anger": (0.0042, 0.0057), "shame": (0.0013, 0.0024),
    "positive": (0.0100, 0.0058), "self": (0.1161, 0.0337), "social": (0.0157, 0.0091), "swear": (0.0001, 0.0005),
    "polite": (0.0006, 0.0011), "insight": (0.0157, 0.0040), "imaginative": (0.0018, 0.0030), "conventional": (0.0006, 0.0026),
    "orderly": (0.0039, 0.0032), "careless": (0.0051, 0.0022), "withdrawn": (0.0011, 0.0028), "lively": (0.0052, 0.0033),
    "warm": (0.0149, 0.0072),
}  # fmt: skip
# Sign at the high pole.
MARKERS: dict[str, dict[str, int]] = {
    "neuroticism": {"sad": 1, "fear": 1, "shame": 1, "positive": -1},
    "extraversion": {"social": 1, "lively": 1, "withdrawn": -1},
    "agreeableness": {"warm": 1, "polite": 1, "anger": -1, "swear": -1},
    "conscientiousness": {"orderly": 1, "careless": -1, "swear": -1},
    "openness": {"imaginative": 1, "insight": 1, "conventional": -1},
}
Pace = Literal["even", "fast", "slow", "erratic"]


def _trait(talk: Talk, domain: str, high: bool, knowledge: Knowledge | None) -> tuple[float, list[Evidence]]:
    """Return the signed deviation towards the claimed pole and the words that point the other way."""
    total = sum(len(t.words) for t in talk.client)
    side = 1 if high else -1
    z = []
    for tag, sign in MARKERS[domain].items():
        norm, sd = NORMS[tag]
        rate = sum(t.tally(tag) for t in talk.client) / total
        z.append(max(-3.0, min(3.0, side * sign * (rate - norm) / math.sqrt(sd**2 + norm * (1 - norm) / total))))
    signed = sum(z) / math.sqrt(len(z))
    against = {tag for tag, sign in MARKERS[domain].items() if sign != side}
    evidence = [e for t in talk.client for e in _words(t, against, f"{domain}.against")]
    entry = knowledge.all(Trait).get(domain) if knowledge else None
    if entry:
        own, opposite = (entry.high, entry.low) if high else (entry.low, entry.high)
        plus = sum(1 for t in talk.client for _ in find_cues(own.cues, t.text))
        found = [span(t, m.start(), m.end(), f"{domain}.against") for t in talk.client for m in find_cues(opposite.cues, t.text)]
        signed += (plus - len(found)) / (plus + len(found) + 2)
        evidence += found
    return signed, evidence


def _words(turn: Turn, wanted: set[str], label: str) -> list[Evidence]:
    if not any(turn.tally(tag) for tag in wanted):
        return []
    return [span(turn, m.start(), m.end(), label) for m, tags in zip(WORD.finditer(turn.text), turn.tags, strict=True) if tags & wanted]


def _pace(persona: Persona, knowledge: Knowledge | None) -> Pace:
    entry = knowledge.all(Attachment).get(persona.attachment) if knowledge else None
    if entry:
        return entry.pace
    name = persona.attachment
    return "slow" if "avoid" in name or "dismiss" in name else "fast" if "preocc" in name or "anxious" in name else "even"


def _attachment(talk: Talk, pace: Pace) -> float | None:
    """Return how far early against late disclosure keeps to the pace; ``None`` for even or erratic paces and short talks."""
    if pace not in ("slow", "fast") or len(talk.client) < 4:
        return None

    def disclosure(turns: tuple[Turn, ...]) -> float:
        tags = {"sad", "fear", "anger", "shame", "state", "self"}
        return sum(sum(not tags.isdisjoint(t) for t in turn.tags) for turn in turns) / len(turns)

    third = max(2, len(talk.client) // 3)
    early, late = disclosure(talk.client[:third]), disclosure(talk.client[-third:])
    if early + late == 0:
        return None
    lead = (early - late) / (early + late)
    return ramp(lead, 0.7, 0.3) if pace == "slow" else ramp(lead, -0.7, -0.3)


def score(conversation: Conversation, knowledge: Knowledge | None = None) -> Score:
    """Score personality consistency (0-1) against ``blueprint.persona``."""
    metric = "personality_consistency"
    if conversation.blueprint is None:
        return result(metric, None, {}, reason="no blueprint, so no persona to be consistent with")
    talk, persona = read(conversation), conversation.blueprint.persona
    total = sum(len(t.words) for t in talk.client)
    facts = checks(talk, persona, knowledge) if talk.client else []
    if total < MIN_WORDS and not facts:
        return result(metric, None, {}, reason=f"the client says fewer than {MIN_WORDS} words and states no fact")
    parts: dict[str, float | None] = {}
    evidence = [f.evidence for f in facts]
    for domain in sorted(MARKERS):
        level = getattr(persona.big_five, domain)
        if level == "mid" or total < MIN_WORDS:
            parts[domain] = None
            continue
        signed, against = _trait(talk, domain, level == "high", knowledge)
        parts[domain] = ramp(signed, -TOLERANCE - 1.25, -TOLERANCE)
        evidence += against
    parts["attachment"] = _attachment(talk, _pace(persona, knowledge))
    styles = mean(list(parts.values()))
    wrong = sorted({f.name for f in facts if not f.agrees})
    parts["facts"] = sum(f.agrees for f in facts) / len(facts) if facts else None
    if styles is None and not facts:
        return result(metric, None, parts, evidence, "no trait at high or low, no attachment pace and no stated fact to check")
    value = 1.0 if styles is None else styles
    if wrong:
        value = min(value, 0.8) - 0.1 * (len(wrong) - 1)
    return result(metric, value, parts, evidence, f"contradicts: {', '.join(wrong)}" if wrong else "")
