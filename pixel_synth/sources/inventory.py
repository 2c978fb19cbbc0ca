"""What is here: every set with files, bytes, rows, hash, licence, limits of use and how to cite it."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import Field

from pixel_synth.records import Record, Unit
from pixel_synth.sources.licence import Licence, licence
from pixel_synth.sources.receipt import read_receipt
from pixel_synth.sources.source import Place, Source


class Entry(Record):
    """One line of the inventory; what only a fetch can tell is ``None`` where the set was not fetched."""

    id: str
    title: str
    group: str
    category: str = Field(description="own = every row says its own")
    repo: str
    revision: str = Field(description='"" = not pinned yet')
    license: str
    uses: str
    gated: bool | None
    role_play: bool
    limits: tuple[str, ...]
    evidence: str
    strategy: str
    homepage: str
    citation: str
    files: int | None
    bytes: int | None
    rows: int | None
    sha256: str | None
    rejects: Unit | None = Field(description="share of a sample of rows that could not become a record")
    quality: Unit | None = Field(description="mean language quality of the sample's records")


def uses(one: Licence) -> str:
    """Say in a few words what a licence lets one do."""
    if one.commercial is None:
        return "not known: research only, not to be passed on"
    bounds = [
        "no commercial use" if not one.commercial else "",
        "no changed copies" if not one.adapted else "",
        "share alike" if one.alike else "",
        "some uses forbidden" if one.restricted else "",
        "name the makers" if one.attribution else "",
    ]
    return ", ".join(b for b in bounds if b) or "any use"


def entry(source: Source, place: Place) -> Entry:
    """Return the inventory's line of one set.

    Raises:
        SourceError: When its receipt is damaged.
    """
    receipt = read_receipt(place.cache, source.id)
    measured = receipt.measured if receipt else None
    return Entry(
        id=source.id, title=source.title, group=source.group, category=source.category or "own", repo=source.repo,
        revision=receipt.revision if receipt else source.revision, license=source.license, uses=uses(licence(source.license)),
        gated=source.gated, role_play=source.role_play, limits=source.limits, evidence=source.evidence, strategy=source.strategy,
        homepage=source.homepage, citation=source.citation,
        files=len(receipt.files) if receipt else None, bytes=receipt.bytes if receipt else None,
        rows=measured.rows if measured else None, sha256=receipt.sha256 if receipt else None,
        rejects=measured.rejects if measured else None, quality=measured.quality if measured else None,
    )  # fmt: skip


def markdown(entries: Iterable[Entry]) -> str:
    """Return the inventory as a Markdown table, and a section a set with its limits, evidence and citation."""
    listed = list(entries)
    lines = ["| set | category | files | bytes | rows | SHA-256 | licence | uses |", "|---|---|--:|--:|--:|---|---|---|"]
    for e in listed:
        counts = " | ".join("–" if n is None else f"{n:,}" for n in (e.files, e.bytes, e.rows))
        lines.append(f"| {e.id} | {e.category} | {counts} | {(e.sha256 or '–')[:12]} | {e.license} | {e.uses} |")
    for e in listed:
        lines += ["", f"## {e.id}", "", f"{e.title[0].upper()}{e.title[1:]}. {e.homepage}".strip(), ""]
        lines += [f"- Licence: {e.license} ({e.evidence})", f"- Access: {access(e.gated)}", f"- Becomes: {e.strategy}"]
        lines += [f"- Mind: {limit}" for limit in e.limits]
        lines += [f"- Cite: {e.citation}"] if e.citation else []
    return "\n".join(lines) + "\n"


def access(gated: bool | None) -> str:
    """Say whether terms have to be accepted first."""
    return {True: "gated", False: "open", None: "not known"}[gated]
