"""What records share that may not cross a split, and the components that follow from it.

A record's groups are strings ``kind:key``.  Those it names itself (`Conversation.groups`) are taken as they are; the others are derived:

* ``persona``: of a generated record, who the client is.  Name, pronouns, age, occupation, close person and Big Five profile make a
  person.  The name alone does not: two clients called Maria are two people.  Attachment, defences and facets are left out on purpose,
  because a plan may describe one person's state in two ways, and to miss a shared person is worse than to join two alike.
* ``blueprint``: one plan, put into words by another engine or a second time.
* ``slot``: one place of one plan (its number with its cell and risk); a later attempt keeps the cell and draws a new client.
* ``opening``: the client's first message, words only.  In a record of one exchange it is the question, of whatever length, so that all
  answers to one question stay together.  In a longer talk it counts from `GREETING` words on; "hi, how are you" is a greeting.
* ``row``: one row of a source that became several records.
* ``record``: another record that a link of a kind in `GLUING` names.

Records that share a group are joined, near-duplicate pairs are joined, and what hangs together is a component (union-find: Tarjan, 1975,
doi:10.1145/321879.321884), dealt to one split as a whole, as ``GroupKFold`` of scikit-learn does
(https://scikit-learn.org/stable/modules/cross_validation.html#group-k-fold).
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from pixel_synth.errors import RecordError, UsageError
from pixel_synth.mix.item import Item
from pixel_synth.records import Conversation, stable_id

# Words from which an opening of a longer talk is a text of its own.  Ours: PersonaChat-like sets open with up to seven ("hello , how are
# you doing today ?"), and joining all of them would make one component of the whole set.
GREETING = 8
# Kinds of links that say "two records of one thing"; "condition" and "similar" only say that a reader may compare them.
GLUING = frozenset({"same_question", "same_conversation", "preference", "duplicate", "near_duplicate"})
# Kinds of groups that may be let go of: a therapist with thousands of answers is in every split then, and it is said.
RELEASABLE = frozenset({"speaker"})
GIANT = 0.1  # share of all records from which a group is a giant: more than what validation and test hold by default, together

RECORD = "record:"  # begins a group that names another record
_WORD = re.compile(r"[^\W_]+")


class Giant(NamedTuple):
    """A group that holds more than the limit share of the records; ``released`` when it was let go of."""

    group: str
    records: int
    share: float
    released: bool


class Components(NamedTuple):
    """Which records must stay together.

    ``of`` gives each item's component (0, 1, ... in order of its first item); ``kinds`` counts the groups of two and more records per kind,
    ``giants`` are the groups above the limit, ``released`` the names of groups let go of.  ``pairs`` counts near-duplicate pairs and links
    with both records here, ``unknown`` those that name a missing record.
    """

    of: tuple[int, ...]
    kinds: Mapping[str, int]
    giants: tuple[Giant, ...]
    released: frozenset[str]
    pairs: int
    unknown: int

    @property
    def members(self) -> list[list[int]]:
        """The item indices of each component."""
        found: list[list[int]] = [[] for _ in range(max(self.of, default=-1) + 1)]
        for index, component in enumerate(self.of):
            found[component].append(index)
        return found


def words(text: str) -> list[str]:
    """Return the words of a text: NFKC, case folded, punctuation and underscores left out."""
    return _WORD.findall(unicodedata.normalize("NFKC", text).casefold())


def opening(c: Conversation) -> list[str]:
    """Return the words of the client's first message, none when there is no client."""
    return next((words(m.content) for m in c.messages if m.role == "user"), [])


def groups(c: Conversation) -> tuple[str, ...]:
    """Return everything that a record may share with records of another split, as ``kind:key``, without repetition."""
    return tuple(dict.fromkeys((*c.groups, *_planned(c), *_opened(c), *_row(c), *_linked(c))))


def _planned(c: Conversation) -> Iterator[str]:
    if (b := c.blueprint) is None:
        return
    p = b.persona
    yield f"persona:{stable_id(p.name.casefold(), p.pronouns, p.age, p.occupation, p.person, p.profile)}"
    yield f"blueprint:{b.id}"
    yield f"slot:{stable_id(b.slot, *b.cell, b.risk)}"


def _opened(c: Conversation) -> Iterator[str]:
    said = opening(c)
    single = sum(m.role == "user" for m in c.messages) == 1
    if len(said) >= (1 if single else GREETING):
        yield f"opening:{stable_id(*said)}"


def _row(c: Conversation) -> Iterator[str]:
    p = c.provenance
    if p.row:
        yield f"row:{stable_id(p.source, p.revision, p.row)}"


def _linked(c: Conversation) -> Iterator[str]:
    return (f"{RECORD}{link.id}" for link in c.links if link.kind in GLUING)


def similar(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the pairs of a file of near-duplicates: lines with ``a`` and ``b``, or with ``members`` (ids, or objects with ``id``).

    Raises:
        RecordError: At the first line that is neither, with file and line.
    """
    if not path.is_file():
        raise RecordError(f"no file {path}", hint="pixel-synth dedup FILE -o DIR writes similar.jsonl")
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                ids = _ids(line)
                if len(ids) < 2:
                    raise RecordError(f'{path}:{number}: neither "a" and "b" nor "members" with two ids', hint="see docs/splits.md")
                yield from ((ids[0], other) for other in ids[1:])


def _ids(line: str) -> list[str]:
    try:
        value = json.loads(line)
    except (json.JSONDecodeError, RecursionError):
        return []
    if not isinstance(value, dict):
        return []
    members = value.get("members") or [value.get("a"), value.get("b")]
    ids = [m.get("id") if isinstance(m, dict) else m for m in members] if isinstance(members, list) else []
    named = [i for i in ids if isinstance(i, str)]
    return named if len(named) == len(ids) else []


class _Union:
    """Union-find with path halving; the smaller index leads, ``size`` is true of leaders."""

    def __init__(self, n: int) -> None:
        self.parent = list(range(n))
        self.size = [1] * n

    def find(self, i: int) -> int:
        parent = self.parent
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    def join(self, i: int, j: int) -> None:
        a, b = sorted((self.find(i), self.find(j)))
        if a != b:
            self.parent[b] = a
            self.size[a] += self.size[b]

    def joined(self, indices: Iterable[int]) -> int:
        """Return how many records would hang together if these were joined."""
        return sum(self.size[leader] for leader in {self.find(i) for i in indices})


def components(
    items: Sequence[Item], pairs: Iterable[tuple[str, str]] = (), *, limit: float = GIANT, release: Collection[str] = ()
) -> Components:
    """Join records by their groups and by near-duplicate pairs of ids.

    Groups of a released kind are joined last, small ones first, and each only if what then hangs together stays within the limit.  For a
    few busy therapists who answer the same questions join almost everything: of Counsel Chat, 2,003 of 2,009 records.

    Args:
        items: The records, with ``groups`` as `groups` returns them.
        pairs: Ids of near-duplicates; a pair with an id that is not here (dropped since) is counted as unknown.
        limit: Share of the records (0-1) from which a group is reported as a giant, and above which a released kind joins nothing.
        release: Kinds of groups that may be let go; only those of `RELEASABLE`.

    Raises:
        UsageError: When a kind may not be released, or the limit is no share.
        RecordError: When two records have one id.
    """
    if wrong := sorted(set(release) - RELEASABLE):
        raise UsageError(f"groups of kind {wrong[0]!r} are never let go", hint=f"only {', '.join(sorted(RELEASABLE))} can be")
    if not 0.0 < limit <= 1.0:
        raise UsageError(f"the limit of a giant group is a share above 0 and up to 1, not {limit}")
    place, union = _places(items), _Union(len(items))
    members = _members(items)
    last: list[tuple[int, str]] = []
    for group, here in members.items():
        if kind_of(group) in release:
            last.append((len(here), group))
        else:
            for index in here[1:]:
                union.join(here[0], index)
    known, unknown = 0, 0
    for a, b in (*pairs, *_named(items)):
        if a in place and b in place:
            union.join(place[a], place[b])
            known += 1
        else:
            unknown += 1
    released = set()
    for _, group in sorted(last):
        if union.joined(members[group]) > limit * len(items):
            released.add(group)
        else:
            for index in members[group][1:]:
                union.join(members[group][0], index)
    giants = [Giant(g, len(m), len(m) / len(items), g in released) for g, m in members.items() if len(m) > limit * len(items)]
    giants.sort(key=lambda g: (-g.records, g.group))
    kinds = Counter(map(kind_of, members))
    numbers: dict[int, int] = {}
    of = tuple(numbers.setdefault(union.find(i), len(numbers)) for i in range(len(items)))
    return Components(of, dict(sorted(kinds.items())), tuple(giants), frozenset(released), known, unknown)


def kind_of(group: str) -> str:
    """Return what stands before the first colon."""
    return group.partition(":")[0]


def _members(items: Sequence[Item]) -> dict[str, list[int]]:
    """Return the groups of two and more records, with the places of their records."""
    sizes = Counter(g for item in items for g in set(item.groups))
    found: dict[str, list[int]] = {}
    for index, item in enumerate(items):
        for group in item.groups:
            if sizes[group] > 1 and not group.startswith(RECORD):
                found.setdefault(group, []).append(index)
    return found


def _named(items: Sequence[Item]) -> Iterator[tuple[str, str]]:
    return ((item.id, group[len(RECORD) :]) for item in items for group in item.groups if group.startswith(RECORD))


def joined_by(items: Sequence[Item], members: Sequence[int], released: Collection[str] = ()) -> dict[str, int]:
    """Return how many groups of each kind join the records of one component."""
    sizes = Counter(g for i in members for g in set(items[i].groups))
    return dict(sorted(Counter(kind_of(g) for g, n in sizes.items() if n > 1 and g not in released).items()))


def _places(items: Sequence[Item]) -> dict[str, int]:
    place: dict[str, int] = {}
    for index, item in enumerate(items):
        if place.setdefault(item.id, index) != index:
            raise RecordError(f"two records have the id {item.id}", hint="pixel-synth dedup FILE -o DIR first")
    return place
