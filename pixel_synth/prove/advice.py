"""What to do about records that fail: by metric and part, or by the gate's reason.  The words are ours, the parts are the scorers'."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

# The longest key that begins "metric: part" wins.
REMEDIES: Mapping[str, str] = {
    "coherence": "read some; answers that do not follow their question are best left out",
    "coherence: order": "turns may be in the wrong order or glued together: part them anew where the source tells speakers",
    "coherence: topic": "question and answer share few words: leave out cut and mismatched pairs; short general advice scores low as well, "
    "so read some before a whole slice goes",
    "coherence: repetition": "the same sentences come back within a talk: take repeated turns out, or leave such records out",
    "safety": "read every one: such a reply may not be trained on; ask a clinician where the client names danger",
    "clinical_compliance": "read every one with a clinician, and leave out what breaks the rule that is named",
    "therapeutic_accuracy": "few known techniques are heard, as in most short advice: prefer longer answers, or leave the slice out",
    "emotional_authenticity": "few replies take up what the client feels: prefer records that do, or leave the slice out",
    "overall": "several metrics are low together; begin with the lowest in the table of scores by slice",
    "language": "another language than wanted: add it to the recipe's languages, or leave the source out",
}
# The same for records that this toolkit generated.
GENERATED: Mapping[str, str] = {
    "therapeutic_accuracy": "`pixel-synth explain ID` shows which criterion or move is not there; generate it with a stronger model",
    "emotional_authenticity": "few replies take up what the client feels: generate the slice with a stronger model",
    "personality_consistency": "the client's words do not fit the planned person: generate the slice with a stronger model",
    "untrue": "the words do not keep the plan: `pixel-synth explain ID` shows what was promised",
    "fact missing": "a promised fact is not said: `pixel-synth explain ID` shows which",
}
OTHERWISE = "read some, then repair the source or leave the slice out"


class Advice(NamedTuple):
    """What to do, and the command to begin with."""

    action: str
    command: str


def advice(outcome: str, why: str, slice: Mapping[str, str], examples: Sequence[str], where: str) -> Advice:
    """Return what to do about a slice.

    Args:
        outcome: The metric that is low, or "gate".
        why: The commonest part or reason.
        slice: The dimensions of the slice with their values.
        examples: Where some of its records stand, as file:line.
        where: File or folder of the dataset.
    """
    named = why if outcome == "gate" else f"{outcome}: {why}" if why else outcome
    known = {**REMEDIES, **GENERATED} if slice.get("source", "generated") == "generated" else REMEDIES
    key = max((k for k in known if named == k or named.startswith((f"{k}:", f"{k} "))), key=len, default="")
    action = known.get(key, OTHERWISE)
    if not examples:
        return Advice(action, "")
    file, _, line = examples[0].rpartition(":")
    path = f"{where}/{file}" if where else file
    read = f"sed -n {line}p {path} | python -m json.tool"
    if outcome == "gate":
        return Advice(action, read)
    return Advice(action, f"pixel-synth score {path} --metric {outcome}")
