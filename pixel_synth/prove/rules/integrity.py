"""Every line is a record, ids are unique, links resolve, and every quoted span stands where it is said to."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

from pixel_synth.prove.rules.rule import About, Check, Faults, Place, Rule, unjudged
from pixel_synth.records import Conversation, Evidence

LINKS = 5_000_000  # links that are kept to be resolved at the end, about 100 bytes each


class Schema(Check):
    """Every line of every file is a record."""

    def __init__(self, about: About) -> None:
        super().__init__(about)
        self.faults, self.seen = Faults(), 0

    def see(self, c: Conversation, at: Place) -> None:
        """Count it."""
        self.seen += 1

    def bad(self, at: Place, error: str) -> None:
        """Name the line and its key."""
        self.faults.add(f"{at.file}:{at.line} {error}")

    def rules(self) -> Iterator[Rule]:
        """Answer for the lines; no line at all is a fault."""
        if not self.seen and not self.faults.count:
            yield Rule(
                id="integrity.schema",
                passed=False,
                expected="records",
                found="0 lines",
                why="there is nothing to validate",
                todo="name a folder with train.jsonl, conversations.jsonl or other JSONL files of records",
            )
            return
        todo = "pixel-synth check FILE names every line; make the file again"
        yield self.faults.rule("integrity.schema", f"0 bad of {self.seen + self.faults.count:,} lines", "lines are no record", todo)


class Ids(Check):
    """No id is there twice, in whatever file, and every link names a record that is here."""

    def __init__(self, about: About) -> None:
        super().__init__(about)
        self.ids: set[bytes] = set()
        self.links: list[tuple[bytes, str]] = []
        self.twice, self.cut, self.total = Faults(), 0, 0

    @staticmethod
    def key(id: str) -> bytes:
        """Return the 8 bytes by which an id is remembered."""
        return hashlib.blake2b(id.encode(), digest_size=8).digest()

    def see(self, c: Conversation, at: Place) -> None:
        """Remember the id and the links."""
        key = self.key(c.id)
        if key in self.ids:
            self.twice.add(at.of(c.id))
        self.ids.add(key)
        for link in c.links:
            self.total += 1
            if len(self.links) < LINKS:
                self.links.append((self.key(link.id), f"{at.of(c.id)} -> {link.id} ({link.kind})"))
            else:
                self.cut += 1

    def rules(self) -> Iterator[Rule]:
        """Answer for ids, then for links."""
        yield self.twice.rule("integrity.ids", "every id once", "records have an id that was there before", "pixel-synth dedup FILE -o DIR")
        if not self.total:
            yield unjudged("integrity.links", "not applicable: no record has a link")
            return
        dangling = Faults()
        for key, where in self.links:
            if key not in self.ids:
                dangling.add(where)
        rule = dangling.rule(
            "integrity.links",
            f"all of {self.total:,} links resolve",
            "links name a record that is not here",
            "link again after mixing: pixel-synth link FILE -o OUT",
        )
        yield rule.model_copy(update={"found": f"{rule.found}, {self.cut:,} not looked at"}) if self.cut else rule


class Spans(Check):
    """``messages[turn].content[start:end] == quote`` for every span of scores and marks."""

    def __init__(self, about: About) -> None:
        super().__init__(about)
        self.faults, self.spans = Faults(), 0

    def see(self, c: Conversation, at: Place) -> None:
        """Look every span up."""
        for what, spans in self._spans(c):
            for span in spans:
                self.spans += 1
                if span.turn >= len(c.messages) or c.messages[span.turn].content[span.start : span.end] != span.quote:
                    self.faults.add(f"{at.of(c.id)}: {what}, turn {span.turn}, {span.start}:{span.end} is not {span.quote[:40]!r}")

    @staticmethod
    def _spans(c: Conversation) -> Iterable[tuple[str, tuple[Evidence, ...]]]:
        yield "marks", c.marks
        for score in c.scores:
            yield score.metric, score.evidence

    def rules(self) -> Iterator[Rule]:
        """Answer for all spans."""
        if not self.spans:
            yield unjudged("integrity.spans", "not applicable: no record has evidence or marks")
            return
        todo = "the text changed after it was scored or labelled: pixel-synth score FILE -o OUT, pixel-synth enrich FILE -o OUT"
        yield self.faults.rule("integrity.spans", f"all of {self.spans:,} spans hold", "spans are not where they are said to be", todo)
