"""How an account of one record reads in a terminal, 100 columns wide."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from pixel_synth.records import Evidence, Score
from pixel_synth.runs.explain import Account, CallTold

WIDTH = 100
EVIDENCE = 3  # quotes that are shown of a score
QUOTE = 68  # characters of a quote
HERE = {"same": "the file here is the same", "changed": "the file here has another text", "missing": "there is no such file here"}


def text(account: Account, *, full: bool = False) -> str:
    """Return an account as text; with ``full`` also the messages and the raw answer of every call."""
    parts = (head(account), plan(account), cited(account), prompts(account), calls(account, full), verdict(account), others(account))
    return "\n".join(line for part in parts for line in part)


def head(a: Account) -> Iterator[str]:
    """Yield who and what the record is."""
    bp, c, settings = a.attempt.blueprint, a.attempt.conversation, a.info.get("settings", {})
    yield f"{c.id if c else '(no conversation)'}   {a.place.status}   slot {bp.slot}, attempt {bp.attempt}"
    yield from _row("blueprint", bp.id)
    yield from _row("found in", f"{a.run}, data/{a.place.file}, byte {a.place.start:,}, {a.place.size:,} bytes")
    labels = c.labels.model_dump() if c else {"topic": bp.topic, "modality": bp.modality, "population": bp.population,
                                              "difficulty": bp.difficulty, "risk": bp.risk}  # fmt: skip
    yield from _row("labels", " · ".join(f"{k} {v if isinstance(v, str) else ', '.join(v)}" for k, v in labels.items() if v))
    if c:
        p = c.provenance
        yield from _row("made by", f"engine {p.engine}, model {p.model}, toolkit {p.toolkit}, seed {p.seed}, {p.source}")
        yield from _row("licence", p.license or "none given")
    else:
        engine, model = settings.get("engine", "?"), settings.get("model", "")
        yield from _row("made by", f"engine {engine}, model {model or engine}, toolkit {a.info.get('toolkit', '?')}, seed {bp.seed}")


def plan(a: Account) -> Iterator[str]:
    """Yield what was to be written."""
    bp, p = a.attempt.blueprint, a.attempt.blueprint.persona
    yield "\nplan"
    traits = ", ".join(f"{level} {trait}" for trait, level in p.big_five.model_dump().items() if level != "mid")
    yield from _row("topic", f"{a.topic.name if a.topic else bp.topic}, {bp.severity}; {bp.modality}, {bp.turns} messages")
    texts = {f.id.removeprefix(f"{bp.topic}."): f.text for f in bp.must_appear if f.kind == "criterion"}
    texts |= {c.id: c.text for c in a.topic.criteria} if a.topic else {}
    for id in bp.criteria_met:
        heard = "met and voiced" if id in bp.criteria_voiced else "met"
        yield from _row("criterion" if id == bp.criteria_met[0] else "", f"{id} ({heard}) {texts.get(id, '')}")
    yield from _row("client", f"{p.name} ({p.pronouns}), {p.age}, {p.occupation}; close: {p.person}; attachment {p.attachment}; "
                    f"defences {', '.join(p.defenses) or 'none'}; profile {p.profile}: {traits or 'average traits'}")  # fmt: skip
    yield from _row("event", f"{bp.event}; like this for {bp.duration_text} ({bp.duration_days:,} days)")
    yield from _row("moves", ", ".join(f"{m.move} ({m.phase})" for m in bp.moves) or "none")
    facts = [f"{f.kind} “{f.text}”" for f in bp.must_appear if f.kind != "criterion"]
    yield from _row("to be said", "; ".join(facts))


def cited(a: Account) -> Iterator[str]:
    """Yield the knowledge entries, and below them the sources they cite."""
    sources = list(dict.fromkeys(source for entry in a.cited for source in entry.sources))
    yield f"\nknowledge: {len(a.cited)} entries, {len(sources)} sources"
    for entry in a.cited:
        kind, _, id = entry.ref.partition(":")
        numbers = " ".join(f"[{sources.index(source) + 1}]" for source in entry.sources)
        name = _short(entry.name or "not in the packs here", WIDTH - 48 - len(numbers))
        yield f"  {kind:<15} {_short(id, 28):<28} {name} {numbers}".rstrip()
    for number, (cite, doi) in enumerate(sources, 1):
        yield from _wrap(f"{cite} {f'doi:{doi}' if doi else ''}".strip(), f"  [{number}] ".ljust(8))


def prompts(a: Account) -> Iterator[str]:
    """Yield the prompts and what has become of their files."""
    yield "\nprompts"
    if not a.prompts:
        yield "  (a failed attempt names none)"
    for ref, here in a.prompts:
        yield f"  {ref.name:<18} version {ref.version:<4} {ref.sha256[:12]}  {HERE[here]}"


def calls(a: Account, full: bool) -> Iterator[str]:
    """Yield a line for each call, and their sums."""
    totals = a.totals()
    yield f"\ncalls: {len(a.calls)}"
    if a.lost:
        yield from _wrap(a.lost, "  note: ")
    if a.calls:
        yield f"  {'part':<10} {'turn':>4}  {'key':<12}  {'finish':<8} {'in':>7} {'cached':>7} {'out':>6} {'seconds':>9}"
    for call in a.calls:
        numbers = f"{_count(call.tokens_in):>7} {_count(call.cached):>7} {_count(call.tokens_out):>6} {_seconds(call.seconds):>9}"
        yield _short(f"  {call.part:<10} {call.turn:>4}  {call.key[:12]}  {call.finish:<8} {numbers}  {call.note}".rstrip(), WIDTH)
        if full:
            yield from _in_full(call)
    if a.calls:
        known = any(call.tokens_in is not None for call in a.calls)
        sums = [f"{totals[name]:,.0f}" if known else "–" for name in ("tokens_in", "cached", "tokens_out")]
        yield f"  {'total':<39} {sums[0]:>7} {sums[1]:>7} {sums[2]:>6} {_seconds(totals['seconds']):>9}"
    if a.attempt.status == "failed":
        yield f"\nfailed: {a.attempt.kind}"
        yield from _wrap(a.attempt.reason, "  reason: ")
        yield "  raw answer:" if a.attempt.raw else "  there was no answer"
        yield from _raw(a.attempt.raw)


def _in_full(call: CallTold) -> Iterator[str]:
    yield f"    {call.prompt}; key {call.key}"
    for message in call.messages or ():
        yield f"    ── {message['role']}"
        yield from _raw(message["content"])
    yield "    ── answer"
    yield from _raw(call.text or "(none)")
    yield ""


def verdict(a: Account) -> Iterator[str]:
    """Yield scores with their parts and evidence, and what the gate said."""
    c = a.attempt.conversation
    if c is None:
        return
    least = a.info.get("settings", {}).get("thresholds", {})
    yield "\nscores"
    for score in c.scores:
        yield from _score(score, least.get(score.metric))
    yield f"\ngate: {a.place.status}"
    for reason in c.verdict.reasons if c.verdict else ():
        yield from _wrap(reason, "  ")


def _score(score: Score, least: float | None) -> Iterator[str]:
    limit = f"(at least {least:.2f})" if least is not None else ""
    if score.value is None:
        yield from _wrap(f"unscored: {score.reason} {limit}".rstrip(), f"  {score.metric:<24} ")
    else:
        below = "below: " if least is not None and score.value < least else ""
        yield f"  {score.metric:<24} {below}{score.value:.3f} {limit}".rstrip()
    parts = ", ".join(f"{p.name} {'n/a' if p.value is None else f'{p.value:.2f}'}" for p in score.parts)
    if parts:
        yield from _wrap(parts, "    ")
    for e in score.evidence[:EVIDENCE]:
        yield f"    {_quote(e)}"
    if len(score.evidence) > EVIDENCE:
        yield f"    … and {len(score.evidence) - EVIDENCE} more quotes"


def _quote(e: Evidence) -> str:
    return _short(f"turn {e.turn:>2}, {e.label}: “{_short(e.quote, QUOTE)}”", WIDTH - 4)


def others(a: Account) -> Iterator[str]:
    """Yield the other attempts of the same slot."""
    if a.others:
        yield f"\nother attempts of slot {a.place.slot}"
    for place, reason in a.others:
        yield from _wrap(f"{place.status}{f': {reason}' if reason else ''}", f"  {place.attempt:>2}  {place.id or place.blueprint}  ")


def _row(name: str, value: str) -> Iterator[str]:
    return _wrap(value, f"  {name:<10} ")


def _wrap(value: str, first: str) -> Iterator[str]:
    """Yield lines of at most `WIDTH` characters, those after the first one indented below it."""
    yield from textwrap.wrap(value, WIDTH, initial_indent=first, subsequent_indent=" " * len(first)) or [first.rstrip()]


def _raw(value: str) -> Iterator[str]:
    """Yield a text as it is, its long lines broken at blanks and marked by the missing bar."""
    for line in value.splitlines():
        yield from textwrap.wrap(line, WIDTH, initial_indent="    │ ", subsequent_indent="      ", replace_whitespace=False,
                                 expand_tabs=False, break_on_hyphens=False) or ["    │"]  # fmt: skip


def _short(value: str, most: int) -> str:
    return value if len(value) <= most else value[: most - 1].rstrip() + "…"


def _count(number: int | None) -> str:
    return "–" if number is None else f"{number:,}"


def _seconds(number: float | None) -> str:
    return "–" if number is None else f"{number:,.3f}"
