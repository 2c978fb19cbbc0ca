"""One call loads everything that a recipe names: sets, fetched first where they are not there yet, then local inputs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, get_args

from pixel_synth.books import Reject
from pixel_synth.errors import PixelError, SourceError, UsageError
from pixel_synth.recipe import Recipe
from pixel_synth.records import Category, Conversation
from pixel_synth.sources import chosen, fetch
from pixel_synth.sources.licence import forbidden
from pixel_synth.sources.measure import Alert
from pixel_synth.sources.pins import pin_of
from pixel_synth.sources.receipt import content_hash
from pixel_synth.sources.source import Place, Source, Step
from pixel_synth.standardise.rows import files, rows
from pixel_synth.standardise.spec import Spec

Records = Iterator[Conversation | Reject]


class Loading:
    """Iterates over pairs of a source and its records, in order; `failures` says afterwards which sources broke, and why.

    A source that breaks ends with a `Reject` that says so (stage "sources", reason "source failed: …"), so that it stands in the
    books, and the next one goes on.
    """

    def __init__(self, parts: list[tuple[str, Callable[[], Records]]]) -> None:
        self._parts = parts
        self.failures: dict[str, str] = {}

    def __iter__(self) -> Iterator[tuple[str, Records]]:
        """Yield each source's id with its records, to be used up before the next is asked for."""
        for name, opened in self._parts:
            yield name, self._guarded(name, opened)

    def _guarded(self, name: str, opened: Callable[[], Records]) -> Records:
        try:
            yield from opened()
        except PixelError as error:
            self.failures[name] = error.message
            yield Reject(stage="sources", reason=f"source failed: {error.message}", file=name)


def place_of(recipe: Recipe) -> Place:
    """Return where a recipe's sets lie."""
    return Place(recipe.cache, recipe.mirror, recipe.local)


def load(
    recipe: Recipe,
    *,
    step: Step = lambda *_: None,
    say: Callable[[Alert], None] = lambda _: None,
) -> Loading:
    """Load all sources of a recipe in order: each set after those it was derived from, then the inputs as they are given.

    Args:
        recipe: Its ``sources``, ``inputs``, ``profile``, ``cache``, ``mirror`` and ``local``.
        step: Told how far a download or a count is.
        say: Told each alert as it is raised.

    Raises:
        SourceError: When the use profile forbids the licence of a set or input, with the names of all such; what an input's records say
            of their licences is known only when they are read, and has to be held against the profile then (`licence.forbidden`).
        UsageError: When there is no set of a name, or an input is not as `as_input` wants it.
    """
    wanted = chosen(recipe.sources)
    inputs = [as_input(text) for text in recipe.inputs]
    named = [(s.id, s.license) for s in wanted] + [(str(i.path), i.license) for i in inputs if i.license]
    if refused := forbidden(named, recipe.profile):
        raise SourceError(
            f"the profile {recipe.profile} forbids\n" + "\n".join(f"  {line}" for line in refused),
            hint='leave these sets out, or set profile = "research"',
        )
    place = place_of(recipe)

    def of_set(source: Source) -> Records:
        if not fetch.fetched(source, place):
            fetch.fetch(source, place, step=step, say=say)
        return source.records(place)

    parts: list[tuple[str, Callable[[], Records]]] = [(s.id, lambda s=s: of_set(s)) for s in wanted]  # type: ignore[misc]
    parts += [(str(i.path), lambda i=i: of_input(i)) for i in inputs]  # type: ignore[misc]
    return Loading(parts)


class Input(NamedTuple):
    """A local file, folder or run directory, and what was said of it."""

    path: Path
    category: Category | None = None
    license: str = ""


def as_input(text: str) -> Input:
    """Read an input as a recipe gives it: ``PATH``, ``CATEGORY=PATH`` or ``CATEGORY:LICENCE=PATH``.

    Raises:
        UsageError: When something else than a category stands before the path.
    """
    told, equals, path = text.partition("=")
    if not equals or Path(text).exists():
        return Input(Path(text))
    name, _, terms = told.partition(":")
    category = next((c for c in get_args(Category) if c == name), None)
    if category is None:
        raise UsageError(f"input {text}: {name} is no category", hint=f"CATEGORY:LICENCE=PATH, with {', '.join(get_args(Category))}")
    return Input(Path(path), category, terms)


def of_input(given: Input) -> Records:
    """Yield the records of a run directory of a pipeline, or of a local file or folder of any known shape.

    Rows that are no records of this toolkit do not say what they are: without a category they cannot be read.

    Raises:
        SourceError: When there is nothing to read.
        UsageError: When nobody says of which category the rows are.
    """
    from pixel_synth.standardise import standardise

    ours = given.path / "data" / "conversations.jsonl"
    path = ours if ours.is_file() else given.path
    found = files(path)
    pins = {f.relative_to(path if path.is_dir() else path.parent).as_posix(): pin_of(f) for f in found}
    revision = next(iter(pins.values())).sha256 if len(pins) == 1 else content_hash(pins)
    spec = Spec(source=given.path.stem, revision=revision, license=given.license, category=given.category)
    yield from standardise(rows(path), spec)
