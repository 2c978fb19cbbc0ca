"""One flat, frozen settings model: ``pixel.toml`` < environment ``PIXEL_*`` < flags.

``fingerprint`` covers what decides the content of a dataset (not run-time knobs such as the number of workers), so
that a run directory can refuse to be resumed under other settings.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import tomllib
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from pixel_synth.errors import UsageError
from pixel_synth.records import Category, Difficulty, Risk

EngineName = Literal["auto", "composer", "transformers", "vllm", "server"]
Way = Literal["response_format", "structured_outputs", "guided_json"]
Dialect = Literal["length", "pattern"]
# Several words; in the environment separated as in a shell.
Words = Annotated[tuple[str, ...], NoDecode, BeforeValidator(lambda given: tuple(shlex.split(given)) if isinstance(given, str) else given)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
# Variables of the toolkit that are no settings: where packs and prompts lie, and keys, which are never stored.
NOT_SETTINGS = {"PIXEL_KNOWLEDGE_DIR", "PIXEL_PROMPTS_DIR", "PIXEL_CALIBRATION_DIR", "PIXEL_API_KEY", "PIXEL_JUDGE_API_KEY"}
THRESHOLDS = {
    "overall": 0.80,
    "therapeutic_accuracy": 0.85,
    "emotional_authenticity": 0.80,
    "coherence": 0.90,
    "personality_consistency": 0.85,
    "clinical_compliance": 0.90,
}
METRICS = frozenset(THRESHOLDS) | {"language_quality", "complexity", "urgency"}
# How a setting that is no plain word is spelled in the environment.
SPELLED = {"thresholds": """PIXEL_THRESHOLDS='{"judge.epitome": 0.5}'"""}
# What may change between the start of a run and its resumption, because it decides how and not what is made.
RUNTIME_KEYS = frozenset(
    "workers window out accept base_url judge_base_url tries timeout_s patience_s budget_tokens budget_hours ray structured dialect "
    "dtype tensor_parallel data_parallel max_model_len prefix_caching vllm_args vllm_command start_s batch device".split()
)


class _OwnKeys(TomlConfigSettingsSource):
    """``pixel.toml`` without the tables of `pixel_synth.recipe` and of the validator."""

    def __call__(self) -> dict[str, Any]:
        return {key: value for key, value in super().__call__().items() if key not in ("dataset", "validation")}


class Settings(BaseSettings):
    """Everything a user can set, with its default."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid", env_prefix="PIXEL_", env_nested_delimiter="__", toml_file="pixel.toml")

    accept: int = Field(default=20, ge=1, description="accepted conversations wanted")
    seed: int = Field(default=7, ge=0, description="seed of the plan")
    engine: EngineName = Field(default="auto", description="what puts blueprints into words; auto = the best that is here")
    model: str = Field(default="", description="model name or folder, for engines that run a model")
    base_url: Words = Field(default=(), description="addresses of OpenAI-compatible servers that offer the model")
    judges: Words = Field(default=(), description="rubrics of prompts/judges that a model answers after each session")
    judge_model: Words = Field(default=(), description="models of the judges, several make a panel; empty = the generator's")
    judge_base_url: Words = Field(
        default=(), description="servers of the judges, of all (URL) or of one (MODEL=URL); empty = the generator's"
    )
    judge_samples: int = Field(default=1, ge=1, le=9, description="answers of each judge model to each rubric; several make a panel")
    anchor_samples: int = Field(default=3, ge=2, le=20, description="answers about each anchor that make a judge's baseline")
    review_spread: Share = Field(default=0.34, description="opinions of a panel further apart than this go to a person")
    review_gap: Share = Field(default=0.34, description="judge and scorer of one construct further apart (calibrated) go to a person")
    review_share: Share = Field(default=0.02, description="share of the accepted conversations that a person sees anyway")
    repairs: int = Field(default=2, ge=0, le=10, description="times an unusable answer is sent back with what is wrong with it")
    extra_body: dict[str, Any] = Field(default_factory=dict, description="further request fields, e.g. chat_template_kwargs or top_p")
    structured: Way | Literal["auto"] = Field(default="auto", description="request field of the schema constraint; auto = proven by canary")
    dialect: Dialect | Literal["auto"] = Field(default="auto", description="how string bounds are spelled; auto = proven by canary")
    tries: int = Field(default=5, ge=1, le=50, description="times a request is sent before its call counts as failed")
    timeout_s: float = Field(default=1800.0, gt=0, description="longest deadline of a request; below it follows the answers")
    patience_s: float = Field(default=120.0, ge=0, description="how long all servers may be down before the run stops")
    budget_tokens: int = Field(default=0, ge=0, description="tokens (in and out) after which nothing new is asked; 0 = no limit")
    budget_hours: float = Field(default=0.0, ge=0, description="hours after which nothing new is asked; 0 = no limit")
    ray: str = Field(default="", description="address of a Ray cluster to run the pipeline on; empty = processes of this machine")
    dtype: str = Field(default="auto", description="number format of the weights (vllm, transformers)")
    quantization: str = Field(default="", description="vllm: quantisation method")
    tensor_parallel: int = Field(default=1, ge=1, description="vllm: GPUs that share one copy of the model")
    data_parallel: int = Field(default=1, ge=1, description="vllm: copies of the model")
    max_model_len: int = Field(default=0, ge=0, description="vllm: context length in tokens; 0 = the model's")
    prefix_caching: bool = Field(default=True, description="vllm: reuse what conversations share")
    vllm_args: Words = Field(default=(), description="vllm: further flags, passed through")
    vllm_command: Words = Field(default=(), description="vllm: program to start instead of the one installed here")
    start_s: float = Field(default=1800.0, gt=0, description="vllm: how long starting may take")
    device: str = Field(default="auto", description="transformers: cuda, mps, cpu")
    batch: int = Field(default=8, ge=1, description="transformers: calls generated together")
    out: Path = Field(default=Path("runs"), description="folder in which run directories are made")
    max_attempts: int = Field(default=20, ge=1, le=50, description="plans tried per slot before it counts as a shortfall")
    workers: int = Field(default=0, ge=0, description="processes of the generating step; 0 = one per core, at most 8")
    window: int = Field(default=0, ge=0, description="conversations in flight in one process; 0 = 64, or 512 where servers are asked")
    topics: tuple[str, ...] = Field(default=(), description="only these disorders; empty = all")
    modalities: tuple[str, ...] = Field(default=(), description="only these modalities; empty = all")
    populations: tuple[str, ...] = Field(default=(), description="only these populations; empty = all")
    risks: tuple[Risk, ...] = Field(default=(), description="only these risk levels; empty = all")
    topic_shares: dict[str, Share] = Field(default_factory=dict, description="target shares; topics left out share the rest")
    difficulty_shares: dict[Difficulty, Share] = {"basic": 0.34, "intermediate": 0.4, "advanced": 0.26}
    risk_shares: dict[Risk, Share] = {"none": 0.7, "low": 0.14, "moderate": 0.1, "high": 0.06}
    thresholds: dict[str, Share] = Field(
        default=THRESHOLDS, description="least score per metric, or per rubric as judge.<name>; those left out keep their default"
    )
    allow_uncalibrated: bool = Field(default=False, description="let thresholds count whose metric has no calibration card that may gate")
    weights: dict[str, Annotated[float, Field(ge=0.0)]] = Field(
        default_factory=dict, description="weights of metrics in the overall score; empty = equal"
    )
    ratios: dict[Category, Share] = {
        "psychology": 0.30,
        "voice": 0.25,
        "mental_health": 0.20,
        "reasoning": 0.15,
        "personality": 0.10,
    }

    @field_validator("thresholds")
    @classmethod
    def _keep_the_other_thresholds(cls, given: dict[str, float]) -> dict[str, float]:
        return {**THRESHOLDS, **given}

    @field_validator("thresholds", "weights")
    @classmethod
    def _known_metrics(cls, given: dict[str, float]) -> dict[str, float]:
        if unknown := sorted(name for name in set(given) - METRICS if not name.startswith("judge.")):
            raise ValueError(f"unknown metric {', '.join(unknown)} (known: {', '.join(sorted(METRICS))}, judge.<rubric>)")
        if parts := sorted(name for name in given if name.startswith("judge.") and name.count(".") > 1):
            raise ValueError(f"{', '.join(parts)}: a rubric is taken as a whole, as {parts[0].rpartition('.')[0]}")
        return given

    @model_validator(mode="after")
    def _engine_has_what_it_needs(self) -> Settings:
        if self.engine == "composer" and (self.model or self.base_url):
            raise ValueError("model and base_url belong to engines that run a model; the composer runs none")
        if self.engine == "server" and not self.base_url:
            raise ValueError("engine server needs base_url, the address of an OpenAI-compatible server")
        if self.engine in ("vllm", "transformers") and not self.model:
            raise ValueError(f"engine {self.engine} needs model, a name or a folder")
        if self.engine in ("vllm", "transformers") and self.base_url:
            raise ValueError(f"base_url belongs to engine server; {self.engine} runs the model itself")
        return self

    @model_validator(mode="after")
    def _judges_have_what_they_need(self) -> Settings:
        if len(set(self.judge_model)) < len(self.judge_model):
            raise ValueError("judge_model names a model twice; judge_samples asks one model several times")
        named = {model for given in self.judge_base_url if (model := judge_address(given)[0])}
        if unknown := sorted(named - set(self.judge_model)):
            raise ValueError(f"judge_base_url names {', '.join(unknown)}, which judge_model does not")
        if self.engine == "composer" and self.judges and any(not self.judge_urls(model) for model in self.judge_model or ("",)):
            raise ValueError("judges need a model: judge_base_url, or an engine that runs one")
        return self

    def judge_urls(self, model: str) -> tuple[str, ...]:
        """Return the servers that a judge model has of its own: those given for it, else those given for all."""
        given = [judge_address(text) for text in self.judge_base_url]
        return tuple(url for owner, url in given if owner == model and owner) or tuple(url for owner, url in given if not owner)

    @model_validator(mode="after")
    def _shares_sum_to_one(self) -> Settings:
        for key in ("ratios", "difficulty_shares", "risk_shares"):
            total = sum(getattr(self, key).values())
            if abs(total - 1.0) > 1e-6:
                raise ValueError(f"{key} must sum to 1, they sum to {total:.4f}")
        if sum(self.topic_shares.values()) > 1.0 + 1e-6:
            raise ValueError("topic_shares sum to more than 1")
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Order the sources: flags, environment, then ``pixel.toml`` in the working directory."""
        return (init_settings, env_settings, _OwnKeys(settings_cls))

    def fingerprint(self) -> str:
        """Return a hash of the settings that decide content."""
        data = self.model_dump(mode="json", exclude=set(RUNTIME_KEYS))
        return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:16]


def judge_address(given: str) -> tuple[str, str]:
    """Split ``MODEL=URL`` into model and address; a plain address belongs to no model in particular."""
    model, equals, url = given.partition("=")
    return (model, url) if equals and "://" not in model else ("", given)


def _near(name: str, known: set[str]) -> str:
    near = get_close_matches(name, sorted(known), n=2)
    return f"did you mean {' or '.join(near)}?" if near else "pixel-synth config show lists the settings"


class _Exact(Settings):
    """Settings from given values alone."""

    model_config = SettingsConfigDict(toml_file=None)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        *others: PydanticBaseSettingsSource,
        **named: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings,)


def exact_settings(values: dict[str, Any]) -> Settings:
    """Rebuild settings as they were stored, whatever ``pixel.toml`` and the environment say now.

    Raises:
        UsageError: When the values are no settings.
    """
    try:
        return Settings.model_construct(**dict(_Exact(**values)))
    except ValidationError as error:
        raise UsageError(f"unusable stored settings: {error.errors()[0]['msg']}") from error


def load_settings(**flags: Any) -> Settings:
    """Build the settings from ``pixel.toml``, the environment and flags (``None`` = flag not given).

    Raises:
        UsageError: Naming each wrong key and what is wrong with it.
    """
    known = {f"PIXEL_{name.upper()}" for name in Settings.model_fields} | NOT_SETTINGS
    for name in os.environ:
        if name.startswith("PIXEL_") and not name.startswith("PIXEL_DATASET_") and name.split("__")[0] not in known:
            raise UsageError(f"environment variable {name} is no setting", hint=_near(name, known))
    try:
        return Settings(**{key: value for key, value in flags.items() if value is not None})
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"pixel.toml: {error}") from error
    except SettingsError as error:
        name = next((name for name in Settings.model_fields if f'"{name}"' in str(error)), "")
        variable = f"PIXEL_{name.upper()}"
        raise UsageError(
            f"{variable} is no JSON: {os.environ.get(variable, '')}", hint=SPELLED.get(name, "as pixel-synth config show prints it")
        ) from error
    except ValidationError as error:
        lines = [f"{'.'.join(map(str, e['loc'])) or 'settings'}: {e['msg']}" for e in error.errors()]
        dotted = any(e["loc"] == ("judge",) or e["loc"] == ("thresholds", "judge") for e in error.errors())
        hint = f'a threshold on a judge is [thresholds] "judge.epitome" = 0.5 in pixel.toml, quoted, or {SPELLED["thresholds"]}'
        raise UsageError(
            "unusable settings\n" + "\n".join(f"  {line}" for line in lines), hint=hint if dotted else "pixel-synth config show"
        ) from error
