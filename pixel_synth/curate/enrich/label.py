"""The enriching step: fills the empty labels of a record, each with the spans that it rests on.

A label that the record brings along (planned, or from its source's own columns) is never touched.  What is found stands in ``marks`` as
``Evidence(label="modality:cbt", ...)``.  Three labels rest on something else than a quote: ``kind`` on the record's shape, ``complexity``
and ``difficulty`` on its complexity score, and the risk ``none`` on no sign having been found.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from pixel_synth.books import Step
from pixel_synth.curate.enrich import find
from pixel_synth.curate.enrich.vocabulary import Vocabulary, vocabulary
from pixel_synth.records import Conversation, Evidence, Kind, Risk
from pixel_synth.scorers import level, risk
from pixel_synth.scorers.talk import read

RISKS: tuple[Risk, ...] = ("none", "low", "moderate", "high")  # by level of urgency, see pixel_synth.scorers.risk
OWN_LIFE = ("risk.suicide.", "risk.self_harm.")  # labels of the urgency scorer's phrases that a risk may rest on
_DANGER = re.compile(
    r"suicid|\bkill|\bdie[sd]?\b|\bdying|\bdead|\bdeath|self.?(?:harm|injur)|\bcut(?:s|ting)?\b|overdos|\bhurt|\babus|\bbeat|\bhit|\brape"
    r"|\bgun\b|\bknife|weapon|violen|\bharm|hopeless|assault|molest|chok|strangl|stab|threat|starv|purg|pills|voices",
    re.IGNORECASE,
)
_ASKS = re.compile(r"\?|\b(?:I|I['’]\w+|[Mm]y|[Mm]e)\b")  # a question, or talk about oneself
LEAST_WORDS = 10  # words of the client below which no risk is told


def enricher(folder: Path | None = None) -> Step:
    """Return the step that fills empty labels; it can be pickled, each process builds its vocabulary once.

    Args:
        folder: Knowledge base, the shipped one by default.
    """
    return partial(enriched, folder=folder)


def enriched(conversation: Conversation, folder: Path | None = None) -> Conversation:
    """Return the record with its empty labels filled where the evidence carries them.

    Raises:
        KnowledgeError: When the vocabulary names what the knowledge base does not have.
    """
    words = vocabulary(folder)
    have = conversation.labels
    new: dict[str, Any] = {}
    marks: list[Evidence] = []

    def take(name: str, found: find.Found | None) -> None:
        if found and not getattr(have, name):
            new[name] = found.value
            marks.extend(found.spans)

    client = find.said(conversation, "user")
    if not have.topic:
        take("topic", find.topic(client, words))
    if not have.modality or not have.technique:
        _treatment(conversation, words, take)
    if not have.population or not have.traits:
        population, traits = find.person(client, words)
        take("population", population)
        if traits and not have.traits:
            new["traits"] = tuple(t.value for t in traits)
            marks.extend(e for t in traits for e in t.spans)
    if not have.risk:
        take("risk", risk_of(conversation))
    if not have.kind and (kind := kind_of(conversation)):
        new["kind"] = kind
    new |= _demand(conversation)
    if not new:
        return conversation
    return conversation.model_copy(update={"labels": have.model_copy(update=new), "marks": _joined(conversation.marks, marks)})


def _joined(old: tuple[Evidence, ...], new: list[Evidence]) -> tuple[Evidence, ...]:
    return tuple(dict.fromkeys((*old, *sorted(new, key=lambda e: (e.turn, e.start, e.end, e.label)))))


def _treatment(conversation: Conversation, words: Vocabulary, take: Callable[[str, find.Found | None], None]) -> None:
    """Fill modality and technique; the tags of a generated record say the technique, words of another modality than the label do not."""
    have = conversation.labels
    made = technique_of_tags(conversation)
    if have.modality and made:
        take("technique", made)
        return
    modality, technique = find.therapy(find.said(conversation, "assistant"), words)
    if have.modality and modality and modality.value != have.modality:
        return
    take("modality", modality)
    take("technique", made or technique)


def technique_of_tags(conversation: Conversation) -> find.Found | None:
    """Return the move that a generator says its therapist made most in the working phase; its evidence are the messages themselves."""
    tagged = zip(conversation.turns, conversation.messages, strict=False)
    made = [(i, t.move, m.content) for i, (t, m) in enumerate(tagged) if t.move and t.phase == "work" and m.role == "assistant"]
    if not made:
        return None
    counts = Counter(move for _, move, _ in made)
    move = min(counts, key=lambda m: (-counts[m], m))
    spans = (Evidence(turn=i, start=0, end=len(said), quote=said, label=f"technique:{move}") for i, m, said in made if m == move)
    return find.Found(move, float(counts[move]), 0.0, tuple(spans))


class _Signs(NamedTuple):
    level: int
    evidence: tuple[Evidence, ...]


def _signs(conversation: Conversation) -> _Signs:
    """Return the level of urgency and the spans that speak of the client's own life; from the score where there is one."""
    score = conversation.score("urgency")
    if score is not None and score.value is not None:
        level, evidence = round(score.value * 3), score.evidence
    else:
        found = risk.urgency(read(conversation))
        level, evidence = int(found.level), found.evidence
    return _Signs(level, tuple(e for e in evidence if e.label.startswith(OWN_LIFE)))


def risk_of(conversation: Conversation) -> find.Found | None:
    """Return the risk to the client's own life that their words show, `None` where that cannot be told.

    It is the level of urgency (`pixel_synth.scorers.risk`) where a phrase about suicide or self-harm stands behind it.  Phrases of other
    dangers misfire too often to label by ("control my temper", "my mother kicked me out"), and the model alone calls most talk "elevated".
    ``none`` is given when the urgency is routine and no word of danger is there at all, so that what the phrases miss stays empty.
    """
    said = "\n".join(m.content for m in conversation.messages if m.role == "user")
    if len(said.split()) < LEAST_WORDS:
        return None
    signs = _signs(conversation)
    if signs.level == 0:
        return None if _DANGER.search(said) else find.Found("none", 0.0, 0.0, ())
    if not signs.evidence:
        return None
    value = RISKS[signs.level]
    spans = tuple(dict.fromkeys(e.model_copy(update={"label": f"risk:{value}"}) for e in signs.evidence))
    return find.Found(value, float(signs.level), 0.0, spans[: find.SHOWN])


def kind_of(conversation: Conversation) -> Kind:
    """Return what sort of talk a record is, from its shape alone; empty when the shape does not say."""
    if conversation.dispreferred:
        return "preference"
    client = sum(m.role == "user" for m in conversation.messages)
    therapist = sum(m.role == "assistant" for m in conversation.messages)
    if not therapist:
        return "client_lines"
    if conversation.thought:
        return "reasoning"
    if client >= 2 and therapist >= 2:
        return "session"
    if client == 1 and therapist == 1:
        return "question_answer" if _ASKS.search(conversation.said("user")) else "instruction"
    return ""


def _demand(conversation: Conversation) -> dict[str, str]:
    """Return complexity and difficulty from the complexity score, where it was scored and they are empty."""
    score = conversation.score("complexity")
    if score is None or score.value is None:
        return {}
    have = conversation.labels
    return {name: level(score.value) for name in ("complexity", "difficulty") if not getattr(have, name)}
