"""Utterances with their history and candidates, as PersonaChat has them (ParlAI); the last candidate is the true reply.

Source: https://github.com/huggingface/transfer-learning-conv-ai (its dataset format), used by counsel-chat.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from pixel_synth.standardise.draft import Draft, Row, Turn, Unfit

RANK = 32
NEEDS = "utterances: a list of objects with history (the talk so far, client first) and candidates (the true reply last)"
COLUMNS = {"utterances": ("utterances",)}
# These sets are tokenised: marks stand alone, and apostrophes between blanks.
_APOSTROPHE = re.compile(r"(\w) (['’]) (s|m|t|d|re|ve|ll)\b")
_BEFORE = re.compile(r" ([,.;:?!%)\]])(?=[\s,.;:?!)]|$)")
_BEHIND = re.compile(r"([(\[$]) (?=\w)")


def read(row: Row) -> Draft:
    """Return the longest history with its true reply; every earlier utterance is a beginning of it."""
    found = row.get("utterances")
    if not isinstance(found, list) or not found or not isinstance(found[-1], Mapping):
        raise Unfit("no turns: utterances is no list of objects")
    try:
        talks = [[*u["history"], u["candidates"][-1]] for u in found]
    except (KeyError, IndexError, TypeError) as error:
        raise Unfit("no turns: an utterance has no history or no candidates") from error
    whole = talks[-1]
    if not all(isinstance(words, str) for words in whole):
        raise Unfit("mixed types: a history or its candidates hold what is no text")
    if any(whole[: len(talk) - 1] != talk[:-1] for talk in talks):
        raise Unfit("several talks in one row: an earlier history is no beginning of the last")
    turns = [Turn(("user", "assistant")[i % 2], joined(words)) for i, words in enumerate(whole)]
    repaired = any(turn.text != words for turn, words in zip(turns, whole, strict=True))
    return Draft(turns, questions=(whole[0],) if len(whole) == 2 else (), repairs=("spacing",) if repaired else ())


def joined(words: str) -> str:
    """Put the blanks around marks and apostrophes of tokenised text back where people write them."""
    return _BEHIND.sub(r"\1", _BEFORE.sub(r"\1", _APOSTROPHE.sub(r"\1\2\3", words)))
