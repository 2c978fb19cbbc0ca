"""When a score may gate data: the one rule that calibration and the benchmark of published ratings both go by."""

from __future__ import annotations

from typing import NamedTuple

from pixel_synth.calibrate.interval import Interval

# "Moderate" agreement begins above .40, "fair" above .20: Landis, J. R., & Koch, G. G. (1977), Biometrics, 33(1), 159-174.
MODERATE = 0.40
FAIR = 0.20
# A judge may lie this far below people's agreement with each other.  Our choice: less than one of Landis and Koch's steps of .20.
MARGIN = 0.15
# Below some 30 items the interval of a kappa is wider than two of Landis and Koch's steps.  Our choice, as a round figure.
ITEMS = 30
# With fewer good, or fewer other, conversations an AUC rests on single cases.  Our choice.
EACH = 5


class Decision(NamedTuple):
    """Whether a score may gate, and in words everything that speaks against it (empty when it may)."""

    may: bool
    reasons: tuple[str, ...]


def may_gate(judge: Interval, people: Interval) -> Decision:
    """Decide whether a score may gate, from quadratic kappas.

    All must hold: (a) people agree with each other at least moderately, else there is nothing to be right about; (b) the judge
    agrees with people at least moderately, and its interval stays above slight agreement; (c) it lies at most `MARGIN` below
    people's own agreement, or the two intervals overlap; (d) there are enough items.

    Args:
        judge: Median kappa of the judge and each person.
        people: Median kappa over pairs of people.
    """
    against = []
    if judge.n < ITEMS:
        against.append(f"{judge.n} items are fewer than {ITEMS}")
    if people.value is None:
        against.append(f"people's agreement with each other is not known: {people.reason}")
    elif people.value < MODERATE:
        against.append(f"people agree with each other only at {people.value:.2f}, below {MODERATE:.2f}")
    if judge.value is None:
        against.append(f"its agreement with people is not known: {judge.reason}")
        return Decision(False, tuple(against))
    if judge.value < MODERATE:
        against.append(f"it agrees with people only at {judge.value:.2f}, below {MODERATE:.2f}")
    if judge.low is None:
        against.append(f"its agreement has no interval: {judge.reason}")
    elif judge.low <= FAIR:
        against.append(f"its agreement may be as low as {judge.low:.2f}, not above {FAIR:.2f}")
    if people.value is not None and judge.value < people.value - MARGIN and not judge.overlaps(people):
        against.append(
            f"it lies {people.value - judge.value:.2f} below people's own agreement: more than {MARGIN:.2f}, and the intervals do not meet"
        )
    return Decision(not against, tuple(against))
