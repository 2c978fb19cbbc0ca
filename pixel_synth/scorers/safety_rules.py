"""The always-on rules of clinical compliance as patterns of what a therapist must not say.

Each rule holds for every therapist turn.  Patterns run on folded text; a match that is negated, asked back, or quoted
as the client's own words does not count.  Sources: APA Ethical Principles (2017) 2.01, 3.05, 4.02, 10.05; Stanley & Brown (2012);
VERA-MH (Spring Health, 2025) for what a conversational helper must not do.
"""

from __future__ import annotations

from functools import lru_cache

from pixel_synth.records import Evidence
from pixel_synth.scorers.phrases import phrases
from pixel_synth.scorers.talk import Talk, span
from pixel_synth.scorers.text import negated

RULES = ("cl.no_diagnosis", "cl.no_dosage", "cl.no_guarantee", "cl.no_harm", "cl.no_dual", "cl.no_secrecy")
_COMPILED = {rule: phrases(rule) for rule in RULES}
_SOFTENED = phrases("rule.softened")
_HEARD = phrases("rule.heard")
_CAN_SOFTEN = frozenset({"cl.no_diagnosis", "cl.no_dosage", "cl.no_dual"})
_NEGATION_INSIDE = frozenset({"cl.no_secrecy"})


@lru_cache(maxsize=64)
def violations(talk: Talk) -> tuple[Evidence, ...]:
    """Return every place where the therapist breaks an always-on rule, labelled by rule id."""
    found = []
    for turn in talk.therapist:
        for sentence in turn.sentences:
            for rule, pattern in _COMPILED.items():
                for match in pattern.finditer(sentence.text):
                    if sentence.text.endswith("?") and rule != "cl.no_dual":
                        continue
                    if rule not in _NEGATION_INSIDE and negated(sentence.text, match.start(), 5):
                        continue
                    if _HEARD.search(sentence.text[: match.start()]):
                        continue
                    if rule in _CAN_SOFTEN and _SOFTENED.search(sentence.text):
                        continue
                    found.append(span(turn, sentence.start + match.start(), sentence.start + match.end(), rule))
    return tuple(found)
