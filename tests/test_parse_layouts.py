"""Typed pieces → text → typed pieces: what is drawn comes back the same from every layout, wrapped, hyphenated and paged."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pixel_synth.errors import KnowledgeError
from pixel_synth.knowledge.parse import LAYOUTS, parse_text, render
from pixel_synth.knowledge.parse.result import SOURCE_KEY, Kind, slug
from pixel_synth.knowledge.parse.wording import DAYS, WORDS

NOUNS = "lantern kettle wick puddle pebble thimble candlelighter hillside-keeper windmillwatcher teapot feather marble".split()
VERBS = "dreads polishes counts hides greets sketches misplaces buries follows".split()
REST = "at dusk;behind the shed;with half-closed eyes;on empty stairs;in the overgrownhedgerows;near still water;twice over".split(";")
LIMIT = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])

nouns = st.sampled_from(NOUNS)
sentences = st.builds(
    lambda verb, noun, rest: f"{verb.capitalize()} a {noun} {' and then '.join(rest)}.",
    st.sampled_from(VERBS),
    nouns,
    st.lists(st.sampled_from(REST), min_size=1, max_size=6),
)
names = st.lists(nouns, min_size=2, max_size=3, unique=True).map(lambda parts: " ".join(parts).capitalize())
codes = st.builds("F{:02d}.{}".format, st.integers(10, 99), st.integers(0, 9))
counted = st.builds(lambda n, unit: (n, unit), st.integers(2, 20), st.sampled_from(["day", "week", "month", "year"]))


def days(span: tuple[int, str]) -> int:
    return span[0] * DAYS[span[1]]


# ------------------------------------------------------------------------------------------------ disorders


@st.composite
def lists(draw: st.DrawFn, id: str, deep: bool = True) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Draw a criterion with sub-items: (criteria, rules); the lead's words say what the rule holds."""
    size = draw(st.integers(2, 6))
    ids = [f"{id}{n}" if deep else f"{id}{'abcdef'[n - 1]}" for n in range(1, size + 1)]
    n = draw(st.integers(1, size))
    how = draw(st.sampled_from(["{} (or more) of the following", "At least {} of the following", "{} or more of the following signs"]))
    lead = "Is known by " + how.format(draw(st.sampled_from([str(n), WORDS[n]])))
    rule: dict[str, Any] = {"id": id, "of": ids, "at_least": n}
    if draw(st.booleans()):
        first, second = sorted(draw(st.lists(st.integers(1, size), min_size=2, max_size=2, unique=True)))
        lead += f"; at least one of the signs is either ({first}) or ({second})"
        rule["any_of"] = [ids[first - 1], ids[second - 1]]
    if draw(st.booleans()):
        under, least = draw(st.integers(4, 17)), draw(st.integers(1, size))
        lead += f". Note: Only {WORDS[least]} item is required in children under {under}"
        rule["child"] = {"under": under, "at_least": least}
    rule["note"] = lead + "."
    criteria, rules = [], [rule]
    for child in ids:
        if deep and draw(st.integers(0, 5)) == 0:
            below, more = draw(lists(child, deep=False))
            criteria += below
            rules += more
        else:
            criteria.append({"id": child, "kind": "symptom", "text": draw(sentences)})
    return criteria, rules


@st.composite
def leaves(draw: st.DrawFn, id: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Draw a criterion without sub-items and the keys of the disorder that its words set."""
    kind = draw(st.sampled_from(["symptom", "exclusion", "impairment", "exposure", "duration", "age"]))
    sets: dict[str, Any] = {}
    found: dict[str, Any] = {"id": id, "kind": kind}
    if kind == "exclusion":
        ways = {
            "the effects of a substance": "substance",
            "another medical condition": "medical_condition",
            "a manic episode": "manic_episode",
            "another mental disorder": "other_mental_disorder",
        }
        chosen = [way for way in ways if draw(st.booleans())] or ["another mental disorder"]
        found["text"] = f"The dread is not better explained by {' or '.join(chosen)}."
        found["unless"] = [ways[way] for way in chosen]
    elif kind == "duration":
        span = draw(counted)
        form, add = draw(st.sampled_from([("lasts at least {}", 0), ("persists for more than {}", 1), ("has lasted for {} or longer", 0)]))
        found["text"] = f"The dread {form.format(f'{span[0]} {span[1]}s')}"
        sets["min_duration_days"] = days(span) + add
        if draw(st.booleans()):
            young = draw(counted)
            found["text"] += f" (at least {young[0]} {young[1]}s in children and adolescents)"
            sets["child_duration"] = {"under": 18, "days": days(young)}
        found["text"] += "."
    elif kind == "age":
        age = draw(st.integers(3, 20))
        text, key = draw(
            st.sampled_from(
                [("Signs were present before age {} years.", "max_onset_age"), ("The person is at least {} years of age.", "min_age")]
            )
        )
        found["text"], sets[key] = text.format(age), age
    else:
        fixed = {"impairment": "It interferes with social life.", "exposure": "There was exposure to a dimmed lighthouse."}
        found["text"] = fixed.get(kind) or draw(sentences)
    return found, sets


@st.composite
def disorders(draw: st.DrawFn) -> dict[str, Any]:
    name = draw(names)
    entry: dict[str, Any] = {"id": slug(name), "name": name, "source": [SOURCE_KEY], "icd10cm": draw(codes)}
    criteria: list[dict[str, Any]] = []
    rules: list[dict[str, Any]] = []
    alone: list[str] = []
    sets: dict[str, Any] = {}

    def fits(pair: tuple[dict[str, Any], dict[str, Any]]) -> bool:
        return not set(pair[1]) & set(sets)

    for id in "abcdef"[: draw(st.integers(2, 6))]:
        if draw(st.booleans()):
            below, more = draw(lists(id))
            criteria += below
            rules += more
        else:
            found, new = draw(leaves(id).filter(fits))
            criteria.append(found)
            alone.append(id)
            sets |= new
    if alone:
        rules.append({"id": "conditions", "of": alone, "at_least": len(alone)})
    entry |= {"criteria": criteria, "rules": rules, "min_duration_days": 0} | sets
    if draw(st.booleans()):
        entry["specifiers"] = [
            {"id": slug(f"with {n}"), "name": f"With {n}", "text": draw(sentences)}
            for n in draw(st.lists(nouns, min_size=1, max_size=4, unique=True))
        ]
    if draw(st.booleans()):
        entry["severity"] = {level: draw(sentences) for level in ("mild", "moderate", "severe")}
    return entry


# ------------------------------------------------------------------------------------------------ instruments, syndromes, capacities


@st.composite
def instruments(draw: st.DrawFn) -> dict[str, Any]:
    name = draw(names)
    size = draw(st.integers(1, 14))
    items = [{"id": f"i{n}", "asks": draw(sentences)} | ({"reverse": True} if draw(st.booleans()) else {}) for n in range(1, size + 1)]
    low = draw(st.integers(0, 1))
    labels = draw(st.lists(st.sampled_from("never;on rare days;now and then;often;always".split(";")), min_size=2, unique=True))
    options = [{"points": low + n, "label": label} for n, label in enumerate(labels)]
    methods = draw(st.sampled_from([("sum", "mean", "max"), ("count",)]))
    scales, bands = [], []
    threshold = draw(st.integers(low, low + len(labels) - 1))
    for scale in draw(st.lists(nouns, min_size=1, max_size=3, unique=True)):
        found: dict[str, Any] = {"id": slug(scale), "name": scale.capitalize(), "method": draw(st.sampled_from(methods))}
        if found["method"] == "count":
            found["threshold"] = threshold
        if draw(st.booleans()):
            found["items"] = [f"i{n}" for n in sorted(draw(st.sets(st.integers(1, size), min_size=1)))]
        scales.append(found)
        top = {"sum": len(found.get("items", items)) * (low + len(labels) - 1), "count": len(found.get("items", items))}
        edges = sorted(draw(st.sets(st.integers(0, int(top.get(found["method"], low + len(labels) - 1))), max_size=4)))
        bands += [
            {"scale": found["id"], "low": a, "high": b, "label": f"a {word} score", "source": [SOURCE_KEY]}
            for a, b, word in zip(edges[::2], edges[1::2], ("small", "tall"), strict=False)
        ]
    return {
        "id": slug(name), "name": name, "source": [SOURCE_KEY], "abbr": draw(st.sampled_from(["LQ", "BF2", "KTS"])),
        "summary": draw(sentences), "kind": draw(st.sampled_from(["screen", "severity", "personality"])),
        "period": draw(st.sampled_from(["the past two weeks", "in general"])),
        "rights": {"text": draw(sentences), "source": [SOURCE_KEY]},
        "limits": draw(st.lists(sentences, min_size=1, max_size=1)), "ages": [18, draw(st.integers(19, 90))],
        "options": options, "items": items,
        "scales": scales,
    } | ({"bands": bands} if bands else {})  # fmt: skip


@st.composite
def syndromes(draw: st.DrawFn) -> dict[str, Any]:
    name = draw(names)
    several = st.lists(sentences, min_size=3, max_size=4)
    return {
        "id": slug(name), "name": name, "source": [SOURCE_KEY], "summary": draw(sentences), "tension": draw(sentences),
        "affects": draw(st.lists(nouns, min_size=1, max_size=3)), "belief_self": draw(sentences), "belief_others": draw(sentences),
        "defenses": draw(st.lists(nouns.map(slug), min_size=1, max_size=3)), "countertransference": draw(sentences),
        "talk": draw(several), "help": draw(several), "cues": draw(st.lists(nouns, min_size=3, max_size=4)),
    }  # fmt: skip


@st.composite
def capacities(draw: st.DrawFn) -> dict[str, Any]:
    name = draw(names)
    several = st.lists(sentences, min_size=2, max_size=3)
    return {
        "id": slug(name), "name": name, "source": [SOURCE_KEY], "number": draw(st.integers(1, 12)), "summary": draw(sentences),
        "domain": draw(st.sampled_from(["self_awareness", "defense_coping"])), "intact": draw(several), "impaired": draw(several),
        "help": draw(several), "cues": draw(st.lists(nouns, min_size=3, max_size=4)),
    }  # fmt: skip


KINDS: dict[Kind, st.SearchStrategy[dict[str, Any]]] = {
    "disorder": disorders(), "instrument": instruments(), "syndrome": syndromes(), "capacity": capacities(),
}  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("kind", KINDS)
def test_typed_pieces_come_back_from_every_layout(kind: Kind, layout: str) -> None:
    @LIMIT
    @given(KINDS[kind])
    def same(entry: dict[str, Any]) -> None:
        text = render(kind, entry, layout)
        document = parse_text(text)
        (found,) = document.entries
        assert found.faults == (), text
        assert found.kind == kind, text
        assert found.entry == entry, text
        assert not document.unread, text
        assert document.lines == document.blank + len(document.furniture) + len(document.read)
        assert found.status == ("complete" if kind == "instrument" else "draft")

    same()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_many_entries_in_one_text_do_not_run_into_each_other(layout: str) -> None:
    @LIMIT
    @given(st.lists(disorders(), min_size=2, max_size=3, unique_by=lambda e: e["id"]))
    def same(entries: list[dict[str, Any]]) -> None:
        text = "\n\n".join(render("disorder", entry, LAYOUTS[layout]._replace(page=0)) for entry in entries)
        assert [p.entry for p in parse_text(text).entries] == entries, text

    same()


def test_arbitrary_text_is_read_or_refused_but_never_breaks() -> None:
    pieces = st.sampled_from(
        "A. ;1. ;(2) ;- ;Specify if:;## X;0 = no, 1 = yes;Scales;1-5 low;one of the following\n;| a | b |;\f".split(";")
    )

    @settings(max_examples=300, deadline=None)
    @given(st.lists(pieces | st.text(max_size=20), max_size=30).map("\n".join))
    def holds(text: str) -> None:
        try:
            document = parse_text(text)
        except KnowledgeError:
            return
        assert document.lines == document.blank + len(document.furniture) + len(document.read) + len(document.unread)
        assert all(p.status == "failed" or not p.faults for p in document.entries)

    holds()


def test_a_layout_or_an_id_that_cannot_be_set_is_named() -> None:
    with pytest.raises(KnowledgeError, match="no layout 'x'"):
        render("disorder", {}, "x")
    with pytest.raises(KnowledgeError, match="no place"):
        render("disorder", {"name": "X", "criteria": [{"id": "signs", "text": "…"}], "rules": []})
