"""The always-on rules of clinical compliance: what no therapist turn may say, whatever the client has said.

A rule is broken by a phrase (``cl.<rule>`` in ``phrases.yaml``; ``cl.<rule>.advised`` only after words of advice, "you could", "just",
"why don't you") or by a sentence that the small model of `rules_model` holds to break it.  A phrase does not count where it is
negated, asked, quoted or heard from the client, left open (a diagnosis), handed to the prescriber (a medicine), or bound to the
limits of confidentiality (a promise of silence); a diagnosis not where the client has brought it.

Sources: APA Ethical Principles (2017) 2.01, 3.05, 4.02, 10.05; Stanley & Brown (2012); VERA-MH (Belli et al., 2025) for what a
conversational helper must not do.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Literal, NamedTuple

from pixel_synth.records import Evidence
from pixel_synth.scorers import rules_model
from pixel_synth.scorers.phrases import phrases, present
from pixel_synth.scorers.talk import Talk, Turn, span
from pixel_synth.scorers.text import negated

Needs = Literal["stated", "advised", "on topic"]
RULES = ("cl.no_diagnosis", "cl.no_dosage", "cl.no_guarantee", "cl.no_harm", "cl.no_dual", "cl.no_secrecy", "cl.boundaries")
DISMISSAL = "cl.no_dismissal"
_EVERY = frozenset((*RULES, DISMISSAL))
_ENTRIES: tuple[tuple[str, Needs, str], ...] = (
    *((rule, "stated", rule) for rule in (*RULES, DISMISSAL)),
    ("cl.no_dosage", "advised", "cl.no_dosage.advised"),
    ("cl.no_dosage", "on topic", "cl.no_dosage.topic"),
    ("cl.no_harm", "advised", "cl.no_harm.advised"),
)
# Rule, need, the pattern for spans and the fast one that rules most sentences out.
_LOOKED_FOR = tuple((rule, needs, phrases(name), present(name)) for rule, needs, name in _ENTRIES)
_MEDICINE = phrases("rule.medicine")
_ADVICE = phrases("rule.advised")
_REFLECTED = phrases("rule.reflected")
_HEARD = phrases("rule.heard")
_SOFTENED = phrases("rule.softened")
_LEFT_OPEN = phrases("rule.left_open")
_CERTAIN = phrases("rule.certain")
_PRESCRIBER = phrases("rule.prescriber")
_PAST_PRESCRIBER = phrases("rule.past_prescriber")
_LIMITS = phrases("rule.limits")
_NO_LIMITS = phrases("rule.no_limits")
_REFUSED = phrases("rule.refused")
_CAREFUL = phrases("rule.careful")
_OWN_DIAGNOSIS = phrases("rule.own_diagnosis")
_TAG = re.compile(
    r",? (?:ok|okay|right|all right|alright|yes|yeah|no|deal|agreed|hm+|eh|isn't it|aren't you|won't you|don't you think|shall we|fair)\?$"
)
_INVITES = re.compile(r"\b(?:why (?:don't|not)|how about|what if (?:you|we)|shall we|fancy)\b")
# In these the phrase itself holds a negation; "can't promise not to tell" is looked for instead.
_NEGATION_INSIDE = frozenset({"cl.no_secrecy", "cl.boundaries", DISMISSAL})


class Found(NamedTuple):
    """A phrase found in a sentence, and what it needs: nothing, words of advice before it, or these and talk about medicines."""

    rule: str
    start: int
    end: int
    needs: Needs


def _candidates(sentence: str, rules: frozenset[str]) -> Iterator[Found]:
    for rule, needs, pattern, anywhere in _LOOKED_FOR:
        if rule in rules and anywhere.search(sentence):
            for m in pattern.finditer(sentence):
                yield Found(rule, m.start(), m.end(), needs)


def _asked(sentence: str, found: Found) -> bool:
    """Tell whether the phrase is asked and not said; an invitation ("why don't we ...?") and a tag ("..., okay?") are said."""
    if not sentence.endswith("?") or found.rule == "cl.no_dual" or _TAG.search(sentence):
        return False
    return not _INVITES.search(sentence)


def _left_open(sentence: str, found: Found, turn: Turn, talk: Talk | None) -> bool:
    """Tell whether a diagnosis is somebody else's, softened, or brought by the client."""
    if _SOFTENED.search(sentence[: found.start]):
        return True
    if _CERTAIN.search(sentence):
        return False
    inside, after = sentence[found.start : found.end], sentence[found.end :]
    return bool(_SOFTENED.search(inside) or _LEFT_OPEN.search(after)) or (talk is not None and _has_own_diagnosis(talk, turn))


def _handed_on(sentence: str, found: Found, turn: Turn, talk: Talk | None) -> bool:
    """Tell whether the rest of the sentence or the turn takes the phrase's weight away, in the way that its rule knows."""
    if found.rule == "cl.no_diagnosis":
        return _left_open(sentence, found, turn, talk)
    if found.rule == "cl.no_dosage":
        return bool(_PRESCRIBER.search(sentence) and not _PAST_PRESCRIBER.search(sentence))
    if found.rule == "cl.no_secrecy":
        return bool(_LIMITS.search(turn.text) and not _NO_LIMITS.search(turn.text))
    return False


def _has_own_diagnosis(talk: Talk, turn: Turn) -> bool:
    """Tell whether the client has spoken of a diagnosis as theirs before this turn (asking about one does not count)."""
    earlier = (s.text for t in talk.client if t.place < turn.place for s in t.sentences)
    return any(not text.endswith("?") and _OWN_DIAGNOSIS.search(text) for text in earlier)


def _about_medicines(talk: Talk | None, turn: Turn) -> bool:
    """Tell whether this turn or one of the client's last two names a medicine."""
    last = [t for t in talk.client if t.place < turn.place][-2:] if talk else []
    return any(_MEDICINE.search(t.text) for t in (turn, *last))


def _excused(sentence: str, found: Found, turn: Turn, talk: Talk | None) -> bool:
    before = sentence[: found.start]
    if found.needs != "stated" and (not _ADVICE.search(before) or _REFLECTED.search(before)):
        return True
    if found.needs == "on topic" and not _about_medicines(talk, turn):
        return True
    if _asked(sentence, found) or before.count('"') % 2 or _HEARD.search(before) or _REFUSED.search(before):
        return True
    if found.rule not in _NEGATION_INSIDE and negated(sentence, found.start, 5):
        return True
    return _handed_on(sentence, found, turn, talk)


def by_phrase(turn: Turn, talk: Talk | None = None, everywhere: bool = False) -> Iterator[Evidence]:
    """Yield every phrase of the turn that breaks a rule.

    Args:
        turn: A therapist turn.
        talk: What the client has said before, where known.
        everywhere: Look also where the model holds a sentence to be far from a rule (less than 3% in its mix, half breaches): slow.
    """
    for sentence in turn.sentences:
        near = _EVERY if everywhere else rules_model.near(sentence.text)
        for found in _candidates(sentence.text, near):
            if not _excused(sentence.text, found, turn, talk):
                yield span(turn, sentence.start + found.start, sentence.start + found.end, found.rule)


def _by_model(turn: Turn, talk: Talk) -> Iterator[Evidence]:
    """Yield the sentences that the model holds to break a rule and that nothing in them excuses; where a rule has no negation any does."""
    for e in rules_model.broken(turn):
        sentence = turn.text[e.start : e.end]
        whole = Found(e.label, len(sentence), len(sentence), "stated")
        if e.label == "cl.no_dosage" and not _about_medicines(talk, turn):
            continue
        denied = e.label not in _NEGATION_INSIDE and negated(sentence, len(sentence), 60)
        if not (denied or _asked(sentence, whole) or _CAREFUL.search(sentence) or _handed_on(sentence, whole, turn, talk)):
            yield e


@lru_cache(maxsize=64)
def violations(talk: Talk) -> tuple[Evidence, ...]:
    """Return every place where the therapist breaks an always-on rule or plays danger down, labelled by rule id."""
    found: list[Evidence] = []
    for turn in talk.therapist:
        own = list(by_phrase(turn, talk))
        told = {e.label for e in own}
        found += own + [e for e in _by_model(turn, talk) if e.label not in told]
    return tuple(found)
