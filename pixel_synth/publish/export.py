"""Writes the dataset files of a run in slot order, streaming: accepted to JSONL and Parquet, the rest with reasons."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import IO

from pixel_synth.publish.arrow import ParquetFile
from pixel_synth.publish.tally import Tally
from pixel_synth.records import Conversation, Outcome

FILES = ("conversations.jsonl", "rejected.jsonl", "failed.jsonl", "replans.jsonl")


def export(outcomes: Iterable[Outcome], root: Path) -> tuple[Tally, list[Path]]:
    """Write ``data/`` and ``replans.jsonl`` below ``root`` from the outcomes; return the tally and the files written.

    Every file is complete or not there: they are written beside their place and moved into it at the end.
    """
    folder = root / "data"
    folder.mkdir(exist_ok=True)
    tally = Tally()
    parquet = ParquetFile(folder / "conversations.parquet", Conversation)
    parts: dict[str, IO[bytes]] = {name: (folder / f".{name}.part").open("wb") for name in FILES}

    def put(name: str, line: str) -> None:
        parts[name].write(line.encode() + b"\n")

    for outcome in outcomes:
        tally.add(outcome)
        for attempt in outcome.attempts:
            if attempt.blueprint.attempt:
                put("replans.jsonl", attempt.blueprint.line())
            if attempt.status == "failed":
                put("failed.jsonl", attempt.line())
            elif attempt.conversation is not None:
                put("conversations.jsonl" if attempt.status == "accepted" else "rejected.jsonl", attempt.conversation.line())
                if attempt.status == "accepted":
                    parquet.add(attempt.conversation)
    parquet.close()
    written = [folder / "conversations.parquet"]
    for name, file in parts.items():
        file.flush()
        os.fsync(file.fileno())
        file.close()
        target = root / name if name == "replans.jsonl" else folder / name
        os.replace(file.name, target)
        written.append(target)
    return tally, written
