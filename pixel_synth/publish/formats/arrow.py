"""Folders of the ``datasets`` library with explicit features: ``load_from_disk(".../arrow/default")`` gives the splits.

The library cannot load a folder without rows (``load_from_disk`` of 5.2 ends in an IndexError), so an empty part has none.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pixel_synth.jsonl import whole
from pixel_synth.publish.arrow import ArrowFile
from pixel_synth.publish.entries import PARTS, Entry, Part
from pixel_synth.records import Conversation


def place(out: Path, name: str) -> Path:
    """Return the folder of a part."""
    part = Part(name, Path())
    return out / "arrow" / part.config / part.split


@contextmanager
def writing(out: Path, part: Part) -> Iterator[Callable[[Entry], object]]:
    """Take the entries of a part into a file beside its folder, which the library then lays out as it wants it."""
    folder = place(out, part.name)
    folder.parent.mkdir(parents=True, exist_ok=True)
    rows = folder.with_name(f".{folder.name}.rows")
    try:
        digest, records = hashlib.sha256(part.name.encode()), 0
        with ArrowFile(rows, Conversation) as file:

            def add(entry: Entry) -> None:
                nonlocal records
                records += 1
                digest.update(entry.line.encode())
                file.add_line(entry.line)

            yield add
        if records:
            _save(rows, folder, part.split, digest.hexdigest()[:16])
        else:
            shutil.rmtree(folder, ignore_errors=True)
    finally:
        rows.unlink(missing_ok=True)
    _name_splits(folder.parent)


def _save(rows: Path, folder: Path, split: str, fingerprint: str) -> None:
    """Save rows as the folder of a dataset, whole or not at all; the fingerprint is of the records, so that equal ones give equal bytes."""
    from datasets import Dataset, NamedSplit
    from datasets.utils.logging import disable_progress_bar

    disable_progress_bar()
    table = Dataset.from_file(str(rows), split=NamedSplit(split))
    new, old = (folder.with_name(f".{folder.name}.{state}") for state in ("part", "old"))
    shutil.rmtree(new, ignore_errors=True)
    shutil.rmtree(old, ignore_errors=True)
    Dataset(table.data, info=table.info, split=table.split, fingerprint=fingerprint).save_to_disk(new)
    if folder.exists():
        folder.rename(old)
    new.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def _name_splits(config: Path) -> None:
    """Write the list of splits by which the library knows the folder as one dataset."""
    from datasets import config as names

    with whole(config / names.DATASETDICT_JSON_FILENAME) as file:
        json.dump({"splits": [name for name in PARTS if (config / name / names.DATASET_STATE_JSON_FILENAME).is_file()]}, file)


def reading(out: Path, name: str) -> Iterator[Conversation]:
    """Yield the records of a part, as the library loads them."""
    from datasets import load_from_disk

    part = Part(name, Path())
    if not place(out, name).is_dir():
        return
    loaded: Any = load_from_disk(str(out / "arrow" / part.config))
    for item in loaded[part.split]:
        yield Conversation.model_validate(item)
