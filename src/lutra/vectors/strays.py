"""Queries that stray from the rows, so that what was measured with rows does not hold: what walks find for them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Strays:
    """Such queries, as a build asked some."""

    contrast: float
    """How much candidates stand out for all but a few rows (`lutra.kernels.searcher.Plan.contrast_min`)."""
    found: tuple[tuple[int, float], ...]
    """Beams, ascending, and the recall of ten neighbours with each, of the kind of stray that finds least."""

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Strays:
        """What `to_json` gave. Raises KeyError, TypeError or ValueError."""
        found: Sequence[Sequence[float]] = document["found"]
        return cls(float(document["contrast"]), tuple((int(beam), float(recall)) for beam, recall in found))

    def to_json(self) -> dict[str, Any]:
        return {"contrast": self.contrast, "found": [[beam, recall] for beam, recall in self.found]}

    def beam(self, recall: float) -> int:
        """The least that finds so much of ten neighbours; 0 where none does."""
        if self.found and self.found[0][1] >= recall:
            return self.found[0][0]
        for (below, less), (above, more) in itertools.pairwise(self.found):
            if more >= recall:
                # What is missed falls as a power of the beam, nearly.
                share = (recall - less) / max(more - less, 1e-9)
                return math.ceil(float(below * (above / below) ** share))
        return 0
