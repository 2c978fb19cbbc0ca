"""Rows of any known file: JSON lines, JSON documents, CSV and TSV, Parquet, Arrow, all but the last two also as .gz and .zst.

Bounded memory whatever the file: one line, row or batch at a time.  Whatever cannot be read is a row as well, with file, place and
reason, and the rest goes on.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from pydantic_core import from_json

from pixel_synth.errors import SourceError
from pixel_synth.standardise import columnar, document, table
from pixel_synth.standardise.opening import KEPT_BYTES, Damage, form, lines

SUFFIXES = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet", ".arrow", ".feather")
PACKED_SUFFIXES = (".gz", ".zst")
_KEY = re.compile(rb'"\s*:')


class Raw(NamedTuple):
    """One row as it stood: its value, or what is wrong with it and the beginning of its text; ``row`` is 1-based."""

    value: dict[str, Any] | None
    file: str
    row: int
    error: str = ""
    text: str = ""


class Unparsed(NamedTuple):
    """One line of JSON that nobody has parsed yet, so that another process can."""

    data: bytes
    file: str
    row: int


def files(path: Path) -> list[Path]:
    """Return the data files of a path, sorted: itself, or all below a folder that are named like data.

    Hidden files and folders are passed over, and so are symbolic links that lead out of the folder.

    Raises:
        SourceError: When there is nothing to read.
    """
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise SourceError(f"{path} is not there", hint="give a file or a folder")
    found = [p for p in contents(path) if is_data(p)]
    if not found:
        raise SourceError(f"no data file below {path}", hint=f"files are looked for by name: {' '.join(SUFFIXES)}, also with .gz or .zst")
    return found


def contents(folder: Path) -> list[Path]:
    """Return all files below a folder that are not hidden and do not lead out of it, sorted."""
    root = folder.resolve()
    below = (p for p in folder.rglob("*") if not any(part.startswith(".") for part in p.relative_to(folder).parts))
    return sorted(p for p in below if p.is_file() and p.resolve().is_relative_to(root))


def is_data(path: Path) -> bool:
    """Tell by its name whether a file of a folder is taken for data."""
    name = path.name.lower()
    for packed in PACKED_SUFFIXES:
        name = name.removesuffix(packed)
    return name.endswith(SUFFIXES)


def rows(path: Path) -> Iterator[Raw]:
    """Yield every row of a file, or of all data files of a folder.

    Raises:
        SourceError: When there is nothing to read.
    """
    for file in files(path):
        name = file.name if file == path else file.relative_to(path).as_posix()
        for row in unparsed(file, name):
            yield parsed(row)


def unparsed(path: Path, name: str) -> Iterator[Raw | Unparsed]:
    """Yield the rows of one file under the name it goes by; JSON lines are left for `parsed`."""
    row = 0
    try:
        kind = form(path)
        if kind == "lines":
            for line in lines(path):
                row = line.number
                if line.error:
                    yield Raw(None, name, row, line.error, line.data.decode(errors="replace"))
                else:
                    yield Unparsed(line.data, name, row)
            return
        read = {"table": table.read, "document": document.read, "parquet": columnar.read, "arrow": columnar.read}[kind]
        for cell in read(path):
            row = cell.row
            yield Raw(cell.value, name, row, cell.error, cell.text)
    except Damage as error:
        yield Raw(None, name, row, str(error))
    except OSError as error:
        yield Raw(None, name, row, f"unreadable: {error.strerror or error}")


def parsed(row: Raw | Unparsed) -> Raw:
    """Parse a line of JSON: an object without repeated keys, without NaN and nested at most 200 deep."""
    if isinstance(row, Raw):
        return row
    value, error = parse(row.data)
    return Raw(value, row.file, row.row, error, row.data[:KEPT_BYTES].decode(errors="replace") if error else "")


def parse(data: bytes) -> tuple[dict[str, Any] | None, str]:
    """Return the object that a line holds, or what is wrong with it."""
    if b"\0" in data:
        return None, "NUL byte"
    try:
        value = from_json(data, allow_inf_nan=False)
    except ValueError as error:
        return None, _told(data, str(error))
    if not isinstance(value, dict):
        return None, f"not an object: {type(value).__name__}"
    # As many keys in the text as in the value: none is there twice.  Text that looks like a key only makes this look closer.
    if len(_KEY.findall(data)) != _keys(value) and (key := _repeated(data)):
        return None, f"repeated key: {key!r}"
    return value, ""


def _told(data: bytes, error: str) -> str:
    try:
        data.decode()
    except UnicodeDecodeError as wrong:
        return f"encoding: byte 0x{data[wrong.start]:02x} at column {wrong.start + 1} is no UTF-8"
    where = error.replace(" at line 1", "")
    if "recursion" in error:
        return f"nested too deep: {where}"
    if "hex escape" in error:
        return f"lone surrogate: {where}"
    return f"malformed JSON: {where}"


def _keys(value: Any) -> int:
    if isinstance(value, dict):
        return len(value) + sum(_keys(v) for v in value.values() if type(v) is dict or type(v) is list)
    return sum(_keys(v) for v in value if type(v) is dict or type(v) is list)


class _Repeated(ValueError):
    pass


def _unique(pairs: list[tuple[str, Any]]) -> None:
    seen: set[str] = set()
    for key, _ in pairs:
        if key in seen:
            raise _Repeated(key)
        seen.add(key)


def _repeated(data: bytes) -> str:
    try:
        json.loads(data, object_pairs_hook=_unique)
    except _Repeated as error:
        return str(error)
    return ""
