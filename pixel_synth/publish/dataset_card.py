"""The card of a dataset: ``README.md`` with the front matter by which the Hub and ``datasets.load_dataset`` know its configurations.

Keys of the front matter: https://huggingface.co/docs/hub/datasets-cards and https://huggingface.co/docs/hub/datasets-manual-configuration.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from pixel_synth.errors import UsageError
from pixel_synth.jsonl import whole
from pixel_synth.mix.split_card import section
from pixel_synth.publish.card_facts import CardFacts, gather
from pixel_synth.publish.entries import ASIDE, PARTS, SPLITS

CARD = "README.md"
MADE = "pixel_synth"  # the tag by which a card of ours is known
# https://huggingface.co/docs/hub/repositories-licenses; others are the SPDX identifier in lower case
HUB_LICENCES = {"ODC-By-1.0": "odc-by", "ODbL-1.0": "odbl", "GPL-3.0-only": "gpl-3.0", "AGPL-3.0-only": "agpl-3.0", "OpenRAIL": "openrail"}
NAMED = ("MIT", "Apache-2.0", "BSD-3-Clause", "CC0-1.0", "CDLA-Permissive-2.0")
SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"), (10_000_000, "1M<n<10M"))
NOT = "not measured"


def write_card(run: Path, out: Path | None = None) -> Path:
    """Write the card of an export, and return its path.

    Args:
        run: Run directory, folder or file of records.
        out: Folder of the export; default: the run.

    Raises:
        RecordError: When a record or a file of the run cannot be read.
        UsageError: When there are no records, or a README.md of somebody else lies there.
    """
    out = out or run
    path = check_place(out)
    text = render(gather(run, out), out)
    with whole(path) as file:
        file.write(text)
    return path


def check_place(out: Path) -> Path:
    """Return where the card of a folder lies.

    Raises:
        UsageError: When a README.md that is no card of ours lies there.
    """
    path = out / CARD
    if path.is_file() and MADE not in path.read_text(encoding="utf-8", errors="replace")[:4000]:
        raise UsageError(f"{path} is no card of pixel_synth, and would be lost", hint="export into a folder of its own")
    return path


def render(facts: CardFacts, out: Path) -> str:
    """Return the card of the files below a folder; equal files give equal bytes."""
    listed = configs(out, facts)
    head = yaml.safe_dump(front_matter(facts, listed), sort_keys=False, allow_unicode=True, width=140)
    text = _templates().get_template("dataset_card.md.j2").render(
        f=facts, formats=_formats(out), configs=listed, aside=ASIDE, splits=section(facts.splits) if facts.splits else "",
    )  # fmt: skip
    return f"---\n{head}---\n\n{text}"


def front_matter(facts: CardFacts, listed: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the YAML of the card; a language is named when a record is known to be in it."""
    languages = sorted(code for code in facts.languages if code)
    tags = ["mental-health", "psychology", "counseling", *(["synthetic"] if _written(facts) else []), MADE]
    matter = {
        **_license(facts),
        **({"language": languages} if languages else {}),
        "pretty_name": facts.name,
        "size_categories": [next((name for most, name in SIZES if facts.records < most), "10M<n<100M")],
        "task_categories": ["text-generation"],
        "tags": tags,
    }
    return {**matter, "configs": listed} if listed else matter


def _written(facts: CardFacts) -> bool:
    return any(s.source == "generated" for s in facts.sources)


def _license(facts: CardFacts) -> dict[str, str]:
    """Return the licence of the whole: the one inside, the share-alike one that binds all, else "other" with the names of all."""
    found = facts.terms.licences
    if not facts.terms.problems:
        one = found[0] if len(found) == 1 and found[0] in (*NAMED, *HUB_LICENCES) else facts.terms.under
        if one or (len(found) == 1 and found[0].startswith("CC-")):
            one = one or found[0]
            return {"license": HUB_LICENCES.get(one, one.lower())}
    return {"license": "other", "license_name": "-and-".join(re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-") for text in found)}


def configs(out: Path, facts: CardFacts) -> list[dict[str, Any]]:
    """Return the configurations of ``load_dataset``, each with its splits.

    Only Parquet is named: the library reads all configurations of a card as one kind of file, and of JSON and CSV it would guess each
    split's columns from its rows, which fails where a column is empty in one split.  A file without records is left out.
    """
    root = "data/" if (out / "data").is_dir() else ""
    filled = {p.name for p in facts.parts if p.records}
    found: list[dict[str, Any]] = []

    def add(name: str, where: str, named: Iterable[str]) -> None:
        files = {n if n in SPLITS else "train": root + where.format(n) for n in named if n in filled}
        there = [{"split": split, "path": path} for split, path in files.items() if (out / path).is_file()]
        if there:
            found.append({"config_name": name, **({} if found else {"default": True}), "data_files": there})

    if (out / root / "chat").is_dir():
        add("default", "chat/default/{}.parquet", SPLITS)
        add("preference", "chat/preference/{}.parquet", SPLITS)
        add("records", "parquet/{}.parquet", SPLITS)
    else:
        add("default", "parquet/{}.parquet", SPLITS)
    for name in ASIDE:
        add(name, f"chat/{name}/train.parquet" if (out / root / "chat").is_dir() else "parquet/{}.parquet", [name])
    return found


# Where a part lies in the formats of whole records that are one file.
_PLACES = (("parquet", "parquet/{}.parquet"), ("jsonl", "{}.jsonl"), ("json", "json/{}.json"), ("csv", "csv/{}.csv"))


def _formats(out: Path) -> list[str]:
    root = out / "data" if (out / "data").is_dir() else out
    found = [name for name, where in _PLACES if any((root / where.format(part)).is_file() for part in PARTS)]
    return found + [name for name in ("arrow", "chat", "packed") if (root / name).is_dir()]


@lru_cache(maxsize=1)
def _templates() -> Environment:
    loader = FileSystemLoader(Path(__file__).parent / "templates")
    env = Environment(loader=loader, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    env.filters["n"] = lambda value: NOT if value is None else f"{value:,}"
    env.filters["pct"] = lambda value: NOT if value is None else f"{value:.1%}"
    env.filters["num"] = lambda value: NOT if value is None else f"{value:.3f}"
    env.filters["cell"] = lambda text: " ".join(str(text).split()).replace("|", "\\|") or "–"
    return env
