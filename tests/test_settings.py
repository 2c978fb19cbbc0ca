"""Settings: order of the sources, refusals that name the key, and what the fingerprint covers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from pixel_synth.errors import UsageError
from pixel_synth.runs.directory import Run
from pixel_synth.settings import RUNTIME_KEYS, Settings, load_settings


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    return


def test_flags_win_over_the_environment_and_it_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pixel.toml").write_text("seed = 1\naccept = 11\nwindow = 3\n")
    assert (load_settings().seed, load_settings().accept) == (1, 11)
    monkeypatch.setenv("PIXEL_SEED", "2")
    assert load_settings().seed == 2
    told = load_settings(seed=3, accept=None)
    assert (told.seed, told.accept, told.window) == (3, 11, 3)


@pytest.mark.parametrize(
    ("flags", "key"),
    [
        ({"accept": 0}, "accept"),
        ({"seed": -1}, "seed"),
        ({"max_attempts": 0}, "max_attempts"),
        ({"engine": "gpt"}, "engine"),
        ({"risks": ("extreme",)}, "risks"),
        ({"thresholds": {"overall": 1.5}}, "thresholds.overall"),
        ({"no_such_key": 1}, "no_such_key"),
        ({"weights": {"coherence": -1}}, "weights.coherence"),
    ],
)
def test_a_wrong_value_is_a_usage_error_that_names_its_key(flags: dict[str, object], key: str) -> None:
    with pytest.raises(UsageError) as caught:
        load_settings(**flags)
    assert key in caught.value.message
    assert caught.value.exit_status == 2
    assert caught.value.hint


@pytest.mark.parametrize("key", ["risk_shares", "difficulty_shares", "ratios"])
def test_shares_must_sum_to_one(key: str) -> None:
    data = Settings().model_dump()[key]
    name = next(iter(data))
    with pytest.raises(UsageError, match=f"{key} must sum to 1"):
        load_settings(**{key: {**data, name: data[name] / 2}})


def test_topic_shares_may_not_exceed_one() -> None:
    with pytest.raises(UsageError, match="topic_shares"):
        load_settings(topic_shares={"a": 0.6, "b": 0.6})


def test_a_broken_toml_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "pixel.toml").write_text("seed = = 1\n")
    with pytest.raises(UsageError, match=r"pixel\.toml"):
        load_settings()


def test_an_unknown_key_in_the_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pixel.toml").write_text("acept = 3\n")
    with pytest.raises(UsageError, match="acept"):
        load_settings()


def test_settings_are_frozen() -> None:
    with pytest.raises(ValidationError):
        load_settings().seed = 1  # type: ignore[misc]


@given(st.integers(1, 500), st.integers(0, 16), st.integers(1, 99))
def test_run_time_knobs_do_not_change_the_fingerprint(accept: int, workers: int, window: int) -> None:
    assert {"accept", "workers", "window", "out", "base_url", "budget_tokens", "vllm_args"} < RUNTIME_KEYS < set(Settings.model_fields)
    assert Settings(accept=accept, workers=workers, window=window).fingerprint() == Settings().fingerprint()


@pytest.mark.parametrize("key", sorted(set(Settings.model_fields) - RUNTIME_KEYS))
def test_every_setting_that_decides_content_changes_the_fingerprint(key: str) -> None:
    other = {
        "seed": 8,
        "engine": "other",
        "model": "m",
        "judges": ("alliance",),
        "judge_model": ("j",),
        "judge_samples": 3,
        "anchor_samples": 5,
        "review_spread": 0.5,
        "review_gap": 0.5,
        "review_share": 0.1,
        "repairs": 0,
        "extra_body": {"top_p": 0.9},
        "quantization": "fp8",
        "max_attempts": 5,
        "topics": ("panic_disorder",),
        "modalities": ("cbt",),
        "populations": ("veteran",),
        "risks": ("high",),
        "topic_shares": {"panic_disorder": 0.5},
        "weights": {"coherence": 2.0},
        "difficulty_shares": {"basic": 1.0},
        "risk_shares": {"none": 1.0},
        "ratios": {"voice": 1.0},
        "thresholds": {"overall": 0.1},
        "allow_uncalibrated": True,
    }
    assert key in other, f"say here what another value of {key} is"
    assert Settings().model_copy(update={key: other[key]}).fingerprint() != Settings().fingerprint()


def test_a_run_keeps_its_settings_when_the_file_changes_later(tmp_path: Path) -> None:
    run = Run.create(load_settings(accept=3, out=tmp_path / "out"), "test")
    before = run.settings
    (tmp_path / "pixel.toml").write_text(
        "[topic_shares]\npanic_disorder = 0.5\n[weights]\ncoherence = 2.0\n[thresholds]\nlanguage_quality = 0.5\n"
    )
    assert run.settings == before


def test_a_mistyped_variable_is_a_usage_error_that_names_the_right_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIXEL_ACEPT", "3")
    with pytest.raises(UsageError, match="PIXEL_ACCEPT"):
        load_settings()


@pytest.mark.parametrize("share", [-0.5, 1.5])
def test_a_share_outside_zero_and_one_is_a_usage_error(share: float) -> None:
    with pytest.raises(UsageError, match="topic_shares"):
        load_settings(topic_shares={"panic_disorder": share})


def test_one_threshold_set_leaves_the_others_in_force(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIXEL_THRESHOLDS__COHERENCE", "0.5")
    found = load_settings().thresholds
    assert found["coherence"] == 0.5
    assert found["clinical_compliance"] == 0.90
    assert len(found) == 6


@pytest.mark.parametrize("key", ["thresholds", "weights"])
def test_an_unknown_metric_is_a_usage_error_that_names_it(key: str) -> None:
    with pytest.raises(UsageError, match="coherance"):
        load_settings(**{key: {"coherance": 0.5}})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("judge.epitome=0.5", "PIXEL_THRESHOLDS is no JSON: judge.epitome=0.5"),
        ('{"judge": {"epitome": 0.5}}', "thresholds.judge: "),
        ('{"judge.epitome.explorations": 0.5}', "a rubric is taken as a whole, as judge.epitome"),
    ],
)
def test_a_threshold_on_a_judge_that_is_spelled_wrongly_is_a_usage_error(monkeypatch: pytest.MonkeyPatch, text: str, said: str) -> None:
    monkeypatch.setenv("PIXEL_THRESHOLDS", text)
    with pytest.raises(UsageError) as told:
        load_settings()
    assert said in told.value.message


def test_a_threshold_on_a_judge_needs_quotes_in_the_file(tmp_path: Path) -> None:
    (tmp_path / "pixel.toml").write_text("[thresholds]\njudge.epitome = 0.5\n")
    with pytest.raises(UsageError) as told:
        load_settings()
    assert told.value.hint is not None
    (tmp_path / "pixel.toml").write_text(told.value.hint.split(" is ")[1].split(" in ")[0].replace("] ", "]\n"))
    assert load_settings().thresholds["judge.epitome"] == 0.5


def test_the_composer_takes_no_model_name_from_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIXEL_MODEL", "some-model")
    monkeypatch.setenv("PIXEL_ENGINE", "composer")
    with pytest.raises(UsageError, match="runs none"):
        load_settings()
