"""Latencies over a stretch of time, told from a histogram's counts at its ends."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Counts:
    """A histogram since the server's start: ``counts[i]`` took at most ``bounds_s[i]`` s and more than the bound before
    it; the last bound is infinite."""

    bounds_s: Sequence[float]
    counts: Sequence[float]

    @property
    def total(self) -> float:
        return float(sum(self.counts))

    def since(self, before: Counts | None) -> Counts:
        """What came after ``before``."""
        if before is None:
            return self
        return Counts(self.bounds_s, [now - then for now, then in zip(self.counts, before.counts, strict=True)])

    def plus(self, other: Counts) -> Counts:
        return Counts(self.bounds_s, [a + b for a, b in zip(self.counts, other.counts, strict=True)])

    def quantile_ms(self, share: float) -> float:
        """How long ``share`` of them took at most, as if evenly spread between two bounds; NaN where there were none.

        Of what took longer than the last finite bound that bound is told.
        """
        total = self.total
        if total <= 0:
            return math.nan
        ends = np.cumsum(self.counts)
        at = int(np.searchsorted(ends, share * total))
        at = min(at, len(self.counts) - 1)
        low_s = self.bounds_s[at - 1] if at else 0.0
        high_s = self.bounds_s[at]
        if math.isinf(high_s):
            return 1e3 * low_s
        within = (share * total - (ends[at] - self.counts[at])) / self.counts[at] if self.counts[at] else 1.0
        return 1e3 * (low_s + within * (high_s - low_s))
