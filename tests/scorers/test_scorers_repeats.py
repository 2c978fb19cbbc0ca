"""Near repeats are found without comparing every sentence with every other one."""

from __future__ import annotations

import re
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pixel_synth.scorers.acts import repeats
from pixel_synth.scorers.talk import Turn
from pixel_synth.scorers.text import jaccard, sentences

SPOKEN = "i we it was is not very tired late home work again night morning slept bus".split()
WORDS = st.lists(st.sampled_from(SPOKEN), min_size=1, max_size=9)
SAID = st.lists(st.lists(WORDS, min_size=1, max_size=4), min_size=1, max_size=6)


def said(place: int, text: str) -> Turn:
    fields: dict[str, Any] = dict.fromkeys(Turn._fields)
    return Turn(**{**fields, "place": place, "sentences": sentences(text)})


@given(SAID)
def test_the_same_sentences_repeat_as_when_all_are_compared(given_turns: list[list[list[str]]]) -> None:
    turns = tuple(said(i, " ".join(" ".join(words) + "." for words in turn)) for i, turn in enumerate(given_turns))
    seen: list[frozenset[str]] = []
    expected = []
    for turn in turns:
        for sentence in turn.sentences:
            own = frozenset(re.findall(r"[a-z']+", sentence.text))
            if len(own) >= 3:
                if any(jaccard(own, other) >= 0.75 for other in seen):
                    expected.append((turn, sentence))
                seen.append(own)
    assert list(repeats(turns, 3)) == expected
