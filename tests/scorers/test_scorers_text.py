import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixel_synth.lexical import grade_level, mtld, syllables
from pixel_synth.scorers.durations import durations
from pixel_synth.scorers.text import content, fold, negated, question_kind, sentences, stem, words


@given(st.text(max_size=200))
def test_folding_and_sentences_keep_offsets(text: str) -> None:
    folded = fold(text)
    assert len(folded) == len(text)
    for sentence in sentences(folded):
        assert folded[sentence.start : sentence.end] == sentence.text


def test_stems_join_forms_of_a_word() -> None:
    for forms in ("sleep sleeps sleeping sleepless", "worry worried worries", "marry married", "hope hoping hoped"):
        assert len({stem(f) for f in forms.split()}) == 1, forms


def test_content_leaves_out_function_words() -> None:
    assert content(words(fold("I don't know what to do about the bills"))) == ["bill"]


def test_sentences_keep_abbreviations_and_split_glued_ones() -> None:
    assert [s.text for s in sentences(fold("Dr. Hill said 3.5 mg. Then I left.It hurt a lot."))] == [
        "dr. hill said 3.5 mg.", "then i left.", "it hurt a lot.",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("sentence", "kind"),
    [
        ("What happened then?", "open"),
        ("So when you lie there, what goes through your mind?", "open"),
        ("Can you tell me more about that?", "open"),
        ("Tell me about the job.", "open"),
        ("How long has that been going on?", "closed"),
        ("Do you sleep at all?", "closed"),
        ("Is it the noise, or how they look at you?", "closed"),
        ("You lie there and wait.", ""),
    ],
)
def test_open_and_closed_questions(sentence: str, kind: str) -> None:
    assert question_kind(fold(sentence)) == kind


def test_negation_reaches_within_its_clause() -> None:
    text = fold("I'm not sad, but angry")
    assert negated(text, text.index("sad"))
    assert not negated(text, text.index("angry"))


def test_mtld_of_a_worked_example() -> None:
    # Forwards: a b a falls to 2/3 <= 0.72 at the third token, three times, no rest: 9 tokens / 3 factors.
    # Backwards the same, as the sequence is a palindrome.
    assert mtld(list("abaabaaba")) == pytest.approx(3.0)
    # One full factor (a b a) and a rest with TTR 1 (no further factor): 5 / 1 forwards; backwards d c a b a ends at TTR 4/5: 0.2/0.28.
    assert mtld(list("abacd")) == pytest.approx((5 / 1 + 5 / (0.2 / 0.28)) / 2)


def test_grade_level_orders_texts() -> None:
    plain = words("i went home. i was sad. the dog sat by me.")
    formal = words("consideration of therapeutic alternatives necessitates comprehensive evaluation of individual circumstances")
    assert grade_level(plain, 3) < 3 < 15 < grade_level(formal, 1)
    assert [syllables(w) for w in ("home", "sad", "table", "wanted", "therapy", "station")] == [1, 1, 2, 2, 3, 2]


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("about four months now", 121.6),
        ("for 6 weeks", 42),
        ("a year and a half ago", 548),
        ("over the last couple of weeks", 14),
        ("for half a year", 182.6),
        ("since march", None),
        ("i'm 34 years old", None),
        ("twice a week", None),
        ("ten hours a day", None),
    ],
)
def test_durations_are_read_from_talk(text: str, days: float | None) -> None:
    found = durations(text)
    assert [round(d.days) for d in found] == ([] if days is None else [round(days)])
