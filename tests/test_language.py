"""Language of a record: by pieces, mixed ones dropped, those too short kept without a language."""

from __future__ import annotations

import pickle

import pytest

from pixel_synth.curate.language import Language, languages
from pixel_synth.errors import UsageError
from pixel_synth.records import Conversation, Message, Provenance

ENGLISH = "I have not been sleeping well for weeks, and my work is getting worse because of it."
GERMAN = "Seit Wochen schlafe ich kaum noch, und meine Arbeit leidet sehr darunter, das macht mir Angst."
SPANISH = "No duermo bien desde hace semanas y mi trabajo va cada vez peor por eso, tengo mucho miedo."


def record(*said: str) -> Conversation:
    messages = tuple(Message(role="user" if i % 2 == 0 else "assistant", content=text) for i, text in enumerate(said))
    return Conversation(id="x", category="mental_health", messages=messages, provenance=Provenance(engine="", model="", toolkit="", seed=0))


@pytest.mark.parametrize(("text", "code"), [(ENGLISH, "en"), (GERMAN, "de"), (SPANISH, "es"), (ENGLISH.upper(), "en")])
def test_the_language_is_told_and_labelled(text: str, code: str) -> None:
    kept = Language((code,))(record(text, text))
    assert isinstance(kept, Conversation)
    assert kept.labels.language == code


def test_another_language_is_dropped_with_its_share() -> None:
    assert Language(("en",))(record(GERMAN, GERMAN)) == ("language: de 1.00; wanted en",)


def test_an_answer_in_two_languages_shows_both_and_is_dropped() -> None:
    c = record(ENGLISH, f"{ENGLISH} {ENGLISH} {ENGLISH} {SPANISH} {SPANISH} {SPANISH}")
    told = dict(languages(*(m.content for m in c.messages)).shares)
    assert set(told) == {"en", "es"}
    assert 0.3 < told["en"] < 0.8
    assert not isinstance(Language(("en",))(c), Conversation)
    assert isinstance(Language(("en", "es"))(c), Conversation)


def test_a_few_words_of_another_language_do_not_matter() -> None:
    c = record(f"{ENGLISH} {ENGLISH} {ENGLISH}", f"{ENGLISH} {ENGLISH} My grandmother said: mañana será otro día.")
    kept = Language(("en",))(c)
    assert isinstance(kept, Conversation)
    assert kept.labels.language == "en"


@pytest.mark.parametrize(
    "said",
    [
        ("ok", "hm?"),
        ("😀😀😀😀😀😀😀😀😀😀😀😀", "🙂"),
        ("1234567890 1234567890 12345", "42"),
        ("[name_1] [phone_2] [email_1]", "https://a.example.com/b"),
    ],
)
def test_what_is_too_short_to_tell_is_kept_without_a_language(said: tuple[str, str]) -> None:
    kept = Language(("en",))(record(*said))
    assert isinstance(kept, Conversation)
    assert kept.labels.language == ""


def test_a_system_prompt_has_no_say() -> None:
    c = record(ENGLISH, ENGLISH)
    c = c.model_copy(update={"messages": (Message(role="system", content=GERMAN * 5), *c.messages)})
    assert isinstance(Language(("en",))(c), Conversation)


@pytest.mark.parametrize("wanted", [(), ("english",), ("EN",)])
def test_a_code_that_is_none_is_refused(wanted: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match="codes such as en"):
        Language(wanted)


def test_a_step_travels_to_another_process() -> None:
    assert isinstance(pickle.loads(pickle.dumps(Language(("de",))))(record(GERMAN, GERMAN)), Conversation)  # noqa: S301
