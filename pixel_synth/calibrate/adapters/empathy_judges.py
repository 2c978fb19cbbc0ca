"""The ratings of Kumar et al. (2025): 200 conversations rated on 21 dimensions by three experts, crowds and three models.

Source: Kumar, A., Poungpeth, N., Yang, D., Farrell, E., Lambert, B., & Groh, M. (2025). When large language models are reliable
for judging empathic communication. arXiv:2506.10150; data at doi.org/10.5281/zenodo.17230987 (MIT licence).  The texts of
EmpatheticDialogues and EPITOME stay under their own terms, and those of Perceived Empathy are not given.

The crowd's rating is the mean of its members, as one rater.  From which level on a rating counts as good is our choice: the upper
two of five levels, three of seven, and any sign of the mechanism of EPITOME's 0-2; mirrored where a high level is bad.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from pixel_synth.calibrate.adapters import Labelled
from pixel_synth.calibrate.labels import Rating, Scale
from pixel_synth.errors import RecordError
from pixel_synth.records import Conversation, Message, Provenance

EXPERTS, MODELS = ("expert1", "expert2", "expert3"), ("gpt", "claude", "gemini")
GROUPS = dict.fromkeys(EXPERTS, "expert") | {"crowd": "crowd"} | dict.fromkeys(MODELS, "model")
FIVE, TWO, SEVEN = Scale(low=1, high=5, good_from=4), Scale(low=0, high=2, good_from=1), Scale(low=1, high=7, good_from=5)
BAD = Scale(low=1, high=5, good_from=2, high_is_bad=True)


class Source(NamedTuple):
    """One of the four data sets: its name in the paper, folder, column of ids, file of texts, licence of texts, and dimensions."""

    title: str
    folder: str
    key: str
    texts: str
    license: str
    scales: dict[str, Scale]


SOURCES = (
    Source(
        "Lend an Ear",
        "lend_an_ear",
        "conversation_id",
        "original_data/sample_lend_an_ear_conversations.csv",
        "MIT",
        dict.fromkeys(("validating_emotions", "encouraging_elaboration", "demonstrating_understanding"), FIVE)
        | dict.fromkeys(("advice_giving", "self_oriented", "dismissing_emotions"), BAD),
    ),
    Source(
        "Empathetic Dialogues",
        "empatheticdialogues",
        "conv_id",
        "original_data/sample_empatheticdialogues.csv",
        "CC-BY-NC-4.0",
        dict.fromkeys(("empathy", "relevance", "fluency"), FIVE),
    ),
    Source(
        "EPITOME",
        "epitome",
        "sp_id",
        "annotations/epitome/gemini_ratings.csv",
        "terms of EPITOME (Sharma et al., 2020)",
        dict.fromkeys(("level_emotional_reactions", "level_interpretations", "level_explorations"), TWO),
    ),
    Source(
        "Perceived Empathy",
        "perceived_empathy",
        "id",
        "",
        "",
        {f"m_{name}": SEVEN for name in "understood validated affirmed seen accepted caredfor emotional practical motivation".split()},
    ),
)


def empathy_judges(folder: Path) -> Labelled:
    """Read the folder of the published data, with ``annotations`` and ``original_data`` inside.

    Ids of conversations are those of the data set.  The three models' ratings are in the group ``model``, the crowd's in ``crowd``.

    Raises:
        RecordError: When a file or column is missing, or a rating is not a number on its scale.
    """
    conversations: list[Conversation] = []
    ratings: list[Rating] = []
    left_out = {"no text": 0, "one speaker only": 0}
    for source in SOURCES:
        found = [r for rater in GROUPS for r in _ratings(folder / "annotations" / source.folder / f"{rater}_ratings.csv", source, rater)]
        ratings += found
        if not source.texts:
            left_out["no text"] += len({rating.item for rating in found})
            continue
        # One file has a row per utterance, each with the whole conversation.
        texts = {row[source.key]: row["full_conversation"] for row in _rows(folder / source.texts, (source.key, "full_conversation"))}
        for item, text in texts.items():
            messages = parse(text)
            if {message.role for message in messages} == {"user", "assistant"}:
                conversations.append(_conversation(item, messages, source))
            else:
                left_out["one speaker only"] += 1
    scales = {name: scale for source in SOURCES for name, scale in source.scales.items()}
    license = "MIT (ratings, Lend an Ear); CC-BY-NC-4.0 (text of EmpatheticDialogues); terms of EPITOME for its text"
    return Labelled("empathy-judges", license, tuple(conversations), tuple(ratings), scales, {k: v for k, v in left_out.items() if v})


def parse(text: str) -> tuple[Message, ...]:
    """Return the turns of a text with ``Seeker:`` and ``Supporter:`` before each; empty ones go, neighbours of one speaker join."""
    turns: list[tuple[Literal["user", "assistant"], str]] = []
    text = re.sub(r"(?<=\d)_comma_(?=\d)", ",", text)
    text = re.sub(r"\s*_comma_\s*", ", ", text)
    for found in re.finditer(r"^\s*(Seeker|Supporter):(.*?)(?=^\s*(?:Seeker|Supporter):|\Z)", text, re.S | re.M):
        role: Literal["user", "assistant"] = "user" if found[1] == "Seeker" else "assistant"
        if not (said := found[2].strip()):
            continue
        if turns and turns[-1][0] == role:
            said = f"{turns.pop()[1]} {said}"
        turns.append((role, said))
    return tuple(Message(role=role, content=said) for role, said in turns)


def _conversation(item: str, messages: tuple[Message, ...], source: Source) -> Conversation:
    provenance = Provenance(engine="", model="", toolkit="", seed=0, source=source.folder, license=source.license)
    return Conversation(id=item, category="mental_health", messages=messages, provenance=provenance)


def _ratings(path: Path, source: Source, rater: str) -> Iterator[Rating]:
    for row in _rows(path, (source.key, *source.scales)):
        for criterion, scale in source.scales.items():
            if not row[criterion]:
                continue
            try:
                rating = float(row[criterion])
            except ValueError as error:
                raise RecordError(f"{path}: {row[source.key]}: {criterion} is no number: {row[criterion]!r}") from error
            if not scale.low <= rating <= scale.high:
                raise RecordError(f"{path}: {row[source.key]}: {criterion} is {rating:g}, not {scale.low:g} to {scale.high:g}")
            yield Rating(item=row[source.key], criterion=criterion, rater=rater, group=GROUPS[rater], rating=rating)


def _rows(path: Path, columns: tuple[str, ...]) -> list[dict[str, str]]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            missing = [column for column in columns if column not in (reader.fieldnames or ())]
            rows = list(reader)
    except OSError as error:
        raise RecordError(f"cannot read {path}: {error.strerror}", hint="give the folder with annotations/ and original_data/") from error
    if missing:
        raise RecordError(f"{path}: no column {', '.join(missing)}")
    return rows
