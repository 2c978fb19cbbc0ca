"""Writes the dataset files of a run in slot order, streaming: accepted to JSONL and Parquet, the rest with reasons; and their index."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import IO

from pixel_synth.jsonl import whole
from pixel_synth.publish import index
from pixel_synth.publish.arrow import ParquetFile
from pixel_synth.publish.tally import Tally
from pixel_synth.records import Conversation, Outcome

REPLANS = "replans.jsonl"
REVIEW = "review.jsonl"


class Lines:
    """A text file that is written line by line and tells where each one lies."""

    def __init__(self, file: IO[str]) -> None:
        self._file, self._end = file, 0

    def add(self, line: str) -> tuple[int, int]:
        """Append a line; return its first byte and its size in bytes, newline included."""
        start, size = self._end, len(line.encode()) + 1
        self._file.write(line + "\n")
        self._end += size
        return start, size


def export(outcomes: Iterable[Outcome], root: Path, judge: str = "") -> tuple[Tally, list[Path]]:
    """Write ``data/``, ``replans.jsonl`` and the index below ``root`` from the outcomes; return the tally and the files written.

    Every file is complete or not there: they are written beside their place and moved into it at the end.  The index, which is
    derived from them, is not among the files returned.  ``judge`` is the judge's model where scores name none.
    """
    folder = root / "data"
    folder.mkdir(exist_ok=True)
    tally = Tally(judge)
    parquet = ParquetFile(folder / "conversations.parquet", Conversation)
    targets = {status: folder / name for status, name in index.FILES.items()} | {REPLANS: root / REPLANS, REVIEW: folder / REVIEW}
    with ExitStack() as stack:
        places = stack.enter_context(index.writing(root))
        files = {name: Lines(stack.enter_context(whole(target))) for name, target in targets.items()}
        for outcome in outcomes:
            tally.add(outcome)
            for attempt in outcome.attempts:
                bp, conversation = attempt.blueprint, attempt.conversation
                if bp.attempt:
                    files[REPLANS].add(bp.line())
                start, size = files[attempt.status].add((conversation or attempt).line())
                id = conversation.id if conversation else ""
                places.add(index.Place(id, bp.id, bp.slot, bp.attempt, attempt.status, start, size))
                if conversation and conversation.verdict and conversation.verdict.review:
                    files[REVIEW].add(conversation.line())
                if conversation and attempt.status == "accepted":
                    parquet.add(conversation)
    parquet.close()
    return tally, [folder / "conversations.parquet", *targets.values()]
