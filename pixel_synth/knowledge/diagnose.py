"""Does this set of findings meet the disorder?  The typed rules evaluated, with the reasons that speak against.

`evaluate` looks at count rules, durations, ages, onset and exclusions exactly as the pack states them.  An exclusion
criterion holds unless one of the circumstances that break it (``unless``) is among the findings; criteria of kind
duration and age follow from the numbers when these are given.  The result says what the rules say and nothing about
a person: a diagnosis needs an assessment by somebody qualified to make it.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pixel_synth.knowledge.models.disorder import CountRule, Criterion, Disorder
from pixel_synth.records import Record, Severity


class Findings(Record):
    """What is known about a person; numbers that are not known stay ``None`` and are then reported as open."""

    criteria: frozenset[str] = Field(default=frozenset(), description="ids of criteria that were found")
    duration_days: int | None = Field(default=None, ge=0)
    age: int | None = Field(default=None, ge=0)
    onset_age: int | None = Field(default=None, ge=0)
    circumstances: frozenset[str] = Field(default=frozenset(), description="ids of circumstances or disorders that are present")


class Verdict(Record):
    """``met`` only when nothing speaks against it and nothing required is open."""

    disorder: str
    standing: Literal["met", "not_met", "open"]
    against: tuple[str, ...] = Field(description="what the findings rule out or fall short of")
    open: tuple[str, ...] = Field(description="what would have to be known")
    severity: Severity | None = Field(default=None, description="only where the manual counts it")

    @property
    def met(self) -> bool:
        """Whether the rules are satisfied."""
        return self.standing == "met"


def evaluate(disorder: Disorder, findings: Findings) -> Verdict:
    """Check findings against every rule of a disorder.

    Raises:
        ValueError: When the findings name a criterion that the disorder does not have.
    """
    if unknown := findings.criteria - {c.id for c in disorder.criteria}:
        raise ValueError(f"{disorder.id} has no criterion {', '.join(sorted(unknown))}")
    against: list[str] = []
    open_: list[str] = []
    _numbers(disorder, findings, against, open_)
    found = {c.id for c in disorder.criteria if _present(c, disorder, findings, against)}
    against += [_short(disorder, rule, found, findings.age) for rule in disorder.top_rules if not disorder.holds(rule, found, findings.age)]
    standing: Literal["met", "not_met", "open"] = "not_met" if against else "open" if open_ else "met"
    severity = _severity(disorder, found) if standing == "met" else None
    return Verdict(disorder=disorder.id, standing=standing, against=tuple(against), open=tuple(open_), severity=severity)


def minimum_days(disorder: Disorder, age: int | None) -> int:
    """Return the minimum duration in days for somebody of this age."""
    child = disorder.child_duration
    return child.days if child and age is not None and age < child.under else disorder.min_duration_days


def _numbers(disorder: Disorder, findings: Findings, against: list[str], open_: list[str]) -> None:
    days, age, onset = findings.duration_days, findings.age, findings.onset_age
    least, most = minimum_days(disorder, age), disorder.max_duration_days
    waived = bool(findings.circumstances & set(disorder.duration_waived_by))
    if days is None and (least or most) and not waived:
        open_.append(f"how long it has lasted (at least {least} days)" if least else "how long it has lasted")
    elif days is not None and days < least and not waived:
        against.append(f"{days} days; at least {least} are asked for")
    elif days is not None and most is not None and days > most:
        against.append(f"{days} days; at most {most} are allowed for")
    if disorder.min_age and age is None:
        open_.append(f"the person's age (at least {disorder.min_age})")
    elif age is not None and age < disorder.min_age:
        against.append(f"age {age}; at least {disorder.min_age} is asked for")
    if disorder.max_onset_age is not None and onset is None:
        open_.append(f"the age of onset (before {disorder.max_onset_age})")
    elif disorder.max_onset_age is not None and onset is not None and onset >= disorder.max_onset_age:
        against.append(f"began at {onset}; it has to be there before {disorder.max_onset_age}")


def _present(criterion: Criterion, disorder: Disorder, findings: Findings, against: list[str]) -> bool:
    if criterion.kind == "exclusion":
        broken = sorted(findings.circumstances & set(criterion.unless))
        if broken:
            against.append(f"{criterion.id}: ruled out by {', '.join(broken)}")
        return not broken
    if criterion.kind == "duration" and findings.duration_days is not None and disorder.min_duration_days:
        return True  # what the number says stands in `_numbers`
    if criterion.kind == "age" and (findings.age is not None or findings.onset_age is not None):
        return True
    return criterion.id in findings.criteria


def _short(disorder: Disorder, rule: CountRule, found: set[str], age: int | None) -> str:
    have, least = disorder.found_of(rule, found, age), rule.least(age)
    if len(have) >= least:
        return f"{rule.id}: none of {', '.join(rule.any_of)} is there"
    return f"{rule.id}: {len(have)} of {len(rule.of)}, {least} are asked for (missing: {', '.join(i for i in rule.of if i not in have)})"


def _severity(disorder: Disorder, found: set[str]) -> Severity | None:
    by = disorder.severity_by_count
    if by is None:
        return None
    n = sum(i in found for i in next(r for r in disorder.rules if r.id == by.rule).of)
    levels: tuple[Severity, ...] = ("mild", "moderate", "severe")
    return next((level for level in levels if getattr(by, level)[0] <= n <= getattr(by, level)[1]), None)
