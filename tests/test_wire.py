"""How a schema travels: the ways of each server version, the two dialects, and bounds on everything that can grow."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from pixel_synth.judges.rubric import rubrics
from pixel_synth.judges.verdict import verdict_model
from pixel_synth.llms.wire import DIALECTS, TEXT, WAYS, Wire, nodes, patterned, request_fields, unbounded, ways
from pixel_synth.records import Reasoning, Scenario
from pixel_synth.tasks import dialogue, reasoning, scenario
from pixel_synth.tasks.dialogue import ClientTurn, TherapistTurn

RUBRICS = rubrics()
MODELS: dict[str, type[BaseModel]] = {
    "scenario": Scenario,
    "client": ClientTurn,
    "therapist": TherapistTurn,
    "reasoning": Reasoning,
    **{f"judge {rubric.name}": verdict_model(rubric) for rubric in RUBRICS},
}
SENT: dict[str, dict[str, Any]] = {
    **{name: model.model_json_schema() for name, model in MODELS.items()},
    "scenario as sent": scenario.schema(),
    "client as sent": dialogue.schema("client"),
    "therapist as sent": dialogue.schema("therapist", ("cbt.agenda", "cbt.evidence")),
    "reasoning as sent": reasoning.schema(12),
}


def test_every_rubric_is_among_the_schemas_looked_at() -> None:
    assert RUBRICS


@pytest.mark.parametrize("name", SENT)
def test_every_schema_that_is_sent_is_closed_and_bounded(name: str) -> None:
    assert unbounded(SENT[name]) == []


@pytest.mark.parametrize(
    ("field", "fault"),
    [
        ({"type": "string"}, "string without maxLength"),
        ({"type": "array", "items": {"type": "string", "maxLength": 3}}, "list without maxItems"),
        ({"type": "array", "maxItems": 2, "items": {"type": "string"}}, "string without maxLength"),
        ({"type": "object", "properties": {}}, "open to unknown keys"),
        ({"type": "integer"}, "number without"),
        ({"type": "number", "minimum": 0}, "number without"),
        ({"anyOf": [{"type": "null"}, {"type": "string"}]}, "string without maxLength"),
    ],
)
def test_what_could_grow_without_limit_is_found(field: dict[str, Any], fault: str) -> None:
    found = unbounded({"type": "object", "additionalProperties": False, "properties": {"x": field}})
    assert len(found) == 1
    assert fault in found[0]


@pytest.mark.parametrize(
    "field", [{"enum": ["a"], "type": "string"}, {"const": 1, "type": "integer"}, {"type": "string", "pattern": "^a{0,3}$"}]
)
def test_enums_constants_and_patterns_are_bounds(field: dict[str, Any]) -> None:
    assert unbounded({"type": "object", "additionalProperties": False, "properties": {"x": field}}) == []


# ---------------------------------------------------------------------------------------------- dialects


@pytest.mark.parametrize("name", SENT)
def test_a_pattern_stands_for_exactly_the_bounds_of_every_string(name: str) -> None:
    plain, spoken = SENT[name], patterned(SENT[name])
    assert plain == SENT[name], "the schema that was given is left as it was"
    before, after = list(nodes(plain)), list(nodes(spoken))
    strings = [(a, b) for a, b in zip(before, after, strict=True) if "maxLength" in a]
    assert strings
    for given_, put in strings:
        low, high = given_.get("minLength", 0), given_["maxLength"]
        assert not {"minLength", "maxLength"} & put.keys()
        pattern = re.compile(put["pattern"])
        for length in (low - 1, low, high, high + 1):
            assert bool(pattern.fullmatch("é" * max(length, 0))) == (low <= length <= high or (length < 0 <= low == 0))
        assert {k: v for k, v in given_.items() if k not in ("minLength", "maxLength")} == {k: v for k, v in put.items() if k != "pattern"}
    assert unbounded(spoken) == []


@given(st.characters())
def test_a_character_of_the_pattern_needs_no_escape_in_json(character: str) -> None:
    if re.fullmatch(TEXT, character):
        assert json.dumps(character, ensure_ascii=False) == f'"{character}"'
        assert character.isprintable() or character.isspace() or ord(character) >= 0xA0
        character.encode()  # no half of a pair
    else:
        assert character in '"\\' or ord(character) < 0x20 or 0x7F <= ord(character) < 0xA0 or ord(character) > 0xD7FF


# -------------------------------------------------------------------------------------------------- ways


@pytest.mark.parametrize(
    ("version", "first", "never"),
    [
        ("0.6.3", "guided_json", "structured_outputs"),
        ("0.10.2.post1", "guided_json", "structured_outputs"),
        ("0.12.0", "response_format", "guided_json"),
        ("0.33.0rc1", "response_format", "guided_json"),
        ("1.0.0", "response_format", "guided_json"),
    ],
)
def test_a_version_decides_where_to_begin_and_what_to_leave_out(version: str, first: str, never: str) -> None:
    assert ways(version)[0] == first
    assert never not in ways(version)


@pytest.mark.parametrize("version", ["", "0.11.0", "dev", "v0.9", "b1234-abc"])
def test_of_an_unknown_version_every_way_is_tried(version: str) -> None:
    assert ways(version) == WAYS


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("way", WAYS)
def test_a_request_carries_the_schema_in_one_field_and_nothing_else(way: Any, dialect: Any) -> None:
    schema = SENT["client"]
    fields = request_fields(schema, Wire(way, dialect))
    assert list(fields) == [way]
    carried = {
        "response_format": lambda f: f["json_schema"]["schema"],
        "structured_outputs": lambda f: f["json"],
        "guided_json": lambda f: f,
    }[way](fields[way])
    assert carried == (schema if dialect == "length" else patterned(schema))
    json.dumps(fields)


def test_free_text_asks_for_nothing() -> None:
    assert request_fields({}, Wire("response_format", "length")) == {}


@pytest.mark.parametrize("name", SENT)
def test_the_name_of_a_schema_is_one_that_every_server_takes(name: str) -> None:
    named = request_fields(SENT[name], Wire("response_format", "length"))["response_format"]["json_schema"]["name"]
    assert re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", named)
