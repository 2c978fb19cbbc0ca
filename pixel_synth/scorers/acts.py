"""What a therapist turn does, sentence by sentence.

The codes follow MITI 4.2.1 (Moyers, Manuel & Ernst, 2014: open and closed questions, simple and complex reflections, affirm, seek
collaboration, emphasise autonomy, persuade with and without permission, confront), the evoking questions of motivational
interviewing (Miller & Rollnick, 2013), EPITOME (Sharma et al., 2020: emotional reactions, interpretations, explorations at level
0-2) and the empathy blockers of the Lend-an-Ear rubric (Kumar et al., 2025: dismissing emotions, self-orientation, unsolicited
advice).  All patterns are of general English and run on plain text (`plain`): folded, fillers off, contractions restored, so that
speech and hasty typing read as writing does.
"""

from __future__ import annotations

import re
from collections import defaultdict
from functools import lru_cache
from typing import Literal, NamedTuple

from pixel_synth.scorers.lexicon import tags
from pixel_synth.scorers.phrases import phrases, present, tree
from pixel_synth.scorers.talk import Talk, Turn
from pixel_synth.scorers.text import QuestionKind, Span, content, jaccard, question_kind, words

Code = Literal[
    "open", "closed", "simple", "complex", "affirm", "collaborate", "autonomy", "evoke", "invite", "permission", "persuade",
    "confront", "minimise", "self", "reaction", "weak_reaction", "stock", "inform", "backchannel",
    "understand",
]  # fmt: skip

MINIMISE = phrases("act.minimise")  # for spans
_MINIMISE, _BRUSH_OFF = present("act.minimise"), present("act.brush_off")
_NAMED: tuple[Code, ...] = (
    "affirm", "collaborate", "autonomy", "evoke", "invite", "permission", "confront", "reaction", "weak_reaction",
)  # fmt: skip
_PLAIN_CODES: tuple[tuple[Code, re.Pattern[str]], ...] = (
    *((code, present(f"act.{code}")) for code in _NAMED),
    ("understand", present("feeling.understanding")),
)
_STOCK = phrases("act.stock")
_PERSUADE, _IMPERATIVE = present("act.persuade"), phrases("act.imperative")
# Most sentences hold none of these.
_ANY = present(*(f"act.{code}" for code in _NAMED), "feeling.understanding", "act.minimise", "act.brush_off", "act.persuade")
_MEANING, _FRAME, _GENERIC, _SELF = (present(f"act.{name}") for name in ("meaning", "frame", "generic", "self"))
_REPORTED = re.compile(  # "you tell yourself you should cope": the client's advice to themselves, heard and given back
    r"\b(?:you (?:say|said|tell|told|feel|felt|think)|as if|as though|like you|(?:part of|telling|tells|told) you"
    r"|that you (?:have|need|must|should))\b"
)
_YOU = re.compile(
    r"you(?:r(?:self)?|'ve|'d|'re(?! welcome))?\b(?<!\wyou)(?<!(?:tell|with|give|help|show) you)(?<!thank you)(?<!(?:for|see|ask) you)"
)
_I = re.compile(r"^(?:i|i'm|i'd|i've|i'll|we|let's|my)\b")
_OWN = phrases("act.own")
_CONDOLENCE = re.compile(r"^(?:(?:so|very|really|i'm|oh no) )*(?:sorry for your|sorry about your|hope|hopefully|wish|congrat|glad|happy)")
_WORDS = re.compile(r"[a-z']+")
_QUOTED = re.compile(r"\"[^\"]*\"")
_SOUNDS = re.compile(r"\b(?:(?:it|this|there) )?(?:sounds|seems|feels) (?:like|as (?:if|though))\b|\bi(?:'m)? hear(?:ing)?\b")
_FEELING = frozenset({"sad", "fear", "anger", "shame", "state"})
_LEAD = re.compile(
    r"^(?:(?:okay|ok|yeah|yes|yep|um+|uh+|ah|oh|hmm+|mm+|mhm|mm-hmm|uh-huh|and|but|so|alright|all right)\b[,.]*\s+"
    r"|(?:well|now|right|no|look|listen|sure|see|like|hey|honestly|actually|basically|again|anyway|great|good|true),\s+)+"
)
_FILLER = re.compile(
    r"\b(?:um+|uh+|er+m?|hmm+)\b[,.]*\s*|(?<=[,.] )(?:you know|i mean|like),\s*|^(?:you know|i mean),\s*|, you know(?=[,.?!]|$)"
)
_ACKNOWLEDGED = phrases("act.backchannel")
_JOINED = {
    "dont": "don't", "cant": "can't", "wont": "won't", "im": "i'm", "ive": "i've", "thats": "that's", "youre": "you're", "youve": "you've",
    "didnt": "didn't", "doesnt": "doesn't", "isnt": "isn't", "wasnt": "wasn't", "wouldnt": "wouldn't", "couldnt": "couldn't",
    "shouldnt": "shouldn't", "theres": "there's", "whats": "what's", "hows": "how's", "theyre": "they're", "youll": "you'll",
    "atleast": "at least", "u": "you", "ur": "your", "youd": "you'd", "hasnt": "hasn't", "havent": "haven't", "arent": "aren't",
    "i am": "i'm", "you are": "you're", "that is": "that's", "it is": "it's", "do not": "don't", "did not": "didn't", "cannot": "can't",
    "can not": "can't", "is not": "isn't", "are not": "aren't", "was not": "wasn't", "does not": "doesn't", "what is": "what's",
    "how is": "how's", "there is": "there's", "they are": "they're", "we are": "we're", "let us": "let's", "could not": "couldn't",
    "would not": "wouldn't", "should not": "shouldn't", "will not": "won't", "you will": "you'll", "you would": "you'd",
}  # fmt: skip
_CONTRACT = re.compile(rf"\b(?:{tree(list(_JOINED))})\b(?!')")
_UNMARKED = phrases("question.unmarked")


class Act(NamedTuple):
    """What one sentence of a therapist does.

    ``text`` is its plain text, ``overlap`` counts the stems taken from the client, ``feelings`` are the words that name one.
    """

    turn: Turn
    span: Span
    text: str
    codes: frozenset[Code]
    question: QuestionKind
    overlap: int
    feelings: frozenset[str]


class _Sentence(NamedTuple):
    text: str
    kind: QuestionKind
    codes: frozenset[Code]
    advice: bool
    own: tuple[str, ...]
    stems: frozenset[str]
    feelings: frozenset[str]


@lru_cache(maxsize=16_384)
def plain(folded: str) -> str:
    """Return folded text without fillers ("um", "you know") and with contractions as they are mostly spoken ("I'm", "don't")."""
    return _FILLER.sub("", _CONTRACT.sub(lambda m: _JOINED[m[0]], folded)).strip()


def _question(text: str, core: str) -> QuestionKind:
    kind = question_kind(text)
    if not kind and not text.endswith(("?", "!")) and _UNMARKED.search(core):
        return question_kind(core.rstrip(".… ") + "?")
    return kind


def _holds(code: Code, kind: QuestionKind, start: int) -> bool:
    if code == "evoke":
        return bool(kind)
    return not kind or code not in {"reaction", "affirm"} or start < 20  # inside a question these words are what is asked about


@lru_cache(maxsize=16_384)
def _sentence(folded: str) -> _Sentence:
    text = plain(folded)
    if _ACKNOWLEDGED.match(text) and not text.endswith("?"):
        return _Sentence(text, "", frozenset({"backchannel"}), False, (), frozenset(), frozenset())
    core = _LEAD.sub("", text)
    kind = _question(text, core)
    some = bool(_ANY.search(text))
    codes = {code for code, pattern in _PLAIN_CODES if some and (m := pattern.search(text)) and _holds(code, kind, m.start())}
    if _STOCK.search(text):
        codes.add("stock")
    if kind == "open" or kind == "closed":
        codes.add(kind)
    if some and (_MINIMISE.search(text) or (not kind and _BRUSH_OFF.search(text))):
        codes.add("minimise")
    unquoted = _QUOTED.sub("", text)  # the client's own words, given back, tell nothing of the therapist
    if kind == "" and (_SELF.search(unquoted) or (_OWN.search(unquoted) and not re.search(r"\byou", unquoted))):
        codes.add("self")
    if "confront" in codes and "self" in codes:
        codes.discard("self")
    advice = bool((some and _PERSUADE.search(text)) or (not kind and _IMPERATIVE.match(core)))
    own = tuple(_WORDS.findall(text))
    named = frozenset(w for w in own if tags(w) & _FEELING)
    return _Sentence(text, kind, frozenset(codes), advice, own, frozenset(content(words(text))), named)


def _reflection(said: _Sentence, overlap: int, heard: frozenset[str]) -> Code | None:
    """Tell whether a statement gives the client back to themselves, and whether it adds to what they said."""
    if _CONDOLENCE.match(said.text):
        return None
    framed = bool(_FRAME.search(said.text))
    if _I.match(said.text) and not framed:
        return None
    if len(said.own) > 45 or (_GENERIC.search(said.text) and not framed):
        return None
    sounds = bool(_SOUNDS.search(said.text)) and len(said.stems) >= 2 and "affirm" not in said.codes
    half = bool(overlap) and overlap * 2 >= len(said.stems) and len(said.own) <= 25
    if not (_YOU.search(said.text) or half or sounds or (framed and (said.feelings or overlap))):
        return None
    meaning = bool(_MEANING.search(said.text))
    adds = meaning or bool(said.feelings and not said.feelings <= heard)
    if not (overlap or said.feelings or adds or (framed and said.stems)):
        return None
    further = framed and overlap <= 1 and len(said.stems) >= 2  # it says it in other words
    return "complex" if (adds or further) and (overlap or said.feelings or len(said.own) >= 6) else "simple"


def _codes(said: _Sentence, heard: frozenset[str], heard_words: frozenset[str], permitted: bool) -> tuple[frozenset[Code], int]:
    codes, overlap = set(said.codes), len(said.stems & heard)
    heard_so = overlap >= 2 or '"' in said.text or "tell yourself" in said.text
    reported = said.advice and not said.kind and heard_so and bool(_REPORTED.search(said.text))
    left_open = "autonomy" in codes or ("collaborate" in codes and bool(said.kind))
    if said.advice and not reported and not permitted and not left_open and not codes & {"permission", "backchannel"}:
        codes.add("persuade")
    if not said.kind and not codes & {"persuade", "confront", "minimise", "self", "backchannel"} and not (said.advice and not reported):
        if reflection := _reflection(said, overlap, heard_words):
            codes.add(reflection)
        elif not codes - {"weak_reaction", "understand"}:
            codes.add("inform")
    return frozenset(codes), overlap


@lru_cache(maxsize=64)
def read_acts(talk: Talk) -> tuple[Act, ...]:
    """Return the acts of every therapist sentence, in order.

    A sentence is a reflection when it states something about the client ("you", a reflective opening, or at least half of its
    content words taken from the client's last turns) that is not advice; it is complex when it adds meaning (a feeling that was
    not named, two sides, an underlying reason, an image, or other words than the client's).  Advice counts as persuasion unless
    permission was asked in this or the previous therapist turn, or it is offered as a question of collaboration or with the
    choice left to the client.  Short acknowledgements ("mm-hmm", "okay") are back-channels and count for nothing.
    """
    acts: list[Act] = []
    asked_before = False
    for turn in talk.therapist:
        recent = [t for t in talk.client if t.place < turn.place][-3:]
        heard = frozenset().union(*(t.stems for t in recent))
        heard_words = frozenset[str]().union(*(t.words for t in recent))
        permission = asked_before
        asked_before = False
        for span in turn.sentences:
            said = _sentence(span.text)
            codes, overlap = _codes(said, heard, heard_words, permission)
            acts.append(Act(turn, span, said.text, codes, said.kind, overlap, said.feelings))
            if "permission" in codes:
                permission = asked_before = True
    return tuple(acts)


def by_turn(acts: tuple[Act, ...]) -> list[tuple[Turn, list[Act]]]:
    """Group acts by their turn."""
    grouped: dict[int, tuple[Turn, list[Act]]] = {}
    for act in acts:
        grouped.setdefault(act.turn.place, (act.turn, []))[1].append(act)
    return list(grouped.values())


@lru_cache(maxsize=64)
def repeats(turns: tuple[Turn, ...], minimum: int = 4) -> tuple[tuple[Turn, Span], ...]:
    """Return every sentence that nearly repeats an earlier one of the same speaker (stem Jaccard of 0.75 or more)."""
    seen: list[tuple[frozenset[str], str]] = []
    having: defaultdict[str, list[int]] = defaultdict(list)  # word → earlier sentences with it
    found = []
    for turn in turns:
        for sentence in turn.sentences:
            own = frozenset(_WORDS.findall(sentence.text))
            if len(own) < minimum:
                continue
            # What is that alike shares three quarters of the words, so at least one of any quarter of them and one more; new words
            # are in nothing earlier, so they come first, and then those that the fewest sentences have.
            known = [word for word in own if word in having]
            more = len(own) // 4 + 1 - (len(own) - len(known))
            some = sorted(known, key=lambda word: len(having[word]))[:more] if more > 0 else []
            alike = (seen[i] for i in {i for word in some for i in having[word]})
            if some and any(text == sentence.text or jaccard(own, other) >= 0.75 for other, text in alike):
                found.append((turn, sentence))
            for word in own:
                having[word].append(len(seen))
            seen.append((own, sentence.text))
    return tuple(found)
