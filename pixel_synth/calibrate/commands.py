"""What ``pixel-synth calibrate`` and ``pixel-synth cards`` do."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from pixel_synth.calibrate import hold as holding
from pixel_synth.calibrate.adapters import Labelled, of_source
from pixel_synth.calibrate.adapters.argilla import argilla
from pixel_synth.calibrate.adapters.empathy_judges import empathy_judges
from pixel_synth.calibrate.agreement import Interval
from pixel_synth.calibrate.card import ORIGINS, Card, Origin, load_cards, stale
from pixel_synth.calibrate.construct import against_swapped, planned_difficulty
from pixel_synth.calibrate.fit import Cut
from pixel_synth.calibrate.labels import read_labels, scale_flag, scales_of
from pixel_synth.calibrate.shuffle import against_shuffled
from pixel_synth.errors import UsageError
from pixel_synth.jsonl import read, whole
from pixel_synth.knowledge import load
from pixel_synth.records import Conversation


def calibrate(args: argparse.Namespace) -> int:
    """Make, show and keep a card; exit status 0 whether or not it may gate."""
    labelled = _labelled(args)
    criteria = tuple(args.criterion or _only(labelled))
    _tell_others(args, labelled, criteria)
    group = {r.group for r in labelled.ratings}.pop() if _made(args) else args.group
    measure, values, unscored = _measured(args, labelled, criteria)
    origin: Origin = args.origin
    if _made(args):  # a plan's order of turns is nobody's
        spoken = args.shuffled and not any(c.blueprint or c.provenance.engine for c in labelled.conversations)
        origin = "order" if spoken else "constructed"
    if args.rater:  # nobody is held against himself
        labelled = labelled._replace(ratings=tuple(r for r in labelled.ratings if r.rater != args.rater))
    held = holding.hold(
        measure, values, labelled, criteria, group=group, origin=origin, wanted=args.precision or (), only_held_out=args.held_out,
        trained_on=args.trained_on, lengths=holding.lengths_of(labelled.conversations, measure.metric),
        command="pixel-synth " + shlex.join(_portable(sys.argv[1:])),
    )  # fmt: skip
    print("\n".join(shown(held.card)))
    for item, why in held.left_out.items():
        if why == "no score":
            print(f"left out: {item}: {unscored.get(item, 'the conversation is not there')}", file=sys.stderr)
    taken = len(held.card.points) + len(held.left_out)
    print(f"{taken} labelled = {len(held.card.points)} used + {len(held.left_out)} left out", file=sys.stderr)
    if args.figure:
        from pixel_synth.calibrate.figure import draw

        draw(held.card, args.figure)
    if not args.dry_run:
        path = args.output / f"{held.card.name}.json"
        with whole(path) as file:
            file.write(held.card.model_dump_json(indent=1) + "\n")
        print(f"card in {path}", file=sys.stderr)
    return 0


def cards(name: str | None, as_json: bool) -> int:
    """Print all cards on a line each, or one in full."""
    found = [card for card in load_cards() if name is None or card.name.startswith(name)]
    if not found:
        raise UsageError(f"no card {name or ''}".rstrip(), hint="make one: pixel-synth calibrate --help")
    for card in found:
        if as_json:
            print(card.model_dump_json(indent=1))
        elif name is not None:
            print("\n".join(shown(card)))
        else:
            why = "may gate" if card.gates else f"may not: {card.refusals[0]}"
            print(f"{card.name:<64} n {card.labels.items:>4}  AUC {card.agreement.judge.auc}  {_now(card) or why}")
    return 0


def _now(card: Card) -> str:
    return stale(card) if card.kind == "scorer" else ""


def _labelled(args: argparse.Namespace) -> Labelled:
    """Return the labels with their conversations, from the flags."""
    conversations = _conversations(args.conversations) if args.conversations else ()
    if args.labels:
        labelled = _read(args)
        if not args.rater and not (conversations or labelled.conversations):
            raise UsageError(f"{args.labels} does not bring the conversations along", hint="--conversations FILE")
    elif _made(args) and args.conversations:
        labelled = Labelled(args.conversations.stem, "", (), (), {}, {})
    else:
        raise UsageError(
            "--labels says what people said; without it, --conversations with --shuffled, --swapped or --planned",
            hint="pixel-synth calibrate --help",
        )
    for why, n in labelled.left_out.items():
        print(f"{args.labels}: {n} left out: {why}", file=sys.stderr)
    labelled = labelled._replace(conversations=conversations or labelled.conversations, license=args.license or labelled.license)
    if args.source:
        labelled = of_source(labelled, *args.source)
    if args.name:
        labelled = labelled._replace(name=args.name)
    if args.shuffled:
        return against_shuffled(labelled, args.shuffled, not args.all_turns)
    return against_swapped(labelled) if args.swapped else planned_difficulty(labelled) if args.planned else labelled


def _made(args: argparse.Namespace) -> bool:
    """Tell whether the labels are made from the conversations, not read."""
    return bool(args.shuffled or args.swapped or args.planned)


def _read(args: argparse.Namespace) -> Labelled:
    """Read labels, whatever form they have."""
    path: Path = args.labels
    if path.is_dir():
        return empathy_judges(path)
    if path.suffix == ".json" or _is_argilla(path):
        return argilla(path, scales=dict(map(scale_flag, args.scale or ())) or None, group=args.group)
    ratings = read_labels(path)
    return Labelled(path.stem, "", (), tuple(ratings), scales_of(path, ratings, args.scale or ()), {})


def _is_argilla(path: Path) -> bool:
    """Tell an Argilla export in JSON lines from labels: its rows have no rater."""
    if path.suffix != ".jsonl" or not path.is_file():
        return False
    with path.open(encoding="utf-8", errors="replace") as file:
        return '"rater"' not in file.readline()


def _conversations(path: Path) -> tuple[Conversation, ...]:
    rows = list(read(path))
    for row in rows:
        if row.record is None:
            raise UsageError(f"{path}:{row.line}: {row.error}", hint="calibration needs every conversation; mend the line or take it out")
    return tuple(row.record for row in rows if row.record)


def _only(labelled: Labelled) -> tuple[str, ...]:
    names = sorted({r.criterion for r in labelled.ratings})
    if len(names) != 1:
        raise UsageError(f"{labelled.name} has several criteria: {', '.join(names)}", hint="name one or more with --criterion")
    return (names[0],)


def _measured(
    args: argparse.Namespace, labelled: Labelled, criteria: Sequence[str]
) -> tuple[holding.Measure, dict[str, float], dict[str, str]]:
    """Return what is held, its values by item, and why the others have none."""
    if args.scorer:
        return (holding.scorer(args.scorer), *holding.scores_of(labelled.conversations, args.scorer, load()))
    if args.judge:
        return _judge(args, labelled)
    recorded = [r for r in labelled.ratings if r.rater == args.rater]
    if not recorded:
        raise UsageError(
            f"{labelled.name}: no ratings of {args.rater!r}", hint=f"raters: {', '.join(sorted({r.rater for r in labelled.ratings}))}"
        )
    group = recorded[0].group
    own = labelled._replace(ratings=tuple(recorded))
    ratings, scale = holding.composite(own, criteria, group)
    name = f"recorded.{'+'.join(criteria)}"
    return holding.Measure(name, "judge", "recorded", "recorded", args.rater), {r.item: scale.unit(r.rating) for r in ratings}, {}


def _tell_others(args: argparse.Namespace, labelled: Labelled, criteria: Sequence[str]) -> None:
    """Say whose ratings do not count as the people's: a slip in the column would leave them out unseen."""
    counts = Counter(r.group for r in labelled.ratings if r.criterion in criteria)
    others = {group: n for group, n in counts.items() if group != args.group}
    if others and args.group in counts:
        told = ", ".join(f"{n} of {group!r}" for group, n in sorted(others.items()))
        print(f"ratings that are not {args.group!r} (--group) and do not count as the people's: {told}", file=sys.stderr)


def _judge(args: argparse.Namespace, labelled: Labelled) -> tuple[holding.Measure, dict[str, float], dict[str, str]]:
    from pixel_synth.judges.names import panel_name
    from pixel_synth.judges.rubric import rubric

    asked = rubric(args.judge.split(".")[0])
    ref = asked.ref
    metric = f"judge.{args.judge}"
    values: dict[str, float] = {}
    unscored: dict[str, str] = {}
    panels: dict[tuple[tuple[str, int], ...], str] = {}
    for conversation in labelled.conversations:
        value, reason = holding.value_of(conversation.scores, metric)
        score = next((s for s in conversation.scores if s.metric in (metric, metric.rpartition(".")[0])), None)
        if score:
            panels.setdefault(tuple(sorted((o.judge, o.sample) for o in score.panel)), conversation.id)
        if value is not None and ref not in conversation.provenance.prompts:
            value, reason = None, f"judged with another version of {ref.name} than {ref.version}"
        if value is None:
            unscored[conversation.id] = reason
        else:
            values[conversation.id] = value
    if not values:
        head = args.judge.split(".")[0]
        carried = [why for c in labelled.conversations if (why := unscored[c.id]) and c.score(f"judge.{head}")]
        if carried:
            raise UsageError(
                f"no conversation has a value of {metric}, the first because: {carried[0]}",
                hint=f"criteria of {head}: {', '.join(asked.criteria)}",
            )
        raise UsageError(f"no conversation carries a score of {metric}", hint=f"pixel-synth judge FILE --rubric {head} -o OUT first")
    if len(panels) > 1:
        raise UsageError(
            f"the conversations were not judged by the same models and samples: see {', '.join(list(panels.values())[:2])}",
            hint="judge the file anew, with one call of pixel-synth judge",
        )
    (panel,) = panels
    models = sorted({judge for judge, _ in panel})
    model = args.model or panel_name(models, len({sample for _, sample in panel}))
    if not model:
        raise UsageError("the conversations do not say which model judged them", hint="--model NAME")
    return holding.Measure(metric, "judge", ref.version, ref.sha256, model), values, unscored


def _portable(argv: Sequence[str]) -> list[str]:
    """Return the arguments with paths cut down to their last part: a card does not tell about the machine it was made on."""
    return [Path(a).name if "/" in a and not a.startswith("-") else a for a in argv]


# ------------------------------------------------------------------------------------------------ a card to read


def shown(card: Card) -> list[str]:
    """Return a card as lines to read."""
    labels, (low, high) = card.labels, (card.scale.knots[0], card.scale.knots[-1])
    good = sum(p.good > 0.5 for p in card.points)
    model = f" by {card.model}" if card.model else ""
    copies = f", {labels.items} with their copies" if labels.items > labels.conversations else ""
    lines = [
        f"{card.metric} (version {card.version}{model}) against {labels.name}: {', '.join(labels.criteria)}",
        f"  labels       {labels.conversations} conversations{copies}, {labels.raters} raters, {ORIGINS[labels.origin]}",
        f"  licence      {labels.license or 'not stated'}",
        f"  good         {labels.good}; {good} of {len(card.points)} are",
        f"  split        {'held-out items only' if labels.held_out else 'all items'}; developed on: {labels.trained_on}",
        *(f"  {name:<12} {value}{f' ({value.reason})' if value.reason else ''}" for name, value in figures(card)),
        f"  human scale  {low[1]:.2f} at raw {low[0]:.2f}, {high[1]:.2f} at raw {high[0]:.2f}",
        *(f"  precision {c.wanted:.2f}  {_cut(c, good / len(card.points))}" for c in card.cuts),
    ]
    return [*lines, *(f"  MAY NOT GATE: {why}" for why in card.refusals), *(["  may gate"] if card.gates else [])]


def _cut(c: Cut, all_good: float) -> str:
    if c.raw is None:
        return c.reason
    found = f"{c.precision:.2f} [{c.low:.2f}, {c.high:.2f}] of {c.above} are good (of all: {all_good:.2f})"
    return f"raw score from {c.raw:.3f} on: {found}, recall {c.recall or 0:.2f}"


def figures(card: Card) -> list[tuple[str, Interval]]:
    """Return the agreement figures of a card with their names, the people's own beside them."""
    names = {"kappa": "kappa", "alpha": "alpha", "icc_c": "ICC(C,1)", "icc_a": "ICC(A,1)", "spearman": "Spearman", "auc": "AUC"}
    found = [(name, getattr(side, key)) for key, title in names.items()
             for name, side in ((title, card.agreement.judge), ("  people", card.agreement.humans))]  # fmt: skip
    return [*found, ("over length", card.over_length)]
