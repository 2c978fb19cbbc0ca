"""``pixel-synth sources``: list, fetch, check and count the sets that others made."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pixel_synth.sources.fetch import Outcome
    from pixel_synth.sources.source import Place, Source, Step

Command = Callable[[argparse.Namespace], int]
EPILOG = """\
examples:
  pixel-synth sources list --group reasoning
  pixel-synth sources fetch --group mental_health
  pixel-synth sources fetch counsel_chat --local counsel_chat=data/counsel-chat
  pixel-synth sources fetch --all --mirror /media/sets     sets as /media/sets/OWNER/NAME/…, nothing is downloaded
  pixel-synth sources check psych8k
  pixel-synth sources inventory --md > INVENTORY.md

Gated sets: accept the terms at the set's page, then set HF_TOKEN.  HF_ENDPOINT points at another Hub.  What was fetched lies in
[dataset] cache of pixel.toml; metrics.jsonl and alerts.jsonl there tell what was counted.  See docs/sources.md.
"""
SHOWN = 20  # findings of a set that check prints before it only counts
GROUPS = ("mental_health", "reasoning", "personality", "auxiliary", "local")


def add_commands(commands: Any) -> None:
    """Add ``sources`` to a parser's subparsers; imports nothing heavy."""
    help = "the sets that others made: list, fetch, check, inventory"
    root = commands.add_parser("sources", help=help, description=help, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter)
    actions = root.add_subparsers(required=True, metavar="ACTION")

    def add(name: str, run: Command, help: str) -> argparse.ArgumentParser:
        p: argparse.ArgumentParser = actions.add_parser(
            name, help=help, description=help, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        p.set_defaults(run=run)
        p.add_argument("id", nargs="*", metavar="ID", help="a set's id, or its name on the Hub")
        p.add_argument("--group", action="append", choices=GROUPS, metavar="G", help=f"all sets of a group: {', '.join(GROUPS)}")
        p.add_argument("--cache", type=Path, metavar="DIR", help="folder of what was fetched (default: [dataset] cache)")
        p.add_argument("--mirror", type=Path, metavar="DIR", help="folder OWNER/NAME/… to read in place of the Hub")
        p.add_argument("--local", action="append", default=[], metavar="ID=PATH", help="where a set lies that is on no Hub")
        return p

    add("list", list_sources, "which sets there are: licence, uses, access, revision, fetched or not")
    fetch = add("fetch", fetch_sources, "bring sets into the cache, pin them, count what is in them; what is there is not brought again")
    fetch.add_argument("--all", action="store_true", help="every set; the local ones where it is said where they lie")
    fetch.add_argument("--update", action="store_true", help="take and pin another commit than the pinned one")
    fetch.add_argument("--dry-run", action="store_true", help="say what would be fetched, fetch nothing")
    fetch.add_argument("--workers", type=_count, default=4, metavar="N", help="files that are downloaded at once (default 4)")
    fetch.add_argument("--alert-nulls", type=_share, default=0.05, metavar="P", help="alert above this share of nulls in a needed column")
    fetch.add_argument(
        "--alert-rejects", type=_share, default=0.2, metavar="P", help="alert above this share of rows that become no record"
    )
    add("check", check_sources, "compare files with their pins, and every row with the shape that is expected; exit status 1 when damaged")
    shown = add(
        "inventory", print_inventory, "files, bytes, rows, hash, licence, limits and citation of every set"
    ).add_mutually_exclusive_group()
    shown.add_argument("--json", action="store_true", help="as JSON")
    shown.add_argument("--md", action="store_true", help="as Markdown")


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number, 1 or more")
    return int(text)


def _share(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no share from 0 to 1, such as 0.05")
    return value


def _place(args: argparse.Namespace) -> Place:
    from pixel_synth.errors import UsageError
    from pixel_synth.recipe import load_recipe
    from pixel_synth.sources import sources
    from pixel_synth.sources.load import place_of

    recipe = load_recipe(cache=args.cache, mirror=args.mirror)
    local = dict(recipe.local)
    for given in args.local:
        id, equals, path = given.partition("=")
        if not (equals and path):
            raise UsageError(f"--local {given}: ID=PATH is wanted", hint="--local counsel_chat=data/counsel-chat")
        local[id] = Path(path)
    for id in local:
        if id not in sources() or sources()[id].hub:
            named = ", ".join(s.id for s in sources().values() if not s.hub)
            raise UsageError(f"{id} is no set that lies on this machine", hint=f"these are: {named}")
    return place_of(recipe)._replace(local=local, workers=getattr(args, "workers", 4))


def _wanted(args: argparse.Namespace) -> list[Source]:
    """Return the sets that ids and groups name; all when neither is given."""
    from pixel_synth.sources import chosen, sources

    named = [*args.id, *(s.id for s in sources().values() if s.group in (args.group or ()))]
    return chosen(named or sources())


def list_sources(args: argparse.Namespace) -> int:
    """Print a line a set."""
    from pixel_synth.sources.fetch import fetched
    from pixel_synth.sources.inventory import access, entry

    place = _place(args)
    table = [("id", "group", "category", "licence", "uses", "access", "revision", "fetched")]
    for source in _wanted(args):
        e = entry(source, place)
        there = f"{e.rows:,} rows" if e.rows is not None and fetched(source, place) else "no"
        table.append((e.id, e.group, e.category, e.license, e.uses, access(e.gated), e.revision[:12] or "not pinned", there))
    widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
    for row in table:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    return 0


def fetch_sources(args: argparse.Namespace) -> int:
    """Bring sets into the cache; status 1 when one failed."""
    from pixel_synth.errors import UsageError
    from pixel_synth.sources.fetch import fetch_all, fetched, reachable
    from pixel_synth.sources.measure import Limits

    if not (args.id or args.group or args.all):
        raise UsageError("which sets?", hint="ids, --group G or --all; pixel-synth sources list shows them")
    place, wanted = _place(args), _wanted(args)
    if args.all:
        wanted = [s for s in wanted if reachable(s, place) or s.id in place.local or s.id in args.id]
    if args.dry_run:
        for source in wanted:
            state = "is there" if fetched(source, place) else "would be fetched"
            print(f"{source.id:<20} {state}  {source.repo or place.local.get(source.id, '')}")
        return 0
    limits = Limits(args.alert_nulls, args.alert_rejects)
    with _bars() as step:
        outcomes = fetch_all(
            wanted, place, update=args.update, limits=limits, step=step, ended=_told,
            say=lambda alert: print(f"alert: {alert}", file=sys.stderr),
        )  # fmt: skip
    failed = [o for o in outcomes if o.error]
    alerts = sum(len(o.alerts) for o in outcomes)
    print(f"{len(outcomes)} sets = {len(outcomes) - len(failed)} fetched + {len(failed)} failed; {alerts} alerts; counts in {place.cache}")
    return 1 if failed else 0


def _told(outcome: Outcome) -> None:
    if outcome.receipt is None or outcome.receipt.measured is None:
        print(f"failed: {outcome.error}", file=sys.stderr)
        return
    m = outcome.receipt.measured
    rejects = "no rows" if m.rejects is None else f"{m.rejects:.1%} of {m.sampled} sampled rows rejected"
    quality = f"language quality unscored: {m.reason}" if m.quality is None else f"language quality {m.quality:.3f} ({m.scored})"
    print(
        f"{outcome.source.id}: {m.rows:,} rows ({m.unreadable:,} unreadable) in {len(outcome.receipt.files)} files, "
        f"{outcome.receipt.bytes:,} bytes; {outcome.downloaded} downloaded, {outcome.reused} there already; {rejects}; {quality}"
    )
    for note in outcome.notes:
        print(f"  note: {note}")


@contextmanager
def _bars() -> Iterator[Step]:
    """Show a bar a set on a terminal, nothing elsewhere."""
    if not sys.stderr.isatty():
        yield lambda *_: None
        return
    from rich.console import Console
    from rich.progress import Progress, TaskID

    with Progress(console=Console(stderr=True), transient=True) as bars:
        tasks: dict[str, TaskID] = {}

        def step(id: str, done: int, total: int) -> None:
            if id not in tasks:
                tasks[id] = bars.add_task(id)
            told = f"{id}: {done:,} of {total:,}" if total else f"{id}: {done:,} rows"
            bars.update(tasks[id], completed=done, total=total or None, description=told)

        yield step


def check_sources(args: argparse.Namespace) -> int:
    """Compare what lies in the cache with the pins; status 1 when a set is damaged or was never fetched."""
    from pixel_synth.errors import PixelError
    from pixel_synth.sources.check import check
    from pixel_synth.sources.receipt import has_receipt

    place = _place(args)
    named = bool(args.id or args.group)
    bad = 0
    wanted = [s for s in _wanted(args) if named or has_receipt(place.cache, s.id)]
    with _bars() as step:
        for source in wanted:
            try:
                found = check(source, place, SHOWN, step)
            except PixelError as error:
                print(f"failed: {error}", file=sys.stderr)
                bad += 1
                continue
            for line in (*found.damage, *found.findings):
                print(f"{source.id}: {line}", file=sys.stderr)
            if found.more:
                print(f"{source.id}: and {found.more:,} more", file=sys.stderr)
            bad += bool(found.damage)
            kinds = ", ".join(f"{n:,} {kind}" for kind, n in found.books.reasons.items())
            print(f"{source.id}: {'DAMAGED' if found.damage else 'as pinned'}; {found.books}{f' ({kinds})' if kinds else ''}")
    print(f"{len(wanted)} sets = {len(wanted) - bad} as pinned + {bad} not")
    return 1 if bad else 0


def print_inventory(args: argparse.Namespace) -> int:
    """Print the inventory, and under what a mixture of it could be published."""
    from pixel_synth.sources.inventory import access, entry, markdown
    from pixel_synth.sources.licence import forbidden, terms

    place, wanted = _place(args), _wanted(args)
    entries = [entry(s, place) for s in wanted]
    if args.json:
        print(json.dumps([e.model_dump(mode="json") for e in entries], indent=2, ensure_ascii=False))
        return 0
    if args.md:
        sys.stdout.write(markdown(entries))
        return 0
    for e in entries:
        there = "not fetched" if e.files is None else f"{e.files} files, {e.bytes:,} bytes, {e.rows or 0:,} rows, SHA-256 {e.sha256}"
        print(f"{e.id}: {e.title}\n  {there}\n  {e.license}: {e.uses}; access {access(e.gated)}\n  found: {e.evidence}")
        for limit in e.limits:
            print(f"  mind: {limit}")
        print(f"  cite: {e.citation}" if e.citation else "  nothing to cite")
    pairs = [(s.id, s.license) for s in wanted]
    refused = forbidden(pairs, "commercial")
    print(f"\nprofile commercial refuses {len(refused)} of {len(wanted)}:" if refused else "\nprofile commercial takes all of them")
    for line in refused:
        print(f"  {line}")
    found = terms(pairs, [s.id for s in wanted if s.gated])
    print(
        "a mixture of them could be published" + (f" under {found.under}" if found.under else "")
        if not found.problems
        else "not to be published:"
    )
    for line in found.problems:
        print(f"  {line}")
    return 0
