"""Output that grows line by line: what a kill leaves is gone on with, and in the end the lines stand in the order of the source."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from pixel_synth.errors import PixelError
from pixel_synth.jsonl import MAX_LINE_BYTES, whole

Item = TypeVar("Item")


def mend(path: Path) -> None:
    """Cut off a last line that was not written to its end."""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.seek(max(0, size - MAX_LINE_BYTES))
        tail = file.read()
    if not tail.endswith(b"\n"):
        os.truncate(path, start + tail.rfind(b"\n") + 1)


async def grow(path: Path, waiting: Iterator[Item], work: Callable[[Item], Awaitable[str]], window: int) -> None:
    """Append a line for every item as soon as it is made, at most ``window`` at once.

    Raises:
        PixelError: The first that ``work`` raised; the lines of the others are kept.
        OSError: When the file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as out:

        async def worker() -> None:
            for item in waiting:
                line = await work(item)
                out.write(line + "\n")
                out.flush()

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(window):
                    group.create_task(worker())
        except* (PixelError, OSError) as errors:
            raise errors.exceptions[0] from None


def put_in_order(path: Path, order: Sequence[str], key: Callable[[bytes], str]) -> None:
    """Rewrite a file in the order of its lines' keys, by their places."""
    places: dict[str, tuple[int, int]] = {}
    with path.open("rb") as file:
        start = 0
        for line in file:
            places[key(line)] = (start, len(line))
            start += len(line)
        with whole(path) as out:
            for k in dict.fromkeys(order):
                if k in places:
                    file.seek(places[k][0])
                    out.write(file.read(places[k][1]).decode())
