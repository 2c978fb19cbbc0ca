"""Reading ratings and scales: the long layout, an Argilla export and the published ratings of empathy."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from pixel_synth.calibrate.adapters.argilla import argilla
from pixel_synth.calibrate.adapters.empathy_judges import MODELS, SOURCES, empathy_judges, parse
from pixel_synth.calibrate.labels import Rating, Scale, people, read_labels, read_scales, scale_flag, scales_of
from pixel_synth.errors import RecordError, UsageError

HEAD = "item,criterion,rater,group,rating\n"
# Written by a real argilla 2.8.0 server through the SDK's `to_list(flatten=True)` and `to_json`; the conversations are made up.
EXPORTS = Path(__file__).parent / "labels"


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


# ------------------------------------------------------------------------------------------------------- long layout


def test_csv_and_json_lines_give_the_same_ratings(tmp_path: Path) -> None:
    rows = [("c1", "warmth", "ana", "expert", 4.0), ("c1", "warmth", "ben", "crowd", 2.5), ("c2", "pace", "ana", "expert", 1.0)]
    names = HEAD.strip().split(",")
    table = write(tmp_path / "a.csv", "\ufeff" + HEAD + "".join(",".join(map(str, row)) + "\n" for row in rows))
    lines = write(tmp_path / "a.jsonl", "\n".join(json.dumps(dict(zip(names, row, strict=True))) for row in rows) + "\n")
    expected = [Rating(**dict(zip(names, row, strict=True))) for row in rows]
    assert read_labels(table) == read_labels(lines) == expected


def test_columns_may_stand_in_any_order_and_the_group_may_be_missing(tmp_path: Path) -> None:
    table = write(tmp_path / "a.csv", "rating,rater,item,criterion\n3,ana,c1,warmth\n")
    assert read_labels(table) == [Rating(item="c1", criterion="warmth", rater="ana", group="expert", rating=3)]


def test_an_empty_rating_is_a_missing_one(tmp_path: Path) -> None:
    table = write(tmp_path / "a.csv", HEAD + "c1,warmth,ana,expert,\nc2,warmth,ana,expert,2\n")
    assert [r.item for r in read_labels(table)] == ["c2"]
    lines = write(
        tmp_path / "a.jsonl",
        '{"item":"c1","criterion":"w","rater":"a","rating":null}\n{"item":"c2","criterion":"w","rater":"a","rating":1}',
    )
    assert [r.item for r in read_labels(lines)] == ["c2"]


def test_all_bad_lines_are_told_at_once_with_the_line_they_begin_on(tmp_path: Path) -> None:
    table = write(
        tmp_path / "a.csv",
        HEAD + '"c\n1",warmth,ana,expert,4\n\nc2,warmth,ana,expert,often\nc3,warmth,ana,4\nc4,,ana,expert,4\nc5,warmth,ana,expert,nan\n',
    )
    with pytest.raises(RecordError) as told:
        read_labels(table)
    lines = told.value.message.splitlines()
    assert [line.removeprefix(f"{table}:").split(":")[0] for line in lines] == ["5", "6", "7", "8"]
    assert "rating: Input should be a valid number" in lines[0]
    assert "not 'often'" in lines[0]
    assert "4 cells for 5 columns" in lines[1]
    assert "criterion" in lines[2]
    assert "finite" in lines[3]


def test_many_bad_lines_are_counted(tmp_path: Path) -> None:
    table = write(tmp_path / "a.csv", HEAD + "".join(f"c{i},warmth,ana,expert,x\n" for i in range(33)))
    with pytest.raises(RecordError, match="and 13 more bad lines"):
        read_labels(table)


def test_a_rating_given_twice_names_both_lines(tmp_path: Path) -> None:
    table = write(tmp_path / "a.csv", HEAD + "c1,warmth,ana,expert,4\nc1,warmth,ben,expert,4\nc1,warmth,ana,expert,5\n")
    with pytest.raises(RecordError, match=r"a\.csv:4: ana rated warmth of c1 before, on line 2"):
        read_labels(table)


def test_json_lines_that_are_none_are_told(tmp_path: Path) -> None:
    lines = write(tmp_path / "a.jsonl", '{"item":"c1",\n[1]\n{"item":"c1","criterion":"w","rater":"a","rating":1,"note":"x"}\n')
    with pytest.raises(RecordError, match=r":1: no JSON.*\n.*:2: no JSON object\n.*:3: note: Extra inputs"):
        read_labels(lines)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("item,rating\nc1,2\n", "the columns are item, rating"),
        (HEAD, "holds no ratings"),
        ("", "holds no ratings"),
        (HEAD + 'c1,"w', "unexpected end"),
    ],
)
def test_a_file_without_ratings_is_told(tmp_path: Path, text: str, word: str) -> None:
    with pytest.raises(RecordError, match=word):
        read_labels(write(tmp_path / "a.csv", text))


def test_a_file_that_is_not_there_or_not_utf8_is_told(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="cannot read"):
        read_labels(tmp_path / "none.csv")
    (tmp_path / "latin.csv").write_bytes((HEAD + "c1,wärme,ana,expert,2\n").encode("latin-1"))
    with pytest.raises(RecordError, match="not UTF-8"):
        read_labels(tmp_path / "latin.csv")


# ------------------------------------------------------------------------------------------------------------ scales


def test_scales_come_from_the_file_beside_the_labels_and_flags_go_first(tmp_path: Path) -> None:
    table = write(tmp_path / "a.csv", HEAD + "c1,warmth,ana,expert,4\nc1,advice,ana,expert,4\n")
    write(
        tmp_path / "a.scales.yaml", "warmth: {low: 1, high: 5, good_from: 4}\nadvice: {low: 1, high: 5, good_from: 2, high_is_bad: true}\n"
    )
    ratings = read_labels(table)
    assert scales_of(table, ratings)["advice"] == Scale(low=1, high=5, good_from=2, high_is_bad=True)
    assert scales_of(table, ratings, ["warmth=0,10,7"])["warmth"] == Scale(low=0, high=10, good_from=7)
    with pytest.raises(RecordError, match="ana rated warmth of c1 4, off its scale 0-2"):
        scales_of(table, ratings, ["warmth=0,2,1"])
    with pytest.raises(UsageError, match=r"no scale for pace \(1 ratings\)"):
        scales_of(table, [*ratings, Rating(item="c1", criterion="pace", rater="ana", rating=1)])


def test_all_ratings_off_their_scale_are_told_at_once_with_the_file(tmp_path: Path) -> None:
    table = write(tmp_path / "a.csv", HEAD + "c1,warmth,ana,expert,7\nc2,warmth,ana,expert,3\nc3,warmth,ben,expert,0\n")
    with pytest.raises(RecordError) as told:
        scales_of(table, read_labels(table), ["warmth=1,5,4"])
    assert told.value.message.splitlines() == [
        f"{table}: ana rated warmth of c1 7, off its scale 1-5",
        f"{table}: ben rated warmth of c3 0, off its scale 1-5",
    ]


def test_a_scale_as_a_flag_says_its_levels_and_which_end_is_bad() -> None:
    assert scale_flag("advice=1,5,2,bad") == ("advice", Scale(low=1, high=5, good_from=2, high_is_bad=True))
    for text in ("advice", "advice=1,5", "advice=1,5,2,good", "=1,5,2"):
        with pytest.raises(UsageError, match="is not criterion=low,high,good_from"):
            scale_flag(text)
    with pytest.raises(UsageError, match="needs low < high"):
        scale_flag("advice=5,1,2")


@pytest.mark.parametrize("text", ["warmth: 5", "- warmth", "warmth: {low: 1, high: 5}", "warmth: {low: 1, high: .inf, good_from: 2}", "{"])
def test_a_malformed_file_of_scales_is_told(tmp_path: Path, text: str) -> None:
    with pytest.raises(RecordError, match=r"a\.scales\.yaml"):
        read_scales(write(tmp_path / "a.scales.yaml", text))


def test_a_rating_and_its_share_of_the_scale_are_each_others_way_back() -> None:
    bad = Scale(low=1, high=5, good_from=2, high_is_bad=True)
    assert [bad.rating(bad.unit(level)) for level in bad.levels()] == [1, 2, 3, 4, 5]
    assert Scale(low=0.5, high=5, good_from=2).levels() == ()


# ----------------------------------------------------------------------------------------------------------- Argilla


def test_only_submitted_answers_of_an_argilla_export_count() -> None:
    found = argilla(EXPORTS / "argilla-flat.json", scales={"empathy": Scale(low=1, high=5, good_from=4)})
    assert [(r.item, r.criterion, r.rating) for r in found.ratings if r.criterion == "empathy"] == [
        ("c0", "empathy", 4),
        ("c0", "empathy", 5),
        ("c1", "empathy", 2),
        ("c2", "empathy", 3),
    ]
    assert [r.rating for r in found.ratings if r.criterion == "safe"] == [1, 1, 0, 1]
    assert found.left_out == {"draft": 2, "discarded": 2, "notes: no number": 1}
    assert len({r.rater for r in found.ratings}) == 2


def test_the_chat_of_an_argilla_record_becomes_its_messages() -> None:
    found = argilla(EXPORTS / "argilla-flat.json")
    assert [c.id for c in found.conversations] == ["c0", "c1", "c2", "c3"]
    assert [m.role for m in found.conversations[0].messages] == ["user", "assistant"]
    assert found.conversations[3].messages[1].content == "Nothing, or nothing yet?"


def test_a_nested_argilla_export_is_refused_for_its_drafts_look_like_answers() -> None:
    with pytest.raises(RecordError, match="which are drafts") as told:
        argilla(EXPORTS / "argilla-nested.json")
    assert "to_list(flatten=True)" in told.value.hint


def test_an_argilla_export_may_be_json_lines(tmp_path: Path) -> None:
    records = json.loads((EXPORTS / "argilla-flat.json").read_text(encoding="utf-8"))
    lines = write(tmp_path / "x.jsonl", "\n".join(json.dumps(r) for r in records))
    whole = argilla(EXPORTS / "argilla-flat.json")
    assert (argilla(lines).conversations, argilla(lines).ratings) == (whole.conversations, whole.ratings)


CHAT = [{"role": "client", "content": "Hm."}, {"role": "therapist", "content": "Hm?"}]
ANSWER = {"q.responses": [3], "q.responses.users": ["u"], "q.responses.status": ["submitted"]}


@pytest.mark.parametrize(
    ("records", "word"),
    [
        ([{"chat": CHAT, **ANSWER}], "record 1: the record has no id"),
        ([{"id": "a", "chat": CHAT}, {"id": "a", "chat": CHAT}], "record 2: record a is in the export twice"),
        ([{"id": "a", "chat": CHAT, **ANSWER, "q.responses.status": None}], "no lists of one length"),
        ([{"id": "a", "one": CHAT, "two": CHAT}], "more than one chat: one, two"),
        ([{"id": "a", "chat": [{"role": "dog", "content": "Hm."}]}], "a turn is by 'dog'"),
        ([{"id": "a", "chat": CHAT[:1]}], "messages: Tuple should have at least 2 items"),
        (
            [{"id": "a", "chat": CHAT, "q.responses": [3, 4], "q.responses.users": ["u", "u"], "q.responses.status": ["submitted"] * 2}],
            "twice",
        ),
        ([3], "no record"),
        ([], "holds no records"),
    ],
)
def test_a_malformed_argilla_export_is_told(tmp_path: Path, records: list[object], word: str) -> None:
    with pytest.raises(RecordError, match=word):
        argilla(write(tmp_path / "x.json", json.dumps(records)))


# --------------------------------------------------------------------------------------------------- empathy-judges


def published(folder: Path) -> Path:
    """Write a folder in the published shape: two items per data set, every rating the lowest but the models'."""
    for source in SOURCES:
        for rater in ("expert1", "expert2", "expert3", "crowd", *MODELS):
            path = folder / "annotations" / source.folder / f"{rater}_ratings.csv"
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("w", encoding="utf-8", newline="") as file:
                table = csv.writer(file)
                table.writerow([source.key, "full_conversation", *source.scales])
                for item in ("a", "b"):
                    text = f"Seeker: It rained.\nSupporter: On {item}?\nSeeker: \nSupporter: And then?"
                    level = [s.high if rater in MODELS else s.low for s in source.scales.values()]
                    table.writerow([f"{source.folder}-{item}", text, *level])
        if source.texts.startswith("original_data"):
            (folder / "original_data").mkdir(exist_ok=True)
            text = (folder / "annotations" / source.folder / "expert1_ratings.csv").read_text(encoding="utf-8")
            write(folder / source.texts, text)
    return folder


def test_the_published_ratings_are_read_with_their_groups_scales_and_texts(tmp_path: Path) -> None:
    found = empathy_judges(published(tmp_path))
    assert len(found.ratings) == 2 * 7 * 21
    assert {r.group for r in people(found.ratings)} == {"expert", "crowd"}
    assert {r.rater for r in found.ratings if r.group == "model"} == set(MODELS)
    assert {name for name, scale in found.scales.items() if scale.high_is_bad} == {"advice_giving", "self_oriented", "dismissing_emotions"}
    assert len(found.scales) == 21
    assert found.left_out == {"no text": 2}
    assert {c.provenance.license for c in found.conversations} >= {"MIT", "CC-BY-NC-4.0"}
    assert [m.content for m in found.conversations[0].messages] == ["It rained.", "On a? And then?"]


def test_a_published_rating_off_its_scale_is_told(tmp_path: Path) -> None:
    path = published(tmp_path) / "annotations" / "epitome" / "gpt_ratings.csv"
    write(path, path.read_text(encoding="utf-8").replace(",2.0\n", ",3.0\n"))
    with pytest.raises(RecordError, match="level_explorations is 3, not 0 to 2"):
        empathy_judges(tmp_path)


def test_a_missing_file_says_which_folder_is_meant(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="cannot read") as told:
        empathy_judges(tmp_path)
    assert "annotations/" in told.value.hint


def test_turns_are_told_apart_empty_ones_go_and_commas_come_back() -> None:
    turns = parse("Seeker: I paid 1_comma_000_comma_ and then\n\nwaited: nothing.\nSeeker:\nSeeker: Still.\nSupporter: Seeker: is a word.")
    assert [(t.role, t.content) for t in turns] == [
        ("user", "I paid 1,000, and then\n\nwaited: nothing. Still."),
        ("assistant", "Seeker: is a word."),
    ]
