"""What would go into a dataset, said without reading or writing any of it."""

from __future__ import annotations

from pathlib import Path

from pixel_synth.errors import UsageError
from pixel_synth.mix.quota import largest_remainder
from pixel_synth.recipe import Recipe
from pixel_synth.runs.screen import say
from pixel_synth.settings import Settings
from pixel_synth.sources import chosen
from pixel_synth.sources.fetch import fetched
from pixel_synth.sources.licence import forbidden
from pixel_synth.sources.load import as_input, place_of


def ready(recipe: Recipe) -> None:
    """Look whether the named sets, inputs, evaluation files and tokenizer are there, before hours go into a dataset without them.

    Raises:
        UsageError: When one is not, or is not spelled as it should be.
    """
    chosen(recipe.sources)
    named = [*(as_input(text).path for text in recipe.inputs), *map(Path, recipe.evaluation)]
    if gone := [str(path) for path in named if not path.exists()]:
        raise UsageError(f"not there: {', '.join(gone)}", hint="mend the path, or leave it out; --dry-run shows what would go in")
    if recipe.tokenizer and not (Path(recipe.tokenizer) / "tokenizer.json").is_file():
        raise UsageError(f"tokenizer {recipe.tokenizer}: no folder with a tokenizer.json", hint="nothing is fetched: name a folder")


def preview(recipe: Recipe, settings: Settings) -> int:
    """Say what goes in, whether its licences permit the use, and what the mix would ask for; return the exit status.

    Raises:
        SourceError: When there is no set of a name.
        UsageError: When an input is not spelled as it should be.
    """
    named: list[tuple[str, str]] = []
    missing = 0
    for source in chosen(recipe.sources):
        state = "fetched" if fetched(source, place_of(recipe)) else "to be fetched"
        say(f"set    {source.id:<28} {source.category or 'each its own':<14} {source.license:<20} {state}")
        named.append((source.id, source.license))
    for given in map(as_input, recipe.inputs):
        there = given.path.exists()
        missing += not there
        category, terms = given.category or "rows say it", given.license or "rows say it"
        say(f"input  {given.path!s:<28} {category:<14} {terms:<20} {'' if there else 'NOT THERE'}")
        named += [(str(given.path), given.license)] if given.license else []
    refused = forbidden(named, recipe.profile)
    for line in refused:
        say(f"the profile {recipe.profile} forbids {line}")
    wanted = largest_remainder(recipe.total, {str(c): r for c, r in settings.ratios.items()})
    say(f"wanted {recipe.total:,} = " + " + ".join(f"{n:,} {category}" for category, n in wanted.items()))
    shares = ", ".join(f"{name} {share:.0%}" for name, share in recipe.split_shares.items())
    say(f"splits {shares}, {recipe.splitting}; formats {' '.join(recipe.formats)}")
    say("dry run: nothing was read or written")
    return 1 if refused or missing else 0
