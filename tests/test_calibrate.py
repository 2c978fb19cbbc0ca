"""Calibration: the map to the human scale, thresholds for a precision, shuffled copies, cards, and the commands over them."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pixel_synth.calibrate.adapters import Labelled, of_source
from pixel_synth.calibrate.card import Card, behaviours, load_cards, stale
from pixel_synth.calibrate.fit import LEAST_ABOVE, HumanMap, Point, cut, human_map, unsure, wilson
from pixel_synth.calibrate.hold import composite, hold, lengths_of, scorer, scores_of, value_of
from pixel_synth.calibrate.labels import Rating, Scale, held_out
from pixel_synth.calibrate.shuffle import CRITERION, SCALE, against_shuffled, shuffled
from pixel_synth.cli import main
from pixel_synth.errors import UsageError
from pixel_synth.judges.rubric import rubric
from pixel_synth.records import Conversation, Message, Opinion, Part, PromptRef, Score

UNIT = st.floats(0, 1).map(lambda x: round(x, 3))
POINTS = st.lists(st.tuples(UNIT, UNIT, st.sampled_from([0.0, 1 / 3, 2 / 3, 1.0])).map(lambda t: Point(*t)), min_size=1, max_size=40)


# ---------------------------------------------------------------------------------------------------- the map


@given(POINTS)
@settings(deadline=None, max_examples=40)
def test_the_map_rises_stays_within_what_people_said_and_is_the_same_twice(points: list[Point]) -> None:
    scale = human_map(points)
    assert scale == human_map(points)
    shares = [p.good for p in points]
    values = [scale(x / 50) for x in range(51)]
    assert all(a <= b + 1e-9 for a, b in pairwise(values))
    assert min(shares) - 1e-6 <= values[0] <= values[-1] <= max(shares) + 1e-6


def test_the_map_finds_a_step_and_knows_where_it_knows_nothing() -> None:
    points = [Point(x / 100, x / 100, float(x >= 50)) for x in range(20, 80)]
    scale = human_map(points)
    assert scale(0.3) < 0.05
    assert scale(0.7) > 0.95
    assert scale(0.0) == scale(0.2)
    assert [scale.knows(x) for x in (0.1, 0.5, 0.9)] == [False, True, False]


def test_a_few_lucky_points_are_no_certainty() -> None:
    points = [Point(x / 30, 0.5, float(x in (10, 20, 29))) for x in range(30)]
    assert human_map(points).highest < 0.9


def test_where_a_threshold_may_lie_is_narrow_at_a_step_wide_in_noise_and_at_the_end_when_nothing_reaches_it() -> None:
    step = [Point(n / 100, float(n >= 50), float(n >= 50)) for n in range(100)]
    noise = [Point(n / 100, float(n * 7919 % 100 >= 50), float(n * 7919 % 100 >= 50)) for n in range(100)]
    low, high = unsure(step, 0.9)
    assert 0.49 <= low <= 0.5 <= high <= 0.55
    wide = unsure(noise, 0.6)
    assert wide[1] - wide[0] > 5 * (high - low)
    assert unsure([Point(p.raw, 0.0, 0.0) for p in step], 0.5) == (1.0, 1.0)
    assert unsure(step, 0.9) == unsure(step, 0.9)
    with pytest.raises(ValueError, match="no labelled conversation"):
        unsure([], 0.5)


def test_a_map_that_falls_is_no_map() -> None:
    with pytest.raises(ValueError, match="must rise"):
        HumanMap(knots=((0.1, 0.5), (0.2, 0.4)))
    with pytest.raises(ValueError, match="no labelled conversation"):
        human_map([])


# ------------------------------------------------------------------------------------------------ the threshold


@given(POINTS, st.sampled_from([0.5, 0.8, 0.9]))
def test_a_cut_has_the_precision_it_says_and_no_lower_score_has_it(points: list[Point], wanted: float) -> None:
    def above(raw: float) -> list[bool]:
        return [p.good > 0.5 for p in points if p.raw >= raw]

    found = cut(points, wanted)
    fit = {p.raw for p in points if len(above(p.raw)) >= LEAST_ABOVE and sum(above(p.raw)) / len(above(p.raw)) >= wanted}
    if found.raw is None:
        assert not fit
        assert found.reason
        return
    assert found.raw == min(fit)
    good = above(found.raw)
    assert (found.above, found.precision) == (len(good), sum(good) / len(good))
    assert found.low is not None
    assert found.high is not None
    assert found.low <= sum(good) / len(good) <= found.high
    assert found.recall == sum(good) / sum(p.good > 0.5 for p in points)


def test_wilson_gives_the_intervals_of_the_textbook() -> None:
    # Newcombe, R. G. (1998). Statistics in Medicine, 17, 857-872, table I, method 3.
    for hits, n, low, high in ((81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)):
        assert wilson(hits, n) == pytest.approx((low, high), abs=1e-4)
    with pytest.raises(ValueError, match="at least one case"):
        wilson(0, 0)


# ---------------------------------------------------------------------------------------------- shuffled copies


@pytest.mark.parametrize("within", [True, False])
def test_a_shuffled_copy_has_the_same_turns_in_another_order(conversation: Conversation, within: bool) -> None:
    copy = shuffled(conversation, 3, within)
    assert copy is not None
    assert copy == shuffled(conversation, 3, within)
    assert sorted(m.content for m in copy.messages) == sorted(m.content for m in conversation.messages)
    assert [m.content for m in copy.messages] != [m.content for m in conversation.messages]
    assert ([m.role for m in copy.messages] == [m.role for m in conversation.messages]) or not within


def test_where_no_other_order_exists_there_is_no_copy(conversation: Conversation) -> None:
    pair = conversation.model_copy(update={"messages": conversation.messages[:2], "turns": ()})
    assert shuffled(pair, 0, within=True) is None
    same = tuple(Message(role=r, content="yes") for r in ("user", "assistant", "user", "assistant"))
    assert shuffled(conversation.model_copy(update={"messages": same, "turns": ()}), 0) is None
    labelled = Labelled("pairs", "", (pair, conversation), (), {}, {})
    found = against_shuffled(labelled, copies=2)
    assert [r.rating for r in found.ratings] == [1.0, 0.0, 0.0]
    assert found.scales == {CRITERION: SCALE}
    assert len({c.id for c in found.conversations}) == 3


# ------------------------------------------------------------------------------------------------------ holding


def rating(item: str, criterion: str, rater: str, value: float) -> Rating:
    return Rating(item=item, criterion=criterion, rater=rater, rating=value)


def test_several_criteria_make_one_rating_per_rater_and_a_missing_one_makes_none() -> None:
    scales = {"warm": Scale(low=1, high=5, good_from=4), "cold": Scale(low=0, high=2, good_from=1, high_is_bad=True)}
    ratings = (rating("a", "warm", "x", 5), rating("a", "cold", "x", 0), rating("b", "warm", "x", 3), rating("b", "cold", "x", 2),
               rating("c", "warm", "x", 3))  # fmt: skip
    found, scale = composite(Labelled("t", "", (), ratings, scales, {}), ("warm", "cold"), "expert")
    assert {r.item: r.rating for r in found} == {"a": 5.0, "b": 2.0}
    assert scale.good_from == pytest.approx(1 + 4 * (0.75 + 0.5) / 2)
    with pytest.raises(UsageError, match="nobody of group 'crowd'"):
        composite(Labelled("t", "", (), ratings, scales, {}), ("warm",), "crowd")
    with pytest.raises(UsageError, match="no scale for kind"):
        composite(Labelled("t", "", (), ratings, scales, {}), ("kind",), "expert")


def test_items_without_a_score_are_left_out_and_named_and_the_books_add_up(conversation: Conversation) -> None:
    ratings = tuple(rating(f"i{n}", "flow", who, 1 + (n + k) % 5) for n in range(12) for k, who in enumerate(("x", "y")))
    labelled = Labelled("t", "CC0", (), ratings, {"flow": Scale(low=1, high=5, good_from=4)}, {})
    values = {f"i{n}": n / 12 for n in range(9)}
    held = hold(scorer("coherence"), values, labelled, ("flow",), lengths=dict.fromkeys(values, 5))
    assert set(held.left_out) == {"i9", "i10", "i11"}
    assert len(held.card.points) + len(held.left_out) == 12
    only = hold(scorer("coherence"), values, labelled, ("flow",), lengths=dict.fromkeys(values, 5), only_held_out=True)
    assert len(only.card.points) == sum(held_out(i) for i in values)
    with pytest.raises(UsageError, match="no item has both"):
        hold(scorer("coherence"), {}, labelled, ("flow",), lengths={})


def test_copies_of_a_conversation_are_resampled_with_it_and_count_once() -> None:
    def order(copies: int) -> tuple[Labelled, dict[str, float]]:
        items = {f"i{n}{mark}": (n, not mark) for n in range(12) for mark in ("", *(f"~{k}" for k in range(copies)))}
        ratings = tuple(rating(item, CRITERION, "order", float(own)) for item, (_, own) in items.items())
        return Labelled("t", "", (), ratings, {CRITERION: SCALE}, {}), {i: (n % 6 + 2 * own) / 10 for i, (n, own) in items.items()}

    once, often = (hold(scorer("coherence"), v, s, (CRITERION,), lengths=dict.fromkeys(v, 5)).card for s, v in map(order, (1, 8)))
    assert (often.labels.items, often.labels.conversations) == (108, 12)
    assert "12 conversations are fewer than 30" in often.refusals
    width = [i.high - i.low for c in (once, often) for i in (c.agreement.judge.auc,) if i.high is not None and i.low is not None]
    assert width[1] == pytest.approx(width[0], rel=0.2)  # eight copies that say the same make nothing surer


def test_ratings_of_models_are_nobodys_and_a_constructed_group_is_constructed() -> None:
    ratings = tuple(
        Rating(item=f"i{n}", criterion="flow", rater="gpt", group=g, rating=1 + n % 5) for n in range(9) for g in ("model", "constructed")
    )
    labelled = Labelled("t", "", (), ratings, {"flow": Scale(low=1, high=5, good_from=4)}, {})
    values = {f"i{n}": n / 9 for n in range(9)}
    with pytest.raises(UsageError, match="held against people"):
        hold(scorer("coherence"), values, labelled, ("flow",), group="model", lengths=values)
    assert hold(scorer("coherence"), values, labelled, ("flow",), group="constructed", lengths=values).card.labels.origin == "constructed"


def test_the_length_a_score_must_beat_is_that_of_the_speaker_it_is_about(conversation: Conversation) -> None:
    words = {role: len(conversation.said(role).split()) for role in ("user", "assistant")}  # type: ignore[arg-type]
    assert words["user"] != words["assistant"]
    assert lengths_of([conversation], "urgency") == {conversation.id: words["user"]}
    assert lengths_of([conversation], "coherence") == {conversation.id: words["assistant"]}


def test_conversations_of_several_sources_are_one_set(conversation: Conversation) -> None:
    def of(id: str, source: str) -> Conversation:
        return conversation.model_copy(update={"id": id, "provenance": conversation.provenance.model_copy(update={"source": source})})

    labelled = Labelled("t", "CC0", (of("a", "x"), of("b", "y"), of("c", "z")), tuple(rating(i, "flow", "r", 1) for i in "abc"), {}, {})
    both = of_source(labelled, "x", "z")
    assert (both.name, [c.id for c in both.conversations], [r.item for r in both.ratings]) == ("x+z", ["a", "c"], ["a", "c"])
    with pytest.raises(UsageError, match="no conversation of source 'moon'"):
        of_source(labelled, "x", "moon")


def test_a_part_of_a_score_can_be_held_and_what_is_missing_says_why() -> None:
    scores = [Score(metric="judge.epitome", value=0.5, parts=(Part(name="explorations", value=1.0), Part(name="other", value=None)))]
    assert value_of(scores, "judge.epitome") == (0.5, "")
    assert value_of(scores, "judge.epitome.explorations")[0] == 1.0
    assert value_of(scores, "judge.epitome.other") == (None, "other does not apply")
    assert value_of(scores, "judge.epitome.none") == (None, "judge.epitome has no part none")
    assert value_of(scores, "coherence") == (None, "no such score")
    with pytest.raises(UsageError, match="no scorer 'charm'"):
        scorer("charm")


# ------------------------------------------------------------------------------------------------------- cards


def test_every_shipped_card_is_of_the_scorers_as_they_are_and_every_scorer_has_one() -> None:
    shipped = [card for card in load_cards(Path("nowhere")) if card.kind == "scorer"]
    assert [f"{card.name}: {why}" for card in shipped if (why := stale(card))] == []
    assert {card.metric.split(".")[0] for card in shipped} >= set(behaviours())


def test_a_file_cannot_let_itself_gate(tmp_path: Path) -> None:
    card = next(c for c in load_cards(Path("nowhere")) if c.refusals)
    (tmp_path / "mine.json").write_text(card.model_copy(update={"refusals": ()}).model_dump_json())
    assert next(c for c in load_cards(tmp_path) if c.name == card.name).refusals == card.refusals


def test_ones_own_card_wins_and_a_file_that_is_none_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    card = load_cards(Path("nowhere"))[0]
    mine = card.model_copy(update={"made": "1999-01-01"})
    (tmp_path / "mine.json").write_text(mine.model_dump_json())
    assert next(c for c in load_cards(tmp_path) if c.name == card.name).made == "1999-01-01"
    (tmp_path / "bad.json").write_text('{"metric": 1}')
    with pytest.raises(UsageError, match=r"bad\.json: no calibration card"):
        load_cards(tmp_path)


# ---------------------------------------------------------------------------------------------------- commands


@pytest.fixture
def talks(tmp_path: Path, compose: object, plan: object) -> Path:
    found = [compose(plan.blueprint(slot)) for slot in range(6)]  # type: ignore[operator,attr-defined]
    path = tmp_path / "talks.jsonl"
    path.write_text("".join(c.line() + "\n" for c in found))
    return path


def test_calibrate_makes_a_card_from_labels_and_cards_shows_it(
    talks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    ids = [json.loads(line)["id"] for line in talks.read_text().splitlines()]
    rows = [f"{id},flow,{who},expert,{1 + n % 5}" for n, id in enumerate(ids) for who in ("ann", "bob")]
    Path("labels.csv").write_text("\n".join(["item,criterion,rater,group,rating", *rows]) + "\n")
    flags = ["--labels", "labels.csv", "--conversations", str(talks), "--scale", "flow=1,5,4", "--precision", "0.7", "--license", "CC0"]
    assert main(["calibrate", "--scorer", "coherence", *flags, "--figure", "card.svg"]) == 0
    out, err = capsys.readouterr()
    assert "6 labelled = 6 used + 0 left out" in err
    assert "MAY NOT GATE: 6 conversations are fewer than 30" in out
    card = Card.model_validate_json(Path("cards/coherence--labels.json").read_bytes())
    assert (card.labels.raters, card.labels.license, [c.wanted for c in card.cuts]) == (2, "CC0", [0.7, 0.8, 0.9])
    assert Path("card.svg").read_text().startswith("<?xml")
    assert main(["cards", "coherence--labels"]) == 0
    assert "MAY NOT GATE" in capsys.readouterr().out
    assert main(["cards"]) == 0
    assert "coherence--labels" in capsys.readouterr().out


def test_a_rater_is_not_held_against_himself(talks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ids = [json.loads(line)["id"] for line in talks.read_text().splitlines()]
    rows = [f"{id},flow,{who},expert,{1 + (n + k) % 5}" for n, id in enumerate(ids) for k, who in enumerate(("ann", "bob", "cy"))]
    (tmp_path / "labels.csv").write_text("\n".join(["item,criterion,rater,group,rating", *rows]) + "\n")
    flags = ["--labels", str(tmp_path / "labels.csv"), "--conversations", str(talks), "--scale", "flow=1,5,4", "--dry-run"]
    assert main(["calibrate", "--rater", "ann", *flags]) == 0
    assert "6 conversations, 2 raters" in capsys.readouterr().out


def test_what_a_judge_said_by_another_version_of_its_rubric_is_no_score(talks: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = [Conversation.model_validate_json(line) for line in talks.read_text().splitlines()]
    said = (Score(metric="judge.epitome", value=0.5, panel=(Opinion(judge="m", value=0.5),)),)
    now, then = rubric("epitome").ref, rubric("epitome").ref.model_copy(update={"sha256": "0" * 64})

    def judged(*refs: PromptRef) -> list[Conversation]:
        return [c.model_copy(update={"scores": said, "provenance": c.provenance.model_copy(update={"prompts": (ref,)})})
                for c, ref in zip(found, refs, strict=True)]  # fmt: skip

    flags = ["calibrate", "--judge", "epitome", "--conversations", str(talks), "--planned", "--dry-run"]
    talks.write_text("".join(c.line() + "\n" for c in judged(*[now] * 5, then)))
    assert main(flags) == 0
    assert "judged with another version of judges/epitome" in capsys.readouterr().err
    talks.write_text("".join(c.line() + "\n" for c in judged(*[then] * 6)))
    assert main(flags) == 2


def test_calibrate_on_shuffled_copies_needs_no_rater(talks: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--conversations", str(talks), "--shuffled", "2", "--dry-run", "-o", str(talks.parent / "none")]
    assert main(["calibrate", "--scorer", "coherence", *flags]) == 0
    out, err = capsys.readouterr()
    assert "against talks-order: order" in out
    assert "MAY NOT GATE: its labels were written or spoiled to order" in out  # nobody said the turns of a plan
    assert "18 labelled = 18 used" in err
    assert not (talks.parent / "none").exists()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--scorer", "coherence"], "--labels says what people said"),
        (["--scorer", "charm", "--shuffled", "1", "--conversations", "TALKS"], "no scorer 'charm'"),
        (["--judge", "epitome", "--shuffled", "1", "--conversations", "TALKS"], "pixel-synth judge FILE --rubric epitome"),
        (["--rater", "gpt", "--shuffled", "1", "--conversations", "TALKS"], "no ratings of 'gpt'"),
        (["--scorer", "coherence", "--shuffled", "1", "--conversations", "TALKS", "--source", "moon"], "no conversation of source 'moon'"),
    ],
)
def test_what_calibrate_cannot_do_says_what_to_do(talks: Path, capsys: pytest.CaptureFixture[str], flags: list[str], message: str) -> None:
    assert main(["calibrate", *[str(talks) if f == "TALKS" else f for f in flags], "--dry-run"]) == 2
    assert message in capsys.readouterr().err


def test_ratings_of_another_group_are_told_and_labels_alone_are_not_enough(talks: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ids = [json.loads(line)["id"] for line in talks.read_text().splitlines()]
    rows = [f"{id},flow,ann,{'experts' if n == 2 else 'expert'},{1 + n % 5}" for n, id in enumerate(ids)]
    labels = talks.parent / "labels.csv"
    labels.write_text("\n".join(["item,criterion,rater,group,rating", *rows]) + "\n")
    flags = ["calibrate", "--scorer", "coherence", "--labels", str(labels), "--scale", "flow=1,5,4", "--dry-run"]
    assert main([*flags, "--conversations", str(talks)]) == 0
    assert "do not count as the people's: 1 of 'experts'" in capsys.readouterr().err
    assert main(flags) == 2
    assert "--conversations FILE" in capsys.readouterr().err


@pytest.mark.parametrize(("flag", "given"), [("--precision", "90"), ("--precision", "most"), ("--shuffled", "-2"), ("--shuffled", "0")])
def test_a_flag_out_of_its_range_is_told(capsys: pytest.CaptureFixture[str], flag: str, given: str) -> None:
    with pytest.raises(SystemExit):
        main(["calibrate", "--scorer", "coherence", f"{flag}={given}"])
    assert f"argument {flag}: '{given}' is no" in capsys.readouterr().err


def test_scores_of_a_scorer_come_by_id_and_the_unscored_with_their_reason(conversation: Conversation) -> None:
    bare = conversation.model_copy(update={"blueprint": None, "id": "bare"})
    values, unscored = scores_of([conversation, bare], "personality_consistency", None)
    assert set(values) | set(unscored) == {conversation.id, "bare"}
    assert "no blueprint" in unscored["bare"]


def test_a_claimed_persona_is_another_one_and_the_plan_rates_its_own_difficulty(talks: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--conversations", str(talks), "--dry-run"]
    assert main(["calibrate", "--scorer", "personality_consistency", "--swapped", *flags]) == 0
    out, err = capsys.readouterr()
    assert "against talks-persona: persona" in out
    assert "MAY NOT GATE: its labels were written or spoiled to order" in out
    assert "12 labelled = 12 used" in err
    assert main(["calibrate", "--scorer", "complexity", "--planned", *flags]) == 0
    assert "difficulty at least 3 of 1–3" in capsys.readouterr().out
