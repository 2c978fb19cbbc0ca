"""Two thousand composed sessions over the whole base differ as much as was promised, and stand on all of it."""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise

import pytest

from pixel_synth.knowledge import Knowledge
from pixel_synth.knowledge.models import Disorder
from pixel_synth.llms.composer.session import Session
from pixel_synth.plan import make_plan, used
from pixel_synth.settings import load_settings

pytestmark = pytest.mark.heavy
N = 2000
# Rules that weigh in every session are few; a disorder for reference is never planned; an instrument is only asked where it was made for.
SHARES = {"ethics_rule": 0.2, "disorder": 0.95, "instrument": 0.7}


def test_two_thousand_sessions_keep_the_bars_of_variety_and_use_the_whole_base(knowledge: Knowledge) -> None:
    plan = make_plan(load_settings(engine="composer", accept=N, seed=13), knowledge)
    turns: dict[str, Counter[str]] = {"user": Counter(), "assistant": Counter()}
    sentences: Counter[str] = Counter()
    bigrams: set[tuple[str, str]] = set()
    total = 0
    ids: Counter[str] = Counter()
    for slot in range(N):
        mine: set[str] = set()
        bp = plan.blueprint(slot)
        ids.update(bp.knowledge)
        for turn in Session(bp, knowledge).compose():
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
    for kind, entries_used, there, _ in used(knowledge, ids):
        least = SHARES.get(kind, 0.9)
        assert entries_used >= least * there, f"{kind}: {entries_used} of {there}"
    reference = sum(d.client == "reference" for d in knowledge.all(Disorder).values())
    assert sum(key.startswith("disorder:") for key in ids) == len(knowledge.all(Disorder)) - reference
