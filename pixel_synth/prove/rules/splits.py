"""Sizes of the splits, their categories, that nothing crosses, and the certificate."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator

from pydantic import ValidationError

from pixel_synth.jsonl import sha256_of
from pixel_synth.mix.certificate import Certificate
from pixel_synth.mix.groups import RECORD, groups, kind_of, words
from pixel_synth.prove.rules.rule import ASIDE, NAMED, About, Check, Place, Rule, answer, unjudged
from pixel_synth.records import Conversation

NONE = "not applicable: there are no splits here"


def _short_hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


class SplitSizes(Check):
    """Each split has its least size, and every category of the dataset."""

    def __init__(self, about: About) -> None:
        super().__init__(about)
        self.counts: dict[str, Counter[str]] = {name: Counter() for name in about.target.splits if name}

    def see(self, c: Conversation, at: Place) -> None:
        """Count by split and category."""
        if at.split in self.counts:
            self.counts[at.split][c.category] += 1

    def rules(self) -> Iterator[Rule]:
        """Answer for sizes and categories of each split."""
        shares: dict[str, float] = {str(k): v for k, v in self.about.recipe.split_shares.items()} if self.about.recipe else {}
        wanted = [name for name, share in shares.items() if share > 0] or list(self.counts)
        if not self.counts:
            yield unjudged("split.size", NONE)
            yield unjudged("split.categories", NONE)
            return
        total, everywhere = sum(n.total() for n in self.counts.values()), sorted(set().union(*self.counts.values()))
        for name in wanted:
            share = shares.get(name)
            least = max(self.about.limits.split_records, round((share or 0) * total * self.about.limits.split_share))
            found = self.counts.get(name, Counter()).total()
            why, todo = (
                "too small to measure anything on, or not there",
                "pixel-synth split names the large components; --release speaker can help",
            )
            yield answer(f"split.size.{name}", found >= least, f">= {least:,}", f"{found:,}", why, todo)
        for name in wanted:
            here = self.counts.get(name, Counter())
            counts = {c: sum(n[c] for n in self.counts.values()) for c in everywhere}
            share = here.total() / total
            due = [c for c in everywhere if counts[c] * share >= 1]  # of the others it need not have even one
            missing = [c for c in due if not here[c]]
            why = "missing: " + ", ".join(f"{c} ({counts[c]:,} in all)" for c in missing)
            expected, has = f"{len(due)} of {len(everywhere)} categories, with a record or more due", f"{len(due) - len(missing)}"
            yield answer(
                f"split.categories.{name}",
                not missing,
                expected,
                has,
                why,
                "add records of the category, or make the split larger (split_shares)",
            )


class Disjoint(Check):
    """No id, text or group is in two splits; what lies aside is trained on, so that it counts as train."""

    def __init__(self, about: About) -> None:
        super().__init__(about)
        self.names = [*(n for n in about.target.splits if n != "train"), "train"]
        self.met: dict[str, dict[int, int]] = defaultdict(dict)  # kind -> hash of what is shared -> bits of the splits
        self.named: dict[str, list[str]] = defaultdict(list)
        self.crossing: Counter[str] = Counter()
        split = about.target.split or {}
        self.let_go = {_short_hash(g) for g in split.get("released", ())}

    def see(self, c: Conversation, at: Place) -> None:
        """Meet everything that may not cross."""
        if len(self.about.target.splits) < 2:
            return
        bit = 1 << self.names.index("train" if at.split in ASIDE else at.split)
        self._meet("ids", c.id, bit, at.of(c.id))
        said = " ".join(w for m in c.messages if m.role != "system" for w in [*words(m.content), m.role])
        self._meet("texts", said, bit, at.of(c.id))
        for group in groups(c):
            if not group.startswith(RECORD):
                self._meet(f"groups.{kind_of(group)}", group, bit, at.of(c.id))

    def _meet(self, kind: str, what: str, bit: int, where: str) -> None:
        key = _short_hash(what)
        bits = self.met[kind].get(key, 0)
        self.met[kind][key] = bits | bit
        if bits and not bits & bit and key not in self.let_go:
            self.crossing[kind] += 1
            if len(self.named[kind]) < NAMED:
                self.named[kind].append(f"{where}{f' ({what[:60]})' if kind not in ('ids', 'texts') else ''}")

    def rules(self) -> Iterator[Rule]:
        """Answer for ids, texts and each kind of group."""
        if len(self.about.target.splits) < 2:
            yield unjudged("split.disjoint", NONE)
            return
        for kind in sorted(self.met):
            n = self.crossing[kind]
            found, why, todo = (
                f"{n:,} of {len(self.met[kind]):,}",
                f"{n:,} {kind} are in two splits",
                "split again: pixel-synth split FILE -o DIR",
            )
            yield answer(f"split.disjoint.{kind}", not n, "0 in two splits", found, why, todo, self.named[kind])


class Certified(Check):
    """The certificate of ``splits.json`` is passed, and is of these very files."""

    def rules(self) -> Iterator[Rule]:
        """Answer for the certificate; hashing the split files is all it costs."""
        target, id, expected = self.about.target, "split.certificate", "passed, of these files"
        if len(target.splits) < 2:
            yield unjudged(id, NONE)
            return
        given, todo = (target.split or {}).get("certificate"), "pixel-synth split --verify DIR tells what crosses"
        if given is None:
            why, todo = "splits.json has no certificate, or is not there", "pixel-synth split FILE -o DIR writes one"
            yield answer(id, False, expected, "none", why, todo)
            return
        try:
            certificate = Certificate.model_validate(given)
        except ValidationError as error:
            yield answer(id, False, expected, "damaged", error.errors()[0]["msg"], todo)
            return
        wrong = [f"{check.name}: {check.found:,} of {check.of:,} cross" for check in certificate.failing]
        for name, path in target.splits.items():
            if name not in certificate.files or certificate.files[name].sha256 != sha256_of(path):
                wrong.append(f"{target.shown(path)} is not the file that was certified")
        highest = f"{certificate.highest.similarity:.3f}" if certificate.highest else "none"
        found = f"{'passed' if certificate.passed else 'failed'}, highest similarity {highest}"
        yield answer(id, certificate.passed and not wrong, expected, found, "; ".join(wrong) or "it says so itself", todo)
