"""Order of the roles, no empty turn, no therapist turn from role-play, and no personal data left."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from pixel_synth.prove.rules.rule import About, Check, Faults, Place, Rule, unjudged
from pixel_synth.records import Conversation


class Roles(Check):
    """The client begins, they take turns, the therapist ends; a system prompt stands first or nowhere."""

    def __init__(self, about: About) -> None:
        super().__init__(about)
        self.order, self.empty = Faults(), Faults()

    def see(self, c: Conversation, at: Place) -> None:
        """Look at the roles and for turns without words."""
        if wrong := disorder(c):
            self.order.add(f"{at.of(c.id)}: {wrong}")
        for i, message in enumerate((*c.messages, *c.dispreferred)):
            if not message.content.strip():
                self.empty.add(f"{at.of(c.id)}: turn {i}")

    def rules(self) -> Iterator[Rule]:
        """Answer for order and empty turns."""
        todo = "pixel-synth ingest repairs what is certain and rejects the rest"
        yield self.order.rule("talk.roles", "client first, turn by turn, therapist last", "records have their roles in another order", todo)
        yield self.empty.rule("talk.empty", "words in every turn", "turns have no words", todo)


def disorder(c: Conversation) -> str:
    """Return what is wrong with the order of a record's roles, "" when nothing is; the client's lines of a talk have no order."""
    roles = [m.role for m in c.messages]
    if "system" in roles[1:]:
        return f"turn {roles.index('system', 1)} is a system prompt, which stands first or nowhere"
    talk = roles[1:] if roles[0] == "system" else roles
    if c.labels.kind == "client_lines":
        return "" if set(talk) <= {"user"} else "a record of the client's lines has a therapist turn"
    if talk[:1] != ["user"]:
        return "the client does not begin"
    if twice := next((i for i, (a, b) in enumerate(pairwise(talk), 1) if a == b), 0):
        return f"turn {twice + len(roles) - len(talk)}: {talk[twice]} speaks twice"
    if talk[-1] != "assistant":
        return "the therapist does not end"
    if c.dispreferred and c.dispreferred[-1].role != "assistant":
        return "the dispreferred answer is not the therapist's"
    return ""


class ClientOnly(Check):
    """What role-play sets let others say never becomes a therapist turn."""

    def __init__(self, about: About) -> None:
        super().__init__(about)
        from pixel_synth.sources import sources

        self.ids = {id for id, source in sources().items() if source.client_only}
        self.faults, self.seen = Faults(), 0

    def see(self, c: Conversation, at: Place) -> None:
        """Look for assistant turns."""
        if c.provenance.source in self.ids or c.labels.kind == "client_lines":
            self.seen += 1
            if any(m.role == "assistant" for m in (*c.messages, *c.dispreferred)):
                self.faults.add(f"{at.of(c.id)}: {c.provenance.source}")

    def rules(self) -> Iterator[Rule]:
        """Answer for the records of such sources."""
        if not self.seen:
            yield unjudged("talk.client_only", f"not applicable: no record is of {', '.join(sorted(self.ids))} or of client lines")
            return
        todo = "leave them out, and read the source through pixel-synth sources"
        yield self.faults.rule(
            "talk.client_only", f"no reply in {self.seen:,} records of role-play", "records hold a role-play reply", todo
        )


class Private(Check):
    """No e-mail address and no telephone number of a person is left in a text; those of crisis services are content."""

    def __init__(self, about: About) -> None:
        super().__init__(about)
        self.emails, self.phones = Faults(), Faults()

    def see(self, c: Conversation, at: Place) -> None:
        """Look at messages, dispreferred answers and the chain of thought."""
        from pixel_synth.curate.redact.online import emails
        from pixel_synth.curate.redact.phones import phones

        for i, text in enumerate((*(m.content for m in c.messages), *(m.content for m in c.dispreferred), c.thought)):
            # The text itself is not named: the report would publish it.
            for _ in emails(text):
                self.emails.add(f"{at.of(c.id)}: text {i}")
            for _ in phones(text) if any(map(str.isdigit, text)) else ():
                self.phones.add(f"{at.of(c.id)}: text {i}")

    def rules(self) -> Iterator[Rule]:
        """Answer for both kinds."""
        todo = "pixel-synth redact FILE -o OUT"
        yield self.emails.rule("private.email", "none", "e-mail addresses are left", todo)
        yield self.phones.rule("private.phone", "none", "telephone numbers are left", todo)


class Languages(Check):
    """Every record whose language was told is in one that the recipe wants."""

    def __init__(self, about: About) -> None:
        super().__init__(about)
        self.faults, self.told = Faults(), 0

    def see(self, c: Conversation, at: Place) -> None:
        """Compare the label."""
        if c.labels.language and self.about.recipe is not None:
            self.told += 1
            if c.labels.language not in self.about.recipe.languages:
                self.faults.add(f"{at.of(c.id)}: {c.labels.language}")

    def rules(self) -> Iterator[Rule]:
        """Answer for the labels."""
        if self.about.recipe is None or not self.told:
            yield unjudged(
                "talk.language", "not applicable: no recipe" if self.about.recipe is None else "not judged: no record has a language"
            )
            return
        expected = f"{', '.join(self.about.recipe.languages)} in {self.told:,} records"
        yield self.faults.rule(
            "talk.language", expected, "records are in another language", "pixel-synth screen FILE -o DIR --language CODE"
        )
