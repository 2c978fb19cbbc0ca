"""A whole text to entries: sections by heading, each read on its own, and an account of every line."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from pixel_synth.errors import KnowledgeError
from pixel_synth.knowledge.parse.criteria import read_disorder
from pixel_synth.knowledge.parse.headings import LABELLED, criteria_heading, kind_of, levels, title
from pixel_synth.knowledge.parse.inventory import read_instrument
from pixel_synth.knowledge.parse.labelled import read_labelled
from pixel_synth.knowledge.parse.layout import Piece, compounds, furniture, pieces, ruled
from pixel_synth.knowledge.parse.meaning import codes, without_codes
from pixel_synth.knowledge.parse.result import SOURCE_KEY, Kind, Parsed, Reading, Unread, slug
from pixel_synth.knowledge.parse.source import Line, read_lines, split

NOT_FOUND = "give each entry a heading ('## Name'), and below it criteria A., B., labelled passages, or numbered items with an answer scale"


class Document(NamedTuple):
    """What became of a text.

    Attributes:
        name: The file's name.
        lines: How many lines it has; equals ``blank`` + ``len(furniture)`` + ``len(read)`` + ``len(unread)``.
        blank: Empty lines.
        furniture: Page headers, footers, page numbers and rules, by line (1-based).
        read: For every line that was understood (1-based) the entry and the field it went into.
        unread: The other lines, with a reason.
        entries: The entries in the order of the text.
    """

    name: str
    lines: int
    blank: int
    furniture: tuple[int, ...]
    read: dict[int, str]
    unread: tuple[Unread, ...]
    entries: tuple[Parsed, ...]


class Section(NamedTuple):
    """A heading (None: text before the first one) and the pieces below it."""

    heading: Piece | None
    body: list[Piece]


def parse_file(path: Path, kind: Kind | None = None) -> Document:
    """Parse a text file, a Markdown file or a PDF.

    Args:
        path: The file.
        kind: Read every section as this kind; None decides by what stands in it.

    Raises:
        KnowledgeError: For a file that cannot be read, or in which no entry is found.
    """
    return parse_lines(read_lines(path), str(path), kind)


def parse_text(text: str, name: str = "text", kind: Kind | None = None) -> Document:
    """Parse a text given as a string; see `parse_file`."""
    return parse_lines(split(text, name), name, kind)


def parse_lines(lines: Sequence[Line], name: str, kind: Kind | None = None) -> Document:
    """Parse numbered lines; see `parse_file`."""
    blank = {line.number for line in lines if not line.text.strip()}
    gone = furniture(lines) | {line.number for line in lines if ruled(line.text)}
    gone |= {line.number for line, under in pairwise(lines) if line.text.lstrip().startswith("|") and _separator(under)}
    found = levels([line for line in lines if line.number not in gone or ruled(line.text)])
    kept = [line._replace(text="") if ruled(line.text) else line for line in lines if line.number not in gone or ruled(line.text)]
    parts = pieces([(line, found.get(line.number, 0)) for line in kept], LABELLED, compounds(kept))
    entries: dict[tuple[str, str], Parsed] = {}
    ordered: list[Parsed] = []
    read: dict[int, str] = {}
    why: dict[int, str] = {}
    for section in sections(parts):
        reading = read_section(section, kind)
        if reading is None:
            reason = "below a heading without criteria, labels or items" if section.heading else "before the first heading"
            read.update(dict.fromkeys(section.heading.lines if section.heading else (), "title"))
            why.update({n: reason for piece in section.body for n in piece.lines})
            continue
        parsed = _unique(reading, entries).finish()
        entries.setdefault((parsed.kind, parsed.entry["id"]), parsed)
        ordered.append(parsed)
        read.update({n: f"{reading.entry.get('id', '?')}: {field}" for n, field in reading.fields.items()})
        why.update(reading.why)
    if not entries:
        raise KnowledgeError(f"{name}: no entry found in {len(lines)} lines", hint=NOT_FOUND)
    told = blank | gone | set(read)
    open_ = [line for line in lines if line.number not in told]
    unread = tuple(Unread(line.number, line.text.strip()[:60], why.get(line.number, "not understood")) for line in open_)
    return Document(name, len(lines), len(blank), tuple(sorted(gone - blank)), read, unread, tuple(ordered))


def _separator(line: Line) -> bool:
    return line.text.lstrip().startswith("|") and ruled(line.text)


def sections(parts: Sequence[Piece]) -> list[Section]:
    """Part pieces at the headings of entries; "Diagnostic Criteria for Name" opens one where no heading has just done so."""
    found: list[Section] = [Section(None, [])]
    for piece in parts:
        named = criteria_heading(piece.text) if piece.heading else None
        if piece.heading > 0:
            found.append(Section(piece, []))
        elif named and named["name"] and found[-1].body:
            found.append(Section(piece._replace(text=f"{named['name'].strip()} {named['rest'] or ''}"), []))
        else:
            found[-1].body.append(piece)
    return [s for s in found if s.heading or s.body]


def read_section(section: Section, kind: Kind | None = None) -> Reading | None:
    """Read one section into a `Reading`, or return None where it holds no entry."""
    given, name, number = title(section.heading.text) if section.heading else (None, "", None)
    kind = kind or given or kind_of(section.body)
    if kind is None or (not section.body and given is None):
        return None
    heading = section.heading
    if heading is None and (named := next((m for p in section.body if p.heading and (m := criteria_heading(p.text)) and m["name"]), None)):
        name = named["name"].strip()
    line = heading.line if heading else section.body[0].line
    listed, name = codes(name), _cased(without_codes(name))
    reading = Reading(kind, name or "?", line, {"id": slug(re.sub(r"\s*\([^)]*\)$", "", name)), "name": name, "source": [SOURCE_KEY]})
    if heading:
        reading.took(heading.lines, "name", ("name",))
    if not reading.entry["id"]:
        reading.fault(line, "an entry without a name", "put the name on a line of its own above it, such as '## Name'")
        reading.entry |= {"id": f"line_{line}", "name": f"Entry at line {line}"}
    if kind == "disorder":
        if listed:
            reading.entry["icd10cm"] = listed[0]
            reading.where["icd10cm",] = line
        if len(listed) > 1:
            reading.note(line, f"several codes; {listed[0]} taken, not {', '.join(listed[1:])}")
        read_disorder(reading, section.body)
    elif kind == "instrument":
        read_instrument(reading, section.body, SOURCE_KEY)
    else:
        read_labelled(reading, section.body, number)
    return reading


def _cased(name: str) -> str:
    """A heading in capitals becomes a sentence; an abbreviation in brackets keeps its capitals."""
    if re.search(r"[a-z]", re.sub(r"\([^)]*\)", "", name)):
        return name
    abbr = re.search(r"\([^)]*\)$", name)
    return name[: abbr.start()].capitalize() + abbr[0] if abbr else name.capitalize()


def _unique(reading: Reading, before: Mapping[tuple[str, str], Parsed]) -> Reading:
    if twin := before.get((reading.kind, reading.entry["id"])):
        reading.fault(
            reading.line, f"{reading.kind} {reading.entry['id']!r} is already at line {twin.line}", "give one of them another heading"
        )
    return reading
