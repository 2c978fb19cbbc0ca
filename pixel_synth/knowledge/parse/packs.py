"""What was parsed as packs on disk, and the account of the reading as text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import yaml

from pixel_synth.errors import KnowledgeError
from pixel_synth.knowledge.load import read_pack
from pixel_synth.knowledge.parse.document import Document
from pixel_synth.knowledge.parse.inventory import RIGHTS
from pixel_synth.knowledge.parse.result import SOURCE_KEY, Parsed

DRAFT = ".draft"  # behind .yaml, so that the loader passes drafts by


def pack_text(parsed: Parsed, cite: str) -> str:
    """Return an entry as a pack in YAML; a draft's begins with the list of keys that the text does not give.

    Args:
        parsed: An entry that has not failed.
        cite: The user's citation of the text.
    """
    pack = {"kind": parsed.kind, "sources": {SOURCE_KEY: {"cite": cite, "license": RIGHTS}}, "entries": [parsed.entry]}
    head = [f"# Read from the user's own licensed copy. {parsed.status.capitalize()}."]
    head += ["# The text does not give:", *(f"#   {key}" for key in parsed.missing)] if parsed.missing else []
    head += ["# To look at:", *(f"#   line {note.line}: {note.message}" for note in parsed.notes)] if parsed.notes else []
    return "\n".join(head) + "\n" + yaml.safe_dump(pack, sort_keys=False, allow_unicode=True, width=120)


def write_packs(document: Document, folder: Path, cite: str) -> list[Path]:
    """Write every entry that has not failed: ``ID.yaml`` when complete, ``ID.yaml.draft`` otherwise; complete ones are read back.

    Returns:
        The paths written.

    Raises:
        KnowledgeError: When a file is already there with other content (nothing is written then), or the folder cannot be made.
    """
    wanted = {
        folder / f"{p.entry['id']}.yaml{DRAFT if p.status == 'draft' else ''}": pack_text(p, cite)
        for p in document.entries
        if p.status != "failed"
    }
    there = [path for path, text in wanted.items() if path.exists() and path.read_text(encoding="utf-8") != text]
    if there:
        raise KnowledgeError(f"{there[0]}: already there with other content", hint="move it away, or give another --out")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise KnowledgeError(f"{folder}: {error.strerror}", hint="give another --out") from error
    for path, text in wanted.items():
        path.write_text(text, encoding="utf-8")
        if path.suffix == ".yaml":
            read_pack(path)
    return list(wanted)


def summary(document: Document) -> str:
    """Return the counts in one line; entries and lines both add up."""
    by = Counter(p.status for p in document.entries)
    return (
        f"{len(document.entries)} entries = {by['complete']} complete + {by['draft']} draft + {by['failed']} failed; "
        f"{document.lines} lines = {len(document.read)} read + {len(document.unread)} not read + {document.blank} blank "
        f"+ {len(document.furniture)} page headers and rules"
    )


def faults(document: Document) -> list[str]:
    """Return every fault as ``file:line: entry: what is wrong`` with its remedy on a line below."""
    return [f"{document.name}:{f.line}: {p.name}: {f.message}\n  hint: {f.remedy}" for p in document.entries for f in p.faults]


def report(document: Document) -> str:
    """Return the account of the reading: entries with what they lack, fields with their lines, lines not read."""
    out = [summary(document), ""]
    for p in document.entries:
        out.append(f"{p.status:<9}{p.kind} {p.entry['id']} (line {p.line})")
        out += [f"  missing  {key}" for key in p.missing]
        out += [f"  look at  line {note.line}: {note.message}" for note in p.notes]
        out += [f"  fault    line {fault.line}: {fault.message} ({fault.remedy})" for fault in p.faults]
    out += ["", f"read ({len(document.read)} lines)"]
    by_field: dict[str, list[int]] = {}
    for line, name in sorted(document.read.items()):
        by_field.setdefault(name, []).append(line)
    out += [f"  {name:<48} {_spans(at)}" for name, at in by_field.items()]
    if document.furniture:
        out += ["", "taken for page headers, footers and rules", f"  lines {_spans(document.furniture)}"]
    out += ["", f"not read ({len(document.unread)} lines)"]
    out += [f"  {u.line:>6}  {u.text}  [{u.why}]" for u in document.unread]
    return "\n".join(out)


def _spans(lines: Sequence[int]) -> str:
    spans: list[list[int]] = []
    for line in lines:
        if spans and line == spans[-1][1] + 1:
            spans[-1][1] = line
        else:
            spans.append([line, line])
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in spans)
