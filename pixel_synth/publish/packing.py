"""Packing of conversations into training sequences of equal length, by best-fit decreasing.

Ding, H., Wang, Z., Paolini, G., Kumar, V., Deoras, A., Roth, D. & Soatto, S., 2024, Fewer truncations improve language modeling, ICML
(arXiv:2404.10830): what is longer than a sequence is cut into pieces of its length first; then the pieces, longest first, go where they
leave the least room, so that no other piece is cut.  Best-fit decreasing needs at most 11/9 of the fewest sequences possible, and 4 more
(Johnson, D. S., 1973, Near-optimal bin packing algorithms, MIT).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Piece(NamedTuple):
    """A run of one text's tokens: of the text at ``place``, from token ``start`` on, ``tokens`` of them."""

    place: int
    start: int
    tokens: int


def pack(lengths: Sequence[int], most: int) -> list[list[Piece]]:
    """Return sequences of pieces, none longer than ``most`` tokens; equal input gives equal sequences.

    Rooms are found through one integer whose bit ``r`` says that a sequence with ``r`` free tokens is there, so a piece costs
    ``most / 64`` steps of the machine whatever the number of sequences.

    Args:
        lengths: Tokens of each text, 1 or more.
        most: Tokens of a sequence, 1 or more.
    """
    pieces = [Piece(i, start, min(most, n - start)) for i, n in enumerate(lengths) for start in range(0, n, most)]
    sequences: list[list[Piece]] = []
    with_room: list[list[int]] = [[] for _ in range(most + 1)]
    there = 0
    for piece in sorted(pieces, key=lambda p: -p.tokens):
        fitting = there >> piece.tokens
        if fitting:
            room = piece.tokens + (fitting & -fitting).bit_length() - 1
            number = with_room[room].pop()
            if not with_room[room]:
                there ^= 1 << room
        else:
            room, number = most, len(sequences)
            sequences.append([])
        sequences[number].append(piece)
        if room > piece.tokens:
            with_room[room - piece.tokens].append(number)
            there |= 1 << room - piece.tokens
    return sequences
