"""Everything that goes in: sets, files, folders and runs of our own, as records in one file, with what could not be read beside it."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

from pixel_synth.books import Books, Counting, Reject
from pixel_synth.errors import SourceError
from pixel_synth.jsonl import sha256_of, whole
from pixel_synth.recipe import Recipe
from pixel_synth.records import Conversation
from pixel_synth.runs.assemble.assembly import Assembly, Result
from pixel_synth.runs.directory import Run, content_hash
from pixel_synth.runs.screen import say
from pixel_synth.sources import chosen
from pixel_synth.sources.licence import OURS, UNKNOWN, forbidden
from pixel_synth.sources.load import as_input, load, place_of
from pixel_synth.standardise import Seen, repeat


def gather(assembly: Assembly, folder: Path) -> Result:
    """Load all sources and inputs of the recipe.

    Raises:
        SourceError: When a licence forbids the use, or, after the others were read, when a source could not be; with all names.
    """
    loading = load(assembly.recipe, step=lambda *_: None, say=lambda alert: say(f"alert: {alert}"))
    ours, runs = trusted(assembly.recipe), own_runs(assembly.recipe)
    seen, by_source, terms = Seen(), dict[str, Books](), set[tuple[str, str]]()
    with ExitStack() as stack:
        kept, rejects = (stack.enter_context(whole(folder / f"{name}.jsonl")) for name in ("kept", "rejects"))
        for name, records in loading:
            counting = Counting()
            for number, record in enumerate(records, 1):
                if isinstance(record, Conversation) and seen.again(record.id):
                    record = repeat(record.id, record.provenance.row or name, number)
                if isinstance(record, Reject):
                    (counting.fail if record.stage == "sources" else counting.reject)(record.reason)
                    rejects.write(record.line() + "\n")
                else:
                    fresh = record if name in ours else foreign(record, name, runs)
                    counting.keep()
                    terms.add((fresh.provenance.source, fresh.provenance.license))
                    kept.write(fresh.line() + "\n")
            by_source[name] = counting.books
            say(f"  {name}: {counting.books}")
        if refused := forbidden(sorted(terms), assembly.recipe.profile):
            raise SourceError(
                "\n".join((f"the profile {assembly.recipe.profile} forbids", *(f"  {line}" for line in refused))),
                hint="leave these out, or --profile research",
            )
    if loading.failures:
        broken = "".join(f"\n  {name}: {why}" for name, why in loading.failures.items())
        raise SourceError(f"these could not be read, and a dataset without them is another one{broken}", hint="mend or leave them out")
    books = sum(by_source.values(), Books())
    facts = {"sources": {name: b.model_dump() for name, b in by_source.items()}}
    return books, facts


def foreign(record: Conversation, name: str, runs: set[str]) -> Conversation:
    """Return a record without the scores of another toolkit; outside of run directories nothing can claim to be generated here."""
    provenance = record.provenance
    if provenance.source == OURS and name not in runs and name != OURS:
        provenance = provenance.model_copy(update={"source": Path(name).stem, "license": provenance.license or UNKNOWN})
    return record.model_copy(update={"scores": (), "verdict": None, "provenance": provenance})


def own_runs(recipe: Recipe) -> set[str]:
    """Return the inputs that are run directories of pipelines."""
    return {str(path) for path in (as_input(text).path for text in recipe.inputs) if (path / "run.json").is_file()}


def trusted(recipe: Recipe) -> set[str]:
    """Return the inputs that are runs of this very toolkit, with these packs and prompts: their scores are taken over."""
    found = set()
    for text in recipe.inputs:
        path = as_input(text).path
        if (path / "run.json").is_file() and Run.open(path).info.get("content") == content_hash():
            found.add(str(path))
    return found


def decides(recipe: Recipe) -> dict[str, Any]:
    """Return what the gathered records depend on: the recipe's sets and what was fetched of them, and the bytes of its inputs."""
    place, inputs = place_of(recipe), {}
    for text in recipe.inputs:
        path = as_input(text).path
        data = path / "data" / "conversations.jsonl"
        whole_folder = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() and not data.is_file() else []
        inputs[text] = [sha256_of(p) for p in (whole_folder or [data if data.is_file() else path]) if p.is_file()]
    fetched = {source.id: receipt.model_dump(mode="json") for source in chosen(recipe.sources) if (receipt := source.receipt(place))}
    return {"sources": recipe.sources, "fetched": fetched, "inputs": inputs, "profile": recipe.profile}
