"""The plan: the same bytes for a seed anywhere, coverage near its targets, and blueprints that hold together."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections import Counter

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from pixel_synth.draw import Draw
from pixel_synth.errors import UsageError
from pixel_synth.knowledge import Knowledge, load
from pixel_synth.knowledge.models import (
    Contraindication,
    CrisisProtocol,
    Disorder,
    LifeEvent,
    Modality,
    Occupation,
    Person,
    Population,
)
from pixel_synth.plan import Plan, coverage
from pixel_synth.plan.blueprint import duration
from pixel_synth.plan.coverage import deal, fits_event, space, span
from pixel_synth.records import Blueprint
from pixel_synth.settings import Settings, load_settings

PRINT_PLAN = """
import hashlib
from pixel_synth.knowledge import load
from pixel_synth.plan import Plan
from pixel_synth.settings import load_settings
plan = Plan(load_settings(seed=5), load(), 60)
print(hashlib.sha256("\\n".join(plan.blueprint(i, a).line() for i in range(60) for a in (0, 1)).encode()).hexdigest())
"""


@pytest.fixture(scope="module")
def blueprints(plan: Plan) -> list[Blueprint]:
    return [plan.blueprint(slot, attempt) for slot in range(200) for attempt in (0, 1)]


@pytest.fixture(scope="module")
def large(settings: Settings, knowledge: Knowledge) -> Plan:
    return Plan(settings, knowledge, 1000)


def test_a_seed_gives_the_same_bytes_in_processes_with_other_hash_seeds() -> None:
    told = [
        subprocess.run(
            [sys.executable, "-c", PRINT_PLAN], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout
        for seed in ("1", "2")
    ]
    plan = Plan(load_settings(seed=5), load(), 60)
    here = hashlib.sha256("\n".join(plan.blueprint(i, a).line() for i in range(60) for a in (0, 1)).encode()).hexdigest()
    assert told == [here + "\n"] * 2


def test_another_seed_gives_another_plan(knowledge: Knowledge) -> None:
    one, two = (Plan(load_settings(seed=s), knowledge, 20) for s in (1, 2))
    assert one.cells != two.cells
    assert not {one.blueprint(i).id for i in range(20)} & {two.blueprint(i).id for i in range(20)}


def test_a_longer_plan_begins_with_the_shorter_one(plan: Plan, large: Plan) -> None:
    assert large.cells[:200] == plan.cells
    assert large.blueprint(11) == plan.blueprint(11)


def test_marginals_keep_to_their_targets(large: Plan) -> None:
    for dim, values in coverage(large.cells, large.space).items():
        assert sum(target for target, _ in values.values()) == pytest.approx(1.0)
        for value, (target, share) in values.items():
            assert abs(share - target) <= 0.02, f"{dim} {value}: {share:.3f} for {target:.3f}"


@pytest.mark.parametrize("n", [20, 60, 200])
def test_topics_and_difficulties_are_within_a_record_of_their_targets_in_small_plans_too(large: Plan, n: int) -> None:
    shares = coverage(large.cells[:n], large.space)
    for dim in ("topic", "difficulty"):
        for value, (target, share) in shares[dim].items():
            assert abs(share - target) * n <= 1.0 + 1e-9, f"{dim} {value}"


def test_a_topic_meets_every_modality_it_may_meet_the_better_supported_more_often(settings: Settings, knowledge: Knowledge) -> None:
    topics = ["major_depressive_disorder", "panic_disorder", "insomnia_disorder", "alcohol_use_disorder"]
    plan = Plan(settings.model_copy(update={"topics": topics}), knowledge, 400)
    banned = {(e.one, e.other) for e in plan.space.exclusions}
    seen = Counter((c.topic, c.modality) for c in plan.cells)
    for topic in topics:
        for modality in knowledge.all(Modality):
            assert (seen[topic, modality] > 0) is ((topic, modality) not in banned)
        levels = {m.id: i.evidence for m in knowledge.all(Modality).values() for i in m.indications if i.disorder == topic}
        strong = [seen[topic, m] for m in plan.space.within[topic] if levels.get(m) == "strong"]
        bare = [seen[topic, m] for m in plan.space.within[topic] if m not in levels]
        assert min(strong, default=99) > max(bare, default=0)


def test_ruled_out_pairs_are_never_planned_and_say_why(large: Plan, knowledge: Knowledge) -> None:
    assert large.space.exclusions
    assert all(len(e.reason) > 10 for e in large.space.exclusions)
    for cell in large.cells:
        topic, modality, population = (
            knowledge.get(Disorder, cell.topic),
            knowledge.get(Modality, cell.modality),
            knowledge.get(Population, cell.population),
        )
        for item in modality.contraindications:
            if item.effect == "exclude":
                assert topic.id not in item.disorders
                assert population.id not in item.populations
        assert not {topic.id, modality.id} & set(population.excludes)
        assert cell.risk in topic.risks
    listed = {(e.one, e.other) for e in large.space.exclusions}
    for modality in knowledge.all(Modality).values():
        for item in modality.contraindications:
            for topic in item.disorders if item.effect == "exclude" else ():
                assert (topic, modality.id) in listed


def without(knowledge: Knowledge, modality: str, population: str) -> Knowledge:
    """Return the base with one more rule: this modality never with this population."""
    entry = knowledge.get(Modality, modality)
    rule = Contraindication(effect="exclude", text="ruled out by this test", populations=(population,), source=entry.source)
    changed = entry.model_copy(update={"contraindications": (*entry.contraindications, rule)})
    return knowledge._replace(by_kind={**knowledge.by_kind, "modality": {**knowledge.all(Modality), modality: changed}})


def test_a_modality_ruled_out_for_a_population_is_not_planned_with_it(knowledge: Knowledge) -> None:
    base = without(knowledge, "cbt", "veteran")
    plan = Plan(load_settings(), base, 400)
    assert ("cbt", "veteran") in {(e.one, e.other) for e in plan.space.exclusions}
    assert not [c for c in plan.cells if (c.modality, c.population) == ("cbt", "veteran")]


def test_filters_that_leave_only_a_ruled_out_pair_are_refused(knowledge: Knowledge) -> None:
    base = without(knowledge, "cbt", "veteran")
    with pytest.raises(UsageError, match="nothing is left"):
        Plan(load_settings(modalities=("cbt",), populations=("veteran",)), base, 5)


def test_criteria_met_satisfy_the_disorder(blueprints: list[Blueprint], knowledge: Knowledge) -> None:
    for bp in blueprints:
        topic = knowledge.get(Disorder, bp.topic)
        assert topic.meets(bp.criteria_met), bp.id
        assert set(bp.criteria_voiced) <= set(bp.criteria_met)
        assert len(set(bp.criteria_met)) == len(bp.criteria_met)
        assert bp.criteria_voiced, bp.id


def test_a_session_without_risk_plans_no_talk_of_death(blueprints: list[Blueprint]) -> None:
    for bp in blueprints:
        voiced = {f"{bp.topic}.{c}" for c in bp.criteria_met}
        assert bp.risk != "none" or not voiced & {"major_depressive_disorder.a9", "borderline_personality_disorder.a5"}


def test_durations_are_within_the_bounds_of_the_disorder(blueprints: list[Blueprint], knowledge: Knowledge) -> None:
    for bp in blueprints:
        topic = knowledge.get(Disorder, bp.topic)
        assert bp.duration_days >= topic.min_duration_days, bp.id
        assert bp.duration_days < bp.persona.age * 365 or bp.client != "self"
        if topic.max_duration_days is not None:
            assert bp.duration_days <= topic.max_duration_days
        if topic.max_onset_age is not None and bp.client == "self":
            assert bp.persona.age - bp.duration_days // 365 < topic.max_onset_age
        else:
            low, high = topic.duration_range_days
            assert low <= bp.duration_days <= max(low, high) * 1.1, f"{bp.topic}: {bp.duration_text}"


@given(st.integers(0, 10**6), st.sampled_from(sorted(load().all(Disorder))), st.integers(18, 85))
def test_a_duration_is_said_as_it_is_counted(seed: int, topic: str, age: int) -> None:
    days, said, cues = duration(Draw(seed), load().get(Disorder, topic), age)
    count, unit = said.split()
    size = {"week": 7, "month": 30, "year": 365}[unit.removesuffix("s")]
    numbers = "zero one two three four five six seven eight nine ten eleven twelve".split()
    n = numbers.index(count) if count in numbers else int(count)
    assert n * size == days
    assert unit.endswith("s") is (n != 1)
    assert said in cues


def test_a_slot_planned_again_keeps_its_cell_and_gets_someone_else(plan: Plan) -> None:
    for slot in range(30):
        tries = [plan.blueprint(slot, a) for a in range(3)]
        assert {bp.cell for bp in tries} == {plan.cells[slot][:4]}
        assert {bp.risk for bp in tries} == {plan.cells[slot].risk}
        assert len({bp.id for bp in tries}) == len({bp.seed for bp in tries}) == 3
        assert len({bp.persona for bp in tries}) > 1


def test_lives_fit_the_age(blueprints: list[Blueprint], knowledge: Knowledge) -> None:
    for bp in blueprints:
        event, job = knowledge.get(LifeEvent, bp.event), knowledge.get(Occupation, bp.persona.occupation)
        person, population = knowledge.get(Person, bp.persona.person), knowledge.get(Population, bp.population)
        topic = knowledge.get(Disorder, bp.topic)
        for entry in (event, job, person, population):
            assert entry.ages[0] <= bp.persona.age <= entry.ages[1], f"{bp.id}: {bp.persona.age} and {entry.id} {entry.ages}"
        low, high = topic.client_ages
        assert max(low, topic.min_age if bp.client == "self" else 18) <= bp.persona.age <= high
        for entry in (topic, population, event):
            assert not entry.pronouns or bp.persona.pronouns in entry.pronouns
        assert fits_event(event, topic)
        assert event.id not in population.excludes
        assert not population.occupations or job.id in population.occupations


def test_events_typical_of_a_population_are_preferred(knowledge: Knowledge) -> None:
    typical = {p.id: set(p.events) for p in knowledge.all(Population).values() if p.events}
    plan = Plan(load_settings(populations=tuple(typical)), knowledge, 300)
    open_topics = {d.id for d in knowledge.all(Disorder).values() if sum(fits_event(e, d) for e in knowledge.all(LifeEvent).values()) > 20}
    drawn = [bp for bp in (plan.blueprint(slot) for slot in range(300)) if bp.topic in open_topics]
    assert len(drawn) > 50
    assert sum(bp.event in typical[bp.population] for bp in drawn) / len(drawn) > 0.4


def test_nobody_who_died_or_left_is_the_close_person(blueprints: list[Blueprint]) -> None:
    for bp in blueprints:
        who = bp.event.removesuffix("_death")
        assert not (bp.event.endswith("_death") and bp.persona.person == who), bp.id


def test_what_must_appear_names_each_kind_once_and_the_safety_steps_in_order(blueprints: list[Blueprint], knowledge: Knowledge) -> None:
    for bp in blueprints:
        kinds = Counter(f.kind for f in bp.must_appear)
        assert (kinds["duration"], kinds["event"], kinds["occupation"], kinds["person"]) == (1, 1, 1, 1)
        assert kinds["criterion"] == len(bp.criteria_voiced)
        assert kinds["risk"] == (bp.risk != "none")
        assert bool(bp.protocol) is (bp.risk != "none")
        steps = [f.id for f in bp.must_appear if f.kind == "safety"]
        protocol = knowledge.get(CrisisProtocol, bp.protocol) if bp.protocol else None
        assert steps == [f"{protocol.id}.{s.id}" for s in protocol.steps if bp.risk in s.required_for] if protocol else not steps
        assert all(f.speaker == ("therapist" if f.kind == "safety" else "client") for f in bp.must_appear)


def test_moves_belong_to_the_modality_in_phase_order_and_fit_the_difficulty(blueprints: list[Blueprint], knowledge: Knowledge) -> None:
    ranks = ("basic", "intermediate", "advanced")
    for bp in blueprints:
        moves = {m.id: m for m in knowledge.get(Modality, bp.modality).moves}
        phases = [p.phase for p in bp.moves]
        assert phases == sorted(phases, key=("opening", "explore", "work", "close").index)
        for planned in bp.moves:
            assert moves[planned.move].phase == planned.phase
            assert planned.phase == "close" or ranks.index(moves[planned.move].difficulty) <= ranks.index(bp.difficulty)
        assert 6 <= bp.turns <= 24
        assert bp.turns % 2 == 0


def test_every_knowledge_id_of_a_plan_exists(blueprints: list[Blueprint], knowledge: Knowledge) -> None:
    for bp in blueprints:
        for key in bp.knowledge:
            kind, id = key.split(":", 1)
            assert id in knowledge.by_kind[kind]
        assert bp.must_not


@pytest.mark.parametrize(("key", "flag", "values"), [
    ("topics", "topic", ("panic_disorder", "insomnia_disorder")), ("modalities", "modality", ("cbt",)),
    ("populations", "population", ("veteran",)), ("risks", "risk", ("low", "moderate")),
])  # fmt: skip
def test_filters_keep_to_what_is_named(knowledge: Knowledge, key: str, flag: str, values: tuple[str, ...]) -> None:
    plan = Plan(load_settings(**{key: values}), knowledge, 40)
    assert {getattr(c, flag) for c in plan.cells} == set(values)


@pytest.mark.parametrize(("key", "wrong", "near"), [
    ("topics", "panic", "panic_disorder"), ("modalities", "cbtt", "cbt"), ("populations", "veterans", "veteran"),
])  # fmt: skip
def test_an_unknown_filter_names_the_flag_and_near_names(knowledge: Knowledge, key: str, wrong: str, near: str) -> None:
    with pytest.raises(UsageError) as caught:
        Plan(load_settings(**{key: (wrong,)}), knowledge, 5)
    assert repr(wrong) in caught.value.message
    assert near in caught.value.hint


def test_a_filter_that_rules_everything_out_says_why(knowledge: Knowledge) -> None:
    with pytest.raises(UsageError, match="nothing is left") as caught:
        Plan(load_settings(topics=("obsessive_compulsive_disorder",), modalities=("psychodynamic",)), knowledge, 5)
    assert "obsessive-compulsive" in caught.value.hint


@examples(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["panic_disorder", "insomnia_disorder", "major_depressive_disorder"]), st.floats(0.05, 0.3), max_size=3
    ),
    st.integers(0, 99),
)
def test_asked_shares_are_met(knowledge: Knowledge, shares: dict[str, float], seed: int) -> None:
    plan = Plan(load_settings(topic_shares=shares, seed=seed), knowledge, 200)
    seen = Counter(c.topic for c in plan.cells)
    for topic, share in shares.items():
        assert abs(seen[topic] / 200 - share) <= 0.02


def test_a_share_of_zero_takes_a_topic_out(knowledge: Knowledge) -> None:
    cells = Plan(load_settings(topic_shares={"panic_disorder": 0.0}), knowledge, 100).cells
    assert "panic_disorder" not in {c.topic for c in cells}


def test_a_topic_asked_for_with_a_share_of_zero_is_a_usage_error(knowledge: Knowledge) -> None:
    with pytest.raises(UsageError):
        Plan(load_settings(topics=("panic_disorder",), topic_shares={"panic_disorder": 0.0}), knowledge, 5)


@given(st.tuples(st.integers(0, 50), st.integers(0, 50)), st.tuples(st.integers(0, 50), st.integers(0, 50)))
def test_span_is_the_set_of_common_years(one: tuple[int, int], two: tuple[int, int]) -> None:
    common = set(range(one[0], one[1] + 1)) & set(range(two[0], two[1] + 1))
    found = span(one, two)
    assert (set(range(found[0], found[1] + 1)) if found else set()) == common


def test_a_deal_does_not_end(settings: Settings, knowledge: Knowledge) -> None:
    cells = deal(space(settings, knowledge), 1)
    assert len([next(cells) for _ in range(3)]) == 3
