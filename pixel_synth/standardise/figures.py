"""What is told about an ingest: books of every file, figures of every batch, and when they raise an alert."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from pixel_synth.books import Books
from pixel_synth.records import Record

ALERT_REJECTS = 0.2  # a batch that loses more than a fifth is looked at; a choice, not a measurement


class FileBooks(Record):
    """What became of one file: the shape it was read as, its books, and how many kept records needed which repair."""

    file: str
    sha256: str
    shape: str
    detection: str
    books: Books
    repairs: Mapping[str, int]


class Ingested(Record):
    """What became of all files; ``skipped`` are files of folders that are not named like data."""

    books: Books
    files: tuple[FileBooks, ...]
    skipped: tuple[str, ...] = ()
    alerts: tuple[str, ...] = ()


class Metrics(Record):
    """Figures of one batch.

    ``reject_rate`` is the share of rows that could not be read or converted; repeats are counted apart.  ``language_quality`` is the mean
    of a sample of the kept records (0-1), ``None`` when none was scored.
    """

    file: str
    batch: int
    taken: int
    kept: int
    rejected: int
    repeats: int
    reject_rate: float
    running_reject_rate: float
    language_quality: float | None
    sampled: int


class Limits(NamedTuple):
    """When a batch raises an alert: a larger share of rejects, or a lower language quality; ``None`` = never."""

    rejects: float | None = ALERT_REJECTS
    quality: float | None = None
