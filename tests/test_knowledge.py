"""The packs as rules: errors that name their place, count rules, and the manual's numbers from a second hand."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixel_synth.errors import KnowledgeError
from pixel_synth.knowledge import Knowledge, load, load_dir, read_pack
from pixel_synth.knowledge.check import check
from pixel_synth.knowledge.models import CountRule, Disorder, Modality

DISORDERS = load().all(Disorder)
PACK = """\
kind: person
sources:
  book:
    cite: "Someone (2020). A book. A house."
entries:
- id: uncle
  name: Uncle
  source: [book]
  np: uncle
  pronoun: he
  role: other
  cues: ["uncle*"]
  beats:
  - say: "My uncle [rings|calls] on Sundays and talks about his knees."
    hear: ["the calls are about him"]
    ask: ["What do you say then?", "How does it end?"]
    then:
    - say: "I say mm and put the washing away while he talks."
      hear: ["you are there and somewhere else"]
  - say: "My uncle keeps every receipt in a biscuit tin, sorted by year."
    hear: ["he keeps hold of things"]
    ask: ["What do you keep?", "What does that tell you?"]
    then:
    - say: "Nothing at all, I throw everything out twice a year."
      hear: ["you do the opposite"]
"""


def planted(folder: Path, old: str, new: str) -> Path:
    assert old in PACK
    path = folder / "uncle.yaml"
    path.write_text(PACK.replace(old, new), encoding="utf-8")
    return path


# ------------------------------------------------------------------------------------------------ errors


def test_the_sound_pack_is_read_without_findings(tmp_path: Path) -> None:
    pack = read_pack(planted(tmp_path, "uncle", "uncle"))
    assert [e.id for e in pack.entries] == ["uncle"]
    assert check(load_dir(tmp_path)) == []


@pytest.mark.parametrize(
    ("old", "new", "line", "key"),
    [
        ("pronoun: he", "pronoun: it", 10, "entries.0.pronoun"),
        ("pronoun: he", "pronoum: he", 10, "entries.0.pronoum"),
        ("  role: other\n", "", 6, "entries.0.role"),
        ('cues: ["uncle*"]', 'cues: ["Uncle*"]', 12, "entries.0.cues.0"),
        ('cues: ["uncle*"]', "cues: []", 12, "entries.0.cues"),
        ("id: uncle", "id: My Uncle", 6, "entries.0.id"),
        ("source: [book]", "source: [film]", 8, "entries.0.source"),
        ("source: [book]", "source: []", 8, "entries.0.source"),
        ('cite: "Someone (2020). A book. A house."', "doi: x", 3, "sources.book.cite"),
        ('      hear: ["you do the opposite"]', '      hear: ["you do the opposite"]\n      tone: loud', 26, "beats.1.then.0.tone"),
        ("np: uncle", "np: 7", 9, "entries.0.np"),
    ],
)
def test_a_planted_fault_is_named_by_file_line_and_key(tmp_path: Path, old: str, new: str, line: int, key: str) -> None:
    path = planted(tmp_path, old, new)
    with pytest.raises(KnowledgeError) as caught:
        read_pack(path)
    assert f"{path}:{line}: " in caught.value.message
    assert key in caught.value.message
    assert caught.value.hint


def test_every_fault_of_a_file_is_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "uncle.yaml"
    path.write_text(PACK.replace("pronoun: he", "pronoun: it").replace("source: [book]", "source: [film]"))
    with pytest.raises(KnowledgeError) as caught:
        read_pack(path)
    assert "entries.0.pronoun" in caught.value.message
    path.write_text(PACK.replace("role: other", "role: king").replace("pronoun: he", "pronoun: it"))
    with pytest.raises(KnowledgeError) as caught:
        read_pack(path)
    assert len(caught.value.message.splitlines()) == 2


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ("kind: person", "kind: wizard", ":1: kind"),
        ("kind: person\n", "", ":1: "),
        ("entries:", "things:", ":1: "),
        ("pronoun: he", "pronoun: [he", ": not valid YAML"),
    ],
)
def test_a_file_that_is_no_pack_is_named(tmp_path: Path, old: str, new: str, place: str) -> None:
    path = planted(tmp_path, old, new)
    with pytest.raises(KnowledgeError) as caught:
        read_pack(path)
    assert str(path) in caught.value.message
    assert place in caught.value.message


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ("What do you say then?", "Tell me what you say then.", 16, "must end in '?'"),
        ("the calls are about him", "The calls are about him", 15, "clause without capital"),
        ("the calls are about him", "the calls are about him.", 15, "clause without capital"),
        ("[rings|calls]", "[rings|calls", 14, "never closed"),
        ("on Sundays", "on {weekday}", 14, "unknown slot weekday"),
        ("My uncle [rings|calls] on", "[My uncle|He] rings on", 14, "no cue"),
        ("talks about his knees", "talks  about his knees", 14, "slip"),
        ("biscuit tin", "tin tin", 20, "slip"),
        ("in a biscuit", "in a empty", 20, "slip"),
        ("My uncle keeps every receipt in a biscuit tin, sorted by year.", "My uncle keeps receipts. Oh well.", 20, "stock sentence"),
        ("sorted by year.", "sorted by year", 20, "not a whole sentence"),
        ("What do you keep?", "What do you say then?", 22, "same line"),
    ],
)
def test_the_checks_find_planted_slips_at_their_line(tmp_path: Path, old: str, new: str, line: int, said: str) -> None:
    planted(tmp_path, old, new)
    found = [f for f in check(load_dir(tmp_path)) if said in f.message]
    assert found
    assert found[0].line == line
    assert found[0].key.startswith("uncle.")


def test_an_id_twice_in_a_kind_names_both_files(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(PACK)
    (tmp_path / "b.yaml").write_text(PACK)
    with pytest.raises(KnowledgeError) as caught:
        load_dir(tmp_path)
    assert "b.yaml" in caught.value.message
    assert "a.yaml" in caught.value.message


def test_a_missing_folder_and_a_missing_id_say_what_to_do(tmp_path: Path, knowledge: Knowledge) -> None:
    with pytest.raises(KnowledgeError) as caught:
        load_dir(tmp_path / "nothing")
    assert "PIXEL_KNOWLEDGE_DIR" in caught.value.hint
    with pytest.raises(KnowledgeError) as caught:
        knowledge.get(Disorder, "panic_disordr")
    assert "panic_disorder" in caught.value.hint


def test_a_reference_to_nothing_is_found(knowledge: Knowledge) -> None:
    modality = knowledge.get(Modality, "cbt")
    broken = modality.model_copy(update={"indications": (modality.indications[0].model_copy(update={"disorder": "nowhere"}),)})
    pack = next(p for p in knowledge.packs if p.kind == "modality" and p.path.stem == "cbt")
    one = knowledge._replace(packs=(pack._replace(entries=(broken,)),))
    assert any("'nowhere'" in f.message for f in check(one))


# ----------------------------------------------------------------------------------------- count rules


@st.composite
def found_in(draw: st.DrawFn) -> tuple[Disorder, frozenset[str], frozenset[str]]:
    topic = DISORDERS[draw(st.sampled_from(sorted(DISORDERS)))]
    ids = [c.id for c in topic.criteria]
    small = draw(st.frozensets(st.sampled_from(ids)))
    return topic, small, small | draw(st.frozensets(st.sampled_from(ids)))


@given(found_in())
def test_more_criteria_never_unmake_a_diagnosis(drawn: tuple[Disorder, frozenset[str], frozenset[str]]) -> None:
    topic, small, large = drawn
    assert topic.meets(large) or not topic.meets(small)


@pytest.mark.parametrize("topic", DISORDERS.values(), ids=lambda d: d.id)
def test_all_criteria_meet_and_none_do_not(topic: Disorder) -> None:
    assert topic.meets({c.id for c in topic.criteria})
    assert not topic.meets(set())


def test_nested_rules_count_through_the_rule_that_names_them(knowledge: Knowledge) -> None:
    adhd = knowledge.get(Disorder, "attention_deficit_hyperactivity_disorder")
    top = {r.id for r in adhd.top_rules}
    assert "symptoms" in top
    assert not {"inattention", "hyperactivity"} & top


def test_a_rule_may_not_ask_for_more_than_there_is_or_for_strangers() -> None:
    with pytest.raises(ValueError, match="asks for 3 of 2"):
        CountRule(id="r", of=("a", "b"), at_least=3)
    with pytest.raises(ValueError, match="any_of"):
        CountRule(id="r", of=("a", "b"), at_least=1, any_of=("c",))


def rest(topic: Disorder, prefix: str) -> set[str]:
    return {c.id for c in topic.criteria if not c.id.startswith(prefix)}


def some(topic: Disorder, prefix: str, n: int, skip: tuple[str, ...] = ()) -> set[str]:
    ids = [
        c.id for c in topic.criteria if c.id.startswith(prefix) and c.id != prefix and c.id[len(prefix) :].isalnum() and c.id not in skip
    ]
    assert len(ids) >= n
    return set(ids[:n])


@pytest.mark.parametrize(
    ("topic", "cluster", "least"),
    [
        ("generalized_anxiety_disorder", "c", 3),
        ("borderline_personality_disorder", "a", 5),
        ("alcohol_use_disorder", "a", 2),
        ("panic_disorder", "a", 4),
        ("panic_disorder", "b", 1),
        ("persistent_depressive_disorder", "b", 2),
        ("posttraumatic_stress_disorder", "b", 1),
        ("posttraumatic_stress_disorder", "c", 1),
        ("posttraumatic_stress_disorder", "d", 2),
        ("posttraumatic_stress_disorder", "e", 2),
        ("prolonged_grief_disorder", "b", 1),
        ("prolonged_grief_disorder", "c", 3),
        ("binge_eating_disorder", "b", 3),
        ("binge_eating_disorder", "a", 2),
        ("insomnia_disorder", "a", 1),
        ("adjustment_disorder", "b", 1),
        ("illness_anxiety_disorder", "d", 1),
    ],
)
def test_the_published_count_is_enough_and_one_less_is_not(knowledge: Knowledge, topic: str, cluster: str, least: int) -> None:
    d = knowledge.get(Disorder, topic)
    numbered = {c.id for c in d.criteria if c.id[: len(cluster)] == cluster and c.id[len(cluster) :].isdigit()}
    others = {c.id for c in d.criteria} - numbered
    for chosen in (sorted(numbered), sorted(numbered, reverse=True)):
        assert d.meets(others | set(chosen[:least]))
        assert not d.meets(others | set(chosen[: least - 1]))


def test_depression_needs_five_of_nine_with_low_mood_or_lost_interest(knowledge: Knowledge) -> None:
    d = knowledge.get(Disorder, "major_depressive_disorder")
    others = {c.id for c in d.criteria if not c.id[1:].isdigit()}
    assert not d.meets(others | {"a1", "a3", "a4", "a5"}), "4 of 9"
    assert d.meets(others | {"a1", "a3", "a4", "a5", "a6"}), "5 of 9 with low mood"
    assert d.meets(others | {"a2", "a3", "a4", "a5", "a6"}), "5 of 9 with lost interest"
    assert not d.meets(others | {"a3", "a4", "a5", "a6", "a7"}), "5 of 9 without a core symptom"
    assert not d.meets(others | {"a3", "a4", "a5", "a6", "a7", "a8", "a9"}), "7 of 9 without a core symptom"


def test_adult_attention_deficit_needs_five_symptoms_of_one_list(knowledge: Knowledge) -> None:
    d = knowledge.get(Disorder, "attention_deficit_hyperactivity_disorder")
    one, two = ([c.id for c in d.criteria if c.id.startswith(p) and len(c.id) == 3] for p in ("a1", "a2"))
    assert (len(one), len(two)) == (9, 9)
    others = {c.id for c in d.criteria} - set(one) - set(two)
    assert not d.meets(others | set(one[:4]))
    assert not d.meets(others | set(one[:4]) | set(two[:4])), "4 + 4 is not 5 of one list"
    assert d.meets(others | set(one[:5]))
    assert d.meets(others | set(two[4:]))


def test_every_cluster_of_posttraumatic_stress_is_needed(knowledge: Knowledge) -> None:
    d = knowledge.get(Disorder, "posttraumatic_stress_disorder")
    ids = {c.id for c in d.criteria}
    for cluster in "abcdefgh":
        assert not d.meets({i for i in ids if not i.startswith(cluster)}), cluster


@pytest.mark.parametrize(("topic", "names"), [("obsessive_compulsive_disorder", ("a1", "a2")), ("insomnia_disorder", ("a1", "a2", "a3"))])
def test_either_kind_of_symptom_is_enough(knowledge: Knowledge, topic: str, names: tuple[str, ...]) -> None:
    d = knowledge.get(Disorder, topic)
    symptoms = {c.id for c in d.criteria if c.id.startswith(names)}
    others = {c.id for c in d.criteria} - symptoms
    assert not d.meets(others)
    for name in names:
        assert d.meets(others | {i for i in symptoms if i.startswith(name)})


def test_severity_codes_are_those_of_icd10cm(knowledge: Knowledge) -> None:
    by = {id: knowledge.get(Disorder, id).icd10cm_by for id in DISORDERS}
    assert (by["alcohol_use_disorder"]["mild"], by["alcohol_use_disorder"]["moderate"], by["alcohol_use_disorder"]["severe"]) == (
        "F10.10",
        "F10.20",
        "F10.20",
    )
    assert by["major_depressive_disorder"]["single_severe"] == "F32.2"
    assert by["major_depressive_disorder"]["recurrent_moderate"] == "F33.1"
    assert by["attention_deficit_hyperactivity_disorder"]["combined"] == "F90.2"
    assert by["adjustment_disorder"]["with anxiety"] == "F43.22"
    assert by["binge_eating_disorder"]["extreme"] == "F50.813"


def test_plausible_spans() -> None:
    for topic in DISORDERS.values():
        low, high = topic.duration_range_days
        assert topic.min_duration_days <= low < high <= 75 * 365
