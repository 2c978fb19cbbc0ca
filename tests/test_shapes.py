"""Shapes: rows as the sets have them are told apart and become the talk that they are; repairs are told, doubts are rejects."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixel_synth.books import Reject
from pixel_synth.errors import UsageError
from pixel_synth.records import Conversation
from pixel_synth.standardise import standardise
from pixel_synth.standardise.detect import detect
from pixel_synth.standardise.rows import Raw
from pixel_synth.standardise.shapes import SHAPES
from pixel_synth.standardise.spec import Spec
from pixel_synth.standardise.text import clean

ASK, ANSWER = "I lie awake until four.", "What keeps you awake?"
MORE, THEN = "My exam, mostly.", "And when you think of it at night, what comes up?"
PAIR = [("user", ASK), ("assistant", ANSWER)]
FOUR = [*PAIR, ("user", MORE), ("assistant", THEN)]
TURN = {"role": "user", "content": ASK}
REPLY = {"role": "assistant", "content": ANSWER}
WORSE = {"role": "assistant", "content": "Just sleep."}
SPEC = Spec(source="set", category="mental_health", license="MIT")


def raws(*values: dict) -> list[Raw]:
    return [Raw(value, "a.jsonl", n) for n, value in enumerate(values, 1)]


def one(value: dict, spec: Spec = SPEC) -> Conversation | Reject:
    return next(standardise(raws(value), spec))


def said(record: Conversation | Reject) -> list[tuple[str, str]]:
    assert isinstance(record, Conversation), record
    return [(m.role, m.content) for m in record.messages]


def marked(opens: str, closes: str = "", names: tuple[str, str] = ("user", "assistant")) -> dict:
    return {"text": "".join(f"{opens.format(names[i % 2])}{words}{closes}\n" for i, (_, words) in enumerate(FOUR))}


def chat(who: str, what: str, names: tuple[str, str]) -> list[dict]:
    return [{who: names[i % 2], what: words} for i, (_, words) in enumerate(FOUR)]


SAMPLES: list[tuple[str, dict, list[tuple[str, str]]]] = [
    ("messages", {"messages": chat("role", "content", ("user", "assistant"))}, FOUR),
    ("messages", {"dialog": [{"role": "client", "content": [{"type": "text", "text": ASK}]}, {**REPLY, "role": "therapist"}]}, PAIR),
    ("sharegpt", {"conversations": chat("from", "value", ("human", "gpt"))}, FOUR),
    ("prompt_response", {"prompt": ASK, "response": ANSWER}, PAIR),
    ("prompt_response", {"input": ASK, "output": ANSWER}, PAIR),
    ("context_response", {"Context": ASK, "Response": ANSWER}, PAIR),
    ("question_answer", {"question": ASK, "answer": ANSWER}, PAIR),
    ("question_answer", {"questionTitle": "Sleep", "questionText": ASK, "answerText": ANSWER}, [("user", f"Sleep\n\n{ASK}"), PAIR[1]]),
    ("instruction", {"instruction": ASK, "input": "", "output": ANSWER}, PAIR),
    ("parlai", {"utterances": [{"history": ["i wake"], "candidates": ["no", "why , what ' s up ?"]}]},
     [("user", "i wake"), ("assistant", "why, what's up?")]),
    ("cot", {"question": ASK, "answer": ANSWER, "metadata": {"reasoning": "Sleep first."}}, PAIR),
    ("preference", {"prompt": ASK, "chosen": ANSWER, "rejected": "Just sleep."}, PAIR),
    ("markers", marked("{}: ", names=("Seeker", "Supporter")), FOUR),
    ("markers", marked("{}: ", names=("**Patient", "Therapist")), FOUR),
    ("markers", marked("### {}: ", names=("Human", "Assistant")), FOUR),
    ("markers", marked("### {}:\n", names=("Instruction", "Response")), FOUR),
    ("markers", marked("<|{}|>\n", "<|end|>"), FOUR),
    ("markers", marked("<|im_start|>{}\n", "<|im_end|>"), FOUR),
    ("markers", marked("<|start_header_id|>{}<|end_header_id|>\n\n", "<|eot_id|>"), FOUR),
    ("markers", marked("<start_of_turn>{}\n", "<end_of_turn>", ("user", "model")), FOUR),
    ("markers", marked("<{}>: ", names=("HUMAN", "ASSISTANT")), FOUR),
    ("markers", {"text": f"<s>[INST] {ASK} [/INST] {ANSWER} </s><s>[INST] {MORE} [/INST] {THEN} </s>"}, FOUR),
]  # fmt: skip


@pytest.mark.parametrize(("shape", "row", "talk"), SAMPLES, ids=[f"{n}-{s[0]}" for n, s in enumerate(SAMPLES)])
def test_a_row_is_known_by_its_shape_and_says_what_it_said(shape: str, row: dict, talk: list[tuple[str, str]]) -> None:
    found = detect(raws(row), SPEC)
    assert (found.shape, found.fits, found.converts) == (shape, 1.0, 1.0), found
    record = one(row)
    assert said(record) == talk
    assert isinstance(record, Conversation)
    assert record.provenance.converter.startswith(shape)
    assert (record.provenance.row, record.provenance.license, record.provenance.source) == ("a.jsonl:1", "MIT", "set")


def test_every_shape_is_tried_here() -> None:
    assert {shape for shape, _, _ in SAMPLES} | {"records"} == set(SHAPES)


def test_our_own_records_stay_as_they_are() -> None:
    record = one({"prompt": ASK, "response": ANSWER})
    assert isinstance(record, Conversation)
    assert one(json.loads(record.line()), Spec(source="other")) == record


@pytest.mark.parametrize(("theirs", "found"), [("", "MIT"), ("mit", "mit"), ("CC-BY-NC-4.0", None)])
def test_a_record_keeps_its_licence_takes_the_files_or_is_rejected_where_they_differ(theirs: str, found: str | None) -> None:
    made = one({"question": "Why am I so tired?", "answer": "Since when are you?"})
    assert isinstance(made, Conversation)
    given = made.model_copy(update={"provenance": made.provenance.model_copy(update={"license": theirs})})
    result = one(given.model_dump(mode="json"))
    if found is None:
        assert isinstance(result, Reject)
        assert "CC-BY-NC-4.0" in result.reason
    else:
        assert isinstance(result, Conversation)
        assert result.provenance.license == found


def test_ids_hang_on_words_and_source_not_on_place() -> None:
    rows = [{"prompt": f"{ASK} {n}", "response": ANSWER} for n in range(5)]
    first = {r.id for r in standardise(raws(*rows), SPEC)}
    assert len(first) == 5
    assert {r.id for r in standardise(raws(*reversed(rows)), SPEC)} == first
    assert not {r.id for r in standardise(raws(*rows), SPEC.model_copy(update={"source": "other"}))} & first


def test_a_repeat_is_rejected_since_its_id_is_taken() -> None:
    row = {"prompt": ASK, "response": ANSWER}
    first, again = standardise(raws(row, row), SPEC)
    assert isinstance(again, Reject)
    assert again.reason.startswith(f"repeat: {first.id}")
    assert (again.file, again.row) == ("a.jsonl", 2)


def test_answers_to_one_question_share_a_group_across_shapes() -> None:
    a = one({"questionTitle": "Sleep", "questionText": ASK, "answerText": ANSWER})
    b = one({"utterances": [{"history": [f"sleep {ASK.lower()}"], "candidates": [THEN]}]})
    assert isinstance(a, Conversation)
    assert isinstance(b, Conversation)
    c = one({"Context": f" {ASK.upper()} ", "Response": THEN})
    assert isinstance(c, Conversation)
    assert a.groups == (*b.groups, *c.groups)
    assert all(group.startswith("question:") for group in a.groups)


def test_a_thought_is_never_in_a_reply() -> None:
    apart = one({"question": ASK, "answer": ANSWER, "metadata": {"reasoning": "Sleep first."}}, Spec(source="s", category="reasoning"))
    inside = one({"prompt": ASK, "response": f"<think>Sleep first.</think>\n{ANSWER}"})
    opened = one({"prompt": ASK, "response": f"Sleep first.</think>{ANSWER}"})
    for record in (apart, inside, opened):
        assert said(record) == PAIR
        assert isinstance(record, Conversation)
        assert record.thought == "Sleep first."
        assert record.labels.kind == "reasoning"
    torn = one({"prompt": ASK, "response": f"<think>Sleep first. {ANSWER}"})
    assert isinstance(torn, Reject)
    assert torn.reason.startswith("thought inside a reply")


def test_each_category_has_its_strategy() -> None:
    row = {"instruction": "You are a licensed psychologist.", "input": ASK, "output": ANSWER}
    talk = one(row)
    assert said(talk) == [("system", "You are a licensed psychologist."), *PAIR]
    task = one(row, Spec(source="s", category="reasoning"))
    assert said(task) == [("user", f"You are a licensed psychologist.\n\n{ASK}"), PAIR[1]]
    chats = {"messages": chat("role", "content", ("user", "assistant"))}
    kinds = {c: one(chats, Spec(source="s", category=c)).labels.kind for c in ("psychology", "personality", "reasoning", "auxiliary")}
    assert kinds == {"psychology": "session", "personality": "role_play", "reasoning": "session", "auxiliary": "session"}


def test_of_a_role_play_only_the_human_side_is_taken() -> None:
    spec = Spec(source="rp", category="personality", client_only=True)
    record = one({"conversations": chat("from", "value", ("human", "gpt"))}, spec)
    assert said(record) == [("user", ASK), ("user", MORE)]
    assert isinstance(record, Conversation)
    assert record.labels.kind == "client_lines"
    assert ANSWER not in record.line()
    short = one({"prompt": ASK, "response": ANSWER}, spec)
    assert isinstance(short, Reject)
    assert short.reason == "too few client turns: 1, at least 2"


@pytest.mark.parametrize(
    "ends",
    [
        {"prompt": ASK, "chosen": ANSWER, "rejected": "Just sleep."},
        {"prompt": ASK, "chosen": [TURN, REPLY], "rejected": [TURN, WORSE]},
        {"prompt": [TURN], "chosen": [REPLY], "rejected": [WORSE]},
        {"chosen": f"\n\nHuman: {ASK}\n\nAssistant: {ANSWER}", "rejected": f"\n\nHuman: {ASK}\n\nAssistant: Just sleep."},
    ],
    ids=["strings", "whole lists", "replies as lists", "transcripts"],
)  # fmt: skip
def test_a_preference_keeps_what_should_not_have_been_said_apart(ends: dict) -> None:
    record = one(ends, Spec(source="dpo"))
    assert said(record) == PAIR
    assert isinstance(record, Conversation)
    assert [(m.role, m.content) for m in record.dispreferred] == [("assistant", "Just sleep.")]
    assert (record.category, record.labels.kind) == ("auxiliary", "preference")


@pytest.mark.parametrize(
    ("messages", "roles", "told"),
    [
        ([TURN, TURN, REPLY], "user assistant", "merged turns"),
        ([TURN, REPLY, TURN], "user assistant", "trailing client turn"),
        ([TURN, REPLY, {"role": "assistant", "content": " "}], "user assistant", "empty last turn"),
        ([REPLY, TURN, REPLY], "assistant user assistant", ""),
        ([{"role": "system", "content": "Be kind."}, TURN, REPLY], "system user assistant", ""),
    ],
)
def test_certain_repairs_are_made_and_told(messages: list[dict], roles: str, told: str) -> None:
    record = one({"messages": messages})
    assert [role for role, _ in said(record)] == roles.split()
    assert isinstance(record, Conversation)
    assert record.provenance.converter == (f"messages; {told}" if told else "messages")


@pytest.mark.parametrize(
    ("messages", "reason"),
    [
        ([TURN, {"role": "narrator", "content": "Night falls."}, REPLY], "unknown role: 'narrator'"),
        ([TURN, {"role": "assistant", "content": ""}, TURN, REPLY], "empty turn: 2 of 4"),
        ([TURN, {"role": "system", "content": "Be kind."}, REPLY], "system turn inside"),
        ([TURN], "too few turns: 1 of the client, 0 of the therapist"),
        ([TURN, {"role": "assistant", "content": "x" * 20_001}], "over-long turn: 20,001 characters"),
        ([TURN, {"role": "assistant", "content": "…"}], "no words"),
        ([TURN, {"role": "assistant", "content": "a\0b"}], "NUL character"),
        ([TURN, {"role": "assistant", "content": [{"type": "image_url"}]}], "not text: turn 2 holds image_url"),
        ([TURN, "and then"], "mixed types: turn 2 is str"),
        ([TURN, {"role": "assistant", "content": 3}], "mixed types: the words of turn 2 are int"),
        ([TURN, REPLY] * 251, "too many turns: 502"),
    ],
)
def test_doubts_are_rejects_with_their_reason(messages: list, reason: str) -> None:
    found = one({"messages": messages}, SPEC.model_copy(update={"shape": "messages"}))
    assert isinstance(found, Reject)
    assert found.reason.startswith(reason)


def test_words_before_the_first_speaker_are_nobodys() -> None:
    found = one({"text": f"Session 3\nPatient: {ASK}\nTherapist: {ANSWER}"}, SPEC.model_copy(update={"shape": "markers"}))
    assert isinstance(found, Reject)
    assert found.reason.startswith("words before the first speaker")


def test_an_unknown_shape_names_its_keys_and_a_way() -> None:
    row = {"frage": "Warum schlafe ich so schlecht ein?", "antwort": "Seit wann geht das denn so?", "n": 3}
    found = detect(raws(row), SPEC)
    assert found.shape == ""
    assert "frage (str), antwort (str), n (int)" in found.why
    assert "--column prompt=frage --column response=antwort" in found.why
    assert isinstance(one(row), Reject)
    told = SPEC.model_copy(update={"columns": {"prompt": "frage", "response": "antwort"}})
    assert detect(raws(row), told).shape == "prompt_response"
    assert said(one(row, told)) == [("user", row["frage"]), ("assistant", row["antwort"])]


def test_of_several_shapes_that_fit_the_one_that_asks_most_is_taken() -> None:
    plain = {"question": ASK, "answer": ANSWER}
    found = detect(raws(*[{**plain, "reasoning": "Sleep."}] * 3, plain), SPEC)
    assert (found.shape, found.fits, found.runner_up, found.runner_up_fits) == ("cot", 0.75, "question_answer", 1.0)


def test_what_the_spec_cannot_mean_is_refused() -> None:
    for spec in (
        Spec(source="s", category="psychology", shape="chats"),
        Spec(source="s", category="psychology", shape="cot", columns={"prompt": "x"}),
        Spec(source="s", shape="messages"),
    ):
        with pytest.raises(UsageError):
            one({"messages": [TURN, REPLY]}, spec)


@pytest.mark.parametrize(
    ("words", "cleaned", "repairs"),
    [
        ("I donâ€™t know", "I don’t know", ("encoding",)),
        ("<p>One</p><p>Two&nbsp;&amp; three</p>", "One\n\nTwo & three", ("markup", "entities")),
        ("if a < b and b > c", "if a < b and b > c", ()),
        ("Fine_comma_ thanks", "Fine, thanks", ("commas",)),
        ("I know.You do too!So, see a@b.Com or x.Org", "I know. You do too! So, see a@b.Com or x.Org", ("glued sentences",)),
        ("  a\r\n   b \n\n\n\nc\t\td ", "a\nb\n\nc d", ()),
        ("naïve café — “yes”", "naïve café — “yes”", ()),
        ("Â«voilÃ Â»", "«voilà »", ("encoding",)),
        ("a\u200b\x07b", "ab", ("control",)),
    ],
)  # fmt: skip
def test_only_certain_rubble_is_cleaned(words: str, cleaned: str, repairs: tuple[str, ...]) -> None:
    assert clean(words) == (cleaned, repairs)


@given(st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126, exclude_characters="<&", include_characters="\n\t\u00a0")))
def test_of_plain_words_nothing_is_lost_but_blanks_and_cleaning_twice_is_cleaning_once(words: str) -> None:
    once = clean(words)[0]
    assert "".join(once.split()) == "".join(words.split())
    assert clean(once) == (once, ())
