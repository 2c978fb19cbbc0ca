"""The base as a whole: kept by content, every claim carried, language lints that find planted slips, pages that hang together."""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from pathlib import Path

import pytest

from pixel_synth.cli import main
from pixel_synth.errors import KnowledgeError
from pixel_synth.knowledge import Knowledge, cache, graph, language, load_dir
from pixel_synth.knowledge.check import check, spelling
from pixel_synth.knowledge.claims import statements
from pixel_synth.knowledge.load import knowledge_dir
from pixel_synth.knowledge.models import Disorder, Instrument, Modality
from pixel_synth.publish.atlas import slug, write

PACK = """\
kind: population
sources:
  guide:
    cite: "Guideline body (2021). A guideline."
  study:
    cite: "Author, A. (2020). A study. A journal."
entries:
- id: lighthouse_keepers
  name: Lighthouse keepers
  source: [guide, study]
  summary: "People who live by a light and a log book, far from the next shop."
  ages: [25, 60]
  helps: ["Asking what the nights are like.", "Planning around the supply boat."]
  harms: ["Joking about hermits.", "Taking silence for lack of interest."]
  stereotypes: ["That they dislike people."]
  beats:
  - say: "The lamp needs me every four hours, and in between I talk to the kettle like a colleague."
    hear: ["between two watches there is nobody but the kettle"]
    ask: ["What do the two of you talk about?", "How are the hours in between?"]
    then:
    - say: "Tides, mostly, and whether the boat will bring the right batteries."
      hear: ["a great deal hangs on that boat"]
    - say: "I tell it the forecast and it boils at the sad parts."
      hear: ["somebody should hear the sad parts"]
"""


@pytest.fixture
def base(tmp_path: Path) -> Path:
    folder = tmp_path / "packs"
    folder.mkdir()
    (folder / "keepers.yaml").write_text(PACK, encoding="utf-8")
    return folder


def planted(base: Path, old: str, new: str) -> Knowledge:
    assert old in PACK
    (base / "keepers.yaml").write_text(PACK.replace(old, new), encoding="utf-8")
    return load_dir(base)


# ------------------------------------------------------------------------------------------- the cache


def test_a_second_load_comes_from_the_cache_and_says_the_same(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIXEL_CACHE_DIR", str(tmp_path / "cache"))
    first = load_dir(base)
    kept = list((tmp_path / "cache").glob("knowledge-*.json"))
    assert len(kept) == 1
    monkeypatch.setattr(sys.modules["pixel_synth.knowledge.load"], "read_pack", lambda *_: pytest.fail("read the YAML again"))
    assert load_dir(base) == first


def test_a_change_to_a_pack_is_seen_at_once(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIXEL_CACHE_DIR", str(tmp_path / "cache"))
    load_dir(base)
    assert planted(base, "Lighthouse keepers", "Keepers of lighthouses").packs[0].entries[0].name == "Keepers of lighthouses"


def test_a_broken_or_unwritable_cache_is_no_error(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIXEL_CACHE_DIR", str(tmp_path / "cache"))
    first = load_dir(base)
    for path in (tmp_path / "cache").iterdir():
        path.write_text("{", encoding="utf-8")
    assert load_dir(base) == first
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("PIXEL_CACHE_DIR", str(tmp_path / "file" / "below"))
    assert load_dir(base) == first


def test_old_caches_do_not_pile_up(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIXEL_CACHE_DIR", str(tmp_path / "cache"))
    for n in range(cache.KEPT + 3):
        planted(base, "ages: [25, 60]", f"ages: [25, {60 + n}]")
    assert len(list((tmp_path / "cache").glob("knowledge-*.json"))) == cache.KEPT


# --------------------------------------------------------------------------------------------- claims


def test_no_claim_of_the_base_is_unsourced(knowledge: Knowledge) -> None:
    found = list(statements(knowledge))
    assert len(found) > 3000
    assert not [s.where for s in found if s.unsourced]


def test_a_statistic_must_say_which_source_it_is_from(base: Path) -> None:
    loose = planted(base, "Planning around the supply boat.", "Planning, since 40% miss the boat.")
    assert [s.where for s in statements(loose) if s.unsourced] == ["lighthouse_keepers.helps.1"]
    assert any("no source carries" in f.message for f in check(loose))
    one = PACK.replace("source: [guide, study]", "source: [guide]").replace("supply boat.", "boat, which 40% miss.")
    (base / "keepers.yaml").write_text(one, encoding="utf-8")
    assert not [s for s in statements(load_dir(base)) if s.unsourced]


# ------------------------------------------------------------------------------------------- language


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("Joking about hermits.", "All veterans are violent.", None),  # a list of what harms may name it
        ("People who live by a light", "All immigrants are lonely, and people who live by a light", "All immigrants are"),
        ("far from the next shop", "some of them wheelchair-bound", "wheelchair-bound"),
        (
            "The lamp needs me every four hours, and in between I talk to the kettle like a colleague.",
            "Notwithstanding institutional obligations, environmental considerations necessitate perpetual individual lamp administration "
            "responsibilities unaccompanied.",
            "reads at grade",
        ),
        (
            "I tell it the forecast and it boils at the sad parts.",
            "The lamp needs me every four hours, and in between I talk to the kettle like a friend.",
            "nearly the same as",
        ),
    ],
)
def test_wording_that_hurts_copies_or_is_hard_to_say_is_found(base: Path, old: str, new: str, said: str | None) -> None:
    assert not check(load_dir(base))
    messages = [f.message for f in check(planted(base, old, new))]
    assert any(said in m for m in messages) if said else not messages


def test_runs_of_twelve_words_of_others_are_found(base: Path, tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    sentence = "It is a truth that nobody in this harbour ever doubted the light would come back on"
    (theirs / "book.txt").write_text(f"Once. {sentence}, and so on.", encoding="utf-8")
    assert not check(load_dir(base), theirs)
    found = check(planted(base, "far from the next shop.", f"far away. {sentence}."), theirs)
    assert any("book.txt" in f.message for f in found)
    shorter = " ".join(sentence.split()[:11])
    assert not check(planted(base, "far from the next shop.", f"far away. {shorter} again."), theirs)


def test_unknown_words_are_told_with_their_line(base: Path) -> None:
    assert not spelling(load_dir(base), base)
    found = spelling(planted(base, "a log book", "a logg boook"), base)
    assert {re.match(r"'(\w+)'", f.message)[1] for f in found} == {"logg", "boook"}  # type: ignore[index]
    assert {f.line for f in found} == {11}
    (base / "words.txt").write_text("# terms\nlogg\nBoook\n", encoding="utf-8")
    assert not spelling(load_dir(base), base)


def test_the_base_has_no_word_that_is_in_no_dictionary(knowledge: Knowledge) -> None:
    found = spelling(knowledge, knowledge_dir())
    assert not found, "\n".join(map(str, found[:20]))


def test_every_word_of_the_list_is_needed(knowledge: Knowledge) -> None:
    from pixel_synth.knowledge.spelling import own_words

    said = Counter(
        w
        for _, _, _, _, text in language.every_text(knowledge)
        for w in re.findall(r"[a-zà-ÿ]+(?:'[a-z]+)?", text.lower().replace("’", "'"))
    )
    heard = {w.split("'")[0] for w in said} | set(said)
    assert not sorted(own_words(knowledge_dir()) - heard)


# ------------------------------------------------------------------------------------- graph and pages


def test_edges_point_from_entries_to_entries(knowledge: Knowledge) -> None:
    found = graph.edges(knowledge)
    nodes = {f"{kind}:{id}" for kind, entries in knowledge.by_kind.items() for id in entries}
    assert {e.source for e in found} | {e.target for e in found} <= nodes
    assert len(found) == len(set(found))
    relations = Counter(e.relation for e in found)
    assert relations["differential"] == sum(len({x.condition for x in d.differentials}) for d in knowledge.all(Disorder).values())
    assert relations["indicated for"] == sum(len({i.disorder for i in m.indications}) for m in knowledge.all(Modality).values())


def test_graphs_are_printed_in_each_form(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["knowledge", "graph", "--around", "panic_disorder", "--format", "json"]) == 0
    edges = json.loads(capsys.readouterr().out)
    assert edges
    assert all("panic_disorder" in (e["source"].partition(":")[2], e["target"].partition(":")[2]) for e in edges)
    for form, sign in (("dot", "digraph"), ("mermaid", "flowchart")):
        assert main(["knowledge", "graph", "--relation", "differential", "--format", form]) == 0
        assert capsys.readouterr().out.startswith(sign)
    assert main(["knowledge", "graph", "--relation", "rhymes with"]) == 2
    assert "differential" in capsys.readouterr().err


def test_numbers_of_the_base_add_up(knowledge: Knowledge, capsys: pytest.CaptureFixture[str]) -> None:
    rows = {c.kind: c for c in graph.counts(knowledge)}
    assert {k: r.entries for k, r in rows.items()} == {k: len(v) for k, v in knowledge.by_kind.items() if v}
    assert sum(r.claims for r in rows.values()) == len(list(statements(knowledge)))
    by_chapter = graph.chapters(knowledge)
    assert len(by_chapter) == 20
    assert sum(c.disorders for c in by_chapter) == len(knowledge.all(Disorder))
    assert all(c.disorders and c.beats for c in by_chapter)
    assert main(["knowledge", "coverage"]) == 0
    told = capsys.readouterr().out
    assert all(c.chapter in told for c in by_chapter)
    assert sum(bool(i.disorders) for i in knowledge.all(Instrument).values())


def test_pages_link_only_to_pages_that_are_there(knowledge: Knowledge, tmp_path: Path) -> None:
    pages = write(knowledge, tmp_path)
    files = {p.name for p in tmp_path.iterdir()}
    assert len(files) == pages == 1 + sum(len(p.entries) for p in knowledge.packs)
    for path in tmp_path.iterdir():
        text = path.read_text(encoding="utf-8")
        local = set(re.findall(r'href="([^"#:]+)(?:#[^"]*)?"', text))
        assert local <= files, path.name
        assert "<script>" not in text or path.name == "index.html"
    one = (tmp_path / slug("disorder", "panic_disorder")).read_text(encoding="utf-8")
    assert "Panic disorder" in one
    assert "Sources" in one


def test_text_of_a_pack_is_text_on_its_page(base: Path, tmp_path: Path) -> None:
    write(planted(base, "far from the next shop.", "near <script>alert(1)</script> it."), tmp_path / "pages")
    page = (tmp_path / "pages" / slug("population", "lighthouse_keepers")).read_text(encoding="utf-8")
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


# ------------------------------------------------------------------------------------------- commands


def test_findings_are_evaluated_from_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    base = ["knowledge", "meets", "major_depressive_disorder"]
    assert main([*base, "--found", "a1,a2,a3,a4,a5,b", "--days", "14"]) == 0
    assert "met" in capsys.readouterr().out
    assert main([*base, "--found", "a1,a2,a3,a4,b", "--days", "13"]) == 1
    told = capsys.readouterr().out
    assert "13 days" in told
    assert "4 of 9" in told
    assert main([*base, "--found", "z1"]) == 2
    assert main([*base, "--with", "witchcraft"]) == 2
    assert "unknown witchcraft" in capsys.readouterr().err


def test_check_against_needs_a_folder() -> None:
    assert main(["knowledge", "check", "--against", "nowhere/at/all"]) == 2


def test_a_shared_source_that_is_malformed_is_named(base: Path) -> None:
    (base / "sources.yaml").write_text("dsm:\n  doi: x\n", encoding="utf-8")
    with pytest.raises(KnowledgeError, match=r"sources\.yaml"):
        load_dir(base)
