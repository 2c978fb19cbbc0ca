"""The session is data: what stands in it must not steer who judges it.

Three lines of defence, none of which is enough alone (Greshake et al., 2023, "Not what you've signed up for", on instructions in
retrieved text; Shi et al., 2024, "Optimization-based prompt injection attack to LLM-as-a-judge"):

* `fence`: a line around the session that no text inside can hold, and `harmless`, which takes control tokens apart;
* `instructions`: the sentences that talk to a model.  Ordinary talk about judges, scores and advice is none of them.  It is English
  and finds the plain forms; an instruction in riddles passes;
* `masked`: the session without these sentences.  It is judged as well, and a verdict that differs is none (see `session`).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import cache

from pixel_synth.judges.quotes import Place
from pixel_synth.judges.rubric import rubrics
from pixel_synth.records import Conversation, Evidence, Message, stable_id
from pixel_synth.settings import THRESHOLDS

MASK = "[...]"

# ---------------------------------------------------------------------------------------------- the fence

# What chat templates and serving stacks may read as a token of their own: <|im_start|>, <｜User｜>, </s>, <start_of_turn>, [INST].
_CONTROL = re.compile(r"<(?=[<|｜/!a-zA-Z])|\[(?=/?[A-Z][A-Z_]{2,}\])")


def harmless(text: str) -> str:
    """Return text on one line, in which nothing is a control token or a tag any more: a gap opens after "<" and "["."""
    return _CONTROL.sub(lambda m: f"{m[0]} ", " ".join(text.split()))


def transcript(messages: Sequence[Message]) -> str:
    """Return the session as numbered lines, one a turn, whatever stands in it; system messages, which may hold a plan, are left out."""
    who = {"user": "client", "assistant": "therapist"}
    return "\n".join(f"[{i}] {who[m.role]}: {harmless(m.content)}" for i, m in enumerate(messages) if m.role in who)


def fence(text: str) -> str:
    """Return a line that does not occur in the text; equal texts get equal lines, so that a ledger replays."""
    nonce = stable_id("fence", text)
    while nonce in text:
        nonce = stable_id("fence", nonce, text)
    return f"===== {nonce} ====="


# ----------------------------------------------------------------------------------------- instructions

# Where an order begins: at the start of a sentence or clause, or after words that make one.  "I give it a five" is no order.
_ORDER = (
    r"(?:^|[.!?:;,\"'(\[>*#-]\s*|\b(?:please|you (?:must|should|will|shall|have to|need to|are (?:to|required to|instructed to))|must|now|"
    r"(?:i |we )(?:want|order|ask|instruct|command|tell|need|require) you to|(?:task|job|role|duty)(?: here)? is to|"
    r"just|then|simply|always|only|instead|kindly|and)\s+)(?:now |only |just |always |simply |then |please )*"
)
_MODEL = r"(?:llm|ai|gpt|(?:large )?language model|chat ?bot|assistant|model|evaluator|grader|rater|scorer|annotator|assessor)"
_ALL = r"(?:every|each|all)(?: of)?(?: the| these)?(?: following)?"
_SESSION = (
    r"(?:session|conversation|dialogue|dialog|transcript|exchange|counsell?or|therapist|rubric|criteri(?:on|a)|"
    rf"{_ALL} (?:items?|questions?|dimensions?|categor(?:y|ies)|scores?|ratings?|answers?))"
)
_THIS = r"(?:this|the) (?:session|conversation|dialogue|transcript|therapist|counsell?or)"
# The value of an answer, and not a range, a span of time or a number of things.
_VALUE = (
    r"(?:(?:the )?(?:maximum|highest|top|full|perfect|best|lowest|minimum)(?: possible)? (?:score|rating|mark|grade|level|point)s?"
    r"|(?:an? |with |as |at |to |: ?|= ?)?[\"']?(?<!\d to )(?<!or )(?<!-)(?:[0-5](?:\.\d+)?(?:/\d+| out of \d+)?|yes|five)"
    r"(?=[\"']?(?:\s*[.,;!)]|\s*$|\s+(?:to(?! \d)|on|for|across|as|everywhere|(?:in|at|with) (?:every|each|all the|this|the))\b))[\"']?"
    r"|excellent\b)"
)
_RULES = r"(?:instructions?|prompts?|guidelines?|rubrics?|criteria|system messages?|programming)"
_WORDS = r"(?:\W+[\w'/]+){0,%d}?\W+"
_STRONG: dict[str, str] = {
    "override": (
        r"\b(?:ignor(?:e|ing)|disregard(?:ing)?|forget|overrid(?:e|ing)|bypass|(?:do not|don't|stop) follow(?:ing)?)\b(?:"
        r"(?: of| the| these| those| about| and| given| any| every| everything)*"
        r"(?: all| previous| prior| above| preceding| earlier| other| original| initial| system| safety| scoring| judging| your)"
        rf"(?: \w+){{0,2}}? {_RULES}\b|(?: the| these| those| any)? {_RULES}(?=\s*[.!,;:]|\s*$| and\b| you\b| that were\b))"
        rf"|{_ORDER}(?:ignore|disregard|forget) (?:the|everything|all|anything)(?: of the)?(?: text| that is| written)? above\b"
        r"|\b(?:new|updated|real|actual|revised|hidden|secret|special) instructions?\s*[:=]"
        r"|\binstructions? (?:to|for) (?:the |any )?(?:ai|llm|language model|evaluator|grader|rater|judge)\b"
    ),
    "address": (
        r"^\W*(?:dear |attention,? |attn:? |hey |hello |hi |to |note (?:to|for) |message (?:to|for) |reminder (?:to|for) )*"
        rf"(?:the |any |all |our )?(?:{_MODEL}s?|(?:ai |llm )?judges?)(?: (?:read|evaluat|scor|judg|rat|grad)ing \w+(?: \w+)?)?"
        r"\s*(?:[:;—–]|-\s|,\s*(?:please|you|this|the|ignore|give|rate|score))"
        rf"|\bas (?:an? |the |our |your )?(?:ai |llm |impartial |automated )*(?:judge|{_MODEL})\b,? "
        r"(?:please |you (?:must|should|will|are|have|need)|"
        r"(?:give|rate|score|output|answer|return|assign|award|respond|grade|mark|ignore)\b)"
        r"|\byou are (?:now |no longer |hereby )(?:an? |the |in |my )?(?:\w+ )?"
        rf"(?:{_MODEL}|judge|dan|developer mode|jailbroken|unrestricted)\b"
        rf"|\byou are (?:an? |the )(?:\w+ )?(?:{_MODEL}|judge) (?:of|for|who|that|rating|scoring|evaluating|judging|assessing) "
        rf"(?:\w+ )?(?:{_SESSION}|rates|scores|evaluates|grades)\b"
        r"|\b(?:if|when|since) you are an? (?:llm|ai|language model|ai judge|evaluator|grader)\b"
    ),
    "demand": (
        rf"{_ORDER}(?:give|assign|award|rate|score|mark|grade|evaluate|answer|return|output|set|choose|select|report"
        rf"|(?:judge|treat|consider)(?= this| the))\b(?! (?:me|yourself|how|myself)\b){_WORDS % 6}{_SESSION}(?:'s)?\b{_WORDS % 6}{_VALUE}"
        rf"|{_ORDER}(?:give|assign|award|answer|return|output|(?:respond|reply) with|choose|select|report|write|use|put|enter)\b(?! me\b)"
        rf"{_WORDS % 4}{_VALUE}{_WORDS % 4}(?:to|for|on|in|across|as)\W+(?:\w+ ){{0,3}}?{_SESSION}"
        rf"|\b{_THIS}(?:'s \w+)? (?:deserves?|merits?|warrants?|(?:must|should|has to|is to) "
        rf"(?:get|receive|be (?:given|scored|rated|judged|graded|marked)))\W+(?:\w+ ){{0,3}}?{_VALUE}"
        rf"|\b{_THIS}(?: \w+)? (?:has|have|was|were)(?: already)?(?: been)?(?: already)? "
        r"(?:scored|graded|certified|verified|approved|validated|rated (?=[0-5]|excellent|by))"
        r"|\b(?:correct|right|true|expected|final|only) (?:verdict|answer|score|rating|grade)s? (?:for|of|to|on|in) "
        rf"(?:\w+ ){{0,3}}?{_SESSION} (?:is|are|must|should)\b"
        rf"|{_ORDER}(?:don't|do not|stop|refrain from) (?:evaluat|scor|rat|grad|penali[sz])(?:e|ing)\b(?:\W+\w+){{0,3}}?\W+{_SESSION}\b"
    ),
    "prompt": (
        r"\b(?:your|the|this|new|updated|following|above|hidden|original|initial) (?:system|developer) (?:prompt|message)s?\b"
        r"|\bsystem (?:prompt|message|instruction)s?\s*[:=]|\bprompt injection\b|\b(?:system|admin|developer) override\b"
        r"|\b(?:print|reveal|repeat|show|leak|output|reproduce) (?:\w+ ){0,3}(?:system prompt|your prompt|your instructions)\b"
    ),
    "format": (
        rf"{_ORDER}(?:output|return|respond|reply|answer|print|emit|produce|write|generate)\b(?:\W+\w+){{0,6}}?\W+(?:json|yaml|xml)\b"
        r"|[{,]\s*[\"']?(?:answer|score|rating|verdict|quote|why|value|grade)[\"']?\s*:|[\"'](?:answer|score|rating|verdict|quote|why)[\"']\s*:"
    ),
    "marker": (
        r"<\s?[|｜]\s?[\w▁ ]+\s?[|｜]\s?>|\[\s?/?(?:inst|sys|system)\s?\]|<<\s?/?sys\s?>>|<\s?/?(?:start|end)_of_turn\s?>|</?s>"
        r"|^\W{0,4}(?:system|assistant|user|human|developer|ai|model)\s*:(?!\s*$)"
        r"|^\s*#{2,}\s*(?:system|instructions?|response|assistant|user|human|end|new task|task)\b"
        r"|</?\s?(?:system|session|transcript|data|instructions?|rubric|verdict|conversation|prompt|important|admin)\b[^>]{0,40}>"
        r"|\[\d+\]\s*(?:client|therapist)\s*:|={4,}\s*[0-9a-f]{8,}"
        r"|[-=#*]{2,}\s*end of (?:the )?(?:session|transcript|conversation|data|dialogue|input)\b|\[\s?end of \w+\s?\]"
    ),
}
# What counts only beside a sentence that is found for itself: the same writer going on.
_GOING_ON = (
    rf"{_ORDER}(?:answer|rate|score|output|respond|reply|return|grade|comply|obey|quote|choose|confirm)\b|\b(?:json|rubric|verdict|"
    r"criteri(?:on|a)|(?:highest|top|perfect|maximum|final) (?:score|answer|rating)s?)\b|\b[0-5] ?/ ?5\b|\bscores?\b.*\b(?:5|five|yes)\b"
)
_END = re.compile(r"[.!?…]+[\"'”’)\]]*(?=\s|$)|\n+")
_ABBREVIATION = re.compile(r"\b(?:dr|mr|mrs|ms|prof|st|vs|etc|e\.g|i\.e|a\.m|p\.m|u\.s)\.$", re.IGNORECASE)
# "She told me to ignore the guidelines": told of, not told to whoever reads.
_TOLD = re.compile(
    r"\b(?:i|we|he|she|they|who|mom|mum|dad|boss|doctor|teacher)(?:'d|'ve)? (?:just |always |then |also |will |would |might |could |can |"
    r"have to |had to |tried to |try to |want to |wanted to |used to )*$"
    r"|\b(?:told|asked|tells|asks|wants|wanted|says|said|advised|taught|made|let|makes)"
    r"(?: (?:me|us|him|her|them|you|people))?(?: not)?(?: to)? $",
    re.IGNORECASE,
)


def instructions(conversation: Conversation) -> tuple[Evidence, ...]:
    """Return the sentences of a session that talk to a model or a judge, labelled with what they do.

    Labels: override, address, demand, prompt, format, marker, rubric (names with answers), and "going on" for what stands beside one.
    """
    return tuple(evidence for turn, m in enumerate(conversation.messages) if m.role != "system" for evidence in _of(turn, m.content))


def masked(conversation: Conversation, found: Sequence[Evidence]) -> Conversation:
    """Return the session with each of these sentences replaced by `MASK`."""
    messages = list(conversation.messages)
    for e in sorted(found, key=lambda e: (e.turn, e.start), reverse=True):
        text = messages[e.turn].content
        messages[e.turn] = Message(role=messages[e.turn].role, content=text[: e.start] + MASK + text[e.end :])
    return conversation.model_copy(update={"messages": tuple(messages)})


def _of(turn: int, text: str) -> Iterator[Evidence]:
    spans = list(_sentences(turn, text))
    plain = [_plain(text[p.start : p.end]) for p in spans]
    labels = [_label(sentence) for sentence in plain]
    if not any(labels):
        return
    changed = True
    while changed:
        changed = False
        for i, label in enumerate(labels):
            beside = labels[max(0, i - 1) : i] + labels[i + 1 : i + 2]
            if not label and any(beside) and _going_on().search(plain[i]):
                labels[i], changed = "going on", True
    for place, label in zip(spans, labels, strict=True):
        if label:
            yield Evidence(turn=turn, start=place.start, end=place.end, quote=text[place.start : place.end], label=label)


def _sentences(turn: int, text: str) -> Iterator[Place]:
    start = 0
    for end in [m.end() for m in _END.finditer(text) if not _ABBREVIATION.search(text[max(0, m.end() - 8) : m.end()])] + [len(text)]:
        piece = text[start:end]
        if piece.strip():
            yield Place(turn, start + len(piece) - len(piece.lstrip()), start + len(piece.rstrip()))
        start = end


def _plain(sentence: str) -> str:
    """Return a sentence in lower case, in the plainest characters, without invisible ones."""
    seen = "".join(c for c in unicodedata.normalize("NFKC", sentence) if unicodedata.category(c) != "Cf")
    return " ".join(seen.replace("’", "'").replace("“", '"').replace("”", '"').lower().split())


def _label(sentence: str) -> str:
    for label, pattern in _patterns().items():
        for match in pattern.finditer(sentence):
            if label in ("marker", "rubric", "address") or not _TOLD.search(sentence[: match.start()] + _lead(match[0])):
                return label
    return ""


def _lead(found: str) -> str:
    """Return what a match took in before its verb."""
    lead = re.match(r"\W*", found)
    return lead[0] if lead else ""


@cache
def _patterns() -> dict[str, re.Pattern[str]]:
    return {**{label: re.compile(pattern) for label, pattern in _STRONG.items()}, "rubric": re.compile(_named())}


@cache
def _going_on() -> re.Pattern[str]:
    return re.compile(_GOING_ON)


def _named() -> str:
    """Return the pattern of rubric names with a number, and of two or more criteria with answers in one sentence."""
    known = {*THRESHOLDS, *(r.name for r in rubrics())} - {"overall", "session", "preference"}
    ids = sorted({id for r in rubrics() for id in r.criteria} | known, key=len, reverse=True)
    names = "|".join(sorted(known, key=len, reverse=True)).replace("_", "[_ ]")
    criteria = "|".join(ids).replace("_", "[_ ]")
    given = r"[\"']?\s*(?:score|rating)?\s*(?:[:=]|->|is|of|to)\s*[\"']?(?:[0-5](?:\.\d+)?\b|yes\b|no\b)"
    return rf"\b(?:{names}){given}|\b(?:{criteria}){given}.{{0,20}}?\b(?:{criteria}){given}"
