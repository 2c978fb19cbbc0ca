"""Panels: several opinions make one score that tells how far they lie apart; each model is asked at its own address."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from judge_server import JudgeServer

from pixel_synth.errors import UsageError
from pixel_synth.judges.panel import addressed, judge_panel, members, panel, spread
from pixel_synth.llms.ask import Asker
from pixel_synth.llms.connect import Link, Links, api_key, connect_all, make_asker
from pixel_synth.llms.engine import Call
from pixel_synth.llms.mock.wish import Wish
from pixel_synth.records import Conversation, Evidence, Part, Score
from pixel_synth.settings import Settings, load_settings

OPINION = st.one_of(
    st.floats(0, 1).map(lambda v: Score(metric="judge.x", value=v, parts=(Part(name="p", value=v),))),
    st.just(Score(metric="judge.x", value=None, reason="unclear", parts=(Part(name="p", value=None),))),
)


def opinion(value: float | None, *parts: float | None, quote: str = "", reason: str = "") -> Score:
    evidence = (Evidence(turn=1, start=0, end=len(quote), quote=quote, label="p0"),) if quote else ()
    named = tuple(Part(name=f"p{i}", value=v) for i, v in enumerate(parts))
    return Score(metric="judge.x", value=value, reason=reason or ("" if value is not None else "no answer"), parts=named, evidence=evidence)


def test_value_and_parts_are_means_over_the_opinions_that_have_them() -> None:
    made = panel([("a", 0, opinion(1.0, 1.0, None)), ("a", 1, opinion(0.5, 0.5, 1.0)), ("b", 0, opinion(0.0, 0.0, None))])
    assert made.value == pytest.approx(0.5)
    assert {p.name: p.value for p in made.parts} == {"p0": pytest.approx(0.5), "p1": 1.0}
    assert [(o.judge, o.sample, o.value) for o in made.panel] == [("a", 0, 1.0), ("a", 1, 0.5), ("b", 0, 0.0)]
    assert spread(made) == 1.0


def test_an_unscored_opinion_has_no_vote_and_is_told() -> None:
    made = panel([("a", 0, opinion(0.8)), ("b", 0, opinion(None, reason="refused: no")), ("c", 0, opinion(0.6))])
    assert made.value == pytest.approx(0.7)
    assert made.reason == "1 of 3 opinions unscored (b sample 0: refused: no)"
    assert spread(made) == pytest.approx(0.2)


def test_when_nobody_could_tell_neither_can_the_panel() -> None:
    made = panel([("a", 0, opinion(None)), ("b", 0, opinion(None))])
    assert made.value is None
    assert made.reason.startswith("2 of 2 opinions unscored")
    assert spread(made) is None


def test_a_single_opinion_is_no_panel() -> None:
    alone = opinion(0.4, 0.4, quote="I hear you")
    assert panel([("", 0, alone)]) == alone
    named = panel([("a", 0, alone)])
    assert (named.value, [o.judge for o in named.panel]) == (0.4, ["a"])
    assert spread(alone) is None


def test_evidence_of_all_is_kept_once() -> None:
    made = panel(
        [("a", 0, opinion(1.0, quote="I hear you")), ("b", 0, opinion(0.0, quote="I hear you")), ("c", 0, opinion(0.0, quote="so"))]
    )
    assert [e.quote for e in made.evidence] == ["so", "I hear you"]


@given(st.lists(OPINION, min_size=2, max_size=6))
def test_a_panel_lies_between_its_opinions_and_does_not_depend_on_their_order(scores: list[Score]) -> None:
    told = [(f"m{i}", 0, s) for i, s in enumerate(scores)]
    made, values = panel(told), [s.value for s in scores if s.value is not None]
    assert (made.value is None) == (not values)
    if made.value is not None:
        assert min(values) - 1e-12 <= made.value <= max(values) + 1e-12
        assert panel(told[::-1]).value == made.value  # the sum is exact
    assert spread(made) == (max(values) - min(values) if len(values) > 1 else None)


# ------------------------------------------------------------------------------------- which models, where


def server(**given: object) -> Settings:
    return load_settings(engine="server", base_url=("http://h/v1",), judges=("alliance",), **given)


def test_addresses_belong_to_all_judge_models_or_to_one() -> None:
    settings = server(judge_model=("a", "org/b"), judge_base_url=("http://all/v1", "org/b=http://b/v1?x=1"))
    assert settings.judge_urls("a") == ("http://all/v1",)
    assert settings.judge_urls("org/b") == ("http://b/v1?x=1",)
    assert server(judge_model="a b").judge_model == ("a", "b")
    assert server(judge_model=("a",)).judge_urls("a") == ()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"judge_model": ("a",), "judge_base_url": ("b=http://h/v1",)}, "judge_base_url names b"),
        ({"judge_model": ("a", "a")}, "names a model twice"),
        ({"engine": "composer", "base_url": (), "judge_model": ("a", "b"), "judge_base_url": ("a=http://h/v1",)}, "judges need a model"),
    ],
)
def test_addresses_that_do_not_fit_the_models_are_refused(given: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        load_settings(**{"engine": "server", "base_url": ("http://h/v1",), "judges": ("alliance",), **given})


def test_what_runs_before_stored_can_still_be_read() -> None:
    old = {**load_settings().model_dump(mode="json"), "judge_model": "critic"}
    del old["judge_samples"]
    assert Settings(**old).judge_model == ("critic",)
    link = Link(engine="server", model="m")
    stored = Links(generator=link, judge=link).model_dump(exclude={"others"})
    assert Links.model_validate(stored).judges == (link,)
    assert Links(generator=link).judges == ()


def test_a_key_of_the_judges_goes_to_their_own_servers_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIXEL_API_KEY", "writer's")
    monkeypatch.setenv("PIXEL_JUDGE_API_KEY", "judges'")
    settings = server(judge_model=("a", "b"), judge_base_url=("b=http://b/v1",))
    assert (api_key("judge", settings, "a"), api_key("judge", settings, "b")) == ("writer's", "judges'")


# ---------------------------------------------------------------------------------------- over real HTTP


def severe(model: str, id: str, answers: list[str], wish: Wish) -> str:
    """The model "kind" takes the last level that is one, "hard" the first."""
    levels = [a for a in answers if a not in ("not_applicable", "unclear")]
    return levels[-1] if model == "kind" else levels[0]


def test_every_model_and_sample_is_asked_at_its_own_server_and_the_spread_is_theirs(conversation: Conversation) -> None:
    with JudgeServer(severe, "writer", "kind") as one, JudgeServer(severe, "hard") as other:
        settings = load_settings(
            engine="server", base_url=(one.url,), model="writer", judges=("alliance",), judge_samples=2,
            judge_model=("kind", "hard"), judge_base_url=(f"hard={other.url}",),
        )  # fmt: skip

        async def judged() -> Score:
            links = await connect_all(settings)
            assert [(link.model, link.urls) for link in links.judges] == [("kind", (one.url,)), ("hard", (other.url,))]
            asker = make_asker(links, settings)
            try:
                who = members(settings.judge_model, settings.judge_samples)
                return await judge_panel("alliance", conversation, asker, 0, who)
            finally:
                await asker.close()

        score = asyncio.run(judged())
        assert (one.asked, other.asked) == ({"kind": 2}, {"hard": 2})
    assert [(o.judge, o.sample, o.value) for o in score.panel] == [("kind", 0, 1.0), ("kind", 1, 1.0), ("hard", 0, 0.0), ("hard", 1, 0.0)]
    assert score.value == pytest.approx(0.5)
    assert spread(score) == 1.0
    assert score.evidence


def test_a_call_to_a_judge_that_is_not_connected_is_an_error_and_not_somebody_elses(conversation: Conversation) -> None:
    link = Link(engine="composer", model="composer")
    asker = make_asker(Links(generator=link, judge=link), load_settings(engine="composer"))
    assert isinstance(asker, Asker)
    with pytest.raises(UsageError, match="no judge 'critic'"):
        asyncio.run(addressed(asker, "critic")(Call(None, [], {}, {})))
