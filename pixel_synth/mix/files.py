"""Reading the records of several files as items, and writing chosen ones out again line by line, without holding any text."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any, Self

from pixel_synth.errors import RecordError, UsageError
from pixel_synth.jsonl import whole
from pixel_synth.mix.item import Item, item, records


class Lines:
    """The lines of JSONL files, found again by the id of their record.

    Args:
        paths: Files of records, all of them whole.

    Raises:
        UsageError: When a file is packed.
        RecordError: When one is not there.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        for path in paths:
            if path.suffix in (".gz", ".zst"):
                raise UsageError(
                    f"{path} is packed, and records are read from their place in the file", hint=f"unpack it first: {path.stem}"
                )
            if not path.is_file():
                raise RecordError(f"no file {path}")
        self.paths = tuple(paths)
        self._of: dict[str, int] = {}
        self._open = ExitStack()
        self._files: dict[int, IO[bytes]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(path.stat().st_size for path in self.paths)

    def items(self, show: Callable[[int], None] = lambda read: None) -> list[Item]:
        """Read every record; ``show`` is told how many bytes were read since it was last told.

        Raises:
            RecordError: At the first line that is no record, or an id that was there before.
        """
        found = []
        for number, path in enumerate(self.paths):
            for record, start, size in records(path):
                if record.id in self._of:
                    raise RecordError(
                        f"{path}: record {record.id} was there before, in {self.paths[self._of[record.id]]}",
                        hint="the same file given twice? duplicates are taken out by pixel-synth dedup",
                    )
                self._of[record.id] = number
                found.append(item(record, start, size))
                show(size)
        return found

    def file(self, it: Item) -> Path:
        """Return the file of a record."""
        return self.paths[self._of[it.id]]

    def line(self, it: Item) -> bytes:
        """Return the line of a record, with its newline."""
        number = self._of[it.id]
        if number not in self._files:
            self._files[number] = self._open.enter_context(self.paths[number].open("rb"))
        self._files[number].seek(it.start)
        line = self._files[number].read(it.size)
        return line if line.endswith(b"\n") else line + b"\n"

    def text(self, it: Item) -> str:
        """Return what is said in a record."""
        data: dict[str, Any] = json.loads(self.line(it))
        return "\n".join(message["content"] for message in data["messages"])

    def copy(self, items: Iterable[Item], path: Path) -> int:
        """Write the lines of records to a file as they are; return how many."""
        n = 0
        with whole(path) as file:
            for n, it in enumerate(items, 1):  # noqa: B007
                file.write(self.line(it).decode())
        return n
