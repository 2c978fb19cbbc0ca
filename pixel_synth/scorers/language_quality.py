"""Language quality: is the text readable, varied, whole and free of machine rubble?

Parts: ``readability`` (Flesch-Kincaid grade, Kincaid et al., 1975: 1 up to grade 9, 0 from grade 18, the range of spoken
to academic English), ``diversity`` (MTLD, McCarthy & Jarvis, 2010: 0 at 20, 1 from 60; spoken dialogue lies at 50-80;
needs 50 words), ``repetition`` (1 minus repeated sentences and repeated word 5-grams), ``clean`` (garble: slot leftovers,
template markers, doubled words, a/an slips, mojibake, lower-case starts, unbalanced quotes), ``complete`` (messages that end
like an utterance).

Value = mean of the first three x clean x complete, 0-1.  Needs 20 words.
"""

from __future__ import annotations

import re

from pixel_synth.knowledge.load import Knowledge
from pixel_synth.lexical import grade_level
from pixel_synth.records import Conversation, Evidence, Score
from pixel_synth.scorers.acts import repeats
from pixel_synth.scorers.talk import Talk, diversity, read, result, span, weighted
from pixel_synth.scorers.text import ramp

MIN_WORDS = 20
# Weight of one find: rubble that no person writes weighs 3, a slip that people make as well weighs 1 or less.
GARBLE: dict[str, tuple[float, re.Pattern[str]]] = {
    "slot": (
        3.0,
        re.compile(
            r"\{\w*[^{}]{0,40}\}|\{\{|\}\}|\[[^\[\]]{0,60}\|[^\[\]]{0,60}\]|<\|[^|]{0,40}\|>|<[a-z/_]{2,20}>|\[/?INST\]"
            r"|%\(?[sd]\b|\$\{|\[(?:insert|name|client|your)[^\]]{0,30}\]|\bTODO\b|\blorem ipsum\b",
            re.IGNORECASE,
        ),
    ),
    "null": (3.0, re.compile(r"(?<![\w'])(?:None(?=[ .,!?]*$|[.,]| None)|NaN|null|undefined|\\n|\\u[0-9a-f]{4})(?!\w)")),
    "role": (
        3.0,
        re.compile(r"(?:^|\n)\s*(?:user|assistant|system|human|client|therapist|patient|counselor)\s*:", re.IGNORECASE),
    ),
    "mojibake": (3.0, re.compile(r"Ã[\x80-\xbf©¨¢ª«®¯³¶¼¤]|â€|Â[\xa0£°´»]|ï»¿|\ufffd|ðŸ")),
    "doubled": (
        1.0,
        re.compile(
            r"(?<![\w'-])([a-z]+) (?=\1(?![\w'-]))(?!(?:that|had|very|really|so|no|ha|bye|now|there|yeah|much|more|never|long|far|is|was"
            r"|it|do|you|in|on|well|okay|ok|hey|again|mm|way|years|hush|fine|too|blah|i|i'm)\b)\1",
            re.IGNORECASE,
        ),
    ),
    "article": (
        1.0,
        re.compile(
            r"(?<![\w'.&-])(?:a (?=(?!eu|one|once|uni|use|usu|ut[ieo]|ubiq|ur[ia]|ew|u\b|ufo|ou[ij])[aeiou]\w{2})(?!a\b)"
            r"|an (?=(?!hour|honest|honou?r|heir|[aeiou]|[fhlmnrsx]\b|[A-Z]|x-|m\w*\d|8|11|18)\w{2}))"
        ),
    ),
    "spacing": (
        0.3,
        re.compile(r" [,.;?!](?:\s|$)|[a-z][,;!?][a-z]|[a-z]{3}\.[A-Z][a-z]| {3,}|,,|\.,|,\.|\?\.|;;"),
    ),
    "start": (0.5, re.compile(r"(?:^|(?<=[a-z][.!?] ))(?!i(?:Phone|Pad)|e\.g|i\.e)[a-z](?=[a-z' ])")),
}
# One of these is in the folded text wherever such rubble is, which is seldom; elsewhere its pattern need not run.
_SIGNS: dict[str, tuple[str, ...]] = {
    "slot": ("{", "}", "[", "<", "%", "todo", "lorem"),
    "null": ("none", "nan", "null", "undefined", "\\"),
    "role": (":",),
    "mojibake": ("ã", "â", "ï", "\ufffd", "ð"),
}
_ABBREVIATION = re.compile(r"\b(?:e\.g|i\.e|etc|vs|dr|mr|mrs|ms|a\.m|p\.m|approx)\. $", re.IGNORECASE)
_CLOSED = re.compile(r"[.!?…—–\-:;)\]\"'”’*~]\s*$|\.\.\.\s*$")


def garble(talk: Talk) -> tuple[float, list[Evidence]]:
    """Return the weighted number of garble finds and their places."""
    weight, evidence = 0.0, []
    for turn in talk.turns:
        for name, (cost, pattern) in GARBLE.items():
            if name in _SIGNS and not any(sign in turn.text for sign in _SIGNS[name]):
                continue
            for match in pattern.finditer(turn.raw):
                if name == "start" and (_ABBREVIATION.search(turn.raw[: match.start()]) or turn.raw[: match.start()].endswith("... ")):
                    continue
                weight += cost
                evidence.append(span(turn, match.start(), max(match.end(), match.start() + 1), name))
        if turn.raw.count('"') % 2 or turn.raw.count("“") > turn.raw.count("”") + 1:
            weight += 0.5
            at = max(turn.raw.rfind('"'), turn.raw.rfind("“"))
            evidence.append(span(turn, at, at + 1, "quotes"))
    return weight, evidence


def score(conversation: Conversation, knowledge: Knowledge | None = None) -> Score:
    """Score language quality (0-1); unscored below 20 words."""
    talk = read(conversation)
    tokens = [w for t in talk.turns for w in t.words]
    if len(tokens) < MIN_WORDS:
        return result("language_quality", None, {}, reason=f"fewer than {MIN_WORDS} words")
    sentences = sum(len(t.sentences) for t in talk.turns)
    doubled = [*repeats(talk.client), *repeats(talk.therapist)]
    grams = [g for t in talk.turns for g in zip(*(t.words[i:] for i in range(5)), strict=False)]
    repeated = (len(grams) - len(set(grams))) / len(grams) if grams else 0.0
    weight, evidence = garble(talk)
    evidence += [span(t, s.start, s.end, "repetition") for t, s in doubled]
    cut = [t for t in talk.turns if not _CLOSED.search(t.raw) and len(t.words) > 3]
    evidence += [span(t, max(0, len(t.raw) - 20), len(t.raw), "complete") for t in cut]
    parts: dict[str, float | None] = {
        "readability": ramp(grade_level(tokens, sentences), 18.0, 9.0),
        "diversity": ramp(diversity(talk), 20.0, 60.0) if len(tokens) >= 50 else None,
        "repetition": max(0.0, 1 - 3 * len(doubled) / sentences - 4 * repeated),
    }
    base = weighted(parts, dict.fromkeys(parts, 1.0)) or 0.0
    clean = 1 - ramp(100 * weight / max(100, len(tokens)), 0.15, 4.0)
    complete = 1 - 0.6 * len(cut) / len(talk.turns)
    return result("language_quality", base * clean * complete, {**parts, "clean": clean, "complete": complete}, evidence)
