"""The six thresholds, the floor of the mix, and the gate's verdicts."""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Iterator

from pixel_synth.curate.gate import Limit, applies
from pixel_synth.prove.rules.rule import ASIDE, OUTSIDE, About, Check, Faults, Place, Rule, answer, unjudged
from pixel_synth.publish.tally import summary
from pixel_synth.records import Conversation
from pixel_synth.settings import THRESHOLDS


def scored(c: Conversation, at: Place) -> bool:
    """Tell whether a record is one that the scorers read: in the mix, and a talk of client and therapist."""
    return at.split not in ASIDE and c.labels.kind not in OUTSIDE


def reached(limit: Limit, c: Conversation) -> float | None:
    """Return the score of a record on the scale of the threshold (0-1), ``None`` when there is none."""
    score = c.score(limit.metric)
    if score is None or score.value is None:
        return None
    return limit.scale(score.value) if limit.scale and score.calibrated is None else limit.reached(score)


class Thresholds(Check):
    """The mean of each metric against its target, with 10th percentile and pass share; refused thresholds are not judged."""

    def __init__(self, about: About) -> None:
        super().__init__(about)
        self.values: dict[str, array[float]] = defaultdict(lambda: array("d"))
        self.without: dict[str, int] = defaultdict(int)

    def see(self, c: Conversation, at: Place) -> None:
        """Keep the scores, 8 bytes each."""
        if scored(c, at):
            for limit in self.about.gate.limits:
                if applies(limit.metric, c):
                    value = reached(limit, c)
                    if value is None:
                        self.without[limit.metric] += 1
                    else:
                        self.values[limit.metric].append(value)

    def rules(self) -> Iterator[Rule]:
        """Answer for each threshold, the six first."""
        yield from (self._rule(limit) for limit in sorted(self.about.gate.limits, key=lambda x: x.metric not in THRESHOLDS))

    def _rule(self, limit: Limit) -> Rule:
        id, values, without = f"quality.{limit.metric}", self.values[limit.metric], self.without[limit.metric]
        expected = f"mean >= {limit.least:.2f}, {limit.standing}"
        if (found := summary(values)) is None:
            return unjudged(
                id, f"not judged: no record has a score ({without:,} looked at); pixel-synth score FILE -o OUT gives them", expected
            )
        passing = sum(v >= limit.least for v in values) / (len(values) + without)
        told = f"mean {found[0]:.3f}, p10 {found[1]:.3f}, pass {passing:.1%} of {len(values) + without:,} ({without:,} without a score)"
        if limit.standing == "refused":
            return Rule(
                id=id,
                passed=None,
                expected=expected,
                found=told,
                why=f"not judged: {limit.why or 'no card lets it gate'}",
                todo="pixel-synth calibrate makes a card",
            )
        passed = found[0] >= limit.least
        todo = f"pixel-synth report names the slices that are low; pixel-synth score FILE --metric {limit.metric} shows why"
        return answer(id, passed, expected, told, f"the mean is {limit.least - found[0]:.3f} below its target", todo)


class Floor(Check):
    """No record below the recipe's floor, without a score where one is needed, or rejected by the gate."""

    def __init__(self, about: About) -> None:
        super().__init__(about)
        self.low, self.unscored, self.rejected, self.gated = Faults(), Faults(), Faults(), 0

    def see(self, c: Conversation, at: Place) -> None:
        """Look at the verdict and the overall score."""
        if not scored(c, at):
            return
        if c.verdict is not None:
            self.gated += 1
            if not c.verdict.accepted:
                self.rejected.add(f"{at.of(c.id)}: {'; '.join(c.verdict.reasons[:2])}")
        overall = c.score("overall")
        value = None if overall is None else overall.value if overall.calibrated is None else overall.calibrated
        recipe = self.about.recipe
        if recipe is not None and value is None and not recipe.unscored:
            self.unscored.add(at.of(c.id))
        if recipe is not None and recipe.least_quality is not None and value is not None and value < recipe.least_quality:
            self.low.add(f"{at.of(c.id)}: {value:.3f}")

    def rules(self) -> Iterator[Rule]:
        """Answer for verdicts and floor."""
        if self.gated:
            todo = "pixel-synth filter FILE -o DIR, or mix again"
            yield self.rejected.rule("quality.accepted", "no record that the gate rejected", "records were rejected by the gate", todo)
        else:
            yield unjudged("quality.accepted", "not applicable: no record was gated")
        recipe = self.about.recipe
        if recipe is None:
            yield unjudged("quality.floor", "not applicable: no recipe")
            return
        if recipe.least_quality is None:
            yield unjudged("quality.floor", "not applicable: the recipe has no least_quality")
        else:
            yield self.low.rule("quality.floor", f"overall >= {recipe.least_quality:.2f}", "records are below the floor", "mix again")
        if recipe.unscored:
            yield unjudged("quality.scored", "not applicable: the recipe lets records in without a score")
        else:
            todo = "score them (pixel-synth score FILE -o OUT), or allow it with unscored = true"
            yield self.unscored.rule("quality.scored", "every record has an overall score", "records have no overall score", todo)
