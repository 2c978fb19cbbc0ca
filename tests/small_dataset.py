"""Inputs of a small dataset with all five categories, and what has to be found in them planted."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from pixel_synth.plan import Plan
from pixel_synth.records import Blueprint, Conversation, Message, Provenance
from pixel_synth.runs.dataset_job import main
from pixel_synth.scorers import reference

COMPOSED = {"psychology": 6, "voice": 5, "reasoning": 3, "personality": 2}  # mental health is the packaged questions and answers
PLANTED = 4  # an exact and a near copy, a record with an address, a German one
MAIL = "anna.keller@posteo.de"
GERMAN = "Ich schlafe seit Wochen nicht mehr und weiß einfach nicht, wie es mit meiner Arbeit und meiner Familie weitergehen soll."


def foreign(c: Conversation, n: int, category: str, messages: Sequence[Message] | None = None) -> Conversation:
    """Return the words of a composed conversation as a record that others made."""
    provenance = Provenance(engine="human", model="", toolkit="", seed=0, source=f"made_{category}", license="CC0-1.0", row=f"made:{n}")
    bare = {"id": f"{category}-{n}", "category": category, "messages": tuple(messages or c.messages), "provenance": provenance}
    return Conversation.model_validate(bare)


def write_inputs(folder: Path, plan: Plan, compose: Callable[[Blueprint], Conversation]) -> list[str]:
    """Write a folder of records and a table of questions and answers; return them as a recipe's inputs."""
    made = (compose(plan.blueprint(slot)) for slot in range(200))
    good = (c for c in made if c.verdict and c.verdict.accepted and c.labels.risk in ("none", "low"))
    wanted = [category for category, n in COMPOSED.items() for _ in range(n)]
    *composed, spare = islice(good, len(wanted) + 1)
    records = [foreign(c, n, category) for n, (c, category) in enumerate(zip(composed, wanted, strict=True))]
    first, other = composed[0].messages, spare.messages
    near = (first[0].model_copy(update={"content": first[0].content + " Anyway."}), *first[1:])
    told = (other[0].model_copy(update={"content": f"You can write to {MAIL}. {other[0].content}"}), *other[1:])
    german = (Message(role="user", content=GERMAN), Message(role="assistant", content=GERMAN))
    records += [foreign(composed[0], 900, "psychology"), foreign(composed[0], 901, "voice", near)]
    records += [foreign(spare, 902, "psychology", told), foreign(spare, 903, "mental_health", german)]
    (folder / "records.jsonl").write_text("\n".join([*(r.line() for r in records), '{"id": "broken"']) + "\n")
    with (folder / "answers.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(("question", "answer"))
        table.writerows((c.messages[0].content, c.messages[1].content) for c in reference())
    return [str(folder / "records.jsonl"), f"mental_health:MIT={folder / 'answers.csv'}"]


def make(inputs: Sequence[str], out: Path, *more: object) -> int:
    """Call the script in this process."""
    import dataset  # type: ignore[import-not-found]

    flags = [part for text in inputs for part in ("--input", text)]
    return main("", dataset.build, [*flags, "--out", str(out), "--workers", "1", *map(str, more)])


def stages(run: Path) -> dict[str, dict[str, Any]]:
    """Return what each stage says of itself."""
    return {p.parent.name: json.loads(p.read_text()) for p in sorted(run.glob("stages/*/stage.json"))}
