"""A thousand composed sessions differ from each other as much as was promised, whatever the gate later keeps."""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise

import pytest

from pixel_synth.knowledge import Knowledge
from pixel_synth.llms.composer.session import Session
from pixel_synth.plan import make_plan
from pixel_synth.settings import load_settings

pytestmark = pytest.mark.heavy
N = 1000


def test_a_thousand_sessions_keep_the_bars_of_variety(knowledge: Knowledge) -> None:
    plan = make_plan(load_settings(engine="composer", accept=N, seed=13), knowledge)
    turns: dict[str, Counter[str]] = {"user": Counter(), "assistant": Counter()}
    sentences: Counter[str] = Counter()
    bigrams: set[tuple[str, str]] = set()
    total = 0
    for slot in range(N):
        mine: set[str] = set()
        for turn in Session(plan.blueprint(slot), knowledge).compose():
            turns[turn.role][turn.text] += 1
            words = re.findall(r"[\w'’]+", turn.text.lower())
            bigrams.update(pairwise(words))
            total += len(words) - 1
            mine.update(" ".join(re.findall(r"[\w'’]+", s.lower())) for s in re.split(r"(?<=[.!?…])[\"'”’]?\s+", turn.text))
        sentences.update(mine)
    unique = {role: sum(n for n in seen.values() if n == 1) / sum(seen.values()) for role, seen in turns.items()}
    assert unique["user"] >= 0.95
    assert unique["assistant"] >= 0.90
    assert len(bigrams) / total >= 0.05
    sentence, count = sentences.most_common(1)[0]
    assert count <= 0.02 * N, f"{count} × {sentence}"
