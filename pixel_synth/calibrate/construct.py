"""Labels that nobody gave, made from the plan of generated conversations; cards made from them never let a measure gate.

``swapped``: a conversation with its own persona against a copy that claims the persona least like it (Big Five levels apart, then
another name, age and work): the test of persona consistency by contradiction (Welleck et al., 2019, Dialogue NLI, in spirit).
``planned``: the difficulty that the plan asked for, as a rating of 1 to 3.
"""

from __future__ import annotations

from collections.abc import Sequence

from pixel_synth.calibrate.adapters import Labelled
from pixel_synth.calibrate.labels import Rating, Scale
from pixel_synth.errors import UsageError
from pixel_synth.records import DIFFICULTIES, Blueprint, Conversation

RATER = "plan"
_LEVELS = {"low": 0, "mid": 1, "high": 2}


def against_swapped(labelled: Labelled) -> Labelled:
    """Return the conversations of a set and a copy of each with the persona that is furthest from its own, labelled 1 and 0.

    Raises:
        UsageError: When fewer than two of them have a plan.
    """
    planned = _planned(labelled)
    found: list[Conversation] = []
    ratings: list[Rating] = []
    for conversation, own in planned:
        other = max((b for _, b in planned), key=lambda b: (_distance(own, b), b.id))
        claimed = own.model_copy(update={"persona": other.persona})
        copy = conversation.model_copy(update={"id": f"{conversation.id}~p", "blueprint": claimed})
        for c, rating in ((conversation, 1.0), (copy, 0.0)):
            found.append(c)
            ratings.append(Rating(item=c.id, criterion="persona", rater=RATER, group=RATER, rating=rating))
    scales = {"persona": Scale(low=0, high=1, good_from=1)}
    return labelled._replace(name=f"{labelled.name}-persona", conversations=tuple(found), ratings=tuple(ratings), scales=scales)


def planned_difficulty(labelled: Labelled) -> Labelled:
    """Return the conversations of a set with their planned difficulty as ratings of 1 (basic) to 3 (advanced).

    Raises:
        UsageError: When fewer than two of them have a plan.
    """
    ratings = tuple(
        Rating(item=c.id, criterion="difficulty", rater=RATER, group=RATER, rating=1 + DIFFICULTIES.index(b.difficulty))
        for c, b in _planned(labelled)
    )
    scales = {"difficulty": Scale(low=1, high=3, good_from=3)}
    return labelled._replace(name=f"{labelled.name}-difficulty", ratings=ratings, scales=scales)


def _planned(labelled: Labelled) -> Sequence[tuple[Conversation, Blueprint]]:
    found = [(c, c.blueprint) for c in labelled.conversations if c.blueprint]
    if len(found) < 2:
        raise UsageError(f"{labelled.name}: fewer than two conversations have a plan", hint="give conversations that a pipeline made")
    return found


def _distance(a: Blueprint, b: Blueprint) -> int:
    mine, other = a.persona.big_five.model_dump(), b.persona.big_five.model_dump()
    return sum(abs(_LEVELS[mine[k]] - _LEVELS[other[k]]) for k in mine)
