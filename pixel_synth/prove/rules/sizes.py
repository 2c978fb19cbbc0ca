"""Total and per-category size, and the shares of the mix."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from pixel_synth.mix.quota import largest_remainder
from pixel_synth.prove.rules.rule import ASIDE, About, Check, Place, Rule, answer, unjudged
from pixel_synth.recipe import CATEGORIES
from pixel_synth.records import Conversation

MORE = "add records of it, or let the mix shrink (when_short = shrink), which keeps the ratios exact"


class Sizes(Check):
    """Records per category against ``total`` times ratio by largest remainder, as the mix deals them, and shares against the ratios."""

    def __init__(self, about: About) -> None:
        super().__init__(about)
        self.counts: Counter[str] = Counter()
        self.ratios: dict[str, float] = {str(name): share for name, share in about.settings.ratios.items()}

    def see(self, c: Conversation, at: Place) -> None:
        """Count the records of the mix; those aside are outside the ratios."""
        if at.split not in ASIDE:
            self.counts[c.category] += 1

    def rules(self) -> Iterator[Rule]:
        """Answer for the total, each category, and each share."""
        total = self.wanted
        yield self._total(total)
        for category in CATEGORIES:
            yield self._size(category, total)
        for category in CATEGORIES:
            yield self._share(category)

    @property
    def wanted(self) -> int | None:
        """The size the mix should have: the recipe's total, or what the mix was shrunk to."""
        recipe, mix = self.about.recipe, self.about.target.mix
        if recipe is None:
            return None
        shrunk = recipe.when_short == "shrink" and mix is not None and isinstance(mix.get("size"), int)
        return int(mix["size"]) if shrunk and mix else recipe.total

    @property
    def mixed(self) -> int:
        """Records of the five categories."""
        return sum(self.counts[c] for c in CATEGORIES)

    def short(self, category: str) -> int:
        """Return how many records of a category ``mix.json`` says are missing."""
        mix = self.about.target.mix or {}
        rows = [q for q in mix.get("categories", ()) if q.get("category") == category]
        return int(rows[0].get("shortfall", 0)) if rows else 0

    def _total(self, total: int | None) -> Rule:
        if total is None:
            return unjudged("size.total", "not applicable: no recipe says how many records are wanted (--total N)")
        stray = {name: n for name, n in sorted(self.counts.items()) if name not in CATEGORIES}
        declared = sum(map(self.short, CATEGORIES))
        passed = self.mixed == total and not stray
        why = f"{self.mixed - total:+,} records" + (f"; {declared:,} are a shortfall that mix.json names" if declared else "")
        why += "".join(f"; {n:,} {name} records stand in the mix, and belong in {name}.jsonl" for name, n in stray.items())
        short = not stray and total - self.mixed == declared
        return answer("size.total", passed, f"{total:,}", f"{self.mixed:,}", why, MORE.replace("records of it", "records"), shortfall=short)

    def _size(self, category: str, total: int | None) -> Rule:
        id, ratio = f"size.{category}", self.ratios.get(category, 0.0)
        if total is None:
            return unjudged(id, "not applicable: no recipe says how many records are wanted (--total N)")
        wanted, found, short = largest_remainder(total, self.ratios)[category] if ratio else 0, self.counts[category], self.short(category)
        why = f"{found - wanted:+,} records" + (f"; a shortfall that mix.json names ({short:,})" if short else "")
        return answer(id, found == wanted, f"{wanted:,}", f"{found:,}", why, MORE, shortfall=short > 0 and found + short == wanted)

    def _share(self, category: str) -> Rule:
        id, ratio = f"share.{category}", self.ratios.get(category, 0.0)
        if not self.about.mixed:
            return unjudged(id, "not applicable: no mix of the categories (--distribution judges it anyway)")
        if not self.mixed:
            return answer(id, False, f"{ratio:.1%}", "no records", "nothing to take shares of", MORE)
        gap, most = self.counts[category] / self.mixed - ratio, self.about.limits.share_gap
        expected, found = f"{ratio:.1%} ± {100 * most:.1f} points", f"{ratio + gap:.1%}, gap {100 * gap:+.1f} points"
        why = f"{100 * abs(gap):.1f} points from its ratio, {100 * most:.1f} allowed"
        return answer(id, abs(gap) <= most, expected, found, why, MORE, shortfall=any(map(self.short, CATEGORIES)))
