"""Labels that need no rater: conversations in the order in which people said them, against shuffled copies (Barzilay & Lapata, 2008).

A copy permutes the client's turns among the client's places and the therapist's among theirs (``within``), or all turns among
all places.  Copies that come out in the original order are drawn again, so that every copy differs; conversations in which no
other order exists give none.
"""

from __future__ import annotations

from pixel_synth.calibrate.adapters import Labelled
from pixel_synth.calibrate.labels import Rating, Scale
from pixel_synth.draw import Draw
from pixel_synth.records import Conversation

CRITERION, RATER = "order", "order"
SCALE = Scale(low=0, high=1, good_from=1)
TRIES = 20


def shuffled(conversation: Conversation, seed: int, within: bool = True) -> Conversation | None:
    """Return a copy in another order of turns, ``None`` when there is none; the same seed gives the same copy."""
    original = conversation.messages
    roles = ("user", "assistant") if within else (None,)
    for attempt in range(TRIES):
        draw, messages = Draw("shuffle", conversation.id, seed, within, attempt), list(original)
        for role in roles:
            places = [i for i, m in enumerate(original) if role is None or m.role == role]
            for place, source in zip(places, draw.shuffled(places), strict=True):
                messages[place] = original[source]
        if [m.content for m in messages] != [m.content for m in original]:
            return conversation.model_copy(update={"id": f"{conversation.id}~{seed}{'w' if within else 'a'}", "messages": tuple(messages)})
    return None


def against_shuffled(labelled: Labelled, copies: int = 5, within: bool = True) -> Labelled:
    """Return the conversations of a set and ``copies`` shuffled copies of each, labelled 1 and 0."""
    found: list[Conversation] = []
    ratings: list[Rating] = []
    for conversation in labelled.conversations:
        others = [c for seed in range(copies) if (c := shuffled(conversation, seed, within)) is not None]
        if not others:
            continue
        for c, rating in ((conversation, 1.0), *((o, 0.0) for o in others)):
            found.append(c)
            ratings.append(Rating(item=c.id, criterion=CRITERION, rater=RATER, group="order", rating=rating))
    scales = {CRITERION: SCALE}
    return labelled._replace(name=f"{labelled.name}-order", conversations=tuple(found), ratings=tuple(ratings), scales=scales)
