"""Who speaks, and the few repairs of who speaks when that are certain; whatever is not is rejected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pixel_synth.records import Role
from pixel_synth.standardise.draft import Turn

_USER = "user human client patient seeker questioner asker person speaker prompter customer caller student help seeker visitor q"
_ASSISTANT = (
    "assistant gpt bot chatbot ai model therapist counselor counsellor psychologist psychiatrist doctor clinician supporter helper "
    "listener coach chatgpt bing bard a"
)
# What sets call the two sides; "help seeker" is one name.
NAMES: dict[str, Role] = {
    **dict.fromkeys((*_USER.replace("help seeker", "").split(), "help seeker"), "user"),
    **dict.fromkeys(_ASSISTANT.split(), "assistant"),
    "system": "system",
}
TRAILING = "trailing client turn"
MERGED = "merged turns"


class Unrepairable(ValueError):
    """The order of the turns is not what a talk has, and there is no certain repair."""


def role_of(who: str, roles: Mapping[str, Role] | None = None) -> Role | None:
    """Return our role for a source's name of a speaker, its own mapping first."""
    if roles and who in roles:
        return roles[who]
    return NAMES.get(who.strip().lower().replace("_", " "))


Said = tuple[Role, str]


def mapped(turns: Sequence[Turn], roles: Mapping[str, Role]) -> list[Said]:
    """Return the turns under our roles.

    Raises:
        Unrepairable: When a name is not known.
    """
    found: list[Said] = []
    for turn in turns:
        role = role_of(turn.who, roles)
        if role is None:
            raise Unrepairable(f"unknown role: {turn.who[:40]!r}")
        found.append((role, turn.text))
    return found


def repaired(said: Sequence[Said]) -> tuple[list[Said], tuple[str, ...]]:
    """Return the turns in an order that a talk has, and what was done for it.

    Empty turns at the end are left out; turns in a row of the same side become one; a last turn of the client, to which nobody answers, is
    left out when an exchange is before it.  A therapist may speak first, and a system turn may only stand at the beginning.

    Raises:
        Unrepairable: At an empty turn before the end, or a system turn inside.
    """
    repairs: list[str] = []
    turns = list(said)
    while turns and not turns[-1][1]:
        turns.pop()
        repairs.append("empty last turn")
    found: list[Said] = []
    for number, (role, words) in enumerate(turns, 1):
        if not words:
            raise Unrepairable(f"empty turn: {number} of {len(turns)} ({role})")
        if role == "system" and any(r != "system" for r, _ in found):
            raise Unrepairable(f"system turn inside: {number} of {len(turns)}")
        if found and found[-1][0] == role:
            found[-1] = (role, f"{found[-1][1]}\n{words}")
            repairs.append(MERGED)
        else:
            found.append((role, words))
    sides = [role for role, _ in found if role != "system"]
    if len(sides) > 2 and sides[-1] == "user":
        found.pop()
        repairs.append(TRAILING)
    return found, tuple(repairs)


def client_lines(said: Sequence[Said]) -> list[Said]:
    """Return what the human side says, turn by turn."""
    return [(role, words) for role, words in said if role == "user" and words]
