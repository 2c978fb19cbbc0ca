"""Writes the dataset files of a run in slot order, streaming: accepted to JSONL and Parquet, the rest with reasons."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

from pixel_synth.jsonl import whole
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
    targets = {name: (root if name == "replans.jsonl" else folder) / name for name in FILES}
    with ExitStack() as stack:
        files = {name: stack.enter_context(whole(target)) for name, target in targets.items()}
        for outcome in outcomes:
            tally.add(outcome)
            for attempt in outcome.attempts:
                if attempt.blueprint.attempt:
                    files["replans.jsonl"].write(attempt.blueprint.line() + "\n")
                if attempt.status == "failed":
                    files["failed.jsonl"].write(attempt.line() + "\n")
                elif attempt.conversation is not None:
                    accepted = attempt.status == "accepted"
                    files["conversations.jsonl" if accepted else "rejected.jsonl"].write(attempt.conversation.line() + "\n")
                    if accepted:
                        parquet.add(attempt.conversation)
    parquet.close()
    return tally, [folder / "conversations.parquet", *targets.values()]
