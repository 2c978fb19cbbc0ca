"""Picking up the other one's words: what people do all the time, and good listeners most of all.

`things` finds noun phrases that end a clause ("the lift", "my neighbour"), `snippets` short clauses that can be
quoted as they are.  Both work on surface forms alone and leave out whatever may be incomplete.
"""

from __future__ import annotations

import re

# Words that name nothing on their own, and parts of the body, which nobody would name back.
_VAGUE = frozenset(
    "way time times day days thing things one ones other others lot bit same second minute rest most kind sort point end "
    "start middle least fact idea moment while half whole first last next best worst back side past future morning evening "
    "night nights week month year years weekend hour hours matter reason truth answer question problem something anything "
    "nothing everything someone anyone everybody up down out off on in over away around before after ago today yesterday "
    "tomorrow lately together alone enough fine okay well all right going doing being having outside inside front thought "
    "thoughts said did was is are be been am were do does done go went got get "
    "head face hand hands arms back forehead mouth eyes knee knees feet stomach chest shoulder shoulders neck throat body hair".split()
)
_NOT_PREDICATE = "".join(rf"(?<!{before} )" for before in (r"\bam", r"\bis", "'s", "'m", "'re", r"\bbe", r"\bwas", r"\bbeen", r"\blike"))
_THING = re.compile(_NOT_PREDICATE + r"\b(my|the|your|a|an) ([a-z]{4,})(?=[,.;:!?]|$| (?:and|but|with|for|because|so|when|at|on|in|like) )")
_FLIP = {"my": "your", "your": "my"}
_BAD_START = re.compile(
    r"^(?:and|but|or|so|because|which|that|if|when|then|to|who|like|as|until|than|where|while|though|although|plus|well|yeah|yes|no|okay|"
    r"right|only|either|somewhere|same|every|each|another|other|oddly|funny|i mean|you know|sorry|honestly|anyway|actually|maybe|not|just|"
    r"even|of|is|was|are|i|i'm|it|it's|there|he|she|they|we|you|my|by|from|for|with|in|on|at)\b",
    re.IGNORECASE,
)
_BAD_END = frozenset("the a an my of to and or but that with for in on at is was like".split())
_WORDS = re.compile(r"[\w'’]+")


def things(text: str, own: str) -> list[str]:
    """Return noun phrases at clause ends as the other one would say them.

    ``own`` is the speaker's possessive: what a client calls "my" is "your" to the therapist, and the other way round; a
    possessive that is not the speaker's own ("talk to your doctor", quoted by a client) is left out.
    """
    found = []
    for match in _THING.finditer(text):
        noun = match[2]
        if noun in _VAGUE or noun.endswith(("ly", "ing", "ed")) or (match[1] in _FLIP and match[1] != own):
            continue
        found.append(f"{_FLIP.get(match[1], 'the')} {noun}")
    return list(dict.fromkeys(found))


def snippets(text: str) -> list[str]:
    """Return clauses of two to six words that stand on their own as a quotation, lower case, without end stop."""
    found = []
    for clause in re.split(r"[,.;:!?…]+\s*|\s[–—-]\s", text):
        words = _WORDS.findall(clause)
        if not 3 <= len(words) <= 6 or _BAD_START.match(clause) or re.search(r"[\"“”‘(]|(?<!\w)'|'(?!\w)", clause):
            continue
        if words[-1].lower() in _BAD_END:
            continue
        if sum(len(w) >= 4 and w.lower() not in _VAGUE for w in words) >= 1:
            found.append(clause.strip())
    return list(dict.fromkeys(found))


def shared(line: str, said: str) -> int:
    """Return how many words of four letters and more a line has in common with what was said."""
    return len({w for w in _WORDS.findall(line.lower()) if len(w) >= 4} & {w for w in _WORDS.findall(said.lower()) if len(w) >= 4})
