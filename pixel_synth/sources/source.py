"""What is known of a set that others made: where it lies, what it permits, how its rows become records."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import Field, model_validator

from pixel_synth.books import Reject
from pixel_synth.errors import SourceError
from pixel_synth.records import Category, Conversation, Kind, Record
from pixel_synth.sources.receipt import Receipt, read_receipt
from pixel_synth.standardise.rows import Raw, rows
from pixel_synth.standardise.spec import Spec, Writer

Group = Literal["mental_health", "reasoning", "personality", "auxiliary", "local"]
DATA = ("*.jsonl", "*.json", "*.csv", "*.parquet")


# Told how far something is: a set's id, how much is done, and of how much; 0 = that is not known.
Step = Callable[[str, int, int], None]


class Place(NamedTuple):
    """Where sets lie on this machine.

    ``cache`` holds what was fetched, ``mirror`` (OWNER/NAME/…) is read in place of the Hub, and ``local`` says by id where sets lie
    that are on no Hub.
    """

    cache: Path
    mirror: Path | None = None
    local: Mapping[str, Path] = {}
    workers: int = 4


class Source(Record):
    """One set; `read` gives its rows and `records` what they become.

    What could not be found out is "unknown" or empty, never guessed: none of these sets was read when this was written, their pages
    were, in stored copies.
    """

    id: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    title: str = Field(description="what it holds, in a few words")
    group: Group
    category: Category | None = Field(description="None = every row says its own")
    kind: Kind = ""
    wrote: Writer = Field(default="unknown", description="who wrote the replies, as far as its page says")
    repo: str = Field(default="", description="OWNER/NAME on the Hub (or of a git repository that the maker clones); empty = local")
    hub: bool = Field(default=True, description="whether `repo` is a set on the Hugging Face Hub")
    former: tuple[str, ...] = Field(default=(), description="ids that it had before; the Hub redirects them")
    revision: str = Field(default="", pattern=r"^([0-9a-f]{40})?$", description='commit that is fetched; "" = the first fetch pins it')
    seen: str = Field(default="", pattern=r"^[0-9a-f]{0,40}$", description="beginning of the commit whose page was read, where known")
    patterns: tuple[str, ...] = Field(default=DATA, description="which files of it hold rows; * crosses slashes")
    license: str = Field(description='as `pixel_synth.sources.licence` has it; "unknown" = none could be found')
    evidence: str = Field(description="where licence and access were read, and what stood there")
    gated: bool | None = Field(default=None, description="terms to be accepted at its page first; None = could not be found out")
    role_play: bool = Field(default=False, description="holds role-play with violent or sexual content: its replies are never used")
    limits: tuple[str, ...] = Field(default=(), description="what else has to be minded")
    homepage: str
    citation: str
    strategy: str = Field(description="what becomes of a row")
    after: tuple[str, ...] = Field(default=(), description="sets that are loaded first, since this one was derived from them")
    shape: str = Field(default="", description='shape of its rows, see `pixel_synth.standardise`; "" = found out from the rows')
    columns: Mapping[str, str] = Field(default_factory=dict)
    roles: Mapping[str, Literal["system", "user", "assistant"]] = Field(default_factory=dict)
    client_only: bool = False
    groups: Mapping[str, str] = Field(default_factory=dict)
    created: str = ""
    labels: Mapping[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _role_play_gives_no_replies(self) -> Source:
        if self.role_play and not self.client_only:
            raise ValueError(f"{self.id}: a role-play set is read for the client's side only (client_only)")
        return self

    @property
    def streamed(self) -> bool:
        """Whether only a sample of it is fetched."""
        return False

    def spec(self, revision: str) -> Spec:
        """Say to `pixel_synth.standardise` what its rows are."""
        return Spec(
            source=self.id,
            revision=revision,
            license="" if self.license == "own" else self.license,  # our records name theirs
            category=self.category,
            wrote=self.wrote,
            kind=self.kind,
            shape=self.shape,
            columns=dict(self.columns),
            roles=dict(self.roles),
            client_only=self.client_only,
            groups=dict(self.groups),
            created=self.created,
            labels=dict(self.labels),
        )

    def receipt(self, place: Place) -> Receipt:
        """Return what the last fetch left behind.

        Raises:
            SourceError: When it was not fetched.
        """
        found = read_receipt(place.cache, self.id)
        if found is None:
            raise SourceError(f"{self.id} is not fetched", hint=f"pixel-synth sources fetch {self.id}")
        return found

    def read(self, place: Place) -> Iterator[Raw]:
        """Yield its rows, file by file, as they lie in the cache; ``file`` is the path inside the set.

        Raises:
            SourceError: When it was not fetched, or a file of it is gone.
        """
        receipt = self.receipt(place)
        folder = receipt.base(place.cache)
        for name in sorted(receipt.files):
            path = folder / name
            if not path.is_file():
                raise SourceError(f"{self.id}: {name} is gone from {folder}", hint=f"pixel-synth sources fetch {self.id}")
            for raw in rows(path):
                yield raw._replace(file=name)

    def convert(self, raws: Iterable[Raw], revision: str) -> Iterator[Conversation | Reject]:
        """Yield what rows become: records, and what could not become one with the reason."""
        from pixel_synth.standardise import standardise

        yield from standardise(raws, self.spec(revision))

    def records(self, place: Place) -> Iterator[Conversation | Reject]:
        """Yield what its rows become.

        Raises:
            SourceError: See `read`.
        """
        yield from self.convert(self.read(place), self.receipt(place).revision)
