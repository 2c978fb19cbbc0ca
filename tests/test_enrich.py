"""Labels with evidence: exact spans, nothing guessed, what a record says itself stays."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pixel_synth.cli import main
from pixel_synth.curate.enrich import Coverage, enriched, enricher, measure, vocabulary
from pixel_synth.curate.enrich.label import kind_of
from pixel_synth.curate.enrich.match import Meaning, Phrases, split
from pixel_synth.curate.enrich.measure import Rate, half_of
from pixel_synth.errors import KnowledgeError
from pixel_synth.jsonl import conversations
from pixel_synth.records import Conversation, Labels, Message, Provenance, Score, TurnTag
from pixel_synth.scorers import reference, urgency

PAD = "The weather was grey and the bus came late and I bought some bread on the way. "


def record(*said: str, id: str = "a", labels: Labels | None = None, **more: object) -> Conversation:
    roles = ("user", "assistant")
    messages = tuple(Message(role=roles[i % 2], content=text) for i, text in enumerate(said))  # type: ignore[arg-type]
    origin = Provenance(engine="human", model="", toolkit="", seed=0, source="letters")
    return Conversation(
        id=id, category="mental_health", messages=messages, labels=labels or Labels(), provenance=origin, **more,  # type: ignore[arg-type]
    )  # fmt: skip


def test_spans_are_exact_and_named_after_their_label() -> None:
    found = enriched(record("I’m depressed — how do I live with DEPRESSION?\nIt’s été long.", "What does a day look like?"))
    assert found.labels.topic == "depression"
    assert {e.label for e in found.marks} >= {"topic:depression"}
    for e in found.marks:
        assert found.messages[e.turn].content[e.start : e.end] == e.quote


@given(st.text(max_size=60), st.sampled_from(["Panic attacks", "PANIC ATTACK", "panic  attack"]), st.text(max_size=60))
@settings(max_examples=25, deadline=None)
def test_a_phrase_is_found_at_its_place_in_any_text(before: str, phrase: str, after: str) -> None:
    text = f"{before} {phrase} {after}"
    hits = [h for h in Phrases({"panic attack*": [Meaning("panic", 1.0)]}).find(split(text)) if h.start == len(before) + 1]
    assert [text[h.start : h.end] for h in hits] == [phrase]


@given(st.lists(st.sampled_from("sad sadly very sadness a b panic attack".split()), max_size=12))
@settings(max_examples=25, deadline=None)
def test_the_table_finds_what_a_plain_search_finds(words: list[str]) -> None:
    table = Phrases({cue: [Meaning(cue, 1.0)] for cue in ("sad*", "very sad", "a b", "panic attack", "b")})
    plain = sorted(
        (i, cue)
        for i in range(len(words))
        for cue in ("sad*", "very sad", "a b", "panic attack", "b")
        for parts in [cue.split()]
        if len(words) - i >= len(parts)
        and all(w.startswith(p[:-1]) if p.endswith("*") else w == p for p, w in zip(parts, words[i:], strict=False))
    )
    assert sorted((h.at, h.cue) for h in table.find(split(" ".join(words)))) == plain


def test_labels_that_a_record_has_are_never_touched() -> None:
    mine = Labels(topic="own", modality="act", technique="act.defusion", risk="low", kind="session", population="veteran")
    letter = record("I'm a teenager. How do I deal with depression?", "Radical acceptance, opposite action and wise mind.", labels=mine)
    assert enriched(letter) == letter


def test_a_condition_is_given_where_it_is_named_and_a_theme_elsewhere() -> None:
    assert (
        enriched(record("How can I live with PTSD?\nThe PTSD is from a crash.", "Tell me.")).labels.topic == "posttraumatic_stress_disorder"
    )
    assert enriched(record("Why am I so sad and unhappy?\nI feel worthless.", "Tell me.")).labels.topic == "depression"


def test_what_is_named_in_passing_leaves_the_topic_empty() -> None:
    assert enriched(record(PAD * 12 + "My aunt had depression once. " + PAD * 12, "I see.")).labels.topic == ""


def test_what_is_denied_is_not_the_topic() -> None:
    assert enriched(record("I am not depressed. I don't have depression.", "I see.")).labels.topic == ""


def test_two_things_alike_leave_the_topic_empty() -> None:
    assert enriched(record("Is it my drinking or my insomnia?", "Tell me.")).labels.topic == ""


def test_the_topic_comes_from_the_client_and_the_modality_from_the_therapist() -> None:
    dbt = "Try opposite action here, then check the facts, and let wise mind decide."
    found = enriched(record("I shout at my son.", dbt))
    assert (found.labels.modality, found.labels.technique) == ("dbt", "dbt.check_facts_opposite")
    assert {e.turn for e in found.marks if e.label.startswith(("modality", "technique"))} == {1}
    assert enriched(record(dbt, "I shout at my son.")).labels.modality == ""


def test_cbt_is_told_from_dbt() -> None:
    cbt = "Let us keep a thought record: write the automatic thought, then the evidence against it and what would you tell a friend."
    assert enriched(record("I keep failing.", cbt)).labels.modality == "cbt"


def test_to_recommend_a_therapy_is_not_to_do_it() -> None:
    for advice in ("Look for a DBT or CBT therapist near you.", "A good book is Radical Acceptance by Tara Brach.", "EMDR may help you."):
        assert enriched(record("What can I do?", advice)).labels.modality == ""


def test_the_tags_of_a_generated_session_tell_the_technique() -> None:
    tags = (TurnTag(), TurnTag(phase="work", move="erp.ladder"), TurnTag(), TurnTag(phase="close", move="erp.plan"))
    found = enriched(record("I wash.", "Lowest step?", "The tap.", "Good.", labels=Labels(modality="erp"), turns=tags))
    assert found.labels.technique == "erp.ladder"
    assert [e.quote for e in found.marks if e.label == "technique:erp.ladder"] == ["Lowest step?"]


def test_risk_rests_on_phrases_and_the_model_alone_names_none() -> None:
    plan = enriched(record("I want to kill myself tonight, I have the pills here and I wrote the note already.", "I'm glad you told me."))
    assert plan.labels.risk == "high"
    assert any(e.label == "risk:high" for e in plan.marks)
    calm = enriched(record("My neighbour lent me a ladder and we painted the fence on Sunday, which was nice.", "Nice."))
    assert calm.labels.risk == "none"
    assert enriched(record("Hello there.", "Hello.")).labels.risk == ""
    missed = "I get on with the day but I cannot bring myself to care whether I live or die, that is how it is."
    assert enriched(record(missed, "Tell me.")).labels.risk != "none"


def test_a_score_of_urgency_is_used_and_gives_the_same_risk() -> None:
    for c in [c for c in reference() if not c.labels.risk][:6]:
        scored = c.model_copy(update={"scores": (urgency.score(c),)})
        assert enriched(scored).labels.risk == enriched(c).labels.risk


def test_groups_and_traits_need_the_first_person() -> None:
    found = enriched(record("I'm a single mom and I'm an introvert. Why is it hard?", "Tell me.")).labels
    assert (found.population, found.traits) == ("single_parent", ("extraversion:low",))
    other = enriched(record("My brother is a veteran and my boss is an introvert. Why?", "Tell me.")).labels
    assert (other.population, other.traits) == ("", ())


def test_complexity_and_difficulty_follow_the_score() -> None:
    found = enriched(record("Why?", "How?", scores=(Score(metric="complexity", value=0.7),))).labels
    assert (found.complexity, found.difficulty) == ("advanced", "advanced")
    assert enriched(record("Why?", "How?")).labels.complexity == ""


@pytest.mark.parametrize(
    ("talk", "kind"),
    [
        (record("Why am I sad?", "Tell me."), "question_answer"),
        (record("My wife left.", "Tell me."), "question_answer"),
        (record("Write a poem.", "Roses."), "instruction"),
        (record("a", "b", "c", "d"), "session"),
        (record("Why?", "So.", thought="First"), "reasoning"),
        (record("Why?", "So.", dispreferred=(Message(role="assistant", content="No."),)), "preference"),
    ],
)
def test_the_shape_tells_the_kind(talk: Conversation, kind: str) -> None:
    assert kind_of(talk) == kind


def test_the_step_pickles_and_gives_the_same_twice() -> None:
    step = pickle.loads(pickle.dumps(enricher()))  # noqa: S301  (what this test made)
    for c in reference()[:8]:
        once = step(c)
        assert isinstance(once, Conversation)
        assert once == enriched(c) == enriched(once)


def test_words_that_name_no_move_of_the_knowledge_base_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("topics.yaml", "people.yaml"):
        (tmp_path / name).write_text((vocabulary.HERE / name).read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / "therapy.yaml").write_text("common: []\ntechniques:\n  cbt.no_such: {strong: [x]}\n", encoding="utf-8")
    monkeypatch.setattr(vocabulary, "HERE", tmp_path)
    vocabulary.vocabulary.cache_clear()
    with pytest.raises(KnowledgeError, match=r"cbt\.no_such"):
        vocabulary.vocabulary()
    vocabulary.vocabulary.cache_clear()


def test_measuring_counts_right_found_and_all() -> None:
    letters = [
        record("How do I live with depression?", "So.", id="1", labels=Labels(topic="depression")),
        record("How do I live with depression?", "So.", id="2", labels=Labels(topic="sleep-improvement")),
        record("Hello?", "So.", id="3", labels=Labels(topic="depression")),
    ]
    (q,) = measure(letters)
    assert (q.agreement, q.coverage, q.precision) == (Rate(hits=1, of=3), Rate(hits=2, of=3), Rate(hits=1, of=2))
    assert (q.majority, q.keyword) == (Rate(hits=2, of=3), Rate(hits=1, of=3))


def test_halves_keep_questions_together() -> None:
    answers = [record("Why?", f"{i}", id=str(i), groups=(f"question:{i // 4}",)) for i in range(40)]
    for i in range(0, 40, 4):
        assert len({half_of(a) for a in answers[i : i + 4]}) == 1
    assert {half_of(a) for a in answers} == {"tune", "held"}


def test_coverage_tells_brought_from_found() -> None:
    before = record("How do I live with depression?", "So.", labels=Labels(risk="none"))
    coverage = Coverage()
    coverage.add(before, enriched(before))
    rows = {name: (n, brought, found) for _, name, n, brought, found in coverage.rows()}
    assert (rows["topic"], rows["risk"], rows["modality"]) == ((1, 0, 1), (1, 1, 0), (1, 0, 0))


def test_the_command_labels_a_file_and_tells_of_bad_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    path.write_text(record("How do I live with depression?", "So.").line() + "\nnot json\n", encoding="utf-8")
    assert main(["enrich", str(path), "--dry-run"]) == 1
    assert not out.exists()
    assert main(["enrich", str(path), "-o", str(out), "--report"]) == 1
    shown = capsys.readouterr()
    assert f"{path}:2:" in shown.err
    assert "2 taken in = 1 kept + 1 rejected + 0 failed" in shown.err
    assert [c.labels.topic for c in conversations(out)] == ["depression"]
    assert main(["enrich", str(path), "-o", str(path)]) == 2
    assert main(["enrich", str(path)]) == 2
    assert main(["enrich", str(out), "--measure"]) == 0
    assert "agreement  1.000" in capsys.readouterr().out
