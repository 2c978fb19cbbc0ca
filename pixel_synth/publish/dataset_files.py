"""Writes a dataset in the formats of `pixel_synth.publish.formats`, reads it back, and compares.

jsonl, json, csv, parquet and arrow hold whole records and read back to equal ones.  chat and packed are for trainers: what they hold is
derived from the records, and `check` derives it again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from itertools import zip_longest
from pathlib import Path
from typing import Any, get_args

from pixel_synth.errors import RecordError, UsageError
from pixel_synth.jsonl import whole
from pixel_synth.publish.chat_rows import preference
from pixel_synth.publish.chat_template import Template
from pixel_synth.publish.entries import PARTS, Entry, Part, entries, parts
from pixel_synth.publish.formats import arrow, chat, csv, jsonl, packed, parquet
from pixel_synth.publish.formats import json as json_format
from pixel_synth.recipe import Format, Order
from pixel_synth.records import Conversation

FORMATS: tuple[Format, ...] = get_args(Format)
LOSSLESS = {"jsonl": jsonl, "json": json_format, "csv": csv, "parquet": parquet, "arrow": arrow}
EXPORT = "export.json"
STEP = 500  # records between two reports of progress
Progress = Callable[[str, int], None]


def _silent(part: str, records: int) -> None:
    """Show nothing."""


def export(
    data: Path,
    formats: Sequence[str],
    out: Path,
    *,
    tokenizer: str = "",
    max_tokens: int = 4096,
    think: bool = False,
    order: Order | None = None,
    seed: int = 7,
    progress: Progress = _silent,
) -> dict[str, Any]:
    """Write a dataset in some formats; every record is read and validated once for all of them.

    Args:
        data: Folder with ``train.jsonl``, ``validation.jsonl``, ``test.jsonl``, ``auxiliary.jsonl``, ``client_lines.jsonl`` as far as they
            are there; a run directory; or one file, which becomes the training split.
        formats: Some of `FORMATS`.
        out: Folder; what an earlier export into it wrote in these formats is replaced.  It may be ``data`` itself.
        tokenizer: Folder of a tokenizer, by which text is rendered and tokens are counted; "" = plain ChatML, not counted.
        max_tokens: Length of packed sequences, 1 or more.
        think: Put chains of thought into the replies of the format chat.
        order: Order of the training split; ``None`` leaves it as it is.
        seed: Seed of the order.
        progress: Told the part and how many of its records are written.

    Returns:
        What ``export.json`` says, too: formats, files (relative to ``out``), records, preferences and tokens of each part
        (``None`` when not counted), template, and how well sequences are packed.

    Raises:
        UsageError: When a format or the tokenizer is unusable, or there is nothing to export.
        RecordError: At the first line that is no record, or when nothing can be written.
    """
    template = _template(formats, tokenizer, max_tokens)
    facts: dict[str, Any] = {
        "formats": list(dict.fromkeys(formats)), "files": [], "records": {}, "preferences": {},
        "tokens": {} if template and template.tokenizer else None, "tokenizer": Path(tokenizer).resolve().name if tokenizer else "",
        "template": template.name if template else "", "template_sha256": template.sha256 if template else "", "defused": 0,
        "think": think, "order": order, "max_tokens": max_tokens if "packed" in formats else None, "packed": {},
    }  # fmt: skip
    found = parts(data)
    for stale in list(_stale(out, {*PARTS} - {part.name for part in found}, data)):
        stale.unlink()
    with _ordered(found, order, seed, out) as ordered:
        for part in ordered:
            _write(part, formats, out, entries(part, template, think=think), facts, progress)
    facts["files"] = sorted(
        {p.relative_to(out).as_posix() for part in found for p in _files(out, part.name, formats)} | _lists(out, formats)
    )
    with whole(out / EXPORT) as file:
        file.write(json.dumps(facts, indent=1, ensure_ascii=False) + "\n")
    return facts


def check_request(formats: Sequence[str], tokenizer: str, max_tokens: int) -> None:
    """Find out before anything is read whether an export can be made.

    Raises:
        UsageError: When a format or length is unusable, or a tokenizer is missing.
    """
    unknown = [name for name in formats if name not in FORMATS]
    if unknown or not formats:
        raise UsageError(f"no format {', '.join(unknown) or 'is named'}", hint=f"one of {', '.join(FORMATS)}")
    if max_tokens < 1:
        raise UsageError(f"max_tokens is {max_tokens}, at least one token has to fit into a sequence")
    if "packed" in formats and not tokenizer:
        raise UsageError("format packed needs a tokenizer, since a packed sequence is measured in tokens", hint="--tokenizer FOLDER")


def _template(formats: Sequence[str], tokenizer: str, max_tokens: int) -> Template | None:
    check_request(formats, tokenizer, max_tokens)
    return Template(Path(tokenizer) if tokenizer else None) if tokenizer or {"chat", "packed"} & {*formats} else None


@contextmanager
def _ordered(found: Sequence[Part], order: Order | None, seed: int, out: Path) -> Iterator[list[Part]]:
    """Give the parts with the training split in order, which lies in a hidden file meanwhile."""
    if order is None:
        yield list(found)
        return
    from pixel_synth.curate.order import order_file

    hidden = out / ".ordered.jsonl"
    try:
        done = []
        for part in found:
            if part.name == "train":
                if part.source.suffix == ".gz":
                    raise UsageError(f"{part.source} is packed, and lines are ordered by their place", hint=f"gunzip -k {part.source}")
                order_file(part.source, hidden, order, seed)
                part = part._replace(source=hidden)
            done.append(part)
        yield done
    finally:
        hidden.unlink(missing_ok=True)


def _write(part: Part, formats: Sequence[str], out: Path, found: Iterator[Entry], facts: dict[str, Any], progress: Progress) -> None:
    records = tokens = pairs = 0
    with ExitStack() as stack:
        adds = [stack.enter_context(_writing(name, out, part, facts)) for name in dict.fromkeys(formats)]
        for entry in found:
            for add in adds:
                add(entry)
            records, tokens, pairs = records + 1, tokens + (entry.tokens or 0), pairs + bool(entry.record.dispreferred)
            facts["defused"] += entry.defused
            if records % STEP == 0:
                progress(part.name, records)
    progress(part.name, records)
    facts["records"][part.name], facts["preferences"][part.name] = records, pairs
    if facts["tokens"] is not None:
        facts["tokens"][part.name] = tokens


def _writing(name: str, out: Path, part: Part, facts: dict[str, Any]) -> AbstractContextManager[Callable[[Entry], object]]:
    if name == "chat":
        return chat.writing(out, part)
    if name == "packed":
        return packed.writing(out, part, facts["max_tokens"], facts["packed"])
    found: AbstractContextManager[Callable[[Entry], object]] = LOSSLESS[name].writing(out, part)
    return found


def places(out: Path, name: str, format: str) -> list[Path]:
    """Return where a part lies in a format, whether it is there or not."""
    if format == "chat":
        return [chat.place(out, name), chat.preferences(out, name)]
    if format == "packed":
        return [packed.place(out, name), packed.lengths(out, name)]
    return [LOSSLESS[format].place(out, name)]


def _files(out: Path, name: str, formats: Sequence[str]) -> Iterator[Path]:
    for format in formats:
        for path in places(out, name, format):
            yield from (p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path] if path.is_file() else []


def _lists(out: Path, formats: Sequence[str]) -> set[str]:
    """Return the files that belong to no part."""
    found = (out / "arrow").glob("*/*.json") if "arrow" in formats else ()
    return {p.relative_to(out).as_posix() for p in found}


def _stale(out: Path, absent: set[str], data: Path) -> Iterator[Path]:
    """Yield what an earlier export wrote here of parts that are not there any more; never what lies beside the records that are read."""
    path = out / EXPORT
    if not path.is_file():
        return
    try:
        before = json.loads(path.read_text(encoding="utf-8"))
        earlier, formats = {str(name) for name in before["files"]}, [name for name in before["formats"] if name in FORMATS]
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path} is damaged: {error}", hint="remove it, or export into another folder") from error
    shared = out.resolve() in (data.resolve(), data.resolve().parent, (data / "data").resolve())
    for name in sorted(absent):
        for found in _files(out, name, [f for f in formats if f != "jsonl" or not shared]):
            if found.relative_to(out).as_posix() in earlier:
                yield found


def read_back(out: Path, format: str, part: str = "") -> Iterator[Conversation]:
    """Yield the records of an export, from one format; all parts in their order, or one.

    Args:
        out: Folder of the export.
        format: A format that holds whole records.
        part: One of train, validation, test, auxiliary, client_lines; "" = all that are there.

    Raises:
        UsageError: When the format holds no whole records, or the export has none in it.
        RecordError: When a file is damaged.
    """
    if format not in LOSSLESS:
        raise UsageError(f"format {format} holds no whole records", hint=f"read one of {', '.join(LOSSLESS)}")
    names = [name for name in ([part] if part else PARTS) if LOSSLESS[format].place(out, name).exists()]
    if not names:
        raise UsageError(f"{out} holds no {part or 'records'} in format {format}", hint=f"pixel-synth export … -o {out} --format {format}")
    for name in names:
        yield from LOSSLESS[format].reading(out, name)


def check(data: Path, facts: dict[str, Any], out: Path, *, tokenizer: str = "", seed: int = 7) -> dict[str, list[str]]:
    """Read an export again and compare it with the records that it was made from.

    Args:
        data: What was exported.
        facts: What `export` returned.
        out: Folder of the export.
        tokenizer: As for `export`.
        seed: As for `export`.

    Returns:
        For each format what is wrong with it, nothing when it is right; the first fault of every part is named.
    """
    template = _template(facts["formats"], tokenizer, facts["max_tokens"] or 1)
    faults: dict[str, list[str]] = {name: [] for name in facts["formats"]}
    with _ordered(parts(data), facts["order"], seed, out) as ordered:
        for part in ordered:
            for name in facts["formats"]:
                try:
                    fault = _fault(name, out, part, entries(part, template, think=facts["think"]), facts)
                except (RecordError, OSError) as error:
                    fault = str(error)
                faults[name] += [f"{part.name}: {fault}"] if fault else []
    return faults


def _fault(name: str, out: Path, part: Part, expected: Iterator[Entry], facts: dict[str, Any]) -> str:
    if name in LOSSLESS:
        return _first_difference((e.record for e in expected), LOSSLESS[name].reading(out, part.name))
    if name == "chat":
        return _first_difference((e.row for e in expected), chat.rows(out, part.name)) or _first_difference(
            (pair for e in entries(part) if (pair := preference(e.record))), chat.pairs(out, part.name)
        )
    return packed.fault(out, part.name, {e.record.id: e.tokens or 0 for e in expected}, facts["max_tokens"])


def _first_difference(expected: Iterator[Any], found: Iterator[Any]) -> str:
    for number, (one, other) in enumerate(zip_longest(expected, found), 1):
        if one != other:
            return (
                f"record {number} is missing"
                if other is None
                else f"record {number} is too many"
                if one is None
                else f"record {number} differs"
            )
    return ""
