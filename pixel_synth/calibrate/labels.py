"""What people said about conversations: the labels that judges and scorers are held against.

The layout is long: one row per item, criterion and rater, as CSV with a header or as JSON lines::

    item,criterion,rater,group,rating
    c1,validating_emotions,expert1,expert,4

``item`` is the id of the conversation, ``rater`` who rated, ``group`` what they are (expert, crowd, model, constructed ...), and
``rating`` a number; an empty rating is a missing one.  What the numbers mean stands in a `Scale`.
"""

from __future__ import annotations

from pydantic import Field, model_validator

from pixel_synth.records import Record, stable_id


class Scale(Record):
    """What the ratings of a criterion mean.

    ``good_from`` is the least rating that counts as good where high is good, or the highest where ``high_is_bad``.
    """

    low: float
    high: float
    good_from: float
    high_is_bad: bool = False

    @model_validator(mode="after")
    def _in_order(self) -> Scale:
        if not self.low < self.high or not self.low <= self.good_from <= self.high:
            raise ValueError(f"a scale needs low < high and good_from between them, not {self.low}, {self.high}, {self.good_from}")
        return self

    def good(self, rating: float) -> bool:
        """Tell whether a rating counts as good."""
        return rating <= self.good_from if self.high_is_bad else rating >= self.good_from

    def unit(self, rating: float) -> float:
        """Return a rating as 0 (worst) to 1 (best)."""
        share = (rating - self.low) / (self.high - self.low)
        return 1.0 - share if self.high_is_bad else share


class Rating(Record):
    """One rater's rating of one criterion of one item."""

    item: str = Field(min_length=1)
    criterion: str = Field(min_length=1)
    rater: str = Field(min_length=1)
    group: str = "expert"
    rating: float


def held_out(item: str) -> bool:
    """Tell whether an item belongs to the three fifths that nothing is ever tuned on: cards are measured on these alone."""
    return int(stable_id("split", item), 16) % 5 >= 2
