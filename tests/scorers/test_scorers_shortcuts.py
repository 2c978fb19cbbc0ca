"""What the scorers do to be fast gives what the long way gives."""

import math
from itertools import pairwise
from zlib import crc32

import pytest
from conftest import ATTUNED, sketches
from hypothesis import given, settings
from hypothesis import strategies as st

from pixel_synth.scorers import rules_model, urgency_model
from pixel_synth.scorers.phrases import danger, phrases, present, risk_entries
from pixel_synth.scorers.risk import all_mentions, marks
from pixel_synth.scorers.talk import of_text, read
from pixel_synth.scorers.text import stem

RISKY = (
    "i cant stop thinking about killing myself, the pills are on the table",
    "he hit me again last night and i'm scared he will kill me",
    "the voices tell me to hurt them",
    "i haven't eaten in four days and i fainted twice",
    "i took the whole packet an hour ago",
)
SAID = [s.text for c in (*ATTUNED, *(x.conversation for x in sketches())) for t in read(c).turns for s in t.sentences]
WORDS = sorted({w for line in (*RISKY, *SAID[:200]) for w in line.split()})
lines = st.lists(st.sampled_from(WORDS), max_size=40).map(" ".join)


def bucket(feature: str) -> int:
    return crc32(feature.encode()) % urgency_model.BUCKETS


def letters(word: str) -> list[str]:
    edged = f"<{word}>"
    return [edged[i : i + n] for n in (3, 4, 5) for i in range(max(0, len(edged) - n + 1))]


def the_long_way(folded: str, named: set[str]) -> tuple[float, ...]:
    """Return P(level >= 1, 2, 3) feature by feature, without numpy and without anything remembered."""
    said = [t.word for t in urgency_model.tokens(folded)]
    stems = [stem(w) for w in said]
    groups = (
        (1.0, {f"w:{s}" for s in stems}),
        (0.7, {f"b:{a} {b}" for a, b in pairwise(["<", *said, ">"])}),
        (0.5, {f"s:{a} {b}" for a, b in zip(stems, stems[2:], strict=False)}),
        (1.0, {f"c:{group}" for w in said for group in letters(w)}),
        (1.0, {f"k:{name}" for _, name in urgency_model.classes(stems)}),
        (1.5, {f"m:{name}" for name in named}),
    )
    m, found = urgency_model.model(), []
    for k in range(3):
        terms = [m.weights[k, bucket(f)] * share / math.sqrt(len(group)) for share, group in groups for f in group]
        found.append(urgency_model.sigmoid(m.intercepts[k] + m.scales[k] * math.fsum(terms)))
    return found[0], min(found[:2]), min(found)


@given(lines)
@settings(max_examples=60)
def test_the_urgency_model_adds_up_every_feature_once(text: str) -> None:
    turn = of_text(text or "i").client[0]
    named = marks(all_mentions(turn))
    given_sentences = urgency_model.at_least(urgency_model.features([urgency_model.hear(s.text) for s in turn.sentences], named))
    assert given_sentences == pytest.approx(the_long_way(turn.text, named), abs=1e-9)


@given(lines)
@settings(max_examples=60)
def test_the_rules_model_adds_up_every_word_and_pair(text: str) -> None:
    m, found = rules_model.model(), rules_model.tokens(text)
    parts = [f for w in found[1:-1] for f in rules_model.of_word(w)] + [f for a, b in pairwise(found) for f in rules_model.of_pair(a, b)]
    n = math.sqrt(max(1, len(found) - 2))
    wanted = [m.intercepts[k] + m.scales[k] * math.fsum(m.weights[k, i] * v for i, v in parts) / n for k in range(len(rules_model.RULES))]
    assert rules_model.logits([text]) == pytest.approx(wanted, abs=1e-9)


def test_one_look_for_danger_finds_what_all_graded_entries_find() -> None:
    entries = [phrases(name) for name in risk_entries()]
    said = [*RISKY, *SAID]
    assert [bool(danger().search(s)) for s in said] == [any(p.search(s) for p in entries) for s in said]
    assert all(danger().search(s) for s in RISKY)


def test_entries_joined_in_one_tree_find_what_each_finds() -> None:
    names = ("act.affirm", "act.reaction", "act.persuade", "act.brush_off")
    found = [bool(present(*names).search(s)) for s in SAID]
    assert found == [any(phrases(name).search(s) for name in names) for s in SAID]
    assert len(set(found)) == 2


def test_only_plain_lists_are_joined() -> None:
    with pytest.raises(TypeError, match=r"act\.stock"):
        present("act.affirm", "act.stock")
