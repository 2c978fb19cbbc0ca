"""Marked pieces to a tree of criteria: A to a, its 1 to a1, the a below to a1a, whatever the marks look like."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from string import ascii_lowercase

from pixel_synth.knowledge.parse.layout import Piece
from pixel_synth.knowledge.parse.result import Reading

ROMAN = "i ii iii iv v vi vii viii ix x xi xii".split()
_DEPTH = 3


@dataclass
class Node:
    """A criterion with its place in the tree; ``path`` holds 1-based positions from the top."""

    path: tuple[int, ...]
    text: str
    lines: tuple[int, ...]
    children: list[Node] = field(default_factory=list)

    @property
    def id(self) -> str:
        """The criterion id: letter, number, letter."""
        first, *rest = self.path
        parts = [letter(first)]
        parts += [str(n) if depth == 0 else letter(n) for depth, n in enumerate(rest)]
        return "".join(parts)

    def walk(self) -> Iterator[Node]:
        """Yield the node and everything below, in reading order."""
        yield self
        for child in self.children:
            yield from child.walk()


def letter(n: int) -> str:
    """Return the n-th letter in lower case, n from 1 to 26."""
    return ascii_lowercase[n - 1]


class Outline:
    """Builds the tree piece by piece; a mark out of order is a fault of the reading."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self.top: list[Node] = []
        self._open: list[tuple[str, int, Node]] = []  # style, ordinal, node, outermost first

    @property
    def last(self) -> Node | None:
        """The node that was added last."""
        return self._open[-1][2] if self._open else None

    @property
    def lead(self) -> Node | None:
        """The nearest open node that has sub-items."""
        return next((node for _, _, node in reversed(self._open) if node.children), None)

    def lead_in(self, piece: Piece) -> None:
        """Take an unmarked paragraph before a list as criterion A."""
        self._add("upper", 1, piece, 0)

    def add(self, piece: Piece) -> None:
        """Add a marked piece where its mark belongs."""
        for style, n in self._readings(piece):
            depth = next((i for i, (s, _, _) in enumerate(self._open) if s == style), None)
            if depth is not None and (n == self._open[depth][1] + 1 or style == "bullet"):
                return self._add(style, self._open[depth][1] + 1, piece, depth)
            if depth is None and n == 1 and (style == "upper") == (not self._open):
                if len(self._open) == _DEPTH:
                    return self._wrong(piece, f"a list {_DEPTH + 1} levels deep", f"at most {_DEPTH} levels are read: A, 1, a")
                return self._add(style, 1, piece, len(self._open))
        mark = piece.mark.text if piece.mark and piece.mark.text else "a bullet"
        after = self.last.id if self.last else "the heading"
        return self._wrong(
            piece,
            f"{mark} after {after}: out of order",
            "number criteria without gaps (A, B, …; 1, 2, …; a, b, …); join a mark inside a sentence to the line before it; "
            "give a second set of criteria a heading of its own",
        )

    def _readings(self, piece: Piece) -> Iterator[tuple[str, int]]:
        text = piece.mark.text if piece.mark else ""
        if not text:
            yield "bullet", 1
        elif text.isdigit():
            yield "number", int(text)
        elif re.fullmatch("[A-Z]", text):
            yield "upper", ord(text) - ord("A") + 1
        else:
            if len(text) == 1:
                yield "lower", ord(text.lower()) - ord("a") + 1
            if text.lower() in ROMAN:
                yield "roman", ROMAN.index(text.lower()) + 1

    def _add(self, style: str, ordinal: int, piece: Piece, depth: int) -> None:
        del self._open[depth:]
        above = self._open[-1][2] if self._open else None
        siblings = above.children if above else self.top
        node = Node((*(above.path if above else ()), len(siblings) + 1), piece.text, piece.lines)
        if ordinal > len(ascii_lowercase):
            return self._wrong(piece, f"more than {len(ascii_lowercase)} items in a list", "split the list")
        if not piece.text:
            self._wrong(piece, f"criterion {node.id} has no text", "write the text behind the mark, or take the mark out")
        siblings.append(node)
        self._open.append((style, ordinal, node))
        self.reading.took(piece.lines, f"criteria.{node.id}")
        return None

    def _wrong(self, piece: Piece, message: str, remedy: str) -> None:
        self.reading.fault(piece.line, message, remedy)
        self.reading.passed(piece.lines, message)
