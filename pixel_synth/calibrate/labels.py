"""What people said about conversations: the labels that judges and scorers are held against.

The layout is long: one row per item, criterion and rater, as CSV with a header or as JSON lines::

    item,criterion,rater,group,rating
    c1,validating_emotions,expert1,expert,4

``item`` is the id of the conversation, ``rater`` who rated, ``group`` what they are (expert, crowd, model, constructed ...), and
``rating`` a number; an empty rating is a missing one.  ``group`` may be left out and is then ``expert``.

What the numbers mean stands in a `Scale` per criterion, in a file ``<labels>.scales.yaml`` beside the labels or in flags::

    validating_emotions: {low: 1, high: 5, good_from: 4}
    advice_giving: {low: 1, high: 5, good_from: 2, high_is_bad: true}

    --scale validating_emotions=1,5,4 --scale advice_giving=1,5,2,bad
"""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError, model_validator

from pixel_synth.errors import RecordError, UsageError
from pixel_synth.records import Record, stable_id

COLUMNS = ("item", "criterion", "rater", "group", "rating")
# Bad lines that one error tells of; the others are counted in it.
TOLD = 20


class Scale(Record):
    """What the ratings of a criterion mean.

    ``good_from`` is the least rating that counts as good where high is good, or the highest where ``high_is_bad``.
    """

    low: float = Field(allow_inf_nan=False)
    high: float = Field(allow_inf_nan=False)
    good_from: float = Field(allow_inf_nan=False)
    high_is_bad: bool = False

    @model_validator(mode="after")
    def _in_order(self) -> Scale:
        if not self.low < self.high or not self.low <= self.good_from <= self.high:
            raise ValueError(f"a scale needs low < high and good_from between them, not {self.low}, {self.high}, {self.good_from}")
        return self

    def good(self, rating: float) -> bool:
        """Tell whether a rating counts as good."""
        return rating <= self.good_from if self.high_is_bad else rating >= self.good_from

    def unit(self, rating: float) -> float:
        """Return a rating as 0 (worst) to 1 (best)."""
        share = (rating - self.low) / (self.high - self.low)
        return 1.0 - share if self.high_is_bad else share

    def rating(self, unit: float) -> float:
        """Return the rating of 0 (worst) to 1 (best): the way back from `unit`."""
        return self.low + (self.high - self.low) * (1.0 - unit if self.high_is_bad else unit)

    def levels(self) -> tuple[float, ...]:
        """Return the whole steps from low to high; empty when low or high is no whole number."""
        if self.low % 1 or self.high % 1:
            return ()
        return tuple(float(level) for level in range(int(self.low), int(self.high) + 1))


class Rating(Record):
    """One rater's rating of one criterion of one item."""

    item: str = Field(min_length=1)
    criterion: str = Field(min_length=1)
    rater: str = Field(min_length=1)
    group: str = "expert"
    rating: float = Field(allow_inf_nan=False)


def held_out(item: str) -> bool:
    """Tell whether an item belongs to the three fifths that nothing is ever tuned on: cards are measured on these alone."""
    return int(stable_id("split", item), 16) % 5 >= 2


def check_people(group: str) -> None:
    """Hold what a group of raters is called against whose word counts.

    Raises:
        UsageError: When it is a model: agreement with a model says nothing about people.
    """
    if group == "model":
        raise UsageError("a measure is held against people, not against the ratings of models", hint="--rater NAME holds a model's ratings")


def original(item: str) -> str:
    """Return the conversation that an item is, or is a made copy of: copies bear its id, a tilde and a mark.

    What hangs on the same conversation is not independent: it is resampled together, and counts as one conversation.
    """
    return item.split("~")[0]


def people(ratings: Iterable[Rating]) -> list[Rating]:
    """Return the ratings that no model gave."""
    return [rating for rating in ratings if rating.group != "model"]


def read_labels(path: Path) -> list[Rating]:
    """Read ratings from CSV, or JSON lines where the file is called ``.jsonl``; rows with an empty rating are left out.

    Raises:
        RecordError: When the file cannot be read, or for all its bad lines at once: malformed, of other columns, or with a rating
            that the same rater gave to the same item and criterion before.
    """
    ratings: list[Rating] = []
    bad: list[str] = []
    first: dict[tuple[str, str, str], int] = {}
    for line, row in _json_rows(path) if path.suffix == ".jsonl" else _csv_rows(path):
        if isinstance(row, str):
            bad.append(f"{path}:{line}: {row}")
        elif row.get("rating", 0) not in ("", None):
            try:
                rating = Rating.model_validate(row)
            except ValidationError as error:
                bad.append(f"{path}:{line}: {_said(error)}")
                continue
            key = (rating.item, rating.criterion, rating.rater)
            if key in first:
                bad.append(f"{path}:{line}: {rating.rater} rated {rating.criterion} of {rating.item} before, on line {first[key]}")
            else:
                first[key] = line
                ratings.append(rating)
    if bad:
        raise RecordError(_few(bad), hint=f"a row has the columns {', '.join(COLUMNS)}; nothing was read")
    if not ratings:
        raise RecordError(f"{path} holds no ratings")
    return ratings


def read_scales(path: Path) -> dict[str, Scale]:
    """Read the scales of criteria from YAML.

    Raises:
        RecordError: When the file cannot be read or a scale is malformed.
    """
    import yaml

    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise RecordError(f"cannot read {path}: {error}") from error
    if not isinstance(data, dict):
        raise RecordError(f"{path} is no mapping of criteria to scales", hint="criterion: {low: 1, high: 5, good_from: 4}")
    scales = {}
    for name, fields in data.items():
        try:
            scales[str(name)] = Scale.model_validate(fields)
        except ValidationError as error:
            raise RecordError(f"{path}: {name}: {_said(error)}") from error
    return scales


def scale_flag(text: str) -> tuple[str, Scale]:
    """Return the criterion and scale of ``criterion=low,high,good_from[,bad]``.

    Raises:
        UsageError: When the text is something else.
    """
    name, _, rest = text.partition("=")
    parts = rest.split(",")
    if not name or len(parts) not in (3, 4) or parts[3:] not in ([], ["bad"]):
        raise UsageError(f"--scale {text} is not criterion=low,high,good_from or criterion=low,high,good_from,bad")
    try:
        return name, Scale.model_validate(dict(zip(("low", "high", "good_from"), parts, strict=False)) | {"high_is_bad": len(parts) == 4})
    except ValidationError as error:
        raise UsageError(f"--scale {text}: {_said(error)}") from error


def scales_of(path: Path, ratings: Sequence[Rating], flags: Sequence[str] = ()) -> dict[str, Scale]:
    """Return the scale of each criterion, from the flags or else the file beside the labels, and hold the ratings against them.

    Raises:
        RecordError: When a rating lies off its scale.
        UsageError: When a criterion has no scale, or a flag is malformed.
    """
    beside = path.with_suffix(".scales.yaml")
    scales = (read_scales(beside) if beside.is_file() else {}) | dict(scale_flag(flag) for flag in flags)
    counts = Counter(rating.criterion for rating in ratings)
    if missing := sorted(counts.keys() - scales):
        raise UsageError(
            f"{path}: no scale for {', '.join(f'{name} ({counts[name]} ratings)' for name in missing)}",
            hint=f"a slip of the pen? mend it; else write {beside.name} beside the labels or give --scale {missing[0]}=low,high,good_from",
        )
    check_scales(ratings, scales, path)
    return scales


def check_scales(ratings: Iterable[Rating], scales: Mapping[str, Scale], path: Path | None = None) -> None:
    """Hold the ratings against their scales.

    Raises:
        RecordError: For all that lie off their scale at once, with the file where it is given.
    """
    off = [(r, scales[r.criterion]) for r in ratings if not scales[r.criterion].low <= r.rating <= scales[r.criterion].high]
    if off:
        where = f"{path}: " if path else ""
        bad = [f"{where}{r.rater} rated {r.criterion} of {r.item} {r.rating:g}, off its scale {s.low:g}-{s.high:g}" for r, s in off]
        raise RecordError(_few(bad), hint="mend the rating, or the scale")


def _few(bad: Sequence[str]) -> str:
    """Return the first bad lines, and how many more there are."""
    return "\n".join(bad[:TOLD]) + (f"\nand {len(bad) - TOLD} more bad lines" if len(bad) > TOLD else "")


def _said(error: ValidationError) -> str:
    first = error.errors()[0]
    given = f", not {first['input']!r}" if isinstance(first["input"], str | float) else ""
    return ": ".join((*(str(key) for key in first["loc"]), first["msg"])) + given


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise RecordError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise RecordError(f"{path} is not UTF-8: {error.reason} at byte {error.start}", hint="save it as UTF-8") from error


def _csv_rows(path: Path) -> Iterator[tuple[int, dict[str, Any] | str]]:
    """Yield the line each row begins on, and the row or what is wrong with it."""
    reader = csv.reader(_text(path).splitlines(keepends=True), strict=True)
    header: list[str] = []
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield line, str(error)
            continue
        if not cells:
            continue
        if not header:
            header = cells
            if len(set(header)) != len(header) or not set(COLUMNS) - {"group"} <= set(header) <= set(COLUMNS):
                raise RecordError(
                    f"{path}:{line}: the columns are {', '.join(header)}",
                    hint=f"they are to be {','.join(COLUMNS)}, with commas between them",
                )
        elif len(cells) != len(header):
            yield line, f"{len(cells)} cells for {len(header)} columns"
        else:
            yield line, {name: cell for name, cell in zip(header, cells, strict=True) if cell or name != "group"}


def _json_rows(path: Path) -> Iterator[tuple[int, dict[str, Any] | str]]:
    for line, text in enumerate(_text(path).split("\n"), 1):
        if text.strip():
            try:
                row = json.loads(text)
            except json.JSONDecodeError as error:
                yield line, f"no JSON: {error.msg} at column {error.colno}"
                continue
            yield line, row if isinstance(row, dict) else "no JSON object"
