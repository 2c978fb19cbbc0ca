"""Every task, prompt, pack and scorer keeps its contract; new ones are found by themselves."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from functools import cached_property
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from types import ModuleType
from typing import Any

import pytest

import pixel_synth.judges
import pixel_synth.scorers
import pixel_synth.tasks
from pixel_synth.errors import PromptError
from pixel_synth.knowledge import Knowledge, Pack, load
from pixel_synth.knowledge.check import check, walk
from pixel_synth.knowledge.models import CrisisProtocol, Helpline, Modality, Profile, Trait
from pixel_synth.knowledge.pieces import Source
from pixel_synth.plan import Plan
from pixel_synth.prompts import load_prompt, prompts_dir
from pixel_synth.records import Scenario
from pixel_synth.tasks.context import Context
from pixel_synth.tasks.dialogue import Views

PACKAGE = Path(pixel_synth.tasks.__file__).parent.parent
PROMPTS = sorted(path.stem for path in prompts_dir().glob("*.md"))
TASKS = [
    m for m in (import_module(f"pixel_synth.tasks.{i.name}") for i in iter_modules(pixel_synth.tasks.__path__)) if hasattr(m, "PROMPTS")
]
SCORERS = [
    m for m in (import_module(f"pixel_synth.scorers.{i.name}") for i in iter_modules(pixel_synth.scorers.__path__)) if hasattr(m, "score")
]


JUDGES = [
    m for m in (import_module(f"pixel_synth.judges.{i.name}") for i in iter_modules(pixel_synth.judges.__path__)) if hasattr(m, "PROMPTS")
]


def stem(value: Any) -> str:
    return value.__name__.rpartition(".")[2] if isinstance(value, ModuleType) else getattr(value, "stem", str(value))


# ------------------------------------------------------------------------------------------------ tasks


def schemas(task: ModuleType) -> Iterator[tuple[str, dict[str, Any]]]:
    if "role" in inspect.signature(task.schema).parameters:
        for role in task.PROMPTS:
            yield role, task.schema(role, ("a.move",))
            yield role, task.schema(role)
    else:
        yield stem(task), task.schema()


def nodes(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        if "type" in value or "enum" in value:
            yield value
        for inner in value.values():
            yield from nodes(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from nodes(inner)


def loose(schema: dict[str, Any]) -> list[str]:
    """Return what in a schema is open or without a bound."""
    found = []
    for node in nodes(schema):
        kind = node.get("type")
        if kind == "object" and node.get("additionalProperties") is not False:
            found.append(f"open object {node.get('title')}")
        elif kind == "object" and set(node.get("required", ())) != set(node["properties"]):
            found.append(f"optional key in {node.get('title')}")
        elif kind == "string" and not ({"maxLength", "enum", "const"} & node.keys()):
            found.append(f"string without a bound {node.get('title')}")
        elif kind == "array" and "maxItems" not in node:
            found.append(f"array without a bound {node.get('title')}")
    return found


@pytest.mark.parametrize("task", TASKS, ids=stem)
def test_a_task_names_prompts_that_exist_and_its_schemas_are_closed_and_bounded(task: ModuleType) -> None:
    assert task.__doc__
    assert set(task.PROMPTS) <= set(PROMPTS)
    assert set(task.TEMPERATURE if isinstance(task.TEMPERATURE, dict) else task.PROMPTS) == set(task.PROMPTS)
    found = {f"{name}: {fault}" for name, schema in schemas(task) for fault in loose(schema)}
    assert not found


def test_the_schema_check_sees_open_and_unbounded_parts() -> None:
    assert loose({"type": "object", "properties": {}})
    assert loose({"type": "object", "additionalProperties": False, "properties": {"a": {"type": "string"}}, "required": ["a"]})
    assert loose({"$defs": {"x": {"type": "array", "items": {"enum": ["a"]}}}})


def test_every_prompt_belongs_to_exactly_one_task() -> None:
    used = sorted(name for task in (*TASKS, *JUDGES) for name in task.PROMPTS)
    assert len(used) == len(set(used))
    assert {*used, "judge_pair"} == set(PROMPTS), "the frame of comparisons belongs to those who compare"


@pytest.mark.parametrize("name", PROMPTS)
def test_a_prompt_is_strict_both_ways_and_renders_for_a_real_plan(name: str, plan: Plan) -> None:
    prompt = load_prompt(name)
    with pytest.raises(PromptError, match="missing"):
        prompt.render()
    context = Context(plan.blueprint(3), plan.knowledge)
    extra = {v: "x" for v in prompt.variables if not isinstance(getattr(type(context), v, None), cached_property)}
    values = {**context.pick(*(prompt.variables - extra.keys())), **extra}
    with pytest.raises(PromptError, match="unknown surplus"):
        prompt.render(**values, surplus="1")
    messages = prompt.render(**values)
    assert messages[0]["role"] == "system"
    for message in messages:
        assert message["content"].strip()
        assert not re.search(r"\{\{|\}\}|\{%|\bNone\b", message["content"])


def test_both_roles_have_a_view_at_the_start(plan: Plan) -> None:
    case = Scenario(
        presenting_problem="x" * 30, history="x" * 30, functioning="x" * 30, strengths="x" * 30, risk_summary="no risk", goal="sleep again"
    )
    views = Views(Context(plan.blueprint(0), plan.knowledge), case)
    assert views.of("client")[0]["content"] != views.of("therapist")[0]["content"]
    assert case.presenting_problem in views.of("client")[0]["content"]
    assert case.presenting_problem not in str(views.of("therapist"))


# ------------------------------------------------------------------------------------------------ packs


@pytest.mark.parametrize("pack", load().packs, ids=lambda p: "/".join(p.path.parts[-2:]))
def test_every_claim_of_a_pack_has_a_source_and_every_source_carries_a_claim(pack: Pack) -> None:
    assert pack.entries
    used = set()
    for entry in pack.entries:
        for _, value in walk(entry):
            if hasattr(value, "source"):
                assert value.source
                assert set(value.source) <= pack.sources.keys()
                used |= set(value.source)
    assert not pack.sources.keys() - used, f"sources that nothing rests on: {sorted(pack.sources.keys() - used)}"
    for key, source in pack.sources.items():
        assert good_source(source), f"{key}: a source says who, when or where"


def good_source(source: Source) -> bool:
    if source.doi and not re.fullmatch(r"10\.\d{4,9}/\S+", source.doi):
        return False
    if source.url and not source.url.startswith("https://"):
        return False
    return bool(re.search(r"\b(1[89]|20)\d\d\b", source.cite) or source.url)


def test_the_whole_base_has_no_findings(knowledge: Knowledge) -> None:
    findings = check(knowledge)
    assert not findings, "\n".join(str(f) for f in findings[:40])


def test_every_helpline_can_be_reached(knowledge: Knowledge) -> None:
    lines = knowledge.all(Helpline)
    assert lines
    for line in lines.values():
        assert re.search(r"\d{3}|\b[\w-]+\.[a-z]{2,}", line.contact), line.id
        assert line.region
        assert line.hours
    numbers = {"helpline.us_988": "988", "helpline.ca_988": "988", "helpline.uk_samaritans": "116 123", "helpline.ie_samaritans": "116 123",
               "helpline.au_lifeline": "13 11 14", "helpline.nz_1737": "1737", "helpline.eu_112": "112"}  # fmt: skip
    for id, number in numbers.items():
        assert number in lines[id].contact


@pytest.mark.parametrize("protocol", load().all(CrisisProtocol).values(), ids=lambda p: p.id)
def test_a_crisis_protocol_covers_every_risk_level_and_answers_every_step(protocol: CrisisProtocol) -> None:
    assert sorted(s.level for s in protocol.show) == ["high", "low", "moderate"]
    steps = {level: [s for s in protocol.steps if level in s.required_for] for level in ("low", "moderate", "high")}
    assert 2 <= len(steps["low"]) <= len(steps["moderate"]) <= len(steps["high"]) <= 12, "twelve exchanges are all a session has"
    for level, needed in steps.items():
        assert needed[0] is protocol.steps[0], "the first step names what was noticed"
        assert needed[1] is protocol.steps[1], f"{level}: the second asks about it"
    for step in protocol.steps:
        levels = {r.level for lead in step.leads for r in lead.replies}
        assert "any" in levels or set(step.required_for) <= levels, f"{step.id}: no reply for {set(step.required_for) - levels}"


def test_suicide_is_always_asked_about_and_people_are_pointed_to(knowledge: Knowledge) -> None:
    for level in ("low", "moderate", "high"):
        steps = [s.id for s in knowledge.get(CrisisProtocol, "suicide").steps if level in s.required_for]
        assert "ask_directly" in steps
        assert any("contacts" in s for s in steps)
        assert steps[-1] == "agree_next"


def test_every_modality_can_open_work_and_close_at_every_difficulty(knowledge: Knowledge) -> None:
    ids = [move.id for modality in knowledge.all(Modality).values() for move in modality.moves]
    assert len(ids) == len(set(ids)), "a move id is used twice"
    for modality in knowledge.all(Modality).values():
        assert {"explore", "work", "close"} <= {move.phase for move in modality.moves}, modality.id
        assert any(m.difficulty == "basic" and m.phase in ("explore", "work") for m in modality.moves), modality.id
        for move in modality.moves:
            for lead in move.leads:
                assert {"engaged", "reluctant"} <= {r.stance for r in lead.replies} or "any" in {r.stance for r in lead.replies}, move.id


def test_the_five_domains_are_there_and_profiles_differ(knowledge: Knowledge) -> None:
    traits = knowledge.all(Trait)
    assert set(traits) == {"openness", "conscientiousness", "extraversion", "agreeableness", "neuroticism"}
    levels = [p.levels for p in knowledge.all(Profile).values()]
    assert len(set(levels)) == len(levels)


# ---------------------------------------------------------------------------------------------- scorers


@pytest.mark.parametrize("scorer", SCORERS, ids=stem)
def test_a_scorer_says_its_source_and_has_the_common_signature(scorer: ModuleType) -> None:
    assert re.search(r"\b(19|20)\d\d\b", scorer.__doc__ or ""), "name the paper or standard and its year in the docstring"
    assert scorer.score.__doc__
    signature = inspect.signature(scorer.score)
    assert list(signature.parameters) == ["conversation", "knowledge"]
    assert signature.parameters["knowledge"].default is None
    assert str(signature.return_annotation) == "Score"


@pytest.mark.parametrize("scorer", SCORERS, ids=stem)
def test_a_scorer_names_itself_stays_in_range_and_quotes_what_is_there(scorer: ModuleType, plan: Plan, conversation: Any) -> None:
    score = scorer.score(conversation, plan.knowledge)
    assert score.metric == stem(scorer)
    assert score.value is None or 0.0 <= score.value <= 1.0
    assert score == scorer.score(conversation, plan.knowledge)
    for e in score.evidence:
        assert conversation.messages[e.turn].content[e.start : e.end] == e.quote


# ------------------------------------------------------------------------------------------- docstrings


def undocumented(path: Path) -> Iterator[str]:
    def visit(node: ast.AST, name: str) -> Iterator[str]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and not child.name.startswith("_"):
                if not ast.get_docstring(child):
                    yield f"{path}:{child.lineno}: {name}{child.name}"
                if isinstance(child, ast.ClassDef):
                    yield from visit(child, f"{child.name}.")

    tree = ast.parse(path.read_text(encoding="utf-8"))
    if not ast.get_docstring(tree):
        yield f"{path}:1: module"
    yield from visit(tree, "")


def test_everything_public_is_documented() -> None:
    files = [*PACKAGE.rglob("*.py"), *(PACKAGE.parent / "pipelines").glob("*.py")]
    assert len(files) > 30
    assert not [line for path in files for line in undocumented(path)]
