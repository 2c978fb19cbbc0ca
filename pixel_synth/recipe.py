"""A recipe says what goes into a dataset: ``[dataset]`` of ``pixel.toml`` < environment ``PIXEL_DATASET_*`` < flags.

Ratios, thresholds and weights are those of `pixel_synth.settings`, which generation shares; the recipe holds the rest.  ``fingerprint``
covers what decides which records the dataset holds, so that a run is not gone on with under another recipe.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict, SettingsError

from pixel_synth.errors import UsageError
from pixel_synth.records import Category, Record
from pixel_synth.settings import Share, Words

Profile = Literal["research", "commercial"]
Mixing = Literal["proportional", "quality", "diversity", "iterative", "hybrid"]
Splitting = Literal["random", "stratified", "temporal"]
Order = Literal["shuffled", "curriculum"]
Short = Literal["report", "shrink"]
Format = Literal["jsonl", "json", "csv", "parquet", "arrow", "chat", "packed"]
# Dimensions that shares may be asked of inside the categories, besides the five ratios.
DIMENSIONS = ("kind", "modality", "traits", "population")
# How a recipe is carried out, not what comes of it.
RUNTIME_KEYS = frozenset({"out", "cache", "mirror", "workers", "formats"})


class Want(Record):
    """A wanted share of one value of one dimension, of the whole dataset."""

    dimension: Literal["kind", "modality", "traits", "population"]
    value: str
    share: Share


class Recipe(Record):
    """Everything that decides a dataset beside ratios and thresholds, with its default."""

    total: int = Field(default=100_000, ge=1, description="records of the mix, auxiliary ones not counted")
    sources: Words = Field(default=(), description="sets of pixel_synth/sources to take in, by id; none by default")
    inputs: Words = Field(default=(), description="run directories, or CATEGORY:LICENCE=PATH: files and folders of any known shape")
    profile: Profile = Field(default="research", description="what the dataset may be used for; licences that forbid it are refused")
    languages: Words = Field(default=("en",), description="ISO 639-1 codes that are kept")
    redact: bool = Field(default=True, description="take personal data out; only for data that holds none may this be false")
    names: str = Field(default="", description="spaCy pipeline, name or folder, that finds names of people (extra: names)")
    jaccard: Annotated[float, Field(gt=0.0, le=1.0)] = Field(default=0.8, description="least Jaccard similarity of near duplicates")
    semantic: bool = Field(default=False, description="also drop duplicates in meaning (extra: semantic)")
    evaluation: Words = Field(default=(), description="files of evaluation sets whose text must not occur in the dataset")
    least_quality: float | None = Field(
        default=None, ge=0.0, le=1.0, description="floor of the overall score; records below never enter, none by default"
    )
    unscored: bool = Field(default=False, description="let records in whose overall score could not be computed")
    mixing: Mixing = Field(default="hybrid", description="how records are chosen where there are more than wanted")
    when_short: Short = Field(default="report", description="a category has too few: leave the gap, or shrink to exact ratios")
    tolerance: Share = Field(default=0.02, description="distance from a wanted share at which balancing rests")
    wanted: tuple[Want, ...] = Field(default=(), description="shares inside the dataset by kind, modality, traits or population")
    splitting: Splitting = Field(default="stratified", description="how records are dealt to the splits")
    split_shares: dict[Literal["train", "validation", "test"], Share] = Field(
        default={"train": 0.9, "validation": 0.05, "test": 0.05}, description="sizes of the splits, as shares of the whole"
    )
    split_tolerance: Share = Field(default=0.05, description="largest distance of a split's category share from that of the whole")
    release: tuple[Literal["speaker"], ...] = Field(
        default=(), description="groups of these kinds may cross splits where they would join more than a tenth of the records"
    )
    order: Order = Field(default="shuffled", description="order of the training split; curriculum = from simple to complex")
    tokenizer: str = Field(default="", description="name or folder of a Hugging Face tokenizer that counts tokens; none = not counted")
    max_tokens: int = Field(default=4096, ge=16, description="length of packed training sequences, in tokens")
    formats: tuple[Format, ...] = Field(default=("jsonl", "parquet"), description="what is written beside the manifest")
    seed: int = Field(default=7, ge=0, description="seed of every draw")
    cache: Path = Field(default=Path(".cache/sources"), description="folder in which fetched sets lie")
    local: dict[str, Path] = Field(default_factory=dict, description="where sets lie that are on no Hub, by id: consolidated, counsel_chat")
    mirror: Path | None = Field(default=None, description="folder OWNER/NAME/… that is read in place of the Hub")
    workers: int = Field(default=0, ge=0, description="processes; 0 = one per core, at most 8")
    out: Path = Field(default=Path("runs"), description="folder in which run directories are made")

    @model_validator(mode="after")
    def _shares_add_up(self) -> Recipe:
        total = sum(self.split_shares.values())
        if abs(total - 1.0) > 1e-6:
            raise ValueError(f"split_shares must sum to 1, they sum to {total:.4f}")
        for dimension in ("kind", "modality", "population"):
            asked = sum(w.share for w in self.wanted if w.dimension == dimension)
            if asked > 1.0 + 1e-6:
                raise ValueError(f"the shares wanted of {dimension} sum to {asked:.4f}, more than 1")
        return self

    def fingerprint(self) -> str:
        """Return a hash of what decides the content."""
        data = self.model_dump(mode="json", exclude=set(RUNTIME_KEYS))
        return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:16]


class _Given(Recipe, BaseSettings):
    """A recipe as flags, environment and file give it."""

    model_config = SettingsConfigDict(env_prefix="PIXEL_DATASET_", env_nested_delimiter="__")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        *others: PydanticBaseSettingsSource,
        **named: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        path = Path("pixel.toml")
        table = tomllib.loads(path.read_text(encoding="utf-8")).get("dataset", {}) if path.is_file() else {}
        return (init_settings, env_settings, InitSettingsSource(settings_cls, init_kwargs=table))


def load_recipe(**flags: Any) -> Recipe:
    """Build the recipe from ``pixel.toml``, the environment and flags (``None`` = flag not given).

    Raises:
        UsageError: Naming each wrong key and what is wrong with it.
    """
    try:
        given = _Given(**{key: value for key, value in flags.items() if value is not None})
        return Recipe(**given.model_dump())
    except (tomllib.TOMLDecodeError, SettingsError) as error:
        raise UsageError(f"pixel.toml or PIXEL_DATASET_*: {error}") from error
    except ValidationError as error:
        lines = [f"{'.'.join(map(str, e['loc'])) or 'recipe'}: {e['msg']}" for e in error.errors()]
        raise UsageError(
            "unusable recipe\n" + "\n".join(f"  {line}" for line in lines), hint="pixel-synth config show --dataset"
        ) from error


CATEGORIES: tuple[Category, ...] = ("psychology", "voice", "mental_health", "reasoning", "personality")
