"""Compare the conversations of two files pair by pair: which therapist side helps more, and does the judge go by the words or the place?

A pair has the same id in both files; what is left is paired by its plan (two generators that were given the same blueprint), and then by
what the client says, in the order of the files.  Each pair is asked in
both orders (`pixel_synth.judges.pairs`) and gives one line (`Preference`); as with ``judge``, the same call goes on where it ended.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import ValidationError

from pixel_synth.calibrate.fit import wilson
from pixel_synth.curate.lines import grow, mend, put_in_order
from pixel_synth.errors import RecordError
from pixel_synth.jsonl import read
from pixel_synth.judges.injection import instructions, masked
from pixel_synth.judges.names import selfsame
from pixel_synth.judges.pairs import Comparison, position_bias, prefer, preferred
from pixel_synth.judges.rubric import Rubric
from pixel_synth.prompts import load_prompt
from pixel_synth.records import Conversation, PromptRef, Record, stable_id
from pixel_synth.tasks.context import Ask

ANSWERS = ("a", "b", "tie", "inconsistent", "unclear", "none")
Pair = tuple[Conversation, Conversation]


class Matched(NamedTuple):
    """What two files have to compare: pairs, how many conversations of each found no partner, pairs without a difference, bad lines."""

    pairs: tuple[Pair, ...]
    alone: tuple[int, int]
    equal: int
    errors: tuple[str, ...]

    def told(self, a: Path, b: Path) -> str:
        """Return it in words."""
        return (
            f"{len(self.pairs)} pairs; {self.alone[0]} conversations of {a} and {self.alone[1]} of {b} without a partner, "
            f"{self.equal} pairs with the same words, {len(self.errors)} lines that are none"
        )


class Preferring(NamedTuple):
    """What is asked, of whom, and where it goes."""

    output: Path
    rubric: Rubric
    model: str
    repairs: int

    @property
    def prompts(self) -> tuple[PromptRef, ...]:
        """What the answers come of."""
        return (load_prompt("judge_pair").ref, self.rubric.ref)


class Preference(Record):
    """One line of the output; ``wrote`` are the sides that the judge's own model wrote, which it may favour."""

    pair: str
    judge: str
    prompts: tuple[PromptRef, ...]
    wrote: tuple[Literal["a", "b"], ...]
    comparison: Comparison


def key(pair: Pair) -> str:
    """Return what makes a pair that pair: ids and words of both."""
    return stable_id(*(part for side in pair for part in (side.id, *side.messages)))


def matched(a: Path, b: Path) -> Matched:
    """Pair the conversations of two files: by id, those left by blueprint, then by the client's words; each talk is used once.

    Raises:
        RecordError: When a file cannot be read.
    """
    errors: list[str] = []
    ours, theirs = _taken_in(a, errors), _taken_in(b, errors)
    partner = _partners(ours, theirs, lambda c: c.id, {})
    partner = _partners(ours, theirs, lambda c: c.blueprint.id if c.blueprint else "", partner)
    partner = _partners(ours, theirs, _client_words, partner)
    pairs = [(ours[i], theirs[j]) for i, j in sorted(partner.items())]
    kept = tuple(pair for pair in pairs if len({masked(side, instructions(side)).messages for side in pair}) == 2)
    return Matched(kept, (len(ours) - len(pairs), len(theirs) - len(pairs)), len(pairs) - len(kept), tuple(errors))


def _taken_in(path: Path, errors: list[str]) -> list[Conversation]:
    rows = list(read(path))
    errors += [f"{path}:{row.line}: {row.error}" for row in rows if row.record is None]
    return [row.record for row in rows if row.record]


def _partners(
    ours: Sequence[Conversation], theirs: Sequence[Conversation], what: Callable[[Conversation], str], known: dict[int, int]
) -> dict[int, int]:
    """Return places of ours and theirs that have the same ``what``, after those that are known."""
    free: dict[str, list[int]] = {}
    taken = set(known.values())
    for j, other in enumerate(theirs):
        if j not in taken and what(other):
            free.setdefault(what(other), []).append(j)
    found = {i: free[what(one)].pop(0) for i, one in enumerate(ours) if i not in known and free.get(what(one))}
    return known | found


def _client_words(conversation: Conversation) -> str:
    return "\n".join(" ".join(m.content.split()) for m in conversation.messages if m.role == "user")


def read_preferences(path: Path) -> Iterator[Preference]:
    """Yield the lines of an output.

    Raises:
        RecordError: At the first line that is none.
    """
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            try:
                yield Preference.model_validate_json(line)
            except ValidationError as error:
                raise RecordError(f"{path}:{number}: {error.errors()[0]['msg']}", hint="give another -o, or take the file away") from error


def already(job: Preferring, wanted: set[str]) -> set[str]:
    """Return the pairs that the output holds already; a torn last line is cut off.

    Raises:
        RecordError: When it holds anything that this call would not have written.
    """
    if not job.output.is_file():
        return set()
    mend(job.output)
    found: set[str] = set()
    for number, line in enumerate(read_preferences(job.output), start=1):
        if (line.judge, line.prompts) != (job.model, job.prompts) or line.pair not in wanted:
            told = f"not one of these pairs, compared by {job.model} with {job.rubric.name} {job.rubric.version} as it is here"
            raise RecordError(f"{job.output}:{number}: {told}", hint="give another -o, or take the file away")
        found.add(line.pair)
    return found


async def prefer_pairs(job: Preferring, pairs: Sequence[Pair], ask: Ask, window: int, show: Callable[[int, int], None]) -> tuple[int, int]:
    """Compare what the output does not hold yet, at most ``window`` pairs at once; return how many were, and how many it held.

    Args:
        job: What to do.
        pairs: All of them.
        ask: Answers calls.
        window: Pairs in flight.
        show: Called with the pairs that are done, and those of them in which something could be told.

    Raises:
        RecordError: When the output is of another call.
        EngineDown: When no engine is left; what was compared is kept.
    """
    order = [key(pair) for pair in pairs]
    before = already(job, set(order))
    done, told = len(before), 0

    async def compared(item: tuple[str, Pair]) -> str:
        nonlocal done, told
        name, (a, b) = item
        comparison = await prefer(job.rubric.name, a, b, ask, job.repairs)
        done, told = done + 1, told + (comparison.winner is not None)
        show(done, told)
        sides: tuple[tuple[Literal["a", "b"], Conversation], ...] = (("a", a), ("b", b))
        wrote = tuple(side for side, who in sides if selfsame(who, job.model))
        return Preference(pair=name, judge=job.model, prompts=job.prompts, wrote=wrote, comparison=comparison).line()

    missing = dict(item for item in zip(order, pairs, strict=True) if item[0] not in before)
    await grow(job.output, iter(missing.items()), compared, window)
    put_in_order(job.output, order, lambda line: Preference.model_validate_json(line).pair)
    return len(missing), len(before)


def summary(output: Path) -> list[str]:
    """Return who won how often by each criterion, and how often the place decided, as lines to read.

    Shares have their 95% interval (Wilson, 1927).  The criteria of a pair are counted one by one for the position bias; as they are not
    independent of each other, its interval is narrower than it should be.
    """
    lines = list(read_preferences(output))
    comparisons = [line.comparison for line in lines]
    counts = preferred(comparisons)
    winner = counts.pop("winner", {})
    told = [f"{'criterion':<24}" + "".join(f"{name:>14}" for name in ANSWERS) + "   a of the decided"]
    for name, row in (*counts.items(), ("winner", winner)):
        decided = row.get("a", 0) + row.get("b", 0)
        told.append(f"{name:<24}" + "".join(f"{row.get(answer, 0):>14}" for answer in ANSWERS) + f"   {share(row.get('a', 0), decided)}")
    bias = position_bias(comparisons)
    places = f"; the first place won both times {bias.first}, the second {bias.second} times" if bias.n else ""
    told.append(f"position bias: {share(bias.first + bias.second, bias.n)} criteria with a clear answer in both orders{places}")
    if silent := [c for c in comparisons if not c.votes]:
        told.append(f"no answer about {len(silent)} pairs, the first: {silent[0].reason}")
    for side in ("a", "b"):
        if n := sum(side in line.wrote for line in lines):
            told.append(
                f"self-preference: the judge's own model wrote side {side} of {n} pairs, and may favour it (Panickssery et al., 2024)"
            )
    return told


def share(hits: int, n: int) -> str:
    """Return a share with its interval in words."""
    if not n:
        return "– of 0"
    low, high = wilson(hits, n)
    return f"{hits / n:.0%} [{low:.0%}, {high:.0%}] of {n}"
