"""``pixel-synth knowledge``: browse, check and use the knowledge packs."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

Command = Callable[[argparse.Namespace], int]


def add_commands(commands: Any) -> None:
    """Add the ``knowledge`` commands to a parser's subparsers; imports nothing heavy."""
    knowledge = commands.add_parser(
        "knowledge", help="the knowledge packs: list, show, check, claims, coverage, graph, site, meets, parse, score, administer, persona"
    ).add_subparsers(required=True, metavar="ACTION")

    def add(name: str, run: Command, help: str) -> argparse.ArgumentParser:
        sub: argparse.ArgumentParser = knowledge.add_parser(name, help=help, description=help)
        sub.set_defaults(run=run)
        return sub

    listing = add("list", list_entries, "list entries, of one kind or all")
    listing.add_argument("kind", nargs="?", help="disorder, modality, population, attachment, defense, …, or a folder such as pdm2")
    add("show", show_entry, "print one entry as YAML").add_argument("id", help="an entry's id, e.g. panic_disorder")
    check = add("check", check_packs, "validate every pack: schema, talk, cues, references, sources, wording, spelling, repeated lines")
    check.add_argument("--against", type=Path, metavar="DIR", help="also find runs of 12 words that any text below this folder has as well")
    claims = add("claims", list_claims, "list every clinical claim with the sources that carry it")
    claims.add_argument("--unsourced", action="store_true", help="only those without a source; exit status 1 when there are any")
    add("coverage", show_coverage, "the base in numbers: kinds and the manual's chapters")
    graph = add("graph", print_graph, "print how entries point to each other (differentials, indications, …)")
    graph.add_argument("--relation", help='only this one, e.g. "differential" or "indicated for"')
    graph.add_argument("--around", metavar="ID", help="only pointers from or to this entry")
    graph.add_argument("--format", choices=("dot", "mermaid", "json"), default="dot")
    site = add("site", write_site, "write the whole base as static pages that need no server; open index.html")
    site.add_argument("-o", "--output", type=Path, default=Path("knowledge-site"), metavar="DIR", help="default: ./knowledge-site")
    meets = add("meets", evaluate_findings, "does a set of findings meet a disorder, by the manual's rules, and what speaks against")
    meets.add_argument("disorder", help="a disorder's id, e.g. major_depressive_disorder")
    meets.add_argument("--found", default="", metavar="IDS", help="criterion ids, comma-separated; see `knowledge show`")
    meets.add_argument("--days", type=int, help="how long it has lasted")
    meets.add_argument("--age", type=int)
    meets.add_argument("--onset", type=int, metavar="AGE", help="age at which it began")
    meets.add_argument("--with", dest="circumstances", default="", metavar="IDS", help="circumstances, e.g. substance,bereavement")
    parse = add("parse", parse_text, "read your own licensed text (criteria, PDM-2 sections, inventories) into packs")
    parse.add_argument("path", type=Path, metavar="FILE", help=".txt, .md, or .pdf (needs the extra pdf)")
    parse.add_argument(
        "--kind", choices=("disorder", "syndrome", "capacity", "instrument"), help="read every section as this; default: by its content"
    )
    parse.add_argument("--out", type=Path, metavar="DIR", help="write packs there, drafts as ID.yaml.draft; default: print them")
    parse.add_argument("--source", metavar="CITATION", default="", help="how to cite the text: authors (year). title. publisher.")
    parse.add_argument("--report", action="store_true", help="print where every line went, and which were not understood")
    _instruments(add)


def _instruments(add: Callable[[str, Command, str], argparse.ArgumentParser]) -> None:
    scoring = add("score", score_answers, "score the answers to an instrument: values, bands, norms, flags")
    scoring.add_argument("instrument", metavar="INSTRUMENT", help="an instrument's id, e.g. phq9")
    talk = add("administer", administer_instrument, "write the conversation in which an instrument is filled in")
    talk.add_argument("instrument", metavar="INSTRUMENT", help="an instrument's id, e.g. gad7")
    talk.add_argument("--seed", type=int, default=0, help="decides the words, and the answers when none are given (default 0)")
    talk.add_argument("--severity", choices=("none", "mild", "moderate", "severe"), help="of drawn answers; default: drawn, too")
    person = add("persona", make_persona, "a Big Five persona from answers to the IPIP-NEO-120")
    person.add_argument(
        "--group", default="", help='norm group, e.g. "women 21-40"; default: levels by the range of each scale, not normed'
    )
    for sub in (scoring, talk, person):
        given = sub.add_mutually_exclusive_group(required=sub is not talk)
        given.add_argument("--answers", metavar="FILE", help="JSON (points by item) or CSV (item,points); - reads standard input")
        given.add_argument("--ask", action="store_true", help="ask for the answers here, one item at a time")
        sub.add_argument("--json", action="store_true", help="everything as JSON")


def list_entries(args: argparse.Namespace) -> int:
    """List entries by kind."""
    from pixel_synth.errors import UsageError
    from pixel_synth.knowledge import load

    base = load()
    packs = [p for p in base.packs if not args.kind or args.kind in (p.kind, p.path.parent.name)]
    if not packs:
        known = sorted({p.kind for p in base.packs} | {p.path.parent.name for p in base.packs})
        raise UsageError(f"no kind or folder {args.kind!r}", hint=f"known: {', '.join(known)}")
    for kind in dict.fromkeys(p.kind for p in packs):
        entries = [e for p in packs if p.kind == kind for e in p.entries]
        print(f"{kind} ({len(entries)})")
        for entry in sorted(entries, key=lambda e: e.id):
            print(f"  {entry.id:<52} {entry.name}")
    return 0


def show_entry(args: argparse.Namespace) -> int:
    """Print entries with an id, with their sources."""
    import yaml

    from pixel_synth.errors import KnowledgeError
    from pixel_synth.knowledge import load
    from pixel_synth.knowledge.load import cited

    base = load()
    found = [(p, e) for p in base.packs for e in p.entries if e.id == args.id]
    if not found:
        from difflib import get_close_matches

        near = get_close_matches(args.id, [e.id for p in base.packs for e in p.entries], n=4)
        raise KnowledgeError(f"no entry {args.id!r}", hint=f"did you mean: {', '.join(near)}" if near else "pixel-synth knowledge list")
    for pack, entry in found:
        print(f"# {pack.kind}, {pack.path.name}")
        for key in dict.fromkeys(key for _, key in cited(entry)):
            print(f"# source {key}: {pack.sources[key].cite} {pack.sources[key].doi}".rstrip())
        print(yaml.safe_dump(entry.model_dump(mode="json", exclude_defaults=True), sort_keys=False, allow_unicode=True, width=110))
    return 0


def check_packs(args: argparse.Namespace) -> int:
    """Run every check over the packs."""
    from pixel_synth.errors import KnowledgeError, UsageError
    from pixel_synth.knowledge import load
    from pixel_synth.knowledge.check import check, spelling
    from pixel_synth.knowledge.load import knowledge_dir

    if args.against and not args.against.is_dir():
        raise UsageError(f"--against {args.against}: no such folder")
    base = load()
    findings = check(base, args.against)
    try:
        findings += spelling(base, knowledge_dir())
    except KnowledgeError as error:
        print(f"{error}; spelling is not checked", file=sys.stderr)
    for finding in findings:
        print(finding, file=sys.stderr)
    print(f"{len(base.packs)} packs, {sum(len(p.entries) for p in base.packs)} entries, {len(findings)} findings")
    return 1 if findings else 0


def list_claims(args: argparse.Namespace) -> int:
    """Print claims with what carries them."""
    from pixel_synth.knowledge import load
    from pixel_synth.knowledge.claims import statements

    found = list(statements(load()))
    bare = [s for s in found if s.unsourced]
    for s in bare if args.unsourced else found:
        print(f"{s.where}\t{', '.join(s.sources) or '-'}\t{s.text}")
    own = sum(s.own for s in found)
    print(
        f"{len(found)} claims: {own} with sources of their own, {len(found) - own} on their entry's, {len(bare)} unsourced", file=sys.stderr
    )
    return 1 if args.unsourced and bare else 0


def show_coverage(args: argparse.Namespace) -> int:
    """Print the base in numbers."""
    from pixel_synth.knowledge import load
    from pixel_synth.knowledge.graph import chapters, counts

    base = load()
    print(f"{'kind':<18} entries  threads  talk lines  claims  pointed to")
    for c in counts(base):
        print(f"{c.kind:<18} {c.entries:>7}  {c.threads:>7}  {c.lines:>10}  {c.claims:>6}  {c.pointed_to:>10}")
    print(f"\n{'chapter':<28} disorders  criteria  beats  with indicated modality  with instrument")
    for h in chapters(base):
        print(f"{h.chapter:<28} {h.disorders:>9}  {h.criteria:>8}  {h.beats:>5}  {h.treated:>23}  {h.measured:>15}")
    return 0


def print_graph(args: argparse.Namespace) -> int:
    """Print the pointers between entries."""
    from pixel_synth.errors import UsageError
    from pixel_synth.knowledge import graph, load

    every = graph.edges(load())
    found = [e for e in every if not args.relation or e.relation == args.relation]
    if args.relation and not found:
        raise UsageError(f"no relation {args.relation!r}", hint=f"known: {', '.join(sorted({e.relation for e in every}))}")
    if args.around:
        found = [e for e in found if args.around in (e.source.partition(":")[2], e.target.partition(":")[2])]
        if not found:
            raise UsageError(f"nothing points from or to {args.around!r}", hint="pixel-synth knowledge list")
    print({"dot": graph.dot, "mermaid": graph.mermaid, "json": graph.as_json}[args.format](found), end="")
    return 0


def write_site(args: argparse.Namespace) -> int:
    """Write the static pages."""
    from pixel_synth.knowledge import load
    from pixel_synth.publish.atlas import write

    print(f"{write(load(), args.output)} pages; open {args.output / 'index.html'}")
    return 0


def evaluate_findings(args: argparse.Namespace) -> int:
    """Evaluate findings against a disorder's rules; exit status 0 only when they meet it."""
    from pixel_synth.errors import UsageError
    from pixel_synth.knowledge import load
    from pixel_synth.knowledge.diagnose import Findings, evaluate
    from pixel_synth.knowledge.models import Disorder

    base = load()
    disorder = base.get(Disorder, args.disorder)
    given = frozenset(c.strip() for c in args.circumstances.split(",") if c.strip())
    known = {id for entries in base.by_kind.values() for id in entries}
    if given - known:
        raise UsageError(f"--with: unknown {', '.join(sorted(given - known))}", hint="pixel-synth knowledge list circumstance")
    findings = Findings(
        criteria=frozenset(c.strip() for c in args.found.split(",") if c.strip()),
        duration_days=args.days,
        age=args.age,
        onset_age=args.onset,
        circumstances=given,
    )
    try:
        verdict = evaluate(disorder, findings)
    except ValueError as error:
        raise UsageError(f"--found: {error}", hint=f"its criteria: {', '.join(c.id for c in disorder.criteria)}") from error
    print(f"{disorder.name}: {verdict.standing.replace('_', ' ')}" + (f", {verdict.severity}" if verdict.severity else ""))
    for reason in verdict.against:
        print(f"  against: {reason}")
    for question in verdict.open:
        print(f"  not known: {question}")
    print("  This is what the rules say about these findings; a diagnosis needs somebody qualified to make it.")
    return 0 if verdict.met else 1


def parse_text(args: argparse.Namespace) -> int:
    """Read a user's own text into packs; exit status 1 when an entry failed."""
    from pixel_synth.knowledge import parse

    document = parse.parse_file(args.path, args.kind)
    cite = args.source.strip() or f"{args.path.name}: cite it here (authors, year, title, publisher)."
    if args.out:
        for path in parse.write_packs(document, args.out, cite):
            print(path)
    elif not args.report:
        print("---\n".join(parse.pack_text(p, cite) for p in document.entries if p.status != "failed"), end="")
    if args.report:
        print(parse.report(document))
    for fault in parse.faults(document):
        print(fault, file=sys.stderr)
    print(parse.summary(document), file=sys.stderr)
    return 1 if any(p.status == "failed" for p in document.entries) else 0


def score_answers(args: argparse.Namespace) -> int:
    """Score the answers to an instrument."""
    from pixel_synth.knowledge.commands import score_command

    return score_command(args)


def administer_instrument(args: argparse.Namespace) -> int:
    """Write a screening conversation."""
    from pixel_synth.knowledge.commands import administer_command

    return administer_command(args)


def make_persona(args: argparse.Namespace) -> int:
    """Turn the answers to an inventory into a Big Five persona."""
    from pixel_synth.knowledge.commands import persona_command

    return persona_command(args)
