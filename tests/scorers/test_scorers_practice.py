"""What a therapist does is told apart in speech, in hasty typing and in replies of five words."""

import re

import pytest
from conftest import ATTUNED, Sketch, sketches, talk, with_messages

from pixel_synth.records import Conversation, Message
from pixel_synth.scorers import SCORERS
from pixel_synth.scorers.acts import plain, read_acts
from pixel_synth.scorers.phrases import _file, phrases, present
from pixel_synth.scorers.talk import read

BOTH = ("emotional_authenticity", "therapeutic_accuracy")
POST = "I failed my driving test again today and I feel like such an idiot."


def value(metric: str, c: Conversation) -> float:
    got = SCORERS[metric](c, None).value
    assert got is not None
    return got


def part(metric: str, c: Conversation, name: str) -> float | None:
    return {p.name: p.value for p in SCORERS[metric](c, None).parts}[name]


def codes(said: str, before: str = POST) -> frozenset[str]:
    acts = read_acts(read(talk(before, said)))
    return frozenset().union(*(a.codes for a in acts))


@pytest.mark.parametrize("metric", BOTH)
@pytest.mark.parametrize("check", [False, True], ids=["tuned on", "kept aside"])
def test_good_interviewing_scores_above_poor_interviewing(metric: str, check: bool) -> None:
    mine = [s for s in sketches() if s.check == check]
    good, poor = ([value(metric, s.conversation) for s in mine if s.good == kind] for kind in (True, False))
    assert len(good) == len(poor) == (4 if check else 8)
    assert min(good) > max(poor) + 0.1


def chatty(c: Conversation) -> Conversation:
    out: list[Message] = []
    for m in c.messages:
        other = "user" if m.role == "assistant" else "assistant"
        out += [m, Message(role=other, content="Mm-hmm."), Message(role=m.role, content="Okay, right.")]
    return with_messages(c, out)


def hasty(c: Conversation) -> Conversation:
    typed = lambda text: re.sub(r"[,;]", "", text.lower()).replace("?", ".").replace("don't", "dont").replace("i'm", "im")  # noqa: E731
    return with_messages(c, [Message(role=m.role, content=typed(m.content)) for m in c.messages])


@pytest.mark.parametrize("sketch", sketches(), ids=lambda s: f"{'good' if s.good else 'poor'} {s.topic}")
def test_back_channels_and_missing_punctuation_hardly_move_practice(sketch: Sketch) -> None:
    whole = value("therapeutic_accuracy", sketch.conversation)
    for other in (chatty(sketch.conversation), hasty(sketch.conversation)):
        assert abs(value("therapeutic_accuracy", other) - whole) < 0.2


@pytest.mark.parametrize(
    ("reply", "levels"),
    [
        ("Ok.", None),
        ("Yeah, I see.", None),
        ("You passed the theory though.", (0, None, 0)),
        ("So sorry about your test.", (1, 0, 0)),
        ("I feel so sad for you, that sounds crushing.", (2, None, 0)),
        ("Hope it goes better.", (1, 0, 0)),
        ("I understand.", (0, 1, 0)),
        ("You felt humiliated in front of the examiner.", (1, 2, 0)),
        ("Same here.", (0, 1, 0)),
        ("what happened", (0, 0, 1)),
        ("what happened in the test", (0, 0, 2)),
        ("How do you feel about it now?", (0, None, 2)),
        ("Was it raining?", (0, 0, 1)),
    ],
)
def test_a_short_reply_is_a_reply_at_epitome_levels(reply: str, levels: tuple[int | None, ...] | None) -> None:
    score = SCORERS["emotional_authenticity"](talk(POST, reply), None)
    if levels is None:
        assert score.value is None
        assert score.reason
        return
    parts = {p.name: p.value for p in score.parts}
    for name, level in zip(("emotional_reactions", "interpretations", "explorations"), levels, strict=True):
        if level is not None:
            assert parts[name] == level / 2, name


def test_ones_own_story_is_interpretation_once_and_self_orientation_as_a_habit() -> None:
    once = talk(POST, "I failed mine three times, and each time I went home and lay on my bed and hated everybody who had a licence.")
    assert part("emotional_authenticity", once, "interpretations") == 1.0
    assert part("emotional_authenticity", once, "self_oriented") == 0.0
    mine = ("I failed mine three times.", "My brother failed too.", "I hated my instructor.", "I never liked the examiners.")
    yours = ("You were so close.", "You feel stupid now.", "You wanted this so much.", "You worked hard for it.")
    told, heard = (talk(*[x for reply in side for x in (POST, reply)]) for side in (mine, yours))
    assert value("emotional_authenticity", told) < value("emotional_authenticity", heard) / 2


@pytest.mark.parametrize(
    ("said", "wanted", "unwanted"),
    [
        ("You should book another one.", {"persuade"}, {"simple", "complex"}),
        ("Maybe just practise parking.", {"persuade"}, set()),
        ("why dont you take lessons", {"persuade"}, set()),
        ("May I share what others have done?", {"permission"}, {"persuade"}),
        ("You could take more lessons, but it's up to you.", {"autonomy"}, {"persuade"}),
        ("You tell yourself you should have passed the test.", set(), {"persuade"}),
        ("You're in denial about how badly you drive.", {"confront"}, {"complex", "simple"}),
        ("If you keep this up, you'll kill someone.", {"confront"}, set()),
        ("So you're pretty worn out by it.", {"complex"}, {"inform"}),
        ("It sounds like there's more at stake than a licence.", {"complex"}, {"inform"}),
        ("Failed again.", {"simple"}, {"inform"}),
        ("Cheer up, it could be worse!", {"minimise"}, set()),
        ("That would embarrass anybody, who wouldn't be upset.", {"reaction"}, {"minimise"}),
        ("You kept going, um, and that took courage.", {"affirm"}, set()),
        ("Mm-hmm, okay.", {"backchannel"}, {"inform"}),
        ("On a scale from zero to ten, how important is driving to you?", {"evoke", "open"}, {"closed"}),
        ("Thank you, I'll see you next week.", set(), {"simple", "complex"}),
    ],
)
def test_sentences_are_coded_by_what_they_do(said: str, wanted: set[str], unwanted: set[str]) -> None:
    found = codes(said)
    assert wanted <= found
    assert not unwanted & found


def test_speech_and_hasty_typing_read_as_writing_does() -> None:
    assert plain("um, i dont know, you know, i am tired") == "i don't know, i'm tired"


def test_therapist_repeats_count_once_as_practice() -> None:
    lines = [POST, "It sounds like you feel crushed by it."] * 4
    again = SCORERS["therapeutic_accuracy"](talk(*lines), None)
    assert sum(e.label == "complex" for e in again.evidence) == 4  # all are shown
    assert part("therapeutic_accuracy", talk(*lines), "reflection_question") == pytest.approx(0.8)  # one reflection, no question


@pytest.mark.parametrize("name", [k for k, v in _file()["phrases"].items() if isinstance(v, list)])
def test_a_pattern_laid_out_as_a_tree_finds_what_the_list_finds(name: str) -> None:
    said = [s.text for c in (*ATTUNED, *(x.conversation for x in sketches())) for t in read(c).turns for s in t.sentences]
    lists, tree = phrases(name), present(name)
    assert [bool(tree.search(s)) for s in said] == [bool(lists.search(s)) for s in said]
