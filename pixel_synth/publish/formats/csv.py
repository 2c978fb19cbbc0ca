"""CSV: a row a record, with columns to sort by, the talk to read, and the record itself to read back.

Excel holds 32,767 characters in a cell (Microsoft, Excel specifications and limits).  So the talk is cut there, which is said in it, and
the record is laid out over as many ``record`` columns as the longest one needs.  A cell that a spreadsheet would take for a formula gets
an apostrophe before it (OWASP, CSV injection: = + - @ tab and carriage return), and reading takes it away again.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import ValidationError

from pixel_synth.errors import RecordError
from pixel_synth.jsonl import whole
from pixel_synth.publish.entries import Entry, Part, raw_lines
from pixel_synth.records import Conversation

CELL = 32_767
ROOM = CELL - 1  # for the apostrophe
CUT = "\n… (cut here, the whole talk is in the record columns)"
COLUMNS = (
    "id", "category", "kind", "source", "license", "engine", "topic", "modality", "population", "difficulty", "risk", "language",
    "overall", "accepted", "messages", "words", "talk",
)  # fmt: skip
_LIVE = tuple("=+-@\t\r'")
_BOM = "\ufeff"  # by which Excel tells UTF-8
# Kinds in which the two sides are no client and no therapist.
_PLAIN_KINDS = ("instruction", "reasoning", "preference")


def place(out: Path, name: str) -> Path:
    """Return the file of a part."""
    return out / "csv" / f"{name}.csv"


@contextmanager
def writing(out: Path, part: Part) -> Iterator[Callable[[Entry], object]]:
    """Take the entries of a part; its file is looked through before for the longest line."""
    longest = max((len(raw) for _, raw in raw_lines(part.source)), default=0)
    wide = max(1, -(-longest // ROOM))
    with whole(place(out, part.name)) as file:
        file.write(_BOM)
        table = csv.writer(file)
        table.writerow((*COLUMNS, *("record" if i == 0 else f"record_{i + 1}" for i in range(wide))))

        def add(entry: Entry) -> None:
            pieces = [entry.raw[i * ROOM : (i + 1) * ROOM] for i in range(wide)]
            table.writerow([defused(str(cell)) for cell in (*_cells(entry.record), *pieces)])

        yield add


def defused(cell: str) -> str:
    """Return a cell that no spreadsheet takes for a formula."""
    return f"'{cell}" if cell.startswith(_LIVE) else cell


def restored(cell: str) -> str:
    """Return what `defused` was given."""
    return cell[1:] if cell.startswith("'") else cell


def _cells(c: Conversation) -> tuple[object, ...]:
    labels, origin, overall = c.labels, c.provenance, c.score("overall")
    return (
        c.id, c.category, labels.kind, origin.source, origin.license, origin.engine, labels.topic, labels.modality, labels.population,
        labels.difficulty, labels.risk, labels.language, "" if overall is None or overall.value is None else overall.value,
        "" if c.verdict is None else "yes" if c.verdict.accepted else "no", len(c.messages),
        sum(len(m.content.split()) for m in c.messages), talk(c),
    )  # fmt: skip


def talk(c: Conversation) -> str:
    """Return the messages to be read by a person, at most as long as a cell may be."""
    names = {"user": "Client", "assistant": "Therapist", "system": "System"}
    if c.labels.kind in _PLAIN_KINDS:
        names = {"user": "User", "assistant": "Assistant", "system": "System"}
    text = "\n\n".join(f"{names[m.role]}: {m.content}" for m in c.messages)
    return text if len(text) <= ROOM else text[: ROOM - len(CUT)] + CUT


def reading(out: Path, name: str) -> Iterator[Conversation]:
    """Yield the records of a part, from its ``record`` columns alone.

    Raises:
        RecordError: When it has no such columns, or a row's record is damaged; with file and row.
    """
    path = place(out, name)
    with path.open(encoding="utf-8-sig", newline="") as file:
        table = csv.reader(file)
        try:
            columns = [i for i, column in enumerate(next(table, [])) if column == "record" or column.startswith("record_")]
            if not columns:
                raise RecordError(f"{path} has no column 'record'", hint="export it again")
            for row in table:
                line = "".join(restored(row[i]) for i in columns if i < len(row))
                yield Conversation.model_validate_json(line)
        except csv.Error as error:
            raise RecordError(f"{path}, line {table.line_num}: {error}", hint="export it again") from error
        except ValidationError as error:
            raise RecordError(
                f"{path}, line {table.line_num}: the record is damaged: {error.errors()[0]['msg']}",
                hint="a program that saved the table may have cut or changed its cells; export it again",
            ) from error
