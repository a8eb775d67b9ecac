"""What share of the true neighbours searches have found, and how sure that is."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

Z: Final = 1.959964
"""Standard deviations on either side that hold 95 %."""


class RecallEstimate(NamedTuple):
    """Of ``searches`` that were looked at: the mean of what each has found, and the bounds of a 95 % interval.

    The interval is Wilson's (1927), with a search as one trial: what one finds is between 0 and 1, so its mean varies
    no more than that of trials that find all or nothing. Neighbours of one query are missed together, so counting each
    as a trial would promise too much.
    """

    searches: int
    recall: float
    low: float
    high: float

    @classmethod
    def of(cls, searches: int, recall: float) -> RecallEstimate:
        """``searches`` at least 1."""
        width = Z * Z / searches
        middle = (recall + width / 2) / (1 + width)
        half = Z / (1 + width) * math.sqrt(recall * (1 - recall) / searches + width / (4 * searches))
        return cls(searches, recall, max(0.0, middle - half), min(1.0, middle + half))

    def as_json(self) -> dict[str, float]:
        """By name, rounded."""
        return {
            "searches": self.searches,
            "recall": round(self.recall, 4),
            "low": round(self.low, 4),
            "high": round(self.high, 4),
        }
