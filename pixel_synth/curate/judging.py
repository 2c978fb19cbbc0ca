"""Ask rubrics about the conversations of a file, whoever wrote them.

What is judged goes to the output at once, line by line, so that a kill loses what is in flight and no more; the same call goes on where
it ended.  At the end the output is put into the order of the file.  Who answered stands in a score's panel, be it of one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from pixel_synth.curate.lines import grow, mend, put_in_order
from pixel_synth.errors import RecordError
from pixel_synth.jsonl import read
from pixel_synth.judges.injection import instructions
from pixel_synth.judges.panel import Member, judge_panel
from pixel_synth.judges.rubric import Rubric
from pixel_synth.judges.session import PROMPTS, call
from pixel_synth.knowledge import Knowledge
from pixel_synth.prompts import load_prompt
from pixel_synth.records import Conversation, Score, stable_id
from pixel_synth.tasks.context import Ask


class Judging(NamedTuple):
    """What is asked, by whom, and where it goes."""

    source: Path
    output: Path
    rubrics: tuple[Rubric, ...]
    members: tuple[Member, ...]
    repairs: int

    @property
    def who(self) -> str:
        """The judges in words."""
        return ", ".join(f"{judge} sample {sample}" if sample else judge for judge, sample in self.members)


class Counts(NamedTuple):
    """What became of the lines of a file: lines = judged + already + repeated + rejected; ``silent`` is the first score without a value."""

    lines: int = 0
    judged: int = 0
    already: int = 0
    repeated: int = 0
    rejected: int = 0
    scores: int = 0
    unscored: int = 0
    silent: str = ""


class Cost(NamedTuple):
    """What judging the conversations of a file, each once, takes without repairs: calls, and the characters of their requests."""

    conversations: int
    rejected: int
    calls: int
    characters: int


def key(conversation: Conversation) -> str:
    """Return what two records of the same conversation have in common."""
    return stable_id(conversation.id, *conversation.messages)


def keys(path: Path) -> list[str]:
    """Return the key of every readable line of a file, in order, and "" for a line that is none."""
    return [key(row.record) if row.record else "" for row in read(path)]


def cost(source: Path, rubrics: Sequence[Rubric], knowledge: Knowledge, members: int = 1) -> Cost:
    """Return what judging a file takes a panel of so many; sessions with instructions in them are judged twice."""
    rejected = calls = characters = 0
    seen: set[str] = set()
    for row in read(source):
        if row.record is None:
            rejected += 1
            continue
        if key(row.record) in seen:
            continue
        seen.add(key(row.record))
        times = members * (2 if instructions(row.record) else 1)
        calls += times * len(rubrics)
        for rubric in rubrics:
            characters += times * sum(len(m["content"]) for m in call(rubric, row.record, knowledge).messages)
    return Cost(len(seen), rejected, calls, characters)


def already(job: Judging, wanted: set[str]) -> set[str]:
    """Return the keys that the output holds already; a torn last line is cut off.

    Raises:
        RecordError: When it holds anything that this call would not have written.
    """
    if not job.output.is_file():
        return set()
    mend(job.output)
    refs = {r.ref for r in job.rubrics} | {load_prompt(name).ref for name in PROMPTS}
    hint = "give another -o, or take the file away"
    found: set[str] = set()
    for row in read(job.output):
        where = f"{job.output}:{row.line}"
        if row.record is None or key(row.record) not in wanted:
            raise RecordError(f"{where}: {row.error or f'a conversation that {job.source} does not have'}", hint=hint)
        scores = [row.record.score(f"judge.{r.name}") for r in job.rubrics]
        asked = {tuple((o.judge, o.sample) for o in s.panel) if s else () for s in scores}
        if not refs <= set(row.record.provenance.prompts) or asked != {job.members}:
            names = ", ".join(f"{r.name} {r.version}" for r in job.rubrics)
            raise RecordError(f"{where}: not judged by {job.who} with {names} as they are here", hint=hint)
        found.add(key(row.record))
    return found


async def judge_file(
    job: Judging,
    order: Sequence[str],
    ask: Ask,
    knowledge: Knowledge,
    window: int,
    show: Callable[[int, int], None],
    told: Callable[[str], None],
) -> Counts:
    """Judge what the output does not hold yet, at most ``window`` conversations at once.

    Args:
        job: What to do.
        order: `keys` of the source.
        ask: Answers calls.
        knowledge: For rubrics that show it.
        window: Conversations in flight.
        show: Called with the lines that are done, and how many of the scores asked for could be had.
        told: Called with what is wrong with a line.

    Raises:
        RecordError: When a file cannot be read, or the output is of another call.
        EngineDown: When no engine is left; what was judged is kept.
    """
    done = already(job, set(order) - {""})
    counts = Counts(lines=len(order), already=len(done))
    taken = set(done)
    rows = read(job.source)

    def following() -> Iterator[Conversation]:
        nonlocal counts
        for row in rows:
            if row.record is None:
                counts = counts._replace(rejected=counts.rejected + 1)
                told(f"{job.source}:{row.line}: {row.error}")
            elif (k := key(row.record)) not in taken:
                taken.add(k)
                yield row.record
            elif k in done:
                done.discard(k)  # the first of them; what comes again is a repetition
            else:
                counts = counts._replace(repeated=counts.repeated + 1)

    async def judged(conversation: Conversation) -> str:
        nonlocal counts
        scores = [await judge_panel(r.name, conversation, ask, job.repairs, job.members, knowledge) for r in job.rubrics]
        unscored = counts.unscored + sum(s.value is None for s in scores)
        silent = counts.silent or next((f"{conversation.id}: {s.metric}: {s.reason}" for s in scores if s.value is None), "")
        counts = counts._replace(judged=counts.judged + 1, scores=counts.scores + len(scores), unscored=unscored, silent=silent)
        show(counts.judged + counts.already, counts.scores - counts.unscored)
        return _judged(conversation, scores, job).line()

    await grow(job.output, following(), judged, window)
    put_in_order(job.output, order, lambda line: key(Conversation.model_validate_json(line)))
    return counts


def _judged(conversation: Conversation, scores: Sequence[Score], job: Judging) -> Conversation:
    """Return the record with its judges' scores in the place of older ones, and the prompts they came of."""
    kept = tuple(s for s in conversation.scores if s.metric not in {n.metric for n in scores})
    refs = (*(load_prompt(name).ref for name in PROMPTS), *(r.ref for r in job.rubrics))
    prompts = (*(p for p in conversation.provenance.prompts if p.name not in {r.name for r in refs}), *refs)
    provenance = conversation.provenance.model_copy(update={"prompts": prompts})
    return conversation.model_copy(update={"scores": (*kept, *scores), "provenance": provenance})
