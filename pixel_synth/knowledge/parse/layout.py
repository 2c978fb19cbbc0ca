"""Numbered lines to pieces: page furniture out, Markdown and tables levelled, wrapped and hyphenated lines joined."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from pixel_synth.knowledge.parse.source import MAX_LINE, Line

_MARK = re.compile(
    r"^(?P<criterion>criteri(?:on|um)\s+)?"
    r"(?:\((?P<round>[A-Z]|[ivx]{2,4}|\d{1,3})\)|(?P<plain>[A-Z]|[ivx]{2,4}|\d{1,3})(?P<reverse>R)?(?P<end>[.):]))(?:\s+|$)",
    re.IGNORECASE,
)
_BULLET = re.compile(r"^(?P<bullet>[-*+•▪●◦‣–−□☐])\s+(?=\S)")
_PAGE_NUMBER = re.compile(r"^[-–—\s]*(?:page\s+)?\d{1,4}(?:\s*(?:/|of)\s*\d{1,4})?[-–—\s]*$", re.IGNORECASE)
_RUNNING = re.compile(
    r"^(?:(?:page\s+)?(\d{1,4})(?:\s{2,}|\t|\s*[|·]\s*)(\S.*)|(\S.*?)(?:\s{2,}|\t|\s*[|·]\s*|\s+page\s+)(\d{1,4}))$", re.IGNORECASE
)
_DANGLING = re.compile(
    r"(?<![;,])\s(?:either|or|and|of|than|to|in|the|a|an|with|by|for|from|under|below|over|least|aged?|before|after|is|only|"
    r"criteri(?:on|a)|items?|symptoms?|signs?)$"
)
_COMPOUND = set("self non well half ex all cross co long short high low day on semi anti pre post".split())
_OPTION = re.compile(  # an answer or a range
    r"^\(?\d{1,2}\)?\s*[=:–—]\s*\S|^\d{1,3}\s*(?:-|–|to)\s*\d{1,3}\b|^(?:≥|>=|<|≤|<=)\s*\d|"
    r"^\d{1,3} (?:or|and) (?:more|above|over|higher)|^\d{1,2}\s+[A-Za-z]"
)
_ATTACHED = re.compile(r"^[A-Z(\"“'][^.:;?!]{1,70}:(?:\s|$)|^With(?:out)? ")
_SCALE = re.compile(r"^[^\d\W][^:=]{1,80}[:=]\s*(?:items?\s+)?\d{1,3}R?(?:\s*(?:,|and|-|–|to)\s*\d{1,3}R?)*\.?$")
_RANGED = re.compile(
    r"^(?:[^\d\W][^:\d≥>]{0,60}?[:,]?\s+\(?)?(?:(?:≥|>=)\s*\d|\d+(?:\.\d+)?\s*(?:(?:-|–|to)\s*\d|\+|or more))", re.IGNORECASE
)
_KEYED = re.compile(r"^[(\[](?:R|[-+–−]|reversed?|reverse[- ]\w+)[)\]]$", re.IGNORECASE)  # a reverse mark that was wrapped


class Mark(NamedTuple):
    """What a piece begins with: ``text`` as "A", "3" or "" for a bullet alone, the bullet, and a reverse mark at the number."""

    text: str
    bullet: str = ""
    reverse: bool = False
    named: bool = False  # "Criterion A"


class Piece(NamedTuple):
    """A heading, a marked item or a paragraph: joined text, its lines (1-based), its mark, heading level (0: none, negative: a label)."""

    text: str
    lines: tuple[int, ...]
    mark: Mark | None = None
    heading: int = 0

    @property
    def line(self) -> int:
        """The first line."""
        return self.lines[0]


def furniture(lines: Sequence[Line]) -> set[int]:
    """Return the numbers of page headers, footers and page numbers.

    With form feeds, what stands first or last on several pages (digits aside) goes; without, bare page numbers that stand alone
    and running titles with a growing page number.
    """
    pages: dict[int, list[Line]] = {}
    for line in lines:
        if line.text.strip():
            pages.setdefault(line.page, []).append(line)
    gone: set[int] = set()
    if len(pages) > 1:
        need = max(2, (len(pages) + 1) // 2)
        for step in (1, -1):  # from the top, then from the foot: the second line only below a first one that repeats
            edges = [page[::step][:2] for page in pages.values()]
            for at in (0, 1):
                lines_ = [edge[at] for edge in edges if len(edge) > at and (at == 0 or edge[0].number in gone)]
                seen = Counter(_plain(x.text) for x in lines_)
                gone |= {
                    x.number for x in lines_ if (seen[_plain(x.text)] >= need and _may_run(x.text)) or _PAGE_NUMBER.match(x.text.strip())
                }
        return gone
    running: dict[str, list[tuple[int, int]]] = {}
    for i, line in enumerate(lines):
        text = line.text.strip()
        alone = all(not lines[j].text.strip() for j in (i - 1, i + 1) if 0 <= j < len(lines))
        if text and _PAGE_NUMBER.match(text) and alone:
            gone.add(line.number)
        elif found := _RUNNING.match(text) if len(text) < 200 else None:
            title, page = (found[2], found[1]) if found[1] else (found[3], found[4])
            running.setdefault(_plain(title), []).append((line.number, int(page)))
    for title, seen_at in running.items():
        counted = [page for _, page in seen_at]
        if len(seen_at) > 2 and title and sorted(set(counted)) == counted:
            gone |= {number for number, _ in seen_at}
    return gone


def _may_run(text: str) -> bool:
    """Whether a line can be a running title: no list item, no label, no end of a sentence."""
    return marked(clean(text))[0] is None and not re.search(r"[.:;,]$", text.strip())


def _plain(text: str) -> str:
    return re.sub(r"\d+", "#", text.strip().lower())


def clean(text: str) -> str:
    """Return a line without Markdown emphasis, quote marks and table bars; a trailing lone ``*`` stays, it may mean something."""
    text = re.sub(r"\s+", " ", text.replace("\u200b", "")).strip()
    text = re.sub(r"^(?:>\s*)+", "", text)
    if text.startswith("|") and text.endswith("|") and len(text) > 2:
        cells = [c.strip() for c in text.strip("|").split("|")]
        first, rest = cells[0], " ".join(c for c in cells[1:] if c)
        text = (
            f"{first}. {rest}"
            if re.fullmatch(r"\d{1,3}R?", first)
            else f"{first} {rest}"
            if _MARK.match(first)
            else f"{first}: {rest}"
            if rest
            else first
        )
    text = re.sub(r"\*\*|__", "", text)
    text = re.sub(r"(?<!\w)([*_])(\S(?:[^*_]*\S)?)\1(?!\w)", r"\2", text)
    return text.rstrip("\\").strip()


def ruled(text: str) -> bool:
    """Whether a line is only a rule or a table's separator."""
    return bool(re.fullmatch(r"\|?(?:\s*:?[-=_*~]{3,}:?\s*\|?)+", text.strip()))


def marked(text: str) -> tuple[Mark | None, str]:
    """Part a line's mark (A., (1), a), Criterion B:, a bullet) from its text."""
    bullet = ""
    if found := _BULLET.match(text):
        bullet, text = found["bullet"], text[found.end() :]
    found = _MARK.match(text)
    if found and (found["criterion"] or found["round"] or found["end"] != ":"):
        return Mark(found["round"] or found["plain"], bullet, bool(found["reverse"]), bool(found["criterion"])), text[found.end() :].strip()
    if found := re.match(r"^\*(\d{1,3})[.)]\s+", text):
        return Mark(found[1], bullet, True), text[found.end() :]
    return (Mark("", bullet), text) if bullet else (None, text)


def pieces(lines: Iterable[tuple[Line, int]], labelled: re.Pattern[str], compounds: set[str]) -> list[Piece]:
    """Join (line, heading level) pairs into pieces; ``labelled`` tells lines that begin a labelled passage.

    A line goes on with the piece before it unless it has a mark, a label or a blank line before it; after a blank line (a page
    break leaves one) it still does where the piece ends in mid-sentence and the line begins in lower case.
    """
    found: list[Piece] = []
    gap = True
    for line, level in lines:
        text = clean(line.text)
        if not text:
            gap = True
            continue
        if level:
            found.append(Piece(re.sub(r"^#+\s*|\s*#+$", "", text), (line.number,), None, level))
            gap = True
            continue
        last = found[-1] if found and not found[-1].heading else None
        mark, rest = marked(text)
        if last and len(last.text) < MAX_LINE and _goes_on(last, text, mark, gap, labelled):
            found[-1] = last._replace(text=_joined(last.text, text, compounds), lines=(*last.lines, line.number))
        else:
            found.append(Piece(rest, (line.number,), mark))
        gap = False
    return found


def _goes_on(last: Piece, text: str, mark: Mark | None, gap: bool, labelled: re.Pattern[str]) -> bool:
    tail = last.text[-80:]
    if (labelled.match(text) or _SCALE.match(text)) and not _hyphenated(tail):
        return False
    if _KEYED.match(text):
        return not gap or bool(last.mark and last.mark.text.isdigit())
    if mark is not None:
        return not gap and bool(mark.text) and not mark.named and bool(_DANGLING.search(tail))
    if not last.text:
        return True
    if _RANGED.match(text) and _RANGED.match(last.text) and len(last.text) < 90:
        return False
    if re.search(r"\b[Nn]ote:$", tail):
        return True
    ended = bool(re.search(r"[.!?:;]['\"”’)\]]*$", tail))
    if gap:
        if _hyphenated(tail):
            return text[0].islower()
        return not ended and not labelled.match(last.text) and text[0].islower()
    if _OPTION.match(text):
        return bool(_DANGLING.search(tail)) or (not ended and text[0].isdigit() and len(last.text) > 60)
    return not (_ATTACHED.match(text) and (ended or (last.mark is not None and not last.mark.text)))


def _hyphenated(text: str) -> bool:
    return text.endswith("\u00ad") or bool(re.search(r"\w[-‐]$", text))


def _joined(left: str, right: str, compounds: set[str]) -> str:
    if left.endswith("\u00ad"):
        return left[:-1] + right
    if found := re.search(r"(\w+)[-‐]$", left[-80:]):
        head, tail = found[1].lower(), re.match(r"\w*", right)
        whole = f"{head}-{tail[0].lower() if tail else ''}"
        keep = head in _COMPOUND or head.isdigit() or whole in compounds or not right[:1].islower()
        return (left if keep else left[:-1]) + right
    return f"{left} {right}"


def compounds(lines: Iterable[Line]) -> set[str]:
    """Return the hyphenated words that stand within lines: where they are broken at the hyphen, it stays."""
    return {word.lower() for line in lines for word in re.findall(r"\w+-\w+", line.text)}
