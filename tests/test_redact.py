"""Personal data: what is found and what is not, that placeholders are consistent, and that an audit gives the original back."""

from __future__ import annotations

import pickle
import re
import stat
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from pixel_synth.cli import main
from pixel_synth.curate.redact import Audit, Redactor, redact, restore
from pixel_synth.curate.redact.services import digits, service_numbers
from pixel_synth.errors import RecordError, UsageError
from pixel_synth.jsonl import conversations
from pixel_synth.knowledge import load
from pixel_synth.knowledge.models.therapy import Helpline
from pixel_synth.records import Conversation, Evidence, Message, Provenance, Redaction, Role, Score

TEXTS = Path(__file__).with_name("fixtures") / "personal_data.yaml"


def record(*said: str, source: str = "planted", first: Role = "user", **more: Any) -> Conversation:
    other: Role = "assistant" if first == "user" else "user"
    messages = tuple(
        Message(role=first if i % 2 == 0 else other, content=text) for i, text in enumerate((*said, *(("Go on.",) * (len(said) < 2))))
    )
    provenance = Provenance(engine="", model="", toolkit="", seed=0, source=source)
    return Conversation(id="planted", category="mental_health", messages=messages, provenance=provenance, **more)


@cache
def planted() -> dict[str, Any]:
    data: dict[str, Any] = yaml.safe_load(TEXTS.read_text(encoding="utf-8"))
    return data


def items(part: str) -> list[tuple[str, Role, str]]:
    return [(kind, role, text) for kind, lines in planted()[part].items() for line in lines for role, text in line.items()]


def taken(c: Conversation) -> list[tuple[str, str]]:
    return [(f.kind, f.text) for f in redact(c)[1] if f.field == "messages.content"]


def test_every_kind_of_planted_item_is_found_and_nothing_beside_it() -> None:
    for kind, role, text in items("found"):
        marked = re.search("«(.*?)»", text)
        assert marked
        assert taken(record(re.sub("[«»]", "", text), first=role)) == [(kind, marked[1])], text


def test_of_the_second_set_all_but_the_two_that_are_told_in_the_docs_are_found() -> None:
    missed = []
    for kind, role, text in items("later"):
        marked = re.search("«(.*?)»", text)
        assert marked
        if taken(record(re.sub("[«»]", "", text), first=role)) != [(kind, marked[1])]:
            missed.append(marked[1])
    assert missed == ["6465550123", "4th Ave"]


def test_what_only_looks_like_personal_data_stays() -> None:
    wrong = [(text, found) for line in planted()["none"] for role, text in line.items() if (found := taken(record(text, first=role)))]
    assert [found for _, found in wrong] == [[("name", "Rogers"), ("name", "Phil")]], wrong


def test_no_contact_of_the_crisis_packs_is_taken_out() -> None:
    for line in load().all(Helpline).values():
        assert not taken(record(f"You can get help now. {line.contact}.", first="assistant")), line.contact
    assert {"988", "116123", "741741", digits("1-800-273-8255")} <= service_numbers()


def test_the_same_item_has_the_same_placeholder_in_the_whole_conversation() -> None:
    said = (
        "My name is Marisol Vega, write to A@x.example.com",
        "Thank you, Marisol.",
        "or b@x.example.com, or a@X.example.com",
        "Yes, Ms. Vega.",
    )
    texts = [m.content for m in redact(record(*said))[0].messages]
    assert texts == [
        "My name is [name_1], write to [email_1]", "Thank you, [name_1].", "or [email_2], or [email_1]", "Yes, Ms. [name_1].",
    ]  # fmt: skip


def test_a_placeholder_that_was_there_before_keeps_its_number_to_itself() -> None:
    assert redact(record("She had [email_3], I have a@x.example.com"))[0].messages[0].content == "She had [email_3], I have [email_4]"


def test_names_that_the_record_gives_are_found_where_the_text_is_no_signature() -> None:
    c = record(
        "Who are you?",
        "Sherry Katz writes this herself, as Sherry does. John Katz is another.",
        groups=("question:0", "speaker:sherry-katz-lcsw"),
    )
    clean, found = redact(c)
    assert clean.messages[1].content == "[name_1] writes this herself, as [name_1] does. John Katz is another."
    assert clean.groups[0] == "question:0"
    assert re.fullmatch("speaker:[0-9a-f]{16}", clean.groups[1]), "a group that tells a name is a leak"
    assert restore(clean, found) == c


@pytest.mark.parametrize("key", ["ms-lynda-martens-london-ontario", "Dr. Lynda Martens", "lynda-martens", "lynda-martens-ma-lpc"])
def test_a_group_that_tells_a_name_gives_it_and_is_hashed(key: str) -> None:
    clean, found = redact(c := record("Who?", "It was Lynda Martens.", groups=(f"speaker:{key}", "speaker:17", "speaker:0123456789abcdef")))
    assert clean.messages[1].content == "It was [name_1]."
    assert clean.groups[1:] == c.groups[1:]
    assert "artens" not in clean.line()
    assert restore(clean, found) == c


def test_people_of_generated_records_are_invented_and_stay_but_not_a_number() -> None:
    c = record("My name is Tobias, call (212) 555-0147.", source="generated")
    assert taken(c) == [("phone", "(212) 555-0147")]


def test_every_text_field_is_looked_at() -> None:
    c = record(
        "Hello.", "Yes?", "Bye.", "Bye.",
        thought="She gave a@x.example.com.", dispreferred=(Message(role="assistant", content="Mail a@x.example.com or b@x.example.com"),),
        reasoning={"heard": ["her mail is b@x.example.com"], "hypotheses": [], "risk": "none", "moves": [], "unknown": []},
        scenario=dict.fromkeys(("presenting_problem", "history", "functioning", "strengths", "goal"), "Nothing new is to be told here.")
        | {"risk_summary": "call 212-555-0147"},
    )  # fmt: skip
    clean, found = redact(c)
    assert "example.com" not in clean.line()
    assert "555" not in clean.line()
    assert clean.redactions == (Redaction(kind="email", count=4), Redaction(kind="phone", count=1))
    assert restore(clean, found) == c


def test_spans_of_marks_and_scores_move_with_the_text_and_come_back() -> None:
    text = "Write to a.very.long.name@x.example.com tonight, I feel low."
    at = text.index("low")
    moved = Evidence(turn=0, start=at, end=at + 3, quote="low", label="mood:low")
    inside = Evidence(turn=0, start=11, end=18, quote=text[11:18], label="word:very")
    c = record(text, marks=(moved, inside), scores=(Score(metric="m", value=0.5, evidence=(moved,)),))
    clean, found = redact(c)
    said = clean.messages[0].content
    assert said == "Write to [email_1] tonight, I feel low."
    assert [e.quote for e in clean.marks] == ["low", "[email_1]"]
    assert all(said[e.start : e.end] == e.quote for e in (*clean.marks, *clean.scores[0].evidence))
    assert restore(clean, found) == c


PIECES = st.sampled_from(
    ["a@x.example.com", "(212) 555-0147", "My name is Ann Lee.", "Ann", "www.x-y.com", "93 years old", "DOB: 1990-11-02",
     "[name_1]", "[email_1]",
     "@ann_lee", " ", "\n", "é", "😀", "İ", ". ", ", LCSW", "536-90-4399", "Dr. Ann Lee", "zip 60614", "regards,\nBo"]
)  # fmt: skip
SAID = st.lists(st.one_of(PIECES, st.text(max_size=6)), min_size=1, max_size=8).map(lambda parts: "".join(parts) or ".")


@settings(max_examples=40, deadline=None)
@given(st.lists(SAID, min_size=2, max_size=4), st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=3), SAID)
def test_restoring_gives_the_original(said: list[str], spans: list[tuple[int, int]], thought: str) -> None:
    cut = sorted((min(a, b, len(said[0])), min(max(a, b), len(said[0]))) for a, b in spans)
    marks = tuple(Evidence(turn=0, start=a, end=b, quote=said[0][a:b], label="x:y") for a, b in cut)
    c = record(*said, marks=marks, thought=thought, groups=("speaker:ann-lee-lcsw",), redactions=(Redaction(kind="email", count=2),))
    clean, found = redact(c)
    assert restore(clean, found) == c
    assert all(clean.messages[e.turn].content[e.start : e.end] == e.quote for e in clean.marks)
    assert "a@x.example.com" not in clean.messages[0].content


def test_what_was_redacted_holds_nothing_more_to_find() -> None:
    for _, role, text in items("found"):
        clean, _ = redact(record(re.sub("[«»]", "", text), first=role))
        assert redact(clean) == (clean, ()), text


def test_an_audit_of_another_record_is_refused() -> None:
    _, found = redact(record("Write to a@x.example.com"))
    with pytest.raises(RecordError, match="does not stand"):
        restore(record("Write to nobody, ever."), found)


def test_a_text_that_placeholders_make_too_long_is_dropped_with_its_reason() -> None:
    c = record("u/abc " * 3333)
    assert Redactor()(c) == ("redact: messages.0.content: String should have at most 20000 characters once placeholders stand in it",)


def test_a_redactor_travels_to_another_process() -> None:
    c = record("Write to a@x.example.com")
    assert pickle.loads(pickle.dumps(Redactor()))(c) == redact(c)[0]  # noqa: S301


def test_a_missing_pipeline_for_names_fails_at_once_and_says_what_to_do() -> None:
    with pytest.raises(UsageError, match=r"spaCy|no_such_pipeline") as told:
        Redactor("no_such_pipeline")
    assert re.search(r"pip install|spacy download", told.value.hint)


@pytest.mark.heavy
def test_a_pipeline_of_the_users_finds_names_that_no_pattern_tells(tmp_path: Path) -> None:
    spacy = pytest.importorskip("spacy")
    nlp = spacy.blank("en")
    nlp.add_pipe("entity_ruler").add_patterns([{"label": "PERSON", "pattern": "Roxanne"}])
    nlp.to_disk(tmp_path / "own")
    clean, found = Redactor(str(tmp_path / "own")).redact(record("I keep thinking about Roxanne.", "Roxanne matters."))
    assert [m.content for m in clean.messages] == ["I keep thinking about [name_1].", "[name_1] matters."]
    assert len(found) == 2


def test_the_command_writes_records_rejects_and_a_private_audit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, out, audit = tmp_path / "in.jsonl", tmp_path / "out.jsonl", tmp_path / "private" / "audit.jsonl"
    c = record("Write to a@x.example.com")
    source.write_text(c.line() + "\nnot json\n", encoding="utf-8")
    assert main(["redact", str(source), "--dry-run"]) == 1
    assert "«a@x.example.com» → [email_1]" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == [source]
    assert main(["redact", str(source), "-o", str(out), "--audit", str(audit)]) == 1
    told = capsys.readouterr().out
    assert "2 taken in = 1 kept + 1 rejected + 0 failed" in told
    assert "names were looked for by pattern only" in told
    assert stat.S_IMODE(audit.stat().st_mode) == 0o600
    kept = list(conversations(out))
    found = [Audit.model_validate_json(line).finding for line in audit.read_text(encoding="utf-8").splitlines()]
    assert [restore(kept[0], found)] == [c]
    assert '"row":2' in (tmp_path / "out.rejects.jsonl").read_text(encoding="utf-8")


@pytest.mark.parametrize("flags", [[], ["-o", "in.jsonl"], ["-o", "out.jsonl", "--audit", "out.jsonl"]])
def test_a_wrong_flag_of_redact_ends_with_2(flags: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("in.jsonl").write_text(record("Hello.").line() + "\n", encoding="utf-8")
    assert main(["redact", "in.jsonl", *flags]) == 2


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"id": "anna.keller@posteo.de"}, "id"),
        ({"labels": {"topic": "call +1 202 555 0143"}}, "labels.topic"),
        ({"links": ({"id": "x", "kind": "anna.keller@posteo.de"},)}, "links.0.kind"),
    ],
)
def test_a_record_with_personal_data_outside_of_its_texts_is_refused_by_field(more: dict[str, Any], told: str) -> None:
    planted = Conversation.model_validate({**record("I am tired.", "Since when?").model_dump(), **more})
    with pytest.raises(RecordError, match=f"personal data in {told}, ") as failed:
        redact(planted)
    assert "posteo" not in str(failed.value)
    assert "555" not in str(failed.value)


def test_a_hash_a_date_and_a_place_in_a_file_are_no_personal_data() -> None:
    told = {"row": "talks_20200325.csv:2025550143", "created": "2020-03-25T10:11:12Z", "revision": "5141372711869174"}
    c = record("I am tired.", "Since when?")
    c = c.model_copy(update={"id": "5141372711869174", "provenance": c.provenance.model_copy(update=told)})
    assert redact(c) == (c, ())


def test_a_group_with_a_mail_address_is_hashed_whatever_its_kind() -> None:
    c, found = redact(record("I am tired.", "Since when?").model_copy(update={"groups": ("conversation:anna.keller@posteo.de",)}))
    assert "anna" not in c.line()
    assert restore(c, found).groups == ("conversation:anna.keller@posteo.de",)
